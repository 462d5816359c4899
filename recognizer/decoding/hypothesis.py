"""A hypothesis: the labels a decoder reads from one utterance or line, where they begin and how likely they are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Hypothesis:
    """One decoding of one utterance or line.

    Attributes:
        labels: CTC labels without blanks, in order.
        frames: as many numbers as ``labels``: the frame in which each label's run begins, counted in encoder outputs.
        score: natural log probability of the path the labels were read from; 0 where there are no frames.
    """

    labels: tuple[int, ...]
    frames: tuple[int, ...]
    score: float
