"""Augmentation of line images: determinism, ranges, and what each change may do to ink."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from recognizer.config import LineAugment
from recognizer.image.augment import augment_line, change_thickness, draw_ruling, warp_line
from recognizer.image.normalize import skew_degrees, slant_shear

STRONG = LineAugment(probability=1, scale=0.2, shear=0.5, rotate_degrees=1.5, elastic=0.1, thickness=0.5, contrast=0.3,
    blur=0.8, noise=0.03, ruling=0.5, bleed=0.5)


@pytest.fixture(scope="module")
def line() -> np.ndarray:
    """Ink 255 on paper 0, (64, W), a few empty rows at the top and the bottom."""
    picture = Image.new("L", (480, 64))
    ImageDraw.Draw(picture).text((10, 8), "million hills, jumping pygmies", fill=255, font=ImageFont.load_default(size=32))
    return np.array(picture)


def augment(line: np.ndarray, seed: int, **options: float) -> np.ndarray:
    return augment_line(line, LineAugment(probability=1, **options), np.random.default_rng(seed))


def warp(line: np.ndarray, seed: int, **options: float) -> np.ndarray:
    return warp_line(line, LineAugment(**options), np.random.default_rng(seed))


def test_zero_settings_change_nothing(line: np.ndarray) -> None:
    for seed in range(5):
        result = augment(line, seed)
        assert np.array_equal(result, line) and not np.shares_memory(result, line)
    assert np.array_equal(warp(line, 1), line)


def test_probability_is_kept(line: np.ndarray) -> None:
    config, rng = LineAugment(probability=0.3, noise=0.1), np.random.default_rng(1)
    assert 60 <= sum(not np.array_equal(augment_line(line, config, rng), line) for _ in range(300)) <= 120


def test_the_generator_decides_everything(line: np.ndarray) -> None:
    before = line.copy()
    for seed in range(10):
        first = augment_line(line, STRONG, np.random.default_rng(seed))
        np.random.seed(seed)  # the global state must not matter
        assert np.array_equal(first, augment_line(line, STRONG, np.random.default_rng(seed)))
    assert np.array_equal(line, before)
    assert len({augment_line(line, STRONG, np.random.default_rng(seed)).tobytes() for seed in range(20)}) == 20


@given(st.integers(0, 10**6), st.integers(1, 70), st.integers(1, 200))
@settings(max_examples=60, deadline=None)
def test_any_shape_is_taken(seed: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    picture = (rng.integers(0, 256, (height, width)) * (rng.uniform() < 0.8)).astype(np.uint8)
    result = augment_line(picture, STRONG, rng)
    assert result.dtype == np.uint8 and result.shape[0] == height and result.shape[1] >= max(1, int(0.8 * 0.8 * width))


def test_scale_stays_in_its_range(line: np.ndarray) -> None:
    ratio = np.array([warp(line, seed, scale=0.2).shape[1] for seed in range(200)]) / line.shape[1]
    assert 0.8 <= ratio.min() < 0.84 and 1.16 < ratio.max() <= 1.2 + 1 / line.shape[1]


def test_warps_keep_the_ink(line: np.ndarray) -> None:
    """The area of ink follows the scale: nothing is pushed out of the picture."""
    for options, least in (({"shear": 0.6}, 0.98), ({"rotate_degrees": 2.0}, 0.6)):  # a shear keeps areas
        for seed in range(40):
            warped = warp(line, seed, **options)
            assert least < warped.sum() / line.sum() < 1.03
            assert max(warped[:, 0].mean(), warped[:, -1].mean()) < 40


def test_shear_and_rotation_stay_in_their_ranges(line: np.ndarray) -> None:
    slants = [slant_shear(warp(line, s, shear=0.4)) - slant_shear(line) for s in range(40)]
    assert max(map(abs, slants)) < 0.4 + 0.08 and max(slants) > 0.25 and min(slants) < -0.25
    turns = [skew_degrees(warp(line, s, rotate_degrees=1.5)) - skew_degrees(line) for s in range(40)]
    assert max(map(abs, turns)) < 1.5 + 0.5 and max(turns) > 0.7 and min(turns) < -0.7


def test_elastic_moves_ink_no_further_than_stated() -> None:
    picture = np.zeros((64, 300), dtype=np.uint8)
    picture[31:33] = 255
    moved = 0
    for seed in range(40):
        rows = np.flatnonzero(warp(picture, seed, elastic=0.1).max(axis=1))
        assert rows.min() >= 31 - 7.4 and rows.max() <= 32 + 7.4
        moved += rows.max() - rows.min() > 3
    assert moved > 20


@given(st.floats(0, 3), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_thickness_is_one_sided_and_monotonic(passes: float, seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (9, 14), dtype=np.uint8)
    thicker, thinner = change_thickness(picture, passes), change_thickness(picture, -passes)
    assert (thicker >= picture).all() and (thinner <= picture).all()
    assert (change_thickness(picture, passes + 0.25) >= thicker).all()
    assert np.array_equal(change_thickness(255 - picture, float(round(passes))), 255 - change_thickness(picture, -float(round(passes))))


def test_one_pass_widens_a_stroke_by_a_pixel_on_each_side() -> None:
    picture = np.zeros((11, 11), dtype=np.uint8)
    picture[2:9, 5] = 255
    thick = change_thickness(picture, 1.0)
    assert np.flatnonzero(thick[5]).tolist() == [4, 5, 6]
    assert np.array_equal(change_thickness(picture, 0.5)[5, 4:7], [127, 255, 127])
    assert np.array_equal(change_thickness(thick, -1.0), picture)


@pytest.mark.parametrize("setting", ["ruling", "bleed"])
def test_ruling_and_bleed_only_add_ink(line: np.ndarray, setting: str) -> None:
    results = [augment(line, seed, **{setting: 1}) for seed in range(60)]
    assert all(result.shape == line.shape and (result >= line).all() for result in results)
    assert sum(bool((result > line).any()) for result in results) >= 55


def test_neighbors_lie_above_and_below_and_make_the_line_smaller(line: np.ndarray) -> None:
    seen = np.zeros(2)
    for seed in range(40):
        result = augment(line, seed, neighbors=1)
        scale = result.shape[1] / line.shape[1]
        assert result.shape[0] == 64 and 1 / 1.71 <= scale <= 1
        own = np.array(Image.fromarray(line).resize((result.shape[1], round(64 * scale))))
        best = min(np.abs(result[row : row + len(own)].astype(int) - own).mean() for row in range(64 - len(own) + 1))
        assert best < 6  # the line is whole, between the strips
        seen += (result[:16].max(), result[-16:].max())
    assert (seen > 40 * 128).all()


def test_rules_are_level_and_thin() -> None:
    for seed in range(60):
        ruled = draw_ruling(np.zeros((64, 800), dtype=np.uint8), np.random.default_rng(seed))
        assert ruled.any() and (ruled > 0).mean() < 0.2 and ruled.max() <= 230


def test_contrast_fades_ink_and_grays_paper(line: np.ndarray) -> None:
    for seed in range(40):
        result = augment(line, seed, contrast=0.4)
        paper, ink = result[line == 0], result[line == 255]
        assert paper.max() <= 255 * 0.1 and np.ptp(paper) == 0
        assert ink.min() >= 255 * (1 - 0.4 - 0.1) - 1 and ink.mean() > paper.mean()


def test_blur_keeps_the_amount_of_ink(line: np.ndarray) -> None:
    for seed in range(20):
        result = augment(line, seed, blur=1.5)
        assert abs(result.sum() / line.sum() - 1) < 0.05
        assert np.abs(np.diff(result.astype(int), axis=1)).sum() <= np.abs(np.diff(line.astype(int), axis=1)).sum()


def test_noise_is_as_strong_as_stated() -> None:
    gray = np.full((64, 400), 128, dtype=np.uint8)
    deviations = [augment(gray, seed, noise=0.1).std() / 255 for seed in range(40)]
    assert 0.08 < max(deviations) < 0.1 * 1.03 and min(deviations) < 0.02
