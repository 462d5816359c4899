"""Files inside tar archives, read by a path that goes on inside: ``shards/train-000000.tar/u17.flac``.

Archives are plain tar files. One that was written by :func:`~recognizer.data.shards.write_shards` has an index beside it, so that a member is found
without looking through the archive; any other is looked through once.
"""

from __future__ import annotations

import errno
import json
import os
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from recognizer.errors import InputError

ARCHIVE = ".tar"
INDEX = ".json"  # in place of the archive's ending: {"members": {name: [offset, size]}}
WAITS = (1.0, 5.0, 25.0)  # seconds before a read is tried again that failed as reads do when storage is away for a while
PASSING = frozenset({errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN, errno.ENETUNREACH, errno.EREMOTEIO})


def find_archive(path: str | os.PathLike[str]) -> Path | None:
    """The archive that a path leads into; None for all other paths."""
    return next((parent for parent in Path(path).parents if parent.suffix == ARCHIVE and not parent.is_dir()), None)


def file_size(path: str | os.PathLike[str]) -> int | None:
    """Bytes of a file, inside an archive or not; None where there is none."""
    archive = find_archive(path)
    try:
        return Path(path).stat().st_size if archive is None else _read_index(archive)[_name_in(archive, path)][1]
    except (OSError, KeyError, InputError):
        return None


def is_member(path: str | os.PathLike[str]) -> bool:
    """Whether a path leads to a file inside an archive."""
    return find_archive(path) is not None and file_size(path) is not None


def read_member(path: str | os.PathLike[str]) -> bytes:
    """The content of a file inside an archive.

    Raises:
        InputError: the archive or the file in it is missing or broken off; the message begins with the path.
    """
    archive = find_archive(path)
    if archive is None:
        raise InputError(f"{path}: leads into no {ARCHIVE} archive")
    try:
        place = _read_index(archive).get(_name_in(archive, path))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if place is None:
        raise InputError(f"{path}: no such file in the archive, or the archive is broken off before it")
    offset, size = place
    for wait in (*WAITS, None):
        try:
            with archive.open("rb") as file:
                file.seek(offset)
                data = file.read(size)
            break
        except OSError as error:
            if error.errno not in PASSING or wait is None:
                raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
            time.sleep(wait)
    if len(data) < size:
        raise InputError(f"{path}: the archive is broken off")
    return data


@contextmanager
def as_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """The file itself, or a temporary copy of one inside an archive, under its own name.

    Raises:
        InputError: as :func:`read_member`.
    """
    if find_archive(path) is None:
        yield Path(path)
        return
    data = read_member(path)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / Path(path).name
        copy.write_bytes(data)
        yield copy


def members(archive: Path) -> dict[str, tuple[int, int]]:
    """Names of the files in an archive, in its order, each with where its content begins and how many bytes it has.

    Of an archive that is broken off, those that come before.

    Raises:
        InputError: it cannot be read, or is none.
    """
    found: dict[str, tuple[int, int]] = {}
    try:
        with tarfile.open(archive, "r:") as opened:
            for member in opened:
                if member.isfile():
                    found[member.name] = (member.offset_data, member.size)
    except FileNotFoundError:
        raise InputError(f"{archive}: no such archive") from None
    except (OSError, tarfile.TarError, EOFError) as error:
        if not found:
            raise InputError(f"{archive}: not a plain {ARCHIVE} archive that can be read ({error})") from None
    return found


def _name_in(archive: Path, path: str | os.PathLike[str]) -> str:
    return Path(path).relative_to(archive).as_posix()


def _read_index(archive: Path) -> dict[str, tuple[int, int]]:
    try:
        state = archive.stat()
    except OSError as error:
        raise InputError(f"{archive}: cannot be read: {error.strerror or error}") from None
    return _read_index_once(archive, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=1024)
def _read_index_once(archive: Path, size: int, changed: int) -> dict[str, tuple[int, int]]:
    try:
        written = json.loads(archive.with_suffix(INDEX).read_bytes())
        return {name: (offset, size) for name, (offset, size) in written["members"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # none, or a file of another purpose
        return members(archive)
