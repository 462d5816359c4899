"""Lhotse manifests: cuts, or supervisions beside their recordings (.jsonl, .jsonl.gz); one item for each supervision."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recognizer.data.manifest import Item
from recognizer.data_prep.common import clean_text
from recognizer.data_prep.sound import cut_sound, name_file
from recognizer.data_prep.table import SPLITS
from recognizer.errors import InputError
from recognizer.utils.reading import open_text, parse_json

if TYPE_CHECKING:
    from recognizer.audio.io import Channel

CORPUS = "lhotse"
SUFFIXES = (".jsonl", ".jsonl.gz")
WHOLE = 0.002  # seconds that a span may differ from its recording, which then is not cut


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--audio-root``."""
    purpose = "what relative paths of recordings start from (default: the folder of SOURCE, then the current one)"
    parser.add_argument("--audio-root", type=Path, metavar="FOLDER", help=purpose)


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Read the supervisions in order; one that is a part of its recording, or one of its channels, is cut out.

    SOURCE is a file of cuts, a file of supervisions with "supervisions" in its name, whose recordings lie beside it in the file with
    "recordings" in its place, or a folder of such files. Alignments, features and sound that is mixed or altered on the way are not read.

    Raises:
        InputError: there are no such files, or one cannot be read.
    """
    if source.is_dir():
        files = sorted(path for path in source.iterdir() if path.name.endswith(SUFFIXES) and re.search("cuts|supervisions", path.name))
        if not files:
            raise InputError(f"{source}: no file of cuts or supervisions (*cuts*.jsonl.gz, *supervisions*.jsonl.gz)")
    else:
        files = [source]
    seen: set[str] = set()
    for file in files:
        words = re.split(r"[\W_]+", file.name.lower())
        split = next((name for word in words if (name := SPLITS.get(word, word)) in ("train", "dev", "test")), None)
        recordings = _read_recordings(file, options) if "supervisions" in file.name else None
        for where, record in _read_objects(file, options):
            parts = [(0.0, record)] if recordings is not None else _supervisions(record, where, options)
            for start, supervision in parts:
                try:
                    recording = record.get("recording") if recordings is None else recordings.get(str(record.get("recording_id")))
                    if str(supervision.get("id")) in seen:  # before its sound is written in the place of the other's
                        raise InputError(f"{where}: the id {supervision.get('id')!r:.200} was there before")
                    yield _make_item(supervision, recording, start, where, split, options)
                    seen.add(str(supervision.get("id")))
                except InputError as error:
                    options.drop(error)


def _read_objects(file: Path, options: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """Place and object of each line."""
    with open_text(file) as lines:
        for number, line in enumerate(lines, start=1):
            where = f"{file}:{number}"
            if not line.strip():
                continue
            try:
                record = parse_json(line, where)
                if not isinstance(record, dict):
                    raise InputError(f"{where}: expected a JSON object")
            except InputError as error:
                options.drop(error)
            else:
                yield where, record


def _read_recordings(file: Path, options: argparse.Namespace) -> dict[str, Any]:
    beside = file.with_name(file.name.replace("supervisions", "recordings"))
    if not beside.is_file():
        raise InputError(f"{file}: the recordings should lie beside it, in {beside.name}")
    return {str(record.get("id")): record for _, record in _read_objects(beside, options)}


def _supervisions(cut: dict[str, Any], where: str, options: argparse.Namespace) -> Iterator[tuple[float, dict[str, Any]]]:
    """Where in the recording the times of each supervision of a cut start, and the supervision."""
    kind = cut.get("type")
    found = cut.get("supervisions")
    try:
        if kind not in ("MonoCut", "MultiCut", None) or not isinstance(cut.get("recording"), dict):
            raise InputError(f"{where}: a {kind or 'cut'} without a recording of its own; prepare the cuts before they are mixed, padded or stripped")
        if not isinstance(found, list) or not found or not all(isinstance(each, dict) for each in found):
            raise InputError(f"{where}: the cut has no supervisions, so no transcript")
        start = _seconds(cut, "start", where)
    except InputError as error:
        options.drop(error)
        return
    yield from ((start, supervision) for supervision in found)


def _make_item(supervision: dict[str, Any], recording: Any, start: float, where: str, split: str | None, options: argparse.Namespace) -> Item:
    id, text, speaker, custom = (supervision.get(key) for key in ("id", "text", "speaker", "custom"))
    if not isinstance(id, str) or not id:
        raise InputError(f"{where}: a supervision without id")
    if not isinstance(recording, dict):
        raise InputError(f"{where}: there is no recording {supervision.get('recording_id')!r:.200}")
    meta = dict(custom) if isinstance(custom, dict) else {}
    meta |= {key: supervision[key] for key in ("language", "gender") if supervision.get(key) is not None}
    units = meta.pop("units", None)
    text = clean_text(text) if isinstance(text, str) else None
    if not text and not units and meta.get("empty") is not True:
        raise InputError(f"{where}: the text of {id!r:.200} is empty")
    begin, seconds = start + _seconds(supervision, "start", where, -math.inf), _seconds(supervision, "duration", where)
    path, channel = _find_sound(recording, supervision.get("channel", 0), where, options)
    length = recording.get("duration")
    whole = abs(begin) < WHOLE and isinstance(length, (int, float)) and abs(length - seconds) < WHOLE
    if not whole or channel != "auto":
        target = options.made / f"{name_file(id)}.flac"
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            cut_sound(path, max(0.0, begin), seconds + min(0.0, begin), target, channel)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        path = target
    if split is not None:
        meta["split"] = split
    units, group = None if units is None else tuple(map(str, units)), None if speaker is None else str(speaker)
    return Item(id, path, text=text, units=units, group=group, meta=meta)


def _find_sound(recording: dict[str, Any], channel: Any, where: str, options: argparse.Namespace) -> tuple[Path, Channel]:
    """The file that holds a channel, or all of several, and what to take of it."""
    if recording.get("transforms"):
        raise InputError(f"{where}: the recording is altered by transforms (speed, volume ...); prepare the cuts without them")
    wanted = set(channel) if isinstance(channel, list) else {channel}
    sources = [each for each in recording.get("sources") or () if isinstance(each, dict) and wanted & set(each.get("channels") or ())]
    if len(sources) != 1:
        raise InputError(f"{where}: the recording has {len(sources)} sources for the channels {sorted(wanted)}; exactly one can be read")
    kind, named, held = sources[0].get("type"), sources[0].get("source"), sources[0]["channels"]
    if kind != "file" or not isinstance(named, str) or not named or "\0" in named:
        raise InputError(f"{where}: the sound comes from a {kind!r:.80}, not from a file; save it as a file first")
    folders = [options.audio_root.absolute()] if options.audio_root else [Path(where.rpartition(":")[0]).parent, Path.cwd()]
    path = next((folder / named for folder in folders if (folder / named).is_file()), None)
    if path is None:
        raise InputError(f"{where}: no such recording: {named!r:.200}")
    if set(held) <= wanted:
        return path, "auto"
    place = held.index(next(iter(wanted & set(held))))
    if len(wanted) > 1 or place > 1:
        raise InputError(f"{where}: channels {sorted(wanted)} of {len(held)} cannot be taken out; only one of the first two can")
    return path, "right" if place else "left"


def _seconds(record: dict[str, Any], key: str, where: str, least: float = 0.0) -> float:
    value = record.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value < math.inf:
        raise InputError(f"{where}: the {key} is {value!r:.80}, not a number of seconds")
    return float(value)
