"""What there is to see of a network at work on one source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from recognizer.config import Modality
from recognizer.decoding.timing import Clock, Token


@dataclass(frozen=True)
class Panel:
    """One image of units over time, or of a map.

    Attributes:
        group: whose it is; panels of one group follow each other.
        name: of a gate or state.
        values: (T, units), a row a frame of log-probs; of a map its columns (W, rows), the uppermost row first.
        stride: feature frames that a column of a map stands for; None: no map.
    """

    group: str
    name: str
    values: np.ndarray
    stride: int | None = None


@dataclass(frozen=True)
class Saliency:
    """What of the input some symbols hang on.

    Attributes:
        weights: (N, rows) absolute gradients, as many rows as the picture of the features.
        norms: (N,) of the gradient in each feature frame.
        symbol: number from 0 of the symbol; None: all together.
        reach: of one symbol: frames of log-probs on either side of it, by the share of the norms that lies within.
    """

    weights: np.ndarray
    norms: np.ndarray
    symbol: int | None = None
    reach: Mapping[float, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Inspection:
    """What there is to draw of one source.

    Attributes:
        name, text: of the source, and what was read.
        content: samples (n,), columns (N, H) of the prepared line, ink 255, or points (N, 5) of the prepared trace.
        features: (N, rows), frames as the network gets them; None where they are the columns.
        clock: of the frames of log-probs; ``stride`` feature frames are one of them.
        posteriors: (T, V) probabilities, the blank first; ``symbols`` names the others.
        tokens: the symbols read; ``emitted`` is the frame of each in which it is likeliest.
        saliency: None: not asked for.
        panels: gates and states.
    """

    name: str
    text: str
    modality: Modality
    content: np.ndarray
    features: np.ndarray | None
    clock: Clock
    stride: int
    posteriors: np.ndarray
    symbols: tuple[str, ...]
    tokens: tuple[Token, ...]
    emitted: tuple[int, ...]
    saliency: Saliency | None
    panels: tuple[Panel, ...]

    def places(self, frames: np.ndarray | float) -> Any:
        """Where frames of log-probs lie, in seconds, pixels or points."""
        return self.clock.offset + np.asarray(frames) * self.clock.step
