"""Transcripts as files hold them."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from recognizer.errors import InputError


def clean_text(text: str) -> str:
    """NFC, without line breaks (each becomes a space) and without white space at the ends."""
    return " ".join(line.strip() for line in unicodedata.normalize("NFC", text).strip().splitlines() if line.strip())


def read_text(path: Path) -> str:
    """The whole of a text file, a byte order mark removed.

    Raises:
        InputError: it cannot be read or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
