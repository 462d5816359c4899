"""TIMIT: a whole corpus of invented speakers in the format of the disc, its counts, and what is said of a copy that differs."""

from __future__ import annotations

import itertools
import os
import shutil
import struct
from pathlib import Path

import pytest
import soundfile

from recognizer.data.manifest import load_manifest
from recognizer.data.preparation import prepare
from recognizer.data_prep.timit import CORE, CORE_TEST, DEVELOPMENT, FOLDED_PHONES, TEST_SPEAKERS, TRAIN_SPEAKERS
from recognizer.errors import InputError
from recognizer.text.phones import PHONES_39, PHONES_48, fold_phones

SENTENCES = ("SA1", "SA2", "SI1027", "SI1657", "SI648", "SX127", "SX217", "SX307", "SX37", "SX397")
HEAD = "database_id -s5 TIMIT\nsample_count -i {}\nsample_rate -i 16000\nchannel_count -i 1\nsample_n_bytes -i 2\nsample_byte_format -s2 01\n"


def sphere(samples: int = 40) -> bytes:
    """A recording as on the disc: a header of 1024 bytes and 16-bit samples."""
    head = "NIST_1A\n   1024\n" + HEAD.format(samples) + "end_head\n"
    return head.encode().ljust(1024) + struct.pack(f"<{samples}h", *range(samples))


def transcribe(phones: int) -> str:
    """A .PHN file of so many phones once it is folded, with a glottal stop besides, which is not counted."""
    labels = ["h#", "q", "ax-h", "dcl", "d", *(["ix"] * (phones - 6)), "pau", "h#"]
    return "".join(f"{1600 * n} {1600 * n + 1600} {label}\n" for n, label in enumerate(labels))


def invent(known: set[str], sex: str) -> str:
    names = (f"{sex}x{a}{b}{n}" for a, b, n in itertools.product("abcdefghij", "abcdefghij", range(10)))
    return next(name for name in names if name not in known)


def cast() -> list[tuple[str, int, str]]:
    """Part, region and name of 630 speakers: those whom the lists name, and invented ones."""
    known: set[str] = set()
    speakers = []
    developers = iter(sorted(DEVELOPMENT))
    for region, size in enumerate(TEST_SPEAKERS, start=1):
        names = [*CORE_TEST[region - 1], *itertools.islice(developers, size - 5)]
        while len(names) < size:
            names.append(invent(known | set(names), "fm"[len(names) % 2]))
        speakers += [("TEST", region, name) for name in names]
        known |= set(names)
    for region, size in enumerate(TRAIN_SPEAKERS, start=1):
        for place in range(size):
            speakers.append(("TRAIN", region, invent(known, "fm"[place % 2])))
            known.add(speakers[-1][2])
    return speakers


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LDC93S1 in full size; the files are links to a few, so that it is written in a second. Not to be changed."""
    root = tmp_path_factory.mktemp("timit")
    blanks = root / "blanks"
    blanks.mkdir()
    contents = {"WAV": sphere(), "TXT": b"0 40 Ann's dog, it ran.\n", "WRD": b"0 3200 ann's\n3200 6400 dog\n"}
    contents |= {f"PHN{phones}": transcribe(phones).encode() for phones in (37, 38, 7)}
    for name, content in contents.items():
        (blanks / name).write_bytes(content)
    long = {"dev": 15057 - 400 * 37, "core": 7215 - 192 * 37}  # how many of the sentences have 38 phones
    rows = []
    for part, region, name in cast():
        folder = root / "TIMIT" / part / f"DR{region}" / name.upper()
        folder.mkdir(parents=True)
        group = "core" if name in CORE else "dev" if name in DEVELOPMENT else ""
        for sentence in SENTENCES:
            phones = 7
            if group and not sentence.startswith("SA"):
                long[group] -= 1
                phones = 38 if long[group] >= 0 else 37
            for suffix, blank in (("WAV", "WAV"), ("TXT", "TXT"), ("WRD", "WRD"), ("PHN", f"PHN{phones}")):
                os.link(blanks / blank, folder / f"{sentence}.{suffix}")
        rows.append(f"{name[1:].upper()}  {name[0].upper()}  {region}  {'TRN' if part == 'TRAIN' else 'TST'}  01/30/86  02/18/62  5'6\"  WHT  BS\n")
    (root / "TIMIT" / "DOC").mkdir()
    (root / "TIMIT" / "DOC" / "SPKRINFO.TXT").write_text("; Table\n;ID  Sex DR Use\n" + "".join(rows) + "XYZ0  M  1  ???\n")
    return root / "TIMIT"


def test_the_whole_corpus_comes_to_the_published_counts(disc, tmp_path):
    dropped, notes = [], []
    counts = prepare("timit", disc, tmp_path, drop=dropped.append, note=notes.append)
    assert {name: (count.items, count.groups) for name, count in counts.items()} == {"train": (3696, 462), "dev": (400, 50), "test": (192, 24)}
    assert dropped == [] and notes == ["left out: the SA sentences, the same two for everybody, and 94 speakers of TEST who are in neither set"]
    for name, phones in FOLDED_PHONES["core"].items():
        items = load_manifest(tmp_path / f"{name}.jsonl")
        assert sum(len(fold_phones(item.units, 39)) for item in items) == phones == {"dev": 15057, "test": 7215}[name]
        assert {item.group for item in items} == {"dev": DEVELOPMENT, "test": CORE}[name]
    item = items[0]
    assert item.id == "felc0_si1027" and item.text == "Ann's dog, it ran." and item.seconds == 40 / 16000
    assert item.source == disc / "TEST/DR1/FELC0/SI1027.WAV" or item.source.samefile(disc / "TEST/DR1/FELC0/SI1027.WAV")
    assert item.units[:4] == ("h#", "q", "ax-h", "dcl") and [label for _, _, label in item.meta["phones"]] == list(item.units)
    assert item.meta["phones"][1] == [0.1, 0.2, "q"] and item.meta["words"][1] == [0.2, 0.4, "dog"]
    assert {key: item.meta[key] for key in ("sex", "dialect", "age")} == {"sex": "f", "dialect": "New England", "age": 23}


def test_everything_that_differs_is_named(disc, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(disc, copy, copy_function=os.link)
    shutil.rmtree(copy / "TEST/DR1/MDAB0")
    (copy / "TEST/DR1/FADG0").rename(copy / "TRAIN/DR1/FADG0")
    (copy / "TEST/DR2/MTAS1").rename(copy / "TEST/DR3/MTAS1")
    gone, other, short = sorted((copy / "TRAIN/DR4").iterdir())[:3]
    shutil.rmtree(gone)
    other.rename(other.with_name("MZZZ9"))
    (short / "SX37.WAV").unlink()
    (short / "SI648.WAV").unlink()
    (short / "SI648.WAV").write_bytes(sphere()[:1050])
    dropped, notes = [], []
    with pytest.raises(InputError, match=r"not TIMIT as published: speaker mdab0 of the core test is missing \(deviations besides: 16\)"):
        prepare("timit", copy, tmp_path / "out", drop=dropped.append, note=notes.append)
    assert not (tmp_path / "out").exists()
    assert notes == [
        "speaker mdab0 of the core test is missing",
        f"{copy}/TEST/DR3/MTAS1: speaker mtas1 belongs to DR2, found in DR3",
        f"{copy}/TRAIN/DR1/FADG0: speaker fadg0 belongs to the development set and so to TEST, found in TRAIN",
        f"speaker {gone.name.lower()} of TRAIN/DR4 is missing, whom SPKRINFO.TXT lists",
        f"speaker {other.name.lower()} of TRAIN/DR4 is missing, whom SPKRINFO.TXT lists",
        f"{other.with_name('MZZZ9')}: speaker mzzz9 is not in SPKRINFO.TXT",
        "TRAIN/DR1: 39 speakers, published 38",
        "TRAIN/DR4: 67 speakers, published 68",
        "TEST/DR1: 9 speakers, published 11",
        "TEST/DR2: 25 speakers, published 26",
        "TEST/DR3: 27 speakers, published 26",
        f"{short}: expected 5 SX and 3 SI sentences, found si1027, si1657, sx127, sx217, sx307, sx397",
        "train: 3694 utterances, published 3696",
        "dev: 392 utterances, published 400",
        "dev: 14753 reference phones (folded to 39, q deleted), published 15057",
        "test: 184 utterances, published 192",
        "test: 6911 reference phones (folded to 39, q deleted), published 7215",
    ]
    assert len(dropped) == 2 and str(dropped[0]) == f"{short}/sx37: has no .WAV" and "broken off" in str(dropped[1])


@pytest.fixture
def copy(tmp_path, write):
    """Write sentences in one of the layouts that copies come in, given by their paths without suffix."""

    def make(*stems: str, audio: str = ".WAV", upper: bool = True) -> Path:
        phones = "0 800 h#\n800 1600 tcl\n1600 2400 t\n2400 2500 q\n2500 4000 ix\n4000 4800 h#\n"
        for stem in stems:
            for suffix, content in ((audio, sphere()), (".phn", phones), (".txt", "0 40 It is.\r\n"), (".wrd", "800 4000 it\n4000 4800 is\n")):
                write(tmp_path / "t" / (stem + (suffix.upper() if upper and suffix != audio else suffix)), content)
        return tmp_path / "t"

    return make


LAYOUTS = [
    ("TRAIN/DR2/FAAA0/SX1", ".WAV", True),
    ("train/dr2/faaa0/sx1", ".wav", False),
    ("data/TRAIN/DR2/FAAA0/SX1", ".WAV.wav", True),
    ("timit/TIMIT/train/dr2/faaa0/sx1", ".flac", False),
    ("dr2-faaa0/sx1", ".wav", False),
]


@pytest.mark.parametrize(("stem", "audio", "upper"), LAYOUTS)
def test_layouts(copy, read, stem, audio, upper):
    root = copy(stem, str(Path(stem).parent / ("SA1" if upper else "sa1")), audio=audio, upper=upper)
    if audio == ".wav":  # converted to RIFF
        soundfile.write(root / f"{stem}.wav", [0.0] * 40, 16000)
    reading = read("timit", root, "--partial")
    assert reading.dropped == [] and "train: 1 utterances, published 3696" in reading.notes
    (item,) = reading.items
    assert (item.id, item.group, item.text, item.source.name) == ("faaa0_sx1", "faaa0", "It is.", Path(stem + audio).name)
    assert item.meta["split"] == "train" and item.meta["dialect"] == "Northern" and item.meta["sex"] == "f" and "age" not in item.meta
    assert item.seconds == 40 / 16000


def test_original_and_conversion_side_by_side(copy, read):
    root = copy("TRAIN/DR1/FAAA0/SX1")
    shutil.copy(root / "TRAIN/DR1/FAAA0/SX1.WAV", root / "TRAIN/DR1/FAAA0/SX1.WAV.wav")
    (root / "TRAIN/DR1/FAAA0/._SX1.WAV").write_bytes(b"of a Macintosh")
    reading = read("timit", root, "--partial")
    assert [item.source.name for item in reading.items] == ["SX1.WAV"] and reading.dropped == []


@pytest.mark.parametrize(("size", "units", "known"), [
    ("61", ("h#", "tcl", "t", "q", "ix", "h#"), None),
    ("48", ("sil", "cl", "t", "ix", "sil"), PHONES_48),
    ("39", ("sil", "sil", "t", "ih", "sil"), PHONES_39),
])
def test_sets_of_phones_and_their_times(copy, read, size, units, known):
    (item,) = read("timit", copy("TEST/DR1/MDAB0/SX1"), "--partial", "--phones", size).items
    assert item.units == units == tuple(label for _, _, label in item.meta["phones"])
    assert known is None or known.issuperset(units)
    assert item.meta["phones"][-2][:2] == (0.1562, 0.25) and item.meta["split"] == "test"


def test_phones_of_the_cmu_dictionary_have_no_silence(copy, read):
    (item,) = read("timit", copy("TEST/DR1/MDAB0/SX1"), "--partial", "--phones", "cmu").items
    assert item.units == ("T", "IH") == tuple(label for _, _, label in item.meta["phones"])
    assert item.meta["phones"][-1][:2] == (0.1562, 0.25)


def test_words_as_text(copy, read):
    (item,) = read("timit", copy("TRAIN/DR1/FAAA0/SX1"), "--partial", "--text", "words").items
    assert item.text == "it is" and item.meta["words"] == [(0.05, 0.25, "it"), (0.25, 0.3, "is")]


def test_speakers_of_a_flat_copy_go_where_the_table_says(copy, read, write):
    root = copy("dr1-mxaa0/sx1", "dr2-mxbb0/sx1", "dr1-mdab0/sx1", "dr1-faks0/sx1", upper=False)
    table = "XAA0  M  1  TRN  01/30/86  02/18/62 5'6\" WHT BS\nXBB0  M  2  TST  01/01/86  ??/??/?? 5'6\" WHT BS\n"
    write(root / "spkrinfo.txt", table)
    reading = read("timit", root, "--partial")
    assert {item.group: item.meta["split"] for item in reading.items} == {"mxaa0": "train", "mdab0": "test", "faks0": "dev"}
    assert [item.meta.get("age") for item in reading.items] == [None, None, 23]
    assert "1 speakers of TEST who are in neither set" in reading.notes[-1]
    reading = read("timit", root, "--partial", "--split", "complete")
    assert {item.group: item.meta["split"] for item in reading.items} == {"mxaa0": "train", "mdab0": "test", "faks0": "test", "mxbb0": "test"}
    assert "test: 3 utterances, published 1344" in reading.notes


@pytest.mark.parametrize(("suffix", "content", "message"), [
    (".PHN", "0 800 h#\n800 tcl\n", "SX2.PHN:2: expected 'start end label', found '800 tcl'"),
    (".PHN", "0 800 h#\n900 800 t\n", "SX2.PHN:2: expected 'start end label'"),
    (".PHN", "0 800 zz\n", "SX2.PHN: 'zz' is not one of TIMIT's phone labels"),
    (".PHN", "\n", "SX2.PHN: is empty"),
    (".TXT", "0 40\n", "SX2.TXT: has no text"),
    (".WAV", "RIFF", "SX2.WAV: not audio"),
])
def test_a_damaged_file_costs_one_sentence(copy, read, write, suffix, content, message):
    root = copy("TRAIN/DR1/FAAA0/SX1", "TRAIN/DR1/FAAA0/SX2")
    write(root / f"TRAIN/DR1/FAAA0/SX2{suffix}", content)
    reading = read("timit", root, "--partial")
    assert [item.id for item in reading.items] == ["faaa0_sx1"]
    assert len(reading.dropped) == 1 and message in reading.dropped[0]


def test_copies_that_cannot_be_read(copy, read, tmp_path):
    with pytest.raises(InputError, match="no speakers found; expected folders such as"):
        read("timit", tmp_path, "--partial")
    root = copy("TRAIN/DR1/FAAA0/SX1", "backup/train/dr1/faaa0/sx1")
    with pytest.raises(InputError, match=r"speaker faaa0 is already in .*; give the folder of one copy"):
        read("timit", root, "--partial")
