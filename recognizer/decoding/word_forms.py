"""Language models of lists of words with frequencies, which exist for languages and for names of which there is little text.

Lists hold bare words. In a text these stand with capitals, behind elided articles and beside punctuation: how, is learnt from a
text of the kind that is to be read, and each word's frequency is spread over the forms that it takes there.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from recognizer.decoding.ngram import SPECIAL, NgramModel
from recognizer.decoding.ngram_text import open_text
from recognizer.decoding.ngram_trie import Trie, make_model
from recognizer.errors import InputError

MOST = 300_000  # forms that are kept, the likeliest
FEW = 20  # words of about the same frequency of which the share of capitals can be told
RARE = 0.002  # of the words with an initial: punctuation that is seen less often is none of theirs
_TOKEN = re.compile(r"([^\w]*)((?:\w+['\u2019])?)(.*?)([^\w]*)", re.DOTALL)  # marks, an elided word, the word, marks


class Manners(NamedTuple):
    """How words stand in a text."""

    cases: dict[int, np.ndarray]  # by magnitude of the frequency: shares (3,) of small letters, a capital first, capitals
    marks: dict[str, dict[tuple[str, str], float]]  # by initial: shares of what stands before and behind
    unknown: float  # share of what is no form of a word of the list, among the tokens and ends of sentences
    ends: float  # and that of the ends of sentences


def load_frequencies(path: str | Path) -> dict[str, float]:
    """Words, in small letters, and how frequent they are, in any unit: a word and a number a line, plain or gzip.

    Raises:
        InputError: the file cannot be read, a line is something else (file and line named), or there is none.
    """
    frequencies: dict[str, float] = {}
    with open_text(path) as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                word, value = line.lower().split()
                frequency = float(value)
            except ValueError:  # of either line
                word, frequency = "", math.nan
            if not 0 < frequency < math.inf:
                raise InputError(f"{path}:{number}: {line.strip()[:60]!r} is not a word and its frequency, a number above 0")
            frequencies[word] = frequencies.get(word, 0.0) + frequency
    if not frequencies:
        raise InputError(f"{path}: holds no words; a line is a word and its frequency")
    return frequencies


def model_words(frequencies: Mapping[str, float], sentences: Iterable[str], most: int = MOST) -> NgramModel:
    """A 1-gram model of the forms of a list's words, with frequencies in any unit, that the words of sentences suggest.

    Whether a word has capitals is told by how frequent it is (rare words are more often names), what stands beside it by its
    initial (articles are elided before vowels).

    Raises:
        InputError: no sentence has a word of the list.
    """
    whole = math.fsum(frequencies.values())
    shares = {word: frequency / whole for word, frequency in frequencies.items()}
    manners = find_manners(shares, sentences)
    forms = _dress(shares, manners, most)
    symbols = (*SPECIAL, *sorted(forms))
    left = 1 - manners.unknown - manners.ends
    scale = left / math.fsum(forms.values())
    prob = np.array([manners.unknown, 0.0, manners.ends, *(forms[form] * scale for form in symbols[len(SPECIAL) :])])
    with np.errstate(divide="ignore"):
        return make_model(1, "words", symbols, Trie(len(symbols)), np.log(prob), np.zeros(len(prob)))


def find_manners(shares: Mapping[str, float], sentences: Iterable[str]) -> Manners:
    """How the words of a list, whose shares add up to one, stand in sentences.

    Raises:
        InputError: no sentence has a word of the list.
    """
    cases: dict[int, np.ndarray] = defaultdict(lambda: np.zeros(3))
    marks: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    tokens = known = lines = 0
    for sentence in sentences:
        lines += 1
        for token in sentence.split():
            tokens += 1
            before, word, behind = _part(token, shares)
            case = _case(word)
            if case is None or word.lower() not in shares:
                continue
            known += 1
            cases[_magnitude(shares[word.lower()])][case] += 1
            marks[_initial(word)][before, behind] += 1
    if not known:
        raise InputError("no sentence has a word of the list of frequencies")
    unknown = max(tokens - known, 1)  # other words exist, although this text has none
    total = known + unknown + lines
    return Manners(
        {magnitude: counts / counts.sum() for magnitude, counts in cases.items() if counts.sum() >= FEW} or {0: sum(cases.values()) / known},
        {initial: {pair: count / seen.total() for pair, count in seen.items() if count >= RARE * seen.total()} for initial, seen in marks.items()},
        unknown / total,
        lines / total,
    )


def _part(token: str, words: Mapping[str, float]) -> tuple[str, str, str]:
    """What stands before a word, the word, and what stands behind it; what is written with an apostrophe may be a word, too."""
    match = _TOKEN.fullmatch(token)
    assert match is not None  # any string is a match
    before, elided, word, behind = match.groups()
    return (before, elided + word, behind) if not elided or (elided + word).lower() in words else (before + elided, word, behind)


def _case(word: str) -> int | None:
    """0 for small letters, 1 for a capital first, 2 for capitals, None for something else."""
    spellings = (word.lower(), _capitalise(word.lower()), word.upper())
    return spellings.index(word) if word in spellings else None


def _capitalise(word: str) -> str:
    return word[:1].upper() + word[1:]


def _magnitude(share: float) -> int:
    return round(math.log10(share))


def _initial(word: str) -> str:
    """The first letter without its accent."""
    return unicodedata.normalize("NFD", word[:1].lower())[:1]


def _dress(shares: Mapping[str, float], manners: Manners, most: int) -> dict[str, float]:
    """The ``most`` likeliest forms and their shares, not normalised."""
    words = [*shares]
    share = np.array([shares[word] for word in words])
    known = np.array(sorted(manners.cases))
    nearest = [int(known[np.abs(known - _magnitude(one)).argmin()]) for one in share]
    by_case = share[:, None] * np.stack([manners.cases[magnitude] for magnitude in nearest])  # (words, 3)
    by_initial: dict[str, list[int]] = defaultdict(list)
    for number, word in enumerate(words):
        by_initial[_initial(word)].append(number)
    likely: list[tuple[np.ndarray, np.ndarray, tuple[str, str]]] = []  # shares (words, 3) of words (numbers) between marks
    for initial, numbers in by_initial.items():
        places = np.array(numbers)
        for pair, part in manners.marks.get(initial, {("", ""): 1.0}).items():
            likely.append((by_case[places] * part, places, pair))
    every = np.concatenate([values.ravel() for values, _, _ in likely])
    least = np.partition(every, -most)[-most] if len(every) > most else 0.0
    forms: dict[str, float] = defaultdict(float)
    for values, places, (before, behind) in likely:
        for row, case in zip(*np.nonzero((values >= least) & (values > 0)), strict=True):
            word = words[places[row]]
            form = (word, _capitalise(word), word.upper())[case]
            forms[before + form + behind] += float(values[row, case])
    return forms
