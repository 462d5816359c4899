"""The binary form: there and back, mapped, shared, and refused where it is damaged."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from recognizer.decoding.ngram import NgramModel
from recognizer.decoding.ngram_estimate import estimate_ngram
from recognizer.decoding.ngram_file import MAGIC, is_model, load_ngram, save_ngram
from recognizer.decoding.ngram_query import query
from recognizer.errors import InputError


@pytest.fixture(scope="module")
def model() -> NgramModel:
    return estimate_ngram(["ab a\u2028b", "été b", "c\x85a"], 3, "characters")


@pytest.fixture
def binary(model, tmp_path) -> Path:
    save_ngram(model, tmp_path / "m.ngram")
    return tmp_path / "m.ngram"


@pytest.fixture
def compact(model, tmp_path) -> Path:
    save_ngram(model, tmp_path / "m.ngram", compact=True)
    return tmp_path / "m.ngram"


@pytest.fixture(params=["binary", "compact"])
def either(request) -> Path:
    return request.getfixturevalue(request.param)


def same(one: NgramModel, other: NgramModel) -> bool:
    fields = (one.order, one.level, one.symbols, one.start) == (other.order, other.level, other.symbols, other.start)
    return fields and all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(one.arrays, other.arrays, strict=True))


def test_there_and_back(model, binary) -> None:
    back = load_ngram(binary)
    assert same(model, back)
    assert back.sentence_log_prob("été") == model.sentence_log_prob("été")
    assert [path.name for path in binary.parent.iterdir()] == ["m.ngram"]


def test_arrays_are_mapped_aligned_and_read_only(model, binary) -> None:
    back = load_ngram(binary)
    for each in back.arrays:
        assert not each.flags.writeable and each.flags.aligned and not each.flags.owndata
    for state in range(len(model.backoff)):
        for id in range(len(model.symbols)):
            assert query(*back.arrays, state, id) == query(*model.arrays, state, id)


@pytest.mark.parametrize("name", ["m.arpa", "m.arpa.gz", "m.ngram", "m.bin"])
def test_a_model_is_known_by_its_content_not_its_name(name, model, tmp_path) -> None:
    save_ngram(model, tmp_path / name)
    moved = (tmp_path / name).rename(tmp_path / "lm")
    begin = moved.read_bytes()[:20]
    assert (begin[:2] == b"\x1f\x8b", begin.startswith(b"\\data\\"), begin.startswith(MAGIC)) == (
        name == "m.arpa.gz",
        name == "m.arpa",
        name[-1] in "mn",
    )
    assert is_model(moved)
    back = load_ngram(moved)
    assert back.symbols == model.symbols
    assert back.sentence_log_prob("été") == pytest.approx(model.sentence_log_prob("été"), abs=1e-5)


def test_text_is_no_model(tmp_path) -> None:
    (tmp_path / "a.txt").write_text("some data\nhere\n")
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"some data\nhere\n"))
    (tmp_path / "b.gz").write_bytes(b"\x1f\x8bxxxxxxxxxxx")
    assert not any(is_model(tmp_path / name) for name in ("a.txt", "a.gz", "b.gz", "none"))
    with pytest.raises(InputError, match=r"a\.txt: is not an ARPA file"):
        load_ngram(tmp_path / "a.txt")
    with pytest.raises(InputError, match=r"none: cannot be read: No such file"):
        load_ngram(tmp_path / "none")


def test_every_cut_is_noticed(either) -> None:
    whole = either.read_bytes()
    for size in [*range(len(MAGIC), len(whole) - 1, 37), len(whole) - 1]:
        either.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"m\.ngram: is damaged or cut short"):
            load_ngram(either)
    either.write_bytes(whole + b"x")
    with pytest.raises(InputError, match="damaged"):
        load_ngram(either)


def change_header(path: Path, change) -> None:
    whole = path.read_bytes()
    begin = len(MAGIC) + 8
    length = int.from_bytes(whole[len(MAGIC) : begin], "little")
    header = json.loads(whole[begin : begin + length])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(MAGIC + len(text).to_bytes(8, "little") + text + whole[begin + length :])


def test_a_newer_version_is_named(either) -> None:
    change_header(either, lambda header: header.update(format=3, recognizer="9.1"))
    with pytest.raises(InputError, match=r"m\.ngram: was made by a newer version \(9\.1, format 3\); this is .*, format 2: upgrade"):
        load_ngram(either)


def test_plain_files_are_open_to_older_versions(binary) -> None:
    def check(header) -> None:
        assert header["format"] == 1 and header.keys() >= {"lengths", "offsets", "symbol_bytes", "bytes"}

    change_header(binary, check)


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header.pop("offsets"), lambda header: header["lengths"].update(symbol=3), lambda header: header.update(vocabulary=4),
        lambda header: header.update(start=10**6), lambda header: header.update(level="bytes"), lambda header: header.update(symbol_bytes=2),
        lambda header: header["lengths"].update(first=2), lambda header: header["offsets"].update(first=10**9), lambda header: header.pop("format"),
        lambda header: header.update(order="three"),
    ],
)  # fmt: skip
def test_a_header_that_does_not_fit_is_refused(change, binary) -> None:
    change_header(binary, change)
    with pytest.raises(InputError, match="damaged"):
        load_ngram(binary)


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header.pop("widths"), lambda header: header["widths"].update(symbol=2), lambda header: header["widths"].update(log_prob=-2),
        lambda header: header["widths"].pop("leads"), lambda header: header["widths"].update(leads="1"), lambda header: header.update(states=0),
        lambda header: header.update(states=header["states"] + 1), lambda header: header.update(arcs=10**30), lambda header: header.update(arcs="1"),
        lambda header: header.update(arcs=None), lambda header: header.update(vocabulary=header["vocabulary"] + 1),
        lambda header: header.update(vocabulary=-1), lambda header: header.update(symbol_bytes=2.5), lambda header: header.update(start=10**6),
        lambda header: header.update(symbol_bytes=header["symbol_bytes"] - 3), lambda header: header.update(format=1),
        lambda header: header.pop("start"), lambda header: header.update(bytes=10**30), lambda header: header.update(vocabulary=[]),
    ],
)  # fmt: skip
def test_a_compact_header_that_does_not_fit_is_refused(change, compact) -> None:
    change_header(compact, change)
    with pytest.raises(InputError, match="damaged"):
        load_ngram(compact)


def test_a_full_disk_leaves_what_was_there(model, tmp_path, full_disk) -> None:
    for name in ("m.ngram", "m.arpa"):
        (tmp_path / name).write_text("before")
        with pytest.raises(InputError, match=rf"{name}: cannot be written"), full_disk(300):
            save_ngram(model, tmp_path / name)
        assert (tmp_path / name).read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 2
