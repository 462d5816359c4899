"""Manifests: one JSON object a line, each naming a recording, a line image or a pen trace and its transcript."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recognizer.config import AudioFeatures, Features, TextConfig
from recognizer.errors import InputError, ManifestError, nearest
from recognizer.text.bidi import to_visual
from recognizer.text.normalize import clean, fold_case
from recognizer.utils.files import new_file, open_folder, remove_files
from recognizer.utils.reading import parse_json

MAX_LENGTH = 10**9  # seconds or pixels of an item
HELD = 32 << 20  # bytes of a manifest whose items are held in memory, which take about ten times that
KEYS = ("id", "source", "text", "units", "seconds", "width", "group", "meta")


@dataclass(frozen=True)
class Item:
    """One utterance or line.

    Attributes:
        id: unique within its manifest.
        source: the file, absolute once loaded.
        text: transcript as a string; ``units``: transcript as a sequence (phones, say). Either may be absent.
        seconds: duration of a recording or a pen trace; ``width``: width of an image in pixels; for information only.
        group: speaker or writer; splits and confidence intervals go by it.
        meta: anything else (sex, dialect, split, times ...). ``"empty": true`` says that the transcript is empty on purpose:
            the recording holds no speech, the paper no writing.
    """

    id: str
    source: Path
    text: str | None = None
    units: tuple[str, ...] | None = None
    seconds: float | None = None
    width: int | None = None
    group: str | None = None
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether the item is marked as holding nothing to recognize."""
        return self.meta.get("empty") is True

    def transcript(self, level: str) -> str | tuple[str, ...] | None:
        """``text`` for level "characters", ``units`` for level "units"."""
        return self.text if level == "characters" else self.units


def target(item: Item, config: TextConfig) -> str | tuple[str, ...] | None:
    """The cleaned transcript of an item at the configured level; None where the manifest has none."""
    if config.level == "units":
        return None if item.units is None else tuple(fold_case(unit, config) for unit in item.units)
    return None if item.text is None else clean(item.text, config)


def target_in_frames(item: Item, config: TextConfig, features: Features) -> str | tuple[str, ...] | None:
    """The :func:`target` in the order of the frames: right-to-left text of line images and pen traces in visual order.

    This is what a network learns and what is aligned with its log-probs; scores compare :func:`target` with what was read back.
    """
    found = target(item, config)
    return to_visual(found) if isinstance(found, str) and not isinstance(features, AudioFeatures) else found


def load_manifest(path: str | Path) -> Sequence[Item]:
    """Read a manifest, or the corrections of a project (:mod:`recognizer.data.project`).

    A manifest of more than ``HELD`` bytes stays on disk (:class:`~recognizer.data.manifest_index.ManifestItems`): its lines are judged when
    they are read, and ids that occur twice are found by ``check_ids``.

    Raises:
        ManifestError: no such file, no items, a line that is not a JSON object with the known keys and types, or an id
            that occurs twice. The message begins with ``file:line``.
    """
    path = Path(path)
    if path.is_file() and path.stat().st_size > HELD:
        from recognizer.data.manifest_index import ManifestItems

        return ManifestItems.open([path])
    if path.is_dir():
        from recognizer.data.project import is_project, read_corrections

        if is_project(path):
            return read_corrections(path)
    items: list[Item] = []
    lines: dict[str, int] = {}
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                item = parse_item(line, path, number)
                if item.id in lines:
                    raise ManifestError(f"{path}:{number}: the id {item.id!r} is already in line {lines[item.id]}")
                lines[item.id] = number
                items.append(item)
    except FileNotFoundError:
        raise ManifestError(f"{path}: no such manifest; make one with `recognizer prepare`") from None
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    except OSError as error:
        raise ManifestError(f"{path}: cannot read the manifest: {error.strerror}") from None
    if not items:
        raise ManifestError(f"{path}: the manifest is empty")
    return items


def save_manifest(items: Iterable[Item], path: str | Path) -> int:
    """Write a manifest, sources relative to it where they share a folder tree; return the number of items.

    The file appears whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    path = Path(path)
    open_folder(path.parent)
    with new_file(path) as partial:
        return _write(items, path, partial)


def save_manifests(manifests: Mapping[Path, Iterable[Item]], place_files: Callable[[], None] | None = None) -> None:
    """Write manifests that belong together, as the splits of a corpus do: a process that is killed leaves no mixture of old and new ones.

    Args:
        manifests: items by file.
        place_files: gives the files that the items name their places; it is called when the old manifests are gone and before the new
            ones are there, so that none names files that are not its own.

    Raises:
        OutputError: one of them cannot be written; if the disk is full none is changed.
    """
    with ExitStack() as stack:
        for path, items in manifests.items():
            open_folder(path.parent)
            _write(items, path, stack.enter_context(new_file(path)))
        remove_files(manifests)
        if place_files is not None:
            place_files()


def _write(items: Iterable[Item], path: Path, partial: Path) -> int:
    """Write the manifest that will lie at ``path``; returns the number of items."""
    count = 0
    with partial.open("w", encoding="utf-8", newline="\n") as file:
        for line in _lines(items, path.parent.resolve()):
            file.write(line + "\n")
            count += 1
    return count


def _lines(items: Iterable[Item], folder: Path) -> Iterator[str]:
    for item in items:
        yield json.dumps(describe_item(item) | {"source": Path(os.path.relpath(item.source, folder)).as_posix()}, ensure_ascii=False)


def describe_item(item: Item) -> dict[str, Any]:
    """The JSON object of an item in a manifest, with an absolute source."""
    record: dict[str, Any] = {"id": item.id, "source": item.source.as_posix()}
    for key in KEYS[2:-1]:
        value = getattr(item, key)
        if value is not None:
            record[key] = list(value) if key == "units" else value
    return record | ({"meta": item.meta} if item.meta else {})


def parse_item(line: str, path: Path, number: int) -> Item:
    """The item of one line of a manifest.

    Args:
        line: with or without the end of line.
        path: of the manifest, which sources are relative to; ``number``: of the line. Both are for errors, too.

    Raises:
        ManifestError: it is not a JSON object with the known keys and types.
    """

    def fail(message: str) -> ManifestError:
        return ManifestError(f"{path}:{number}: {message}")

    try:
        record = parse_json(line.rstrip("\r\n"), f"{path}:{number}")
    except InputError as error:
        raise ManifestError(str(error)) from None
    if not isinstance(record, dict):
        raise fail("expected a JSON object")
    for key in record:
        if key not in KEYS:
            raise fail(f"unknown key {key!r:.80}{nearest(key[:80], KEYS)} (other fields belong in 'meta')")
    types: dict[str, type | tuple[type, ...]] = {"text": str, "seconds": (int, float), "width": int, "group": str, "meta": dict}
    for key in ("id", "source"):
        if not isinstance(record.get(key), str) or not record[key]:
            raise fail(f"the key {key!r} must be a non-empty string")
        if "\0" in record[key]:
            raise fail(f"the key {key!r} holds a null character")
    for key, kind in types.items():
        value = record.get(key)
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            raise fail(f"the key {key!r} has a value of the wrong type: {value!r:.80}")
    for key in ("seconds", "width"):
        if not 0 <= (record.get(key) or 0) < MAX_LENGTH:
            raise fail(f"the key {key!r} must be a number from 0 to {MAX_LENGTH:,}, found {record[key]!s:.80}")
    units = record.get("units")
    if units is not None:
        if not isinstance(units, list) or not all(isinstance(u, str) and u.split() == [u] for u in units):
            raise fail("the key 'units' must be a list of non-empty strings without white space")
        record["units"] = tuple(units)
    if (record.get("meta") or {}).get("empty") is True and (record.get("text") or units):
        raise fail(f"'meta' marks the item as empty, but its transcript is {record.get('text') or ' '.join(units or ())!r}; correct one of the two")
    record["source"] = (path.parent / record["source"]).absolute()
    record["meta"] = record.get("meta") or {}
    return Item(**record)
