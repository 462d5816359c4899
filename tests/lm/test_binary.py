"""Binary models, plain and compact: written and read back, mapped, shared, and refused where they are damaged."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recognizer.errors import InputError
from recognizer.lm import binary
from recognizer.lm.binary import MAGIC, is_model, load_ngram, save_ngram
from recognizer.lm.interpolate import interpolate_ngrams
from recognizer.lm.kneser_ney import estimate_ngram
from recognizer.lm.ngram import LOG_ZERO, SPECIAL, NgramModel, query
from tests.lm.reference import same, zipf_text

HALF = 2.0**-11  # the most that rounding to half precision changes, relative


@pytest.fixture(scope="module")
def model() -> NgramModel:
    return estimate_ngram(["ab a\u2028b", "été b", "c\x85a"], 3, "characters")


@pytest.fixture
def plain(model, tmp_path) -> Path:
    save_ngram(model, tmp_path / "m.ngram")
    return tmp_path / "m.ngram"


@pytest.fixture
def compact(model, tmp_path) -> Path:
    save_ngram(model, tmp_path / "m.ngram", compact=True)
    return tmp_path / "m.ngram"


@pytest.fixture(params=["plain", "compact"])
def either(request) -> Path:
    return request.getfixturevalue(request.param)


def reload_compact(model: NgramModel, folder: Path) -> NgramModel:
    save_ngram(model, folder / "compact.ngram", compact=True)
    return load_ngram(folder / "compact.ngram")


def check_same_but_rounded(model: NgramModel, back: NgramModel) -> None:
    assert (back.order, back.level, back.symbols, back.start) == (model.order, model.level, model.symbols, model.start)
    for name in ("first", "symbol", "target", "fallback", "log_prob", "backoff"):
        one, other = getattr(model, name), getattr(back, name)
        assert one.dtype == other.dtype and one.shape == other.shape and not other.flags.writeable and other.flags.c_contiguous
        if name in ("log_prob", "backoff"):
            np.testing.assert_allclose(other, one, rtol=HALF, atol=2.0**-24)
        else:
            np.testing.assert_array_equal(other, one)


def test_a_plain_model_comes_back_mapped_aligned_and_read_only(model, plain) -> None:
    back = load_ngram(plain)
    assert same(model, back) and [path.name for path in plain.parent.iterdir()] == ["m.ngram"]
    for each in back.arrays:
        assert not each.flags.writeable and each.flags.aligned and not each.flags.owndata
    for state in range(len(model.backoff)):
        for id in range(len(model.symbols)):
            assert query(*back.arrays, state, id) == query(*model.arrays, state, id)


@pytest.mark.parametrize("level", ["words", "characters"])
@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_a_compact_model_comes_back_rounded(level, order, tmp_path) -> None:
    text = [" ".join(sentence) for sentence in zipf_text(400, 300)]
    model = estimate_ngram(text, order, level, prune=(0, 0, 1)[:order])
    back = reload_compact(model, tmp_path)
    check_same_but_rounded(model, back)
    held_out = [" ".join(sentence) for sentence in zipf_text(50, 320, seed=2)]
    assert back.perplexity(held_out).including_unknown == pytest.approx(model.perplexity(held_out).including_unknown, rel=1e-3)
    assert [path.name for path in tmp_path.iterdir()] == ["compact.ngram"] and is_model(tmp_path / "compact.ngram")


def test_the_log_of_zero_stays_exact_and_rounding_happens_once(tmp_path) -> None:
    back = reload_compact(estimate_ngram(["a b", "b"], 2), tmp_path)
    assert back.log_prob[1] == np.float32(LOG_ZERO)
    save_ngram(back, tmp_path / "a.arpa")
    assert any(line.split("\t")[:2] == ["-99", "<s>"] for line in (tmp_path / "a.arpa").read_text().splitlines())
    assert same(back, reload_compact(back, tmp_path))


def test_logarithms_beyond_half_precision_are_clipped(tmp_path) -> None:
    model = estimate_ngram(["a b", "b"], 2)
    back = reload_compact(replace(model, log_prob=model.log_prob - np.float32(1e6), backoff=model.backoff * np.float32(1e-9)), tmp_path)
    assert back.log_prob.tolist() == [-65504.0] * len(model.log_prob) and not back.backoff.any()
    assert back.fallback.tolist() == model.fallback.tolist()


def test_models_of_other_origin_have_a_compact_form(tmp_path) -> None:
    """Interpolated, read from ARPA with n-grams without contexts of their own and contexts that only weigh, and mapped."""
    one, other = estimate_ngram(zipf_text(80, 50), 3), estimate_ngram(zipf_text(90, 60, seed=2), 2)
    mixture = interpolate_ngrams(one, other, 0.3)
    check_same_but_rounded(mixture, reload_compact(mixture, tmp_path))
    (tmp_path / "a.arpa").write_text(
        "\\data\\\nngram 1=5\nngram 2=3\nngram 3=2\n\n\\1-grams:\n-1\t<unk>\n-99\t<s>\t-0.3\n-1\t</s>\n-0.6\ta\t-0.2\n-0.7\tb\t-0.4\n\n"
        "\\2-grams:\n-0.2\t<s> a\t-0.5\n-0.3\ta b\t-0.1\n-0.4\tb a\n\n\\3-grams:\n-0.1\t<s> a b\n-0.2\tb a b\n\n\\end\\\n"
    )
    read = load_ngram(tmp_path / "a.arpa")
    check_same_but_rounded(read, reload_compact(read, tmp_path))
    save_ngram(one, tmp_path / "plain.ngram")
    check_same_but_rounded(one, reload_compact(load_ngram(tmp_path / "plain.ngram"), tmp_path))


def wide_model(vocabulary: int) -> NgramModel:
    """Bigrams of every word with itself and with the one before it."""
    words = np.arange(3, vocabulary)
    first = np.full(vocabulary - 1, vocabulary, dtype=np.int64)
    first[0] = 0
    first[1:] += 2 * np.arange(vocabulary - 2)
    generator = np.random.default_rng(0)
    return NgramModel(
        order=2,
        level="words",
        symbols=(*SPECIAL, *sorted(f"w{number}" for number in range(vocabulary - 3))),
        first=first,
        symbol=np.concatenate([np.arange(vocabulary), np.stack([words - 1, words], axis=1).ravel()]).astype(np.int32),
        log_prob=-generator.gamma(4.0, 2.0, 3 * vocabulary - 6).astype(np.float32),
        target=np.concatenate([[0, 0, 0], words - 2, np.maximum(np.stack([words - 3, words - 2], axis=1).ravel(), 0)]).astype(np.int32),
        backoff=-generator.gamma(1.0, 1.0, vocabulary - 2).astype(np.float32),
        fallback=np.concatenate([[-1], np.zeros(vocabulary - 3)]).astype(np.int32),
        start=0,
    )


@pytest.mark.parametrize("vocabulary", [250, 256, 257, 65536, 65537, 80000])
def test_numbers_of_every_width(vocabulary, tmp_path) -> None:
    model = wide_model(vocabulary)
    check_same_but_rounded(model, reload_compact(model, tmp_path))


def test_a_compact_model_is_much_smaller(tmp_path) -> None:
    text = [" ".join(sentence) for sentence in zipf_text(2000, 3000)]
    for model in (estimate_ngram(text, 3), estimate_ngram(text, 6, "characters")):
        save_ngram(model, tmp_path / "plain")
        save_ngram(model, tmp_path / "compact", compact=True)
        assert (tmp_path / "compact").stat().st_size < 0.4 * (tmp_path / "plain").stat().st_size


def test_states_in_another_order_have_no_compact_form(tmp_path) -> None:
    model = wide_model(250)
    for spoiled in (replace(model, target=model.target[::-1]), replace(model, fallback=np.maximum(model.fallback, 0))):
        with pytest.raises(InputError, match="no compact form"):
            save_ngram(spoiled, tmp_path / "m.ngram", compact=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["m.arpa", "m.arpa.gz", "m.ngram", "m.bin"])
def test_a_model_is_known_by_its_content_not_its_name(name, model, tmp_path) -> None:
    save_ngram(model, tmp_path / name)
    moved = (tmp_path / name).rename(tmp_path / "lm")
    assert moved.read_bytes().startswith({"m.arpa.gz": b"\x1f\x8b", "m.arpa": b"\\data\\"}.get(name, MAGIC)) and is_model(moved)
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


def take_apart(path: Path) -> tuple[dict, bytes]:
    """The header of a file, without the digest, and what follows it."""
    whole = path.read_bytes()
    begin = len(MAGIC) + 8
    length = int.from_bytes(whole[len(MAGIC) : begin], "little")
    header = json.loads(whole[begin : begin + length])
    del header["sha256"]
    return header, whole[begin + length :]


def put_together(path: Path, header: dict, rest: bytes) -> None:
    text = json.dumps(header).encode()
    path.write_bytes(MAGIC + len(text).to_bytes(8, "little") + text + rest)


def test_any_byte_of_a_compact_model_that_is_altered_is_noticed(compact) -> None:
    header, packed = take_apart(compact)
    for place in range(len(packed)):
        put_together(compact, header, packed[:place] + bytes([packed[place] ^ 0x55]) + packed[place + 1 :])
        with pytest.raises(InputError, match=r"m\.ngram: is damaged"):
            load_ngram(compact)


def test_numbers_that_contradict_each_other_are_refused(compact) -> None:
    """Even if the checksum is right, nothing is looked up beyond an array or for ever."""
    header, packed = take_apart(compact)
    data = zlib.decompress(packed)
    opened = 0
    for place in range(len(data)):
        altered = zlib.compress(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
        put_together(compact, header | {"bytes": len(altered)}, altered)
        try:
            back = load_ngram(compact)
        except InputError as error:
            assert "damaged" in str(error)
        else:
            opened += 1
            assert back.target.max() < len(back.backoff) and np.all(back.fallback < np.arange(len(back.backoff)))
    assert 0 < opened < len(data)


def test_a_newer_version_is_named(either) -> None:
    header, rest = take_apart(either)
    put_together(either, header | {"format": 3, "recognizer": "9.1"}, rest)
    with pytest.raises(InputError, match=r"m\.ngram: was made by a newer version \(9\.1, format 3\); this is .*, format 2: upgrade"):
        load_ngram(either)


@pytest.mark.parametrize(
    ("form", "change"),
    [
        ("plain", {"offsets": None}), ("plain", {"lengths.symbol": 3}), ("plain", {"vocabulary": 4}), ("plain", {"start": 10**6}),
        ("plain", {"level": "bytes"}), ("plain", {"symbol_bytes": 2}), ("plain", {"lengths.first": 2}), ("plain", {"offsets.first": 10**9}),
        ("plain", {"format": None}), ("plain", {"order": "three"}), ("plain", {"order": 10**9}), ("plain", {"start": 0}),
        ("plain", {"lengths.first": -1}), ("plain", {"offsets.symbol": 4}), ("plain", {"symbol_bytes": -1}),
        ("compact", {"start": 0}), ("plain", {"format": 1e999}),
        ("compact", {"widths": None}), ("compact", {"widths.symbol": 2}), ("compact", {"widths.log_prob": -2}), ("compact", {"widths.leads": None}),
        ("compact", {"widths.leads": "1"}), ("compact", {"states": 0}), ("compact", {"states": 21}), ("compact", {"arcs": 10**30}),
        ("compact", {"arcs": "1"}), ("compact", {"arcs": None}), ("compact", {"vocabulary": 10}), ("compact", {"vocabulary": -1}),
        ("compact", {"symbol_bytes": 2.5}), ("compact", {"symbol_bytes": 20}), ("compact", {"start": 10**6}), ("compact", {"format": 1}),
        ("compact", {"start": None}), ("compact", {"bytes": 10**30}), ("compact", {"vocabulary": []}),
    ],
)  # fmt: skip
def test_a_header_that_does_not_fit_is_refused(form, change, request) -> None:
    path = request.getfixturevalue(form)
    header, rest = take_apart(path)
    for key, value in change.items():
        group = header
        *parents, last = key.split(".")
        for parent in parents:
            group = group[parent]
        assert group[last] != value
        group[last] = value
        if value is None:
            del group[last]
    put_together(path, header, rest)
    with pytest.raises(InputError, match="damaged"):
        load_ngram(path)


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        ("first", 2, 10**9), ("first", 2, 3), ("symbol", 3, 7), ("symbol", -1, 10**6), ("symbol", -1, -1), ("symbol", 10, 4), ("target", -1, 10**6),
        ("target", -1, -2), ("fallback", 0, 0), ("fallback", 1, 1), ("fallback", -1, -1), ("log_prob", -1, np.nan), ("backoff", -1, np.inf),
    ],
)  # fmt: skip
def test_numbers_that_lead_astray_are_refused_without_a_digest_too(name, place, value, model, tmp_path) -> None:
    array = getattr(model, name).copy()
    assert array[place] != value
    array[place] = value
    save_ngram(replace(model, **{name: array}), tmp_path / "m.ngram")
    put_together(tmp_path / "m.ngram", *take_apart(tmp_path / "m.ngram"))
    with pytest.raises(InputError, match=r"m\.ngram: is damaged"):
        load_ngram(tmp_path / "m.ngram")


def test_a_file_without_a_digest_opens(model, either) -> None:
    put_together(either, *take_apart(either))
    assert load_ngram(either).sentence_log_prob("été") == pytest.approx(model.sentence_log_prob("été"), rel=1e-2)


FLIPS = """
import random, sys
from pathlib import Path
import numpy as np
from recognizer.errors import InputError
from recognizer.lm.binary import load_ngram
from recognizer.lm.ngram import query_many

def answers(path):
    model = load_ngram(path)
    states, ids = (each.ravel() for each in np.mgrid[: len(model.backoff), : len(model.symbols)])
    return (model.order, model.level, model.symbols, model.start, *(each.tobytes() for each in query_many(*model.arrays, states, ids)))

rng = random.Random(1)
for name in sys.argv[2:]:
    path, refused, same, other = Path(name), 0, 0, 0
    whole, expected = path.read_bytes(), answers(path)
    begin = 0 if sys.argv[1] == "all" else whole.index(b"}") + 1
    for _ in range(100):
        bit = rng.randrange(8 * begin, 8 * len(whole))
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            found = answers(path)
            same, other = same + (found == expected), other + (found != expected)
        except InputError:
            refused += 1
    print(refused, same, other)
"""


@pytest.mark.parametrize("digest", [True, False])
def test_flipped_bits_never_pass_for_the_model(digest, model, tmp_path) -> None:
    """Nor crash the process; where an older version wrote no digest, those that stay within bounds are not known."""
    paths = [tmp_path / name for name in ("plain.ngram", "compact.ngram")]
    for path in paths:
        save_ngram(model, path, compact=path.name == "compact.ngram")
        if not digest:
            put_together(path, *take_apart(path))
    run = subprocess.run([sys.executable, "-c", FLIPS, "all" if digest else "data", *paths], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    counts = [tuple(map(int, line.split())) for line in run.stdout.splitlines()]
    assert [sum(row) for row in counts] == [100, 100]
    assert counts[1][2] == 0 and (counts[0][2] == 0) == digest
    assert min(row[0] for row in counts) > 10


def test_a_large_mapped_model_is_checked_once(model, plain, tmp_path, monkeypatch) -> None:
    checks: list[NgramModel] = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(binary, "SMALL", 100)
    monkeypatch.setattr(binary, "has_faults", lambda model: bool(checks.append(model)))
    for _ in range(3):
        assert same(model, load_ngram(plain))
    assert len(checks) == 1
    whole = plain.read_bytes()
    plain.write_bytes(whole[:-70] + b"\x55" + whole[-69:])
    with pytest.raises(InputError, match="damaged"):
        load_ngram(plain)


def test_a_full_disk_leaves_what_was_there(model, tmp_path, full_disk) -> None:
    for name in ("m.ngram", "m.arpa"):
        (tmp_path / name).write_text("before")
        with pytest.raises(InputError, match=rf"{name}: cannot be written"), full_disk(300):
            save_ngram(model, tmp_path / name)
        assert (tmp_path / name).read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 2
