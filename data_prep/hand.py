"""One way of writing a line: a font, its size, slant, spacing, drift, pen and paper."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from recognizer.data_prep.small_capitals import SmallCapitals
from recognizer.errors import InputError

Style = Literal["printed", "handwritten"]
SIZES = (22, 40)  # of the font, pixels
TRACKING = (0.03, 0.6)  # of the font's size; between the letters of people who write capitals only
MISSING = "\uffff"  # no font has a glyph for it, so that it draws the one for "missing"


class Hand:
    """Draws lines that look as if one person (or one press) had set them all.

    Args:
        chance: every choice comes from here; what is chosen once belongs to the hand, what varies is drawn line by line.
        font: TrueType, OpenType or WOFF2 file; None for Pillow's own.
        style: "printed" sets letters one by one on a straight line. "handwritten" draws whole words, so that the letters of a cursive font join,
            on a baseline that drifts, with uneven gaps and sizes, strokes of the hand's own width and an unevenly lit paper.

    Raises:
        InputError: the font cannot be opened.
    """

    def __init__(self, chance: random.Random, font: Path | None, style: Style = "printed") -> None:
        self.chance, self.style = chance, style
        size = chance.randint(*SIZES)
        try:
            loaded = ImageFont.load_default(size) if font is None else ImageFont.truetype(str(font), size)
        except OSError as error:
            raise InputError(f"{font}: cannot be opened as a font ({error})") from None
        assert isinstance(loaded, ImageFont.FreeTypeFont)  # Pillow's wheels have FreeType
        self.font = loaded
        self.small: SmallCapitals | None = None
        self.low = loaded  # the font of small capitals
        self._absent = {bytes(self.font.getmask(MISSING)), b""}
        self._covered: dict[str, bool] = {" ": True}
        self.spacing = chance.uniform(0.0, 0.12) * size  # pixels between letters
        self.slant = chance.uniform(-0.15, 0.3)  # horizontal shift per row
        self.paper, self.ink = chance.randint(200, 255), chance.randint(0, 90)  # grey levels
        if style == "handwritten":
            self.spacing = chance.uniform(-0.02, 0.15) * size if chance.random() < 0.3 else 0.0
            self.slant = chance.gauss(0.0, 0.12)
            self.pen = chance.uniform(0.0, 0.035) * size  # pixels added on each side of a stroke
            self.gap = chance.uniform(0.6, 1.8)  # of a space, times the font's
            self.wobble = chance.uniform(0.0, 0.05) * size  # standard deviation of the baseline from word to word
            self.width = chance.uniform(0.75, 1.35)  # of the writing, times the font's

    def covers(self, text: str) -> bool:
        """Whether the font has a glyph for every letter."""
        for letter in set(text) - self._covered.keys():
            self._covered[letter] = bytes(self.font.getmask(letter)) not in self._absent
        return all(self._covered[letter] for letter in set(text))

    def write_capitals(self, chance: random.Random) -> None:
        """Write as people do who write capitals only: mostly letter by letter, up to a letter's width apart, and often low and wide.

        Args:
            chance: decides how; the hand's own is left as it is. A printed hand stays as it is, too.
        """
        if self.style == "printed" or chance.random() < 0.2:
            return
        size = self.font.size
        self.spacing = chance.uniform(*TRACKING) * size
        self.gap = (self.spacing + chance.uniform(0.2, 1.0) * size) / max(1.0, self.font.getlength(" "))
        self.width = chance.uniform(0.8, 1.8)

    def write_small_capitals(self, chance: random.Random) -> None:
        """Write small capitals, letter by letter.

        Args:
            chance: decides how, and how far apart, as in :meth:`write_capitals`.
        """
        self.write_capitals(chance)
        self.spacing = self.spacing or chance.uniform(*TRACKING) * self.font.size  # words are not written in one piece
        self.small = SmallCapitals.draw(chance.random)
        self.low = self.font.font_variant(size=self.font.size * self.small.height)

    def draw(self, text: str) -> Image.Image:
        """An 8-bit grey image of the text."""
        return self._print(text) if self.style == "printed" else self._write(text)

    def _letter(self, letter: str) -> tuple[str, ImageFont.FreeTypeFont]:
        """What is drawn for a letter, and in which font."""
        written = self.small.replace(letter) if self.small else letter
        return written, self.font if written == letter else self.low

    def _print(self, text: str) -> Image.Image:
        ascent, descent = self.font.getmetrics()
        height, margin = ascent + descent + 8, ascent
        letters = [self._letter(letter) for letter in text]
        width = round(sum(font.getlength(letter) + self.spacing for letter, font in letters)) + 2 * margin
        image = Image.new("L", (width, height), self.paper)
        pen, place = ImageDraw.Draw(image), float(margin)
        for letter, font in letters:
            pen.text((place, 4 + ascent), letter, font=font, fill=self.ink, anchor="ls")
            place += font.getlength(letter) + self.spacing
        return self._slanted(image, self.paper)

    def _write(self, text: str) -> Image.Image:
        chance, size = self.chance, self.font.size
        pieces = [(word, self.font) for word in text.split(" ")] if self.spacing == 0 else [self._letter(letter) for letter in text]
        space = self.font.getlength(" ") * self.gap
        margin = 2 * size
        widths = [font.getlength(piece) for piece, font in pieces]
        ink = Image.new("L", (round(sum(widths) + len(pieces) * (space + size) + 2 * margin), round(4 * size)), 0)
        pen, place, drift = ImageDraw.Draw(ink), float(margin), 0.0
        base = 2.5 * size  # with room above and below for letters that leave their box
        for (piece, font), width in zip(pieces, widths, strict=True):
            drift = 0.8 * drift + chance.gauss(0.0, self.wobble if self.spacing == 0 else self.wobble / 2)
            if piece != " ":
                pen.text((place, base + drift), piece, font=font, fill=255, anchor="ls", stroke_width=self.pen)
            if self.spacing == 0:
                place += width + space * chance.uniform(0.8, 1.4)
            else:
                place += (space if piece == " " else width + self.spacing) * chance.uniform(0.95, 1.1)
        return self._on_paper(_cropped(self._slanted(ink, 0), chance, self.width))

    def _slanted(self, image: Image.Image, background: int) -> Image.Image:
        matrix = (1, self.slant, -self.slant * image.height / 2, 0, 1, 0)
        return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC, fillcolor=background)

    def _on_paper(self, ink: Image.Image) -> Image.Image:
        """Ink that runs dry here and there, on paper that is lit from one side."""
        width, height = ink.size
        generator = np.random.default_rng(self.chance.getrandbits(32))
        coarse = generator.uniform(0.6, 1.0, (max(2, height // 24), max(2, width // 24))).astype(np.float32)
        density = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
        light = np.linspace(0, generator.uniform(-25, 25), width)[None, :] + np.linspace(0, generator.uniform(-15, 15), height)[:, None]
        paper = self.paper + light + generator.normal(0, 2, (height, width))
        share = np.asarray(ink.filter(ImageFilter.GaussianBlur(generator.uniform(0.2, 0.8))), np.float32) / 255 * np.clip(density, 0, 1)
        return Image.fromarray(np.clip(paper + (self.ink - paper) * share, 0, 255).astype(np.uint8))


def _cropped(ink: Image.Image, chance: random.Random, width: float) -> Image.Image:
    """Cut to the writing with margins such as line finders leave, and made wider or narrower."""
    left, top, right, bottom = ink.getbbox() or (0, 0, *ink.size)
    height = bottom - top
    above, below, before, behind = (round(height * chance.uniform(low, high)) for low, high in ((-0.03, 0.3), (-0.03, 0.3), (0.0, 1.0), (0.0, 1.0)))
    ink = ink.crop((left - before, top - above, right + behind, bottom + below))
    return ink.resize((max(1, round(ink.width * width)), ink.height), Image.Resampling.BICUBIC)
