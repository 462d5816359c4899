"""The decoder that settings ask for: models find their place, what does not fit is told, and a failure costs one item."""

from __future__ import annotations

import numpy as np
import pytest

from recognizer.config import DecoderConfig
from recognizer.decoding.beam import BeamDecoder
from recognizer.decoding.decoder import GreedyDecoder, load_decoder, raise_failures
from recognizer.errors import ConfigError, InputError
from recognizer.lm.binary import save_ngram
from recognizer.lm.kneser_ney import estimate_ngram
from recognizer.text.alphabet import Alphabet
from tests.decoding.brute import random_log_probs

LETTERS = Alphabet((" ", "a", "b"))
PHONES = Alphabet(("A", "B"), "units")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    save_ngram(estimate_ngram(["ab ba", "a ab", "ba ab a"], order=2, level="words"), folder / "words.ngram")
    save_ngram(estimate_ngram(["ab ba", "a ab", "ba ab a"], order=3, level="characters"), folder / "letters.arpa")
    save_ngram(estimate_ngram(["A B A", "B A", "A A B"], order=2, level="words"), folder / "phones.ngram")
    save_ngram(estimate_ngram(["Ω Ψ", "Ψ"], order=1, level="words"), folder / "greek.ngram")
    (folder / "spoken.txt").write_text("ab  A B\nba  B A\na  A\n")
    (folder / "written.txt").write_text("ab\nba\n")
    return folder


def beam(**settings):
    return DecoderConfig(kind="beam", **settings)


def test_greedy_is_the_default_and_knows_no_hotwords():
    assert isinstance(load_decoder(DecoderConfig(), LETTERS), GreedyDecoder)
    with pytest.raises(ConfigError, match=r"hotwords need a beam: add decoder\.kind=beam"):
        load_decoder(DecoderConfig(), LETTERS, hotwords={"ab": 1.0})


@pytest.mark.parametrize(("settings", "alphabet", "words", "tokens", "size"), [
    ({"lm": "words.ngram"}, LETTERS, True, False, 3),
    ({"lm": "letters.arpa"}, LETTERS, False, True, 0),
    ({"lm": "words.ngram", "char_lm": "letters.arpa"}, LETTERS, True, True, 3),
    ({"lm": "words.ngram", "lexicon": "written.txt"}, LETTERS, True, False, 2),
    ({"lm": "phones.ngram"}, PHONES, False, True, 0),
    ({"lm": "words.ngram", "lexicon": "spoken.txt", "char_lm": "phones.ngram"}, PHONES, True, True, 3),
    ({}, LETTERS, False, False, 0),
])  # fmt: skip
def test_models_find_their_place(files, settings, alphabet, words, tokens, size):
    decoder = load_decoder(beam(**settings), alphabet, files)
    assert isinstance(decoder, BeamDecoder)
    models = decoder.models
    assert ((models.words is not None), (models.tokens is not None)) == (words, tokens)
    assert (0 if models.trie is None else len(models.trie.words)) == size
    assert decoder.closed == ("lexicon" in settings)


@pytest.mark.parametrize(("settings", "alphabet", "error", "message"), [
    ({"lm": "gone.ngram"}, LETTERS, ConfigError, r"decoder\.lm: gone\.ngram: no such file"),
    ({"lm": "letters.arpa", "char_lm": "letters.arpa"}, LETTERS, ConfigError, r"decoder\.char_lm: .* give one of the two"),
    ({"lm": "letters.arpa"}, PHONES, ConfigError, r"decoder\.lm: a model of characters does not fit an alphabet of units"),
    ({"lm": "greek.ngram"}, PHONES, ConfigError, r"knows none of the symbols of the alphabet, such as 'A'"),
    ({"lm": "letters.arpa", "vocabulary": "closed"}, LETTERS, ConfigError, r"decoder\.vocabulary: closed needs"),
    ({"lm": "greek.ngram"}, LETTERS, InputError, "can spell none of the 2 words"),
])  # fmt: skip
def test_what_does_not_fit_is_told(files, settings, alphabet, error, message):
    with pytest.raises(error, match=message):
        load_decoder(beam(**settings), alphabet, files)


def test_mapped_and_in_memory_models_decode_alike(files):
    table = random_log_probs(0, 30)
    mapped = load_decoder(beam(lm="words.ngram"), LETTERS, files)
    save_ngram(mapped.models.words, files / "words.arpa")
    read = load_decoder(beam(lm="words.arpa"), LETTERS, files).decode(table, 5)
    assert [h.labels for h in mapped.decode(table, 5)] == [h.labels for h in read]
    assert [h.score for h in mapped.decode(table, 5)] == pytest.approx([h.score for h in read], abs=1e-4)


def spelling_log_probs(text, alphabet, share=0.97):
    """Log-probs that spell a text, with a blank after every symbol."""
    labels = [label for symbol in alphabet.encode(text) for label in (symbol, 0)]
    table = np.full((len(labels), len(alphabet)), (1 - share) / (len(alphabet) - 1))
    table[np.arange(len(labels)), labels] = share
    return np.log(table)


def test_words_that_cannot_be_spelt_are_listed(files):
    save_ngram(estimate_ngram(["ab Ab", "ac ab"], order=2, level="words"), files / "capitals.ngram")
    assert load_decoder(beam(lm="capitals.ngram"), LETTERS, files).unspelt == ("Ab", "ac")
    for decoder in (load_decoder(DecoderConfig(), LETTERS), load_decoder(beam(lm="letters.arpa"), LETTERS, files)):
        assert decoder.unspelt == ()
    settings = beam(lm="words.ngram", lexicon="spoken.txt", combine_lexicon="written.txt", combine_with="x")
    assert load_decoder(settings, PHONES, files, second=LETTERS).unspelt == ("a",)  # the other list does not have it
    settings = beam(lm="capitals.ngram", combine_lexicon="spoken.txt", combine_with="x", vocabulary="closed")
    combined = load_decoder(settings, LETTERS, files, second=PHONES)
    assert combined.unspelt == ("Ab", "ac") and combined.models.trie.words == ("ab",)


@pytest.mark.parametrize("lexicon", [None, "written.txt"])
def test_a_hotword_joins_a_closed_vocabulary(files, lexicon):
    settings, table = beam(lm="words.ngram", lexicon=lexicon, vocabulary="closed"), spelling_log_probs("ab bb", LETTERS)
    best = load_decoder(settings, LETTERS, files).decode(table)[0]
    assert "bb" not in LETTERS.decode(best.labels).split()
    best = load_decoder(settings, LETTERS, files, {"BB": 3.0}).decode(table)[0]
    assert LETTERS.decode(best.labels) == "ab bb" and best.words == ("ab", "bb")
    assert load_decoder(settings, LETTERS, files, {"bb": -3.0}).models.trie.words == load_decoder(settings, LETTERS, files).models.trie.words


def test_a_hotword_of_two_recognizers_must_be_spelt_by_both(files):
    settings = beam(lm="words.ngram", combine_lexicon="spoken.txt", combine_with="x", vocabulary="closed")
    with pytest.raises(InputError, match=r"hotword 'bb': cannot be spelt by both recognizers, .*decoder\.combine_with=null"):
        load_decoder(settings, LETTERS, files, {"bb": 3.0}, PHONES)
    (files / "names.txt").write_text("ab  A B\nba  B A\na  A\nbb  B B\n")
    phones = np.repeat(spelling_log_probs(["A", "B", "B", "B"], PHONES), 2, axis=0)[:10]
    table = np.concatenate([spelling_log_probs("ab bb", LETTERS), phones], axis=1)
    settings = beam(lm="words.ngram", combine_lexicon="names.txt", combine_with="x", vocabulary="closed")
    words = [load_decoder(settings, LETTERS, files, hotwords, PHONES).decode(table)[0].words for hotwords in (None, {"bb": 5.0, "Ab": 1.0})]
    assert "bb" not in words[0] and "bb" in words[1]


@pytest.mark.parametrize("kind", ["greedy", "beam"])
@pytest.mark.parametrize("threads", [1, 3])
def test_a_failure_of_any_kind_costs_one_item(monkeypatch, kind, threads):
    decoder = load_decoder(DecoderConfig(kind=kind), LETTERS)
    many = [random_log_probs(seed, 12) for seed in range(6)]
    expected = [decoder.decode(table) for table in many]
    many[1], many[4] = np.full((3, 4), np.nan), np.zeros(5)
    step = "decode" if kind == "greedy" else "_check"
    run = getattr(type(decoder), step)
    monkeypatch.setattr(type(decoder), step, lambda self, table, *rest: 1 / 0 if table.ndim == 1 else run(self, table, *rest))
    found = list(decoder.decode_all(many, threads=threads))
    assert [found[n] for n in (0, 2, 3, 5)] == [expected[n] for n in (0, 2, 3, 5)]
    assert isinstance(found[1], InputError) and isinstance(found[4], ZeroDivisionError)
    rest = raise_failures(iter(found))
    assert next(rest) == expected[0]
    with pytest.raises(InputError, match="NaN"):
        next(rest)
