from __future__ import annotations

import gc
from contextlib import suppress

import numpy as np
import pytest

from recognizer.alphabet import Alphabet
from recognizer.config import DecoderConfig
from recognizer.decoding.beam import BeamDecoder
from recognizer.decoding.decoder import GreedyDecoder, load_decoder
from recognizer.decoding.ngram_estimate import estimate_ngram
from recognizer.decoding.ngram_file import save_ngram
from recognizer.errors import ConfigError, InputError
from tests.decoding.brute import normalised

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


@pytest.mark.parametrize(("settings", "alphabet", "words", "letters", "tree"), [
    ({"lm": "words.ngram"}, LETTERS, True, False, 3),
    ({"lm": "letters.arpa"}, LETTERS, False, True, 0),
    ({"lm": "words.ngram", "char_lm": "letters.arpa"}, LETTERS, True, True, 3),
    ({"lm": "words.ngram", "lexicon": "written.txt"}, LETTERS, True, False, 2),
    ({"lm": "phones.ngram"}, PHONES, False, True, 0),
    ({"lm": "words.ngram", "lexicon": "spoken.txt", "char_lm": "phones.ngram"}, PHONES, True, True, 3),
    ({}, LETTERS, False, False, 0),
])
def test_models_find_their_place(files, settings, alphabet, words, letters, tree):
    decoder = load_decoder(beam(**settings), alphabet, files)
    assert isinstance(decoder, BeamDecoder)
    models = decoder.models
    assert ((models.words is not None), (models.letters is not None)) == (words, letters)
    assert (0 if models.tree is None else len(models.tree.words)) == tree
    assert decoder.closed == ("lexicon" in settings)


@pytest.mark.parametrize(("settings", "alphabet", "message"), [
    ({"lm": "gone.ngram"}, LETTERS, r"decoder\.lm: gone\.ngram: no such file"),
    ({"lm": "letters.arpa", "char_lm": "letters.arpa"}, LETTERS, r"decoder\.char_lm: .* give one of the two"),
    ({"lm": "letters.arpa"}, PHONES, r"decoder\.lm: a model of characters does not fit an alphabet of units"),
    ({"lm": "greek.ngram"}, PHONES, r"knows none of the symbols of the alphabet, such as 'A'"),
    ({"lm": "letters.arpa", "vocabulary": "closed"}, LETTERS, r"decoder\.vocabulary: closed needs"),
])
def test_what_does_not_fit_is_told(files, settings, alphabet, message):
    with pytest.raises(ConfigError, match=message):
        load_decoder(beam(**settings), alphabet, files)


def test_the_collector_works_on_after_loading_fails_or_not(files):
    for settings in ({}, {"kind": "beam", "lm": "none.arpa"}):
        with suppress(ConfigError):
            load_decoder(DecoderConfig(**settings), LETTERS, files)
        assert gc.isenabled()
    gc.disable()
    try:
        load_decoder(DecoderConfig(), LETTERS, files)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_word_model_that_cannot_be_spelt_is_told(files):
    with pytest.raises(InputError, match="can spell none of the 2 words"):
        load_decoder(beam(lm="greek.ngram"), LETTERS, files)


def test_mapped_and_in_memory_models_decode_alike(files):
    table = normalised(np.random.default_rng(0).normal(size=(30, 4)))
    mapped = load_decoder(beam(lm="words.ngram"), LETTERS, files).decode(table, 5)
    save_ngram(load_decoder(beam(lm="words.ngram"), LETTERS, files).models.words, files / "words.arpa")
    read = load_decoder(beam(lm="words.arpa"), LETTERS, files).decode(table, 5)
    assert [h.labels for h in mapped] == [h.labels for h in read]
    assert [h.score for h in mapped] == pytest.approx([h.score for h in read], abs=1e-4)
