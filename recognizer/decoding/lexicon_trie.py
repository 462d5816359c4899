"""Words as a prefix tree over labels: which words a decoder knows, how they are spelt and which labels may come next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, compress, repeat
from pathlib import Path

import numpy as np

from recognizer.errors import InputError
from recognizer.text.alphabet import SPACE, Alphabet
from recognizer.text.bidi import is_right_to_left, to_visual
from recognizer.text.lexicon import load_lexicon, read_lines, without_numbers

Spellings = Mapping[str, Sequence[tuple[str, ...]]]


@dataclass(frozen=True)
class LexiconTrie:
    """A prefix tree in flat arrays; node 0 is the root, and nodes are numbered layer by layer.

    Attributes:
        words: the words, by index.
        first: (N + 1,) int32, children of node n are ``first[n]`` .. ``first[n + 1]`` of the next two.
        label: (children,) int32, the label that leads to each child, ascending within a node.
        child: (children,) int32, the child.
        word_first: (N + 1,) int32, words that end at node n are ``word_first[n]`` .. ``word_first[n + 1]`` of ``word``.
        word: int32, indices into ``words``.
        parent: (N,) int32; a parent has a lower number than its children.
        unspelt: words left out since they have no spelling, or none that the alphabet has the symbols for.
    """

    words: tuple[str, ...]
    first: np.ndarray
    label: np.ndarray
    child: np.ndarray
    word_first: np.ndarray
    word: np.ndarray
    parent: np.ndarray
    unspelt: tuple[str, ...] = ()

    def __len__(self) -> int:
        """The number of nodes."""
        return len(self.parent)

    def lookahead_scores(self, word_scores: np.ndarray) -> np.ndarray:
        """The highest score of the words at or below each node, (N,) float64; 0 at the root.

        A search that looks ahead does not rank the beginning of a rare word with that of a frequent one (Ortmanns et al. 1996).
        """
        best = np.full(len(self), -np.inf)
        np.maximum.at(best, np.repeat(np.arange(len(self)), np.diff(self.word_first)), word_scores[self.word])
        layers = [slice(0, 1)]
        while layers[-1].stop < len(self):
            layers.append(slice(layers[-1].stop, 1 + int(self.first[layers[-1].stop])))
        for layer in reversed(layers[1:]):
            np.maximum.at(best, self.parent[layer], best[layer])
        best[0] = 0.0
        return best


def build_trie(spellings: Spellings, alphabet: Alphabet) -> LexiconTrie:
    """A trie of words, each by all of its spellings (symbols of the alphabet; phones of a pronunciation, say).

    Raises:
        InputError: there are no words, or the alphabet cannot spell a single one.
    """
    labels = _number_symbols(alphabet)
    listed = tuple(spellings)
    ways = [way for word in listed for way in spellings[word]]
    owner = np.repeat(np.arange(len(listed)), [len(spellings[word]) for word in listed])
    lengths = np.fromiter(map(len, ways), np.int64, len(ways))
    flat = np.fromiter(map(labels.get, chain.from_iterable(ways), repeat(0)), np.int64, int(lengths.sum()))
    return _make_trie(listed, owner, lengths, flat, chain.from_iterable(spellings[listed[0]]) if listed else (), labels)


def build_character_trie(words: Iterable[str], alphabet: Alphabet) -> LexiconTrie:
    """A trie of words by their characters: what `build_trie` makes of them, for half a million in a fraction of the time.

    Raises:
        InputError: there are no words, or the alphabet cannot spell a single one.
    """
    labels = _number_symbols(alphabet)
    listed = tuple(dict.fromkeys(words))
    lengths = np.fromiter(map(len, listed), np.int64, len(listed))
    points = np.frombuffer("".join(listed).encode("utf-32-le", "surrogatepass"), "<u4")
    table = np.zeros(int(points.max(initial=0)) + 1, dtype=np.int64)
    for symbol, label in labels.items():
        if len(symbol) == 1 and ord(symbol) < len(table):
            table[ord(symbol)] = label
    return _make_trie(listed, np.arange(len(listed)), lengths, table[points], listed[0] if listed else (), labels)


def _number_symbols(alphabet: Alphabet) -> dict[str, int]:
    return {symbol: label for label, symbol in enumerate(alphabet.symbols, start=1)}


def _make_trie(
    listed: tuple[str, ...], owner: np.ndarray, lengths: np.ndarray, flat: np.ndarray, symbols: Iterable[str], labels: Mapping[str, int]
) -> LexiconTrie:
    """The trie of spellings laid end to end in ``flat``, labels or 0, whose words are ``owner`` (N,); ``symbols`` are those of the first word."""
    if not listed:
        raise InputError("the lexicon holds no words")
    starts = np.cumsum(lengths) - lengths
    spelt = lengths > 0
    spelt[np.repeat(np.arange(len(lengths)), lengths)[flat == 0]] = False
    known = np.zeros(len(listed), dtype=bool)
    known[owner[spelt]] = True
    words = tuple(compress(listed, known))
    unspelt = tuple(compress(listed, ~known))
    if not words:
        missing = sorted({symbol for symbol in symbols if symbol not in labels})
        needs = f"{unspelt[0]!r}, for one, needs {', '.join(map(repr, missing))}"
        raise InputError(f"the alphabet can spell none of the {len(unspelt)} words of the lexicon; {needs}")
    number = np.cumsum(known) - 1  # of each listed word among those that are spelt
    return _build_layers(words, flat, starts[spelt], lengths[spelt], number[owner[spelt]], unspelt)


def _build_layers(
    words: tuple[str, ...], flat: np.ndarray, starts: np.ndarray, lengths: np.ndarray, owner: np.ndarray, unspelt: tuple[str, ...]
) -> LexiconTrie:
    """The trie, layer by layer, of spellings that begin at ``starts`` (N,) of the labels ``flat``; ``owner`` (N,) are their words."""
    size = int(flat.max()) + 1
    node = np.zeros(len(starts), dtype=np.int64)  # that each spelling has come to
    parents, labels = [np.array([-1])], [np.array([0])]
    count = depth = 1
    active = np.arange(len(starts))  # spellings that are longer
    while len(active):
        steps, taken = np.unique(node[active] * size + flat[starts[active] + depth - 1], return_inverse=True)
        node[active] = count + taken
        parents.append(steps // size)
        labels.append(steps % size)
        count += len(steps)
        active = active[lengths[active] > depth]
        depth += 1
    parent, label = np.concatenate(parents).astype(np.int32), np.concatenate(labels).astype(np.int32)
    ends, word = np.divmod(np.unique(node * len(words) + owner), len(words))  # pairs as one number each are sorted sooner
    nodes = np.arange(count + 1)
    first, word_first = (np.searchsorted(column, nodes).astype(np.int32) for column in (parent[1:], ends.astype(np.int32)))
    return LexiconTrie(words, first, label[1:], nodes[1:count].astype(np.int32), word_first, word.astype(np.int32), parent, unspelt)


def spell_words(words: Iterable[str]) -> dict[str, list[tuple[str, ...]]]:
    """Each word by its characters."""
    return {word: [tuple(word)] for word in words}


def load_spellings(path: str | Path, alphabet: Alphabet, visual: bool = False) -> Spellings:
    """Read a lexicon for an alphabet.

    For units a line is a word and its phones (:func:`~recognizer.text.lexicon.load_lexicon`). For characters a line is a word,
    spelt as it stands, or a word and its characters apart (``don't  d o n t``); probabilities before them are passed over there, too.

    Args:
        path: of the lexicon, plain or gzip; ``alphabet``: what is spelt with.
        visual: put right-to-left words and their characters into visual order, in which recognizers of line images and pen traces read them.

    Raises:
        InputError: unreadable or empty.
    """
    if alphabet.level == "units":
        return load_lexicon(path, bare=all(symbol.isalpha() for symbol in alphabet.symbols))
    spellings: dict[str, list[tuple[str, ...]]] = {}
    for _, word, symbols in without_numbers(read_lines(path, comments=True)):
        way = tuple(" " if s == SPACE else s for s in symbols) or tuple(word)
        if visual and is_right_to_left(word):
            word, way = to_visual(word), tuple(to_visual("".join(way)))
        known = spellings.setdefault(word, [])
        if way not in known:
            known.append(way)
    if not spellings:
        raise InputError(f"{path}: holds no words")
    return spellings
