"""Normalisation of line images: polarity, contrast, margins, skew, slant, height."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from recognizer.config import LineFeatures
from recognizer.features.contrast import is_light_on_dark
from recognizer.features.deskew import skew_degrees
from recognizer.features.deslant import slant_shear
from recognizer.features.line import is_blank, normalise_contrast, place_line, prepare_line
from recognizer.features.margins import crop_margins

PLAIN = LineFeatures(crop=False)


def draw_text(text: str = "the quick brown fox jumps over", height: int = 80, margin: int = 20, ink: int = 30, paper: int = 235) -> np.ndarray:
    """A line of text, grey uint8 (H, W)."""
    font = ImageFont.load_default(size=40)
    left, top, right, bottom = font.getbbox(text)
    picture = Image.new("L", (int(right - left) + 2 * margin, height), paper)
    ImageDraw.Draw(picture).text((margin - left, (height - bottom - top) / 2), text, fill=ink, font=font)
    return np.array(picture)


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
@pytest.mark.parametrize("crop", [True, False])
def test_inverted_input_gives_the_same(contrast: str, crop: bool) -> None:
    config = LineFeatures(contrast=contrast, crop=crop, deskew=crop, deslant=crop)  # type: ignore[arg-type]
    grey = draw_text()
    assert np.array_equal(prepare_line(grey, config), prepare_line(255 - grey, config))
    assert not is_blank(prepare_line(grey, config))


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_any_picture_is_taken(seed: int, height: int, width: int) -> None:
    generator = np.random.default_rng(seed)
    grey = generator.integers(0, 256, (height, width), dtype=np.uint8)
    grey = np.minimum(grey, generator.integers(0, 256)).astype(np.uint8)
    for config in (LineFeatures(), LineFeatures(contrast="background", deskew=True, deslant=True)):
        line = prepare_line(grey, config)
        assert line.dtype == np.uint8
        assert line.shape[0] == 64
        assert line.shape[1] >= 1


def test_stated_polarity_is_obeyed() -> None:
    grey = draw_text()
    dark = prepare_line(grey, LineFeatures(crop=False, polarity="dark_on_light"))
    assert np.array_equal(dark, prepare_line(255 - grey, LineFeatures(crop=False, polarity="light_on_dark")))
    wrong = prepare_line(grey, LineFeatures(crop=False, polarity="light_on_dark"))
    assert (wrong > 128).mean() > 0.5 > (dark > 128).mean()


@pytest.mark.parametrize("lit", [0.15, 0.5, 0.85])
@pytest.mark.parametrize("ink", [30, 120])
def test_shadow_does_not_turn_paper_into_ink(ink: int, lit: float) -> None:
    clean = draw_text(ink=ink)
    edge = int(lit * clean.shape[1])
    shade = np.interp(np.arange(clean.shape[1]), [edge - 30, edge + 30], [1.0, 0.35])
    shadowed = (clean * shade).astype(np.uint8)  # most of the picture, or its darker part, is grey paper
    assert not is_light_on_dark(shadowed)
    assert is_light_on_dark(255 - shadowed)


@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (30, 235), (140, 200), (90, 120)])
def test_stretch_makes_ink_full_and_paper_empty(ink: int, paper: int) -> None:
    grey = draw_text(ink=ink, paper=paper)
    line = normalise_contrast(grey, "stretch")
    assert (line[grey == paper] == 0).all()
    assert (line[grey == ink] == 255).all()


def test_stretch_clears_noisy_paper() -> None:
    clean = draw_text()
    noisy = np.clip(clean + np.random.default_rng(3).normal(0, 6, clean.shape), 0, 255).astype(np.uint8)
    line = normalise_contrast(noisy, "stretch")
    assert (line[clean == 235] == 0).mean() > 0.98
    assert line[clean == 30].mean() > 240


def test_none_is_plain_inversion() -> None:
    grey = draw_text()
    assert np.array_equal(normalise_contrast(grey, "none"), 255 - grey)


def test_background_takes_shadows_away() -> None:
    clean = draw_text()
    shade = np.ones(clean.shape[1])
    shade[-clean.shape[1] // 4 :] = 0.5
    shadowed = (clean * shade).astype(np.uint8)
    flat = normalise_contrast(shadowed, "background")
    assert (flat[clean == 235] < 40).mean() > 0.95  # all but the shadow's edge
    assert (flat[clean < 60] > 200).mean() > 0.95
    assert (normalise_contrast(shadowed, "stretch")[clean == 235] > 128).mean() > 0.2  # the shadow looks like ink


def test_stretch_does_not_call_a_shadowed_line_blank() -> None:
    clean = draw_text()
    shadowed = (clean * np.linspace(1.0, 0.35, clean.shape[1])).astype(np.uint8)
    line = normalise_contrast(shadowed, "stretch")
    assert (line[clean == 235] < 40).mean() > 0.99
    assert (line[clean < 60] > 200).mean() > 0.95


def test_ink_may_be_the_larger_part() -> None:
    grey = np.full((40, 200), 20, dtype=np.uint8)
    grey[10:30, ::3] = 240
    for contrast in ("stretch", "none"):
        line = prepare_line(grey, LineFeatures(height=40, crop=False, polarity="dark_on_light", contrast=contrast))  # type: ignore[arg-type]
        assert (line[grey == 20] > 200).all()
        assert (line[grey == 240] < 50).all()


@pytest.mark.parametrize("grey", [
    np.full((40, 200), 255, dtype=np.uint8),
    np.zeros((40, 200), dtype=np.uint8),
    np.full((40, 200), 128, dtype=np.uint8),
    np.random.default_rng(4).normal(200, 2, (40, 200)).astype(np.uint8),
    np.random.default_rng(4).normal(200, 8, (40, 200)).astype(np.uint8),
    np.full((1, 1), 77, dtype=np.uint8),
])
@pytest.mark.parametrize("contrast", ["stretch", "background", "none"])
def test_blank_pictures_give_zeros(grey: np.ndarray, contrast: str) -> None:
    line = prepare_line(grey, LineFeatures(height=32, contrast=contrast, deskew=True, deslant=True))  # type: ignore[arg-type]
    assert line.shape == (32, max(1, round(grey.shape[1] * 32 / grey.shape[0])))
    assert not line.any()
    assert is_blank(line)


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (2, 2)])
def test_smallest_pictures(shape: tuple[int, int]) -> None:
    grey = np.full(shape, 255, dtype=np.uint8)
    grey[0, 0] = 0
    line = prepare_line(grey, LineFeatures(height=16, deskew=True, deslant=True))
    assert line.shape[0] == 16
    assert line.shape[1] >= 1


@pytest.mark.parametrize("height", [16, 64, 80, 131])
def test_aspect_ratio_is_kept(height: int) -> None:
    grey = draw_text()
    line = prepare_line(grey, LineFeatures(height=height, crop=False))
    assert line.shape == (height, round(grey.shape[1] * height / grey.shape[0]))


def test_scaling_keeps_thin_strokes() -> None:
    grey = np.full((512, 512), 255, dtype=np.uint8)
    grey[:, 100::64] = 0  # one pixel wide, an eighth of a pixel after scaling
    line = prepare_line(grey, LineFeatures(height=64, crop=False))
    profile = line.mean(axis=0)
    assert (profile[12::8] > 15).all()
    assert (np.delete(profile, np.concatenate([np.arange(i, 64, 8) for i in (3, 4, 5)])) < 8).all()


def test_crop_keeps_the_ink_and_a_margin() -> None:
    line = np.zeros((80, 600), dtype=np.uint8)
    line[30:60, 200:400] = 255
    cropped, _ = crop_margins(line)
    assert cropped.sum() == line.sum()
    assert cropped.shape == (34, 204)  # 3 % of the height on each side


def test_crop_ignores_specks_but_not_full_stops() -> None:
    line = np.zeros((80, 600), dtype=np.uint8)
    line[30:60, 200:300] = 255
    line[57:60, 320:323] = 255  # a thin full stop
    line[22:25, 250:253] = 255  # a thin dot
    with_specks = line.copy()
    with_specks[2:4, 500:502] = 255
    with_specks[70:72, 30:32] = 255
    with_specks[1, 210] = 255
    assert np.array_equal(crop_margins(line)[0], crop_margins(with_specks)[0])
    assert crop_margins(line)[0].sum() == line.sum()


def test_crop_never_blows_up_a_dash() -> None:
    line = np.zeros((90, 300), dtype=np.uint8)
    for top in (0, 40, 84):
        line[:] = 0
        line[top : top + 5, 100:140] = 255
        cropped, _ = crop_margins(line)
        assert cropped.shape[0] == 30
        assert cropped.sum() == line.sum()


def test_crop_leaves_empty_and_full_pictures() -> None:
    for value in (0, 255):
        line = np.full((20, 30), value, dtype=np.uint8)
        assert np.array_equal(crop_margins(line)[0], line)


@pytest.mark.parametrize("degrees", [-6.0, -2.5, 0.0, 1.0, 4.0, 8.0])
def test_skew_is_found_and_removed(degrees: float) -> None:
    upright = normalise_contrast(draw_text(), "stretch")
    turned = np.array(Image.fromarray(upright).rotate(degrees, Image.Resampling.BICUBIC, expand=True))
    assert abs(skew_degrees(turned) - degrees) < 0.7
    config = LineFeatures(height=80, crop=False, deskew=True, polarity="light_on_dark")
    assert abs(skew_degrees(prepare_line(turned, config))) < 0.7


def test_short_words_are_not_turned() -> None:
    stroke = np.array(Image.fromarray(np.pad(np.full((60, 6), 255, dtype=np.uint8), 20)).rotate(8))
    assert skew_degrees(stroke) == 0


@pytest.mark.parametrize("shear", [-0.7, -0.3, 0.0, 0.2, 0.5, 0.9])
def test_slant_is_found_and_removed(shear: float) -> None:
    upright = normalise_contrast(draw_text("million hill till unit"), "stretch")
    leaning = shear_rows(upright, shear)
    assert abs(slant_shear(leaning) - shear) < 0.08
    config = LineFeatures(height=80, crop=False, deslant=True, polarity="light_on_dark")
    straight = prepare_line(leaning, config)
    assert abs(slant_shear(straight)) < 0.08
    assert abs(int(straight.sum()) / int(leaning.sum()) - 1) < 0.02  # no ink is cut off


def test_slant_of_ruled_text_is_found() -> None:
    leaning = shear_rows(normalise_contrast(draw_text("million hill till unit"), "stretch"), 0.5)
    leaning[62:64] = 255
    assert abs(slant_shear(leaning) - 0.5) < 0.08


def test_every_step_leaves_its_input_alone() -> None:
    grey = draw_text()
    before = grey.copy()
    for contrast in ("stretch", "background", "none"):
        prepare_line(grey, LineFeatures(contrast=contrast, deskew=True, deslant=True))  # type: ignore[arg-type]
    result = prepare_line(255 - grey, LineFeatures(height=80, crop=False, contrast="none", polarity="light_on_dark"))
    assert result.flags.writeable
    result[:] = 7
    assert np.array_equal(grey, before)


@pytest.mark.parametrize("steps", [{}, {"deslant": True}, {"deskew": True, "deslant": True}, {"crop": False, "deslant": True}])
@pytest.mark.parametrize("left", [10, 150])
def test_columns_are_found_again_in_the_picture(steps: dict[str, bool], left: int) -> None:
    """A tall bar among leaning strokes lies, at half its height, where its column in the prepared line says."""
    ink = np.zeros((90, 600), dtype=np.uint8)
    ink[20:70, left + 60 : left + 64] = ink[20:70, left + 160 : left + 170] = ink[20:70, left + 260 : left + 264] = 255
    leaning = shear_rows(ink, 0.3) if "deslant" in steps else ink
    middle = np.flatnonzero(leaning[45] & (np.arange(leaning.shape[1]) > 0))  # ink at half height
    thick = middle[len(middle) // 2]
    strip, placement = place_line(255 - leaning, LineFeatures(height=48, **steps))
    profile = strip[strip.shape[0] // 2].astype(float)
    inked = np.flatnonzero(profile > 128)
    runs = np.split(inked, np.flatnonzero(np.diff(inked) > 1) + 1)
    widest = max(runs, key=len)
    assert placement.offset + (widest.mean() + 0.5) * placement.scale == pytest.approx(thick, abs=3.0)
    assert np.array_equal(strip, prepare_line(255 - leaning, LineFeatures(height=48, **steps)))
