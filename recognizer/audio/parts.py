"""Parts of a file that are recordings of their own, and files that show one part only."""

from __future__ import annotations

import io
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from recognizer.errors import InputError

Data = mmap.mmap | bytes


@dataclass(frozen=True)
class Part:
    """Bytes of a file that are one recording.

    Attributes:
        start, stop: its first byte and the one after its last.
        prefix: a header to be read in front of them.
        samples: of MP3, per channel in all its frames; 0: not counted.
        states_length: of MP3 and FLAC, whether it says how long it is.
        most_seconds, most_samples: more than the bytes can hold; None: not known.
    """

    start: int
    stop: int
    prefix: bytes = b""
    samples: int = 0
    states_length: bool = True
    most_seconds: float | None = None
    most_samples: int | None = None


@dataclass
class Layout:
    """The parts of a file in order, and what a user should know about them, one sentence each."""

    parts: list[Part]
    notes: list[str] = field(default_factory=list)


class RangeFile(io.RawIOBase):
    """A part of an open file as a file of its own, behind a prefix; closes the file when it is closed."""

    def __init__(self, path: str | Path, part: Part) -> None:
        self._file = open(path, "rb")  # noqa: SIM115  # lives as long as this object
        self._part, self._place = part, 0
        self._size = len(part.prefix) + part.stop - part.start

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move as files do."""
        self._place = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence])
        return self._place

    def tell(self) -> int:
        """The place from the beginning of the prefix."""
        return self._place

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer as far as the part reaches."""
        prefix = self._part.prefix
        if self._place < len(prefix):
            data = prefix[self._place : self._place + len(buffer)]
        else:
            self._file.seek(self._part.start + self._place - len(prefix))
            data = self._file.read(max(0, min(len(buffer), self._size - self._place)))
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)

    def close(self) -> None:
        """Close the file as well."""
        self._file.close()
        super().close()


@contextmanager
def map_file(path: Path) -> Iterator[mmap.mmap]:
    """The bytes of a file, read as they are asked for."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data


def broken_off(path: str | Path) -> InputError:
    """The error of a recording that ends before its header says."""
    return InputError(f"{path}: the recording is broken off (shorter than its header says); copy it again")
