"""Lines of a page by the text detector of RapidOCR, whose boxes are joined to lines.

The detector is a network of PaddleOCR (differentiable binarization, Liao et al. 2020) that ships in the wheel of ``rapidocr``; it is run
from there, and nothing is downloaded.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from recognizer.errors import ConfigError
from recognizer.pages.join import find_lines
from recognizer.pages.segmenter import PageLine

PIXELS = 2000 * 1545  # that the detector gets at a time: a page of A4 at 170 dpi
MIN_SIDE = 736  # pixels, to which the shorter side of a small picture is enlarged, as rapidocr does it
MAX_SIDE = 100_000  # pixels; sizes are chosen here, not by rapidocr
MAX_THIN = 50  # longer by shorter side of a picture beyond which it is no page
TALL = 2.0  # height by width beyond which a page is looked at band by band
CUT_SHARE = 0.25  # of a band, in which the emptiest row is looked for to cut at


class RapidOcrSegmenter:
    """Finds lines with the text detector of ``rapidocr``; about a second a page.

    Raises:
        ConfigError: rapidocr or its engine is not installed, or its wheel holds no detector.
    """

    def __init__(self) -> None:
        try:
            import onnxruntime  # noqa: F401  # named here, as rapidocr asks for it only when it reads its first page
            import rapidocr
        except ImportError as error:
            raise ConfigError(f"--segmenter rapidocr: {error.name or 'rapidocr'} is not installed; pip install 'recognizer[pages]'") from None
        models = sorted((Path(rapidocr.__file__).parent / "models").glob("*det*.onnx"))
        if not models:
            raise ConfigError("--segmenter rapidocr: the installed version brings no detector; pip install 'rapidocr>=3.10'")
        # With a path given rapidocr neither looks for newer models nor downloads any.
        self.detector: Any = rapidocr.RapidOCR(params={
            "Global.log_level": "error", "Global.max_side_len": MAX_SIDE, "Det.limit_side_len": MAX_SIDE, "Det.limit_type": "max",
            "Det.model_path": str(models[-1])})

    def find(self, picture: np.ndarray) -> list[PageLine]:
        """The lines of a page, gray uint8 (H, W), in reading order; see :func:`~recognizer.pages.join.find_lines`."""
        return find_lines(self.find_boxes(picture))

    def find_boxes(self, picture: np.ndarray) -> np.ndarray:
        """Corners (N, 4, 2) of the boxes of text, (x, y) in pixels, each from its top left clockwise."""
        height, width = picture.shape
        if max(width, height) > MAX_THIN * min(width, height):
            return np.empty((0, 4, 2))
        scale = min(max(1.0, MIN_SIDE / min(width, height)), math.sqrt(PIXELS / (width * min(height, TALL * width))))
        small = Image.fromarray(picture)
        if scale != 1:
            small = small.resize((max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.BICUBIC, reducing_gap=2.0)
        gray = np.asarray(small)
        found = []
        for top, bottom in cut_bands(gray, math.ceil(PIXELS / gray.shape[1])):
            result = self.detector(np.repeat(gray[top:bottom, :, None], 3, axis=2), use_det=True, use_cls=False, use_rec=False)
            if result.boxes is not None and len(result.boxes):
                found.append(np.asarray(result.boxes, dtype=np.float64) + np.array([0, top]))
        if not found:
            return np.empty((0, 4, 2))
        return np.concatenate(found) * (width / gray.shape[1], height / gray.shape[0])


def cut_bands(gray: np.ndarray, rows: int) -> list[tuple[int, int]]:
    """First row and row behind the last of bands of about ``rows`` rows of a page (H, W), cut where the rows are emptiest."""
    bands, top = [], 0
    while len(gray) - top > (1 + CUT_SHARE) * rows:
        low, high = top + math.ceil((1 - CUT_SHARE) * rows), top + rows
        changes = np.abs(np.diff(gray[low:high].astype(np.int16), axis=1)).sum(axis=1)
        cut = low + int(changes.argmin())
        bands.append((top, cut))
        top = cut
    return [*bands, (top, len(gray))]
