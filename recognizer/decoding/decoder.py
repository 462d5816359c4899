"""The decoder that settings ask for, with the files that they name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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
    from recognizer.decoding.word_tree import WordTree

FILES = ("lm", "char_lm", "lexicon")  # settings that name files


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


def load_decoder(config: DecoderConfig, alphabet: Alphabet, folder: Path | None = None, hotwords: Mapping[str, float] | None = None) -> Decoder:
    """Read what ``config`` names and put the decoder together.

    A model of characters scores the symbols of the alphabet; so does one of words where the symbols are units and there is no
    lexicon (phones are its words then). Any other model of words scores words: those of the lexicon or else its own.

    Args:
        config: the settings.
        alphabet: of the log-probs to come.
        folder: of the bundle, in which files are looked for first.
        hotwords: weights of phrases, in nats.

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
    from recognizer.decoding.word_tree import build_tree, load_spellings

    spellings = load_spellings(find_file(config, "lexicon", folder), alphabet) if config.lexicon else None
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
    tree = None
    if spellings is not None:
        tree = build_tree(spellings, alphabet)
    elif words is not None:
        tree = _tree_of_model(words, alphabet)
    if tree is None and config.vocabulary == "closed":
        raise ConfigError("decoder.vocabulary: closed needs decoder.lexicon or a word model in decoder.lm")
    automaton = build_hotwords(hotwords, alphabet, spellings) if hotwords else None
    return BeamDecoder(alphabet, config, Models(words, letters, tree, automaton))


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


def _check_letters(model: NgramModel, alphabet: Alphabet) -> None:
    if (model.level == "characters") != (alphabet.level == "characters"):
        raise ConfigError(f"decoder.lm: a model of {model.level} does not fit an alphabet of {alphabet.level}")
    if not any(model.id(symbol) for symbol in alphabet.symbols):
        raise ConfigError(f"decoder.lm: the model knows none of the symbols of the alphabet, such as {alphabet.symbols[0]!r}")


def _tree_of_model(model: NgramModel, alphabet: Alphabet) -> WordTree:
    from recognizer.decoding.word_tree import build_tree, spell_words

    special = ("<unk>", "<s>", "</s>", SPACE)
    return build_tree(spell_words(symbol for symbol in model.symbols if symbol not in special), alphabet)
