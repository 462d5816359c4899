"""Columns as frames: pixels and geometric features, padding, statistics."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from recognizer.config import LineFeatures
from recognizer.image.features import LineFeatureExtractor, geometric_features


def random_batch(seed: int, widths: list[int], height: int = 16, density: float = 0.25, padding: int = 0) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    lines = np.full((len(widths), max(widths), height), padding, dtype=np.uint8)
    for line, width in zip(lines, widths, strict=True):
        picture = rng.integers(128, 256, (width, height)) * (rng.uniform(size=(width, height)) < density)
        picture[rng.uniform(size=width) < 0.3] = rng.integers(0, 128)  # columns without ink
        line[:width] = picture
    return torch.from_numpy(lines), torch.tensor(widths)


def slow_features(picture: np.ndarray) -> np.ndarray:
    """The nine features of a (W, H) picture, straight from their definitions."""
    width, height = picture.shape
    black = [[r for r in range(height) if picture[x, r] >= 128] for x in range(width)]
    rows = []
    for x in range(width):
        if not black[x]:
            rows.append([0, 0.5, 0.25, 0.5, 0.5, 0, 0, 0, 0])
            continue
        places = [(r + 0.5) / height for r in black[x]]
        upper, lower = min(black[x]), max(black[x])
        directions = []
        for pick in (min, max):
            steps = []
            if x > 0 and black[x - 1]:
                steps.append(pick(black[x]) - pick(black[x - 1]))
            if x + 1 < width and black[x + 1]:
                steps.append(pick(black[x + 1]) - pick(black[x]))
            directions.append(math.degrees(math.atan(sum(steps) / len(steps))) / 90 if steps else 0.0)
        ends = [r for r in black[x] if r + 1 not in black[x]]
        rows.append([
            len(black[x]) / height, sum(places) / len(places), sum(p * p for p in places) / len(places),
            (upper + 0.5) / height, (lower + 0.5) / height, *directions, len(ends), len(black[x]) / (lower - upper + 1),
        ])
    return np.array(rows, dtype=np.float64)


@pytest.mark.parametrize("density", [0.05, 0.3, 0.9])
def test_geometric_features_follow_their_definitions(density: float) -> None:
    widths = [1, 2, 17, 40]
    lines, lengths = random_batch(5, widths, density=density, padding=255)
    features = geometric_features(lines, lengths)
    assert features.shape == (4, 40, 9)
    for i, width in enumerate(widths):
        np.testing.assert_allclose(features[i, :width].numpy(), slow_features(lines[i, :width].numpy()), atol=2e-6)


def test_columns_worked_by_hand() -> None:
    picture = torch.zeros(1, 3, 8, dtype=torch.uint8)
    picture[0, 0, 3] = 255
    picture[0, 1, [2, 3, 6]] = 255
    picture[0, 2, 7] = 128
    center = (2.5 + 3.5 + 6.5) / 24
    moment = (2.5**2 + 3.5**2 + 6.5**2) / 3 / 64
    # upper contour: 3, 2, 7: mean step +2; lower contour: 3, 6, 7: mean step +2
    direction = math.atan(2) / (math.pi / 2)
    expected = [3 / 8, center, moment, 2.5 / 8, 6.5 / 8, direction, direction, 2, 3 / 5]
    np.testing.assert_allclose(geometric_features(picture, torch.tensor([3]))[0, 1].numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("kind", ["pixels", "geometric"])
@pytest.mark.parametrize("normalize", ["corpus", "none"])
def test_a_line_alone_equals_a_line_in_a_batch(kind: str, normalize: str) -> None:
    extractor = LineFeatureExtractor(LineFeatures(kind=kind, height=16, normalize=normalize))  # type: ignore[arg-type]
    extractor.set_statistics(torch.rand(extractor.dim), torch.rand(extractor.dim) + 0.1)
    widths = [1, 9, 33, 50]
    lines, lengths = random_batch(7, widths, padding=200)
    for compute in (extractor.raw, extractor):
        features, out = compute(lines, lengths)
        assert out.tolist() == widths and features.dtype == torch.float32
        for i, width in enumerate(widths):
            alone, _ = compute(lines[i : i + 1, :width], lengths[i : i + 1])
            assert torch.equal(features[i, :width], alone[0]) and (features[i, width:] == 0).all()
    assert torch.equal(extractor(lines, lengths)[0], extractor.raw(lines, lengths)[0]) is (normalize == "none")


def test_pixels_are_ink_in_unit_range() -> None:
    extractor = LineFeatureExtractor(LineFeatures(height=16))
    lines, lengths = random_batch(8, [20, 20])
    features, _ = extractor.raw(lines, lengths)
    assert torch.equal((features * 255).round().to(torch.uint8), lines) and features.max() <= 1
    assert torch.equal(extractor(lines, lengths)[0], features)  # before any statistics are set
    assert extractor.dim == 16 and extractor.frames(917) == 917 and extractor.frames(lengths).tolist() == [20, 20]


def test_pixel_statistics_are_pooled_and_geometric_ones_kept_apart() -> None:
    lines, lengths = random_batch(9, [300])
    lines[:, :, 8:] //= 4  # rows of unlike statistics
    pixels, geometric = LineFeatureExtractor(LineFeatures(height=16)), LineFeatureExtractor(LineFeatures(kind="geometric"))
    for extractor in (pixels, geometric):
        raw, _ = extractor.raw(lines, lengths)
        extractor.set_statistics(raw[0].mean(0), raw[0].std(0, unbiased=False))
    raw, _ = pixels.raw(lines, lengths)
    assert (pixels.mean == pixels.mean[0]).all()
    torch.testing.assert_close(pixels.mean[0], raw.mean())
    torch.testing.assert_close(pixels.std[0], raw.std(unbiased=False))
    normalized = geometric(lines, lengths)[0][0]
    torch.testing.assert_close(normalized.mean(0), torch.zeros(9), atol=1e-5, rtol=0)
    torch.testing.assert_close(normalized.std(0, unbiased=False), torch.ones(9), atol=1e-4, rtol=0)


def test_statistics_travel_with_the_state_and_constant_features_stay_finite() -> None:
    config = LineFeatures(height=8)
    extractor, other = LineFeatureExtractor(config), LineFeatureExtractor(config)
    extractor.set_statistics(torch.full((8,), 0.3), torch.zeros(8))
    assert set(extractor.state_dict()) == {"mean", "std"}
    other.load_state_dict(extractor.state_dict())
    features, _ = other(torch.zeros(1, 5, 8, dtype=torch.uint8), torch.tensor([5]))
    torch.testing.assert_close(features, torch.full((1, 5, 8), -0.3))
