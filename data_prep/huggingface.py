"""A Hugging Face data set: saved on disk, a folder or file of Parquet, JSON lines or CSV, or a name on the Hub."""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from recognizer.data.manifest import Item
from recognizer.data_prep.common import clean_text
from recognizer.data_prep.sound import name_file, write_sound
from recognizer.data_prep.table import SPLITS
from recognizer.errors import ConfigError, InputError, nearest
from recognizer.utils.files import write_bytes
from recognizer.utils.reading import parse_json

CORPUS = "huggingface"
TAKES_NAMES = True  # SOURCE may be a name instead of a file or folder
COLUMNS = {  # names that a role's column is looked for by, the first that is there
    "audio": ("audio", "audio_filepath", "file", "path", "file_name"),
    "image": ("image", "im", "picture"),
    "text": ("text", "transcription", "sentence", "transcript", "label"),
    "units": ("units",),
    "group": ("group", "speaker_id", "speaker", "client_id", "writer_id", "writer"),
    "id": ("id",),
}
MEANINGS = {"audio": "recordings", "image": "pictures", "text": "transcripts", "units": "transcripts in units", "group": "speakers or writers",
            "id": "ids, no two alike"}  # fmt: skip
FILES = {".parquet": "parquet", ".jsonl": "json", ".json": "json", ".csv": "csv", ".arrow": "arrow"}
NOT_META = ("seconds", "width", "duration")  # measured anew
STARTS = {  # of files, by what they hold
    b"RIFF....WAVE": ".wav", b"fLaC": ".flac", b"OggS": ".ogg", b"ID3": ".mp3", rb"\xff[\xe2-\xff]": ".mp3", b"....ftyp": ".m4a",
    rb"\x89PNG": ".png", rb"\xff\xd8\xff": ".jpg", rb"II\*\0|MM\0\*": ".tif", b"RIFF....WEBP": ".webp", b"BM": ".bmp",
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the names of the columns, ``--split`` and ``--config``."""
    for role, names in COLUMNS.items():
        purpose = f"column of the {MEANINGS[role]} (default: the first there is of {', '.join(names)})"
        parser.add_argument(f"--{role}-column", metavar="COLUMN", help=purpose)
    parser.add_argument("--split", action="append", metavar="NAME", help="only this split of the data set; repeatable (default: all)")
    parser.add_argument("--config", metavar="NAME", help="which of the configurations of a data set on the Hub, a language, say")


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Read the rows in order; sound and pictures that lie within the data set are written out as files, other columns go to ``meta``.

    Raises:
        ConfigError: no such column or split, or `datasets` is not installed; InputError: the data set cannot be read.
    """
    splits, folders = _open(source, options.config)
    for name in options.split or ():
        if name not in splits:
            raise ConfigError(f"--split {name}: {source} has no such split{nearest(name, splits)} ({', '.join(splits)})")
    chosen = {name: rows for name, rows in splits.items() if not options.split or name in options.split}
    seen: set[str] = set()
    for name, rows in chosen.items():
        split = SPLITS.get(name.lower(), name) if len(splits) > 1 else None
        yield from _Reader(f"{source}, {name}" if name else str(source), folders.get(name, source), split, options, seen).read(rows)


class _Reader:
    """Makes items of the rows of one split; an id of an earlier split gets the name of its own in front."""

    def __init__(self, where: str, folder: Path, split: str | None, options: argparse.Namespace, seen: set[str]) -> None:
        self.where, self.folder, self.split, self.options, self.seen, self.earlier = where, folder, split, options, seen, frozenset(seen)

    def read(self, rows: Any) -> Iterator[Item]:
        """The items; a row that gives none is told."""
        roles: dict[str, str] | None = None
        for number, row in enumerate(_rows(rows, self.where), start=1):
            if roles is None:
                roles = _assign_columns(row, self.where, self.options)
            try:
                yield self._make_item(row, number, roles)
            except InputError as error:
                self.options.drop(error)

    def _make_item(self, row: Mapping[str, Any], number: int, roles: Mapping[str, str]) -> Item:
        where = f"{self.where}: row {number}"
        values = {role: row.get(column) for role, column in roles.items()}
        id = values.get("id")
        id = f"{self.split + '-' if self.split else ''}{number:07d}" if id is None or id == "" else str(id)
        id = f"{self.split}-{id}" if id in self.earlier else id
        if id in self.seen:  # before its file is written in the place of the other's
            raise InputError(f"{where}: the id {id!r:.200} was there before")
        text, units, group = values.get("text"), values.get("units"), values.get("group")
        if not isinstance(text, str | None):
            raise InputError(f"{where}: the text is {text!r:.80}, not a string")
        units = units.split() if isinstance(units, str) else units
        meta = _make_meta(row, set(roles.values()), where)
        text = None if text is None else clean_text(text)
        if not text and not units and meta.get("empty") is not True:
            raise InputError(f"{where}: the transcript is empty")
        if self.split is not None:
            meta["split"] = self.split
        kind = "audio" if "audio" in roles else "image"
        source = self._place(values[kind], kind, id, where)
        self.seen.add(id)
        group = None if group is None or group == "" else str(group)
        return Item(id, source, text=text, units=None if units is None else tuple(map(str, units)), group=group, meta=meta)

    def _place(self, value: Any, kind: str, id: str, where: str) -> Path:
        """The file of a recording or picture: where it lies, or one that is written."""
        made = self.options.made / name_file(id)
        if isinstance(value, dict) and value.get("array") is not None:
            path = made.with_name(made.name + ".flac")
            path.parent.mkdir(parents=True, exist_ok=True)
            samples = np.asarray(value["array"], dtype=np.float32)
            write_sound(path, samples if samples.ndim < 2 else samples.mean(axis=int(np.argmin(samples.shape))), int(value["sampling_rate"]))
            return path
        data, named = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (None, value)
        if isinstance(named, bytes):
            data, named = named, None
        if data is None and isinstance(named, str) and named.startswith("hf://"):  # a file beside the table on the Hub
            from datasets.utils.file_utils import xopen

            with xopen(named, "rb") as file:
                data = file.read()
        if data is None:
            if not isinstance(named, str) or not named or "\0" in named or not (self.folder / named).is_file():
                raise InputError(f"{where}: no such file: {named!r:.200}")
            return self.folder / named
        path = made.with_name(made.name + _ending(data, named, kind, where))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, data)
        return path


def _open(source: Path, config: str | None) -> tuple[dict[str, Any], dict[str, Path]]:
    """The splits of a data set, which are read row by row, nothing decoded; and what names of files in them start from."""
    try:
        import datasets
    except ImportError:
        raise ConfigError("prepare huggingface: datasets is not installed; pip install 'recognizer[datasets]'") from None

    if not source.exists() and not re.fullmatch(r"[\w.-]+/[\w.-]+", source.as_posix()):
        raise InputError(f"{source}: no such file or folder (a data set on the Hub is called OWNER/NAME)")
    datasets.disable_progress_bars()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # what it says of a network that fails is said below
    folders: dict[str, Path] = {}
    try:
        if (source / "dataset_dict.json").is_file() or (source / "state.json").is_file():
            found = datasets.load_from_disk(str(source))
        elif files := _find_files(source):
            found = datasets.load_dataset(files[0], data_files=files[1], streaming=True)
            folders = {name: Path(os.path.commonpath([os.path.dirname(path) for path in paths])) for name, paths in files[1].items()}
        else:
            found = datasets.load_dataset(source.as_posix(), config, streaming=True)
    except Exception as error:  # whatever its readers and the network raise
        what = "is no file or folder here, and no data set of this name can be reached" if not source.exists() else "not a data set that can be read"
        raise InputError(f"{source}: {what} ({_reason(error)})") from None
    splits = dict(found) if isinstance(found, dict) else {str(found.split or ""): found}
    return {name: _undecoded(rows, datasets) for name, rows in splits.items()}, folders


def _find_files(source: Path) -> tuple[str, dict[str, list[str]]] | None:
    """The reader and the tables by split, of a file or a folder of tables that name or hold what they describe."""
    paths = sorted(source.rglob("*")) if source.is_dir() else [source] if source.is_file() else []
    for suffix, reader in FILES.items():
        found: dict[str, list[str]] = defaultdict(list)
        for path in paths:
            if path.suffix.lower() == suffix:
                words = re.split(r"[\W_]+", path.relative_to(source.parent).as_posix().lower().removeprefix(source.name.lower()))
                words = words if source.is_dir() else re.split(r"[\W_]+", path.stem.lower())
                found[next((split for word in words if (split := SPLITS.get(word, word)) in ("train", "dev", "test")), "train")].append(str(path))
        if found:
            return reader, dict(found)
    return None


def _undecoded(rows: Any, datasets: Any) -> Any:
    """Rows whose sound and pictures stay the bytes that they are."""
    for name, feature in (rows.features or {}).items():
        if isinstance(feature, (datasets.Audio, datasets.Image)):
            rows = rows.cast_column(name, type(feature)(decode=False))
    return rows


def _rows(rows: Iterable[Any], where: str) -> Iterator[Any]:
    try:
        yield from rows
    except (InputError, GeneratorExit):
        raise
    except Exception as error:  # as in _open
        raise InputError(f"{where}: cannot be read further ({_reason(error)})") from None


def _assign_columns(row: Mapping[str, Any], where: str, options: argparse.Namespace) -> dict[str, str]:
    """Column of each role."""
    roles: dict[str, str] = {}
    for role, names in COLUMNS.items():
        column = getattr(options, f"{role}_column")
        if column is not None and column not in row:
            raise ConfigError(f"--{role}-column {column}: {where} has no such column{nearest(column, row)} ({', '.join(row)})")
        if (found := column or next((name for name in names if name in row), None)) is not None:
            roles[role] = found
    if options.audio_column is None and "image" in roles and (options.image_column is not None or roles.get("audio") != "audio"):
        roles.pop("audio", None)
    elif "audio" in roles:
        roles.pop("image", None)
    for wanted, option in ((("audio", "image"), "--audio-column or --image-column"), (("text", "units"), "--text-column")):
        if not set(wanted) & set(roles):
            raise ConfigError(f"{option}: which of the columns of {where} holds the {MEANINGS[wanted[0]]}? ({', '.join(row)})")
    return roles


def _make_meta(row: Mapping[str, Any], taken: set[str], where: str) -> dict[str, Any]:
    """All other columns that JSON can hold; a column ``meta`` holds an object of its own, as text."""
    meta: dict[str, Any] = {}
    for column, value in row.items():
        if column in taken or column in NOT_META or value is None:
            continue
        if column == "meta" and isinstance(value, str) and value.startswith("{"):
            meta |= parse_json(value, f"{where}: column 'meta'")
            continue
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            continue  # bytes of another picture, a time, not a number
        meta[column] = value
    return meta


def _ending(data: bytes, named: object, kind: str, where: str) -> str:
    """What a file's name ends with, by its content or else its former name."""
    from recognizer.audio.io import AUDIO_SUFFIXES
    from recognizer.image.io import IMAGE_SUFFIXES

    for start, suffix in STARTS.items():
        if re.match(start, data[:16], re.DOTALL):
            return suffix
    suffix = Path(named).suffix.lower() if isinstance(named, str) else ""
    if suffix not in (AUDIO_SUFFIXES if kind == "audio" else IMAGE_SUFFIXES):
        raise InputError(f"{where}: neither sound nor a picture of a kind that is known")
    return suffix


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
