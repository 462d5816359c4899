"""Recordings in which nobody speaks: marked as empty, of the lengths and kinds asked for, and what their names say."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from recognizer.data_prep.no_speech import KINDS, LEVELS_DB
from recognizer.errors import ConfigError

RATE = 8000


@pytest.fixture
def make(read, tmp_path):
    return lambda *words, seed=1, out="out": read("no_speech", tmp_path, "--rate", str(RATE), *words, seed=seed, out=out).items


def sounds(items):
    return [soundfile.read(item.source)[0] for item in items]


def test_each_kind_in_turn_marked_as_empty(make):
    items = make("--items", "12", "--shortest", "0.3", "--longest", "0.6")
    assert [item.meta for item in items] == [{"empty": True, "kind": kind} for kind in [*KINDS, *KINDS, *KINDS][:12]]
    assert all((item.empty, item.text, item.units, item.group) == (True, "", (), None) for item in items)
    for item, samples in zip(items, sounds(items), strict=True):
        assert 0.3 * RATE <= len(samples) <= 0.6 * RATE and np.abs(samples).max() <= 1
        rms = np.sqrt(np.mean(samples**2))
        assert rms == 0 if item.meta["kind"] == "silence" else 10 ** (LEVELS_DB[0] / 20) * 0.9 < rms < 10 ** (LEVELS_DB[1] / 20) * 1.1
    assert len({samples.tobytes() for samples in sounds(items)}) == 12


def test_a_recording_follows_from_the_seed_and_its_number(make):
    few, more, other = make("--items", "5", out="a/made"), make("--items", "7", out="b/made"), make("--items", "5", seed=2, out="c/made")
    for first, again in zip(few, more[:5], strict=True):
        assert first.source.read_bytes() == again.source.read_bytes() and first.id == again.id
    assert all(a.source.read_bytes() != b.source.read_bytes() for a, b in zip(few, other, strict=True))


def test_kinds_format_and_rate(make):
    items = make("--items", "3", "--kind", "hum", "--kind", "music", "--format", "wav", "--rate", "16000", "--longest", "0.6")
    assert [item.meta["kind"] for item in items] == ["hum", "music", "hum"] and {item.source.suffix for item in items} == {".wav"}
    assert {soundfile.info(item.source).samplerate for item in items} == {16_000}


def test_hum_and_music_are_made_of_tones_and_noise_is_not():
    def tonal(samples):
        power = np.sort(np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2)[::-1]
        return power[: len(power) // 50].sum() / power.sum()

    white = 0.05  # of the power of white noise in the strongest fiftieth of its spectrum, and a bit
    for seed in range(6):
        generators = [np.random.default_rng(seed) for _ in range(2)]
        assert tonal(KINDS["hum"](2 * RATE, RATE, generators[0])) > 0.8
        assert tonal(KINDS["music"](2 * RATE, RATE, generators[1])) > 4 * white
    assert tonal(np.random.default_rng(0).standard_normal(2 * RATE)) < 3 * white


def test_clicks_are_short_and_loud():
    for seed in range(6):
        samples = KINDS["clicks"](2 * RATE, RATE, np.random.default_rng(seed))
        assert np.abs(samples).max() > 5 * np.sqrt(np.mean(samples**2))


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("size", [400, 401, 5000])
def test_any_length(kind, size):
    for seed in range(4):
        samples = KINDS[kind](size, RATE, np.random.default_rng(seed))
        assert samples.shape == (size,) and samples.dtype == np.float32 and np.isfinite(samples).all()


def test_lengths_that_make_no_range(make):
    with pytest.raises(ConfigError, match="--shortest 2 --longest 1: must be a range"):
        make("--shortest", "2", "--longest", "1")
