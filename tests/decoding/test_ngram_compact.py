"""The compact form: the same model but for rounding, in fewer bytes, refused where it is damaged."""

from __future__ import annotations

import random
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recognizer.decoding.ngram import NEVER, SPECIAL, NgramModel
from recognizer.decoding.ngram_compact import link, pack
from recognizer.decoding.ngram_estimate import estimate_ngram
from recognizer.decoding.ngram_file import is_model, load_ngram, save_ngram
from recognizer.decoding.ngram_mix import mix_ngrams
from recognizer.decoding.ngram_query import query
from recognizer.errors import InputError

HALF = 2.0**-11  # the most that rounding to half precision changes, relative


def pseudo_text(words: int, sentences: int, seed: int = 0) -> list[str]:
    """Sentences of common and rare words that depend on the one before."""
    generator = random.Random(seed)
    text = []
    for _ in range(sentences):
        sentence = [0]
        for _ in range(generator.randrange(1, 12)):
            sentence.append((sentence[-1] * 7 + int(words * generator.random() ** 3)) % words)
        text.append(" ".join(f"w{number:x}" for number in sentence[1:]))
    return text


def through(model: NgramModel, folder: Path) -> NgramModel:
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


@pytest.mark.parametrize("level", ["words", "characters"])
@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_there_and_back(level, order, tmp_path) -> None:
    text = pseudo_text(300, 400)
    model = estimate_ngram(text, order, level, prune=(0, 0, 1)[:order])
    back = through(model, tmp_path)
    check_same_but_rounded(model, back)
    held_out = pseudo_text(320, 50, seed=1)
    assert back.perplexity(held_out).including_unknown == pytest.approx(model.perplexity(held_out).including_unknown, rel=1e-3)
    assert [path.name for path in tmp_path.iterdir()] == ["compact.ngram"] and is_model(tmp_path / "compact.ngram")
    for state in range(0, len(model.backoff), 7):
        log_prob, after = query(*back.arrays, state, 3)
        expected = query(*model.arrays, state, 3)
        assert after == expected[1] and log_prob == pytest.approx(expected[0], rel=1e-2)


def test_what_stands_for_zero_stays_exact(tmp_path) -> None:
    model = estimate_ngram(["a b", "b"], 2)
    back = through(model, tmp_path)
    assert back.log_prob[1] == np.float32(NEVER)
    save_ngram(back, tmp_path / "a.arpa")
    assert any(line.split("\t")[:2] == ["-99", "<s>"] for line in (tmp_path / "a.arpa").read_text().splitlines())
    again = through(back, tmp_path)
    assert all(np.array_equal(one, other) for one, other in zip(back.arrays, again.arrays, strict=True))  # rounding happens once


def test_logarithms_beyond_half_precision_are_clipped(tmp_path) -> None:
    model = estimate_ngram(["a b", "b"], 2)
    back = through(replace(model, log_prob=model.log_prob - np.float32(1e6), backoff=model.backoff * np.float32(1e-9)), tmp_path)
    assert back.log_prob.tolist() == [-65504.0] * len(model.log_prob) and not back.backoff.any()
    assert back.fallback.tolist() == model.fallback.tolist()


def test_models_from_elsewhere(tmp_path) -> None:
    """Interpolated, read from ARPA with n-grams without contexts of their own and contexts that only weigh, and mapped."""
    one, other = estimate_ngram(pseudo_text(50, 80), 3), estimate_ngram(pseudo_text(60, 90, seed=2), 2)
    check_same_but_rounded(mix_ngrams(one, other, 0.3), through(mix_ngrams(one, other, 0.3), tmp_path))
    (tmp_path / "a.arpa").write_text(
        "\\data\\\nngram 1=5\nngram 2=3\nngram 3=2\n\n\\1-grams:\n-1\t<unk>\n-99\t<s>\t-0.3\n-1\t</s>\n-0.6\ta\t-0.2\n-0.7\tb\t-0.4\n\n"
        "\\2-grams:\n-0.2\t<s> a\t-0.5\n-0.3\ta b\t-0.1\n-0.4\tb a\n\n\\3-grams:\n-0.1\t<s> a b\n-0.2\tb a b\n\n\\end\\\n"
    )
    read = load_ngram(tmp_path / "a.arpa")
    check_same_but_rounded(read, through(read, tmp_path))
    save_ngram(one, tmp_path / "plain.ngram")
    check_same_but_rounded(one, through(load_ngram(tmp_path / "plain.ngram"), tmp_path))


def wide_model(vocabulary: int) -> NgramModel:
    """Bigrams of every word with itself and with the one before it."""
    symbols = (*SPECIAL, *sorted(f"w{number}" for number in range(vocabulary - 3)))
    words = np.arange(3, vocabulary)
    first = np.full(vocabulary - 1, vocabulary, dtype=np.int64)
    first[0] = 0
    first[1:] += 2 * np.arange(vocabulary - 2)
    generator = np.random.default_rng(0)
    return NgramModel(
        order=2,
        level="words",
        symbols=symbols,
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
    """More than 2 ** 16 symbols and states as well."""
    model = wide_model(vocabulary)
    check_same_but_rounded(model, through(model, tmp_path))


def test_it_is_much_smaller(tmp_path) -> None:
    for model in (estimate_ngram(pseudo_text(2000, 3000), 3), estimate_ngram(pseudo_text(2000, 500), 6, "characters")):
        save_ngram(model, tmp_path / "plain")
        save_ngram(model, tmp_path / "compact", compact=True)
        assert (tmp_path / "compact").stat().st_size < 0.4 * (tmp_path / "plain").stat().st_size


def test_any_byte_that_is_altered_is_noticed(tmp_path) -> None:
    path = tmp_path / "m.ngram"
    model = estimate_ngram(["a b", "b a c"], 2)
    save_ngram(model, path, compact=True)
    whole = path.read_bytes()
    (packed,) = pack(model, "".join(symbol + "\n" for symbol in model.symbols).encode())[1]
    assert whole.endswith(packed)
    for place in range(len(whole) - len(packed), len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        with pytest.raises(InputError, match=r"m\.ngram: is damaged"):
            load_ngram(path)


def test_numbers_that_contradict_each_other_are_refused(tmp_path) -> None:
    """Even if the checksum is right, nothing is looked up beyond an array or for ever."""
    path = tmp_path / "m.ngram"
    model = estimate_ngram(["ab", "bac"], 3, "characters")
    save_ngram(model, path, compact=True)
    whole = path.read_bytes()
    text = "".join(symbol + "\n" for symbol in model.symbols).encode()
    (packed,) = pack(model, text)[1]
    data = zlib.decompress(packed)
    opened = 0
    for place in range(len(data)):
        altered = zlib.compress(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
        header = whole[: -len(packed)].replace(f'"bytes": {len(packed)}'.encode(), f'"bytes": {len(altered)}'.encode())
        path.write_bytes(header + altered)
        try:
            back = load_ngram(path)
        except InputError as error:
            assert "damaged" in str(error)
        else:
            opened += 1
            assert back.target.max() < len(back.backoff) and np.all(back.fallback < np.arange(len(back.backoff)))
    assert 0 < opened < len(data)


def test_states_in_another_order_have_no_compact_form(tmp_path) -> None:
    model = wide_model(250)
    with pytest.raises(InputError, match="no compact form"):
        save_ngram(replace(model, target=model.target[::-1]), tmp_path / "m.ngram", compact=True)
    with pytest.raises(InputError, match="no compact form"):
        save_ngram(replace(model, fallback=np.maximum(model.fallback, 0)), tmp_path / "m.ngram", compact=True)
    assert list(tmp_path.iterdir()) == []


def test_links_follow_several_fallbacks() -> None:
    model = estimate_ngram(pseudo_text(9, 300), 5, prune=(0, 0, 0, 1, 1))
    leads = model.target > np.maximum.accumulate(np.concatenate([[0], model.target[:-1]]))
    target, fallback = link(model.first, model.symbol, leads)
    assert leads.sum() == len(model.backoff) - 1 and target.tolist() == model.target.tolist() and fallback.tolist() == model.fallback.tolist()
