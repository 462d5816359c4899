"""The 25 numbers of a point: computed again in plain Python, in any batch, from any place; statistics and padding."""

from __future__ import annotations

import cmath
import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from recognizer.config import StrokeFeatures
from recognizer.strokes.features import StrokeFeatureExtractor, stroke_features


def some_points(count: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    x = np.cumsum(generator.uniform(-0.15, 0.25, count))
    y = 0.5 + np.cumsum(generator.uniform(-0.6, 0.6, count)) % 3 - 1
    pen = generator.uniform(size=count) < 0.8
    hat = generator.uniform(size=count) < 0.2
    return np.stack([x, y, pen, hat, generator.uniform(0, 9, count)], axis=1).astype(np.float32)


def describe(points: np.ndarray) -> torch.Tensor:
    return stroke_features(torch.tensor(points)[None], torch.tensor([len(points)]))[0]


def describe_plainly(points: np.ndarray, i: int) -> list[float]:
    """The numbers of point i by complex arithmetic, number by number."""
    z = [complex(float(p[0]), float(p[1])) for p in points]
    ink = [bool(p[2]) for p in points]
    last = len(z) - 1

    def unit(step: complex) -> complex:
        return step / abs(step) if step else 0j

    around = [z[j] for j in range(len(z)) if abs(j - i) <= 25]
    direction = unit(z[min(i, last - 1) + 1] - z[min(i, last - 1)]) if last else 0j
    curvature = -1 + 0j
    if 0 < i < last and z[i + 1] != z[i] != z[i - 1]:
        curvature = cmath.rect(1, cmath.phase((z[i - 1] - z[i]) / (z[i + 1] - z[i])))
    near = [z[j] for j in range(len(z)) if abs(j - i) <= 3]
    width = max(p.real for p in near) - min(p.real for p in near)
    height = max(p.imag for p in near) - min(p.imag for p in near)
    slope = unit(near[-1] - near[0])
    way = sum(abs(b - a) for a, b in pairwise(near))
    distances = [abs(p - near[0]) if slope == 0 else abs(((p - near[0]) / slope).imag) for p in near]
    inked = [p - z[i] for p, down in zip(z, ink, strict=True) if down]
    beside = [p + z[i] for p in inked if -1 <= p.real <= 1]
    cells = []
    for top in (0.75, 0.25, -0.25):
        for left in (-0.75, -0.25, 0.25):
            cells.append(sum(left <= p.real < left + 0.5 and top - 0.5 < p.imag <= top for p in inked))
    return [
        float(points[i, 2]), float(points[i, 3]), float(points[i, 4]),
        z[i].real - sum(p.real for p in around) / len(around), z[i].imag,
        direction.real, direction.imag, curvature.real, curvature.imag,
        (height - width) / (height + width) if height + width else 0.0,
        slope.real, slope.imag, way / max(width, height) if height + width else 1.0, sum(d * d for d in distances) / len(distances),
        sum(p.imag > 1.5 for p in beside), sum(p.imag < -0.5 for p in beside), *cells,
    ]  # fmt: skip


@pytest.mark.parametrize("count", [1, 2, 3, 9, 80])
def test_every_number_is_that_of_a_plain_computation(count: int) -> None:
    points = some_points(count, seed=count)
    expected = [describe_plainly(points, i) for i in range(count)]
    np.testing.assert_allclose(describe(points).numpy(), expected, atol=2e-5)


def test_a_corner_worked_by_hand() -> None:
    """Down a unit, then right a unit: an L with a step of 1, all ink."""
    points = np.array([[0, 1, 1, 0, 2], [0, 0, 1, 1, 3], [1, 0, 1, 0, 4]], dtype=np.float32)
    corner = describe(points)[1].tolist()
    assert corner[:5] == pytest.approx([1, 1, 3, 0 - 1 / 3, 0])
    assert corner[5:9] == pytest.approx([1, 0, 0, 1], abs=1e-6)  # to the right; from there a quarter turn to the line before
    assert corner[9:14] == pytest.approx([0, 1 / math.sqrt(2), -1 / math.sqrt(2), 2, 0.5 / 3])
    assert corner[14:] == [0, 0] + [0] * 4 + [1] + [0] * 4


def test_ascenders_descenders_and_the_map_count_ink_only() -> None:
    points = np.array([[0, 0.5, 1, 0, 0], [0.5, 2, 1, 0, 0], [0.6, 2, 0, 0, 0], [-0.9, -1, 1, 0, 0], [1.2, 2, 1, 0, 0], [0.4, 1.1, 1, 0, 0]])
    middle = describe(points.astype(np.float32))[0].tolist()
    assert middle[14:16] == [1, 1]
    assert middle[16:] == [0, 0, 1, 0, 1, 0, 0, 0, 0]


def test_the_place_of_a_trace_does_not_matter_along_the_line() -> None:
    points = some_points(60, 4)
    moved = points + np.array([32, 0, 0, 0, 0], dtype=np.float32)
    points = moved - np.array([32, 0, 0, 0, 0], dtype=np.float32)  # rounded alike
    np.testing.assert_allclose(describe(moved), describe(points), atol=1e-5)


def test_neither_other_items_nor_padding_count() -> None:
    traces = [some_points(count, count) for count in (5, 40, 23)]
    features = StrokeFeatureExtractor(StrokeFeatures())
    features.set_statistics(torch.linspace(-1, 1, 25), torch.linspace(0.5, 2, 25))
    padded = torch.full((3, 50, 5), 7.0)
    for row, trace in zip(padded, traces, strict=True):
        row[: len(trace)] = torch.tensor(trace)
    result, lengths = features(padded, torch.tensor([len(trace) for trace in traces]))
    assert features.dim == 25 and features.frames(7) == 7 and result.shape == (3, 50, 25) and lengths.tolist() == [5, 40, 23]
    for row, trace in zip(result, traces, strict=True):
        alone, _ = features(torch.tensor(trace)[None], torch.tensor([len(trace)]))
        assert torch.equal(row[: len(trace)], alone[0]) and not row[len(trace) :].any()


def test_statistics_normalize_and_a_constant_number_is_only_centered() -> None:
    trace = torch.tensor(some_points(70, 9))[None]
    trace[:, :, 1] = 0.5
    features = StrokeFeatureExtractor(StrokeFeatures())
    raw, lengths = features.raw(trace, torch.tensor([70]))
    features.set_statistics(raw[0].mean(0), raw[0].std(0, correction=0))
    result, _ = features(trace, lengths)
    assert torch.allclose(result[0].mean(0), torch.zeros(25), atol=1e-5)
    deviation = result[0].std(0, correction=0)
    assert torch.allclose(deviation[[2, 3]], torch.ones(2), atol=1e-4) and deviation[4] == 0
    bare = StrokeFeatureExtractor(StrokeFeatures(normalize="none"))
    bare.set_statistics(raw[0].mean(0), raw[0].std(0))
    assert torch.equal(bare(trace, lengths)[0], raw)
