"""Words of a text that was changed, and words of other hypotheses, put beside those that were read."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from recognizer.types import Alternative, Word


def place_words(text: str, read: Sequence[Word], end: float) -> tuple[Word, ...]:
    """The words of a text, each where it was read, changed ones in the place of those that they replace.

    Words in the place of others share their stretch by their lengths; new ones share the gap between their neighbors.

    Args:
        text: as somebody wrote it.
        read: what was read, with places.
        end: seconds, or pixels, of the whole.
    """
    words = text.split()
    placed: list[Word] = []
    for kind, first, last, begin, stop in SequenceMatcher(None, [word.text for word in read], words, autojunk=False).get_opcodes():
        if kind == "equal":
            placed += read[first:last]
        elif kind in ("replace", "insert"):
            left = read[first].start if kind == "replace" else read[first - 1].end if first else 0.0
            right = read[last - 1].end if kind == "replace" else read[first].start if first < len(read) else max(end, left)
            placed += _share(words[begin:stop], left, max(left, right))
    return tuple(placed)


def _share(words: Sequence[str], start: float, end: float) -> list[Word]:
    weights = [len(word) + 1 for word in words]
    step = (end - start) / sum(weights)
    shared, place = [], start
    for word, weight in zip(words, weights, strict=True):
        shared.append(Word(word, place, place + weight * step))
        place += weight * step
    return shared


def word_alternatives(words: Sequence[Word], others: Sequence[Alternative]) -> list[list[str]]:
    """For each word what other hypotheses have in its place, best first; an empty string stands for nothing."""
    best = [word.text for word in words]
    found: list[list[str]] = [[] for _ in words]
    for other in others:
        texts = other.text.split()
        for kind, first, last, begin, stop in SequenceMatcher(None, best, texts, autojunk=False).get_opcodes():
            if kind not in ("replace", "delete"):
                continue
            pieces = [texts[begin + k : begin + k + 1] for k in range(last - first)]
            if stop - begin > last - first:  # the last word of the stretch takes what is left over
                pieces[-1] = texts[begin + last - first - 1 : stop]
            for place, piece in zip(range(first, last), pieces, strict=True):
                text = " ".join(piece)
                if text != best[place] and text not in found[place]:
                    found[place].append(text)
    return found
