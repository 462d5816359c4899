"""Changes of pen traces: none for zeros, within their ranges, the same for the same generator."""

from __future__ import annotations

import numpy as np
import pytest

from recognizer.config import StrokeAugment, StrokeFeatures
from recognizer.strokes.augment import augment_strokes, split_strokes
from recognizer.strokes.io import Trace
from recognizer.strokes.normalize import prepare_strokes, resample

SPACING = 0.2


@pytest.fixture
def points(pen) -> np.ndarray:
    return prepare_strokes(Trace(tuple(pen("abcdabcd", np.random.default_rng(1)))), StrokeFeatures(spacing=SPACING))


def augment(points: np.ndarray, seed: int = 0, **settings: float) -> np.ndarray:
    return augment_strokes(points, StrokeAugment(probability=1.0, **settings), SPACING, np.random.default_rng(seed))


def test_zeros_change_nothing_and_what_comes_in_stays(points) -> None:
    before = points.copy()
    result = augment(points)
    assert np.array_equal(result, points) and result is not points
    augment(points, scale=0.3, jitter=0.1, spacing=0.2, speed=0.5)
    assert np.array_equal(points, before)
    assert np.array_equal(augment_strokes(points, StrokeAugment(probability=0.0, scale=0.5), SPACING, np.random.default_rng(0)), points)


def test_the_generator_decides_everything(points) -> None:
    settings = {"scale": 0.2, "shear": 0.2, "rotate_degrees": 2.0, "jitter": 0.02, "speed": 0.2, "spacing": 0.2}
    assert np.array_equal(augment(points, 3, **settings), augment(points, 3, **settings))
    assert not np.array_equal(augment(points, 3, **settings)[:10], augment(points, 4, **settings)[:10])


@pytest.mark.parametrize("seed", range(5))
def test_sizes_stay_within_the_scale(points, seed: int) -> None:
    result = augment(points, seed, scale=0.2)
    ratio = np.ptp(result[:, :2], axis=0) / np.ptp(points[:, :2], axis=0)
    assert (ratio > 0.79).all() and (ratio < 1.21).all() and result.dtype == np.float32 and result.shape[1] == 5


def test_a_shear_moves_by_height_and_a_rotation_turns(points) -> None:
    tangents = []
    for seed in range(5):
        original, sheared = (strokes[-1, :2] - strokes[0, :2] for strokes in
            (split_strokes(points)[0], split_strokes(augment(points, seed, shear=0.3))[0]))
        assert sheared[1] == pytest.approx(original[1], abs=1e-4)
        tangents.append((sheared[0] - original[0]) / original[1])
    assert max(map(abs, tangents)) <= 0.3 and len({round(t, 4) for t in tangents}) == 5
    turned = augment(points, 2, rotate_degrees=5.0)
    angle = np.degrees(np.arctan2(*(turned[-1, 1::-1] - turned[0, 1::-1])) - np.arctan2(*(points[-1, 1::-1] - points[0, 1::-1])))
    assert 0.01 < abs(angle) < 5


def test_jitter_moves_every_point_a_little(points) -> None:
    moves = augment(points, jitter=0.05)[:, :2] - points[:, :2]
    assert moves.std() == pytest.approx(0.05, rel=0.2) and (moves != 0).all()


def test_speed_and_spacing(points) -> None:
    faster = augment(points, speed=0.5)
    ratio = faster[:, 4] / points[:, 4]
    assert np.ptp(ratio) < 1e-5 and 1 / 1.5 <= ratio[0] <= 1.5 and np.array_equal(faster[:, :4], points[:, :4])
    counts = [len(augment(points, seed, spacing=0.5)) for seed in range(8)]
    assert min(counts) < len(points) < max(counts) and max(counts) < 1.7 * len(points) and min(counts) > 0.6 * len(points)


def test_strokes_are_found_again(points) -> None:
    strokes = split_strokes(points)
    again = resample(strokes, SPACING)
    down = np.pad(again[:, 2], 1)
    first, last = np.flatnonzero(np.diff(down) > 0), np.flatnonzero(np.diff(down) < 0) - 1
    assert abs(len(again) - len(points)) <= 3 and len(strokes) == len(first) == 10  # two of the letters are written twice, in two strokes
    for stroke, begin, end in zip(strokes, first, last, strict=True):
        np.testing.assert_allclose(stroke[[0, -1], :2], again[[begin, end], :2], atol=1e-6)
