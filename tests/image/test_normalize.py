"""Normalization of line images: polarity, margins, skew, slant, height, and where the columns come from."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from recognizer.config import LineFeatures
from recognizer.image.contrast import normalize_contrast
from recognizer.image.normalize import crop_margins, is_blank, prepare_line, skew_degrees, slant_shear


def prepare(gray: np.ndarray, **settings: object) -> np.ndarray:
    return prepare_line(gray, LineFeatures(**settings))[0]  # type: ignore[arg-type]


def shear_rows(line: np.ndarray, shear: float) -> np.ndarray:
    """Lean the strokes of ink (bright) to the right, whole pixels a row."""
    height, width = line.shape
    room = math.ceil(abs(shear) * height)
    result = np.zeros((height, width + 2 * room), dtype=np.uint8)
    for row in range(height):
        start = room + round(shear * (height / 2 - row))
        result[row, start : start + width] = line[row]
    return result


@pytest.mark.parametrize("contrast", ["stretch", "background", "none"])
@pytest.mark.parametrize("all_steps", [True, False])
def test_inverted_input_gives_the_same(draw_text, contrast: str, all_steps: bool) -> None:
    options = {"contrast": contrast, "crop": all_steps, "deskew": all_steps, "deslant": all_steps}
    gray = draw_text()
    before = gray.copy()
    line = prepare(gray, **options)
    assert np.array_equal(line, prepare(255 - gray, **options)) and not is_blank(line)
    line[:] = 7
    assert np.array_equal(gray, before)  # the result is a new array


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_any_picture_is_taken(seed: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    gray = rng.integers(0, 256, (height, width), dtype=np.uint8)
    gray = np.minimum(gray, rng.integers(0, 256)).astype(np.uint8)
    for options in ({}, {"contrast": "background", "deskew": True, "deslant": True}):
        line = prepare(gray, **options)
        assert line.dtype == np.uint8 and line.shape[0] == 64 and line.shape[1] >= 1


def test_stated_polarity_is_obeyed(draw_text) -> None:
    gray = draw_text()
    dark = prepare(gray, crop=False, polarity="dark_on_light")
    assert np.array_equal(dark, prepare(255 - gray, crop=False, polarity="light_on_dark"))
    wrong = prepare(gray, crop=False, polarity="light_on_dark")
    assert (wrong > 128).mean() > 0.5 > (dark > 128).mean()


@pytest.mark.parametrize("gray", [
    np.full((40, 200), 255, dtype=np.uint8),
    np.zeros((40, 200), dtype=np.uint8),
    np.full((40, 200), 128, dtype=np.uint8),
    np.random.default_rng(4).normal(200, 2, (40, 200)).astype(np.uint8),
    np.random.default_rng(4).normal(200, 8, (40, 200)).astype(np.uint8),
    np.full((1, 1), 77, dtype=np.uint8),
])
@pytest.mark.parametrize("contrast", ["stretch", "background", "none"])
def test_blank_pictures_give_zeros(gray: np.ndarray, contrast: str) -> None:
    line = prepare(gray, height=32, contrast=contrast, deskew=True, deslant=True)
    assert line.shape == (32, max(1, round(gray.shape[1] * 32 / gray.shape[0])))
    assert not line.any() and is_blank(line)


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (2, 2)])
def test_smallest_pictures(shape: tuple[int, int]) -> None:
    gray = np.full(shape, 255, dtype=np.uint8)
    gray[0, 0] = 0
    line = prepare(gray, height=16, deskew=True, deslant=True)
    assert line.shape[0] == 16 and line.shape[1] >= 1


@pytest.mark.parametrize("height", [16, 80, 131])
def test_aspect_ratio_is_kept(draw_text, height: int) -> None:
    gray = draw_text()
    assert prepare(gray, height=height, crop=False).shape == (height, round(gray.shape[1] * height / gray.shape[0]))


def test_scaling_keeps_thin_strokes() -> None:
    gray = np.full((512, 512), 255, dtype=np.uint8)
    gray[:, 100::64] = 0  # one pixel wide, an eighth of a pixel after scaling
    profile = prepare(gray, height=64, crop=False).mean(axis=0)
    assert (profile[12::8] > 15).all()
    assert (np.delete(profile, np.concatenate([np.arange(i, 64, 8) for i in (3, 4, 5)])) < 8).all()


def test_crop_keeps_the_ink_and_a_margin() -> None:
    line = np.zeros((80, 600), dtype=np.uint8)
    line[30:60, 200:400] = 255
    cropped, left = crop_margins(line)
    assert cropped.sum() == line.sum() and cropped.shape == (34, 204) and left == 198  # 3 % of the height on each side


def test_crop_ignores_specks_but_not_full_stops() -> None:
    line = np.zeros((80, 600), dtype=np.uint8)
    line[30:60, 200:300] = 255
    line[57:60, 320:323] = 255  # a thin full stop
    line[22:25, 250:253] = 255  # a thin dot
    with_specks = line.copy()
    with_specks[2:4, 500:502] = with_specks[70:72, 30:32] = with_specks[1, 210] = 255
    assert np.array_equal(crop_margins(line)[0], crop_margins(with_specks)[0])
    assert crop_margins(line)[0].sum() == line.sum()


def test_crop_never_blows_up_a_dash_and_leaves_empty_and_full_pictures() -> None:
    for top in (0, 40, 84):
        line = np.zeros((90, 300), dtype=np.uint8)
        line[top : top + 5, 100:140] = 255
        cropped, _ = crop_margins(line)
        assert cropped.shape[0] == 30 and cropped.sum() == line.sum()
    for value in (0, 255):
        line = np.full((20, 30), value, dtype=np.uint8)
        assert np.array_equal(crop_margins(line)[0], line)


@pytest.mark.parametrize("degrees", [-6.0, -2.5, 0.0, 1.0, 4.0, 8.0])
def test_skew_is_found_and_removed(draw_text, degrees: float) -> None:
    upright = normalize_contrast(draw_text(), "stretch")
    turned = np.array(Image.fromarray(upright).rotate(degrees, Image.Resampling.BICUBIC, expand=True))
    assert abs(skew_degrees(turned) - degrees) < 0.7
    assert abs(skew_degrees(prepare(turned, height=80, crop=False, deskew=True, polarity="light_on_dark"))) < 0.7


def test_short_words_are_not_turned() -> None:
    stroke = np.array(Image.fromarray(np.pad(np.full((60, 6), 255, dtype=np.uint8), 20)).rotate(8))
    assert skew_degrees(stroke) == 0


@pytest.mark.parametrize("shear", [-0.7, -0.3, 0.0, 0.2, 0.5, 0.9])
def test_slant_is_found_and_removed(draw_text, shear: float) -> None:
    leaning = shear_rows(normalize_contrast(draw_text("million hill till unit"), "stretch"), shear)
    assert abs(slant_shear(leaning) - shear) < 0.08
    straight = prepare(leaning, height=80, crop=False, deslant=True, polarity="light_on_dark")
    assert abs(slant_shear(straight)) < 0.08
    assert abs(int(straight.sum()) / int(leaning.sum()) - 1) < 0.02  # no ink is cut off
    leaning[62:64] = 255  # a rule
    assert abs(slant_shear(leaning) - shear) < 0.08


@pytest.mark.parametrize("steps", [{}, {"deslant": True}, {"deskew": True, "deslant": True}, {"crop": False, "deslant": True}])
@pytest.mark.parametrize("left", [10, 150])
def test_columns_are_found_again_in_the_picture(steps: dict[str, bool], left: int) -> None:
    """A tall bar among leaning strokes lies, at half its height, where its column in the prepared line says."""
    ink = np.zeros((90, 600), dtype=np.uint8)
    ink[20:70, left + 60 : left + 64] = ink[20:70, left + 160 : left + 170] = ink[20:70, left + 260 : left + 264] = 255
    leaning = shear_rows(ink, 0.3) if "deslant" in steps else ink
    middle = np.flatnonzero(leaning[45])  # ink at half height
    thick = middle[len(middle) // 2]
    strip, transform = prepare_line(255 - leaning, LineFeatures(height=48, **steps))
    inked = np.flatnonzero(strip[24] > 128)
    widest = max(np.split(inked, np.flatnonzero(np.diff(inked) > 1) + 1), key=len)
    assert transform.offset + (widest.mean() + 0.5) * transform.scale == pytest.approx(thick, abs=3.0)
