"""TIMIT (LDC93S1), as distributed or as found: phones and words with their times; the published sets, checked by their counts."""

from __future__ import annotations

import argparse
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from recognizer.data.manifest import Item
from recognizer.data.preparation import measure
from recognizer.data_prep.common import add_partial_argument, clean_text, read_text, report_deviations
from recognizer.errors import InputError
from recognizer.text.phones import cmu_phone, fold_phone, fold_phones

CORPUS = "timit"
RATE = 16_000  # Hz, of the times in .PHN and .WRD, whatever the recording was converted to

# What the published corpus consists of: speakers by set and dialect region, sentences, utterances, reference phones.
REGIONS = ("New England", "Northern", "North Midland", "South Midland", "Southern", "New York City", "Western", "Army Brat")  # DR1 to DR8
TRAIN_SPEAKERS = (38, 76, 76, 68, 70, 35, 77, 22)  # by dialect region; 462 together
TEST_SPEAKERS = (11, 26, 26, 32, 28, 11, 23, 11)  # 168 together

# two men and a woman of each region, DR1 to DR8
CORE_TEST = (
    ("mdab0", "mwbt0", "felc0"), ("mtas1", "mwew0", "fpas0"), ("mjmp0", "mlnt0", "fpkt0"), ("mlll0", "mtls0", "fjlm0"),
    ("mbpm0", "mklt0", "fnlp0"), ("mcmj0", "mjdh0", "fmgd0"), ("mgrt0", "mnjm0", "fdhc0"), ("mjln0", "mpam0", "fmld0"),
)  # fmt: skip
CORE = frozenset(speaker for region in CORE_TEST for speaker in region)
DEVELOPMENT = frozenset((
    "fadg0", "faks0", "fcal1", "fcmh0", "fdac1", "fdms0", "fdrw0", "fedw0", "fgjd0", "fjem0", "fjmg0", "fjsj0", "fkms0", "fmah0",
    "fmml0", "fnmr0", "frew0", "fsem0", "majc0", "mbdg0", "mbns0", "mbwm0", "mcsh0", "mdlf0", "mdls0", "mdvc0", "mers0", "mgjf0",
    "mglb0", "mgwt0", "mjar0", "mjfc0", "mjsw0", "mmdb1", "mmdm2", "mmjr0", "mmwh0", "mpdf0", "mrcs0", "mreb0", "mrjm4", "mrjr0",
    "mroa0", "mrtk0", "mrws1", "mtaa0", "mtdt0", "mteb0", "mthc0", "mwjg0",
))  # fmt: skip

SENTENCES = {"sx": 5, "si": 3}  # of each speaker; the two SA sentences, the same for all, are left out
UTTERANCES = {
    "core": {"train": 3696, "dev": 400, "test": 192},
    "complete": {"train": 3696, "test": 1344},
}
FOLDED_PHONES = {"core": {"dev": 15057, "test": 7215}, "complete": {}}  # reference phones, folded to 39 and without q


class Segment(NamedTuple):
    """A phone or word and when it is spoken."""

    start: float  # seconds
    end: float
    label: str


class Speaker(NamedTuple):
    """A speaker's folder."""

    id: str  # lower case, as "fcjf0": sex, initials, number
    folder: Path
    region: int  # 1 to 8
    part: str | None  # "train" or "test", as the folders above say


class Record(NamedTuple):
    """What SPKRINFO.TXT knows of a speaker."""

    part: str
    region: int
    age: int | None  # in years, when the recordings were made


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--phones``, ``--text``, ``--split`` and ``--partial``."""
    parser.add_argument("--phones", choices=("61", "48", "39", "cmu"), default="61", help=(
        "labels of the units: as transcribed, or folded to 48 or 39 (default 61: score by a protocol that folds); "
        "cmu: the 39 phones of the CMU dictionary, without silence, to score recognizers of those"))
    parser.add_argument("--text", choices=("sentence", "words"), default="sentence", help=(
        "sentence: as spelled in .TXT; words: those of .WRD, lower case and without punctuation (default: sentence)"))
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
    days = [(int(date[3]), int(date[1]), int(date[2])) for date in dates if date is not None]  # year, month, day
    return days[1][0] - days[0][0] - (days[1][1:] < days[0][1:]) if len(days) == 2 else None


def _find_part(speaker: Speaker, records: dict[str, Record]) -> str:
    """Whether a speaker belongs to TRAIN or TEST: by the folders, or else by SPKRINFO.TXT, or else by the lists of test speakers."""
    known = records[speaker.id].part if speaker.id in records else "test" if speaker.id in DEVELOPMENT | CORE else "train"
    return speaker.part or known


def _assign(speaker: Speaker, records: dict[str, Record], split: str) -> str | None:
    """The set of a speaker; None for those of TEST who are in none of the sets."""
    if _find_part(speaker, records) == "train":
        return "train"
    return "test" if split == "complete" or speaker.id in CORE else "dev" if speaker.id in DEVELOPMENT else None


def _read_speaker(speaker: Speaker, record: Record | None, split: str | None, options: argparse.Namespace) -> Iterator[Item]:
    from recognizer.audio.io import AUDIO_SUFFIXES

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
            text = " ".join(word.label for word in words)
            if options.text == "sentence":  # the first and last sample stand before it
                text = re.sub(r"^\s*\d+\s+\d+\s+", "", read_text(kinds[".txt"]))
            if not text.strip():
                raise InputError(f"{kinds['.txt']}: has no text")
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
        counts = Counter(speaker.region for speaker in speakers if _find_part(speaker, records) == part)
        for region, expected in enumerate(published, start=1):
            if counts[region] != expected:
                yield f"{part.upper()}/DR{region}: {counts[region]} speakers, published {expected}"


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
