"""Manifests: round trip, sources that move with the folder, and errors that name the line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from recognizer.data.manifest import Item, load_manifest, save_manifest, save_manifests
from recognizer.errors import ManifestError, OutputError


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_round_trip(tmp_path: Path) -> None:
    items = [
        Item("a", tmp_path / "x" / "a b.wav", text="e\u0301 \u00fc\u2028\"\\", seconds=1.25, group="s1", meta={"sex": "f", "times": [0, 1]}),
        Item("b/1", tmp_path / "b.png", units=("AH", "#"), width=12),
        Item("\u00e9", tmp_path / "\u00e9.wav", text="", units=()),
    ]
    assert save_manifest(iter(items), tmp_path / "new" / "folder" / "m.jsonl") == 3
    loaded = load_manifest(str(tmp_path / "new" / "folder" / "m.jsonl"))
    assert [item.source.resolve() for item in loaded] == [item.source for item in items]
    assert [vars(item) | {"source": None} for item in loaded] == [vars(item) | {"source": None} for item in items]
    assert [item.transcript("characters") for item in loaded] == [items[0].text, None, ""]
    assert [item.transcript("units") for item in loaded] == [None, ("AH", "#"), ()]


def test_only_what_is_known_is_written_one_object_a_line(tmp_path: Path) -> None:
    save_manifest([Item("a", tmp_path / "a.wav", text="\u00e9"), Item("b", tmp_path / "b.wav")], tmp_path / "m.jsonl")
    assert (tmp_path / "m.jsonl").read_text(encoding="utf-8").splitlines() == [
        '{"id": "a", "source": "a.wav", "text": "\u00e9"}', '{"id": "b", "source": "b.wav"}']


def test_sources_move_with_their_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = tmp_path / "corpus"
    (corpus / "wav").mkdir(parents=True)
    (corpus / "wav" / "a.wav").write_text("here")
    save_manifest([Item("a", corpus / "wav" / "a.wav")], corpus / "manifests" / "m.jsonl")
    assert json.loads((corpus / "manifests" / "m.jsonl").read_text())["source"] == "../wav/a.wav"
    shutil.move(corpus, tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "moved" / "manifests")
    for path in ("m.jsonl", tmp_path / "moved" / "manifests" / "m.jsonl"):
        source = load_manifest(path)[0].source
        assert source.is_absolute() and source.read_text() == "here"
    assert load_manifest(write(tmp_path / "m.jsonl", '{"id": "a", "source": "/elsewhere/a.wav"}'))[0].source == Path("/elsewhere/a.wav")


def test_null_is_the_same_as_nothing_and_empty_lines_are_passed_over(tmp_path: Path) -> None:
    nulls = dict.fromkeys(("text", "units", "seconds", "width", "group", "meta"))
    path = write(tmp_path / "m.jsonl", "", json.dumps({"id": "a", "source": "a", **nulls}), "  ")
    assert load_manifest(path) == [Item("a", tmp_path / "a")]


@pytest.mark.parametrize(("line", "message"), [
    ('{"id": "b", "source": "b"', r"not JSON: .* at column 26"),
    ('["b", "b.wav"]', "expected a JSON object"),
    ('{"source": "b"}', "the key 'id' must be a non-empty string"),
    ('{"id": 7, "source": "b"}', "the key 'id' must be a non-empty string"),
    ('{"id": "b", "source": ""}', "the key 'source' must be a non-empty string"),
    ('{"id": "b", "source": "b", "speaker": "s"}', "unknown key 'speaker' .*meta"),
    ('{"id": "b", "source": "b", "txt": "s"}', r"unknown key 'txt'; did you mean 'text'\?"),
    ('{"id": "b", "source": "b", "text": 3}', "the key 'text' has a value of the wrong type: 3"),
    ('{"id": "b", "source": "b", "seconds": "3"}', "the key 'seconds' has a value of the wrong type: '3'"),
    ('{"id": "b", "source": "b", "seconds": true}', "the key 'seconds' has a value of the wrong type: True"),
    ('{"id": "b", "source": "b", "width": 3.5}', "the key 'width' has a value of the wrong type: 3.5"),
    ('{"id": "b", "source": "b", "group": 3}', "the key 'group' has a value of the wrong type: 3"),
    ('{"id": "b", "source": "b", "meta": []}', r"the key 'meta' has a value of the wrong type: \[\]"),
    ('{"id": "b", "source": "b", "units": "AH B"}', "the key 'units' must be a list of non-empty strings"),
    ('{"id": "b", "source": "b", "units": ["AH", "A H"]}', "the key 'units' must be a list .* without white space"),
    ('{"id": "b", "source": "b", "units": [1]}', "the key 'units' must be a list of non-empty strings"),
    ('{"id": "a", "source": "b"}', "the id 'a' is already in line 1$"),
    ('{"id": "b", "source": "b\\u0000"}', "the key 'source' holds a null character"),
    ('{"id": "b", "source": "b", "seconds": 1e999}', "the key 'seconds' must be a number from 0 to 1,000,000,000, found inf"),
    ('{"id": "b", "source": "b", "seconds": NaN}', "the key 'seconds' must be a number from 0"),
    ('{"id": "b", "source": "b", "width": -1}', "the key 'width' must be a number from 0"),
    ('{"id": "b", "source": "b", "width": ' + "9" * 5000 + "}", "a number of more than 300 digits"),
    ('{"id": "b", "source": "b", "meta": ' + "[" * 100000, "lists or objects are nested too deep"),
    (r'{"id": "b", "source": "b", "text": "\udc80"}', "half of a surrogate pair"),
])
def test_errors_name_file_and_line(tmp_path: Path, line: str, message: str) -> None:
    path = write(tmp_path / "m.jsonl", '{"id": "a", "source": "a"}', "", line)
    with pytest.raises(ManifestError, match=rf"m\.jsonl:3: {message}"):
        load_manifest(path)


def test_files_that_are_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"none\.jsonl: no such manifest; make one with `recognizer prepare`"):
        load_manifest(tmp_path / "none.jsonl")
    with pytest.raises(ManifestError, match=r"empty\.jsonl: the manifest is empty"):
        load_manifest(write(tmp_path / "empty.jsonl", "", " "))
    (tmp_path / "latin.jsonl").write_bytes('{"id": "é", "source": "b"}'.encode("latin-1"))
    with pytest.raises(ManifestError, match=r"latin\.jsonl: not UTF-8 text .* at byte 8"):
        load_manifest(tmp_path / "latin.jsonl")
    with pytest.raises(ManifestError, match="cannot read the manifest: Is a directory"):
        load_manifest(tmp_path)


def test_a_manifest_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def broken() -> Iterator[Item]:
        yield Item("new", tmp_path / "a")
        raise RuntimeError("in the middle")

    for name in ("old.jsonl", "none.jsonl"):
        if name == "old.jsonl":
            save_manifest([Item("old", tmp_path / "a")], tmp_path / name)
        with pytest.raises(RuntimeError, match="in the middle"):
            save_manifest(broken(), tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["old.jsonl"]
    assert [item.id for item in load_manifest(tmp_path / "old.jsonl")] == ["old"]


def test_manifests_that_belong_together_are_replaced_together(tmp_path: Path, full_disk, monkeypatch: pytest.MonkeyPatch) -> None:
    def ids() -> dict[str, list[str]]:
        return {path.name: [item.id for item in load_manifest(path)] for path in tmp_path.iterdir()}

    names = ("train.jsonl", "dev.jsonl")
    save_manifests({tmp_path / name: [Item("old", tmp_path / "a")] for name in names})
    new = {tmp_path / name: [Item(count * "n", tmp_path / "a")] for name, count in zip(names, (1, 500), strict=True)}
    with full_disk(100), pytest.raises(OutputError, match=r"dev\.jsonl: cannot be written: File too large"):
        save_manifests(new)
    assert ids() == {"train.jsonl": ["old"], "dev.jsonl": ["old"]}

    def die(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "replace", die)
        save_manifests(new)
    assert ids() == {}
    save_manifests(new)
    assert ids() == {"train.jsonl": ["n"], "dev.jsonl": [500 * "n"]}


def test_only_true_marks_an_item_as_empty_and_only_an_empty_one_may_be(tmp_path: Path) -> None:
    lines = ['{"id": "a", "source": "a.wav", "text": "", "units": [], "meta": {"empty": true}}',
        '{"id": "b", "source": "b.wav", "text": "x", "meta": {"empty": "no"}}', '{"id": "c", "source": "c.wav", "text": ""}']  # fmt: skip
    assert [item.empty for item in load_manifest(write(tmp_path / "m.jsonl", *lines))] == [True, False, False]
    for transcript, said in (('"text": "hello"', "'hello'"), ('"units": ["AH", "B"]', "'AH B'")):
        path = write(tmp_path / "m.jsonl", lines[0], f'{{"id": "d", "source": "d.wav", {transcript}, "meta": {{"empty": true}}}}')
        with pytest.raises(ManifestError, match=rf"m\.jsonl:2: 'meta' marks the item as empty, but its transcript is {said}"):
            load_manifest(path)
