"""speechocean762 (Zhang et al. 2021): English read by Mandarin speakers, as words and as canonical phones."""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from recognizer.data.manifest import Item
from recognizer.data_prep.common import read_text
from recognizer.data_prep.kaldi import Entry, read_folder, read_table
from recognizer.errors import InputError
from recognizer.text.lexicon import bare_phone

CORPUS = "speechocean"
HALVES = ("train", "test")
# the 39 phones of the CMU Pronouncing Dictionary
PHONES = frozenset((
    "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY", "JH", "K",
    "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH",
))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--case``."""
    parser.add_argument("--case", choices=("keep", "lower"), default="keep", help="of the words, which are distributed in capitals")


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Read the halves that are there; the speakers of test/ become the split "test".

    Raises:
        InputError: neither train/ nor test/ is there, or a half lacks its tables.
    """
    halves = [half for half in HALVES if (source / half / "wav.scp").exists()]
    if not halves:
        raise InputError(f"{source}: neither train/wav.scp nor test/wav.scp is there; give the folder that holds WAVE, train, test and resource")
    spoken = _load_spoken_phones(source / "resource" / "text-phone", options)
    lexicon = _load_lexicon(source / "resource" / "lexicon.txt")
    for half in halves:
        for item in read_folder(source / half, source, options):
            words = (item.text or "").split()
            text = " ".join(words).lower() if options.case == "lower" else " ".join(words)
            try:
                units = _pronounce(item.id, words, str(source / half / "text"), spoken, lexicon)
                yield replace(item, text=text, units=units, meta={**item.meta, "split": half})
            except InputError as error:
                options.drop(error)


def _load_spoken_phones(path: Path, options: argparse.Namespace) -> dict[str, dict[int, Entry]]:
    """The phones of each word of each utterance, from lines ``utterance.word  W_B IY0_E``."""
    words: dict[str, dict[int, Entry]] = defaultdict(dict)
    if not path.exists():
        options.note(f"{path}: not there; phones come from the lexicon")
        return words
    for key, entry in read_table(path, options).items():
        utterance, _, index = key.rpartition(".")
        if not utterance or not re.fullmatch(r"\d{1,9}", index):
            options.drop(InputError(f"{entry.where}: expected 'utterance.word', found {key!r}"))
        else:
            words[utterance][int(index)] = entry
    return words


def _load_lexicon(path: Path) -> dict[str, Entry]:
    """The first pronunciation of each word."""
    lexicon: dict[str, Entry] = {}
    for number, line in enumerate(read_text(path).split("\n") if path.exists() else (), start=1):
        word, *phones = line.split() or [""]
        if phones:
            lexicon.setdefault(word, Entry(" ".join(phones), f"{path}:{number}"))
    return lexicon


def _pronounce(id: str, words: list[str], where: str, spoken: dict[str, dict[int, Entry]], lexicon: dict[str, Entry]) -> tuple[str, ...]:
    """The phones of an utterance, words run together; those listed for it, or else those of the lexicon."""
    entries = spoken.get(id)
    if entries is not None and sorted(entries) != list(range(len(words))):
        raise InputError(f"{next(iter(entries.values())).where}: {id} has {len(words)} words in {where} but phones for {len(entries)}")
    phones: list[str] = []
    for index, word in enumerate(words):
        entry = entries[index] if entries is not None else lexicon.get(word)
        if entry is None:
            raise InputError(f"{where}: no pronunciation of {word!r} in resource/text-phone or resource/lexicon.txt")
        for phone in entry.value.split():
            if bare_phone(phone) not in PHONES:
                raise InputError(f"{entry.where}: {phone!r} is not an ARPAbet phone")
            phones.append(bare_phone(phone))
    if not phones:
        raise InputError(f"{where}: {id} has no phones")
    return tuple(phones)
