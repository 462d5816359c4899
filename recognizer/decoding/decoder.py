"""The decoder that settings ask for, with the files that they name."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from recognizer.alphabet import SPACE, Alphabet
from recognizer.config import DecoderConfig
from recognizer.decoding.greedy import greedy
from recognizer.decoding.hypothesis import Hypothesis
from recognizer.errors import ConfigError

if TYPE_CHECKING:
    from recognizer.decoding.ngram import NgramModel
    from recognizer.decoding.word_tree import Spellings, WordTree

FILES = ("lm", "char_lm", "lexicon", "second_lexicon")  # settings that name files


class Decoder(Protocol):
    """Turns log-probs (T, V) into hypotheses, best first."""

    def decode(self, log_probs: np.ndarray, n_best: int = 1) -> list[Hypothesis]:
        """The best labellings of one utterance or line, at least one."""
        ...

    def decode_all(self, log_probs: Iterable[np.ndarray], n_best: int = 1, threads: int = 0) -> Iterator[list[Hypothesis]]:
        """:meth:`decode` of many, in order."""
        ...


class GreedyDecoder:
    """Best-path decoding; has one hypothesis for everything."""

    def decode(self, log_probs: np.ndarray, n_best: int = 1) -> list[Hypothesis]:
        """The labels of the likeliest path."""
        return [greedy(log_probs)]

    def decode_all(self, log_probs: Iterable[np.ndarray], n_best: int = 1, threads: int = 0) -> Iterator[list[Hypothesis]]:
        """:meth:`decode` of many, in order."""
        yield from (self.decode(table) for table in log_probs)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Leave garbage alone where a great many small objects are made and stay.

    The collector walks through them, and through all that torch brings, every time they have grown by a quarter.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@_uncollected()
def load_decoder(
    config: DecoderConfig,
    alphabet: Alphabet,
    folder: Path | None = None,
    hotwords: Mapping[str, float] | None = None,
    second: Alphabet | None = None,
) -> Decoder:
    """Read what ``config`` names and put the decoder together.

    A model of characters scores the symbols of the alphabet; so does one of words where the symbols are units and there is no
    lexicon (phones are its words then). Any other model of words scores words: those of the lexicon or else its own.

    Args:
        config: the settings.
        alphabet: of the log-probs to come.
        folder: of the bundle, in which files are looked for first.
        hotwords: weights of phrases, in nats.
        second: of the other log-probs, where ``decoder.second`` names another recogniser. With a closed vocabulary the words are then those of the
            model that both can spell; with an open one, or a model of characters, both write the same symbols.

    Raises:
        ConfigError: a file that is not there, models that do not fit together, or hotwords with a greedy decoder.
        InputError: a file that cannot be read, or that the alphabet cannot spell.
    """
    if config.kind == "greedy":
        if hotwords:
            raise ConfigError("hotwords need a beam: add decoder.kind=beam")
        return GreedyDecoder()
    from recognizer.decoding.beam import BeamDecoder, Models
    from recognizer.decoding.hotwords import build_hotwords
    from recognizer.decoding.word_tree import build_tree

    spellings = _load_spellings(config, "lexicon", folder, alphabet)
    others = _load_spellings(config, "second_lexicon", folder, second) if second is not None else None
    lm, letters = _load_model(config, "lm", folder), _load_model(config, "char_lm", folder)
    words = None
    if lm is not None:
        if lm.level == "characters" or (alphabet.level == "units" and spellings is None):
            if letters is not None:
                raise ConfigError("decoder.char_lm: decoder.lm is a model of the same symbols already; give one of the two")
            letters = lm
        else:
            words = lm
    if letters is not None:
        _check_letters(letters, alphabet)
    by_words = config.closed and words is not None and letters is None
    by_spelling = second is not None and second.level == alphabet.level and not by_words and spellings is None and others is None
    if second is not None and not by_spelling:
        if words is None:
            raise ConfigError("decoder.second: needs decoder.lm, a model of words, in which both recognisers' readings are compared")
        if config.second_alone < 1:
            raise ConfigError("decoder.second_alone: only where both recognisers write the same symbols, without a list of words")
        spellings, others = _agree(spellings, others, words, alphabet, second)
    tree = None
    if spellings is not None:
        tree = build_tree(spellings, alphabet)
    elif words is not None:
        tree = _tree_of_model(words, alphabet)
    if tree is None and config.vocabulary == "closed":
        raise ConfigError("decoder.vocabulary: closed needs decoder.lexicon or a word model in decoder.lm")
    automaton = build_hotwords(hotwords, alphabet, spellings) if hotwords else None
    decoder = BeamDecoder(alphabet, config, Models(words, letters, tree, spellings, automaton))
    if second is not None and by_spelling:
        from recognizer.decoding.spelling_pair import SpellingPairDecoder

        return SpellingPairDecoder(decoder, second)
    if second is None or others is None:
        return decoder
    from recognizer.decoding.pair import PairDecoder

    phrases = build_hotwords(hotwords, second, others) if hotwords else None
    return PairDecoder(decoder, BeamDecoder(second, config, Models(words, None, build_tree(others, second), others, phrases)))


def find_file(config: DecoderConfig, key: str, folder: Path | None) -> Path:
    """Where the file that a setting names lies: in the bundle, or where its path leads.

    Raises:
        ConfigError: nowhere.
    """
    name = str(getattr(config, key))
    places = [*([folder / name] if folder is not None else []), Path(name)]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise ConfigError(f"decoder.{key}: {name}: no such file")
    return found


def _load_model(config: DecoderConfig, key: str, folder: Path | None) -> NgramModel | None:
    if getattr(config, key) is None:
        return None
    from recognizer.decoding.ngram_file import load_ngram

    return load_ngram(find_file(config, key, folder))


def _load_spellings(config: DecoderConfig, key: str, folder: Path | None, alphabet: Alphabet) -> Spellings | None:
    if getattr(config, key) is None:
        return None
    from recognizer.decoding.word_tree import load_spellings

    return load_spellings(find_file(config, key, folder), alphabet)


def _agree(
    spellings: Spellings | None, others: Spellings | None, words: NgramModel, alphabet: Alphabet, second: Alphabet
) -> tuple[Spellings, Spellings]:
    """How each of two recognisers spells the words of the model that both can; one without a lexicon does so by their characters."""
    from recognizer.decoding.word_tree import spell_words

    listed = others if spellings is None else spellings
    known = words.symbols[3:] if listed is None else [word for word in listed if word in words.ids]
    both = []
    for given, own, key in ((spellings, alphabet, "lexicon"), (others, second, "second_lexicon")):
        if given is None and own.level == "units":
            raise ConfigError(f"decoder.{key}: is needed: the words of the model have to be spelt in {own.symbols[0]!r} and the like")
        symbols = frozenset(own.symbols)
        ways = spell_words(known) if given is None else given
        both.append({word: spelt for word in known if (spelt := [way for way in ways.get(word, []) if symbols.issuperset(way)])})
    shared = [word for word in both[0] if word in both[1]]
    if not shared:
        raise ConfigError("decoder.second: no word of decoder.lm and the lexicon can be spelt by both recognisers")
    return {word: both[0][word] for word in shared}, {word: both[1][word] for word in shared}


def _check_letters(model: NgramModel, alphabet: Alphabet) -> None:
    if (model.level == "characters") != (alphabet.level == "characters"):
        raise ConfigError(f"decoder.lm: a model of {model.level} does not fit an alphabet of {alphabet.level}")
    if not any(model.id(symbol) for symbol in alphabet.symbols):
        raise ConfigError(f"decoder.lm: the model knows none of the symbols of the alphabet, such as {alphabet.symbols[0]!r}")


def _tree_of_model(model: NgramModel, alphabet: Alphabet) -> WordTree:
    from recognizer.decoding.word_tree import build_letter_tree

    special = ("<unk>", "<s>", "</s>", SPACE)
    return build_letter_tree((symbol for symbol in model.symbols if symbol not in special), alphabet)
