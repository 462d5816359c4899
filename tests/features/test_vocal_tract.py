from __future__ import annotations

import numpy as np
import pytest
import torch

from recognizer.config import AudioFeatures
from recognizer.features.chance import item_generator
from recognizer.features.spectral import SpectralFeatures
from recognizer.features.vocal_tract import HIGHEST_FORMANT, warp_matrix, warp_vocal_tracts

FILTERS = AudioFeatures(kind="fbank", bins=80)


def generators(count: int, epoch: int = 0) -> list[np.random.Generator]:
    return [item_generator(1, epoch, f"item{i}", "mask") for i in range(count)]


def tones(hertz: list[float], sample_rate: int = 16000) -> torch.Tensor:
    time = torch.arange(sample_rate // 4, dtype=torch.float64) / sample_rate
    return torch.stack([0.1 * torch.sin(2 * np.pi * f * time) for f in hertz]).float()


@pytest.mark.parametrize("factor", [0.8, 0.9, 1.15, 1.3])
@pytest.mark.parametrize("hertz", [500.0, 1500.0, 3000.0])
def test_a_tone_comes_out_like_a_tone_of_the_scaled_frequency(hertz: float, factor: float) -> None:
    features = SpectralFeatures(FILTERS)
    given, wanted = features.raw(tones([hertz, hertz * factor]), torch.tensor([4000, 4000]))[0]
    assert hertz * factor < HIGHEST_FORMANT * min(factor, 1.0)
    warped = given @ torch.from_numpy(warp_matrix(factor, FILTERS))
    assert int(warped.mean(0).argmax()) == pytest.approx(int(wanted.mean(0).argmax()), abs=1)


@pytest.mark.parametrize("factor", [0.5, 0.85, 1.0, 1.18, 2.0])
def test_every_band_is_a_mean_of_two_neighbours_in_order(factor: float) -> None:
    matrix = warp_matrix(factor, FILTERS)
    np.testing.assert_allclose(matrix.sum(0), 1.0, atol=1e-6)
    assert matrix.min() >= 0 and (np.count_nonzero(matrix, axis=0) <= 2).all()
    place = np.arange(80) @ matrix
    assert (np.diff(place) >= -1e-6).all()  # never folded back
    assert place[-1] == pytest.approx(79, abs=1)  # half the sample rate stays where it is
    if factor == 1.0:
        np.testing.assert_allclose(matrix, np.eye(80), atol=1e-6)


def test_there_and_back_again() -> None:
    smooth = np.cos(np.linspace(0, 3 * np.pi, 80))
    returned = smooth @ warp_matrix(1.15, FILTERS) @ warp_matrix(1 / 1.15, FILTERS)
    np.testing.assert_allclose(returned[2:60], smooth[2:60], atol=0.02)


@pytest.mark.parametrize(("energy", "deltas"), [(False, 0), (True, 2), (True, 0)])
def test_differences_are_warped_like_the_statics_and_the_energy_stays(energy: bool, deltas: int) -> None:
    config = AudioFeatures(kind="fbank", bins=40, energy=energy, deltas=deltas)
    features = SpectralFeatures(config)
    raw, frames = features.raw(torch.randn(2, 8000) * 0.1, torch.tensor([8000, 5000]))
    warped = warp_vocal_tracts(raw, generators(2), (0.8, 1.2), config)
    blocks, columns = 1 + deltas, 40 + int(energy)
    for item in range(2):
        matrix = torch.from_numpy(warp_matrix(float(generators(2)[item].uniform(0.8, 1.2)), config))
        before, after = (each[item].reshape(-1, blocks, columns) for each in (raw, warped))
        for block in range(blocks):
            torch.testing.assert_close(after[:, block, :40], before[:, block, :40] @ matrix)
        assert torch.equal(after[..., 40:], before[..., 40:])
    assert not torch.equal(raw, warped)
    assert int(frames[1]) < warped.shape[1] and not warped[1, int(frames[1]) :].any()  # padding stays zero


def test_an_items_factor_does_not_depend_on_its_batch() -> None:
    features = torch.randn(4, 50, 80)
    together = warp_vocal_tracts(features, generators(4), (0.85, 1.18), FILTERS)
    for i in range(4):
        alone = warp_vocal_tracts(features[i : i + 1], [generators(4)[i]], (0.85, 1.18), FILTERS)
        torch.testing.assert_close(together[i], alone[0])
    assert not torch.equal(together, warp_vocal_tracts(features, generators(4, epoch=1), (0.85, 1.18), FILTERS))


def test_no_range_no_work_and_wrong_calls_are_refused() -> None:
    features = torch.randn(1, 9, 80)
    assert warp_vocal_tracts(features, [], (1.0, 1.0), FILTERS) is features
    with pytest.raises(ValueError, match="generators"):
        warp_vocal_tracts(features, [], (0.9, 1.1), FILTERS)
    with pytest.raises(ValueError, match="features"):
        warp_vocal_tracts(features, generators(1), (0.9, 1.1), AudioFeatures(kind="mfcc"))
    with pytest.raises(ValueError, match="features"):
        warp_vocal_tracts(features[..., :70], generators(1), (0.9, 1.1), FILTERS)
