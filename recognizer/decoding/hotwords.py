"""Hotwords: phrases that a decoder prefers, as an automaton over labels."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recognizer.errors import ConfigError, InputError
from recognizer.text.alphabet import Alphabet


@dataclass(frozen=True)
class HotwordAutomaton:
    """What each label adds to the score of a prefix while phrases are matched.

    A phrase earns its weight little by little, label by label, so that its beginning survives pruning; what was earned is
    taken back as soon as the match fails. Phrases begin and end at word boundaries: the separator, or the ends of the
    utterance; between units every place is one.

    Attributes:
        target: (states, V) int32, the state after a label; state 0 matches nothing and stands at the beginning of a word.
        gain: (states, V) float64, nats added by the label.
        end: (states,) float64, nats added where the utterance ends.
    """

    target: np.ndarray
    gain: np.ndarray
    end: np.ndarray

    @property
    def max_gain(self) -> float:
        """The largest gain of one label, or 0."""
        return max(0.0, float(self.gain.max(initial=0.0)))

    def score(self, labels: Sequence[int] | np.ndarray) -> float:
        """What the labels of a whole utterance gain, in nats."""
        state, total = 0, 0.0
        for label in labels:
            total += float(self.gain[state, label])
            state = int(self.target[state, label])
        return total + float(self.end[state])


def parse_hotword(text: str) -> tuple[str, float]:
    """``phrase:weight`` as written on a command line; the weight is in nats.

    Raises:
        ConfigError: no phrase, or no number after the last colon.
    """
    phrase, colon, weight = text.rpartition(":")
    try:
        value = float(weight)
    except ValueError:
        value = float("nan")
    if not colon or not phrase.strip() or not np.isfinite(value):
        raise ConfigError(f"--hotword {text!r}: write 'phrase:weight', the weight a number such as 5")
    return phrase.strip(), value


def build_hotwords(
    phrases: Mapping[str, float], alphabet: Alphabet, spell: Mapping[str, Sequence[tuple[str, ...]]] | None = None
) -> HotwordAutomaton:
    """The automaton of some phrases.

    Args:
        phrases: weight of each phrase in nats; a negative one discourages it.
        alphabet: with characters, a phrase is spelt as it stands but for the case of characters that the alphabet has in the other
            case only; with units it is a sequence of units or, if ``spell`` gives pronunciations of words, a sequence of words.
        spell: pronunciations by word.

    Raises:
        InputError: the alphabet cannot spell a phrase.
    """
    separator = alphabet.encode(" ")[0] if alphabet.level == "characters" and " " in alphabet.symbols else 0
    ways: dict[tuple[int, ...], float] = {}
    for phrase, weight in phrases.items():
        for way in _spell(phrase, alphabet, spell):
            ways[way] = ways.get(way, 0.0) + weight
    # a trie of the phrases: nodes by the labels that lead to them, the most that phrases have earned on the way, and what complete ones weigh
    index: dict[tuple[int, ...], int] = {(): 0}
    held, weights = [0.0], [0.0]
    for way, weight in ways.items():
        for depth in range(1, len(way) + 1):
            node = index.setdefault(way[:depth], len(index))
            if node == len(held):
                held.append(0.0)
                weights.append(0.0)
            if depth < len(way):
                held[node] = max(held[node], max(weight, 0.0) * depth / len(way))
        weights[index[way]] = weight
    paths, lost = list(index), len(index)  # lost: within a word that began no phrase
    # a complete phrase waits for the boundary that confirms it, holding its weight; between units it is confirmed at once
    potential = [max(h, w if separator else 0.0) for h, w in zip(held, weights, strict=True)] + [0.0]
    for node in sorted(range(1, lost), key=lambda node: len(paths[node])):  # what ends here may also begin another phrase
        inner = [i for i in range(1, len(paths[node])) if not separator or paths[node][i - 1] == separator]
        potential[node] = max([potential[node], *(potential[index[paths[node][i:]]] for i in inner if paths[node][i:] in index)])
    target, gain, end = np.empty((lost + 1, len(alphabet)), np.int32), np.zeros((lost + 1, len(alphabet))), np.zeros(lost + 1)
    target[:, 0] = np.arange(lost + 1)
    for state in range(lost + 1):
        path = paths[state] if state < lost else None
        for label in range(1, len(alphabet)):
            after, confirmed = _step(path, label, index, weights, separator, lost)
            target[state, label] = after
            gain[state, label] = confirmed + potential[after] - potential[state]
        if path is not None:  # the end of the utterance confirms what a separator would
            end[state] = (_step(path, separator, index, weights, separator, lost)[1] if separator else 0.0) - potential[state]
    return HotwordAutomaton(target, gain, end)


def _step(
    path: tuple[int, ...] | None, label: int, index: Mapping[tuple[int, ...], int], weights: Sequence[float], separator: int, lost: int
) -> tuple[int, float]:
    """State after a label, and the weight of phrases that it confirms."""
    if not separator:  # every place is a boundary: the longest end of what was matched that begins a phrase
        longer = (*(path or ()), label)
        starts = range(len(longer))
        after = next((index[longer[i:]] for i in starts if longer[i:] in index), 0)
        return after, sum(weights[index[longer[i:]]] for i in starts if longer[i:] in index)
    if path is None:
        return (0 if label == separator else lost), 0.0
    longer = (*path, label)
    begins = [0, *(i + 1 for i, symbol in enumerate(longer) if symbol == separator)]
    after = next((index[longer[i:]] for i in begins if longer[i:] in index), lost)
    if label != separator:
        return after, 0.0
    confirmed = [i for i in [0, *(i + 1 for i, symbol in enumerate(path) if symbol == separator)] if path[i:] in index]
    return after, sum(weights[index[path[i:]]] for i in confirmed if path[i:])


def _spell(phrase: str, alphabet: Alphabet, spell: Mapping[str, Sequence[tuple[str, ...]]] | None) -> list[tuple[int, ...]]:
    if alphabet.level == "characters" or spell is None:
        try:
            return [tuple(alphabet.encode(fold_case(phrase, alphabet) if alphabet.level == "characters" else phrase))]
        except InputError as error:
            raise InputError(f"hotword {phrase!r}: {error}") from None
    ways: list[tuple[int, ...]] = [()]
    for word in phrase.split():
        spelt = [spelling for spelling in spell[_find_word(phrase, word, spell)] if not alphabet.unknown(spelling)]
        if not spelt:
            raise InputError(f"hotword {phrase!r}: the alphabet cannot spell any pronunciation of {word!r}")
        ways = [way + tuple(alphabet.encode(spelling)) for way in ways for spelling in spelt]
    return ways


def find_words(phrases: Iterable[str], alphabet: Alphabet, spell: Mapping[str, Sequence[tuple[str, ...]]] | None = None) -> tuple[str, ...]:
    """The words of some phrases, as a decoder with such an alphabet and such pronunciations writes them, each once.

    Raises:
        InputError: a word has no pronunciation.
    """
    if alphabet.level == "characters":
        return tuple(dict.fromkeys(word for phrase in phrases for word in fold_case(phrase, alphabet).split()))
    return tuple(dict.fromkeys(_find_word(phrase, word, spell) for phrase in phrases for word in phrase.split())) if spell is not None else ()


def fold_case(text: str, alphabet: Alphabet) -> str:
    """A text with single spaces, its characters in lower or upper case where the alphabet has them in that case only."""
    symbols = frozenset(alphabet.symbols)

    def fold(character: str) -> str:
        return next((form for form in (character, character.lower(), character.upper()) if symbols.issuperset(form)), character)

    return "".join(map(fold, unicodedata.normalize("NFC", " ".join(text.split()))))


def _find_word(phrase: str, word: str, spell: Mapping[str, Sequence[tuple[str, ...]]]) -> str:
    """The word as the lexicon has it."""
    found = next((form for form in (word, word.upper(), word.lower()) if form in spell), None)
    if found is None:
        raise InputError(f"hotword {phrase!r}: {word!r} is not in the lexicon; add a line with its pronunciation")
    return found
