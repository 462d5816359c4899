"""Subtitles (srt, vtt): timed words in cues of one or two lines, short enough to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from xml.sax.saxutils import escape

from recognizer.errors import ConfigError
from recognizer.formats.base import Writer, xml_text
from recognizer.types import Transcript, Word

MAX_SECONDS = 7.0  # longest cue
MIN_SECONDS = 1.0  # a cue stays this long unless the next one begins before
PAUSE_SECONDS = 0.6  # a silence this long ends a cue
SENTENCE_ENDS = ".!?\u2026\u3002"
CLAUSE_ENDS = ",;:"


@dataclass(frozen=True)
class CueLayout:
    """How large the cues of subtitles may be.

    Attributes:
        max_line_width: characters in a line, at least 1; a longer word stays whole. 42 is what most broadcasters have.
        max_line_count: lines in a cue, at least 1.
        max_words_per_line: at least 1; None: as many as there is room for.
    """

    max_line_width: int = 42
    max_line_count: int = 2
    max_words_per_line: int | None = None

    def __post_init__(self) -> None:
        """Raises ConfigError if a number is below 1."""
        for name, value in vars(self).items():
            if value is not None and value < 1:
                raise ConfigError(f"--{name.replace('_', '-')}: {value} is not a number of 1 or more")


class Cue(NamedTuple):
    """What is shown at one time, its lines separated by newlines; times in seconds."""

    start: float
    end: float
    text: str


class Subtitles(Writer):
    """What both kinds of subtitles have in common."""

    modality = "audio"
    timed = True

    def __init__(self, layout: CueLayout | None = None) -> None:
        """``layout``: None: lines of 42 characters, two to a cue."""
        self.layout = layout or CueLayout()

    def with_options(self, **options: int | None) -> Writer:
        """The writer with the options that are not None, which are those of :class:`CueLayout`."""
        return type(self)(CueLayout(**{name: value for name, value in options.items() if value is not None}))

    def cues(self, transcript: Transcript) -> list[Cue]:
        """The cues of a transcript."""
        return cut_cues(self.words(transcript), transcript.seconds, self.layout)


class Srt(Subtitles):
    """SubRip subtitles."""

    name, suffix = "srt", ".srt"

    def render(self, transcript: Transcript) -> str:
        """Numbered cues with their times, a blank line after each but the last."""
        cues = self.cues(transcript)
        return "\n\n".join(f"{n}\n{_clock(c.start, ',')} --> {_clock(c.end, ',')}\n{c.text}" for n, c in enumerate(cues, start=1))


class Vtt(Subtitles):
    """WebVTT subtitles."""

    name, suffix = "vtt", ".vtt"

    def render(self, transcript: Transcript) -> str:
        """The heading, then cues with their times."""
        cues = self.cues(transcript)
        return "\n\n".join(["WEBVTT", *(f"{_clock(c.start, '.')} --> {_clock(c.end, '.')}\n{escape(c.text)}" for c in cues)])


def cut_cues(words: Sequence[Word], seconds: float | None = None, layout: CueLayout | None = None) -> list[Cue]:
    """Cues of at most ``MAX_SECONDS`` within a layout, in order, never overlapping.

    A cue ends at every pause. Speech without a pause is cut into the fewest cues possible, and of these cuts into the one
    whose cues are most alike in length and end where sentences do; so are cues into lines. A word that is longer than a line
    or lasts longer than a cue stays whole.

    Args:
        words: in order, with times in seconds.
        seconds: where the recording ends; no cue stays longer.
        layout: None: two lines of 42 characters.
    """
    layout = layout or CueLayout()
    groups: list[Sequence[Word]] = []
    begin = 0
    for end in range(1, len(words) + 1):
        if end == len(words) or words[end].start - words[end - 1].end >= PAUSE_SECONDS:
            groups += _cut_evenly(words[begin:end], layout, layout.max_line_count, MAX_SECONDS)
            begin = end
    cues: list[Cue] = []
    for n, group in enumerate(groups):
        limit = groups[n + 1][0].start if n + 1 < len(groups) else (seconds if seconds is not None else float("inf"))
        start, stop = max(group[0].start, cues[-1].end if cues else 0.0), group[-1].end
        stop = max(stop, min(start + MIN_SECONDS, limit))
        lines = _cut_evenly(group, layout, 1, float("inf"))
        cues.append(Cue(start, max(start, stop), "\n".join(" ".join(xml_text(word.text) for word in line) for line in lines)))
    return cues


def _cut_evenly(words: Sequence[Word], layout: CueLayout, lines: int, seconds: float) -> list[Sequence[Word]]:
    """The best cut of words without a pause between them into pieces of so many lines and seconds (Knuth & Plass 1981)."""
    width, most = layout.max_line_width, layout.max_words_per_line
    best: list[tuple[int, float, int]] = [(0, 0.0, 0), *[(len(words) + 1, 0.0, 0)] * len(words)]  # pieces, cost, last cut of the first n words
    for begin in range(len(words)):
        pieces, cost, _ = best[begin]
        line, length, filled, total = 1, 0, 0, -1  # lines begun; characters and words in the last; characters in all
        for end in range(begin + 1, len(words) + 1):
            size = len(words[end - 1].text)
            if filled and (length + 1 + size > width or filled == most):
                line, length, filled = line + 1, size, 1
            else:
                length, filled = length + size + (1 if filled else 0), filled + 1
            total += size + 1
            if end > begin + 1 and (line > lines or words[end - 1].end - words[begin].start > seconds):
                break
            full = total / (width * lines) if most is None else max(total / (width * lines), (end - begin) / (most * lines))
            slack = max(0.0, 1.0 - full)
            found = (pieces + 1, cost + slack**2 + (_cut_cost(words[end - 1].text) if end < len(words) else 0.0), begin)
            best[end] = min(best[end], found)
    cut: list[Sequence[Word]] = []
    end = len(words)
    while end > 0:
        cut.append(words[best[end][2] : end])
        end = best[end][2]
    return cut[::-1]


def _cut_cost(text: str) -> float:
    """What a cut after a word costs; an empty line costs 1."""
    return 0.0 if text[-1:] in SENTENCE_ENDS else 0.1 if text[-1:] in CLAUSE_ENDS else 0.3


def _clock(seconds: float, point: str) -> str:
    """``hh:mm:ss.mmm`` with ``point`` before the milliseconds."""
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{milliseconds // 1000:02d}{point}{milliseconds % 1000:03d}"
