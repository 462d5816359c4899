"""A table (.csv, .tsv, .jsonl; with or without header row) that names a recording or an image and its transcript in each row."""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from recognizer.data.manifest import Item
from recognizer.data_prep.common import clean_text, read_text
from recognizer.errors import ConfigError, InputError, nearest
from recognizer.utils.reading import parse_json

CORPUS = "table"
COLUMNS = {
    "source": "path of the file, relative to the table",
    "text": "transcript",
    "units": "transcript in units such as phones, separated by spaces",
    "group": "speaker or writer",
    "split": "split of the row",
}
ALIASES = {"source": ("file_name",), "text": ("transcription", "sentence")}  # as metadata.jsonl and .csv of public data sets have them
SPLITS = {"training": "train", "val": "dev", "valid": "dev", "validation": "dev", "development": "dev", "testing": "test"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the names of the columns, ``--where``, ``--delimiter`` and ``--quoting``."""
    for role, meaning in COLUMNS.items():
        parser.add_argument(f"--{role}-column", metavar="COLUMN", help=f"{meaning} (default: the column '{role}')")
    parser.add_argument("--where", action="append", metavar="COLUMN=VALUE",
                        help="only rows with this value; repeatable: one of the values of each column named")
    parser.add_argument("--delimiter", metavar="CHARACTER", help="between columns; 'tab' for a tabulator (default: by the suffix)")
    parser.add_argument("--quoting", choices=("auto", "standard", "none"), default="auto",
                        help="whether quotation marks enclose fields: yes in .csv; in others only if all fields with a mark look so (default: auto)")


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Read the rows in order; columns without a role go to ``meta``.

    Raises:
        InputError: the table cannot be read; ConfigError: a column is missing or an option makes no sense.
    """
    if not source.is_file():
        raise InputError(f"{source}: give the table itself, not its folder")
    text = read_text(source)
    if source.suffix.lower() == ".jsonl":
        rows = _read_objects(source, text, options)
    else:
        delimiter = _choose_delimiter(source, options.delimiter)
        rows = read_rows(source, text, delimiter, _is_quoted(source, text, delimiter, options))
    number, header = next(rows, (1, []))
    named = {column for role in COLUMNS if (column := getattr(options, f"{role}_column")) is not None}
    has_names = source.suffix.lower() == ".jsonl" or bool(named & set(header)) or not _is_row(header, source.parent)
    if not has_names:
        rows = chain([(number, header)], rows)
        header, options = _name_columns(source, header, options)
    elif len(set(header)) != len(header) or not header:
        raise InputError(f"{source}:{number}: the first line must name the columns, each once")
    roles = _assign_columns(source, header, options)
    wanted = _parse_conditions(source, header, options.where or [])
    seen: dict[str, set[str]] = defaultdict(set)
    for number, row in rows:
        if len(row) != len(header):
            options.drop(InputError(f"{source}:{number}: {len(row)} columns where the first line has {len(header)}"))
            continue
        values = dict(zip(header, row, strict=True))
        for column in wanted:
            seen[column].add(values[column])
        if all(values[column] in allowed for column, allowed in wanted.items()):
            try:
                yield _make_item(f"{source}:{number}", source.parent, values, roles)
            except InputError as error:
                options.drop(error)
    for column, allowed in wanted.items():
        for value in sorted(allowed - seen[column]):
            options.note(f"{source}: no row has {column}={value}{nearest(value, seen[column])}")


def _is_row(header: list[str], folder: Path) -> bool:
    """Whether the first line is a row already: one of its fields names a file."""
    return any(_names_file(field, folder) for field in header)


def _names_file(field: str, folder: Path) -> bool:
    from recognizer.audio.io import AUDIO_SUFFIXES
    from recognizer.image.io import IMAGE_SUFFIXES
    from recognizer.strokes.io import STROKE_SUFFIXES

    known = Path(field).suffix.lower() in AUDIO_SUFFIXES | IMAGE_SUFFIXES | STROKE_SUFFIXES
    return known or (0 < len(field) < 256 and "\0" not in field and os.path.isfile(folder / field))


def _name_columns(source: Path, row: list[str], options: argparse.Namespace) -> tuple[list[str], argparse.Namespace]:
    """Names "1", "2" ... for the columns of a table without header row; the file is in the one that names one, the text in the other of two.

    Raises:
        ConfigError: there are more than two columns and nobody says which is the transcript.
    """
    header = [str(number) for number in range(1, len(row) + 1)]
    chosen = dict(vars(options))
    if chosen["source_column"] is None:
        chosen["source_column"] = next(name for name, field in zip(header, row, strict=True) if _names_file(field, source.parent))
    if chosen["text_column"] is None and chosen["units_column"] is None:
        others = [name for name in header if name != chosen["source_column"] and name not in {chosen[f"{role}_column"] for role in COLUMNS}]
        if len(others) != 1:
            raise ConfigError(f"--text-column: {source} has no header row and {len(row)} columns; which is the transcript? ({', '.join(header)})")
        chosen["text_column"] = others[0]
    options.note(f"{source}: has no header row; its columns are called {', '.join(header)}, "
                 f"{chosen['source_column']} names the files and {chosen['text_column'] or chosen['units_column']} is the transcript")
    return header, argparse.Namespace(**chosen)


def _make_item(where: str, folder: Path, values: dict[str, str], roles: dict[str, str]) -> Item:
    named = values[roles["source"]]
    path = folder / named
    if not named or not path.is_file():
        raise InputError(f"{where}: no such file: {path}")
    text = clean_text(values[roles["text"]]) if "text" in roles else None
    units = tuple(values[roles["units"]].split()) if "units" in roles else None
    if not text and not units:
        raise InputError(f"{where}: the transcript is empty")
    group = values[roles["group"]] if "group" in roles else None
    if group == "":
        raise InputError(f"{where}: the column {roles['group']!r} is empty, so this row has no group")
    meta = {column: value for column, value in values.items() if value and column not in roles.values()}
    if "split" in roles:
        split = values[roles["split"]]
        if not split:
            raise InputError(f"{where}: the column {roles['split']!r} is empty, so this row has no split")
        meta["split"] = SPLITS.get(split.lower(), split)
    return Item(Path(named).with_suffix("").as_posix().lstrip("/"), path, text=text, units=units, group=group, meta=meta)


def _assign_columns(source: Path, header: list[str], options: argparse.Namespace) -> dict[str, str]:
    """Column of each role; a role nobody named takes the column that bears its name, if there is one."""
    roles: dict[str, str] = {}
    for role in COLUMNS:
        column = getattr(options, f"{role}_column")
        if column is not None:
            _check_column(f"--{role}-column {column}", column, source, header)
        known = (column,) if column is not None else (role, *ALIASES.get(role, ()))
        if (found := next((name for name in known if name in header), None)) is not None:
            roles[role] = found
    if "source" not in roles:
        raise ConfigError(f"--source-column: which of the columns of {source} names the files? ({', '.join(header)})")
    if "text" not in roles and "units" not in roles:
        raise ConfigError(f"--text-column: which of the columns of {source} is the transcript? ({', '.join(header)})")
    return roles


def _parse_conditions(source: Path, header: list[str], conditions: list[str]) -> dict[str, set[str]]:
    wanted: dict[str, set[str]] = defaultdict(set)
    for condition in conditions:
        column, equals, value = condition.partition("=")
        if not equals:
            raise ConfigError(f"--where {condition}: expected COLUMN=VALUE")
        _check_column(f"--where {condition}", column, source, header)
        wanted[column].add(value)
    return wanted


def _check_column(option: str, column: str, source: Path, header: list[str]) -> None:
    if column not in header:
        raise ConfigError(f"{option}: {source} has no column {column!r}{nearest(column, header)} ({', '.join(header)})")


def read_rows(source: Path, text: str, delimiter: str, quoted: bool) -> Iterator[tuple[int, list[str]]]:
    """Line number (the last, where a quoted field spans several) and fields of each row of ``text`` that is not blank.

    Raises:
        InputError: quotation marks do not pair; ``source`` names the table.
    """
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=delimiter, strict=True) if quoted else csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        raise InputError(f"{source}:{reader.line_num}: {error}; are the quotation marks part of the text (--quoting none)?") from None


def _read_objects(source: Path, text: str, options: argparse.Namespace) -> Iterator[tuple[int, list[str]]]:
    """The rows of a file with a JSON object a line: first all keys that occur, then the values, "" where one is missing or null."""
    objects: list[tuple[int, dict[str, Any]]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            record = parse_json(line, f"{source}:{number}")
        except InputError as error:
            options.drop(error)
            continue
        if isinstance(record, dict):
            objects.append((number, record))
        else:
            options.drop(InputError(f"{source}:{number}: expected a JSON object"))
    header = list(dict.fromkeys(key for _, record in objects for key in record))
    if header:
        yield 1, header
    for number, record in objects:
        yield number, [_show(record.get(key)) for key in header]


def _show(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)


def _choose_delimiter(source: Path, given: str | None) -> str:
    delimiter = {"tab": "\t", "\\t": "\t", None: {".csv": ",", ".tsv": "\t"}.get(source.suffix.lower())}.get(given, given)
    if delimiter is None:
        raise ConfigError(f"--delimiter: {source} ends neither in .csv nor in .tsv; what separates its columns?")
    if len(delimiter) != 1:
        raise ConfigError(f"--delimiter {delimiter}: must be one character or 'tab'")
    return delimiter


def _is_quoted(source: Path, text: str, delimiter: str, options: argparse.Namespace) -> bool:
    if options.quoting != "auto":
        return bool(options.quoting == "standard")
    if source.suffix.lower() == ".csv":
        return True
    marked = [field for line in text.splitlines() if '"' in line for field in line.split(delimiter) if '"' in field]
    quoted = bool(marked) and all(map(_looks_quoted, marked))
    if quoted:
        options.note(f"{source}: {len(marked)} fields are enclosed in quotation marks, which are taken off (--quoting none keeps them)")
    return quoted


def _looks_quoted(field: str) -> bool:
    """Whether a field is what a CSV writer makes of one with a quotation mark in it: quoted, the marks inside doubled."""
    inside = field[1:-1]
    return len(field) > 1 and field[0] == field[-1] == '"' and '""' in inside and '"' not in inside.replace('""', "")
