"""From corpora to manifests: splits, counts, what is left out, options, and how corpora are found."""

from __future__ import annotations

import argparse
import sys
import types
from pathlib import Path

import pytest
import soundfile
from PIL import Image

from recognizer.data import preparation
from recognizer.data.manifest import Item, load_manifest
from recognizer.data.preparation import Counts, corpora, count_items, measure, prepare
from recognizer.errors import ConfigError, InputError, ManifestError


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    """Twelve images of six writers."""
    for number in range(12):
        path = tmp_path / "lines" / f"w{number % 6}" / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (20 + number, 8), 255).save(path)
        path.with_suffix(".txt").write_text("ab" if number else "e\u0301", encoding="utf-8")
    return tmp_path / "lines"


def test_splits_and_counts(lines, tmp_path):
    out = tmp_path / "out"
    counts = prepare("folder", lines, out, dev=0.17, test=0.17)
    assert sorted(path.name for path in out.iterdir()) == ["dev.jsonl", "test.jsonl", "train.jsonl"]
    assert {name: (c.items, c.groups, c.seconds, c.units) for name, c in counts.items()} == {
        "train": (8, 4, None, 0), "dev": (2, 1, None, 0), "test": (2, 1, None, 0)}
    manifests = {name: load_manifest(out / f"{name}.jsonl") for name in counts}
    groups = [{item.group for item in items} for items in manifests.values()]
    assert sum(map(len, groups)) == len(set().union(*groups)) == 6
    items = {item.id: item for part in manifests.values() for item in part}
    assert items["w3/09"] == Item("w3/09", items["w3/09"].source, text="ab", width=29, group="w3")
    assert items["w3/09"].source.resolve() == lines / "w3" / "09.png" and items["w0/00"].text == "\u00e9"


def test_the_same_again_is_the_same_to_the_byte(lines, tmp_path):
    for name in ("a", "b"):
        prepare("folder", lines, tmp_path / name, dev=0.2, seed=3)
    assert (tmp_path / "a" / "dev.jsonl").read_bytes() == (tmp_path / "b" / "dev.jsonl").read_bytes()


def test_all_or_a_name(lines, tmp_path):
    assert list(prepare("folder", lines, tmp_path / "out")) == ["all"]
    assert list(prepare("folder", lines, tmp_path / "out", name="pilot")) == ["pilot"]
    assert (tmp_path / "out" / "all.jsonl").read_bytes() == (tmp_path / "out" / "pilot.jsonl").read_bytes()


def test_groups_that_are_missing_or_in_two_manifests_are_noted(lines, tmp_path):
    notes: list[str] = []
    prepare("folder", lines, tmp_path / "out", group_by="none", note=notes.append)
    assert [note.startswith(f"no {tmp_path / 'out' / 'dev.jsonl'} is written") and "--dev 0.1" in note for note in notes] == [True]
    notes.clear()
    counts = prepare("folder", lines, tmp_path / "out", group_by="none", dev=0.25, note=notes.append)
    assert counts["dev"].items == 3 and "12 of 12 items have no group" in notes.pop()
    prepare("folder", lines, tmp_path / "again", name="test", note=notes.append)
    prepare("folder", lines, tmp_path / "again", dev=0.2, note=notes.append)
    assert len(notes) == 1 and notes[0].startswith("6 groups in more than one manifest")


@pytest.mark.parametrize("corpus", ["rendered", "no-speech", "distorted"])
def test_generated_sets_of_one_kind_lie_side_by_side(corpus, lines, tmp_path):
    (tmp_path / "book.txt").write_text("it was the best of times")
    prepare("folder", lines, tmp_path / "real", name="some")
    source = {"rendered": tmp_path / "book.txt", "no-speech": None, "distorted": tmp_path / "real" / "some.jsonl"}[corpus]
    options = {"rendered": {"lines": 3}, "no-speech": {"items": 3}, "distorted": {"items": 3, "kind": ["photo"]}}[corpus]
    prepare(corpus, source, tmp_path / "out", name="first", **options)
    first = load_manifest(tmp_path / "out" / "first.jsonl")
    contents = [item.source.read_bytes() for item in first]
    prepare(corpus, source, tmp_path / "out", name="second", seed=2, **options)
    second = load_manifest(tmp_path / "out" / "second.jsonl")
    assert [item.source.read_bytes() for item in first] == contents  # not overwritten by those of the second
    assert not {item.id for item in first} & {item.id for item in second}  # and both can be trained on together
    prepare(corpus, source, tmp_path / "out", **options)
    assert {item.source.parts[len(tmp_path.parts) + 1] for item in load_manifest(tmp_path / "out" / "all.jsonl")} == {corpus}


def test_generated_corpora_take_no_source_and_others_need_one(tmp_path):
    counts = prepare("no-speech", None, tmp_path / "out", items=6, longest=0.6, test=0.4, note=lambda text: None)
    items = load_manifest(tmp_path / "out" / "train.jsonl")
    assert counts["train"].items == len(items) == 4
    assert all(item.empty and item.text == "" and item.units == () and item.seconds for item in items)
    with pytest.raises(ConfigError, match="'no-speech' is generated; leave its source out"):
        prepare("no-speech", tmp_path, tmp_path / "out")
    with pytest.raises(ConfigError, match="'folder' needs a source"):
        prepare("folder", None, tmp_path / "out")


def test_texts_get_their_phones_from_a_lexicon(lines, tmp_path):
    (lines / "w1" / "01.txt").write_text("one two")
    (lines / "w2" / "02.txt").write_text("one three")
    (tmp_path / "lexicon").write_text("one W AH1 N\ntwo T UW1\n")
    notes: list[str] = []
    prepare("folder", lines, tmp_path / "out", lexicon=tmp_path / "lexicon", note=notes.append)
    (known,) = (item for item in load_manifest(tmp_path / "out" / "all.jsonl") if item.units is not None)
    assert known.units == ("W", "AH", "N", "T", "UW") and known.text == "one two"
    assert len(load_manifest(tmp_path / "out" / "all.jsonl")) == 12 and sum("has no phones" in note for note in notes) == 11
    assert any("02.png: has no phones: 'three' is not in the lexicon" in note for note in notes)


def test_a_name_that_leaves_the_folder_is_refused_before_anything_is_written(lines, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    for corpus, source in (("no-speech", None), ("folder", lines)):
        with pytest.raises(ManifestError, match=r"'\.\./x' cannot be the name"):
            prepare(corpus, source, tmp_path / "out", name="../x")
    assert sorted(tmp_path.rglob("*")) == before


def test_unknown_names_and_options(lines, tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'folder'"):
        prepare("foldr", lines, tmp_path / "out")
    with pytest.raises(ConfigError, match="did you mean 'group_by'"):
        prepare("folder", lines, tmp_path / "out", group_bye="none")
    with pytest.raises(ConfigError, match="quoting"):
        prepare("table", lines, tmp_path / "out", quoting="standrad")
    assert not (tmp_path / "out").exists()


def test_options_of_a_python_call_are_those_of_the_command(lines, tmp_path):
    (lines / "t.csv").write_text("file,text,kind\nw0/00.png,a,x\nw1/01.png,b,y\nw2/02.png,c,z\n")
    counts = prepare("table", lines / "t.csv", tmp_path / "out", source_column="file", where=["kind=x", "kind=z"], group_column=None)
    assert counts["all"].items == 2


def test_nothing_is_written_when_nothing_can_be_read_or_divided(lines, tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        prepare("folder", tmp_path / "none", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="not one usable item"):
        prepare("folder", tmp_path / "empty", tmp_path / "out")
    with pytest.raises(ConfigError, match="cannot be divided"):
        prepare("folder", lines / "w1", tmp_path / "out", dev=0.1)
    assert not (tmp_path / "out").exists()


def test_lengths_are_measured_where_they_are_missing(lines, tones):
    sound, dropped = tones.items()[0], []
    (lines / "bad.png").write_bytes(b"no picture")
    items = [Item("a", sound.source), Item("b", lines / "w3" / "09.png", width=5), Item("c", lines / "w3" / "09.png"), Item("d", lines / "bad.png")]
    first, second, third = measure(items, dropped.append)
    assert first.seconds == pytest.approx(soundfile.info(sound.source).duration, abs=1e-4) and (second.width, third.width) == (5, 29)
    assert len(dropped) == 1 and "bad.png" in str(dropped[0])


def test_counts_of_recordings():
    items = [Item("a", Path("/a"), text="e\u0301a", units=("AH", "B"), seconds=1.5, group="s"), Item("b", Path("/b"), text="\u00e9", seconds=2.0)]
    assert count_items(items) == Counts(items=2, groups=1, seconds=3.5, characters=2, units=2)


def test_a_new_module_of_the_package_is_a_new_corpus(tmp_path, monkeypatch):
    package = types.ModuleType("other_corpora")
    package.__path__ = [str(tmp_path)]
    (tmp_path / "helper.py").write_text("")
    (tmp_path / "tones.py").write_text('"""Tones."""\nCORPUS = "tones"\ndef add_arguments(parser): pass\ndef read(source, options): yield from ()\n')
    monkeypatch.setitem(sys.modules, "other_corpora", package)
    monkeypatch.setattr(preparation, "PACKAGE", "other_corpora")
    assert list(corpora()) == ["tones"]


def test_every_corpus_has_help_and_no_required_option():
    for name, module in corpora().items():
        parser = argparse.ArgumentParser()
        module.add_arguments(parser)
        parser.parse_args([])
        assert module.__doc__ and module.__doc__.strip(), name
        parser.format_help()


def corpus_that_stops(tmp_path: Path, monkeypatch, texts: list[str], stop: BaseException | None = None) -> None:
    """Make ``drawn`` a corpus that writes a picture for each text and then, perhaps, fails."""

    def read(source, options):
        options.made.mkdir(parents=True, exist_ok=True)
        for number, text in enumerate(texts):
            path = options.made / f"{number}.png"
            Image.new("L", (10 * len(text), 8), 255).save(path)
            yield Item(f"{options.made.name}_{number}", path, text=text)
        options.drop(InputError(f"{options.made / 'bad.png'}: is bad"))
        if stop is not None:
            raise stop

    module = types.SimpleNamespace(CORPUS="drawn", __doc__="", add_arguments=lambda parser: None, read=read)
    monkeypatch.setattr(preparation, "corpora", lambda: {"drawn": module})


def test_pictures_and_manifests_are_replaced_together(tmp_path, monkeypatch):
    out, dropped = tmp_path / "out", []
    corpus_that_stops(tmp_path, monkeypatch, ["aa", "bbb"])
    prepare("drawn", tmp_path, out, drop=lambda error: dropped.append(str(error)))
    assert dropped == [f"{out / 'drawn' / 'bad.png'}: is bad"]
    assert [path.name for path in sorted(out.iterdir())] == ["all.jsonl", "drawn"]

    def state():
        items = load_manifest(out / "all.jsonl")
        assert all(item.source.parent == out / "drawn" for item in items)
        return [(item.id, item.text, Image.open(item.source).width, item.width) for item in items]

    before = [("drawn_0", "aa", 20, 20), ("drawn_1", "bbb", 30, 30)]
    assert state() == before
    for stop in (InputError("no more"), KeyboardInterrupt()):
        corpus_that_stops(tmp_path, monkeypatch, ["cccc"], stop)
        with pytest.raises(type(stop)):
            prepare("drawn", tmp_path, out, drop=lambda error: None)
        assert state() == before and sorted(path.name for path in out.iterdir()) == ["all.jsonl", "drawn"]
    (out / "drawn.partial" / "drawn").mkdir(parents=True)
    (out / "drawn.partial" / "drawn" / "7.png").write_bytes(b"left by a process that was killed")
    corpus_that_stops(tmp_path, monkeypatch, ["cccc"])
    prepare("drawn", tmp_path, out, drop=lambda error: None)
    assert state() == [("drawn_0", "cccc", 40, 40)] and not (out / "drawn" / "7.png").exists() and not (out / "drawn.partial").exists()


def test_a_kill_between_pictures_and_manifests_leaves_no_manifest_of_other_pictures(tmp_path, monkeypatch):
    out = tmp_path / "out"
    corpus_that_stops(tmp_path, monkeypatch, ["aa", "bbb"])
    prepare("drawn", tmp_path, out, drop=lambda error: None)
    corpus_that_stops(tmp_path, monkeypatch, ["cccc", "ddddd"])
    replace = Path.replace

    def die_at_the_second(self, target):
        if Path(target).name == "1.png":
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", die_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        prepare("drawn", tmp_path, out, drop=lambda error: None)
    assert [path.name for path in out.iterdir()] == ["drawn"]
