"""The symbols that a recognizer can output: CTC labels, and how text turns into them and back."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from recognizer.errors import BundleError, InputError, nearest

Level = Literal["characters", "units"]

BLANK = "<blank>"  # label 0, "no symbol here" (Graves et al. 2006, section 3)
SPACE = "<space>"  # how the space is spelled in alphabet.txt, where a bare space cannot be seen


@dataclass(frozen=True)
class Alphabet:
    """An ordered set of symbols; label 0 is the CTC blank and is not listed in ``symbols``.

    Args:
        symbols: the symbol of labels 1, 2, ... With ``level="characters"`` each is one Unicode character (NFC) of the
            text, with ``level="units"`` a name such as a phone.
        level: whether a transcript is a string of characters or a sequence of space-separated units.
    """

    symbols: tuple[str, ...]
    level: Level = "characters"

    def __post_init__(self) -> None:
        if not self.symbols:
            raise BundleError("an alphabet needs at least one symbol")
        seen: set[str] = set()
        for symbol in self.symbols:
            if symbol in seen:
                raise BundleError(f"the alphabet lists {symbol!r} twice")
            if symbol in ("", BLANK, SPACE) or "\n" in symbol:  # alphabet.txt could not be read back
                raise BundleError(f"{symbol!r} cannot be a symbol of an alphabet")
            seen.add(symbol)

    def __len__(self) -> int:
        """The number of CTC labels V, blank included."""
        return len(self.symbols) + 1

    @cached_property
    def _labels(self) -> dict[str, int]:
        return {symbol: label for label, symbol in enumerate(self.symbols, start=1)}

    @classmethod
    def of(cls, transcripts: Iterable[str | Sequence[str]], level: Level = "characters") -> Alphabet:
        """Collect the symbols of ``transcripts`` (strings, or sequences of units), in code point order."""
        found: set[str] = set()
        for transcript in transcripts:
            found.update(split(transcript, level))
        return cls(tuple(sorted(found)), level)

    def unknown(self, transcript: str | Sequence[str]) -> list[str]:
        """The symbols of ``transcript`` that this alphabet lacks, in order of appearance, each once."""
        return list(dict.fromkeys(s for s in split(transcript, self.level) if s not in self._labels))

    def encode(self, transcript: str | Sequence[str]) -> list[int]:
        """Labels of a transcript.

        Raises:
            InputError: a symbol is not in the alphabet; the message names it.
        """
        missing = self.unknown(transcript)
        if missing:
            hint = nearest(missing[0], self.symbols) if self.level == "units" else ""
            raise InputError(f"not in the alphabet: {', '.join(map(repr, missing))}{hint}")
        return [self._labels[s] for s in split(transcript, self.level)]

    def spell(self, labels: Iterable[int]) -> list[str]:
        """The symbols of labels; blanks are not allowed here (remove them first, :func:`~recognizer.decoding.greedy.ctc_collapse`)."""
        symbols = []
        for label in labels:
            if not 1 <= label < len(self):
                raise IndexError(f"label {label} is outside 1..{len(self) - 1}")
            symbols.append(self.symbols[label - 1])
        return symbols

    def decode(self, labels: Iterable[int]) -> str:
        """The text of labels: characters joined, units separated by a space."""
        return ("" if self.level == "characters" else " ").join(self.spell(labels))

    def save(self, path: Path) -> None:
        """Write one symbol a line, ``<blank>`` first, so that a line number is a label plus one."""
        lines = [BLANK, *(SPACE if s == " " else s for s in self.symbols)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")

    @classmethod
    def load(cls, path: Path, level: Level) -> Alphabet:
        """Read what :meth:`save` wrote.

        Raises:
            BundleError: the file is missing, does not begin with ``<blank>`` or repeats a symbol.
        """
        try:
            lines = path.read_bytes().decode().removesuffix("\n").split("\n")  # read_text would turn the symbol "\r" into a line end
        except (OSError, UnicodeDecodeError) as error:
            raise BundleError(f"{path}: cannot read the alphabet: {error}") from None
        if lines[0] != BLANK:
            raise BundleError(f"{path}:1: the first line of an alphabet is {BLANK!r}, found {lines[0]!r}")
        try:
            return cls(tuple(" " if line == SPACE else line for line in lines[1:]), level)
        except BundleError as error:
            raise BundleError(f"{path}: {error}") from None


def split(transcript: str | Sequence[str], level: Level) -> list[str]:
    """Cut a transcript into symbols: NFC characters of a string, or the units of a sequence or spaced string."""
    if level == "characters":
        if not isinstance(transcript, str):
            raise TypeError("a transcript of characters is a string")
        return list(unicodedata.normalize("NFC", transcript))
    return transcript.split() if isinstance(transcript, str) else list(transcript)
