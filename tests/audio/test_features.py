"""Spectral features: Kaldi's and torchaudio's numbers, alone and in a batch, normalized, dithered, of silence."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from importlib.metadata import requires

import numpy as np
import pytest
import torch
from torchaudio.compliance import kaldi
from torchaudio.functional import compute_deltas, create_dct

from recognizer.audio.features import ENERGY_FLOOR, LIFTER, PINNED_TORCH, AudioFeatureExtractor, cosine_transform, import_torchaudio, mel_bank
from recognizer.config import AudioFeatures
from recognizer.errors import ConfigError

GRAVES = AudioFeatures(num_mel_bins=40, energy=True, deltas=2, normalize="corpus", dither=0.0)
SCALE = 2 * math.log(32768)
KINDS = [AudioFeatures(), GRAVES, AudioFeatures(kind="mfcc", num_mel_bins=23, deltas=1), AudioFeatures(kind="spectrogram", energy=True)]


def speechlike(samples: int, seed: int = 0) -> torch.Tensor:
    time = np.arange(samples) / 16_000
    voice = sum(np.sin(2 * np.pi * 130 * k * time + k) / k for k in range(1, 30))
    noise = np.random.default_rng(seed).standard_normal(samples)
    return torch.from_numpy((0.1 * voice * (1 + np.sin(2 * np.pi * 3 * time)) + 0.01 * noise + 0.02).astype(np.float32))


def batch(lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    waves = torch.full((len(lengths), max(lengths) + 321), float("nan"))
    for i, n in enumerate(lengths):
        waves[i, :n] = speechlike(n, seed=i)
    return waves, torch.tensor(lengths)


def raw(config: AudioFeatures, wave: torch.Tensor) -> torch.Tensor:
    """Features (T, D) of one waveform."""
    features, frames = AudioFeatureExtractor(config).raw(wave[None], torch.tensor([len(wave)]))
    assert features.shape[1] == int(frames)
    return features[0]


@pytest.mark.parametrize(("rate", "low", "high"), [(16_000, 20.0, 0.0), (8_000, 64.0, -200.0), (11_025, 0.0, 5000.0)])
def test_fbank_and_energy_are_kaldis(rate: int, low: float, high: float) -> None:
    wave = speechlike(16_000)
    config = AudioFeatures(sample_rate=rate, num_mel_bins=30, energy=True, f_min=low, f_max=high)
    theirs = kaldi.fbank(wave[None] * 32768, dither=0.0, energy_floor=0.0, sample_frequency=rate, num_mel_bins=30, low_freq=low,
        high_freq=high, use_energy=True, htk_compat=True)
    torch.testing.assert_close(raw(config, wave), theirs - SCALE, atol=2e-3, rtol=0)
    fft = AudioFeatureExtractor(config).fft
    bank, _ = kaldi.get_mel_banks(30, fft, rate, low, high, 0.0, 0.0, 1.0)
    torch.testing.assert_close(mel_bank(config, fft)[:-1].T.float(), bank, atol=2e-5, rtol=0)  # theirs is computed in float32


def test_mfcc_is_kaldis() -> None:
    wave = speechlike(16_000)
    theirs = kaldi.mfcc(wave[None] * 32768, dither=0.0, energy_floor=0.0)
    theirs[:, 0] -= SCALE * math.sqrt(23)  # a constant added to all bands shows in the zeroth coefficient alone
    torch.testing.assert_close(raw(AudioFeatures(kind="mfcc", num_mel_bins=23), wave), theirs, atol=5e-3, rtol=0)
    lifter = 1 + LIFTER / 2 * torch.sin(math.pi * torch.arange(13) / LIFTER)
    torch.testing.assert_close(cosine_transform(23, 13).float(), create_dct(13, 23, "ortho") * lifter, atol=2e-5, rtol=0)


def test_spectrogram_is_kaldis_but_for_the_zeroth_bin() -> None:
    wave = speechlike(8_000)
    ours = raw(AudioFeatures(kind="spectrogram"), wave)
    theirs = kaldi.spectrogram(wave[None] * 32768, dither=0.0) - SCALE
    assert ours.shape == (48, 257)
    torch.testing.assert_close(ours[:, 1:], theirs[:, 1:].clamp(min=math.log(ENERGY_FLOOR)), atol=5e-3, rtol=0)


def test_deltas_are_torchaudios() -> None:
    features = raw(GRAVES, speechlike(9_000))
    static, first, second = features.split(41, dim=1)
    torch.testing.assert_close(first, compute_deltas(static.T[None])[0].T, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(second, compute_deltas(first.T[None])[0].T, atol=1e-5, rtol=1e-5)
    assert AudioFeatureExtractor(GRAVES).dim == features.shape[1] == 123


@pytest.mark.parametrize(("normalize", "dither"), [("corpus", 0.0), ("utterance", 0.01), ("none", 0.5)])
@pytest.mark.parametrize("config", KINDS, ids=lambda c: c.kind + str(c.deltas))
def test_an_item_does_not_depend_on_its_batch(config: AudioFeatures, normalize: str, dither: float) -> None:
    lengths = [16_000, 1, 399, 400, 12_345, 559, 560]
    waves, sizes = batch(lengths)
    extractor = AudioFeatureExtractor(replace(config, normalize=normalize, dither=dither))
    extractor.set_statistics(torch.linspace(-9, 1, extractor.dim), torch.linspace(0.5, 3, extractor.dim))
    together, frames = extractor(waves, sizes)
    assert frames.tolist() == [98, 1, 1, 1, 75, 1, 2] == [extractor.frames(n) for n in lengths]
    assert together.shape == (7, extractor.frames(waves.shape[1]), extractor.dim) and together.dtype == torch.float32
    for i, n in enumerate(lengths):
        alone, count = extractor(waves[i : i + 1, :n], sizes[i : i + 1])
        assert alone.shape[1] == int(count) == int(frames[i])
        torch.testing.assert_close(together[i, :count], alone[0], atol=1e-5, rtol=0)
        assert bool((together[i, count:] == 0).all())


def test_utterance_normalization_uses_real_frames() -> None:
    waves, sizes = batch([16_000, 5_000])
    features, frames = AudioFeatureExtractor(AudioFeatures(normalize="utterance"))(waves, sizes)
    for item, count in zip(features, frames.tolist(), strict=True):
        torch.testing.assert_close(item[:count].mean(0), torch.zeros(80), atol=1e-4, rtol=0)
        torch.testing.assert_close(item[:count].std(0, correction=0), torch.ones(80), atol=1e-3, rtol=0)


def test_corpus_statistics_travel_with_the_state() -> None:
    waves, sizes = batch([4_000])
    extractor, fresh = AudioFeatureExtractor(GRAVES), AudioFeatureExtractor(GRAVES)
    features, _ = extractor.raw(waves, sizes)
    mean, std = torch.randn(123), torch.rand(123) + 0.5
    extractor.set_statistics(mean, std)
    assert set(extractor.state_dict()) == {"mean", "std"}
    fresh.load_state_dict(extractor.state_dict())
    normalized, frames = fresh(waves, sizes)
    torch.testing.assert_close((normalized * std + mean)[0, : frames[0]], features[0, : frames[0]], atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("level", [0.0, 0.5])
def test_silence_is_the_floor(level: float) -> None:
    features = raw(GRAVES, torch.full((4_000,), level))
    torch.testing.assert_close(features[:, :41], torch.full((23, 41), math.log(ENERGY_FLOOR)))
    assert bool((features[:, 41:] == 0).all())


def test_nothing_in_nothing_out() -> None:
    features, frames = AudioFeatureExtractor(GRAVES)(torch.zeros(2, 500), torch.tensor([0, 500]))
    assert frames.tolist() == [0, 1] and bool((features[0] == 0).all())
    assert AudioFeatureExtractor(GRAVES)(torch.zeros(1, 0), torch.tensor([0]))[0].shape == (1, 0, 123)


def test_float32_under_autocast() -> None:
    waves, sizes = batch([8_000, 6_000])
    extractor = AudioFeatureExtractor(KINDS[2])
    plain, _ = extractor(waves, sizes)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed, _ = extractor(waves, sizes)
    assert mixed.dtype == torch.float32 and torch.equal(plain, mixed)


def test_frames_of_tensors_and_ints_agree() -> None:
    extractor = AudioFeatureExtractor(AudioFeatures(window_ms=20, hop_ms=7.5, sample_rate=8_000))
    counts = list(range(0, 1_000, 7))
    assert extractor.frames(torch.tensor(counts)).tolist() == [extractor.frames(n) for n in counts]


def test_dither_is_noise_at_the_level_asked_for() -> None:
    """Features of dithered sound are those of the sum; the noise is white, repeats itself late and is the utterance's own share."""
    waves, sizes = batch([200_000, 60_000])
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal(1 << 16)).float().repeat(4)
    plain = AudioFeatures(normalize="none")
    dithered = replace(plain, dither=0.1)
    together = AudioFeatureExtractor(dithered).raw(waves, sizes)[0]
    for i, size in enumerate(sizes.tolist()):
        wave = waves[i, :size]
        expected = raw(plain, wave + 0.1 * (wave - wave.mean()).square().mean().sqrt() * noise[:size])
        torch.testing.assert_close(together[i, : len(expected)], expected, atol=1e-3, rtol=0)
    assert torch.equal(raw(dithered, torch.zeros(4_000)), raw(plain, torch.zeros(4_000)))


@pytest.mark.parametrize("offset", [0.03, 0.3])
def test_a_constant_offset_changes_nothing(offset: float) -> None:
    wave = 0.01 * torch.randn(1, 16_000, generator=torch.Generator().manual_seed(0))
    features = AudioFeatureExtractor(AudioFeatures(dither=0.003, normalize="utterance"))
    plain, shifted = (features(sound, torch.tensor([16_000]))[0] for sound in (wave, wave + offset))
    torch.testing.assert_close(shifted, plain, atol=2e-3, rtol=0)


@pytest.mark.parametrize("dither", [0.0, 0.003])
def test_under_dither_it_does_not_matter_how_deep_silence_and_empty_bands_are(dither: float) -> None:
    torch.manual_seed(0)
    speech = torch.fft.irfft(torch.fft.rfft(torch.randn(1, 16_000) * 0.1) * (torch.arange(8_001) < 3_900), n=16_000)  # up to 3.9 kHz
    speech[:, 10_000:] = 0
    rounded = speech + 3e-6 * torch.randn(1, 16_000)  # about what 16 bits make of it
    features = AudioFeatureExtractor(AudioFeatures(dither=dither, normalize="utterance"))
    silent, noisy = (features(wave, torch.tensor([16_000]))[0] for wave in (speech, rounded))
    assert (float((silent - noisy).square().mean().sqrt()) < 0.1) is (dither > 0)


def test_quiet_recordings_are_lifted_above_the_floor_where_each_is_normalized() -> None:
    """At -60 dB features of the same sound would sink into the floor; silence stays what it is, and louder ones are not touched."""
    torch.manual_seed(0)
    wave = 0.1 * torch.randn(8000) * torch.linspace(0.001, 1, 8000)
    by_utterance = AudioFeatures(sample_rate=8000, num_mel_bins=20, normalize="utterance")
    plain = replace(by_utterance, normalize="none")
    loud, quiet = (AudioFeatureExtractor(by_utterance)(w[None], torch.tensor([8000]))[0] for w in (wave, wave * 1e-3))
    torch.testing.assert_close(quiet, loud, atol=0.02, rtol=0)
    assert torch.equal(raw(by_utterance, wave), raw(plain, wave))
    assert torch.equal(raw(by_utterance, wave * 0), raw(plain, wave * 0))
    assert float((raw(plain, wave * 1e-3) - raw(plain, wave) + 2 * 6.9078).abs().max()) > 1  # the floor was met


def test_a_torchaudio_that_does_not_fit_torch_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = sorted(need.replace(" ", "") for need in requires("recognizer") or () if need.startswith("torch"))
    assert sorted(PINNED_TORCH.split()) == pinned
    monkeypatch.setitem(sys.modules, "torchaudio.functional", None)
    with pytest.raises(ConfigError, match=rf"^torchaudio cannot be loaded .* run `pip install {PINNED_TORCH}`$"):
        import_torchaudio()
