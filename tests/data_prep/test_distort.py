from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from recognizer.data.manifest import Item, load_manifest, save_manifest
from recognizer.data.preparation import prepare
from recognizer.data_prep.distort import FIELD, UNCHANGED
from recognizer.data_prep.line_distortions import LINE_KINDS
from recognizer.data_prep.sound_distortions import PADDING, SOUND_KINDS
from recognizer.errors import ConfigError, InputError
from recognizer.evaluation.report_counts import MOST_VALUES


@pytest.fixture
def manifest(tmp_path, glyphs) -> Path:
    items = [Item(i.id, i.source, text=i.text, width=i.width, group=i.group, meta={"sex": "f", "split": "dev"}) for i in glyphs.items()]
    save_manifest(items, tmp_path / "dev.jsonl")
    return tmp_path / "dev.jsonl"


@pytest.fixture
def spoken(tmp_path, tones) -> Path:
    save_manifest([item for item in tones.items()[:6]], tmp_path / "spoken.jsonl")
    return tmp_path / "spoken.jsonl"


def test_one_manifest_with_a_row_for_each_kind(manifest, tmp_path) -> None:
    counts = prepare("distorted", manifest, tmp_path / "out", items=3)
    items = load_manifest(tmp_path / "out" / "all.jsonl")
    kinds = [UNCHANGED, *LINE_KINDS]
    assert counts["all"].items == len(items) == 3 * len(kinds) and len(kinds) <= MOST_VALUES
    assert [item.meta[FIELD] for item in items] == kinds * 3
    by_id = {item.id: item for item in load_manifest(manifest)}
    chosen = {"/".join(item.id.split("/")[1:-1]) for item in items}
    assert chosen == {"dev00", "dev12", "dev23"}  # spread over the manifest
    for item in items:
        original, kind = by_id["/".join(item.id.split("/")[1:-1])], item.meta[FIELD]
        with Image.open(item.source) as picture:
            assert picture.width == item.width
        if kind in LINE_KINDS and LINE_KINDS[kind].blank:
            assert (item.text, item.group, item.meta) == ("", None, {"empty": True, FIELD: kind})
        else:
            assert (item.text, item.group, item.meta) == (original.text, original.group, {"sex": "f", FIELD: kind})
        assert item.source.samefile(original.source) == (kind == UNCHANGED)


def test_recordings_get_all_kinds_of_sound(spoken, tmp_path) -> None:
    prepare("distorted", spoken, tmp_path / "out", items=2)
    items = load_manifest(tmp_path / "out" / "all.jsonl")
    kinds = [UNCHANGED, *SOUND_KINDS]
    assert [item.meta[FIELD] for item in items] == kinds * 2 and len(kinds) <= MOST_VALUES
    seconds = load_manifest(spoken)[0]
    length = soundfile.info(str(seconds.source)).duration
    for item in items[: len(kinds)]:
        blank = item.meta[FIELD] in SOUND_KINDS and SOUND_KINDS[item.meta[FIELD]].blank
        assert (item.text, item.units) == (("", ()) if blank else (seconds.text, seconds.units))
        padding = 2 * PADDING if item.meta[FIELD] == "padded" else 0.0
        assert item.seconds == pytest.approx(length + padding, abs=0.1)
    assert soundfile.info(str(next(i.source for i in items if i.meta[FIELD] == "telephone"))).samplerate == 8000


def test_the_seed_decides_and_other_kinds_do_not(manifest, spoken, tmp_path) -> None:
    def read(source: Path, out: str, **options: object) -> dict[str, bytes]:
        prepare("distorted", source, tmp_path / out, **options)
        return {item.id: item.source.read_bytes() for item in load_manifest(tmp_path / out / "all.jsonl")}

    for source, kinds in ((manifest, ["photo", "noisy"]), (spoken, ["babble-5-db", "room"])):
        first, again = (read(source, f"{source.stem}{n}", kind=kinds, items=4, seed=3) for n in (1, 2))
        alone = read(source, f"{source.stem}3", kind=kinds[1:], items=2, seed=3)
        other = read(source, f"{source.stem}4", kind=kinds, items=4, seed=4)
        assert first == again and alone.items() <= first.items() and len(first) == 8 and len(alone) == 2
        assert all(first[name] != other[name] for name in first)


def test_each_item_gets_chances_of_its_own(glyphs, tmp_path) -> None:
    source = glyphs.items()[0].source
    save_manifest([Item(name, source, text="a") for name in "ab"], tmp_path / "twins.jsonl")
    prepare("distorted", tmp_path / "twins.jsonl", tmp_path / "out", kind=["noisy"])
    first, second = (item.source.read_bytes() for item in load_manifest(tmp_path / "out" / "all.jsonl"))
    assert first != second


def test_babble_is_made_of_other_speakers(tmp_path) -> None:
    pitches = {"a": 500, "b": 1500, "c": 3000}
    for name, pitch in pitches.items():
        soundfile.write(tmp_path / f"{name}.wav", 0.3 * np.sin(2 * np.pi * pitch * np.arange(16_000) / 16_000), 16_000)
    save_manifest([Item(name, tmp_path / f"{name}.wav", text=name, group=name) for name in pitches], tmp_path / "m.jsonl")
    prepare("distorted", tmp_path / "m.jsonl", tmp_path / "out", kind=["babble-5-db"])
    item = load_manifest(tmp_path / "out" / "all.jsonl")[0]
    samples, _ = soundfile.read(item.source)
    peaks = {pitch: np.abs(np.fft.rfft(samples))[pitch] for pitch in pitches.values()}
    assert peaks[1500] == pytest.approx(peaks[3000], rel=0.05) and peaks[500] > 2 * peaks[1500]
    save_manifest([Item("a", tmp_path / "a.wav", text="a", group="a")], tmp_path / "alone.jsonl")
    dropped: list[InputError] = []
    with pytest.raises(InputError, match="not one usable item"):
        prepare("distorted", tmp_path / "alone.jsonl", tmp_path / "none", kind=["babble-5-db"], drop=dropped.append)
    assert "babble-5-db needs recordings of other speakers" in str(dropped[0])


def test_a_damaged_file_costs_its_own_copies(manifest, tmp_path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    (tmp_path / "pen.inkml").write_text("<ink/>")
    broken = [Item("broken", tmp_path / "broken.png", text="a"), Item("pen", tmp_path / "pen.inkml", text="a")]
    save_manifest([*broken, *load_manifest(manifest)[:2]], tmp_path / "some.jsonl")
    dropped: list[InputError] = []
    counts = prepare("distorted", tmp_path / "some.jsonl", tmp_path / "out", kind=["1-bit"], drop=dropped.append)
    assert counts["all"].items == 2
    assert ["broken.png: not a readable image" in str(dropped[0]), "neither a line image nor a recording" in str(dropped[1])] == [True, True]


def test_options_that_mean_nothing(manifest, tmp_path, cli) -> None:
    with pytest.raises(ConfigError, match=r"--kind phto: no such distortion \(did you mean|--kind phto: no such distortion.*photo"):
        prepare("distorted", manifest, tmp_path / "out", kind=["phto"])
    with pytest.raises(ConfigError, match="--items 0: must be 1 or more"):
        prepare("distorted", manifest, tmp_path / "out", items=0)
    assert not (tmp_path / "out").exists()
    outcome = cli("prepare", "distorted", manifest, tmp_path / "out", "--kind", "blank", "--items", "2")
    assert outcome.code == 0 and outcome.out[1].split()[:2] == ["all", "2"]
    assert json.loads((tmp_path / "out" / "all.jsonl").read_text().splitlines()[0])["text"] == ""
