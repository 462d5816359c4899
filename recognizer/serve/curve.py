"""Error against corrections: how wrong what was read turned out to be, correction after correction."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from recognizer.data.project import Correction
from recognizer.evaluation.edits import characters

WINDOW = 20  # corrections over which the error is averaged


def error_curve(corrections: Iterable[Correction]) -> list[dict[str, Any]]:
    """A point for each correction of something that had been read, in the order of time.

    Each has ``n``, ``time``, ``model``, the number of ``errors`` and of characters (``reference``) of its own, and ``rate``: the character
    error rate over the last ``WINDOW`` of them.
    """
    points: list[dict[str, Any]] = []
    recent: deque[tuple[int, int]] = deque(maxlen=WINDOW)
    read = [correction for correction in corrections if correction.read is not None]
    for number, correction in enumerate(sorted(read, key=lambda each: (each.time, each.id)), start=1):
        errors, reference = count_errors(correction.text, correction.read or "")
        recent.append((errors, reference))
        total = sum(length for _, length in recent)
        rate = sum(wrong for wrong, _ in recent) / total if total else 0.0
        point = {"n": number, "time": correction.time, "model": correction.model, "errors": errors, "reference": reference}
        points.append(point | {"rate": round(rate, 4)})
    return points


def count_errors(reference: str, hypothesis: str) -> tuple[int, int]:
    """Character errors of a hypothesis, and the length of the reference; runs of white space count as one space."""
    import editdistance

    expected, found = (characters(" ".join(text.split())) for text in (reference, hypothesis))
    return int(editdistance.eval(expected, found)), len(expected)
