"""Subtitles (srt, vtt): timed words cut into lines short enough to read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

from recognizer.formats.base import Writer, xml_text
from recognizer.types import Transcript, Word

MAX_LINE_LENGTH = 42  # characters, as most broadcasters have it
MAX_SECONDS = 7.0
MIN_SECONDS = 1.0  # a line stays this long unless the next one begins before
PAUSE_SECONDS = 0.6  # a silence this long ends a line
SENTENCE_ENDS = ".!?\u2026\u3002"
CLAUSE_ENDS = ",;:"


class Cue(NamedTuple):
    """One line of subtitles; times in seconds."""

    start: float
    end: float
    text: str


class Srt(Writer):
    """SubRip subtitles."""

    name, suffix, modality = "srt", ".srt", "audio"
    timed = True

    def render(self, transcript: Transcript) -> str:
        """Numbered lines with their times, a blank line after each but the last."""
        cues = cut_cues(self.words(transcript), transcript.seconds)
        return "\n\n".join(f"{n}\n{_clock(c.start, ',')} --> {_clock(c.end, ',')}\n{c.text}" for n, c in enumerate(cues, start=1))


class Vtt(Writer):
    """WebVTT subtitles."""

    name, suffix, modality = "vtt", ".vtt", "audio"
    timed = True

    def render(self, transcript: Transcript) -> str:
        """The heading, then lines with their times."""
        cues = cut_cues(self.words(transcript), transcript.seconds)
        return "\n\n".join(["WEBVTT", *(f"{_clock(c.start, '.')} --> {_clock(c.end, '.')}\n{escape(c.text)}" for c in cues)])


def cut_cues(words: Sequence[Word], seconds: float | None = None) -> list[Cue]:
    """Lines of at most ``MAX_LINE_LENGTH`` characters and ``MAX_SECONDS``, in order, never overlapping.

    A line ends at every pause. Speech without a pause is cut into the fewest lines possible, and of these cuts into the one
    whose lines are most alike in length and end where sentences do. A single word longer than a line stays whole.

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
        cues.append(Cue(start, max(end_time, min(start + MIN_SECONDS, limit)), " ".join(xml_text(word.text) for word in line)))
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
            if begin < end - 1 and (length > MAX_LINE_LENGTH or words[end - 1].end - words[begin].start > MAX_SECONDS):
                break
            slack = max(0, MAX_LINE_LENGTH - length) / MAX_LINE_LENGTH
            lines, cost = best[begin]
            options.append((lines + 1, cost + slack**2 + (_cut_cost(words[end - 1].text) if end < len(words) else 0.0), begin))
        lines, cost, begin = min(options)
        best.append((lines, cost))
        cuts.append(begin)
    found, end = [], len(words)
    while end > 0:
        found.append(words[cuts[end] : end])
        end = cuts[end]
    return found[::-1]


def _cut_cost(text: str) -> float:
    """What a cut after a word costs; an empty line costs 1."""
    return 0.0 if text[-1:] in SENTENCE_ENDS else 0.1 if text[-1:] in CLAUSE_ENDS else 0.3


def _clock(seconds: float, point: str) -> str:
    """``hh:mm:ss.mmm`` with ``point`` before the milliseconds."""
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{milliseconds // 1000:02d}{point}{milliseconds % 1000:03d}"
