"""Phrases cut out of line images, and lines joined of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

from recognizer.data_prep.letter_cuts import INK, erase_rules, find_limits, measure_line
from recognizer.data_prep.picture_writer import write_picture
from recognizer.decoding.timing import Span, Token

LEAST = 0.3  # bodies; a narrower phrase is wrongly aligned
GAP = 0.9  # bodies between two words, where a line has one only
UNEVEN = (0.7, 1.4)  # times the usual gap
WOBBLE = 0.05  # bodies; standard deviation of the base line from phrase to phrase


@dataclass(frozen=True)
class Strip:
    """A phrase as one writer wrote it once.

    Attributes:
        grey: uint8 (H, W), dark ink on light paper, from its first column with ink to where the next word's begins.
        ink: columns to its last one with ink.
        base: row of the base line in its middle; ``body``: height of its line's small letters, pixels.
        gap: pixels between two words of its line.
        paper: grey level of its paper.
    """

    grey: np.ndarray
    ink: int
    base: float
    body: float
    gap: float
    paper: float


class LineSplicer:
    """Lines of written phrases, on one base line and paper of one grey; in PNG files."""

    suffix = ".png"

    def cut(self, source: Path, words: Sequence[Sequence[Token]], phrases: Sequence[Span]) -> list[Strip | None]:
        """The picture of each of the ``phrases``, spans of ``words``; None where there is no ink or no base line.

        Raises:
            InputError: the picture cannot be read.
        """
        from recognizer.features.image_file import load_image
        from recognizer.features.line import normalise_contrast, orient_polarity

        grey = orient_polarity(load_image(source), "auto")
        dark = erase_rules(normalise_contrast(grey, "stretch")) >= INK
        tokens = [token for word in words for token in word]
        line = measure_line(dark, tokens, find_limits(dark, tokens))
        if line is None:
            return [None] * len(phrases)
        cuts = find_cuts(dark, words)
        inked = [np.flatnonzero(dark[:, start:stop].any(axis=0)) + start for start, stop in pairwise(cuts)]
        gaps = [after[0] - before[-1] for before, after in pairwise(inked) if len(before) and len(after)]
        gap = float(np.median(gaps)) if gaps else GAP * line.body
        paper = float(np.median(grey[~dark])) if not dark.all() else 255.0
        strips: list[Strip | None] = []
        for first, last in phrases:
            columns = np.concatenate(inked[first:last])
            if len(columns) == 0 or np.ptp(columns) < LEAST * line.body:
                strips.append(None)
                continue
            behind = next((int(after[0]) for after in inked[last:] if len(after)), grey.shape[1])
            row = line.row((columns[0] + columns[-1]) / 2)
            strips.append(Strip(grey[:, columns[0] : behind], int(np.ptp(columns)) + 1, row, line.body, gap, paper))
        return strips

    def write(self, pieces: Sequence[Strip], path: Path, chance: random.Random) -> None:
        """Set the pieces on one base line, as far apart as their writer leaves words."""
        bases = [piece.base + chance.gauss(0, WOBBLE * piece.body) for piece in pieces]
        above = max(0, *(round(base) for base in bases))
        below = max(1, *(piece.grey.shape[0] - round(base) for piece, base in zip(pieces, bases, strict=True)))
        paper = float(np.median([piece.paper for piece in pieces]))
        # what a word is followed by is its own paper, with the rules on it, as far as that goes
        widths = [piece.ink + max(1, round(piece.gap * chance.uniform(*UNEVEN))) for piece in pieces]
        place = round(pieces[0].gap * chance.uniform(0, 1))
        picture = np.full((above + below, place + sum(widths)), paper)
        for piece, base, width in zip(pieces, bases, widths, strict=True):
            top, columns = above - round(base), piece.grey[:, :width]
            picture[top : top + columns.shape[0], place : place + columns.shape[1]] = columns * (paper / max(1.0, piece.paper))
            place += width
        write_picture(path, Image.fromarray(np.clip(picture.round(), 0, 255).astype(np.uint8)))


def find_cuts(dark: np.ndarray, words: Sequence[Sequence[Token]]) -> list[int]:
    """Columns of ``dark``, bool (H, W), one more than words: its edges, and between any two words.

    Between the last spike of a word and the first of the next, the cut goes through the middle of the widest stretch with the least ink.
    """
    ink, width = dark.sum(axis=0), dark.shape[1]
    cuts = [0]
    for before, after in pairwise(words):
        start = min(max(cuts[-1], round((before[-1].start + before[-1].end) / 2)), width - 1)
        stop = min(width, max(start + 1, round((after[0].start + after[0].end) / 2)))
        least = np.flatnonzero(ink[start:stop] == ink[start:stop].min())
        runs = np.split(least, np.flatnonzero(np.diff(least) > 1) + 1)
        widest = max(runs, key=len)
        cuts.append(start + int(widest[len(widest) // 2]))
    return [*cuts, width]
