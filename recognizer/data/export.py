"""Manifests for other programs: Hugging Face data sets, lhotse cuts, NeMo manifests."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from recognizer.audio.io import AUDIO_SUFFIXES, audio_seconds, open_audio
from recognizer.data.manifest import Item
from recognizer.errors import ConfigError, InputError
from recognizer.image.io import IMAGE_SUFFIXES
from recognizer.utils.files import new_file, open_folder

GROUP_BYTES = 64 << 20  # of sound or pictures that are held and written at a time

Drop = Callable[[InputError], None]  # is told of every item that is left out


def export_nemo(items: Iterable[Item], path: Path, drop: Drop) -> int:
    """Write the recordings of a manifest as a NeMo manifest, JSON lines with paths relative to it; returns how many.

    Raises:
        InputError: not one item can be written; OutputError: the file cannot.
    """

    def lines() -> Iterator[bytes]:
        folder = path.parent.resolve()
        for item in _recordings(items, drop):
            seconds = audio_seconds(item.source) if item.seconds is None else item.seconds
            named = Path(os.path.relpath(item.source, folder)).as_posix()
            record = {"audio_filepath": named, "duration": seconds, "text": _text(item), "id": item.id, "units": item.units, "speaker": item.group}
            yield _dump(item.meta | {key: value for key, value in record.items() if value is not None})

    return _write_lines(lines(), path)


def export_lhotse(items: Iterable[Item], path: Path, drop: Drop) -> int:
    """Write the recordings of a manifest as lhotse cuts (.jsonl or .jsonl.gz), one for each, with absolute paths; returns how many.

    Raises:
        InputError: not one item can be written; OutputError: the file cannot.
    """

    def lines() -> Iterator[bytes]:
        for item in _recordings(items, drop):
            with open_audio(item.source) as parts:
                if len(parts) > 1:
                    drop(InputError(f"{item.source}: holds several recordings, which lhotse does not read"))
                    continue
                rate, samples, channels = parts[0].samplerate, parts[0].frames, list(range(parts[0].channels))
            one: int | list[int] = 0 if len(channels) == 1 else channels
            custom = item.meta | ({} if item.units is None else {"units": item.units})
            supervision = {"id": item.id, "recording_id": item.id, "start": 0.0, "duration": samples / rate, "channel": one, "text": _text(item)}
            supervision |= {} if item.group is None else {"speaker": item.group}
            supervision |= {"custom": custom} if custom else {}
            sources = [{"type": "file", "channels": channels, "source": str(item.source)}]
            recording = {"id": item.id, "sources": sources, "sampling_rate": rate, "num_samples": samples, "duration": samples / rate,
                         "channel_ids": channels}  # fmt: skip
            yield _dump({"id": item.id, "start": 0.0, "duration": samples / rate, "channel": one, "supervisions": [supervision],
                         "recording": recording, "type": "MonoCut" if one == 0 else "MultiCut"})  # fmt: skip

    return _write_lines(lines(), path)


def export_huggingface(items: Iterable[Item], path: Path, drop: Drop) -> int:
    """Write a manifest with its recordings or pictures as one Parquet file, which `datasets.load_dataset` reads; returns how many.

    Columns: id, audio or image, text, units, group, seconds or width, meta (an object as JSON).

    Raises:
        ConfigError: `datasets` is not installed, or the manifest holds both recordings and pictures; OutputError: it cannot be written.
    """
    try:
        import datasets
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ConfigError("export-manifest: datasets is not installed; pip install 'recognizer[datasets]'") from None

    known = list(_of_kinds(items, AUDIO_SUFFIXES | IMAGE_SUFFIXES, "neither a recording nor a picture", drop))
    kinds = {item.source.suffix.lower() in AUDIO_SUFFIXES for item in known}
    if len(kinds) > 1:
        raise ConfigError("the manifest holds recordings and pictures; a data set holds one of the two, so write a manifest for each")
    kind = "audio" if kinds != {False} else "image"
    text = datasets.Value("string")
    size = {"seconds": datasets.Value("float64")} if kind == "audio" else {"width": datasets.Value("int64")}
    content = datasets.Audio() if kind == "audio" else datasets.Image()
    columns = {"id": text, kind: content, "text": text, "units": datasets.List(text), "group": text, **size, "meta": text}
    schema = datasets.Features(columns).arrow_schema
    count = 0
    open_folder(path.parent)
    with new_file(path) as partial:
        with parquet.ParquetWriter(partial, schema) as writer:
            for rows in _row_groups(known, kind, drop):
                writer.write_table(pyarrow.Table.from_pylist(rows, schema=schema))
                count += len(rows)
        _check_some(path, count)
    return count


def _row_groups(items: Iterable[Item], kind: str, drop: Drop) -> Iterator[list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    held = 0
    for item in items:
        try:
            data = item.source.read_bytes()
        except OSError as error:
            drop(InputError(f"{item.source}: cannot be read: {error.strerror or error}"))
            continue
        rows.append({"id": item.id, kind: {"bytes": data, "path": item.source.name}, "text": item.text,
                     "units": None if item.units is None else list(item.units), "group": item.group, "seconds": item.seconds, "width": item.width,
                     "meta": json.dumps(item.meta, ensure_ascii=False) if item.meta else None})  # fmt: skip
        held += len(data)
        if held >= GROUP_BYTES:
            yield rows
            rows, held = [], 0
    yield rows


def _recordings(items: Iterable[Item], drop: Drop) -> Iterator[Item]:
    """The recordings that can be read."""
    for item in _of_kinds(items, AUDIO_SUFFIXES, "not a recording, and this format holds nothing else", drop):
        try:
            with open_audio(item.source):
                pass
        except InputError as error:
            drop(error)
        else:
            yield item


def _of_kinds(items: Iterable[Item], suffixes: frozenset[str], reason: str, drop: Drop) -> Iterator[Item]:
    for item in items:
        if item.source.suffix.lower() in suffixes:
            yield item
        else:
            drop(InputError(f"{item.source}: {reason}"))


def _text(item: Item) -> str:
    """The transcript as one string, which other programs want also where it is in units."""
    return " ".join(item.units or ()) if item.text is None else item.text


def _dump(record: dict[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogateescape") + b"\n"


def _write_lines(lines: Iterator[bytes], path: Path) -> int:
    """Write lines, packed where the file's name ends with .gz; returns how many."""
    count = 0
    open_folder(path.parent)
    with new_file(path) as partial, partial.open("wb") as raw:
        file = gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if path.suffix == ".gz" else raw
        for line in lines:
            file.write(line)
            count += 1
        if file is not raw:
            file.close()
        _check_some(path, count)
    return count


def _check_some(path: Path, count: int) -> None:
    """Raise InputError where there is nothing to write, before an older file is replaced."""
    if not count:
        raise InputError(f"{path}: not written, as not one item can be in it")


# how each is written, and what its file is called by the name of the manifest
EXPORTS: dict[str, tuple[Callable[[Sequence[Item], Path, Drop], int], str]] = {
    "huggingface": (export_huggingface, "{}.parquet"), "lhotse": (export_lhotse, "cuts_{}.jsonl.gz"), "nemo": (export_nemo, "{}.json"),
}  # fmt: skip
