"""The CMU ARCTIC prompts: cmu_us_*_arctic folders (etc/txt.done.data, wav/), or recordings beside their text, x.opus and x.txt.

A split keeps the recordings of a prompt together: several speakers, or one several times, read the same sentences.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from recognizer.data.manifest import Item
from recognizer.data_prep.common import clean_text, read_text
from recognizer.errors import InputError

CORPUS = "arctic"
PROMPT = re.compile(r"arctic_[ab]\d{4}")
ROW = re.compile(r'\(\s*(\S+)\s+"(.*)"\s*\)')  # ( arctic_a0001 "Author of the danger trail, Philip Steels, etc." )
SPEAKER = re.compile(r"cmu_\w\w_(\w+?)_arctic")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--group``."""
    parser.add_argument("--group", choices=("prompt", "speaker"), default="prompt", help=(
        "what a split keeps together: the recordings of a prompt, or those of a speaker, whose prompts others may read (default: prompt)"))


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Read the recordings in the order of their paths; the speaker is told from the folder's name.

    Raises:
        InputError: there are no recordings of ARCTIC prompts.
    """
    from recognizer.audio.io import AUDIO_SUFFIXES

    media = sorted(p for p in source.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES and PROMPT.match(p.name) and p.is_file())
    if not media:
        raise InputError(f"{source}: no recordings of ARCTIC prompts found; expected files such as wav/arctic_a0001.wav or arctic_a0001_17.opus")
    tables: dict[Path, dict[str, str]] = {}
    for path in media:
        prompt = PROMPT.match(path.name)
        assert prompt is not None
        table = path.parent.parent / "etc" / "txt.done.data"
        partner = path.with_suffix(".txt")
        try:
            if partner.is_file():
                text = clean_text(read_text(partner))
            elif table.is_file():
                if table not in tables:
                    tables[table] = _read_prompts(table, options)
                text = tables[table].get(path.stem, "")
            else:
                raise InputError(f"{path}: neither {partner.name} beside it nor {table} is there")
            if not text:
                raise InputError(f"{path}: has no text in {partner if partner.is_file() else table}")
            speaker = _find_speaker(path, source)
            id = path.relative_to(source).with_suffix("").as_posix()
            group = prompt[0] if options.group == "prompt" else speaker
            yield Item(id, path, text=text, group=group, meta={"prompt": prompt[0], "speaker": speaker})
        except InputError as error:
            options.drop(error)


def _read_prompts(path: Path, options: argparse.Namespace) -> dict[str, str]:
    """The prompts of txt.done.data by their id."""
    prompts = {}
    for number, row in enumerate(read_text(path).split("\n"), start=1):
        match = ROW.fullmatch(row.strip())
        if match:
            prompts[match[1]] = clean_text(match[2].replace('\\"', '"'))
        elif row.strip():
            options.drop(InputError(f'{path}:{number}: expected ( id "text" ), found {row.strip()!r}'))
    return prompts


def _find_speaker(path: Path, source: Path) -> str:
    """The name within cmu_us_NAME_arctic, or else that of the folder (wav/ left out)."""
    parts = (source.name, *path.relative_to(source).parts[:-1])
    named = next((match[1] for part in reversed(parts) if (match := SPEAKER.match(part))), None)
    return named or next(part for part in reversed(parts) if part != "wav")
