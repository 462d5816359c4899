"""Pronouncing dictionaries (lexicons): one line a pronunciation, the word and then its phones."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Container
from functools import cache
from pathlib import Path

from recognizer.errors import InputError, nearest

Pronunciations = dict[str, list[tuple[str, ...]]]


def load_lexicon(path: str | Path, bare: bool = True) -> Pronunciations:
    """Read a lexicon as Kaldi, the CMU Pronouncing Dictionary and most others write it: ``WORD  P1 P2 P3``.

    Several lines of one word, or ``WORD(2)`` as the CMU dictionary numbers them, are several pronunciations, kept in
    the order of the file. Lines that begin with ``;;;`` and what follows `` #`` are comments.

    Args:
        path: a UTF-8 text file, plain or gzip.
        bare: take stress digits and word-position marks off the phones (``AH0_B`` becomes ``AH``).

    Raises:
        InputError: the file cannot be read, a word has no phones (file and line named), or there is no word at all.
    """
    lexicon: Pronunciations = {}
    for number, line in enumerate(read_lines(path), start=1):
        if line.startswith(";;;"):
            continue
        word, *phones = (re.sub(r"\s#.*", "", line) if "#" in line else line).split() or [""]
        if not word:
            continue
        if not phones:
            raise InputError(f"{path}:{number}: {word!r} has no phones; a line is WORD PHONE PHONE ...")
        entry = tuple(map(bare_phone, phones) if bare else phones)
        known = lexicon.setdefault(bare_word(word), [])
        if entry not in known:
            known.append(entry)
    if not lexicon:
        raise InputError(f"{path}: holds no words; a line is WORD PHONE PHONE ...")
    return lexicon


def read_lines(path: str | Path) -> list[str]:
    """The lines of a lexicon, plain or gzip by its content.

    Raises:
        InputError: it cannot be read, is a damaged gzip file, or is not UTF-8.
    """
    try:
        content = Path(path).read_bytes()
        return (gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content).decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path}: the gzip file is damaged or cut short ({error})") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


def keep_lines(path: str | Path, words: Container[str]) -> str:
    """The lines of a lexicon whose words are among ``words``, unchanged."""
    lines = (line for line in read_lines(path) if line.strip() and not line.startswith(";;;"))
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
