"""Manifests for other programs: what is written, and that it comes back the same."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from recognizer.data.export import EXPORTS, export_huggingface, export_lhotse, export_nemo
from recognizer.data.manifest import Item, load_manifest, save_manifest
from recognizer.data.preparation import prepare
from recognizer.errors import ConfigError, InputError


@pytest.fixture
def items(tmp_path: Path) -> list[Item]:
    """Four recordings: with a speaker and more, in stereo, in units, without speech."""
    folder = tmp_path / "sound"
    folder.mkdir()
    sources = [folder / name for name in ("a.wav", "b.flac", "c.wav", "d.wav")]
    for number, source in enumerate(sources):
        shape = (4000 + 80 * number, 2) if number == 1 else (4000 + 80 * number,)
        soundfile.write(source, 0.1 * np.random.default_rng(number).standard_normal(shape), 8000)
    return [
        Item("one/a", sources[0], text="caf\u00e9 \u201cau lait\u201d", seconds=0.5, group="x",
             meta={"sex": "f", "age": 3, "more": [1, {"k": None}]}),
        Item("two b", sources[1], text="deux", seconds=0.51),
        Item("three", sources[2], text="k ae", units=("k", "ae"), seconds=0.52, group="7"),
        Item("none", sources[3], text="", seconds=0.53, group="x", meta={"empty": True}),
    ]


@pytest.mark.parametrize("name", list(EXPORTS))
def test_what_is_written_comes_back(items, tmp_path, name) -> None:
    if name == "huggingface":
        pytest.importorskip("datasets", reason="Parquet files are written with it")
    export, pattern = EXPORTS[name]
    dropped: list[InputError] = []
    out = tmp_path / "out" / pattern.format("all")
    assert export(items, out, dropped.append) == 4 and dropped == []
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    prepare(name, out, tmp_path / "back", drop=dropped.append, note=lambda text: None)
    back = load_manifest(tmp_path / "back" / "all.jsonl")
    assert dropped == [] and [replace(item, source=Path()) for item in back] == [replace(item, source=Path()) for item in items]
    for old, new in zip(items, back, strict=True):
        assert name == "huggingface" or new.source.resolve() == old.source
        assert new.source.read_bytes() == old.source.read_bytes()


def test_pictures_go_into_parquet_only(tmp_path) -> None:
    pytest.importorskip("datasets", reason="Parquet files are written with it")
    Image.new("L", (30, 10), 200).save(tmp_path / "a.png")
    (tmp_path / "x.inkml").touch()
    items = [Item("a", tmp_path / "a.png", text="ligne", width=30, group="w"), Item("x", tmp_path / "x.inkml", text="t")]
    dropped: list[str] = []
    assert export_huggingface(items, tmp_path / "test.parquet", lambda error: dropped.append(str(error))) == 1
    prepare("huggingface", tmp_path / "test.parquet", tmp_path / "back", note=lambda text: None)
    (back,) = load_manifest(tmp_path / "back" / "all.jsonl")
    assert (back.id, back.text, back.width, back.group, back.source.suffix) == ("a", "ligne", 30, "w", ".png")
    assert dropped == [f"{tmp_path / 'x.inkml'}: neither a recording nor a picture"]
    with pytest.raises(InputError, match="not one item"):
        export_nemo(items, tmp_path / "n.json", lambda error: dropped.append(str(error)))
    assert len(dropped) == 3 and "not a recording" in dropped[-1] and not (tmp_path / "n.json").exists()


def test_recordings_and_pictures_are_not_mixed(items, tmp_path) -> None:
    pytest.importorskip("datasets", reason="Parquet files are written with it")
    Image.new("L", (30, 10), 200).save(tmp_path / "a.png")
    with pytest.raises(ConfigError, match="a manifest for each"):
        export_huggingface([*items, Item("p", tmp_path / "a.png", text="p")], tmp_path / "all.parquet", pytest.fail)


def test_lhotse_reads_its_cuts(items, tmp_path) -> None:
    lhotse = pytest.importorskip("lhotse", reason="the reader that the cuts are for")
    export_lhotse(items, tmp_path / "cuts.jsonl.gz", pytest.fail)
    cuts = list(lhotse.CutSet.from_file(tmp_path / "cuts.jsonl.gz"))
    assert [(cut.id, cut.supervisions[0].text, cut.supervisions[0].speaker, cut.load_audio().shape) for cut in cuts] == [
        ("one/a", items[0].text, "x", (1, 4000)), ("two b", "deux", None, (2, 4080)), ("three", "k ae", "7", (1, 4160)), ("none", "", "x", (1, 4240))]
    lhotse.validate(lhotse.CutSet.from_cuts(cuts))


def test_datasets_reads_splits_of_a_folder(items, tmp_path) -> None:
    datasets = pytest.importorskip("datasets", reason="the reader that the files are for")
    for name in ("train", "dev"):
        export_huggingface(items, tmp_path / "hub" / f"{name}.parquet", pytest.fail)
    found = datasets.load_dataset(str(tmp_path / "hub"), streaming=True)
    assert set(found) == {"train", "validation"} and isinstance(found["train"].features["audio"], datasets.Audio)


def test_paths_in_nemo_manifests_are_relative_and_a_bad_item_costs_itself(items, tmp_path) -> None:
    items[1].source.write_bytes(b"no sound")
    dropped: list[str] = []
    assert export_nemo(items, tmp_path / "n" / "train.json", lambda error: dropped.append(str(error))) == 3
    record = json.loads((tmp_path / "n" / "train.json").read_text(encoding="utf-8").splitlines()[0])
    assert record == {"audio_filepath": "../sound/a.wav", "duration": 0.5, "text": items[0].text, "id": "one/a", "speaker": "x", **items[0].meta}
    assert len(dropped) == 1 and dropped[0].startswith(str(items[1].source))


def test_the_command(cli, items, tmp_path) -> None:
    save_manifest(items, tmp_path / "dev.jsonl")
    outcome = cli("export-manifest", tmp_path / "dev.jsonl", tmp_path / "out", "--to", "lhotse")
    assert outcome == (0, [f"{tmp_path / 'out' / 'cuts_dev.jsonl.gz'}: 4 of 4 items"], [])
    with gzip.open(tmp_path / "out" / "cuts_dev.jsonl.gz", "rt") as file:
        assert [json.loads(line)["id"] for line in file] == [item.id for item in items]
    items[0].source.unlink()
    outcome = cli("export-manifest", tmp_path / "dev.jsonl", tmp_path / "x.json", "--to", "nemo")
    assert (outcome.code, outcome.out) == (1, [f"{tmp_path / 'x.json'}: 3 of 4 items"]) and outcome.err[0].startswith("dropped: ")
    outcome = cli("export-manifest", tmp_path / "dev.jsonl", tmp_path / "dev.jsonl", "--to", "nemo")
    assert outcome.code == 2 and "name another file" in outcome.err[0] and len(load_manifest(tmp_path / "dev.jsonl")) == 4
