"""Output files and folders: a file appears whole or not at all, and a failure is one line that names it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from recognizer.errors import InputError

PARTIAL = ".partial"  # ending of a file that is still being written


def open_folder(name: str | Path) -> Path:
    """The folder that results go to, made if need be.

    Raises:
        InputError: it cannot be made.
    """
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made: {error.strerror}") from None
    return folder


def write_texts(texts: Mapping[Path, str]) -> None:
    """Write several text files (UTF-8) that belong together: all are complete on disk before the first replaces an old one.

    A process that is killed meanwhile leaves every file as it was or as it should be, never half.

    Raises:
        InputError: one of them cannot be written; none is changed then.
    """
    partials = {path: path.with_name(path.name + PARTIAL) for path in texts}
    place = Path()
    try:
        for place, text in texts.items():
            partials[place].write_text(text, encoding="utf-8")
        for place, partial in partials.items():
            partial.replace(place)
    except OSError as error:
        for partial in partials.values():
            if partial.parent.is_dir():
                partial.unlink(missing_ok=True)
        raise InputError(f"{place}: cannot be written: {error.strerror}") from None


def write_text(path: Path, text: str) -> None:
    """Write one text file (UTF-8) as :func:`write_texts` does."""
    write_texts({path: text})
