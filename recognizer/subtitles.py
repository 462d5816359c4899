"""Subtitles: timed words cut into lines that can be read while they are heard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from recognizer.decoding.timing import Word

LONGEST_LINE = 42  # characters, as most broadcasters have it
LONGEST_SECONDS = 7.0
SHORTEST_SECONDS = 1.0  # a line stays this long if the next one leaves it the time
PAUSE_SECONDS = 0.6  # a silence from which on a new line begins
SENTENCE_ENDS = ".!?\u2026\u3002"
CLAUSE_ENDS = ",;:"


class Cue(NamedTuple):
    """One line of subtitles; times in seconds."""

    start: float
    end: float
    text: str


def cut_cues(words: Sequence[Word], seconds: float | None = None) -> list[Cue]:
    """Lines of at most ``LONGEST_LINE`` characters and ``LONGEST_SECONDS``, in order, never overlapping.

    A line ends at every pause; stretches without one are cut into the fewest lines possible, of those cuts into the one whose
    lines are most alike in length and end where sentences do. A single word that is too long by itself stays whole.

    Args:
        words: in order, with times in seconds.
        seconds: where the recording ends; no line stays longer.
    """
    lines: list[Sequence[Word]] = []
    begin = 0
    for end in range(1, len(words) + 1):
        if end == len(words) or words[end].start - words[end - 1].end >= PAUSE_SECONDS:
            lines += _cut_evenly(words[begin:end])
            begin = end
    cues = []
    for n, line in enumerate(lines):
        limit = lines[n + 1][0].start if n + 1 < len(lines) else (seconds if seconds is not None else float("inf"))
        start, end_time = line[0].start, line[-1].end
        cues.append(Cue(start, max(end_time, min(start + SHORTEST_SECONDS, limit)), " ".join(word.text for word in line)))
    return cues


def _cut_evenly(words: Sequence[Word]) -> list[Sequence[Word]]:
    """The best cut of words without a pause between them, found from left to right (Knuth & Plass 1981)."""
    best: list[tuple[int, float]] = [(0, 0.0)]  # lines and cost of the first n words
    cuts = [0]
    for end in range(1, len(words) + 1):
        options = []
        length = -1
        for begin in range(end - 1, -1, -1):
            length += len(words[begin].text) + 1
            if begin < end - 1 and (length > LONGEST_LINE or words[end - 1].end - words[begin].start > LONGEST_SECONDS):
                break
            slack = max(0, LONGEST_LINE - length) / LONGEST_LINE
            lines, cost = best[begin]
            options.append((lines + 1, cost + slack**2 + (_reluctance(words[end - 1].text) if end < len(words) else 0.0), begin))
        lines, cost, begin = min(options)
        best.append((lines, cost))
        cuts.append(begin)
    found, end = [], len(words)
    while end > 0:
        found.append(words[cuts[end] : end])
        end = cuts[end]
    return found[::-1]


def _reluctance(text: str) -> float:
    """What a cut after a word costs, where a line as short as nothing costs 1."""
    return 0.0 if text[-1:] in SENTENCE_ENDS else 0.1 if text[-1:] in CLAUSE_ENDS else 0.3
