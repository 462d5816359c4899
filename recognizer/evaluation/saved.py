"""Saved results: what `recognizer evaluate -o DIR` left behind, read back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recognizer.alphabet import Level
from recognizer.errors import InputError, ManifestError
from recognizer.evaluation.score import Scored

SCORES = "scores.json"
HYPOTHESES = "hypotheses.jsonl"


@dataclass(frozen=True)
class Result:
    """What one recogniser made of a manifest.

    Attributes:
        name: the folder.
        level: of the transcripts.
        items: in the order of the manifest.
        protocol: name of the one it was scored by, if any.
        bundle, manifest, decoder: where it came from, as far as is known.
    """

    name: str
    level: Level
    items: tuple[Scored, ...]
    protocol: str | None = None
    bundle: str | None = None
    manifest: str | None = None
    decoder: str | None = None


def load_result(folder: str | Path) -> Result:
    """Read a folder that ``recognizer evaluate -o`` wrote.

    Raises:
        InputError: a file is missing.
        ManifestError: a file is damaged; the message begins with ``file`` or ``file:line``.
    """
    folder = Path(folder)
    record = _parse_object(_read(folder / SCORES), str(folder / SCORES))
    level = record.get("level")
    if level not in ("characters", "units"):
        raise ManifestError(f"{folder / SCORES}: 'level' must be 'characters' or 'units'; run `recognizer evaluate -o` again")
    items: dict[str, Scored] = {}
    for number, line in enumerate(_read(folder / HYPOTHESES).split("\n"), start=1):
        if line.strip():
            place = f"{folder / HYPOTHESES}:{number}"
            item = _parse_item(_parse_object(line, place), place)
            if item.id in items:
                raise ManifestError(f"{place}: the id {item.id!r} occurs twice")
            items[item.id] = item
    if not items:
        raise ManifestError(f"{folder / HYPOTHESES}: has no items")
    protocol = record.get("protocol") or {}
    known = {key: record[key] if isinstance(record.get(key), str) else None for key in ("bundle", "manifest", "decoder")}
    return Result(str(folder), level, tuple(items.values()), protocol.get("name") if isinstance(protocol, dict) else None, **known)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path}: no such file; write it with `recognizer evaluate BUNDLE MANIFEST -o {path.parent}`") from None
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


def _parse_object(text: str, place: str) -> dict[str, Any]:
    try:
        record = json.loads(text)
    except json.JSONDecodeError as error:
        raise ManifestError(f"{place}: not JSON: {error.msg} at column {error.colno}") from None
    if not isinstance(record, dict):
        raise ManifestError(f"{place}: expected a JSON object")
    return record


def _parse_item(record: dict[str, Any], place: str) -> Scored:
    for key in ("id", "reference", "hypothesis"):
        if not isinstance(record.get(key), str):
            raise ManifestError(f"{place}: the key {key!r} must be a string")
    group, meta = record.get("group"), record.get("meta") or {}
    if not (group is None or isinstance(group, str)) or not isinstance(meta, dict):
        raise ManifestError(f"{place}: 'group' must be a string and 'meta' an object")
    return Scored(record["id"], record["reference"], record["hypothesis"], group, meta)
