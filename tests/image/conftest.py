"""A printed line of text."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont


def _draw(text: str = "the quick brown fox jumps over", ink: int = 30, paper: int = 235) -> np.ndarray:
    font = ImageFont.load_default(size=40)
    left, top, right, bottom = font.getbbox(text)
    picture = Image.new("L", (int(right - left) + 40, 80), paper)
    ImageDraw.Draw(picture).text((20 - left, (80 - bottom - top) / 2), text, fill=ink, font=font)
    return np.array(picture)


@pytest.fixture(scope="session")
def draw_text() -> Callable[..., np.ndarray]:
    """Draws a line of text, gray uint8 (80, W)."""
    return _draw
