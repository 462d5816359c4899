"""How a speaker who is made up pronounces a word: mostly in the first way of the dictionary."""

from __future__ import annotations

import numpy as np

from recognizer.errors import InputError
from recognizer.lexicon import Pronunciations

VARIANT = 0.3  # chance that a word is pronounced in any of its ways in place of the first


def pronounce_once(word: str, lexicon: Pronunciations, chance: np.random.Generator) -> tuple[str, ...]:
    """The phones of one of a word's pronunciations.

    Raises:
        InputError: the word is not in the dictionary.
    """
    ways = lexicon.get(word.lower()) or lexicon.get(word.upper())
    if not ways:
        raise InputError(f"{word!r} is not in the dictionary")
    return ways[chance.integers(len(ways)) if chance.random() < VARIANT else 0]
