"""The decoder that settings ask for, with the files that they name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recognizer.bundle.registry import locate_file
from recognizer.config import DecoderConfig
from recognizer.decoding.greedy import greedy
from recognizer.decoding.hypothesis import Hypothesis
from recognizer.errors import ConfigError, InputError
from recognizer.text.alphabet import SPACE, Alphabet
from recognizer.utils.parallel import in_threads

if TYPE_CHECKING:
    from recognizer.decoding.alignment import Alignment
    from recognizer.decoding.beam import BeamDecoder
    from recognizer.decoding.hotwords import HotwordAutomaton
    from recognizer.decoding.lexicon_trie import LexiconTrie, Spellings
    from recognizer.lm.ngram import NgramModel
    from recognizer.models.heads import Head


@dataclass(frozen=True)
class Models:
    """What scores a hypothesis besides the log-probs; each may be absent.

    Attributes:
        words: n-gram model of words.
        tokens: n-gram model of the symbols of the alphabet.
        trie: the words there are; needed with ``words``.
        spellings: of the words in the trie, where they are not just their characters.
        hotwords: phrases to prefer.
    """

    words: NgramModel | None = None
    tokens: NgramModel | None = None
    trie: LexiconTrie | None = None
    spellings: Spellings | None = None
    hotwords: HotwordAutomaton | None = None


class Decoder(ABC):
    """Turns what a network says of the frames of an input into hypotheses, best first.

    Its inputs are (T, C): log-probs for CTC (V columns, of two recognizers V + V2), for other objectives what their head gives
    (:mod:`recognizer.models.heads`).

    Attributes:
        config: the settings.
        models: that are used.
        closed: whether only words of a list may be written.
    """

    config: DecoderConfig
    models: Models
    closed = False

    @property
    def unspelt(self) -> tuple[str, ...]:
        """Words of the language model or the lexicon that are never written.

        The alphabet cannot spell them or, of two recognizers that decide together, the other one or the model does not have them.
        """
        return () if self.models.trie is None else self.models.trie.unspelt

    @abstractmethod
    def decode(self, inputs: np.ndarray, n_best: int = 1) -> list[Hypothesis]:
        """The best labelings of one utterance or line: at least one, at most ``n_best``."""

    @abstractmethod
    def with_config(self, config: DecoderConfig) -> Decoder:
        """The same models with other settings."""

    def align(self, inputs: np.ndarray, labels: Sequence[int], frames: Sequence[int] | None = None) -> Alignment:
        """Where in the frames the labels of a known text lie, by Viterbi alignment of CTC log-probs unless the decoder has a way of its own.

        Args:
            inputs: (T, C) as for :meth:`decode`.
            labels: (L,) what is written, without blanks.
            frames: (L,) of a hypothesis with these labels, near which they are looked for; None: anywhere.

        Raises:
            InputError: as :func:`~recognizer.decoding.alignment.viterbi_align`.
        """
        from recognizer.decoding.alignment import viterbi_align

        return viterbi_align(inputs, labels, None if frames is None else np.maximum.accumulate(np.array(frames, np.int64)))

    def peaks(self, inputs: np.ndarray, alignment: Alignment) -> np.ndarray:
        """The highest probability (L,) that the network gives each label within its run of frames."""
        from recognizer.decoding.confidence import peaks

        return peaks(inputs, alignment)

    def decode_all(self, inputs: Iterable[np.ndarray], n_best: int = 1, threads: int = 0) -> Iterator[list[Hypothesis] | Exception]:
        """:meth:`decode` of many, in order, in parallel threads (0: as many as there are processors).

        An item whose decoding fails gives the exception, and costs the others nothing; :func:`raise_failures` raises it.
        """

        def attempt(table: np.ndarray) -> list[Hypothesis] | Exception:
            try:
                return self.decode(table, n_best)
            except Exception as error:
                return error

        yield from in_threads(attempt, inputs, threads)


def raise_failures(decoded: Iterable[list[Hypothesis] | Exception]) -> Iterator[list[Hypothesis]]:
    """What :meth:`Decoder.decode_all` gives, for callers that cannot do without any item: a failure is raised."""
    for hypotheses in decoded:
        if isinstance(hypotheses, Exception):
            raise hypotheses
        yield hypotheses


class GreedyDecoder(Decoder):
    """Best-path decoding; has one hypothesis for everything."""

    def __init__(self) -> None:
        self.config, self.models = DecoderConfig(), Models()

    def decode(self, inputs: np.ndarray, n_best: int = 1) -> list[Hypothesis]:
        """The labels of the likeliest path."""
        return [greedy(inputs)]

    def with_config(self, config: DecoderConfig) -> GreedyDecoder:
        """The same: no setting changes it."""
        return self


def load_decoder(
    config: DecoderConfig,
    alphabet: Alphabet,
    folder: Path | None = None,
    hotwords: Mapping[str, float] | None = None,
    second: Alphabet | None = None,
    visual: bool = False,
    head: Head | None = None,
) -> Decoder:
    """Read what ``config`` names and put the decoder together.

    A model of characters scores the symbols of the alphabet; so does one of words where the symbols are units and there is no
    lexicon (phones are its words then). Any other model of words scores words: those of the lexicon or else its own.

    Args:
        config: the settings.
        alphabet: of the log-probs to come.
        folder: of the bundle, in which files are looked for first.
        hotwords: weights of phrases, in nats. Their words are added to a closed vocabulary, as unknown ones to the language model.
        second: alphabet of the other log-probs, where ``decoder.combine_with`` names another recognizer. With a closed vocabulary the
            words are then those of the model that both can spell; with an open one, or a model of characters, both write the same symbols.
        visual: whether labels are characters as they stand on a line; right-to-left words of lexicons are reordered then. Models and
            hotwords are in that order already.
        head: of the network, None for CTC alone.

    Raises:
        ConfigError: a file that is not there, models that do not fit together, or hotwords with a greedy decoder.
        InputError: a file that cannot be read, or that the alphabet cannot spell; a hotword that it, or the other recognizer, cannot.
    """
    if config.kind == "greedy" and head is None:
        if hotwords:
            raise ConfigError("hotwords need a beam: add decoder.kind=beam")
        return GreedyDecoder()
    if head is not None:
        return _load_head_decoder(head, config, alphabet, folder, hotwords, visual)
    from recognizer.decoding.hotwords import find_words

    spellings = _load_spellings(config, "lexicon", folder, alphabet, visual)
    others = None if second is None else _load_spellings(config, "combine_lexicon", folder, second, visual)
    words, tokens = load_models(config, folder, alphabet, spellings is not None)
    wanted = [phrase for phrase, weight in (hotwords or {}).items() if weight > 0]  # whose words a closed vocabulary must have
    added = find_words(wanted, alphabet, spellings) if config.closed else ()
    if second is None:
        return _build_beam(config, alphabet, words, tokens, spellings, hotwords, added)
    from recognizer.decoding.combination import TokenCombination, WordCombination

    by_words = config.closed and words is not None and tokens is None
    if second.level == alphabet.level and not by_words and spellings is None and others is None:
        return TokenCombination(_build_beam(config, alphabet, words, tokens, None, hotwords, added), second)
    if words is None:
        raise ConfigError("decoder.combine_with: needs decoder.lm, a model of words, in which the hypotheses of both recognizers are compared")
    spellings, others = _share_words(spellings, others, words, alphabet, second, added)
    first = _build_beam(config, alphabet, words, tokens, spellings, hotwords)
    return WordCombination(first, _build_beam(config, second, words, None, others, hotwords))


def _load_head_decoder(
    head: Head, config: DecoderConfig, alphabet: Alphabet, folder: Path | None, hotwords: Mapping[str, float] | None, visual: bool
) -> Decoder:
    """The decoder of a network that writes label by label; ``decoder.kind=greedy`` is a beam of one without models."""
    from recognizer.models.transducer import TransducerHead

    if isinstance(head, TransducerHead):
        from recognizer.decoding.transducer import load_transducer_decoder

        return load_transducer_decoder(head, config, alphabet, folder, hotwords)
    from recognizer.decoding.attention import load_attention_decoder

    return load_attention_decoder(head, config, alphabet, folder, hotwords, visual)


def _build_beam(
    config: DecoderConfig,
    alphabet: Alphabet,
    words: NgramModel | None,
    tokens: NgramModel | None,
    spellings: Spellings | None,
    hotwords: Mapping[str, float] | None,
    added: Iterable[str] = (),
) -> BeamDecoder:
    """The beam search with these models; ``added``: words besides those of the lexicon or the model."""
    from recognizer.decoding.beam import BeamDecoder
    from recognizer.decoding.hotwords import build_hotwords
    from recognizer.decoding.lexicon_trie import build_character_trie, build_trie, spell_words
    from recognizer.lm.ngram import SPECIAL

    trie: LexiconTrie | None = None
    if spellings is not None:
        if alphabet.level == "characters":
            spellings = {**spell_words(added), **spellings}
        trie = build_trie(spellings, alphabet)
    elif words is not None:
        trie = build_character_trie((word for word in (*words.symbols, *added) if word not in (*SPECIAL, SPACE)), alphabet)
    elif config.vocabulary == "closed":
        raise ConfigError("decoder.vocabulary: closed needs decoder.lexicon or a word model in decoder.lm")
    automaton = build_hotwords(hotwords, alphabet, spellings) if hotwords else None
    return BeamDecoder(alphabet, config, Models(words, tokens, trie, spellings, automaton))


def find_file(config: DecoderConfig, key: str, folder: Path | None) -> Path:
    """Where the file that a setting names lies: in the bundle, in another one (``PARTNER:FILE``), or where its path leads.

    Raises:
        ConfigError: nowhere.
    """
    name = str(getattr(config, key))
    found = None if folder is None else locate_file(name, folder)
    if found is None and not Path(name).is_file():
        raise ConfigError(f"decoder.{key}: {name}: no such file")
    return found or Path(name)


def load_models(
    config: DecoderConfig, folder: Path | None, alphabet: Alphabet, has_lexicon: bool
) -> tuple[NgramModel | None, NgramModel | None]:
    """The models of words and of the symbols of the alphabet that ``decoder.lm`` and ``decoder.char_lm`` name."""
    from recognizer.lm.binary import load_ngram

    words = None if config.lm is None else load_ngram(find_file(config, "lm", folder))
    tokens = None if config.char_lm is None else load_ngram(find_file(config, "char_lm", folder))
    if words is not None and (words.level == "characters" or (alphabet.level == "units" and not has_lexicon)):
        if tokens is not None:
            raise ConfigError("decoder.char_lm: decoder.lm is a model of the same symbols already; give one of the two")
        words, tokens = None, words
    if tokens is not None:
        if (tokens.level == "characters") != (alphabet.level == "characters"):
            raise ConfigError(f"decoder.lm: a model of {tokens.level} does not fit an alphabet of {alphabet.level}")
        if not any(tokens.id(symbol) for symbol in alphabet.symbols):
            raise ConfigError(f"decoder.lm: the model knows none of the symbols of the alphabet, such as {alphabet.symbols[0]!r}")
    return words, tokens


def _load_spellings(config: DecoderConfig, key: str, folder: Path | None, alphabet: Alphabet, visual: bool) -> Spellings | None:
    if getattr(config, key) is None:
        return None
    from recognizer.decoding.lexicon_trie import load_spellings

    return load_spellings(find_file(config, key, folder), alphabet, visual)


def _share_words(
    spellings: Spellings | None, others: Spellings | None, words: NgramModel, alphabet: Alphabet, second: Alphabet, added: Sequence[str]
) -> tuple[Spellings, Spellings]:
    """How each of two recognizers spells the words of the model and the ``added`` ones; one without a lexicon does so by their characters.

    Words that one of them cannot spell come last and have no spellings.
    """
    from recognizer.decoding.lexicon_trie import spell_words
    from recognizer.lm.ngram import SPECIAL

    listed = others if spellings is None else spellings
    modelled = words.symbols[len(SPECIAL) :]
    known = [*(modelled if listed is None else [word for word in listed if word in words.ids]), *(word for word in added if word not in words.ids)]
    both = []
    for given, own, key in ((spellings, alphabet, "lexicon"), (others, second, "combine_lexicon")):
        if given is None and own.level == "units":
            raise ConfigError(f"decoder.{key}: is needed: the words of the model have to be spelt in {own.symbols[0]!r} and the like")
        symbols = frozenset(own.symbols)
        ways = spell_words(known) if given is None else given
        both.append({word: spelt for word in known if (spelt := [way for way in ways.get(word, []) if symbols.issuperset(way)])})
    shared = [word for word in both[0] if word in both[1]]
    if not shared:
        raise ConfigError("decoder.combine_with: no word of decoder.lm and the lexicon can be spelt by both recognizers")
    possible = frozenset(shared)
    for word in added:
        if word not in possible:
            advice = "add its pronunciation to the lexicon, or go without the second one: decoder.combine_with=null decoder.combine_lexicon=null"
            raise InputError(f"hotword {word!r}: cannot be spelt by both recognizers, which decide together; {advice}")
    lost: dict[str, list[tuple[str, ...]]] = {word: [] for word in (*modelled, *(spellings or ())) if word not in possible}
    return {word: both[0][word] for word in shared} | lost, {word: both[1][word] for word in shared} | lost
