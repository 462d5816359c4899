"""ARPA files: written and read back, as other toolkits write them, and every way in which they can be wrong."""

from __future__ import annotations

import gzip
import math
import re
from pathlib import Path

import numpy as np
import pytest

from recognizer.errors import InputError
from recognizer.lm.arpa import load_arpa
from recognizer.lm.binary import save_ngram
from recognizer.lm.kneser_ney import estimate_ngram
from recognizer.lm.ngram import LOG_ZERO, START
from tests.lm.reference import same, zipf_text

ARPA = """\
made by hand

\\data\\
ngram 1=5
ngram 2=4
ngram 3=2

\\1-grams:
-1.5\t<unk>
-99\t<s>\t-0.5
-0.9\t</s>
-0.6\ta\t-0.25
-0.4\tb\t-0.125

\\2-grams:
-0.3\t<s> a\t-0.2
-0.5\ta b\t-0.1
-0.7\tb a
-0.2\tb </s>

\\3-grams:
-0.11\t<s> a b
-0.22\ta b a

\\end\\
"""


@pytest.fixture
def write(tmp_path):
    def save(text: str, name: str = "m.arpa") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return save


def test_a_file_by_hand(write) -> None:
    model = load_arpa(write(ARPA))
    assert (model.order, model.level, model.symbols) == (3, "characters", ("<unk>", "<s>", "</s>", "a", "b"))
    log10 = model.sentence_log_prob(["a", "b", "a", "a"]) / math.log(10)
    assert log10 == pytest.approx(-0.3 - 0.11 - 0.22 + (-0.25 - 0.6) + (-0.25 - 0.9))  # "b a" has no weight and nothing after it
    assert load_arpa(write(ARPA), "words").level == "words"


@pytest.mark.parametrize("name", ["m.arpa", "m.arpa.gz"])
@pytest.mark.parametrize("order", [1, 2, 4])
def test_a_model_that_is_written_comes_back(order, name, tmp_path) -> None:
    model = estimate_ngram(zipf_text(300, 80), order, prune=[0, 0, 1][:order])
    save_ngram(model, tmp_path / name)
    back = load_arpa(tmp_path / name)
    assert (back.order, back.level, back.symbols, back.start) == (model.order, model.level, model.symbols, model.start)
    for one, other in zip(model.arrays, back.arrays, strict=True):
        assert np.array_equal(one, other) if one.dtype != np.float32 else one == pytest.approx(other, rel=1e-6, abs=1e-7)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_text_is_laid_out_as_others_read_it_and_the_space_is_spelled(tmp_path) -> None:
    model = estimate_ngram(["a b", "b a < !"], 2, "characters")
    save_ngram(model, tmp_path / "m.arpa")
    text = (tmp_path / "m.arpa").read_text()
    lines = text.split("\n")
    assert lines[:5] == ["\\data\\", "ngram 1=8", "ngram 2=11", "", "\\1-grams:"] and lines[-2:] == ["\\end\\", ""]
    assert any(re.fullmatch(r"-99\t<s>\t-0\.\d+", line) for line in lines)
    assert "\ta <space>\t" not in text and "\ta <space>\n" in text
    back = load_arpa(tmp_path / "m.arpa")
    assert back.level == "characters" and back.symbols == model.symbols and " " in back.symbols
    assert back.sentence_log_prob("b a") == pytest.approx(model.sentence_log_prob("b a"), abs=1e-5)
    assert "<space>" in load_arpa(tmp_path / "m.arpa", "words").symbols


def test_what_other_toolkits_write_differently(write) -> None:
    model = load_arpa(write(ARPA))
    variants = [
        ARPA.replace("\t", " ").replace("\n", "\r\n"),
        ARPA.replace("<unk>", "<UNK>"),
        ARPA.replace("-99\t<s>", "0\t<s>"),  # lmplz
        ARPA.replace("-99\t<s>", "-inf\t<s>"),
        ARPA.replace("\\data\\\n", "\\data\\  \n").replace("ngram 1=5", "ngram  1 = 5"),
        ARPA.replace("-0.22\ta b a", "-0.22\ta b a\t0"),
        ARPA.replace("-0.11\t<s> a b\n-0.22\ta b a\n", "-0.22\ta b a\n-0.11\t<s> a b\n")
        .replace("-0.7\tb a\n", "")
        .replace("\\2-grams:\n", "\\2-grams:\n-0.7\tb a\n"),
        ARPA.replace("\\data\\\n", "\\data\\\n\n").replace("\n\\end\\\n", "\\end\\"),
    ]
    for number, text in enumerate(variants):
        assert same(model, load_arpa(write(text, f"{number}.arpa"))), number
    assert model.log_prob[START] == np.float32(LOG_ZERO)
    assert load_arpa(write(ARPA.replace("-1.5\t<unk>\n", "").replace("1=5", "1=4"))).log_prob[0] == pytest.approx(-100 * math.log(10))


def test_pruned_models_lack_suffixes_and_contexts(write) -> None:
    """SRILM drops "b a" and keeps "a b a"; other tools drop contexts as well: both only mean that one backs off."""
    pruned = load_arpa(write(ARPA.replace("-0.7\tb a\n", "").replace("2=4", "2=3")))
    log10 = pruned.sentence_log_prob(["a", "b", "a", "b"]) / math.log(10)
    assert log10 == pytest.approx(-0.3 - 0.11 - 0.22 - 0.5 + (-0.1 - 0.2))  # after "a b a" the state is "a"
    lacking = load_arpa(write(ARPA.replace("-0.5\ta b\t-0.1\n", "").replace("2=4", "2=3")))
    log10 = lacking.sentence_log_prob(["a", "b", "a", "b"]) / math.log(10)
    assert log10 == pytest.approx(-0.3 - 0.11 - 0.22 + (-0.25 - 0.4) - 0.2)  # "a b" costs what backing off costs, and has no weight
    deep = ARPA.replace("ngram 3=2", "ngram 3=0\nngram 4=1").replace("-0.11\t<s> a b\n-0.22\ta b a\n", "\n\\4-grams:\n-0.33\ta b a </s>\n")
    model, state, scores = load_arpa(write(deep)), 0, []
    for symbol in ("a", "b", "a", "</s>"):
        log_prob, state = model.score(state, model.id(symbol))
        scores.append(log_prob / math.log(10))
    assert scores == pytest.approx([-0.6, -0.5, -0.1 - 0.7, -0.33])  # "a b a", which is not listed, backs off to "b a"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\\data\\", "", r"m.arpa: is not an ARPA file: no line is"),
        ("ngram 2=4", "ngram 3=4", r"m.arpa:5: expected 'ngram 2=COUNT', found 'ngram 3=4'"),
        ("ngram 2=4", "ngram 2=four", r"m.arpa:5: expected 'ngram 2=COUNT'"),
        ("ngram 2=4", "ngram 2=" + "4" * 5000, r"m.arpa:5: expected 'ngram 2=COUNT'"),
        ("ngram 1=5\nngram 2=4\nngram 3=2\n", "", r"m.arpa:5: expected 'ngram 1=COUNT', found '\1-grams:'"),
        ("ngram 2=4", "ngram 2=5", r"m.arpa:15: expected 5 2-grams as \data\ says, found 4"),
        ("ngram 1=5", "ngram 1=4", r"m.arpa:8: expected 4 1-grams as \data\ says, found 5"),
        ("\\2-grams:", "\\3-grams:", r"m.arpa:15: expected '\2-grams:', found '\3-grams:'"),
        ("ngram 3=2", "ngram 3=2\nngram 4=1", r"m.arpa:26: expected '\4-grams:', found '\end\'"),
        ("-0.5\ta b", "-0.5x\ta b", r"m.arpa:17: expected a base-10 logarithm instead of '-0.5x', found"),
        ("-0.5\ta b", "nan\ta b", r"m.arpa:17: expected the logarithm of a probability, 0 or less, instead of 'nan'"),
        ("-0.5\ta b", "0.5\ta b", r"m.arpa:17: expected the logarithm of a probability"),
        ("a b\t-0.1", "a b\tx", r"m.arpa:17: expected a base-10 logarithm as backoff weight instead of 'x'"),
        ("a b\t-0.1", "a b\tinf", r"m.arpa:17: expected a base-10 logarithm as backoff weight"),
        ("-0.5\ta b\t-0.1", "-0.5\ta", r"m.arpa:17: expected a number, 2 symbols and perhaps a backoff weight, found '-0.5\ta'"),
        ("-0.5\ta b\t-0.1", "-0.5\ta b a b\t-0.1", r"m.arpa:17: expected a number, 2 symbols"),
        ("-0.6\ta\t", "-0.6\ta a a\t", r"m.arpa:12: expected a number, 1 symbol and perhaps"),
        ("-0.11\t<s> a b", "-0.11\t<s> a b\t-0.1", r"m.arpa:22: expected no backoff weight at the highest order"),
        ("-0.11\t<s> a b", "-0.11\t<s> c b", r"m.arpa:22: 'c' is not among the 1-grams"),
        ("-0.7\tb a", "-0.7\ta b", r"m.arpa:18: 'a b' already stands in line 17"),
        ("-0.4\tb", "-0.4\ta", r"m.arpa:13: 'a' already stands in line 12"),
        ("-0.9\t</s>", "-0.9\tc", r"m.arpa: </s> is not among the 1-grams"),
        ("-99\t<s>", "-99\tc", r"m.arpa: <s> is not among the 1-grams"),
        ("\\end\\\n", "", r"m.arpa:25: expected '\end\', found the end of the file"),
        ("\\end\\\n", "\\4-grams:\n", r"m.arpa:25: expected '\end\', found '\4-grams:'"),
        ("\\3-grams:\n-0.11\t<s> a b\n-0.22\ta b a\n\n\\end\\\n", "", r"m.arpa:21: expected '\3-grams:', found the end of the file"),
    ],
)  # fmt: skip
def test_malformed_files_are_named_with_the_line(old, new, message, write) -> None:
    assert ARPA.count(old) == 1
    with pytest.raises(InputError) as caught:
        load_arpa(write(ARPA.replace(old, new)))
    assert f"/{message}" in str(caught.value) and "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path) -> None:
    with pytest.raises(InputError, match=r"none\.arpa: cannot be read: No such file"):
        load_arpa(tmp_path / "none.arpa")
    (tmp_path / "m.arpa").write_bytes(ARPA.replace("b a\n", "\xe9 a\n", 1).encode("latin-1"))
    with pytest.raises(InputError, match=r"m\.arpa:18: not UTF-8 text"):
        load_arpa(tmp_path / "m.arpa")
    (tmp_path / "m.arpa.gz").write_bytes(gzip.compress(ARPA.encode())[:-20])
    with pytest.raises(InputError, match=r"m\.arpa\.gz: the gzip file is damaged or cut short"):
        load_arpa(tmp_path / "m.arpa.gz")
