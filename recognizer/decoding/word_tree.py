"""Words as a prefix tree over labels: which words a decoder knows, how they are spelt and which letters may come next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recognizer.alphabet import SPACE, Alphabet
from recognizer.errors import InputError
from recognizer.lexicon import load_lexicon, read_lines

Spellings = Mapping[str, Sequence[tuple[str, ...]]]


@dataclass(frozen=True)
class WordTree:
    """A prefix tree in flat arrays; node 0 is the root.

    Attributes:
        words: the words, by index.
        first: (N + 1,) int32, children of node n are ``first[n]`` .. ``first[n + 1]`` of the next two.
        label: (children,) int32, the label that leads to each child, ascending within a node.
        child: (children,) int32, the child.
        word_first: (N + 1,) int32, words that end at node n are ``word_first[n]`` .. ``word_first[n + 1]`` of ``word``.
        word: int32, indices into ``words``.
        parent: (N,) int32; a parent has a lower number than its children.
        unspelt: words left out since the alphabet cannot spell them.
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

    def outlook(self, word_scores: np.ndarray) -> np.ndarray:
        """The highest score of the words at or below each node, (N,) float64; 0 at the root.

        A search that looks ahead so does not rank the beginning of a rare word with that of a frequent one (Ortmanns
        et al. 1996).
        """
        best = np.full(len(self), -np.inf)
        np.maximum.at(best, np.repeat(np.arange(len(self)), np.diff(self.word_first)), word_scores[self.word])
        for node in range(len(self) - 1, 0, -1):
            up = self.parent[node]
            if best[node] > best[up]:
                best[up] = best[node]
        best[0] = 0.0
        return best


def build_tree(spellings: Spellings, alphabet: Alphabet) -> WordTree:
    """A tree of words, each by all of its spellings (symbols of the alphabet; phones of a pronunciation, say).

    Raises:
        InputError: there are no words, or the alphabet cannot spell a single one.
    """
    labels = {symbol: label for label, symbol in enumerate(alphabet.symbols, start=1)}
    if not spellings:
        raise InputError("the lexicon holds no words")
    entries: list[tuple[tuple[int, ...], int]] = []
    words: list[str] = []
    unspelt: list[str] = []
    for word, ways in spellings.items():
        spelt = {tuple(map(labels.__getitem__, way)) for way in ways if way and labels.keys() >= {*way}}
        if spelt:
            entries.extend((way, len(words)) for way in sorted(spelt))
            words.append(word)
        else:
            unspelt.append(word)
    if not words:
        missing = sorted({s for way in spellings[unspelt[0]] for s in way if s not in labels})
        needs = f"{unspelt[0]!r}, for one, needs {', '.join(map(repr, missing))}"
        raise InputError(f"the alphabet can spell none of the {len(unspelt)} words of the lexicon; {needs}")
    entries.sort()
    parent, last = [-1], [0]
    ends: list[tuple[int, int]] = []  # node and word
    path: list[int] = []  # nodes of the entry before, root left out
    before: tuple[int, ...] = ()
    for way, number in entries:
        shared = 0
        while shared < min(len(way), len(before)) and way[shared] == before[shared]:
            shared += 1
        del path[shared:]
        for label in way[shared:]:
            parent.append(path[-1] if path else 0)
            last.append(label)
            path.append(len(parent) - 1)
        ends.append((path[-1], number))
        before = way
    return _pack(tuple(words), np.array(parent, np.int32), np.array(last, np.int32), np.array(ends, np.int32), tuple(unspelt))


def _pack(words: tuple[str, ...], parent: np.ndarray, last: np.ndarray, ends: np.ndarray, unspelt: tuple[str, ...]) -> WordTree:
    """Lists of nodes and of (node, word) as compressed rows."""
    count = len(parent)
    children = np.arange(1, count)
    order = children[np.argsort(parent[1:], kind="stable")]  # siblings were made in the order of their labels
    first = np.searchsorted(parent[order], np.arange(count + 1)).astype(np.int32)
    by_node = ends[np.lexsort((ends[:, 1], ends[:, 0]))]
    word_first = np.searchsorted(by_node[:, 0], np.arange(count + 1)).astype(np.int32)
    return WordTree(words, first, last[order], order.astype(np.int32), word_first, np.ascontiguousarray(by_node[:, 1]), parent, unspelt)


def spell_words(words: Iterable[str]) -> dict[str, list[tuple[str, ...]]]:
    """Each word by its characters."""
    return {word: [tuple(word)] for word in words}


def load_spellings(path: str | Path, alphabet: Alphabet) -> Spellings:
    """Read a lexicon for an alphabet.

    For units a line is a word and its phones (:func:`~recognizer.lexicon.load_lexicon`). For characters a line is a word,
    spelt as it stands, or a word and its characters apart (``don't  d o n t``).

    Raises:
        InputError: unreadable or empty.
    """
    if alphabet.level == "units":
        bare = all(symbol.isalpha() for symbol in alphabet.symbols)
        return load_lexicon(path, bare)
    spellings: dict[str, list[tuple[str, ...]]] = {}
    for line in read_lines(path):
        word, *symbols = line.split() or [""]
        if word:
            way = tuple(" " if s == SPACE else s for s in symbols) or tuple(word)
            known = spellings.setdefault(word, [])
            if way not in known:
                known.append(way)
    if not spellings:
        raise InputError(f"{path}: holds no words")
    return spellings
