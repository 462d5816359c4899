"""Sphinx's binary models: a writer of the format from its description, and what is read back."""

from __future__ import annotations

import math
import random
import re
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from recognizer.decoding.ngram import NEVER
from recognizer.decoding.ngram_file import is_model, load_ngram
from recognizer.decoding.ngram_sphinx import load_sphinx
from recognizer.errors import InputError
from tests.decoding.ngram_reference import Gram, back_off, read_dictionaries

UNIT = math.log(1.0001)
CODES = 1 << 16
Logs = dict[Gram, tuple[int, int]]  # log prob and backoff weight of each n-gram, in units


def write_sphinx(path: Path, symbols: Sequence[str], grams: Logs, order: int, spare: int = 0) -> Path:
    """Write a model whose symbols have the ids of their order; the counts of longer n-grams say ``spare`` too many."""
    place = {symbol: number for number, symbol in enumerate(symbols)}
    levels = [[(symbol,) for symbol in symbols]]
    children = []  # of each level but the last: where those of each n-gram begin, and where the last ones end
    for n in range(2, order + 1):
        begins, level = [0], []
        for suffix in levels[-1]:
            level += sorted((gram for gram in grams if len(gram) == n and gram[1:] == suffix), key=lambda gram: place[gram[0]])
            begins.append(len(level))
        levels.append(level)
        children.append(begins)
    assert sum(map(len, levels)) == len(grams)
    counts = [len(symbols), *(len(level) + spare for level in levels[1:])]
    tables, arrays = [], []
    for n, level in enumerate(levels[1:], start=2):
        inner = n < order
        kinds = [sorted({grams[gram][kind] for gram in level}) for kind in range(2 if inner else 1)]
        codes = [{value: CODES - 1 - 7 * i for i, value in enumerate(kind)} for kind in kinds]
        for code in codes:
            table = [12345.0] * CODES
            for value, number in code.items():
                table[number] = value
            tables.append(struct.pack(f"<{CODES}f", *table))
        widths = [counts[0].bit_length(), *[16] * len(kinds), *([counts[n].bit_length()] if inner else [])]
        rows = [[place[gram[0]], *[code[grams[gram][kind]] for kind, code in enumerate(codes)][::-1]] for gram in level]
        if inner:
            rows = [[*row, begin] for row, begin in zip([*rows, [0, 0, 0]], children[n - 1], strict=True)]
        arrays.append(pack_bits(rows, widths, counts[n - 1]))
    unigrams = [struct.pack("<ffI", *grams[gram], begin) for gram, begin in zip(levels[0], children[0], strict=False)]
    unigrams.append(struct.pack("<ffI", 0, 0, children[0][-1]))
    names = b"".join(symbol.encode() + b"\0" for symbol in symbols)
    head = b"Trie Language Model" + bytes([order]) + struct.pack(f"<{order}I", *counts) + struct.pack("<I", 1)
    path.write_bytes(b"".join([head, *tables, *unigrams, *arrays, struct.pack("<I", len(names)), names]))
    return path


def pack_bits(rows: Sequence[Sequence[int]], widths: Sequence[int], count: int) -> bytes:
    number, shift = 0, 0
    for row in rows:
        for value, width in zip(row, widths, strict=True):
            assert value < 1 << width
            number |= value << shift
            shift += width
    return number.to_bytes(((count + 1) * sum(widths) + 7) // 8 + 8, "little")


def invent(order: int, seed: int, symbols: Sequence[str]) -> Logs:
    """Some n-grams; the suffixes of each are among them, as the format wants it, but not always the context."""
    chance = random.Random(seed)
    grams: Logs = {(symbol,): (-chance.randrange(5000, 90000), -chance.randrange(1, 9000)) for symbol in symbols}
    for n in range(2, order + 1):
        for suffix in [gram for gram in grams if len(gram) == n - 1 and gram[0] != "<s>"]:
            for symbol in chance.sample(symbols, 3):
                if symbol != "</s>" and suffix[-1] != "<s>":
                    grams[(symbol, *suffix)] = (-chance.randrange(1000, 50000), -chance.randrange(1, 9000) if n < order else 0)
    return grams


WORDS = ["the", "<s>", "cat", "été", "</s>", "bird", "a"]


@pytest.mark.parametrize("unknown", [[], ["<UNK>"], ["<unk>"], ["<UNK>", "<unk>"]])
@pytest.mark.parametrize(("order", "spare"), [(2, 0), (3, 0), (2, 5), (3, 60), (4, 1)])
def test_every_ngram_is_read_back(order, spare, unknown, tmp_path) -> None:
    symbols = [*WORDS, *unknown]
    grams = invent(order, order + spare, symbols)
    model = load_sphinx(write_sphinx(tmp_path / "m.lm.bin", symbols, grams, order, spare))
    assert (model.order, model.level) == (order, "words")
    renamed = {"<UNK>": "<unk>"} if unknown == ["<UNK>"] else {}
    assert model.symbols == ("<unk>", "<s>", "</s>", *sorted({*symbols} - {"<unk>", "<s>", "</s>", *renamed}))
    probability, backoff = read_dictionaries(model)
    spelt = {tuple(renamed.get(symbol, symbol) for symbol in gram): logs for gram, logs in grams.items()}
    contexts = {gram[:n] for gram in spelt for n in range(1, len(gram))}
    assert {*probability} == {*spelt, *contexts, ("<unk>",)}
    for gram, (log_prob, weight) in spelt.items():
        assert math.log(probability[gram]) == pytest.approx(NEVER if gram == ("<s>",) else log_prob * UNIT, rel=1e-6), gram
        assert math.log(backoff.get(gram, 1.0)) == pytest.approx(weight * UNIT, rel=1e-6), gram
    if not unknown:
        assert math.log(probability[("<unk>",)]) == pytest.approx(-100 * math.log(10))


@pytest.mark.parametrize("order", [2, 3])
def test_sentences_score_what_backing_off_gives(order, tmp_path) -> None:
    grams = invent(order, 1, WORDS)
    model = load_sphinx(write_sphinx(tmp_path / "m.lm.bin", WORDS, grams, order))
    probability = {gram: math.exp(log_prob * UNIT) for gram, (log_prob, _) in grams.items()} | {("<unk>",): 1e-100}
    backoff = {gram: math.exp(weight * UNIT) for gram, (_, weight) in grams.items()}
    for sentence in ["", "the cat", "a bird été the the", "cat a dog a cat", "bird bird bird a", "dog"]:
        tokens = ["<s>", *(word if word in WORDS else "<unk>" for word in sentence.split()), "</s>"]
        pairs = [(tuple(tokens[max(0, i - order + 1) : i]), tokens[i]) for i in range(1, len(tokens))]
        expected = sum(math.log(back_off(probability, backoff, *pair)) for pair in pairs)
        assert model.sentence_log_prob(sentence) == pytest.approx(expected, rel=1e-5), sentence


def test_a_probability_rounded_to_more_than_one(tmp_path) -> None:
    grams = invent(2, 3, WORDS) | {("cat", "a"): (3, 0)}
    assert read_dictionaries(load_sphinx(write_sphinx(tmp_path / "m.lm.bin", WORDS, grams, 2)))[0][("cat", "a")] == 1


def test_no_longer_ngrams(tmp_path) -> None:
    grams = {gram: logs for gram, logs in invent(3, 4, WORDS).items() if len(gram) == 1}
    model = load_sphinx(write_sphinx(tmp_path / "m.lm.bin", WORDS, grams, 3))
    assert model.sentence_log_prob("cat") == pytest.approx(
        UNIT * sum([grams[("<s>",)][1], grams[("cat",)][0], grams[("cat",)][1], grams[("</s>",)][0]]), rel=1e-6
    )


@pytest.mark.parametrize("order", [2, 3])
def test_a_file_cut_short(order, tmp_path) -> None:
    path = write_sphinx(tmp_path / "m.lm.bin", WORDS, invent(order, 5, WORDS), order)
    content = path.read_bytes()
    tables = (2 * order - 3) * 4 * CODES
    tail = range(20 + 4 * order + 4 + tables, len(content), 3)
    for length in [0, 5, 18, *range(19, 21 + 4 * order), tables // 2, *tail, len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match=re.escape(str(path)) + ": is (damaged or cut short|not a binary model)"):
            load_sphinx(path)


def test_numbers_that_cannot_be(tmp_path) -> None:
    grams = invent(2, 6, WORDS)
    path = write_sphinx(tmp_path / "m.lm.bin", WORDS, grams, 2)
    content = path.read_bytes()
    end = 20 + 8 + 4 + 4 * CODES + 12 * (len(WORDS) + 1)  # of the unigrams
    spoilt = [
        content[: end - 4] + b"\xff\xff\xff\xff" + content[end:],  # so many bigrams
        content[: end - 4] + bytes(4) + content[end:],  # children that end before they begin
        content[:end] + b"\xff" * 8 + content[end + 8 :],  # a symbol there is not
        content.replace(b"\xc3\xa9t", b"\xff\xffx"),  # not UTF-8
        content.replace(b"the\0cat", b"cat\0cat", 1) if b"the\0cat" in content else content.replace(b"cat\0", b"the\0"),  # a symbol twice
    ]
    for each in spoilt:
        path.write_bytes(each)
        with pytest.raises(InputError, match=f"{re.escape(str(path))}: is damaged or cut short"):
            load_sphinx(path)


def test_one_order_only_and_what_is_no_model(tmp_path) -> None:
    path = tmp_path / "m.lm.bin"
    for content in (b"Trie Language Model\1" + bytes(100), b"Trie Language Model", b"something else"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=f"{re.escape(str(path))}: is not a binary model of Sphinx with two orders or more"):
            load_sphinx(path)
    with pytest.raises(InputError, match=r"none\.lm\.bin: cannot be read: No such file"):
        load_sphinx(tmp_path / "none.lm.bin")


@pytest.mark.parametrize("missing", ["<s>", "</s>"])
def test_a_model_needs_the_edges_of_sentences(missing, tmp_path) -> None:
    symbols = [symbol for symbol in WORDS if symbol != missing]
    path = write_sphinx(tmp_path / "m.lm.bin", symbols, invent(2, 7, symbols), 2)
    with pytest.raises(InputError, match=f"{re.escape(str(path))}: a model needs both <s> and </s>"):
        load_sphinx(path)


def test_the_file_is_recognised_and_converted(cli, tmp_path) -> None:
    path = write_sphinx(tmp_path / "x.lm.bin", WORDS, invent(3, 8, WORDS), 3)
    model = load_sphinx(path)
    assert is_model(path) and load_ngram(path).log_prob.tolist() == model.log_prob.tolist()
    outcome = cli("lm", path, "-o", tmp_path / "y.arpa")
    assert outcome.code == 0 and outcome.out[0].endswith("3-gram model of words, 8 symbols")
    for sentence in ("the cat", "a dog été"):
        assert load_ngram(tmp_path / "y.arpa").sentence_log_prob(sentence) == pytest.approx(model.sentence_log_prob(sentence), rel=1e-5)
