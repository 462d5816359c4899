"""Lines of a page by the segmenter of kraken (Kiessling 2020, a modular region and text line layout analysis system)."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from PIL import Image

from recognizer.errors import ConfigError
from recognizer.pages.segmenter import PageLine


class KrakenSegmenter:
    """Finds baselines and outlines with the model that ships with ``kraken``; slower, and better with sloping and curved lines.

    Raises:
        ConfigError: kraken is not installed.
    """

    def __init__(self) -> None:
        try:
            from kraken import blla
        except ImportError as error:
            missing = "kraken is not installed" if (error.name or "kraken") == "kraken" else f"kraken cannot be loaded ({error})"
            raise ConfigError(f"--segmenter kraken: {missing}; pip install 'kraken<8'") from None
        self.segment: Any = blla.segment

    def find(self, picture: np.ndarray) -> list[PageLine]:
        """The lines of a page, gray uint8 (H, W), in the reading order that kraken finds."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is to change in kraken 8
            segmentation = self.segment(Image.fromarray(picture))
        lines: list[PageLine] = []
        numbers: dict[str, str] = {}  # of regions, whose ids kraken draws by chance
        for line in segmentation.lines:
            if line.boundary is None or len(line.boundary) < 3:
                continue
            outline, baseline = (tuple((float(x), float(y)) for x, y in points) for points in (line.boundary, line.baseline or ()))
            owner = (line.regions or [""])[0]
            region = numbers.setdefault(owner, f"region_{len(numbers) + 1}")
            lines.append(PageLine(f"line_{len(lines) + 1}", outline, baseline, region))
        return lines
