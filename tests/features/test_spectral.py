from __future__ import annotations

import math

import librosa
import numpy as np
import pytest
import scipy.signal
import torch
from torchaudio.compliance import kaldi
from torchaudio.functional import compute_deltas

from recognizer.config import AudioFeatures
from recognizer.features.spectral import ENERGY_FLOOR, SpectralFeatures, mel_bank

GRAVES = AudioFeatures(bins=40, energy=True, deltas=2)
SCALE = 2 * math.log(32768)
KINDS = [AudioFeatures(), GRAVES, AudioFeatures(kind="mfcc", bins=23, deltas=1), AudioFeatures(kind="spectrogram", energy=True)]


def speechlike(samples: int, seed: int = 0) -> torch.Tensor:
    chance = np.random.default_rng(seed)
    time = np.arange(samples) / 16_000
    voice = sum(np.sin(2 * np.pi * 130 * k * time + k) / k for k in range(1, 30))
    wave = 0.1 * voice * (1 + np.sin(2 * np.pi * 3 * time)) + 0.01 * chance.standard_normal(samples) + 0.02
    return torch.from_numpy(wave.astype(np.float32))


def batch(lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    waves = torch.full((len(lengths), max(lengths) + 321), float("nan"))
    for i, n in enumerate(lengths):
        waves[i, :n] = speechlike(n, seed=i)
    return waves, torch.tensor(lengths)


@pytest.mark.parametrize(("rate", "low", "high"), [(16_000, 20.0, 0.0), (8_000, 64.0, -200.0), (11_025, 0.0, 5000.0)])
def test_fbank_and_energy_are_kaldis(rate: int, low: float, high: float) -> None:
    wave = speechlike(16_000)
    config = AudioFeatures(sample_rate=rate, bins=30, energy=True, low_hz=low, high_hz=high)
    ours, frames = SpectralFeatures(config).raw(wave[None], torch.tensor([len(wave)]))
    theirs = kaldi.fbank(wave[None] * 32768, dither=0.0, energy_floor=0.0, sample_frequency=rate, num_mel_bins=30, low_freq=low,
        high_freq=high, use_energy=True, htk_compat=True)
    assert ours.shape[1:] == theirs.shape and int(frames) == len(theirs)
    torch.testing.assert_close(ours[0], theirs - SCALE, atol=2e-3, rtol=0)


def test_mfcc_is_kaldis() -> None:
    wave = speechlike(16_000)
    ours, _ = SpectralFeatures(AudioFeatures(kind="mfcc", bins=23)).raw(wave[None], torch.tensor([len(wave)]))
    theirs = kaldi.mfcc(wave[None] * 32768, dither=0.0, energy_floor=0.0)
    theirs[:, 0] -= SCALE * math.sqrt(23)  # a constant added to all bands shows in the zeroth coefficient alone
    torch.testing.assert_close(ours[0], theirs, atol=5e-3, rtol=0)


def test_spectrogram_is_kaldis_but_for_the_zeroth_bin() -> None:
    wave = speechlike(8_000)
    ours, _ = SpectralFeatures(AudioFeatures(kind="spectrogram")).raw(wave[None], torch.tensor([len(wave)]))
    theirs = kaldi.spectrogram(wave[None] * 32768, dither=0.0) - SCALE
    assert ours.shape == (1, 48, 257)
    torch.testing.assert_close(ours[0, :, 1:], theirs[:, 1:].clamp(min=math.log(ENERGY_FLOOR)), atol=5e-3, rtol=0)


def test_power_spectrum_is_scipys() -> None:
    wave = speechlike(8_000)
    ours, _ = SpectralFeatures(AudioFeatures(kind="spectrogram", preemphasis=0.0)).raw(wave[None], torch.tensor([len(wave)]))
    pieces = np.lib.stride_tricks.sliding_window_view(wave.double().numpy(), 400)[::160]
    pieces = (pieces - pieces.mean(1, keepdims=True)) * scipy.signal.windows.hann(400) ** 0.85
    _, power = scipy.signal.periodogram(pieces, nfft=512, detrend=False, scaling="spectrum", window="boxcar", return_onesided=False)
    power = power[:, :257] * 400**2
    strong = power > 1e-4
    assert strong.mean() > 0.5
    np.testing.assert_allclose(ours[0].numpy()[strong], np.log(power)[strong], atol=1e-3)


def test_mel_triangles_have_librosas_htk_edges() -> None:
    # librosa's triangles are linear in Hz, Kaldi's in mel: same feet and peaks, nearly the same sides.
    config = AudioFeatures(bins=20)
    ours = mel_bank(config, 4096).numpy().T
    theirs = librosa.filters.mel(sr=16_000, n_fft=4096, n_mels=20, fmin=20, fmax=8000, htk=True, norm=None)
    assert ours.shape == theirs.shape == (20, 2049)
    assert np.abs(ours.argmax(1) - theirs.argmax(1)).max() <= 1
    assert np.abs(ours - theirs).max() < 0.06
    edges = librosa.mel_frequencies(n_mels=22, fmin=20, fmax=8000, htk=True)
    for band, weights in enumerate(ours):
        touched = np.flatnonzero(weights > 1e-6) * 16_000 / 4096
        assert edges[band] - 4 <= touched[0] <= edges[band] + 8 and edges[band + 2] - 8 <= touched[-1] <= edges[band + 2] + 4


def test_deltas_are_torchaudios_and_librosas() -> None:
    wave = speechlike(9_000)
    features, frames = SpectralFeatures(GRAVES).raw(wave[None], torch.tensor([len(wave)]))
    static, first, second = features[0].split(41, dim=1)
    torch.testing.assert_close(first, compute_deltas(static.T[None])[0].T, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(second, compute_deltas(first.T[None])[0].T, atol=1e-5, rtol=1e-5)
    inner = librosa.feature.delta(static.T.numpy(), width=5, mode="nearest").T  # Savitzky-Golay of order 1: the same slope
    np.testing.assert_allclose(first.numpy(), inner, atol=1e-4)
    assert SpectralFeatures(GRAVES).dim == features.shape[2] == 123 and int(frames) == features.shape[1]


@pytest.mark.parametrize(("normalise", "dither"), [("corpus", 0.0), ("utterance", 0.01), ("none", 0.5)])
@pytest.mark.parametrize("config", KINDS, ids=lambda c: c.kind + str(c.deltas))
def test_an_item_does_not_depend_on_its_batch(config: AudioFeatures, normalise: str, dither: float) -> None:
    lengths = [16_000, 1, 399, 400, 12_345, 559, 560]
    waves, sizes = batch(lengths)
    extractor = SpectralFeatures(AudioFeatures(**{**vars(config), "normalise": normalise, "dither": dither}))
    extractor.set_statistics(torch.linspace(-9, 1, extractor.dim), torch.linspace(0.5, 3, extractor.dim))
    together, frames = extractor(waves, sizes)
    assert frames.tolist() == [98, 1, 1, 1, 75, 1, 2] == [extractor.frames(n) for n in lengths]
    assert together.shape == (7, extractor.frames(waves.shape[1]), extractor.dim) and together.dtype == torch.float32
    for i, n in enumerate(lengths):
        alone, count = extractor(waves[i : i + 1, :n], sizes[i : i + 1])
        assert alone.shape[1] == int(count) == int(frames[i])
        torch.testing.assert_close(together[i, :count], alone[0], atol=1e-5, rtol=0)
        assert bool((together[i, count:] == 0).all())


def test_utterance_normalisation_uses_real_frames() -> None:
    waves, sizes = batch([16_000, 5_000])
    features, frames = SpectralFeatures(AudioFeatures(normalise="utterance"))(waves, sizes)
    for item, count in zip(features, frames.tolist(), strict=True):
        torch.testing.assert_close(item[:count].mean(0), torch.zeros(80), atol=1e-4, rtol=0)
        torch.testing.assert_close(item[:count].std(0, correction=0), torch.ones(80), atol=1e-3, rtol=0)


def test_corpus_normalisation_undoes() -> None:
    waves, sizes = batch([4_000])
    extractor = SpectralFeatures(GRAVES)
    raw, _ = extractor.raw(waves, sizes)
    mean, std = torch.randn(123), torch.rand(123) + 0.5
    extractor.set_statistics(mean, std)
    fresh = SpectralFeatures(GRAVES)
    fresh.load_state_dict(extractor.state_dict())
    normalised, frames = fresh(waves, sizes)
    torch.testing.assert_close((normalised * std + mean)[0, : frames[0]], raw[0, : frames[0]], atol=1e-4, rtol=1e-5)
    assert set(extractor.state_dict()) == {"mean", "std"}


@pytest.mark.parametrize("level", [0.0, 0.5])
def test_silence_is_the_floor(level: float) -> None:
    features, _ = SpectralFeatures(GRAVES).raw(torch.full((1, 4_000), level), torch.tensor([4_000]))
    torch.testing.assert_close(features[..., :41], torch.full((1, 23, 41), math.log(ENERGY_FLOOR)))
    assert bool((features[..., 41:] == 0).all())


def test_nothing_in_nothing_out() -> None:
    features, frames = SpectralFeatures(GRAVES)(torch.zeros(2, 500), torch.tensor([0, 500]))
    assert frames.tolist() == [0, 1] and bool((features[0] == 0).all())
    assert SpectralFeatures(GRAVES)(torch.zeros(1, 0), torch.tensor([0]))[0].shape == (1, 0, 123)


def test_float32_under_autocast() -> None:
    waves, sizes = batch([8_000, 6_000])
    extractor = SpectralFeatures(KINDS[2])
    plain, _ = extractor(waves, sizes)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed, _ = extractor(waves, sizes)
    assert mixed.dtype == torch.float32 and torch.equal(plain, mixed)


def test_frames_of_tensors_and_ints_agree() -> None:
    extractor = SpectralFeatures(AudioFeatures(window_ms=20, hop_ms=7.5, sample_rate=8_000))
    counts = list(range(0, 1_000, 7))
    assert extractor.frames(torch.tensor(counts)).tolist() == [extractor.frames(n) for n in counts]
    assert extractor.seconds_per_frame == pytest.approx(0.0075)


@pytest.mark.parametrize(("mean", "std"), [(torch.zeros(79), torch.ones(80)), (torch.zeros(80), torch.zeros(80)),
    (torch.full((80,), math.nan), torch.ones(80))])
def test_wrong_statistics_are_refused(mean: torch.Tensor, std: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"^(mean|std): "):
        SpectralFeatures(AudioFeatures()).set_statistics(mean, std)


def test_dither_is_noise_at_the_level_asked_for() -> None:
    """Features of dithered sound are those of the sum; the noise is white, repeats itself late and is the utterance's own share."""
    waves, sizes = batch([200_000, 60_000])
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal(1 << 16)).float().repeat(4)
    dithered, plain = (SpectralFeatures(AudioFeatures(dither=share, normalise="none")) for share in (0.1, 0.0))
    for i, size in enumerate(sizes.tolist()):
        wave = waves[i, :size]
        expected, _ = plain.raw((wave + 0.1 * wave.square().mean().sqrt() * noise[:size])[None], sizes[i : i + 1])
        torch.testing.assert_close(dithered.raw(waves, sizes)[0][i, : expected.shape[1]], expected[0], atol=1e-3, rtol=0)
    silent = torch.zeros(1, 4_000)
    assert torch.equal(dithered.raw(silent, sizes[:1] * 0 + 4_000)[0], plain.raw(silent, sizes[:1] * 0 + 4_000)[0])


@pytest.mark.parametrize("dither", [0.0, 0.003])
def test_under_dither_it_does_not_matter_how_deep_silence_and_empty_bands_are(dither: float) -> None:
    torch.manual_seed(0)
    speech = torch.fft.irfft(torch.fft.rfft(torch.randn(1, 16_000) * 0.1) * (torch.arange(8_001) < 3_900), n=16_000)  # up to 3.9 kHz
    speech[:, 10_000:] = 0
    rounded = speech + 3e-6 * torch.randn(1, 16_000)  # about what 16 bits make of it
    features = SpectralFeatures(AudioFeatures(dither=dither, normalise="utterance"))
    silent, noisy = (features(wave, torch.tensor([16_000]))[0] for wave in (speech, rounded))
    assert (float((silent - noisy).square().mean().sqrt()) < 0.1) is (dither > 0)


def test_quiet_recordings_are_lifted_above_the_floor_where_each_is_normalised() -> None:
    """At -60 dB features of the same sound would sink into the floor; silence stays what it is, and louder ones are not touched."""
    torch.manual_seed(0)
    wave = 0.1 * torch.randn(1, 8000) * torch.linspace(0.001, 1, 8000)
    lengths = torch.tensor([8000])
    features = SpectralFeatures(AudioFeatures(sample_rate=8000, bins=20, normalise="utterance"))
    expected = features(wave, lengths)[0]
    torch.testing.assert_close(features(wave * 1e-3, lengths)[0], expected, atol=0.02, rtol=0)
    plain = SpectralFeatures(AudioFeatures(sample_rate=8000, bins=20, normalise="none"))
    assert torch.equal(features.raw(wave, lengths)[0], plain.raw(wave, lengths)[0])
    assert torch.equal(features.raw(wave * 0, lengths)[0], plain.raw(wave * 0, lengths)[0])
    assert float((plain.raw(wave * 1e-3, lengths)[0] - plain.raw(wave, lengths)[0] + 2 * 6.9078).abs().max()) > 1  # the floor was met
