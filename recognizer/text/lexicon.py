"""Pronouncing dictionaries (lexicons): one line a pronunciation, the word and then its phones."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from functools import cache
from pathlib import Path

from recognizer.errors import InputError, nearest
from recognizer.utils.reading import open_text

Pronunciations = dict[str, list[tuple[str, ...]]]

MAX_NUMBERS = 4  # before the phones: probability of the pronunciation, of silence after it, and two corrections (Chen et al. 2015)
_NUMBER = re.compile(r"\d+(\.\d*)?([eE][-+]?\d+)?|\.\d+([eE][-+]?\d+)?")


def load_lexicon(path: str | Path, bare: bool = True) -> Pronunciations:
    """Read a lexicon as Kaldi, the CMU Pronouncing Dictionary and most others write it: ``WORD  P1 P2 P3``.

    Numbers before the phones, the first of them with a decimal point in at least one line, are probabilities, as in Kaldi's
    ``lexiconp.txt`` and in dictionaries of the Montreal Forced Aligner; they are passed over, all pronunciations counting alike.
    Several lines of one word, or ``WORD(2)`` as the CMU dictionary numbers them, are several pronunciations, kept in
    the order of the file. Lines that begin with ``;;;`` and what follows `` #`` are comments.

    Args:
        path: a UTF-8 text file, plain or gzip.
        bare: take stress digits and word-position marks off the phones (``AH0_B`` becomes ``AH``).

    Raises:
        InputError: the file cannot be read, a word has no phones (file and line named), or there is no word at all.
    """
    lexicon: Pronunciations = {}
    lines = (re.sub(r"\s#.*", "", line) if "#" in line else line for line in read_lines(path, comments=True))
    for number, word, phones in without_numbers(lines):
        if not phones:
            raise InputError(f"{path}:{number}: {word!r} has no phones; a line is WORD PHONE PHONE ...")
        entry = tuple(map(bare_phone, phones) if bare else phones)
        known = lexicon.setdefault(bare_word(word), [])
        if entry not in known:
            known.append(entry)
    if not lexicon:
        raise InputError(f"{path}: holds no words; a line is WORD PHONE PHONE ...")
    return lexicon


def read_lines(path: str | Path, comments: bool = False) -> Iterator[str]:
    """The lines of a lexicon, plain or gzip by its content; with ``comments`` those that begin with ``;;;`` are empty.

    Raises:
        InputError: it cannot be read, is a damaged gzip file or one that unpacks to far more than text does, or is not UTF-8.
    """
    with open_text(path) as lines:
        for line in lines:
            yield "" if comments and line.startswith(";;;") else line.rstrip("\n")


def without_numbers(lines: Iterable[str]) -> Iterator[tuple[int, str, list[str]]]:
    """Number, word and symbols of each line that is not empty, without the probabilities of :func:`load_lexicon`."""
    entries = [(number, fields) for number, line in enumerate(lines, start=1) if (fields := line.split())]
    numbered = any("." in fields[1] and _NUMBER.fullmatch(fields[1]) for _, fields in entries if len(fields) > 1)
    for number, (word, *symbols) in entries:
        skipped = 0
        while numbered and skipped < min(len(symbols), MAX_NUMBERS) and _NUMBER.fullmatch(symbols[skipped]):
            skipped += 1
        yield number, word, symbols[skipped:]


def keep_lines(path: str | Path, words: Container[str]) -> str:
    """The lines of a lexicon whose words are among ``words``, unchanged."""
    lines = (line for line in read_lines(path, comments=True) if line.strip())
    return "".join(f"{line}\n" for line in lines if bare_word(line.split()[0]) in words)


def bare_word(word: str) -> str:
    """A word without the number of its pronunciation (``WORD(2)``)."""
    return re.sub(r"(?<=.)\(\d+\)$", "", word) if word.endswith(")") else word


@cache  # there are few phones, and a dictionary has half a million of them
def bare_phone(phone: str) -> str:
    """A phone without stress (``0``, ``1``, ``2``) and word position (``_B``, ``_I``, ``_E``, ``_S``)."""
    return re.sub(r"[0-2]?(_[BIES])?$", "", phone)


def pronounce(text: str, lexicon: Pronunciations) -> tuple[str, ...]:
    """The phones of a text by the first pronunciation of each word; case is ignored if the exact word is not listed.

    Punctuation around a word is no part of it.

    Raises:
        InputError: a word is not in the lexicon; it is named, with the nearest that is.
    """
    phones: list[str] = []
    for token in text.split():
        word = re.sub(r"^[^\w']+|[^\w']+$", "", token)
        if not word:
            continue
        found = next((lexicon[w] for w in (word, word.upper(), word.lower(), word.strip("'").upper(), word.strip("'").lower()) if w in lexicon), None)
        if found is None:
            raise InputError(f"{word!r} is not in the lexicon{nearest(word.upper(), lexicon) if len(lexicon) < 20_000 else ''}")
        phones += found[0]
    return tuple(phones)
