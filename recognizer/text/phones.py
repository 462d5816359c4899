"""The phone labels of TIMIT, how they fold for training and scoring (Lee & Hon 1989), and their phones in the CMU dictionary."""

from __future__ import annotations

from collections.abc import Iterable

from recognizer.errors import InputError

SILENCE = "sil"  # of the sets of 48 and 39

# what every label of the 61 becomes in the set of 48 and in that of 39, where it is not itself in both; None: it is deleted
_FOLDS: dict[str, tuple[str | None, str | None]] = {
    "q": (None, None),  # the glottal stop
    "ao": ("ao", "aa"), "ax": ("ax", "ah"), "ax-h": ("ax", "ah"), "axr": ("er", "er"), "el": ("el", "l"), "em": ("m", "m"),
    "en": ("en", "n"), "eng": ("ng", "ng"), "hv": ("hh", "hh"), "ix": ("ix", "ih"), "nx": ("n", "n"), "ux": ("uw", "uw"),
    "zh": ("zh", "sh"),
    "bcl": ("vcl", SILENCE), "dcl": ("vcl", SILENCE), "gcl": ("vcl", SILENCE), "kcl": ("cl", SILENCE), "pcl": ("cl", SILENCE),
    "tcl": ("cl", SILENCE), "epi": ("epi", SILENCE), "pau": (SILENCE, SILENCE), "h#": (SILENCE, SILENCE),
}  # fmt: skip
_SAME = ("aa", "ae", "ah", "aw", "ay", "b", "ch", "d", "dh", "dx", "eh", "er", "ey", "f", "g", "hh", "ih", "iy", "jh", "k", "l", "m",
         "n", "ng", "ow", "oy", "p", "r", "s", "sh", "t", "th", "uh", "uw", "v", "w", "y", "z")  # fmt: skip

PHONES_61: frozenset[str] = frozenset((*_SAME, *_FOLDS))
PHONES_48: frozenset[str] = frozenset((*_SAME, *(fine for fine, _ in _FOLDS.values() if fine)))
PHONES_39: frozenset[str] = frozenset((*_SAME, SILENCE))

# Labels of one set are also folded if they come from the next smaller one, so that any of the three can be scored in the 39.
_TABLES: dict[int, dict[str, str | None]] = {
    61: {p: p for p in PHONES_61},
    48: {**{p: p for p in PHONES_48}, **{p: fine for p, (fine, _) in _FOLDS.items()}},
    39: {**{p: p for p in PHONES_39}, "cl": SILENCE, "vcl": SILENCE, **{p: coarse for p, (_, coarse) in _FOLDS.items()}},
}


def fold_phone(phone: str, size: int) -> str | None:
    """The label of a phone in the set of 61, 48 or 39; None for the glottal stop, which the two smaller sets delete.

    Raises:
        InputError: it is not a label of TIMIT, or (towards 61 and 48) one of a smaller set.
    """
    try:
        return _TABLES[size][phone]
    except KeyError:
        raise InputError(f"{phone!r} is not one of TIMIT's phone labels that fold to {size}") from None


def fold_phones(phones: Iterable[str], size: int) -> list[str]:
    """Labels of phones in the set of 61, 48 or 39, glottal stops deleted by the two smaller ones; repeats are kept.

    Raises:
        InputError: as :func:`fold_phone`.
    """
    return [label for phone in phones if (label := fold_phone(phone, size)) is not None]


def cmu_phone(phone: str) -> str | None:
    """The phone of the CMU Pronouncing Dictionary, without stress, that a label of TIMIT's 61 is; None for closures, silence and the glottal stop.

    As in the set of 39, but ``ao`` and ``zh``, which the dictionary has, stay apart, and the flap, for which it writes T or D, is taken for a T.

    Raises:
        InputError: it is not one of the 61.
    """
    fold_phone(phone, 61)
    known = {"ao": "ao", "zh": "zh", "dx": "t"}.get(phone, fold_phone(phone, 39))
    return None if known in (None, SILENCE) else str(known).upper()
