"""What a run tells while it works: a line that rewrites itself on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TextIO


def duration(seconds: float) -> str:
    """``h:mm:ss`` or ``m:ss``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Progress:
    """Prints how far a task has come, to standard error.

    Args:
        quiet: print nothing at all.
        every: seconds between plain lines where the stream is not a terminal.
    """

    def __init__(self, quiet: bool = False, every: float = 30.0, stream: TextIO | None = None) -> None:
        self.quiet = quiet
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._interval = 0.2 if self._live else every
        self._last = time.monotonic()
        self._shown = False

    def update(self, text: str) -> None:
        """Show ``text`` if the last was shown long enough ago."""
        now = time.monotonic()
        if self.quiet or now - self._last < self._interval:
            return
        self._last = now
        self._write(text, keep=not self._live)
        self._shown = self._live

    def line(self, text: str) -> None:
        """Print a line that stays."""
        if not self.quiet:
            self._write(text, keep=True)
            self._shown = False

    def _write(self, text: str, keep: bool) -> None:
        clear = "\r\x1b[K" if self._shown else ""
        self._stream.write(clear + text + ("\n" if keep else ""))
        self._stream.flush()
