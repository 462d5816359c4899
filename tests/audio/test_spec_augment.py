"""Masks and other vocal tracts: within their limits, the same for the same item, and refused where they make no sense."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recognizer.audio.features import AudioFeatureExtractor
from recognizer.audio.spec_augment import MAX_FORMANT_HZ, mask_spectrogram, warp_matrix, warp_vocal_tracts
from recognizer.config import AudioAugment, AudioFeatures
from recognizer.utils.seeding import item_rng

FBANK = AudioFeatures(kind="fbank", num_mel_bins=80)


def rngs(count: int, epoch: int = 0) -> list[np.random.Generator]:
    return [item_rng(1, epoch, f"item{i}", "masks") for i in range(count)]


def test_time_masks_stay_within_the_item_and_its_budget() -> None:
    lengths = torch.tensor([200, 100, 30, 4, 1])
    config = AudioAugment(time_masks=5, time_mask_ms=300)
    seen = 0
    for epoch in range(30):
        masked = mask_spectrogram(torch.ones(5, 220, 8), lengths, rngs(5, epoch), config, 0.01, 8) == 0
        assert torch.equal(masked.all(2), masked.any(2))  # whole frames
        for item, length in zip(masked.all(2), lengths.tolist(), strict=True):
            assert not item[length:].any() and int(item.sum()) <= length // 5
            seen += int(item.sum())
    assert seen > 500


def test_one_time_mask_is_no_longer_than_asked() -> None:
    config = AudioAugment(time_masks=1, time_mask_ms=100)
    widths = []
    for epoch in range(200):
        masked = mask_spectrogram(torch.ones(1, 400, 4), torch.tensor([400]), rngs(1, epoch), config, 0.01, 4)[0].eq(0).all(1)
        assert int(masked.int().diff().abs().sum()) <= 2  # one stretch
        widths.append(int(masked.sum()))
    assert max(widths) == 10 and min(widths) == 0


@pytest.mark.parametrize(("dim", "blocks", "energy"), [(40, 1, 0), (41, 1, 1), (123, 3, 1), (80, 2, 0)])
def test_frequency_masks_repeat_in_the_differences(dim: int, blocks: int, energy: int) -> None:
    config = AudioAugment(frequency_masks=2, frequency_mask_share=0.2)
    touched = torch.zeros(40, dtype=torch.bool)
    for epoch in range(60):
        masked = mask_spectrogram(torch.ones(1, 50, dim), torch.tensor([50]), rngs(1, epoch), config, 0.01, 40)[0] == 0
        assert torch.equal(masked.all(0), masked.any(0))  # whole columns
        parts = masked[0].reshape(blocks, 40 + energy)
        assert bool((parts == parts[0]).all()) and not parts[:, 40:].any()  # the energy stays
        assert int(parts[0].sum()) <= 16
        touched |= parts[0, :40]
    assert bool(touched.all())


def test_what_happens_to_an_item_does_not_depend_on_its_batch() -> None:
    config = AudioAugment(time_masks=2, frequency_masks=2)
    features, lengths = torch.randn(4, 120, 80), torch.tensor([120, 90, 60, 30])
    masked = mask_spectrogram(features, lengths, rngs(4), config, 0.01, 80)
    warped = warp_vocal_tracts(features, rngs(4), (0.85, 1.18), FBANK)
    for i, n in enumerate(lengths.tolist()):
        item = features[i : i + 1, :n]
        assert torch.equal(masked[i, :n], mask_spectrogram(item, lengths[i : i + 1], [rngs(4)[i]], config, 0.01, 80)[0])
        torch.testing.assert_close(warped[i, :n], warp_vocal_tracts(item, [rngs(4)[i]], (0.85, 1.18), FBANK)[0])
    assert bool((masked == features).any()) and not torch.equal(masked, features)
    assert not torch.equal(warped, warp_vocal_tracts(features, rngs(4, epoch=1), (0.85, 1.18), FBANK))


@pytest.mark.parametrize("factor", [0.8, 0.9, 1.15, 1.3])
@pytest.mark.parametrize("hertz", [500.0, 1500.0, 3000.0])
def test_a_warped_tone_looks_like_a_tone_of_the_scaled_frequency(hertz: float, factor: float) -> None:
    time = torch.arange(4000, dtype=torch.float64) / 16_000
    tones = torch.stack([0.1 * torch.sin(2 * np.pi * f * time) for f in (hertz, hertz * factor)]).float()
    given, wanted = AudioFeatureExtractor(FBANK).raw(tones, torch.tensor([4000, 4000]))[0]
    assert hertz * factor < MAX_FORMANT_HZ * min(factor, 1.0)
    warped = given @ torch.from_numpy(warp_matrix(factor, FBANK))
    assert int(warped.mean(0).argmax()) == pytest.approx(int(wanted.mean(0).argmax()), abs=1)


@pytest.mark.parametrize("factor", [0.5, 0.85, 1.0, 1.18, 2.0])
def test_every_warped_band_is_a_mean_of_two_neighbors_in_order(factor: float) -> None:
    matrix = warp_matrix(factor, FBANK)
    np.testing.assert_allclose(matrix.sum(0), 1.0, atol=1e-6)
    assert matrix.min() >= 0 and (np.count_nonzero(matrix, axis=0) <= 2).all()
    place = np.arange(80) @ matrix
    assert (np.diff(place) >= -1e-6).all()  # never folded back
    assert place[-1] == pytest.approx(79, abs=1)  # half the sample rate stays where it is
    if factor == 1.0:
        np.testing.assert_allclose(matrix, np.eye(80), atol=1e-6)
    smooth = np.cos(np.linspace(0, 3 * np.pi, 80))
    if 0.8 < factor < 1.2:
        np.testing.assert_allclose((smooth @ matrix @ warp_matrix(1 / factor, FBANK))[2:60], smooth[2:60], atol=0.02)


@pytest.mark.parametrize(("energy", "deltas"), [(False, 0), (True, 2), (True, 0)])
def test_differences_are_warped_like_the_statics_and_the_energy_stays(energy: bool, deltas: int) -> None:
    config = AudioFeatures(kind="fbank", num_mel_bins=40, energy=energy, deltas=deltas)
    raw, frames = AudioFeatureExtractor(config).raw(torch.randn(2, 8000) * 0.1, torch.tensor([8000, 5000]))
    warped = warp_vocal_tracts(raw, rngs(2), (0.8, 1.2), config)
    for item in range(2):
        matrix = torch.from_numpy(warp_matrix(float(rngs(2)[item].uniform(0.8, 1.2)), config))
        before, after = (each[item].reshape(-1, 1 + deltas, 40 + int(energy)) for each in (raw, warped))
        torch.testing.assert_close(after[..., :40], before[..., :40] @ matrix)
        assert torch.equal(after[..., 40:], before[..., 40:])
    assert not torch.equal(raw, warped)
    assert int(frames[1]) < warped.shape[1] and not warped[1, int(frames[1]) :].any()  # padding stays zero


def test_nothing_asked_no_work_and_wrong_calls_are_refused() -> None:
    features, lengths, one_mask = torch.randn(1, 9, 80), torch.tensor([9]), AudioAugment(time_masks=1)
    assert mask_spectrogram(features, lengths, [], AudioAugment(), 0.01, 80) is features
    assert warp_vocal_tracts(features, [], (1.0, 1.0), FBANK) is features
    with pytest.raises(ValueError, match="generators"):
        mask_spectrogram(features, lengths, [], one_mask, 0.01, 80)
    with pytest.raises(ValueError, match="num_mel_bins"):
        mask_spectrogram(features, lengths, rngs(1), one_mask, 0.01, 70)
    for wrong, generators, config in ((features, [], FBANK), (features, rngs(1), AudioFeatures(kind="mfcc")), (features[..., :70], rngs(1), FBANK)):
        with pytest.raises(ValueError, match=r"^(generators|features): "):
            warp_vocal_tracts(wrong, generators, (0.9, 1.1), config)
