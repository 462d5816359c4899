"""`recognizer lm`: what it writes, what it prints, what it refuses."""

from __future__ import annotations

import io
import json
import sys

import pytest

from recognizer.lm.binary import load_ngram, save_ngram
from recognizer.lm.interpolate import fit_weight, interpolate_ngrams
from recognizer.lm.kneser_ney import estimate_ngram
from recognizer.lm.prune import limit_vocabulary, most_probable_symbols, prune_ngrams

TEXT = "The cat sat.\nThe dog sat!\nA cat and a dog\n"


@pytest.fixture
def text(tmp_path):
    (tmp_path / "a.txt").write_text(TEXT)
    (tmp_path / "b.txt").write_text("a dog sat\nthe bird sat\n")
    return tmp_path / "a.txt"


def test_a_model_is_estimated_and_described(cli, text, tmp_path) -> None:
    out = tmp_path / "lm.ngram"
    outcome = cli("lm", text, tmp_path / "b.txt", "-o", out, "--order", 3, "--case", "lower", "--drop", ".!", "--prune", "0,0,1", "--vocabulary", 4)
    assert outcome.code == 0
    sentences = [line.lower().translate({46: None, 33: None}) for line in [*TEXT.splitlines(), "a dog sat", "the bird sat"]]
    expected = estimate_ngram(sentences, 3, prune=(0, 0, 1), vocabulary=4)
    model = load_ngram(out)
    assert model.symbols == expected.symbols and model.log_prob.tolist() == expected.log_prob.tolist()
    assert outcome.out[0] == f"{out}: 3-gram model of words, 7 symbols"
    assert outcome.out[1].split()[:2] == ["n-grams", "7,"] and outcome.out[2] == f"bytes        {out.stat().st_size}"
    assert outcome.err[0] == "22 tokens in 5 sentences, 7 symbols" and any("discounts cannot be estimated" in line for line in outcome.err)
    assert cli("lm", text, "-o", out, "-q").err == []


def test_characters_running_text_and_a_vocabulary_file(cli, text, tmp_path) -> None:
    (tmp_path / "v.txt").write_text("cat\ndog\n")
    assert cli("lm", text, "-o", tmp_path / "w.arpa", "--vocabulary", tmp_path / "v.txt", "--running", "--drop-punctuation").code == 0
    model = load_ngram(tmp_path / "w.arpa")
    assert model.order == 3 and model.symbols[3:] == ("cat", "dog")
    assert cli("lm", text, "-o", tmp_path / "c.ngram", "--level", "characters").out[0].endswith("6-gram model of characters, 18 symbols")


def test_a_dictionary_is_a_vocabulary_and_a_manifest_is_text(cli, text, tmp_path) -> None:
    (tmp_path / "lexicon.txt").write_text("cat  K AE T\ncat(2)  K AH T\ndog  D AO G\n\n")
    items = [{"id": "1", "source": "1.wav", "text": "The dog sat."}, {"id": "2", "source": "2.wav", "units": ["cat", "dog"]}]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    (tmp_path / "m.txt").write_text("The dog sat.\ncat dog\n")
    made = []
    for source in ("m.jsonl", "m.txt"):
        options = ("--vocabulary", tmp_path / "lexicon.txt", "--drop-punctuation")
        assert cli("lm", tmp_path / source, "-o", tmp_path / "lm.arpa", *options).code == 0
        made.append((tmp_path / "lm.arpa").read_text())
    assert made[0] == made[1] and load_ngram(tmp_path / "lm.arpa").symbols[3:] == ("cat", "dog")
    outcome = cli("lm", tmp_path / "none.jsonl", "-o", tmp_path / "lm.arpa")
    assert outcome.code == 2 and "none.jsonl: no such manifest" in outcome.err[0]


def test_the_space_can_be_a_symbol_of_a_vocabulary(cli, text, tmp_path) -> None:
    (tmp_path / "v.txt").write_text("a\n \nt\n")
    assert cli("lm", text, "-o", tmp_path / "c.ngram", "--level", "characters", "--vocabulary", tmp_path / "v.txt").code == 0
    assert set(load_ngram(tmp_path / "c.ngram").symbols[3:]) == {"a", " ", "t"}


def test_text_from_standard_input(cli, tmp_path, monkeypatch) -> None:
    class Stream:
        buffer = io.BytesIO(b"a b\nb\n")

    monkeypatch.setattr(sys, "stdin", Stream)
    assert cli("lm", "-", "-o", tmp_path / "lm.ngram").code == 0
    assert load_ngram(tmp_path / "lm.ngram").symbols[3:] == ("a", "b")


def test_conversion(cli, text, tmp_path) -> None:
    assert cli("lm", text, "-o", tmp_path / "lm.arpa.gz").code == 0
    assert cli("lm", tmp_path / "lm.arpa.gz", "-o", tmp_path / "plain.ngram").out[0].endswith("3-gram model of words, 11 symbols")
    outcome = cli("lm", tmp_path / "plain.ngram", "-o", tmp_path / "lm.ngram", "--compact")
    assert outcome.code == 0 and outcome.out[2] == f"bytes        {(tmp_path / 'lm.ngram').stat().st_size}"
    plain, compact = load_ngram(tmp_path / "plain.ngram"), load_ngram(tmp_path / "lm.ngram")
    assert (tmp_path / "lm.ngram").stat().st_size < (tmp_path / "plain.ngram").stat().st_size
    assert compact.symbols == plain.symbols and compact.target.tolist() == plain.target.tolist()
    expected = estimate_ngram(TEXT.splitlines(), 3).sentence_log_prob("The cat")
    assert plain.sentence_log_prob("The cat") == pytest.approx(expected, abs=1e-5)
    assert compact.sentence_log_prob("The cat") == pytest.approx(expected, rel=1e-3)


def test_perplexity(cli, text, tmp_path) -> None:
    model = estimate_ngram(["the cat sat", "the dog sat"], 2)
    save_ngram(model, tmp_path / "lm.ngram")
    outcome = cli("lm", "--perplexity", tmp_path / "lm.ngram", text, "--case", "lower", "--drop-punctuation")
    expected = model.perplexity(["the cat sat", "the dog sat", "a cat and a dog"])
    assert outcome.code == 0 and outcome.err == []
    printed = dict(line.rsplit(None, 1) for line in outcome.out)
    assert (printed["sentences"], printed["tokens"], printed["unknown tokens"]) == ("3", "14", "3")
    assert float(printed["perplexity"]) == pytest.approx(expected.including_unknown, abs=1e-3)
    assert float(printed["perplexity of known tokens"]) == pytest.approx(expected.excluding_unknown, abs=1e-3)


def test_interpolation_with_a_weight_or_a_text_to_fit_it(cli, text, tmp_path) -> None:
    other = estimate_ngram(["the bird sat", "a dog"], 2)
    save_ngram(other, tmp_path / "other.ngram")
    one = estimate_ngram(TEXT.splitlines(), 3)
    assert cli("lm", text, "-o", tmp_path / "m.ngram", "--interpolate", tmp_path / "other.ngram", "--weight", 0.25).code == 0
    assert load_ngram(tmp_path / "m.ngram").sentence_log_prob("a dog sat") == interpolate_ngrams(one, other, 0.25).sentence_log_prob("a dog sat")
    outcome = cli("lm", text, "-o", tmp_path / "m.ngram", "--interpolate", tmp_path / "other.ngram", "--heldout", tmp_path / "b.txt")
    weight = fit_weight(one, other, ["a dog sat", "the bird sat"])
    assert outcome.code == 0 and f"weight of {tmp_path / 'other.ngram'}: {weight:.4f}" in outcome.err
    assert load_ngram(tmp_path / "m.ngram").sentence_log_prob("a dog sat") == interpolate_ngrams(one, other, weight).sentence_log_prob("a dog sat")


def test_a_model_is_reduced_after_it_is_estimated_interpolated_or_read(cli, text, tmp_path) -> None:
    whole, other = estimate_ngram(TEXT.splitlines(), 3), estimate_ngram(["e e a", "a b e"], 2)
    save_ngram(whole, tmp_path / "whole.ngram")
    save_ngram(other, tmp_path / "other.ngram")
    (tmp_path / "words.txt").write_text("cat\nThe\nzebra\n")
    mixture = ["--interpolate", tmp_path / "other.ngram", "--weight", 0.5]
    two = limit_vocabulary(whole, {"cat", "The"})
    mixed = interpolate_ngrams(estimate_ngram(TEXT.splitlines(), 3, vocabulary=1), other, 0.5)
    for words, expected in (
        ([text, "--most", 9], prune_ngrams(whole, 9)),
        ([tmp_path / "whole.ngram", "--vocabulary", tmp_path / "words.txt", "--most", 1], prune_ngrams(two, 1)),
        ([tmp_path / "whole.ngram", *mixture, "--most", 9], prune_ngrams(interpolate_ngrams(whole, other, 0.5), 9)),
        ([text, *mixture, "--vocabulary", 1], limit_vocabulary(mixed, most_probable_symbols(mixed, 1))),
    ):
        outcome = cli("lm", *words, "-o", tmp_path / "out.ngram")
        assert outcome.code == 0, outcome.err
        found = load_ngram(tmp_path / "out.ngram")
        assert (found.symbols, found.order) == (expected.symbols, expected.order), words
        assert found.log_prob.tolist() == expected.log_prob.tolist() and found.backoff.tolist() == expected.backoff.tolist(), words


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a.txt"], "--output: name the file"),
        (["none.txt", "-o", "x"], "none.txt: cannot be read: No such file"),
        (["a.txt", "-o", "x", "--prune", "0,x"], "--prune: '0,x' is not whole numbers"),
        (["a.txt", "-o", "x", "--prune", "1"], "prune: the first threshold"),
        (["a.txt", "-o", "x", "--order", "0"], "order: 0 is not 1 or more"),
        (["a.txt", "-o", "x", "--memory", "0"], "--memory: 0.0 is not more than 0"),
        (["a.txt", "-o", "x", "--heldout", "b.txt"], "--heldout: is for --interpolate"),
        (["a.txt", "-o", "x", "--interpolate", "m.ngram"], "--weight: auto needs a text"),
        (["a.txt", "-o", "x", "--interpolate", "m.ngram", "--weight", "2"], "--weight: '2' is not auto or a number from 0 to 1"),
        (["a.txt", "-o", "x", "--interpolate", "b.txt", "--weight", "0.5"], "b.txt: is not an ARPA file"),
        (["a.txt", "-o", "x", "--vocabulary", "none"], "none: cannot be read"),
        (["a.txt", "-o", "x", "--temporary", "none"], "--temporary: none: no such folder"),
        (["m.ngram", "a.txt", "-o", "x"], "m.ngram: is a model, and a model is the only input"),
        (["--perplexity", "m.ngram", "a.txt", "-o", "x"], "--output: makes a model"),
        (["--perplexity", "a.txt", "a.txt"], "a.txt: is not an ARPA file"),
        (["a.txt", "-o", "x.arpa", "--compact"], "--compact: is for the binary form"),
        (["a.txt", "-o", "x.arpa.gz", "--compact"], "--compact: is for the binary form"),
        (["--perplexity", "m.ngram", "a.txt", "--compact"], "--compact: makes a model"),
        (["a.txt", "-o", "a.txt/x"], "a.txt: cannot be made"),
        (["a.txt", "-o", "x", "--most", "-1"], "--most: -1 is not 0 or more"),
        (["m.ngram", "-o", "x", "--vocabulary", "0"], "--vocabulary: 0 symbols leave none; at least 1"),
        (["m.ngram", "-o", "x", "--vocabulary", "b.txt"], "vocabulary: the model knows none of its symbols"),
        (["--perplexity", "m.ngram", "a.txt", "--most", "0"], "--most: makes a model"),
    ],
)  # fmt: skip
def test_what_is_refused_leaves_nothing(words, message, cli, text, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_ngram(estimate_ngram(["x y"], 2), tmp_path / "m.ngram")
    before = sorted(tmp_path.iterdir())
    outcome = cli("lm", *words)
    assert outcome.code == 2 and outcome.out == []
    assert outcome.err[-1].startswith(f"recognizer: {message}"), outcome.err
    assert sorted(tmp_path.iterdir()) == before


def test_help_names_every_option(cli) -> None:
    outcome = cli("lm", "--help")
    assert outcome.code == 0 and any("--perplexity" in line for line in outcome.out)
