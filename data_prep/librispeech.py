"""LibriSpeech and what is laid out like it: [subset]/speaker/chapter/speaker-chapter.trans.txt beside speaker-chapter-number.flac."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recognizer.data.manifest import Item
from recognizer.data_prep.common import clean_text, read_text
from recognizer.data_prep.kaldi import read_table
from recognizer.errors import ConfigError, InputError, nearest

CORPUS = "librispeech"
SUBSET = re.compile(r"(?:train|dev|test)(?:-\w+)*")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--subset`` and ``--case``."""
    parser.add_argument("--subset", action="append", metavar="NAME", help="only this one, such as dev-clean; repeatable (default: all there are)")
    parser.add_argument("--case", choices=("keep", "lower"), default="keep", help="of the text, which is distributed in capitals (default: keep)")


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Read the utterances in the order of their paths.

    The subsets whose names begin with "train" become one split, the others keep their names: dev-clean.jsonl, test-other.jsonl.

    Raises:
        InputError: no transcripts are there; ConfigError: a subset is not.
    """
    from recognizer.audio.io import AUDIO_SUFFIXES

    tables = sorted(path for path in source.rglob("*.trans.txt") if path.is_file())
    if not tables:
        raise InputError(f"{source}: no transcripts found; expected files such as train-clean-100/103/1240/103-1240.trans.txt")
    subsets = {path: next((part for part in (source.name, *path.relative_to(source).parts) if SUBSET.fullmatch(part)), None) for path in tables}
    known = {subset for subset in subsets.values() if subset is not None}
    for name in options.subset or ():
        if name not in known:
            raise ConfigError(f"--subset {name}: not in {source}{nearest(name, known)} (there are {', '.join(sorted(known)) or 'none'})")
    sexes = _load_sexes(source)
    for path in tables:
        subset = subsets[path]
        if options.subset and subset not in options.subset:
            continue
        texts = read_table(path, options)
        recordings = {name.rpartition(".")[0]: path.parent / name for name in sorted(os.listdir(path.parent))
                      if Path(name).suffix.lower() in AUDIO_SUFFIXES}
        for id, entry in texts.items():
            speaker, _, rest = id.partition("-")
            meta: dict[str, Any] = {"sex": sexes[speaker]} if speaker in sexes else {}
            if subset is not None:
                meta |= {"subset": subset, "split": "train" if subset.startswith("train") else subset}
            text = clean_text(entry.value)
            try:
                if not text:
                    raise InputError(f"{entry.where}: the text of {id} is empty")
                if id not in recordings:
                    raise InputError(f"{entry.where}: {id} has no recording beside the table")
                text = text.lower() if options.case == "lower" else text
                yield Item(id, recordings[id], text=text, group=speaker, meta={**meta, "chapter": rest.partition("-")[0]})
            except InputError as error:
                options.drop(error)
        for id in sorted(recordings.keys() - texts.keys()):
            options.drop(InputError(f"{recordings[id]}: has no line in {path}"))


def _load_sexes(source: Path) -> dict[str, str]:
    """Sex ("f", "m") by speaker, from SPEAKERS.TXT in the source or above it: ``14 | F | train-clean-360 | 25.03 | Name``."""
    path = next((folder / "SPEAKERS.TXT" for folder in (source, *list(source.parents)[:2]) if (folder / "SPEAKERS.TXT").is_file()), None)
    rows = (row.split("|") for row in (read_text(path).split("\n") if path else ()) if not row.startswith(";"))
    return {row[0].strip(): row[1].strip().lower() for row in rows if len(row) >= 3}
