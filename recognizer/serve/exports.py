"""Texts of a project as files: one, or many in a ZIP archive, and a training set with its sources."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

from recognizer.errors import RecognizerError
from recognizer.formats.base import SUBJECTS, find_writers
from recognizer.serve.desk import Desk
from recognizer.serve.failures import ApiError
from recognizer.serve.library import Entry

MANIFEST = "manifest"
REPORT = "left-out.txt"  # in an archive: what could not be written, and why


def formats() -> dict[str, str | None]:
    """Names of the formats that can be written here, with the kind of source that each is for (None: every kind)."""
    return {**{name: writer.modality for name, writer in find_writers().items() if writer.missing() is None}, MANIFEST: None}


def render_entry(desk: Desk, entry: Entry, format: str) -> tuple[str, bytes]:
    """One item in a format: the name of its file, and what it holds.

    Raises:
        ApiError: no such format, the item has not been read, or the format cannot describe it (422).
    """
    writer = find_writers().get(format)
    if writer is None:
        raise ApiError(422, f"format {format[:40]!r} is not one of {', '.join(formats())}", "format")
    if writer.modality not in (None, entry.source.modality):
        raise ApiError(422, f"{entry.source.name}: {format} is for {SUBJECTS[writer.modality]}", "format")
    transcript = desk.transcript(entry)
    if transcript is None:
        raise ApiError(422, f"{entry.source.name}: has not been read yet")
    if transcript.error is not None:
        raise ApiError(422, f"{entry.source.name}: {transcript.error}")
    try:
        content = writer.render_bytes(replace(transcript, source=str(entry.source.path)))
    except RecognizerError as error:
        raise ApiError(422, str(error).replace(str(entry.source.path), entry.source.name)) from None
    content = content.replace(os.fsencode(entry.source.path), os.fsencode(entry.source.name))  # the receiver has no such folder
    return Path(entry.source.name).stem + writer.suffix, content


def write_archive(desk: Desk, entries: Sequence[Entry], format: str, target: IO[bytes]) -> None:
    """Items in a format, each as a file of a ZIP archive; what cannot be written is listed in it.

    Raises:
        ApiError: none of them can be written (422).
    """
    if format == MANIFEST:
        write_training_set(entries, target)
        return
    failures: list[str] = []
    names: set[str] = set()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in entries:
            try:
                name, text = render_entry(desk, entry, format)
            except ApiError as error:
                failures.append(error.message)
                continue
            archive.writestr(_unique(name, entry, names), text)
        if failures and names:
            archive.writestr(REPORT, "".join(f"{line}\n" for line in failures))
    if not names:
        raise ApiError(422, failures[0] if failures else "there is nothing to export")


def write_training_set(entries: Sequence[Entry], target: IO[bytes]) -> None:
    """The corrections among entries as a manifest, and its sources, in a ZIP archive.

    Raises:
        ApiError: nothing among them has been corrected (422).
    """
    corrected = [entry for entry in entries if entry.correction is not None and entry.source.path.is_file()]
    if not corrected:
        raise ApiError(422, "nothing among these items has been corrected")
    names: set[str] = set()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:  # recordings and pictures are compressed already
        lines = []
        for entry, name in _named_sources(corrected, names):
            archive.write(entry.source.path, name)
            lines.append(json.dumps(_record(entry, name), ensure_ascii=False))
        archive.writestr("manifest.jsonl", "".join(f"{line}\n" for line in lines))


def _named_sources(entries: Sequence[Entry], names: set[str]) -> Iterator[tuple[Entry, str]]:
    for entry in entries:
        name = Path(entry.source.name).name if entry.page is None else f"{entry.id}.png"
        yield entry, "sources/" + _unique(name, entry, names)


def _record(entry: Entry, name: str) -> dict[str, object]:
    assert entry.correction is not None
    text = entry.correction.text if entry.correction.text.strip() else ""
    record: dict[str, object] = {"id": entry.id, "source": name, "text": text}
    if entry.source.group is not None:
        record["group"] = entry.source.group
    return record if text else record | {"meta": {"empty": True}}


def _unique(name: str, entry: Entry, names: set[str]) -> str:
    """A name within the folders of an item that no other has."""
    path = f"{entry.source.group}/{name}" if entry.source.group else name
    if path in names:
        stem, dot, ending = path.partition(".")
        path = f"{stem}-{entry.id}{dot}{ending}"
    names.add(path)
    return path

