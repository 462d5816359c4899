"""One line composed of cut letters: which letters, how large, how far apart, on what paper."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from recognizer.data_prep.accents import BELOW, SHAPES, draw_accent
from recognizer.data_prep.letter_cuts import Cut
from recognizer.data_prep.letter_stock import LetterStock, Writer
from recognizer.data_prep.small_capitals import SmallCapitals

SAME = {"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-"}  # signs that people write alike
CAPITAL = (28.0, 44.0)  # pixels; height of capitals
FLOAT = (-0.3, 0.1)  # heights of the capitals by which one may hang below the base line or stand above it
ACCENTED = 1.35  # heights of a capital with its accent, in those without


@dataclass(frozen=True)
class Style:
    """What is the same all along a line. Lengths are in heights of its capitals, which is ``capital`` pixels."""

    capital: float
    tracking: float  # between letters
    gap: float  # between words, beyond the tracking
    uneven: float  # standard deviation of the tracking, share
    wobble: float  # standard deviation of the base line from letter to letter
    sizes: float  # standard deviation of the letters' size, share
    figures: float  # height of figures
    width: float  # of the writing, times that of the cuts
    slope: float  # rise by length
    dotted: bool  # accents are dots
    rule: float | None  # how far below the base line a ruled line lies
    margins: tuple[float, float, float, float]  # above, below, before, behind
    paper: float  # grey levels
    ink: float
    grain: float  # standard deviation of the paper's noise, grey levels

    @staticmethod
    def draw(generator: np.random.Generator) -> Style:
        """A style of chance."""
        loose = generator.random() < 0.5
        return Style(
            capital=generator.uniform(*CAPITAL),
            tracking=generator.uniform(0.3, 0.7) if loose else generator.uniform(0.08, 0.35),
            gap=generator.uniform(0.6, 1.8),
            uneven=generator.uniform(0.1, 0.4),
            wobble=generator.uniform(0.0, 0.05),
            sizes=generator.uniform(0.02, 0.1),
            figures=generator.uniform(0.85, 1.1),
            width=generator.uniform(0.8, 1.35),
            slope=generator.normal(0.0, 0.004),
            dotted=generator.random() < 0.25,
            rule=generator.uniform(-0.05, 0.3) if generator.random() < 0.5 else None,
            margins=(generator.uniform(0.05, 0.7), generator.uniform(0.05, 0.5), generator.uniform(0.0, 0.6), generator.uniform(0.0, 0.6)),
            paper=generator.uniform(225, 255) if generator.random() < 0.7 else generator.uniform(170, 225),
            ink=generator.uniform(0, 110),
            grain=generator.uniform(0, 4),
        )


class LetterLine:
    """A line in the letters of one writer, and in those of others where there are none.

    Letters that the stock lacks with their accent are made of the bare letter and an accent, cut from above a small letter or drawn. A line
    without small letters has all letters of one height; otherwise they have the sizes that they had when written.

    Args:
        stock: the letters; a letter that the writer lacks comes from the same lender all along the line.
        writer: one of the stock's.
        style: what the line looks like otherwise.
        generator: decides everything that is left to chance.
    """

    def __init__(self, stock: LetterStock, writer: str, style: Style, generator: np.random.Generator) -> None:
        self.stock, self.writer, self.style, self.generator = stock, writer, style, generator
        self.lenders: dict[str, tuple[str, Sequence[Cut]]] = {}
        self.placed: list[tuple[np.ndarray, float, float]] = []  # ink, its left edge, its lower edge over the base line; pixels

    def compose(self, text: str, small: SmallCapitals | None = None) -> np.ndarray:
        """The line as a picture, uint8 grey (H, W), dark ink on light paper.

        Args:
            text: what it says.
            small: how its small letters are written as small capitals, if they are.

        Raises:
            KeyError: a letter can neither be had nor made (:func:`can_compose`).
        """
        style, generator = self.style, self.generator
        level = 1.0 if small or text == text.upper() else None
        self.placed, place = [], 0.0
        for letter in text:
            if letter == " ":
                place += (style.gap + 0.8 * style.tracking) * style.capital * generator.uniform(0.8, 1.3)
                continue
            written = small.replace(letter) if small else letter
            height = small.height if small and written != letter else level
            place = self._set(_known(written, self.stock), place, None if written.islower() else height)
            place += style.tracking * max(0.2, 1 + generator.normal(0, style.uneven)) * style.capital
        return self._lay_on_paper(self._draw())

    def _set(self, letter: str, place: float, level: float | None) -> float:
        """Put down a letter with its left edge at ``place``, ``level`` heights of a capital high or as it was written; where it ends."""
        apart = None if self.stock.has(letter) else _take_apart(letter, self.stock)
        if apart is not None:
            letter = apart[0]
        cut, writer = self._choose(letter)
        picture, rise, scale = self._size(letter, cut, writer, level)
        rise += self.generator.normal(0, self.style.wobble) * self.style.capital
        self.placed.append((picture, place, rise))
        end = place + picture.shape[1]
        if apart is not None:
            self._set_accent(apart[1], (place + end) / 2, rise, picture.shape[0], cut.stroke * scale)
        return end

    def _size(self, letter: str, cut: Cut, writer: Writer, level: float | None) -> tuple[np.ndarray, float, float]:
        """The picture of a letter at its size, how far its lower edge lies over the base line, and the scale, pixels a pixel."""
        style = self.style
        scale = style.capital / (writer.capital * cut.body)
        height, bottom = cut.picture.shape[0], cut.rise
        if level is not None and letter.isalnum():
            standing = max(0.5 * height, height + min(0.0, bottom))  # without what hangs below the base line
            wanted = style.figures if letter.isdigit() else ACCENTED if unicodedata.decomposition(letter) else 1.0
            scale = level * wanted * style.capital / standing
            bottom = float(np.clip(bottom * scale, FLOAT[0] * style.capital, FLOAT[1] * style.capital)) / scale
        scale *= max(0.5, 1 + self.generator.normal(0, style.sizes))
        width = max(1, round(cut.picture.shape[1] * scale * style.width * max(0.7, 1 + self.generator.normal(0, style.sizes))))
        picture = Image.fromarray(cut.picture).resize((width, max(1, round(height * scale))), Image.Resampling.BICUBIC)
        return np.asarray(picture), bottom * scale, scale

    def _set_accent(self, mark: str, middle: float, rise: float, height: int, stroke: float) -> None:
        style, generator = self.style, self.generator
        size = style.capital * generator.uniform(0.2, 0.4)
        away = style.capital * generator.uniform(0.03, 0.25)
        if self.stock.has(mark) and not style.dotted and mark not in BELOW:
            cut, writer = self._choose(mark)
            picture, _, _ = self._size(mark, cut, writer, None)
        else:
            picture = draw_accent(mark, size, stroke, style.dotted, generator)
        left = middle - picture.shape[1] / 2 + generator.normal(0, 0.08) * style.capital
        self.placed.append((picture, left, rise - 0.9 * picture.shape[0] if mark in BELOW else rise + height + away))

    def _choose(self, letter: str) -> tuple[Cut, Writer]:
        if letter not in self.lenders:
            self.lenders[letter] = self.stock.find(letter, self.writer, self.generator)
        lender, cuts = self.lenders[letter]
        return cuts[int(self.generator.integers(len(cuts)))], self.stock.writers[lender]

    def _draw(self) -> np.ndarray:
        """Ink 0..1, float32 (H, W), with margins and the ruled line."""
        style = self.style
        above, below, before, behind = (round(margin * style.capital) for margin in style.margins)
        length = max(left + picture.shape[1] for picture, left, _ in self.placed)
        lifts = [rise + style.slope * (left + picture.shape[1] / 2) for picture, left, rise in self.placed]
        tops = [lift + picture.shape[0] for (picture, _, _), lift in zip(self.placed, lifts, strict=True)]
        depth = max(0.0, -min(lifts), 0.0 if style.rule is None else (style.rule + 0.1) * style.capital)
        first = min(0.0, *(left for _, left, _ in self.placed))
        base = above + max(style.capital, *tops)  # row of the base line
        ink = np.zeros((int(base + depth) + below + 2, int(length - first) + before + behind + 3), np.float32)
        for (picture, left, _), lift in zip(self.placed, lifts, strict=True):
            column, row = round(left - first) + before, round(base - lift) - picture.shape[0]
            spot = ink[row : row + picture.shape[0], column : column + picture.shape[1]]
            np.maximum(spot, picture[: spot.shape[0], : spot.shape[1]] / np.float32(255), out=spot)
        if style.rule is not None:
            self._rule(ink, base + style.rule * style.capital)
        return ink

    def _rule(self, ink: np.ndarray, row: float) -> None:
        """A ruled line, worn in places, from one end of the paper to the other."""
        height, width = ink.shape
        generator = self.generator
        thick, level = generator.uniform(0.8, 2.4), generator.uniform(0.35, 1.0)
        slope = generator.uniform(-0.2, 0.2) * self.style.capital / width
        middles = row + slope * (np.arange(width) - width / 2)
        coverage = np.clip(thick / 2 + 0.5 - np.abs(np.arange(height)[:, None] - middles), 0, 1)
        wear = generator.uniform(0.6, 1.0, width) if generator.random() < 0.5 else 1.0
        np.maximum(ink, (coverage * level * wear).astype(np.float32), out=ink)

    def _lay_on_paper(self, ink: np.ndarray) -> np.ndarray:
        style, generator = self.style, self.generator
        soft = Image.fromarray((ink * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(generator.uniform(0.0, 0.7)))
        share = np.asarray(soft, np.float32) / 255
        paper = style.paper + style.grain * generator.standard_normal(ink.shape, np.float32)
        return np.clip(paper + (style.ink - paper) * share, 0, 255).astype(np.uint8)


def can_compose(text: str, stock: LetterStock) -> bool:
    """Whether every letter of ``text`` is in the stock, or can be made."""
    known = {_known(letter, stock) for letter in set(text) - {" "}}
    return all(stock.has(letter) or _take_apart(letter, stock) is not None for letter in known)


def _known(letter: str, stock: LetterStock) -> str:
    """The letter, or a sign that people write alike where the stock lacks it."""
    return letter if stock.has(letter) else SAME.get(letter, letter)


def _take_apart(letter: str, stock: LetterStock) -> tuple[str, str] | None:
    """The bare letter and its accent, where the one is in the stock and the other can be had."""
    bare, *marks = list(unicodedata.normalize("NFD", letter))
    return (bare, marks[0]) if len(marks) == 1 and marks[0] in SHAPES and stock.has(bare) else None
