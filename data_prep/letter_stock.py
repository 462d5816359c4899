"""Letters of many writers, to compose lines of: who wrote which, how large and with what pen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase

import numpy as np
from PIL import Image, ImageFilter

from recognizer.data_prep.letter_cuts import Cut

TWINS = {"O": "o", "X": "x", "Z": "z"}  # small letters that are capitals when they are enlarged
HEAVY = 1.8  # times the usual width of strokes for its height at which a twin would look bold
ALIKE = ("0Ooq", "QO0", "1IlJi", "5S", "2Z", "T7", "UVY4", "QG", "UW", "MN", "EÉ", "AÀ")  # other letters that a cut may look like and still be right
FOOTED, ROUND = "EÉLZ", "BDOUo0"  # with a level stroke below, closed below: it goes with a ruled line that it was written on, and an E is an F
FOOT = 0.45  # share of the width, of a round letter's middle third, that ink covers in the lowest fifth, at least
SIDE = 20  # pixels of the square in which shapes are compared
FAR = 1.25  # times the usual distance to the second nearest of its letter at which a cut is no such letter
OTHER = 1.1  # times the distance to another letter from which a cut is taken for that one
FEW = 4  # cuts of a letter below which there is nothing to compare with
NEIGHBOURS = 8  # writers of the most similar strokes, of whom one lends a letter
CAPITAL = 1.7  # bodies; height of the capitals of a writer who is not known to have written any


@dataclass(frozen=True)
class Writer:
    """What the letters of a writer have in common: width of strokes and height of capitals, both in bodies."""

    stroke: float
    capital: float


class LetterStock:
    """Cuts by letter and writer.

    Attributes:
        cuts: letter -> writer -> cuts; ``twins`` those of small letters that can stand for a capital.
        writers: those who wrote any of them.
    """

    def __init__(self, cuts: Mapping[str, Sequence[Cut]]) -> None:
        """Take the cuts of each writer, whose order does not matter to others."""
        self.cuts: dict[str, dict[str, list[Cut]]] = defaultdict(dict)
        self.twins: dict[str, dict[str, list[Cut]]] = defaultdict(dict)
        self.writers: dict[str, Writer] = {}
        for writer in sorted(writer for writer in cuts if cuts[writer]):
            capitals = [cut.picture.shape[0] / cut.body for cut in cuts[writer] if "A" <= cut.letter <= "Z"]
            strokes = [cut.stroke / cut.body for cut in cuts[writer]]
            known = Writer(float(np.median(strokes)), float(np.median(capitals)) if capitals else CAPITAL)
            self.writers[writer] = known
            for cut in cuts[writer]:
                self.cuts[cut.letter].setdefault(writer, []).append(cut)
                if cut.letter in TWINS.values() and cut.stroke / cut.picture.shape[0] <= HEAVY * known.stroke / known.capital:
                    self.twins[cut.letter.upper()].setdefault(writer, []).append(cut)

    def has(self, letter: str) -> bool:
        """Whether any writer wrote the letter, or its twin."""
        return bool(self.cuts.get(letter) or self.twins.get(letter))

    def capitals_of(self, writer: str) -> int:
        """How many of the 26 capitals a writer can give, twins included."""
        return sum(writer in self.cuts.get(letter, {}) or writer in self.twins.get(letter, {}) for letter in ascii_uppercase)

    def find(self, letter: str, writer: str, generator: np.random.Generator) -> tuple[str, Sequence[Cut]]:
        """Someone who wrote the letter, and the cuts: the writer where possible, else one of similar strokes; twins only of the former
        and where nobody wrote the letter.

        Raises:
            KeyError: nobody wrote it.
        """
        for owners in (self.cuts.get(letter, {}), self.twins.get(letter, {})):
            if writer in owners:
                return writer, owners[writer]
        owners = self.cuts.get(letter, {}) or self.twins.get(letter, {})
        if not owners:
            raise KeyError(letter)
        stroke = self.writers[writer].stroke
        nearest = sorted(owners, key=lambda other: (abs(self.writers[other].stroke - stroke), other))[:NEIGHBOURS]
        chosen = nearest[int(generator.integers(len(nearest)))]
        return chosen, owners[chosen]


def sift(cuts: Iterable[tuple[str, Cut]]) -> dict[str, list[Cut]]:
    """Leave out cuts that do not look like their letter, and group the others by writer.

    Letters and figures are compared as blurred pictures of one size. A cut that stood by itself is left out if it lies far from its own
    letter's others or clearly nearer to those of another one; one that was cut off a neighbour has to pass more narrowly: half a U is an I.
    Marks and signs stay.

    Args:
        cuts: pairs of a writer and a cut.
    """
    pairs = list(cuts)
    compared = [number for number, (_, cut) in enumerate(pairs) if cut.letter.isalnum()]
    wrong: set[int] = set()
    if compared:
        shapes = np.stack([_shape(pairs[number][1].picture) for number in compared])  # (N, SIDE * SIDE)
        letters = np.array([pairs[number][1].letter for number in compared])
        whole = np.array([pairs[number][1].whole for number in compared])
        wrong = {compared[place] for place in np.flatnonzero(_find_wrong(shapes, letters, whole))}
    wrong |= {number for number, (_, cut) in enumerate(pairs) if not _has_foot(cut)}
    kept: dict[str, list[Cut]] = defaultdict(list)
    for number, (writer, cut) in enumerate(pairs):
        if number not in wrong:
            kept[writer].append(cut)
    return dict(kept)


def _find_wrong(shapes: np.ndarray, letters: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Which cuts are none of their letter, bool (N,), by their distances to those that stood by themselves."""
    names = sorted(set(letters.tolist()))
    nearest = np.full((len(names), len(letters)), np.inf)  # of each letter, to the second nearest; itself does not count
    for row, name in enumerate(names):
        models = np.flatnonzero(whole & (letters == name))
        if len(models) < FEW:
            continue
        distances = np.maximum(2 - 2 * shapes @ shapes[models].T, 0) ** 0.5  # (N, M) of vectors of length one
        distances[models, np.arange(len(models))] = np.inf
        nearest[row] = np.partition(distances, 1, axis=1)[:, 1]
    wrong = np.zeros(len(letters), bool)
    medians = [float(np.median(nearest[row, whole & (letters == name)])) for row, name in enumerate(names) if np.isfinite(nearest[row]).any()]
    common = float(np.median(medians)) if medians else 0.0
    for row, name in enumerate(names):
        mine = letters == name
        if not np.isfinite(nearest[row]).any():
            wrong |= mine & ~whole
            continue
        usual = max(common, float(np.median(nearest[row, mine & whole])))  # one letter may have two shapes, the one frequent and simple
        strange = [other for other, named in enumerate(names) if named.upper() != name.upper() and not _alike(name, named)]
        others = nearest[strange].min(axis=0) if strange else np.full(len(letters), np.inf)
        wrong |= mine & whole & ((nearest[row] > FAR * usual) | (nearest[row] > OTHER * others))
        wrong |= mine & ~whole & ((nearest[row] > usual) | (nearest[row] > others))
    return wrong


def _has_foot(cut: Cut) -> bool:
    """Whether the letter is as it should be at its lower edge."""
    if cut.letter not in FOOTED + ROUND:
        return True
    height, width = cut.picture.shape
    lowest = (cut.picture[-max(2, height // 5) :] > 100).any(axis=0)
    return bool((lowest if cut.letter in FOOTED else lowest[width // 3 : width - width // 3]).mean() >= FOOT)


def _alike(one: str, other: str) -> bool:
    return any(one in group and other in group for group in ALIKE)


def _shape(picture: np.ndarray) -> np.ndarray:
    """A picture as a vector (SIDE * SIDE,) of length one: fitted into a square, blurred."""
    height, width = picture.shape
    scale = (SIDE - 4) / max(height, width)
    small = Image.fromarray(picture).resize((max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.BOX)
    square = Image.new("L", (SIDE, SIDE), 0)
    square.paste(small, ((SIDE - small.width) // 2, (SIDE - small.height) // 2))
    vector = np.asarray(square.filter(ImageFilter.GaussianBlur(1.0)), np.float32).ravel()
    return vector / max(1e-6, float(np.linalg.norm(vector)))
