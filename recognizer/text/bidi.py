"""Right-to-left text: from the order in which it is read and stored to the order in which it stands on a line, and back.

CTC labels come in the order of the frames, and those of a line image or a pen trace go from left to right. So targets with Hebrew,
Arabic or other right-to-left letters are put into *visual order* by the Unicode bidirectional algorithm (UAX 9), brackets mirrored as they
are drawn, and what is recognized is put back into *logical order*. Sound has no sides: its text is never reordered.

Several logical texts can look the same, and what a picture does not show cannot be recovered. :func:`to_logical` gives a text that looks
like the line, by these rules:

* a line of both directions may belong to a paragraph of either: it is taken as right-to-left unless less than a third of its letters are
  (``abc אבג`` from a left-to-right paragraph comes back as ``אבג abc``, which looks the same);
* a number between words of both directions goes with the left-to-right one (``אבג 12 abc`` comes back as ``אבג abc 12``), and a number
  in a left-to-right paragraph stands where it is seen (``abc אבג 12`` comes back as ``abc 12 אבג``);
* direction marks and embeddings (U+200E, U+202A and so on) take effect and are lost: they leave no ink.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product

# All scripts that run from right to left, with their digits, and the characters that turn the direction; in order of code points.
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\u200f\u202b\u202e\u2067\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]")
_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_LETTERS = {"R": True, "AL": True, "L": False}  # classes of letters, and whether they run from right to left
_CONTEXTS = ("", "\u061c")  # what a line may be read after: nothing, or an Arabic letter, which changes how numbers join
_LEAST_SHARE = 1 / 3  # of right-to-left letters in a line of both that is taken for one of a right-to-left paragraph
# Tags take no part in the algorithm, but move with the character before them: they say where each has come from.
_TAGS = [chr(0xE0020 + digit) for digit in range(95)]
_DIGITS = {tag: digit for digit, tag in enumerate(_TAGS)}
_END = "\u0300"  # a mark, that keeps the last tag at its character: white space and tags at the end of a line go to its margin

Place = tuple[int, bool]  # where a cluster was in the other order, and whether it runs from right to left


def is_right_to_left(text: str) -> bool:
    """Whether any character of a text belongs to a right-to-left script; if not, both orders are the same."""
    return not text.isascii() and _RIGHT_TO_LEFT.search(text) is not None


def to_visual(text: str) -> str:
    """A logical text as it stands on a line, from left to right; the direction of the paragraph is that of its first letter.

    Brackets in right-to-left text are mirrored, combining marks stay behind their letters, direction marks are dropped.
    """
    if not is_right_to_left(text):
        return text
    clusters = _split_clusters(text)
    shown = _rearrange(clusters, _arrange(clusters, None, controls=True))
    return "".join(character for cluster in shown for character in cluster if character not in _CONTROLS)


def to_logical(text: str) -> str:
    """The inverse of :func:`to_visual`, as far as a line shows it (see above)."""
    return logical_order(text)[0]


def logical_order(text: str) -> tuple[str, list[int]]:
    """A visual text in logical order, as long as it was, and for each of its characters where that was in ``text``."""
    if not is_right_to_left(text):
        return text, list(range(len(text)))
    clusters = _split_clusters(text)
    places = _find_logical(clusters)
    begins = [0]
    for cluster in clusters:
        begins.append(begins[-1] + len(cluster))
    return "".join(_rearrange(clusters, places)), [k for index, _ in places for k in range(begins[index], begins[index + 1])]


def _split_clusters(text: str) -> list[str]:
    """Characters, each with the marks and invisible characters that follow it: they share its place."""
    clusters: list[str] = []
    for character in text:
        if clusters and (unicodedata.bidirectional(character) in ("NSM", "BN") or character in _CONTROLS):
            clusters[-1] += character
        else:
            clusters.append(character)
    return clusters


def _find_logical(clusters: Sequence[str]) -> list[Place]:
    """Places of visual clusters in a logical order that looks like them; the likeliest of those tried, if none does."""
    kinds = [_LETTERS[kind] for cluster in clusters if (kind := unicodedata.bidirectional(cluster[0])) in _LETTERS]
    bases = "RL" if sum(kinds) >= _LEAST_SHARE * len(kinds) else "LR"
    seen = list(clusters)
    tried = [_arrange(clusters, base, context) for base, context in product(bases, _CONTEXTS)]
    for places in tried:
        logical = _rearrange(clusters, places)
        if _rearrange(logical, _arrange(logical, None)) == seen:
            return places
    return tried[0]


def _arrange(clusters: Sequence[str], base: str | None, context: str = "", controls: bool = False) -> list[Place]:
    """The clusters as the bidirectional algorithm orders them.

    Args:
        clusters: in logical order.
        base: "R" or "L", the direction of the paragraph; None: that of the first letter.
        context: a control character that goes before.
        controls: whether those of the text take effect.
    """
    from bidi import get_display  # some milliseconds, which left-to-right text does not pay

    width = 1 if len(clusters) <= len(_TAGS) else len(str(len(clusters)))
    last = max((index for index, cluster in enumerate(clusters) if not cluster[0].isspace()), default=-1)
    parts = [context]
    for index, cluster in enumerate(clusters):
        parts.append(_representative(cluster[0]))
        parts.append(_TAGS[index] if width == 1 else "".join(_TAGS[int(digit)] for digit in f"{index:0{width}}"))
        parts += [character for character in cluster if controls and character in _CONTROLS]
        parts += [_END] if index == last else []
    shown = get_display("".join(parts), **({} if base is None else {"base_dir": base}))
    return list(_read_places([c for c in shown if c not in _CONTROLS and c != _END], width))


def _read_places(shown: Sequence[str], width: int) -> Iterator[Place]:
    """Where each cluster came from, from the tags behind it, or before it where it runs from right to left."""
    for begin in range(0, len(shown), width + 1):
        digits = [_DIGITS[c] for c in shown[begin : begin + width + 1] if c in _DIGITS]
        reverse = shown[begin] in _DIGITS
        index = 0
        for digit in reversed(digits) if reverse else digits:
            index = 10 * index + digit
        yield index, reverse


def _rearrange(clusters: Sequence[str], places: Sequence[Place]) -> list[str]:
    return [_mirror(clusters[index]) if reverse else clusters[index] for index, reverse in places]


def _mirror(cluster: str) -> str:
    from bidi.mirror import MIRRORED

    return MIRRORED.get(cluster[0], cluster[0]) + cluster[1:]


@cache
def _representative(character: str) -> str:
    """What stands for a character, so that none ends the line or is taken for a tag, a control or the mark at the end."""
    if character in _CONTROLS or (kind := unicodedata.bidirectional(character)) in ("BN", "NSM"):
        return "!"
    return " " if kind in ("B", "S") else character
