"""Lines cut out of pages, and the way back to the page."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image, ImageDraw

from recognizer.pages.cut import cut_level, cut_line, is_same


@pytest.mark.parametrize("share", [0.2, 0.7])
def test_outside_of_an_outline_is_painted_as_paper_however_dense_the_ink(share: float) -> None:
    pixels = np.full((60, 200), 180, dtype=np.uint8)
    ink = np.random.default_rng(1).random((30, 160)) < share
    pixels[15:45, 20:180][ink] = 40
    cut, _ = cut_line(Image.fromarray(pixels), [(15, 12), (190, 10), (185, 50), (10, 48)], masked=True)
    assert np.asarray(cut)[0, 0] == np.asarray(cut)[-1, -1] == 180


@pytest.mark.parametrize("angle", [-9.0, 0.0, 5.0])
@pytest.mark.parametrize("box", [False, True])
def test_points_of_a_cut_are_found_on_the_page_again(angle: float, box: bool) -> None:
    """A dark dot of the page is dark in the cut at the place that from_page gives, and back."""
    sine, cosine = math.sin(math.radians(angle)), math.cos(math.radians(angle))

    def turn(x: float, y: float) -> tuple[float, float]:
        return 300 + cosine * x - sine * y, 150 + sine * x + cosine * y

    page = Image.new("L", (600, 300), 220)
    outline = [turn(*corner) for corner in ((-200, -25), (200, -25), (200, 25), (-200, 25))]
    dots = [turn(-150, 10), turn(120, -8)]
    for x, y in dots:
        ImageDraw.Draw(page).ellipse((x - 4, y - 4, x + 4, y + 4), fill=20)
    if box:
        xs, ys = zip(*outline, strict=True)
        outline = [(min(xs), min(ys)), (max(xs), max(ys))]
    cut = cut_level(page, outline, [turn(-190, 12), turn(190, 12)])
    assert cut.angle == pytest.approx(angle, abs=0.01)
    inside = cut.from_page(dots)
    assert cut.to_page(inside) == [pytest.approx(dot, abs=1e-6) for dot in dots]
    pixels = np.asarray(cut.picture)
    assert all(pixels[round(y - 0.5), round(x - 0.5)] < 100 for x, y in inside)
    assert inside[1][1] - inside[0][1] == pytest.approx(-18, abs=0.5)  # level in the cut
    assert len({round(y, 3) for _, y in cut.baseline}) == 1


def test_two_boxes_of_one_line() -> None:
    assert is_same((0, 0, 100, 20), (2, 1, 100, 22)) and is_same((0, 0, 100, 20), (10, 2, 40, 18))
    assert not is_same((0, 0, 100, 20), (0, 18, 100, 38)) and not is_same((0, 0, 10, 10), (20, 0, 30, 10))
