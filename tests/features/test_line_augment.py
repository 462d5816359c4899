"""Augmentation of line images: determinism, ranges, and what each change may do to ink."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from recognizer.config import LineAugment
from recognizer.features.deskew import skew_degrees
from recognizer.features.deslant import slant_shear
from recognizer.features.line_augment import augment_line, change_thickness
from recognizer.features.ruling import draw_ruling
from recognizer.features.warp import warp_line

STRONG = LineAugment(probability=1, scale=0.2, shear=0.5, rotate_degrees=1.5, elastic=0.1, thickness=0.5, contrast=0.3,
    blur=0.8, noise=0.03, ruling=0.5, bleed=0.5)


@pytest.fixture(scope="module")
def line() -> np.ndarray:
    """Ink 255 on paper 0, (64, W), a few empty rows at the top and the bottom."""
    picture = Image.new("L", (480, 64))
    ImageDraw.Draw(picture).text((10, 8), "million hills, jumping pygmies", fill=255, font=ImageFont.load_default(size=32))
    return np.array(picture)


def test_zero_settings_change_nothing(line: np.ndarray) -> None:
    for seed in range(5):
        result = augment_line(line, LineAugment(probability=1), np.random.default_rng(seed))
        assert np.array_equal(result, line)
        assert not np.shares_memory(result, line)


def test_probability_is_kept(line: np.ndarray) -> None:
    config = LineAugment(probability=0.3, noise=0.1)
    generator = np.random.default_rng(1)
    changed = sum(not np.array_equal(augment_line(line, config, generator), line) for _ in range(300))
    assert 60 <= changed <= 120


def test_the_generator_decides_everything(line: np.ndarray) -> None:
    before = line.copy()
    for seed in range(10):
        first = augment_line(line, STRONG, np.random.default_rng(seed))
        np.random.seed(seed)  # the global state must not matter
        second = augment_line(line, STRONG, np.random.default_rng(seed))
        assert np.array_equal(first, second)
    assert np.array_equal(line, before)
    others = {augment_line(line, STRONG, np.random.default_rng(seed)).tobytes() for seed in range(20)}
    assert len(others) == 20


@given(st.integers(0, 10**6), st.integers(1, 70), st.integers(1, 200))
@settings(max_examples=60, deadline=None)
def test_any_shape_is_taken(seed: int, height: int, width: int) -> None:
    generator = np.random.default_rng(seed)
    picture = (generator.integers(0, 256, (height, width)) * (generator.uniform() < 0.8)).astype(np.uint8)
    result = augment_line(picture, STRONG, generator)
    assert result.dtype == np.uint8
    assert result.shape[0] == height
    assert result.shape[1] >= max(1, int(0.8 * 0.8 * width))


def test_scale_stays_in_its_range(line: np.ndarray) -> None:
    widths = np.array([warp_line(line, LineAugment(scale=0.2), np.random.default_rng(seed)).shape[1] for seed in range(200)])
    ratio = widths / line.shape[1]
    assert ratio.min() >= 0.8
    assert ratio.max() <= 1.2 + 1 / line.shape[1]
    assert ratio.min() < 0.84
    assert ratio.max() > 1.16


def test_warps_keep_the_ink(line: np.ndarray) -> None:
    """The area of ink follows the scale: nothing is pushed out of the picture."""
    for config in (LineAugment(shear=0.6), LineAugment(rotate_degrees=2.0)):
        for seed in range(40):
            warped = warp_line(line, config, np.random.default_rng(seed))
            kept = warped.sum() / line.sum()
            assert 0.6 < kept < 1.03
            for edge in (warped[:, 0], warped[:, -1]):
                assert edge.mean() < 40
    sheared = [warp_line(line, LineAugment(shear=0.6), np.random.default_rng(seed)).sum() / line.sum() for seed in range(40)]
    assert min(sheared) > 0.98  # a shear keeps areas


def test_no_warp_is_the_identity(line: np.ndarray) -> None:
    assert np.array_equal(warp_line(line, LineAugment(), np.random.default_rng(1)), line)


def test_shear_and_rotation_stay_in_their_ranges(line: np.ndarray) -> None:
    start = slant_shear(line)
    slants = [slant_shear(warp_line(line, LineAugment(shear=0.4), np.random.default_rng(s))) - start for s in range(40)]
    assert max(map(abs, slants)) < 0.4 + 0.08
    assert max(slants) > 0.25
    assert min(slants) < -0.25
    turns = [skew_degrees(warp_line(line, LineAugment(rotate_degrees=1.5), np.random.default_rng(s))) - skew_degrees(line) for s in range(40)]
    assert max(map(abs, turns)) < 1.5 + 0.5
    assert max(turns) > 0.7
    assert min(turns) < -0.7


def test_elastic_moves_ink_no_further_than_stated() -> None:
    picture = np.zeros((64, 300), dtype=np.uint8)
    picture[31:33] = 255
    moved = 0
    for seed in range(40):
        warped = warp_line(picture, LineAugment(elastic=0.1), np.random.default_rng(seed))
        rows = np.flatnonzero(warped.max(axis=1))
        assert rows.min() >= 31 - 7.4
        assert rows.max() <= 32 + 7.4
        moved += rows.max() - rows.min() > 3
    assert moved > 20


@given(st.floats(0, 3), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_thickness_is_one_sided_and_monotonic(passes: float, seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (9, 14), dtype=np.uint8)
    thicker, thinner = change_thickness(picture, passes), change_thickness(picture, -passes)
    assert (thicker >= picture).all()
    assert (thinner <= picture).all()
    assert (change_thickness(picture, passes + 0.25) >= thicker).all()
    assert np.array_equal(change_thickness(255 - picture, float(round(passes))), 255 - change_thickness(picture, -float(round(passes))))


def test_one_pass_widens_a_stroke_by_a_pixel_on_each_side() -> None:
    picture = np.zeros((11, 11), dtype=np.uint8)
    picture[2:9, 5] = 255
    thick = change_thickness(picture, 1.0)
    assert np.flatnonzero(thick[5]).tolist() == [4, 5, 6]
    assert np.array_equal(change_thickness(picture, 0.5)[5, 4:7], [127, 255, 127])
    assert np.array_equal(change_thickness(thick, -1.0), picture)


def test_ruling_and_bleed_only_add_ink(line: np.ndarray) -> None:
    for config in (LineAugment(probability=1, ruling=1), LineAugment(probability=1, bleed=1)):
        changed = 0
        for seed in range(60):
            result = augment_line(line, config, np.random.default_rng(seed))
            assert result.shape == line.shape
            assert (result >= line).all()
            changed += bool((result > line).any())
        assert changed >= 55


def test_neighbours_lie_above_and_below_and_make_the_line_smaller(line: np.ndarray) -> None:
    seen = np.zeros(2)
    for seed in range(40):
        result = augment_line(line, LineAugment(probability=1, neighbours=1), np.random.default_rng(seed))
        scale = result.shape[1] / line.shape[1]
        assert result.shape[0] == 64 and 1 / 1.71 <= scale <= 1
        own = np.array(Image.fromarray(line).resize((result.shape[1], round(64 * scale))))
        best = min(np.abs(result[row : row + len(own)].astype(int) - own).mean() for row in range(64 - len(own) + 1))
        assert best < 6  # the line is whole, between the strips
        seen += (result[:16].max(), result[-16:].max())
    assert (seen > 40 * 128).all()


def test_rules_are_level_and_thin() -> None:
    empty = np.zeros((64, 800), dtype=np.uint8)
    for seed in range(60):
        ruled = draw_ruling(empty, np.random.default_rng(seed))
        assert ruled.any()
        assert (ruled > 0).mean() < 0.2
        assert ruled.max() <= 230


def test_contrast_fades_ink_and_greys_paper(line: np.ndarray) -> None:
    for seed in range(40):
        result = augment_line(line, LineAugment(probability=1, contrast=0.4), np.random.default_rng(seed))
        assert result[line == 0].max() <= 255 * 0.1
        assert np.ptp(result[line == 0]) == 0
        assert result[line == 255].min() >= 255 * (1 - 0.4 - 0.1) - 1
        assert result[line == 255].mean() > result[line == 0].mean()


def test_blur_keeps_the_amount_of_ink(line: np.ndarray) -> None:
    for seed in range(20):
        result = augment_line(line, LineAugment(probability=1, blur=1.5), np.random.default_rng(seed))
        assert abs(result.sum() / line.sum() - 1) < 0.05
        assert np.abs(np.diff(result.astype(int), axis=1)).sum() <= np.abs(np.diff(line.astype(int), axis=1)).sum()


def test_noise_is_as_strong_as_stated() -> None:
    grey = np.full((64, 400), 128, dtype=np.uint8)
    deviations = [augment_line(grey, LineAugment(probability=1, noise=0.1), np.random.default_rng(s)).std() / 255 for s in range(40)]
    assert max(deviations) < 0.1 * 1.03
    assert max(deviations) > 0.08
    assert min(deviations) < 0.02
