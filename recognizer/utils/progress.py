"""What a command tells while it works: a line that rewrites itself on a terminal, plain lines elsewhere."""

from __future__ import annotations

import atexit
import os
import sys
import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.live import Live

BAR_WIDTH = 20  # characters


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
        stream: where to print, in place of standard error.
    """

    def __init__(self, quiet: bool = False, every: float = 30.0, stream: TextIO | None = None) -> None:
        self.quiet = quiet
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._interval = 0.2 if self._terminal else every
        self._last = time.monotonic()
        self._live: Live | None = None

    def update(self, text: str, share: float | None = None) -> None:
        """Show ``text`` if the last was shown long enough ago; on a terminal behind a bar where the ``share`` that is done is known."""
        now = time.monotonic()
        if self.quiet or now - self._last < self._interval:
            return
        self._last = now
        if self._terminal:
            self._show(text, share)
        else:
            print(text, file=self._stream, flush=True)

    def line(self, text: str) -> None:
        """Print a line that stays."""
        if not self.quiet:
            self.close()
            print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """Take away the line that rewrites itself; call it before other output to the terminal."""
        if self._live is not None:
            self._live.stop()
            atexit.unregister(self._live.stop)
            self._live = None

    def _show(self, text: str, share: float | None) -> None:
        from rich.console import Console, RenderableType
        from rich.live import Live
        from rich.text import Text

        line: RenderableType = Text(text, no_wrap=True, overflow="ellipsis")  # no markup: brackets in file names stay as they are
        if share is not None:
            from rich.progress_bar import ProgressBar
            from rich.table import Table

            grid = Table.grid(padding=(0, 1))
            grid.add_row(ProgressBar(1.0, min(1.0, share), width=BAR_WIDTH), line)
            line = grid
        if self._live is None:
            # results on standard output must not pass through the console; and no thread, since worker processes are forked
            self._live = Live(
                console=Console(file=self._stream), auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
            )
            atexit.register(self._live.stop)  # the cursor comes back also where a task ends early
            self._live.start()
        self._live.update(line, refresh=True)
