"""Printed lines: any text file, drawn with a font, as line images with transcripts.

Needs no corpus, so that the whole way can be tried at once: `recognizer prepare rendered README.md data/printed`.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from recognizer.data.manifest import Item
from recognizer.data_prep.texts import clean_text, read_text
from recognizer.errors import InputError

CORPUS = "rendered"
SIZES = (22, 40)  # of the font, pixels
HANDS = 20  # combinations of font, size, spacing, slant and ink; each counts as a writer of its own


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the fonts, how many lines and how long."""
    parser.add_argument("--font", action="append", type=Path, metavar="FILE", help="TrueType or OpenType font; repeatable (default: Pillow's own)")
    parser.add_argument("--lines", type=int, default=1000, help="how many lines to draw (default 1000)")
    parser.add_argument("--words", type=int, default=4, help="most words in a line (default 4)")


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Draw random stretches of the text at ``source`` into ``OUT/lines`` as PNG, each hand in turn.

    Raises:
        InputError: no text, or a font that cannot be opened.
    """
    words = clean_text(read_text(source)).split()
    if not words:
        raise InputError(f"{source}: holds no words")
    chance = random.Random(options.seed)
    hands = [_Hand(chance, options.font or [None]) for _ in range(HANDS)]
    folder = options.out / "lines"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(options.lines):
        start = chance.randrange(len(words))
        text = " ".join(words[start : start + chance.randint(1, options.words)])
        hand = number % HANDS
        path = folder / f"{number:06d}.png"
        image = hands[hand].draw(text)
        image.save(path)
        yield Item(path.stem, path.absolute(), text=text, width=image.width, group=f"hand{hand:02d}")


class _Hand:
    """One way of setting a line."""

    def __init__(self, chance: random.Random, fonts: list[Path | None]) -> None:
        size, path = chance.randint(*SIZES), chance.choice(fonts)
        try:
            font = ImageFont.load_default(size) if path is None else ImageFont.truetype(str(path), size)
        except OSError as error:
            raise InputError(f"{path}: cannot be opened as a font ({error})") from None
        assert isinstance(font, ImageFont.FreeTypeFont)  # Pillow's wheels have FreeType
        self.font = font
        self.spacing = chance.uniform(0.0, 0.12) * size  # pixels between letters
        self.slant = chance.uniform(-0.15, 0.3)  # horizontal shift per row
        self.paper, self.ink = chance.randint(200, 255), chance.randint(0, 90)  # grey levels

    def draw(self, text: str) -> Image.Image:
        """An 8-bit grey image of the text."""
        ascent, descent = self.font.getmetrics()
        height, margin = ascent + descent + 8, ascent
        width = round(sum(self.font.getlength(letter) + self.spacing for letter in text)) + 2 * margin
        image = Image.new("L", (width, height), self.paper)
        pen, place = ImageDraw.Draw(image), float(margin)
        for letter in text:
            pen.text((place, 4), letter, font=self.font, fill=self.ink)
            place += self.font.getlength(letter) + self.spacing
        shift = self.slant * height / 2
        return image.transform(image.size, Image.Transform.AFFINE, (1, self.slant, -shift, 0, 1, 0), Image.Resampling.BICUBIC, fillcolor=self.paper)
