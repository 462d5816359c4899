"""Manifests of any length: the items stay on disk, and memory holds where each line begins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, overload

import numpy as np

from recognizer.data.manifest import Item, parse_item
from recognizer.errors import ManifestError

BLOCK = 16 << 20  # bytes that are looked through at a time
READ_AHEAD = 1 << 12  # lines whose offsets are taken out of the array together
BOM = b"\xef\xbb\xbf"


class ManifestItems(Sequence[Item]):
    """The items of manifests, each read from its file when it is asked for.

    It takes 8 bytes of memory a line, and a process that gets a copy (a worker that reads training data) takes no more. A line is judged
    when it is read: whatever reads the item meets the :class:`~recognizer.errors.ManifestError` that names file and line. The files must not
    change meanwhile.

    Args:
        paths: of the manifests, whose items follow each other.
        offsets: (N,) uint64, where the line of each item begins in its file.
        bounds: of each file, the number of items before it; the number of all at the end.
    """

    def __init__(self, paths: Sequence[Path], offsets: np.ndarray, bounds: np.ndarray) -> None:
        self.paths, self._offsets, self._bounds = tuple(paths), offsets, bounds

    @classmethod
    def open(cls, paths: Iterable[str | Path]) -> ManifestItems:
        """Look through manifests once for where their lines begin.

        Raises:
            ManifestError: one of them cannot be read, or holds no items.
        """
        files = [Path(path) for path in paths]
        parts = [_find_lines(path) for path in files]
        return cls(files, np.concatenate(parts), np.cumsum([0, *map(len, parts)]))

    def __len__(self) -> int:
        return len(self._offsets)

    @overload
    def __getitem__(self, index: int) -> Item: ...

    @overload
    def __getitem__(self, index: slice) -> ManifestItems: ...

    def __getitem__(self, index: int | slice) -> Item | ManifestItems:
        """One item, or some of them in order.

        Raises:
            ManifestError: the line is no item; the message begins with ``file:line``.
        """
        if isinstance(index, slice):
            return self.select(range(len(self))[index])
        place = range(len(self))[index]
        path = self.paths[int(np.searchsorted(self._bounds, place, "right")) - 1]
        offset = int(self._offsets[place])
        try:
            with path.open("rb") as file:  # opened anew: workers that were forked would share one that is open
                file.seek(offset)
                line = file.readline()
        except OSError as error:
            raise _unreadable(path, error) from None
        return _parse(line, path, offset)

    def __iter__(self) -> Iterator[Item]:
        for path, begin, end in zip(self.paths, self._bounds, self._bounds[1:], strict=False):
            try:
                with path.open("rb") as file:
                    yield from self._read(file, path, self._offsets[begin:end])
            except OSError as error:
                raise _unreadable(path, error) from None

    def select(self, places: Sequence[int] | np.ndarray) -> ManifestItems:
        """The items at these places, which must increase."""
        chosen = np.asarray(places, dtype=np.int64)
        if (np.diff(chosen) <= 0).any():
            raise ValueError("places of items must increase")
        return ManifestItems(self.paths, self._offsets[chosen], np.searchsorted(chosen, self._bounds))

    def check_ids(self) -> None:
        """Read all items once and make sure that no two have the same id.

        It takes 16 bytes of memory an item meanwhile, for digests of the ids; items with equal digests are read again and compared.

        Raises:
            ManifestError: two items have the same id, or a line is no item.
        """
        digests = np.fromiter((hash(item.id) for item in self), dtype=np.int64, count=len(self))
        ordered = np.sort(digests)
        repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
        first: dict[str, int] = {}
        for place in np.flatnonzero(np.isin(digests, repeated)).tolist() if len(repeated) else ():
            identity = self[place].id
            if identity in first:
                raise ManifestError(f"{self._where(place)}: the id {identity!r} is already in {self._where(first[identity], place)}")
            first[identity] = place

    def _read(self, file: BinaryIO, path: Path, offsets: np.ndarray) -> Iterator[Item]:
        position = 0
        for begin in range(0, len(offsets), READ_AHEAD):
            for offset in offsets[begin : begin + READ_AHEAD].tolist():
                if offset != position:  # blank lines, or items that were not selected
                    file.seek(offset)
                line = file.readline()
                position = offset + len(line)
                yield _parse(line, path, offset)

    def _where(self, place: int, beside: int | None = None) -> str:
        """File and line of an item; the line alone where ``beside`` is an item of the same file."""
        part, other = (int(np.searchsorted(self._bounds, each, "right")) - 1 for each in (place, place if beside is None else beside))
        number = _line_number(self.paths[part], int(self._offsets[place]))
        return f"line {number}" if beside is not None and part == other else f"{self.paths[part]}:{number}"


def _find_lines(path: Path) -> np.ndarray:
    """Where the lines of a file begin that are not blank, (N,) uint64."""
    parts: list[np.ndarray] = []
    try:
        with path.open("rb") as file:
            position = len(BOM) if file.read(len(BOM)) == BOM else 0
            file.seek(position)
            rest = b""  # the line that the last block ended in
            while block := file.read(BLOCK):
                block = rest + block
                end = block.rfind(b"\n") + 1
                parts.append(_lines_of(block[:end]) + np.uint64(position))
                rest, position = block[end:], position + end
            parts.append(_lines_of(rest) + np.uint64(position))
    except FileNotFoundError:
        raise ManifestError(f"{path}: no such manifest; make one with `recognizer prepare`") from None
    except OSError as error:
        raise _unreadable(path, error) from None
    offsets = np.concatenate(parts)
    if not len(offsets):
        raise ManifestError(f"{path}: the manifest is empty")
    return offsets


def _lines_of(block: bytes) -> np.ndarray:
    """Where the lines of a block begin that are not blank, (N,) uint64."""
    content = np.frombuffer(block, dtype=np.uint8)
    ends = np.append(np.flatnonzero(content == ord("\n")), len(content))  # the line after the last end of line may be empty
    starts = np.append(0, ends[:-1] + 1)
    starts, ends = starts[starts < ends], ends[starts < ends]
    doubtful = np.flatnonzero(content[starts] != ord("{"))
    blank = [place for place in doubtful.tolist() if not block[starts[place] : ends[place]].strip()]
    return np.delete(starts, blank).astype(np.uint64)


def _parse(line: bytes, path: Path, offset: int) -> Item:
    try:
        return parse_item(line.decode("utf-8"), path, offset)
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}:{_line_number(path, offset)}: not UTF-8 text ({error.reason} at byte {error.start} of the line)") from None
    except ManifestError as error:  # it names the offset, as lines are not counted until one is wrong
        raise ManifestError(f"{path}:{_line_number(path, offset)}{str(error).removeprefix(f'{path}:{offset}')}") from None


def _line_number(path: Path, offset: int) -> int:
    """Which line begins at an offset, from 1."""
    number = 1
    with path.open("rb") as file:
        while offset > 0 and (block := file.read(min(BLOCK, offset))):
            number += block.count(b"\n")
            offset -= len(block)
    return number


def _unreadable(path: Path, error: OSError) -> ManifestError:
    return ManifestError(f"{path}: cannot read the manifest: {error.strerror}")
