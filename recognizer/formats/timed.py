"""Formats of phoneticians and of evaluations: every word or token of a recording with its times (ctm, TextGrid)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from recognizer.formats.base import Writer, entry_text, printable
from recognizer.types import Token, Transcript, Word

SHORTEST = 1e-6  # seconds below which an interval of a TextGrid is left out


class Ctm(Writer):
    """NIST time-marked words, as sclite reads them: file, channel (1; of two 1 or 2), start, duration, word, confidence if there is one."""

    name, suffix, modality = "ctm", ".ctm", "audio"
    timed = True

    def render(self, transcript: Transcript, name: str | None = None) -> str:
        """A line a word.

        Args:
            transcript: of a recording.
            name: what the recording is called, where others in the same stream have its stem; None: its stem, white space as ``_``.
        """
        name = printable("_".join((Path(transcript.source).stem if name is None else name).split()))
        channel = 2 if transcript.channel == "right" else 1
        lines = []
        for entry in self.entries(transcript):
            confidence = "" if entry.confidence is None else f" {entry.confidence:.4f}"
            lines.append(f"{name} {channel} {entry.start:.3f} {entry.end - entry.start:.3f} {entry_text(entry)}{confidence}")
        return "\n".join(lines)


class TextGrid(Writer):
    """Praat's text format: a tier of words, if any are known, and a tier of tokens."""

    name, suffix, modality = "textgrid", ".TextGrid", "audio"
    timed = True

    def render(self, transcript: Transcript) -> str:
        """The tiers, each without a gap: an interval without text lies between words or tokens that do not touch."""
        self.entries(transcript)
        tiers = [(name, entries) for name, entries in (("words", transcript.words), ("tokens", transcript.tokens)) if entries]
        tiers = tiers or [("words", ())]
        end = max([transcript.seconds or 0.0, *(entry.end for _, entries in tiers for entry in entries)])
        limits = ["xmin = 0", f"xmax = {end:.6f}"]
        lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", *limits, "tiers? <exists>", f"size = {len(tiers)}", "item []:"]
        for n, (name, entries) in enumerate(tiers, start=1):
            intervals = _fill_gaps(entries, end)
            inner = ['class = "IntervalTier"', f'name = "{name}"', *limits, f"intervals: size = {len(intervals)}"]
            lines += [f"    item [{n}]:", *(f"        {line}" for line in inner)]
            for m, (first, last, text) in enumerate(intervals, start=1):
                doubled = text.replace('"', '""')
                lines += [f"        intervals [{m}]:", f"            xmin = {first:.6f}", f"            xmax = {last:.6f}"]
                lines.append(f'            text = "{doubled}"')
        return "\n".join(lines)


def _fill_gaps(entries: Sequence[Word | Token], end: float) -> list[tuple[float, float, str]]:
    """Intervals from 0 to ``end`` that follow each other; entries shorter than a microsecond are left out."""
    intervals, reached = [], 0.0
    for entry in entries:
        if entry.end - max(entry.start, reached) < SHORTEST:
            continue
        if entry.start - reached >= SHORTEST:
            intervals.append((reached, entry.start, ""))
            reached = entry.start
        intervals.append((reached, entry.end, entry_text(entry)))
        reached = entry.end
    if end - reached >= SHORTEST or not intervals:
        intervals.append((reached, end, ""))
    return intervals
