"""Plain text and tables: txt and tsv."""

from __future__ import annotations

from pathlib import Path

from recognizer.formats.base import Writer, entry_text
from recognizer.formats.collect import TextCollector
from recognizer.types import Transcript


class Txt(Writer):
    """The bare text."""

    name, suffix = "txt", ".txt"

    def render(self, transcript: Transcript) -> str:
        """The text."""
        return transcript.text

    def collect(self, folder: Path) -> TextCollector:
        """The pages of a source with a form feed between them."""
        return TextCollector(self, folder, "\f")


class Tsv(Writer):
    """A table with a line a word: start, end, text; seconds, pixels from the left of a line image, or points of a prepared pen trace."""

    name, suffix = "tsv", ".tsv"
    timed = True

    def render(self, transcript: Transcript) -> str:
        """The table under its headings."""
        rows = [f"{entry.start:.3f}\t{entry.end:.3f}\t{entry_text(entry)}" for entry in self.entries(transcript)]
        return "\n".join(["start\tend\ttext", *rows])
