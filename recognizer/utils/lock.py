"""A lock on a folder that ends with the process that holds it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from recognizer.errors import OutputError, RecognizerError


@contextmanager
def locked(path: Path, busy: str, error: type[RecognizerError] = OutputError) -> Iterator[None]:
    """Keep other processes out of what a lock file stands for within the block.

    The file holds the id of the process. What counts is the system's lock on it, which ends with the process however that ends: a
    file that is left behind locks nobody out, whatever process has that id by then. Where there are no such locks (Windows, some
    network drives), nobody is kept out.

    Args:
        path: the lock file; its folder exists.
        busy: message where another process holds the lock; ``%s`` stands for its id.
        error: of what kind it is.

    Raises:
        RecognizerError: of that kind: another process holds the lock.
        OutputError: the file cannot be written.
    """
    file = _open(path)
    while _take(file) and not _is_at(file, path):  # its holder removed it after it was opened here
        file.close()
        file = _open(path)
    with file:
        if not _take(file):
            file.seek(0)
            raise error(busy.replace("%s", file.read().strip()))
        try:
            _sign(path, file)
            yield
        finally:
            with suppress(OSError):  # Windows does not delete an open file
                path.unlink()


def find_holder(path: Path) -> str | None:
    """The id of the other process that holds a lock; None where none does, or the system does not tell."""
    try:
        file = path.open("r+", encoding="ascii")
    except OSError:
        return None
    with file:
        return None if _take(file) else file.read().strip()


def _open(path: Path) -> IO[str]:
    try:
        return path.open("a+", encoding="ascii")
    except OSError as failure:
        raise OutputError(f"{path}: cannot be written: {failure.strerror or failure}") from failure


def _is_at(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def _sign(path: Path, file: IO[str]) -> None:
    """Write the id of this process; unbuffered, so that nothing is left to be written where the disk is full."""
    try:
        os.ftruncate(file.fileno(), 0)
        os.write(file.fileno(), f"{os.getpid()}\n".encode())
    except OSError as failure:
        raise OutputError(f"{path}: cannot be written: {failure.strerror or failure}") from failure


def _take(file: IO[str]) -> bool:
    try:
        import fcntl

        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # unlike flock, it is not inherited by worker processes
    except (BlockingIOError, PermissionError):
        return False
    except (ImportError, OSError):
        pass
    return True
