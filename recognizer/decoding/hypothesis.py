"""A hypothesis: the labels a decoder reads from one utterance or line, where they begin and how likely they are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Hypothesis:
    """One decoding of one utterance or line. Scores are natural logarithms.

    Attributes:
        labels: CTC labels without blanks, in order.
        frames: as many numbers as ``labels``: the frame in which each label's run begins (greedy), or was last appended to
            the prefix before it (beam), counted in encoder outputs.
        score: ``acoustic + language + bonus``.
        acoustic: of the path the labels were read from (greedy), or of all paths the beam kept (beam); 0 without frames.
        language: of the n-gram models, each times its weight.
        bonus: what insertion, unknown words and hotwords added.
        words: words by a lexicon or word model, in order; empty where the decoder knows none.
        spans: for each of ``words`` its first label and the one after its last, as positions in ``labels``.
    """

    labels: tuple[int, ...]
    frames: tuple[int, ...]
    score: float
    acoustic: float = 0.0
    language: float = 0.0
    bonus: float = 0.0
    words: tuple[str, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()
