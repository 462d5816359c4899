"""Output files and folders: a file appears whole or not at all, and a failure is one line that names it."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from recognizer.errors import OutputError

PARTIAL = ".partial"  # ending of a file that is still being written
MAX_NAME = 255  # bytes of a file's name that common file systems take


def open_folder(name: str | Path) -> Path:
    """The folder that results go to, made if need be.

    Raises:
        OutputError: it cannot be made.
    """
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made: {error.strerror}") from None
    return folder


def check_target(name: str | Path) -> Path:
    """Where a file of this name is written: a link leads on to its target.

    Raises:
        OutputError: a folder, a device or something else that is no regular file has this name.
    """
    path = Path(name)
    try:
        target = Path(os.path.realpath(path)) if path.is_symlink() else path
        kind = target.stat().st_mode
    except FileNotFoundError:
        return target
    except (OSError, ValueError) as error:  # the latter: a null character in the name
        raise OutputError(f"{path}: cannot be written: {getattr(error, 'strerror', None) or error}") from None
    if not stat.S_ISREG(kind):
        found = "is a folder" if stat.S_ISDIR(kind) else "is not a regular file"
        raise OutputError(f"{path}: cannot be written: {found}; name another file")
    return target


@contextmanager
def new_file(name: str | Path) -> Iterator[Path]:
    """Where to write a file within the block; at its end the file gets its name, and until then an older one keeps it.

    Whatever fails within the block, the older file stays as it was and nothing of the new one is left.

    Raises:
        OutputError: it cannot be written, or its name is that of something else than a file.
    """
    target = check_target(name)
    partial = _partial(target)
    try:
        partial.unlink(missing_ok=True)  # left by a process that was killed; a link would lead elsewhere
        yield partial
        partial.replace(target)
    except OSError as error:
        raise OutputError(f"{name}: cannot be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


@contextmanager
def named_failures(place: str | Path) -> Iterator[None]:
    """Let a failure of writing that names no file name ``place``, a folder of temporary files, say.

    Raises:
        OutputError: writing failed within the block.
    """
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        raise OutputError(f"{place}: cannot be written: {error.strerror or error}") from None


def write_bytes(name: str | Path, data: bytes) -> None:
    """Write a file, whole or not at all; raises as :func:`new_file`."""
    with new_file(name) as partial:
        partial.write_bytes(data)


def write_text(name: str | Path, text: str) -> None:
    """Write a text file (UTF-8; names of files that are not stay the bytes that they were) as :func:`write_bytes` does."""
    write_bytes(name, _encode(name, text))


def write_texts(texts: Mapping[Path, str]) -> None:
    """Write several text files that belong together: all are complete on disk before any gets its name.

    The old ones are removed first. A process that is killed meanwhile leaves some of the files, all old or all new, and never a mixture that
    could be taken for one result.

    Raises:
        OutputError: one of them cannot be written; if the disk is full none is changed.
    """
    with ExitStack() as stack:
        for path, text in texts.items():
            stack.enter_context(new_file(path)).write_bytes(_encode(path, text))
        remove_files(texts)


def remove_files(names: Iterable[str | Path]) -> None:
    """Remove files that are about to be replaced together; one that is not there is no error.

    Raises:
        OutputError: one of them cannot be removed, or is no regular file.
    """
    for name in names:
        try:
            check_target(name).unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"{name}: cannot be replaced: {error.strerror or error}") from None


def append_bytes(name: str | Path, data: bytes) -> None:
    """Add to the end of a file, all or nothing.

    Raises:
        OutputError: it cannot be written; the file is as long as before.
    """
    target = check_target(name)
    size = target.stat().st_size if target.exists() else None
    try:
        with target.open("ab") as file:
            file.write(data)
    except OSError as error:
        with suppress(OSError):
            if size is None:
                target.unlink(missing_ok=True)
            else:
                os.truncate(target, size)
        raise OutputError(f"{name}: cannot be written: {error.strerror or error}") from None


def _encode(name: str | Path, text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise OutputError(f"{name}: cannot be written: {text[error.start]!r} is no character of Unicode") from None


def _partial(target: Path) -> Path:
    name = os.fsencode(target.name + PARTIAL)
    return target.with_name(target.name + PARTIAL if len(name) <= MAX_NAME else hashlib.sha256(name).hexdigest() + PARTIAL)
