"""A recording that comes on standard input."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from recognizer.errors import InputError
from recognizer.jobs.job import Job, Plan

NAME = "standard input"


@contextmanager
def spool_recording(stream: IO[bytes] | None = None) -> Iterator[Plan]:
    """A plan for the recording on standard input, which is kept in a temporary file within the block.

    Args:
        stream: in place of standard input.

    Raises:
        InputError: there is nothing on it, or no room for it.
    """
    source = stream or sys.stdin.buffer
    if source.isatty():
        raise InputError(f"{NAME}: is a terminal; send a recording to it: cat x.wav | recognizer transcribe --stdin-audio")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "stdin"
        try:
            with copy.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
        except OSError as error:
            raise InputError(f"{NAME}: cannot be kept in {folder}: {error.strerror or error}; set TMPDIR to a folder with more room") from None
        yield Plan([Job(NAME, "stdin", "audio", "stdin", str(copy))])
