"""TIMIT (LDC93S1), as distributed or as found: phones and words with their times; the published sets, checked by their counts."""

from __future__ import annotations

import argparse
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from recognizer.data.manifest import Item
from recognizer.data.measurement import measure
from recognizer.data_prep.published import add_partial_argument, report_deviations
from recognizer.data_prep.texts import clean_text, read_text
from recognizer.data_prep.timit_lists import (
    CORE,
    CORE_TEST,
    DEVELOPMENT,
    FOLDED_PHONES,
    REGIONS,
    SENTENCES,
    TEST_SPEAKERS,
    TRAIN_SPEAKERS,
    UTTERANCES,
)
from recognizer.errors import InputError
from recognizer.phones import cmu_phone, fold_phone, fold_phones

CORPUS = "timit"
RATE = 16_000  # of the times in .PHN and .WRD, whatever the recording was converted to


class Segment(NamedTuple):
    """A phone or word and when it is spoken."""

    start: float  # seconds
    end: float
    label: str


@dataclass(frozen=True)
class Speaker:
    """A speaker's folder."""

    id: str  # lower case, as "fcjf0": sex, initials, number
    folder: Path
    region: int  # 1 to 8
    part: str | None  # "train" or "test", as the folders above say


@dataclass(frozen=True)
class Record:
    """What SPKRINFO.TXT knows of a speaker."""

    part: str
    region: int
    age: int | None  # in years, when the recordings were made


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--phones``, ``--text``, ``--split`` and ``--partial``."""
    parser.add_argument("--phones", choices=("61", "48", "39", "cmu"), default="61", help=(
        "labels of the units: as transcribed, or folded to 48 or 39 (default 61: score by a protocol that folds); "
        "cmu: the 39 phones of the CMU dictionary, without silence, to score recognisers of those"))
    parser.add_argument("--text", choices=("sentence", "words"), default="sentence", help=(
        "sentence: as spelt in .TXT; words: those of .WRD, lower case and without punctuation (default: sentence)"))
    parser.add_argument("--split", choices=tuple(UTTERANCES), default="core", help=(
        "core: 462 speakers to train, 50 to develop, 24 to test; complete: all 168 test speakers, which include the 50 (default: core)"))
    add_partial_argument(parser)


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Read the SX and SI sentences, speaker by speaker.

    The recordings are measured here, so that one that cannot be read counts as missing.

    Raises:
        InputError: no speakers are there, one is there twice, or (without ``--partial``) something differs from the published corpus.
    """
    speakers, records = _find_speakers(source), _load_records(source, options)
    splits = {speaker.id: _assign(speaker, records, options.split) for speaker in speakers}
    used = [speaker for speaker in speakers if splits[speaker.id] is not None]
    items = [item for speaker in used for item in _read_speaker(speaker, records.get(speaker.id), splits[speaker.id], options)]
    items = measure(items, options.drop)
    causes = [*_check_speakers(speakers, records), *_check_sentences(items, used)]
    report_deviations("TIMIT", source, causes, list(_check_counts(items, options)), options)
    options.note("left out: the SA sentences, the same two for everybody"
                 + (f", and {len(speakers) - len(used)} speakers of TEST who are in neither set" if len(used) < len(speakers) else ""))
    yield from items


def _find_speakers(source: Path) -> list[Speaker]:
    """All speakers' folders: [TRAIN|TEST]/DR1/FCJF0 or dr1-fcjf0, in any case, at any depth; by region and name."""
    found: dict[str, Speaker] = {}
    for top, _, _ in os.walk(source):
        folder = Path(top)
        match = re.fullmatch(r"dr([1-8])[-/]([fm][a-z]{3}[0-9])", folder.name.lower())
        above = folder.parent
        if not match:
            match, above = re.fullmatch(r"dr([1-8])/([fm][a-z]{3}[0-9])", f"{above.name}/{folder.name}".lower()), above.parent
        if not match:
            continue
        part = above.name.lower() if above.name.lower() in ("train", "test") else None
        speaker = Speaker(match[2], folder, int(match[1]), part)
        twice = found.setdefault(speaker.id, speaker)
        if twice is not speaker:
            raise InputError(f"{folder}: speaker {speaker.id} is already in {twice.folder}; give the folder of one copy of the corpus")
    if not found:
        raise InputError(f"{source}: no speakers found; expected folders such as TRAIN/DR1/FCJF0 or dr1-fcjf0")
    return sorted(found.values(), key=lambda speaker: (speaker.region, speaker.id))


def _load_records(source: Path, options: argparse.Namespace) -> dict[str, Record]:
    """SPKRINFO.TXT by speaker; empty if the copy lacks it."""
    path = next((Path(top) / name for top, _, names in os.walk(source) for name in sorted(names) if name.lower() == "spkrinfo.txt"), None)
    if path is None:
        options.note(f"{source}: no SPKRINFO.TXT, so the speakers' ages are not known")
        return {}
    records = {}
    for line in read_text(path).split("\n"):
        match = re.match(r"([A-Z]{3}[0-9])\s+([MF])\s+([1-8])\s+(TRN|TST)\s+(\S+)\s+(\S+)", line)
        if match:
            records[(match[2] + match[1]).lower()] = Record("train" if match[4] == "TRN" else "test", int(match[3]), _count_years(match[6], match[5]))
    return records


def _count_years(birth: str, recorded: str) -> int | None:
    """Whole years between two dates such as 02/18/62; None where one is unknown."""
    dates = [re.fullmatch(r"(\d+)/(\d+)/(\d+)", date) for date in (birth, recorded)]
    if dates[0] is None or dates[1] is None:
        return None
    born, then = ((int(date[3]), int(date[1]), int(date[2])) for date in dates if date is not None)
    return then[0] - born[0] - (then[1:] < born[1:])


def _assign(speaker: Speaker, records: dict[str, Record], split: str) -> str | None:
    """The set of a speaker; None for those of TEST who are in none of the sets."""
    listed = "dev" if speaker.id in DEVELOPMENT else "test" if speaker.id in CORE else None
    part = speaker.part or (records[speaker.id].part if speaker.id in records else "test" if listed else "train")
    if part == "train":
        return "train"
    return "test" if split == "complete" else listed


def _read_speaker(speaker: Speaker, record: Record | None, split: str | None, options: argparse.Namespace) -> Iterator[Item]:
    from recognizer.features.audio_file import AUDIO_SUFFIXES

    files: dict[str, dict[str, Path]] = defaultdict(dict)  # by sentence and kind
    for path in sorted(speaker.folder.iterdir(), key=lambda p: (len(p.name), p.name)):  # the original before a conversion named .WAV.wav
        sentence, suffix = path.name.lower().partition(".")[0], path.suffix.lower()
        if re.fullmatch(r"s[xi]\d+", sentence):
            files[sentence].setdefault("audio" if suffix in AUDIO_SUFFIXES else suffix, path)
    about: dict[str, Any] = {"sex": speaker.id[0], "dialect": REGIONS[speaker.region - 1]}
    if record is not None and record.age is not None:
        about["age"] = record.age
    for sentence, kinds in sorted(files.items()):
        try:
            absent = [name for kind, name in (("audio", ".WAV"), (".phn", ".PHN"), (".wrd", ".WRD"), (".txt", ".TXT")) if kind not in kinds]
            if absent:
                raise InputError(f"{speaker.folder / sentence}: has no {' and no '.join(absent)}")
            phones, words = _read_phones(kinds[".phn"], options.phones), _read_segments(kinds[".wrd"])
            text = " ".join(word.label for word in words) if options.text == "words" else _read_sentence(kinds[".txt"])
            meta = {**about, "phones": phones, "words": words, "split": split}
            units = tuple(phone.label for phone in phones)
            yield Item(f"{speaker.id}_{sentence}", kinds["audio"], text=clean_text(text), units=units, group=speaker.id, meta=meta)
        except InputError as error:
            options.drop(error)


def _read_phones(path: Path, labels: str) -> list[Segment]:
    """The phones of a .PHN file folded to a set of 61, 48 or 39, or as those of the CMU dictionary; what is deleted leaves a gap in time."""
    fold: Callable[[str], str | None] = cmu_phone if labels == "cmu" else partial(fold_phone, size=int(labels))
    segments = _read_segments(path)
    try:
        folded = [(start, end, fold(label.lower())) for start, end, label in segments]
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return [Segment(start, end, label) for start, end, label in folded if label is not None]


def _read_segments(path: Path) -> list[Segment]:
    """The lines ``start end label`` of a .PHN or .WRD file.

    Raises:
        InputError: a line is something else, or there is none.
    """
    segments = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        fields = line.split()
        if len(fields) == 3 and fields[0].isdecimal() and fields[1].isdecimal() and int(fields[0]) <= int(fields[1]):
            segments.append(Segment(round(int(fields[0]) / RATE, 4), round(int(fields[1]) / RATE, 4), fields[2]))
        elif fields:
            raise InputError(f"{path}:{number}: expected 'start end label', found {line.strip()!r}")
    if not segments:
        raise InputError(f"{path}: is empty")
    return segments


def _read_sentence(path: Path) -> str:
    """The sentence of a .TXT file, without the first and last sample before it."""
    text = re.sub(r"^\s*\d+\s+\d+\s+", "", read_text(path))
    if not text.strip():
        raise InputError(f"{path}: has no text")
    return text


def _check_speakers(speakers: Sequence[Speaker], records: dict[str, Record]) -> Iterator[str]:
    """What differs from the published lists of speakers; names of missing training speakers are known from SPKRINFO.TXT alone."""
    present = {speaker.id: speaker for speaker in speakers}
    core = {speaker: region for region, ids in enumerate(CORE_TEST, start=1) for speaker in ids}
    for name, ids in (("core test", CORE), ("development set", DEVELOPMENT)):
        for id in sorted(ids):
            if id not in present:
                yield f"speaker {id} of the {name} is missing"
            elif present[id].part == "train":
                yield f"{present[id].folder}: speaker {id} belongs to the {name} and so to TEST, found in TRAIN"
            elif core.get(id, present[id].region) != present[id].region:
                yield f"{present[id].folder}: speaker {id} belongs to DR{core[id]}, found in DR{present[id].region}"
    for id, record in sorted(records.items()):
        if id not in present and id not in CORE | DEVELOPMENT:
            yield f"speaker {id} of {record.part.upper()}/DR{record.region} is missing, whom SPKRINFO.TXT lists"
    for id in sorted(present.keys() - records.keys() if records else ()):
        yield f"{present[id].folder}: speaker {id} is not in SPKRINFO.TXT"
    for part, published in (("train", TRAIN_SPEAKERS), ("test", TEST_SPEAKERS)):
        counts = Counter(speaker.region for speaker in speakers if (speaker.part or _part_of(speaker, records)) == part)
        for region, expected in enumerate(published, start=1):
            if counts[region] != expected:
                yield f"{part.upper()}/DR{region}: {counts[region]} speakers, published {expected}"


def _part_of(speaker: Speaker, records: dict[str, Record]) -> str:
    return "train" if _assign(speaker, records, "complete") == "train" else "test"


def _check_sentences(items: Sequence[Item], speakers: Sequence[Speaker]) -> Iterator[str]:
    """Speakers who have not five SX and three SI sentences."""
    found: dict[str, list[str]] = defaultdict(list)
    for item in items:
        found[str(item.group)].append(item.id.partition("_")[2])
    for speaker in speakers:
        sentences = found[speaker.id]
        counts = {kind: sum(sentence.startswith(kind) for sentence in sentences) for kind in SENTENCES}
        if counts != SENTENCES:
            expected = " and ".join(f"{count} {kind.upper()}" for kind, count in SENTENCES.items())
            yield f"{speaker.folder}: expected {expected} sentences, found {', '.join(sentences) or 'none'}"


def _check_counts(items: Sequence[Item], options: argparse.Namespace) -> Iterator[str]:
    """Utterances and folded reference phones of each set, where they are not the published ones.

    Without silences, as the CMU dictionary has none, the phones cannot be compared.
    """
    for name, expected in UTTERANCES[options.split].items():
        chosen = [item for item in items if item.meta["split"] == name]
        if len(chosen) != expected:
            yield f"{name}: {len(chosen)} utterances, published {expected}"
        known = FOLDED_PHONES[options.split].get(name) if options.phones != "cmu" else None
        phones = sum(len(fold_phones(item.units or (), 39)) for item in chosen) if known is not None else 0
        if known is not None and phones != known:
            yield f"{name}: {phones} reference phones (folded to 39, q deleted), published {known}"
