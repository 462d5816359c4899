"""Files of a project: names that are safe everywhere, writes that are on the disk before they are answered, and one program at a time."""

from __future__ import annotations

import hashlib
import json
import os
import re
import unicodedata
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from recognizer.errors import InputError, OutputError
from recognizer.utils.files import new_file
from recognizer.utils.lock import locked
from recognizer.utils.reading import parse_json

ID_LENGTH = 16  # hexadecimal digits of the SHA-256 of a file that become its id
MAX_STEM = 80  # characters kept of a name, so that an id and an ending fit behind it whatever the alphabet
MAX_RECORD = 64 << 20  # bytes of a JSON file
LOCK = "lock"

_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]')  # for a file system, or for who reads the name
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)  # devices of Windows


def safe_name(name: str) -> str:
    """The last part of a file's name as every file system takes it; folders, control characters and leading dots are gone."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode("utf-8")))[-1]
    last = _UNSAFE.sub("_", last).strip(" .")
    stem, dot, ending = last.rpartition(".")
    if not dot or len(ending) > 10:
        stem, ending = last, ""
    stem = stem[:MAX_STEM].strip(" .") or "unnamed"
    if _RESERVED.match(stem):
        stem = "_" + stem
    return f"{stem}.{ending}" if ending else stem


def safe_folders(name: str, depth: int = 4) -> list[str]:
    """The folders in front of a file's name, each made safe; at most ``depth`` of them, the last ones."""
    parts = [part for part in re.split(r"[/\\]", name)[:-1] if part.strip(" .")]
    return [safe_name(part) for part in parts[-depth:]]


def content_id(path: Path) -> str:
    """The id of a file: the first digits of the SHA-256 of its content.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:ID_LENGTH]
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None


def save_record(path: Path, record: dict[str, Any]) -> None:
    """Write a JSON file; when this returns, it is on the disk whatever happens to the machine.

    Raises:
        OutputError: it cannot be written; the older file is as it was.
    """
    data = (json.dumps(record, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "replace")
    with new_file(path) as partial, partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


def load_record(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds one object.

    Raises:
        InputError: it is missing, damaged or of another form.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_RECORD + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(data) > MAX_RECORD:
        raise InputError(f"{path}: larger than {MAX_RECORD >> 20} MiB, which no file of a project is")
    record = parse_json(data, str(path))
    if not isinstance(record, dict):
        raise InputError(f"{path}: expected a JSON object")
    return record


def remove_record(path: Path) -> None:
    """Remove a file, and have that on the disk; one that is not there is no error.

    Raises:
        OutputError: it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be removed: {error.strerror or error}") from None
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk, where the system knows how."""
    with suppress(OSError, AttributeError):  # Windows opens no folders, and does this by itself
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def lock_folder(folder: Path) -> AbstractContextManager[None]:
    """Keep other processes that ask for the same from serving a project within a block (:func:`~recognizer.utils.lock.locked`).

    Raises:
        InputError: another process serves it, or the folder cannot be written to.
    """
    return locked(folder / LOCK, f"{folder}: process %s serves this project; stop it first, or use its page", InputError)
