"""What several corpora share: reading texts, writing pictures, telling groups from file names, checking published counts."""

from __future__ import annotations

import argparse
import re
import unicodedata
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recognizer.errors import ConfigError, InputError, nearest
from recognizer.utils.files import write_bytes

if TYPE_CHECKING:
    from PIL import Image

_MAX_CAUSES = {False: 20, True: 3}  # deviations that are noted, without and with --partial


def clean_text(text: str) -> str:
    """NFC, without line breaks (each becomes a space) and without white space at the ends."""
    return " ".join(line.strip() for line in unicodedata.normalize("NFC", text).strip().splitlines() if line.strip())


def read_units(units: Any, where: str | Path) -> tuple[str, ...] | None:
    """The units of a JSON object, None where it has none.

    Raises:
        InputError: they are no list of strings without white space; the message begins with ``where``.
    """
    if units is None:
        return None
    if not isinstance(units, list) or not all(isinstance(unit, str) and unit.split() == [unit] for unit in units):
        raise InputError(f"{where}: the units are {units!r:.80}, not a list of strings without white space")
    return tuple(units)


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


def read_texts(source: Path) -> list[str]:
    """The cleaned text of a file, or of every .txt file in a folder; raises InputError as :func:`read_text`."""
    return [clean_text(read_text(file)) for file in (sorted(source.rglob("*.txt")) if source.is_dir() else [source])]


def write_picture(path: Path, picture: Image.Image) -> None:
    """Write a picture as PNG, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    write_bytes(path, buffer.getvalue())


def make_grouper(rule: str, named: dict[str, Callable[[str], str | None]], base: Path) -> Callable[[str], str | None]:
    """The function from a relative path (with "/") to a speaker or writer that a ``--group-by`` rule means.

    Args:
        rule: a key of ``named`` or a regular expression, searched for in the path, whose first capture group is the group.
        named: rules that have a name.
        base: what the paths are relative to, for messages.

    Raises:
        ConfigError: ``rule`` is neither. The function returned raises InputError for a path that does not match.
    """
    if rule in named:
        return named[rule]
    try:
        pattern = re.compile(rule)
    except re.error as error:
        raise ConfigError(f"--group-by {rule}: not a regular expression: {error}") from None
    if not pattern.groups:
        raise ConfigError(f"--group-by {rule}: neither {' nor '.join(named)} nor a regular expression with a (capture group){nearest(rule, named)}")

    def group(path: str) -> str:
        found = pattern.search(path)
        if not found or not found[1]:
            raise InputError(f"{base / path}: has no group, as --group-by {rule} does not match it")
        return found[1]

    return group


def add_partial_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--partial``."""
    parser.add_argument("--partial", action="store_true", help="go on with a copy whose counts are not the published ones")


def report_deviations(corpus: str, source: Path, causes: Sequence[str], counts: Sequence[str], options: argparse.Namespace) -> None:
    """Note what a copy of a published corpus lacks or has besides (``causes``) and which ``counts`` differ; nothing if there is neither.

    Raises:
        InputError: something differs and ``options.partial`` is not set.
    """
    if not causes and not counts:
        return
    shown = _MAX_CAUSES[options.partial]
    for line in [*causes[:shown], *([f"... and {len(causes) - shown} more of this kind"] if len(causes) > shown else []), *counts]:
        options.note(line)
    if not options.partial:
        first, *others = *causes, *counts
        more = f" (deviations besides: {len(others)})" if others else ""
        raise InputError(f"{source}: not {corpus} as published: {first}{more}; mend the copy, or say --partial to do without the published counts")
    options.note(f"{source}: the counts are not the published ones; no score on these sets can stand beside a published one")
