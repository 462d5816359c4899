"""Small capitals: the hand of people who write capitals all along, those that are meant as capitals taller than those for small letters."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from string import ascii_lowercase

from recognizer.errors import ConfigError

HEIGHT = (0.58, 0.88)  # of the capitals that stand for small letters, times that of the others
MIXED = 0.4  # share of writers who write some small letters as such
KEPT = 0.5  # most of the small letters that those keep


@dataclass(frozen=True)
class SmallCapitals:
    """How one person writes them. The text is that of small letters and capitals: what differs is what stands on the paper.

    Attributes:
        height: of a capital that stands for a small letter, times that of one that is meant.
        kept: small letters, without accents, that this person writes as such all the same.
    """

    height: float
    kept: frozenset[str] = frozenset()

    @staticmethod
    def draw(chance: Callable[[], float]) -> SmallCapitals:
        """A way of writing them, out of numbers from 0 to 1 (``random`` of either kind of generator)."""
        height = HEIGHT[0] + (HEIGHT[1] - HEIGHT[0]) * chance()
        share = KEPT * chance() if chance() < MIXED else 0.0
        return SmallCapitals(height, frozenset(letter for letter in ascii_lowercase if chance() < share))

    def replace(self, letter: str) -> str:
        """What is written for a letter: its capital, or itself where it has none of one letter or is kept."""
        large = letter.upper()
        return letter if len(large) > 1 or unicodedata.normalize("NFD", letter)[0] in self.kept else large

    def rewrite(self, text: str) -> str:
        """What is written for a text, of the same length."""
        return "".join(map(self.replace, text))


def shows_capitals(text: str) -> bool:
    """Whether a text in small capitals can be told from one in capitals: a capital stands beside a small letter."""
    return any(one.isupper() and other.islower() for one, other in pairwise(text))


def check_shares(capitals: float, small_capitals: float) -> None:
    """Make sure that ``--capitals`` and ``--small-capitals``, a share of what the former leaves, can both be had.

    Raises:
        ConfigError: one is no share, or nothing is left for small capitals.
    """
    for option, share in (("--capitals", capitals), ("--small-capitals", small_capitals)):
        if not 0 <= share <= 1:
            raise ConfigError(f"{option} {share:g}: must be from 0 to 1")
    if capitals == 1 and small_capitals:
        raise ConfigError(f"--small-capitals {small_capitals:g}: is a share of what is not in capitals only, which is nothing; give --capitals 0")
