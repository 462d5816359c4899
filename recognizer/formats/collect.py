"""One file of the pages of a source: pages are added as they are read, and kept on disk until the file is whole."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from recognizer.types import Transcript
from recognizer.utils.files import named_failures, new_file

if TYPE_CHECKING:
    from recognizer.formats.base import Writer


class Collector(Protocol):
    """Makes one file of the transcripts of pages."""

    def add(self, transcript: Transcript) -> None:
        """Take the next page.

        Raises:
            InputError: it lacks what the format needs, or cannot be written.
        """

    def save(self, target: Path) -> None:
        """Write the file, whole or not at all.

        Raises:
            OutputError: it cannot be written.
        """

    def close(self) -> None:
        """Remove what was kept on disk."""


class TextCollector:
    """Texts of pages, one after the other.

    Args:
        writer: of the text of a page.
        folder: where pages are kept until then.
        separator: between two pages; a page that is left out is empty.
    """

    def __init__(self, writer: Writer, folder: Path, separator: str = "") -> None:
        self._writer, self._folder, self._separator = writer, folder, separator.encode()
        self._page = 1
        with named_failures(folder):
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by close()

    def add(self, transcript: Transcript) -> None:
        """Take the next page."""
        content = self._writer.render_bytes(transcript)
        number = transcript.page or self._page
        with named_failures(self._folder):
            self._file.write(self._separator * (number - self._page) + content)
        self._page = number

    def save(self, target: Path) -> None:
        """Write the file, whole or not at all."""
        with named_failures(self._folder):
            self._file.seek(0)
        with new_file(target) as partial, partial.open("wb") as file:
            shutil.copyfileobj(self._file, file)

    def close(self) -> None:
        """Remove what was kept on disk."""
        self._file.close()
