"""Distorted copies of items, and what each kind does to recordings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from recognizer.audio.io import load_audio
from recognizer.data.manifest import Item, load_manifest, save_manifest
from recognizer.data.preparation import prepare
from recognizer.data_prep.distorted import FIELD, PADDING, RATE, REVERB_SECONDS, SOUND_KINDS, UNCHANGED
from recognizer.data_prep.distorted_lines import LINE_KINDS
from recognizer.errors import ConfigError, InputError
from recognizer.evaluation.report_data import MAX_FIELD_VALUES


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
    assert counts["all"].items == len(items) == 3 * len(kinds) and len(kinds) <= MAX_FIELD_VALUES
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
    assert [item.meta[FIELD] for item in items] == kinds * 2 and len(kinds) <= MAX_FIELD_VALUES
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


def test_each_item_is_changed_in_its_own_way(glyphs, tmp_path) -> None:
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


def test_options_that_mean_nothing(manifest, tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"--kind phto: no such distortion \(did you mean|--kind phto: no such distortion.*photo"):
        prepare("distorted", manifest, tmp_path / "out", kind=["phto"])
    with pytest.raises(ConfigError, match="--items 0: must be 1 or more"):
        prepare("distorted", manifest, tmp_path / "out", items=0)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def voice() -> np.ndarray:
    """A second of tones at 200, 1000 and 6000 Hz."""
    times = np.arange(RATE) / RATE
    return sum(0.1 * np.sin(2 * np.pi * pitch * times) for pitch in (200, 1000, 6000)).astype(np.float32)


@pytest.fixture
def others() -> list[np.ndarray]:
    generator = np.random.default_rng(5)
    return [level * generator.standard_normal(size) for level, size in ((0.01, 5000), (0.2, 30_000), (0.1, 16_000))]


def distort(name: str, voice: np.ndarray, others: list[np.ndarray], seed: int = 1) -> tuple[np.ndarray, int]:
    return SOUND_KINDS[name].change(voice, np.random.default_rng(seed), others)


def level(samples: np.ndarray) -> float:
    return 10 * np.log10(np.mean(np.square(samples, dtype=float)))


def share(samples: np.ndarray, pitch: float, rate: int) -> float:
    """Amplitude at a frequency."""
    return 2 * abs(np.mean(samples * np.exp(-2j * np.pi * pitch * np.arange(len(samples)) / rate)))


@pytest.mark.parametrize("name", SOUND_KINDS)
def test_the_generator_decides_and_length_and_range_stay(name, voice, others) -> None:
    before = voice.copy()
    (first, rate), (again, _) = distort(name, voice, others), distort(name, voice, others)
    assert np.array_equal(first, again) and np.array_equal(voice, before)
    assert len(first) / rate == (2.0 if name == "padded" else 1.0) and np.abs(first).max() <= 1.0 and np.isfinite(first).all()


def test_padding_is_silent_to_the_last_bit_and_the_voice_between_it_whole(voice, others) -> None:
    padded, _ = distort("padded", voice, others)
    assert np.array_equal(padded[RATE // 2 : -RATE // 2], voice) and not padded[: RATE // 2].any() and not padded[-RATE // 2 :].any()


@pytest.mark.parametrize("name", [name for name, kind in SOUND_KINDS.items() if kind.blank])
def test_nothing_is_left_of_the_voice(name, voice, others) -> None:
    assert np.array_equal(distort(name, voice, others)[0], distort(name, voice[::-1], others)[0])


def test_a_telephone_passes_its_band_only(voice, others) -> None:
    narrow, rate = distort("telephone", voice, others)
    assert rate == 8000
    assert share(narrow, 1000, rate) == pytest.approx(0.1, rel=0.1) and share(narrow, 200, rate) < 0.05


@pytest.mark.parametrize("name", [name for name in SOUND_KINDS if name.endswith("-db")])
def test_noise_lies_so_many_decibels_below(name, voice, others) -> None:
    noisy = distort(name, voice, others)[0]
    wanted = int(name.split("-")[1])
    gain = noisy @ voice / (voice @ voice) if np.abs(noisy).max() == 1 else 1.0
    assert level(voice) - level(noisy / gain - voice) == pytest.approx(wanted, abs=0.1)


def test_levels(voice, others) -> None:
    assert level(distort("quiet", voice, others)[0]) == pytest.approx(level(voice) - 40, abs=1e-3)
    assert level(distort("faint-noise", voice, others)[0]) == pytest.approx(-60)
    assert level(distort("hum", voice, others)[0]) == pytest.approx(-30)
    assert level(distort("music", voice, others)[0]) == pytest.approx(-20, abs=0.5)
    assert not distort("silence", voice, others)[0].any()
    assert (np.abs(distort("clipped", voice, others)[0]) == 1).mean() > 0.5


def test_a_room_goes_on_after_the_voice(others) -> None:
    click = np.zeros(RATE)
    click[1000] = 0.5
    distorted = distort("room", click, others)[0]
    early, late = (np.sqrt(np.mean(distorted[1000 + start : 1000 + start + 800] ** 2)) for start in (800, 5600))
    fall = 20 * np.log10(early / late)
    assert np.abs(distorted[:1000]).max() < 1e-6 < np.abs(distorted[1000])
    assert fall == pytest.approx(60 * 0.3 / REVERB_SECONDS, abs=3)


def test_an_mp3_is_small_on_time_and_lossy(voice, tmp_path) -> None:
    hiss = 0.001 * np.random.default_rng(2).standard_normal(3 * RATE)
    samples = np.tile(voice, 3) + hiss
    soundfile.write(tmp_path / "said.wav", samples, RATE)
    save_manifest([Item("said", tmp_path / "said.wav", text="a")], tmp_path / "said.jsonl")
    prepare("distorted", tmp_path / "said.jsonl", tmp_path / "out", kind=["mp3"])
    (item,) = load_manifest(tmp_path / "out" / "all.jsonl")
    distorted, info = load_audio(item.source, RATE), soundfile.info(str(item.source))
    assert info.format == "MP3" and info.samplerate == RATE and (item.text, item.meta["distortion"]) == ("a", "mp3")
    assert 8 * item.source.stat().st_size / 3 < 32_000 and len(distorted) == len(samples)
    assert np.corrcoef(distorted, samples)[0, 1] > 0.95
    assert np.abs(distorted - samples).mean() > 10 / 2**15  # far more than the rounding of 16 bits
