"""Normalization of line images: polarity, margins, skew, slant, height, and where the columns come from."""

from __future__ import annotations

import math
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from recognizer.config import LineFeatures
from recognizer.errors import InputError
from recognizer.image import normalize
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


@pytest.mark.parametrize(("shape", "reason"), [
    ((1, 1_000_000), "1000000 x 1 pixels, at 64 rows more than 16,777,216"),
    ((2, 4_000_000), "4000000 x 2 pixels, at 64 rows more than 16,777,216"),
    ((1, 40_000), "40000 x 1 pixels, at 64 rows more than 16,777,216"),
    ((1_000_000, 1), "1 x 1000000 pixels, more than 100 times as tall as wide"),
    ((20_000, 100), "100 x 20000 pixels, more than 100 times as tall as wide"),
])
def test_pictures_of_impossible_shape_are_refused(shape: tuple[int, int], reason: str) -> None:
    with pytest.raises(InputError) as caught:
        prepare_line(np.full(shape, 255, dtype=np.uint8), LineFeatures(), "a.png")
    assert str(caught.value).startswith(f"a.png: {reason}")


def test_cropping_does_not_make_a_line_longer_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    gray = np.full((30, 3000), 255, dtype=np.uint8)
    gray[12:18, ::3] = 0
    assert prepare_line(gray, LineFeatures(crop=False))[0].shape == (64, 6400)
    monkeypatch.setattr(normalize, "MAX_LINE_PIXELS", 64 * 6400)
    assert prepare_line(gray, LineFeatures(crop=False))[0].shape == (64, 6400)
    with pytest.raises(InputError, match="pixels of ink, at 64 rows more than"):
        prepare_line(gray, LineFeatures())


@pytest.mark.parametrize("steps", [{}, {"deskew": True, "deslant": True}])
def test_large_pictures_are_reduced_first(draw_text, monkeypatch: pytest.MonkeyPatch, steps: dict[str, bool]) -> None:
    gray = np.kron(np.pad(draw_text(), ((0, 0), (50, 0)), constant_values=235), np.ones((4, 4), dtype=np.uint8))
    whole, at = prepare_line(gray, LineFeatures(**steps))
    monkeypatch.setattr(normalize, "MAX_INPUT_PIXELS", gray.size // 4)
    reduced, again = prepare_line(gray, LineFeatures(**steps))
    assert abs(reduced.shape[1] / whole.shape[1] - 1) < 0.02 and abs(again.offset - at.offset) < 40
    assert again.scale == pytest.approx(at.scale, rel=0.02)


@pytest.mark.parametrize("picture", ["dots", "noise", "tall"])
def test_millions_of_specks_take_neither_time_nor_memory(picture: str) -> None:
    """A list of Python objects for each of half a million pieces, a square as high as the picture: neither."""
    gray = np.full((1400, 1400) if picture != "tall" else (20_000, 250), 255, dtype=np.uint8)
    gray[::2, ::2] = 0 if picture != "noise" else 255
    if picture == "noise":
        gray = np.random.default_rng(1).integers(0, 256, gray.shape, dtype=np.uint8)
    tracemalloc.start()
    start = time.process_time()
    try:
        prepare_line(gray, LineFeatures(deskew=True, deslant=True, contrast="background"))
    except InputError as error:
        assert "not one line" in str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert time.process_time() - start < 20 and peak < 60 * gray.size


def test_crop_finds_the_same_pieces_as_a_search_one_by_one() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        line = np.zeros((60, 300), dtype=np.uint8)
        for _ in range(rng.integers(1, 30)):
            top, left = rng.integers(0, 60), rng.integers(0, 300)
            line[top : top + rng.integers(1, 12), left : left + rng.integers(1, 12)] = 255
        pieces, _ = ndimage.label(line > 0, structure=np.ones((3, 3)))
        sizes = np.bincount(pieces.ravel())[1:]
        boxes = [(*(s.start for s in found), *(s.stop for s in found)) for found in ndimage.find_objects(pieces)]
        large = [box for box, size in zip(boxes, sizes, strict=True) if size >= 9] or boxes
        top, left = (min(box[i] for box in large) for i in (0, 1))
        bottom, right = (max(box[i] for box in large) for i in (2, 3))
        near = [box for box, size in zip(boxes, sizes, strict=True) if box in large or (
            size >= 2 and box[0] < bottom + 15 and box[2] > top - 15 and box[1] < right + 30 and box[3] > left - 30)]
        left = min(box[1] for box in near)
        assert crop_margins(line)[1] == max(0, left - 2)
