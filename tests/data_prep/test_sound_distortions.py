from __future__ import annotations

import numpy as np
import pytest
import soundfile

from recognizer.data.manifest import Item, load_manifest, save_manifest
from recognizer.data.preparation import prepare
from recognizer.data_prep import sound_distortions
from recognizer.data_prep.sound_distortions import RATE, SOUND_KINDS
from recognizer.features.audio_file import load_audio


@pytest.fixture
def voice() -> np.ndarray:
    """A second of tones at 200, 1000 and 6000 Hz."""
    times = np.arange(RATE) / RATE
    return sum(0.1 * np.sin(2 * np.pi * pitch * times) for pitch in (200, 1000, 6000)).astype(np.float32)


@pytest.fixture
def crowd() -> list[np.ndarray]:
    generator = np.random.default_rng(5)
    return [level * generator.standard_normal(size) for level, size in ((0.01, 5000), (0.2, 30_000), (0.1, 16_000))]


def distort(name: str, voice: np.ndarray, crowd: list[np.ndarray], seed: int = 1) -> tuple[np.ndarray, int]:
    return SOUND_KINDS[name].change(voice, np.random.default_rng(seed), crowd)


def level(samples: np.ndarray) -> float:
    return 10 * np.log10(np.mean(np.square(samples, dtype=float)))


def share(samples: np.ndarray, pitch: float, rate: int) -> float:
    """Amplitude at a frequency."""
    return 2 * abs(np.mean(samples * np.exp(-2j * np.pi * pitch * np.arange(len(samples)) / rate)))


@pytest.mark.parametrize("name", SOUND_KINDS)
def test_the_generator_decides_and_length_and_range_stay(name, voice, crowd) -> None:
    before = voice.copy()
    (first, rate), (again, _) = distort(name, voice, crowd), distort(name, voice, crowd)
    assert np.array_equal(first, again) and np.array_equal(voice, before)
    assert len(first) / rate == (2.0 if name == "padded" else 1.0) and np.abs(first).max() <= 1.0 and np.isfinite(first).all()


def test_padding_is_silent_to_the_last_bit_and_the_voice_between_it_whole(voice, crowd) -> None:
    padded, _ = distort("padded", voice, crowd)
    assert np.array_equal(padded[RATE // 2 : -RATE // 2], voice) and not padded[: RATE // 2].any() and not padded[-RATE // 2 :].any()


@pytest.mark.parametrize("name", [name for name, kind in SOUND_KINDS.items() if kind.blank])
def test_nothing_is_left_of_the_voice(name, voice, crowd) -> None:
    assert np.array_equal(distort(name, voice, crowd)[0], distort(name, voice[::-1], crowd)[0])


def test_a_telephone_passes_its_band_only(voice, crowd) -> None:
    narrow, rate = distort("telephone", voice, crowd)
    assert rate == 8000
    assert share(narrow, 1000, rate) == pytest.approx(0.1, rel=0.1) and share(narrow, 200, rate) < 0.05


@pytest.mark.parametrize("name", [name for name in SOUND_KINDS if name.endswith("-db")])
def test_noise_lies_so_many_decibels_below(name, voice, crowd) -> None:
    noisy = distort(name, voice, crowd)[0]
    wanted = int(name.split("-")[1])
    gain = noisy @ voice / (voice @ voice) if np.abs(noisy).max() == 1 else 1.0
    assert level(voice) - level(noisy / gain - voice) == pytest.approx(wanted, abs=0.1)


def test_all_voices_of_a_babble_are_as_loud(voice, monkeypatch) -> None:
    times = np.arange(RATE) / RATE
    crowd = [0.01 * np.sin(2 * np.pi * 500 * times), 0.3 * np.sin(2 * np.pi * 3000 * times)]
    noisy = distort("babble-10-db", voice, crowd)[0]
    assert share(noisy, 500, RATE) == pytest.approx(share(noisy, 3000, RATE), rel=0.01)


def test_levels(voice, crowd) -> None:
    assert level(distort("quiet", voice, crowd)[0]) == pytest.approx(level(voice) - 40, abs=1e-3)
    assert level(distort("faint-noise", voice, crowd)[0]) == pytest.approx(-60)
    assert level(distort("hum", voice, crowd)[0]) == pytest.approx(-30)
    assert level(distort("music", voice, crowd)[0]) == pytest.approx(-20, abs=0.5)
    assert not distort("silence", voice, crowd)[0].any()
    assert (np.abs(distort("clipped", voice, crowd)[0]) == 1).mean() > 0.5


def test_a_room_goes_on_after_the_voice(crowd) -> None:
    click = np.zeros(RATE)
    click[1000] = 0.5
    heard = distort("room", click, crowd)[0]
    early, late = (np.sqrt(np.mean(heard[1000 + start : 1000 + start + 800] ** 2)) for start in (800, 5600))
    fall = 20 * np.log10(early / late)
    assert np.abs(heard[:1000]).max() < 1e-6 < np.abs(heard[1000])
    assert fall == pytest.approx(60 * 0.3 / sound_distortions.DECAY, abs=3)


def test_an_mp3_is_small_on_time_and_lossy(voice, tmp_path) -> None:
    hiss = 0.001 * np.random.default_rng(2).standard_normal(3 * RATE)
    samples = np.tile(voice, 3) + hiss
    soundfile.write(tmp_path / "said.wav", samples, RATE)
    save_manifest([Item("said", tmp_path / "said.wav", text="a")], tmp_path / "said.jsonl")
    prepare("distorted", tmp_path / "said.jsonl", tmp_path / "out", kind=["mp3"])
    (item,) = load_manifest(tmp_path / "out" / "all.jsonl")
    heard, info = load_audio(item.source, RATE), soundfile.info(str(item.source))
    assert info.format == "MP3" and info.samplerate == RATE and (item.text, item.meta["distortion"]) == ("a", "mp3")
    assert 8 * item.source.stat().st_size / 3 < 32_000 and len(heard) == len(samples)
    assert np.corrcoef(heard, samples)[0, 1] > 0.95
    assert np.abs(heard - samples).mean() > 10 / 2**15  # far more than the rounding of 16 bits
