"""Gray levels: polarity under shadows, paper to 0 and ink to 255."""

from __future__ import annotations

import numpy as np
import pytest

from recognizer.config import LineFeatures
from recognizer.image.contrast import is_light_on_dark, normalize_contrast
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
