"""Gray levels: polarity under shadows, paper to 0 and ink to 255."""

from __future__ import annotations

import numpy as np
import pytest

from recognizer.config import LineFeatures
from recognizer.image.contrast import is_light_on_dark, normalize_contrast, smooth_noise
from recognizer.image.normalize import prepare_line


@pytest.mark.parametrize("lit", [0.15, 0.5, 0.85])
@pytest.mark.parametrize("ink", [30, 120])
def test_shadow_does_not_turn_paper_into_ink(draw_text, ink: int, lit: float) -> None:
    clean = draw_text(ink=ink)
    edge = int(lit * clean.shape[1])
    shade = np.interp(np.arange(clean.shape[1]), [edge - 30, edge + 30], [1.0, 0.35])
    shadowed = (clean * shade).astype(np.uint8)  # most of the picture, or its darker part, is gray paper
    assert not is_light_on_dark(shadowed) and is_light_on_dark(255 - shadowed)


@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (30, 235), (140, 200), (90, 120)])
def test_stretch_makes_ink_full_and_paper_empty(draw_text, ink: int, paper: int) -> None:
    gray = draw_text(ink=ink, paper=paper)
    line = normalize_contrast(gray, "stretch")
    assert (line[gray == paper] == 0).all() and (line[gray == ink] == 255).all()
    assert np.array_equal(normalize_contrast(gray, "none"), 255 - gray)


def test_stretch_clears_noisy_paper(draw_text) -> None:
    clean = draw_text()
    noisy = np.clip(clean + np.random.default_rng(3).normal(0, 6, clean.shape), 0, 255).astype(np.uint8)
    line = normalize_contrast(noisy, "stretch")
    assert (line[clean == 235] == 0).mean() > 0.98 and line[clean == 30].mean() > 240


def test_background_takes_shadows_away(draw_text) -> None:
    clean = draw_text()
    shade = np.ones(clean.shape[1])
    shade[-clean.shape[1] // 4 :] = 0.5
    shadowed = (clean * shade).astype(np.uint8)
    flat = normalize_contrast(shadowed, "background")
    assert (flat[clean == 235] < 40).mean() > 0.95  # all but the shadow's edge
    assert (flat[clean < 60] > 200).mean() > 0.95
    assert (normalize_contrast(shadowed, "stretch")[clean == 235] > 128).mean() > 0.2  # the shadow looks like ink


def test_stretch_does_not_call_a_shadowed_line_blank(draw_text) -> None:
    clean = draw_text()
    line = normalize_contrast((clean * np.linspace(1.0, 0.35, clean.shape[1])).astype(np.uint8), "stretch")
    assert (line[clean == 235] < 40).mean() > 0.99 and (line[clean < 60] > 200).mean() > 0.95


@pytest.mark.parametrize("contrast", ["stretch", "none"])
def test_ink_may_be_the_larger_part(contrast: str) -> None:
    gray = np.full((40, 200), 20, dtype=np.uint8)
    gray[10:30, ::3] = 240
    config = LineFeatures(height=40, crop=False, polarity="dark_on_light", contrast=contrast)  # type: ignore[arg-type]
    line, _ = prepare_line(gray, config)
    assert (line[gray == 20] > 200).all() and (line[gray == 240] < 50).all()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("ink", "paper", "noise"), [(70, 131, 20), (25, 60, 9), (30, 235, 35), (150, 200, 14)])
@pytest.mark.parametrize("contrast", ["stretch", "background"])
def test_noisy_lines_are_legible_and_noise_alone_is_blank(draw_text, ink: int, paper: int, noise: int, contrast: str, seed: int) -> None:
    clean = draw_text()
    text, rng = clean < 128, np.random.default_rng(seed)
    config = LineFeatures(height=80, crop=False, contrast=contrast)  # type: ignore[arg-type]
    gray = np.clip(np.where(text, ink, paper) + rng.normal(0, noise, clean.shape), 0, 255).astype(np.uint8)
    line, _ = prepare_line(gray, config)
    assert line[text].mean() > 130 and line[~text].mean() < 25
    blank = np.clip(paper + rng.normal(0, noise, clean.shape), 0, 255).astype(np.uint8)
    assert not prepare_line(blank, config)[0].any()


def test_dense_type_on_noisy_paper_is_legible(draw_text) -> None:
    clean = draw_text()[22:62]  # tight
    text = clean < 200
    text |= np.roll(text, 1, 1) | np.roll(text, 2, 1) | np.roll(text, 3, 1)
    assert text.mean() > 0.3
    gray = np.clip(np.where(text, 60, 120) + np.random.default_rng(2).normal(0, 14, clean.shape), 0, 255).astype(np.uint8)
    line, _ = prepare_line(gray, LineFeatures(height=40, crop=False))
    assert line[text].mean() > 150 and line[~text].mean() < 60


def test_clean_pictures_are_not_smoothed(draw_text) -> None:
    clean = draw_text()
    for sigma in (0, 1, 3):
        gray = np.clip(clean + np.random.default_rng(1).normal(0, sigma, clean.shape), 0, 255).astype(np.uint8)
        assert smooth_noise(gray) is gray
    noisy = np.clip(clean + np.random.default_rng(1).normal(0, 20, clean.shape), 0, 255).astype(np.uint8)
    assert smooth_noise(noisy)[:8].std() < 0.5 * noisy[:8].std()
