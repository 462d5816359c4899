"""Lines of any text, drawn with fonts, as line images with transcripts: printed, or in as many handwriting styles as are asked for.

Needs no corpus, so that everything can be tried at once: `recognizer prepare rendered README.md data/printed`. With handwriting fonts it
teaches letters and spellings that the writers of a small corpus never wrote:
`recognizer prepare rendered TEXTS data/drawn --style handwritten --font FONTS --writers 500 --lines 20000 --words 9 --capitals 0.1`.
"""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont, features

from recognizer.data.manifest import Item
from recognizer.data_prep.common import read_texts, write_picture
from recognizer.errors import ConfigError, InputError
from recognizer.text.bidi import to_logical, to_visual

CORPUS = "rendered"
WRITERS = 20
FONT_SUFFIXES = (".ttf", ".otf", ".woff", ".woff2")
FONT_SIZES = (22, 40)  # pixels
CAPITALS_SPACING = (0.03, 0.6)  # of the font's size, between the letters of people who write capitals only
MISSING = "\uffff"  # no font has a glyph for it, so that it draws the one for "missing"

# Letters that take another shape beside others: Arabic, Syriac, N'Ko and Mandaic ones.
_JOINING = re.compile(
    "[\u0620-\u064a\u066e\u066f\u0671-\u06d3\u06fa-\u06fc\u0710-\u072f\u074d-\u077f\u07ca-\u07ea\u0840-\u0858\u0860-\u08c7]"
)

Style = Literal["printed", "handwritten"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the fonts, the writers, how many lines and how long."""
    parser.add_argument("--font", action="append", type=Path, metavar="PATH", help="font, or folder of fonts; repeatable (default: Pillow's own)")
    parser.add_argument("--style", choices=("printed", "handwritten"), default="printed", help="how the fonts are used (default printed)")
    parser.add_argument("--writers", type=int, default=WRITERS, metavar="N",
                        help=f"combinations of font, size, slant, spacing and ink, each a writer of its own (default {WRITERS})")
    parser.add_argument("--lines", type=int, default=1000, help="how many lines to draw (default 1000)")
    parser.add_argument("--words", type=int, default=4, help="most words in a line (default 4)")
    parser.add_argument("--capitals", type=float, default=0.0, metavar="SHARE", help="share of writers of capitals only, mostly spaced (default 0)")


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Draw random stretches of the text at ``source`` (a file, or a folder of .txt) into ``options.made`` as PNG, each writer in turn.

    A stretch with letters that a writer's font lacks is replaced by another.

    Raises:
        ConfigError: ``--capitals`` is no share.
        InputError: no text, a font that cannot be opened or that lacks most of the text's letters, or letters that join where Pillow
            cannot join them.
    """
    if not 0 <= options.capitals <= 1:
        raise ConfigError(f"--capitals {options.capitals:g}: must lie in [0, 1]")
    words = [word for text in read_texts(source) for word in text.split()]
    if not words:
        raise InputError(f"{source}: holds no words")
    check_joining(" ".join(words), str(source))
    rng = random.Random(options.seed)
    fonts = _find_fonts(options.font)
    writers = [HandwritingStyle(rng, rng.choice(fonts), options.style) for _ in range(options.writers)]
    capitals = {writer for writer in range(options.writers) if options.capitals and rng.random() < options.capitals}
    for writer in capitals:
        writers[writer].write_capitals(random.Random(f"{options.seed} {writer}"))  # so that the others are the same whoever writes capitals
    folder = options.made
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(options.lines):
        writer = number % options.writers
        text = _choose_text(words, writers[writer], rng, options.words, writer in capitals)
        path = folder / f"{number:06d}.png"
        image = writers[writer].draw(text)
        write_picture(path, image)
        yield Item(f"{folder.name}_{path.stem}", path.absolute(), text=text, width=image.width, group=f"writer{writer:02d}")


class HandwritingStyle:
    """Draws lines that look as if one person (or one press) had made them all.

    Args:
        rng: decides everything; what is chosen here belongs to the style, what varies is chosen line by line.
        font: TrueType, OpenType or WOFF2 file; None for Pillow's own.
        style: "printed" sets letters one by one on a straight line. "handwritten" draws whole words, so that the letters of a cursive font join,
            on a baseline that drifts, with uneven gaps and sizes, strokes of their own width and an unevenly lit paper.

    Raises:
        InputError: the font cannot be opened.
    """

    def __init__(self, rng: random.Random, font: Path | None, style: Style = "printed") -> None:
        self.rng, self.style = rng, style
        size = rng.randint(*FONT_SIZES)
        try:
            loaded = ImageFont.load_default(size) if font is None else ImageFont.truetype(str(font), size)
        except OSError as error:
            raise InputError(f"{font}: cannot be opened as a font ({error})") from None
        assert isinstance(loaded, ImageFont.FreeTypeFont)  # Pillow's wheels have FreeType
        self.font, self.font_name = loaded, str(font or "Pillow's own font")
        self._missing = {bytes(self.font.getmask(MISSING)), b""}
        self._covered: dict[str, bool] = {" ": True}
        self.spacing = rng.uniform(0.0, 0.12) * size  # pixels between letters
        self.slant = rng.uniform(-0.15, 0.3)  # horizontal shift per row
        self.paper, self.ink = rng.randint(200, 255), rng.randint(0, 90)  # gray levels
        if style == "handwritten":
            self.spacing = rng.uniform(-0.02, 0.15) * size if rng.random() < 0.3 else 0.0
            self.slant = rng.gauss(0.0, 0.12)
            self.pen = rng.uniform(0.0, 0.035) * size  # pixels added on each side of a stroke
            self.gap = rng.uniform(0.6, 1.8)  # of a space, times the font's
            self.wobble = rng.uniform(0.0, 0.05) * size  # standard deviation of the baseline from word to word
            self.width = rng.uniform(0.75, 1.35)  # of the writing, times the font's

    def covers(self, text: str) -> bool:
        """Whether the font has a glyph for every letter."""
        for letter in set(text) - self._covered.keys():
            self._covered[letter] = bytes(self.font.getmask(letter)) not in self._missing
        return all(self._covered[letter] for letter in set(text))

    def write_capitals(self, rng: random.Random) -> None:
        """Write as people do who write capitals only: mostly letter by letter, up to a letter's width apart, and often low and wide.

        Args:
            rng: decides how; the style's own is left as it is. A printed style stays as it is, too.
        """
        if self.style == "printed" or rng.random() < 0.2:
            return
        size = self.font.size
        self.spacing = rng.uniform(*CAPITALS_SPACING) * size
        self.gap = (self.spacing + rng.uniform(0.2, 1.0) * size) / max(1.0, self.font.getlength(" "))
        self.width = rng.uniform(0.8, 1.8)

    def draw(self, text: str) -> Image.Image:
        """An 8-bit gray image of the text as a reader sees it, right-to-left text from right to left.

        Raises:
            InputError: it has letters that join, and Pillow cannot join them here.
        """
        check_joining(text, "the text")
        return self._print(text) if self.style == "printed" else self._write(text)

    def _cut(self, text: str, by_letter: bool) -> list[str]:
        """What is drawn piece by piece, from left to right: letters and spaces, or the words, whose letters may join."""
        shown = to_visual(text)
        if by_letter and not letters_join(text):
            return list(shown)
        pieces = re.split("( )", shown) if by_letter else shown.split(" ")
        # Pillow draws from left to right what it is given, but with Raqm it turns right-to-left text around itself
        return list(map(to_logical, pieces)) if features.check("raqm") else pieces

    def _print(self, text: str) -> Image.Image:
        ascent, descent = self.font.getmetrics()
        pieces = self._cut(text, by_letter=True)
        width = round(sum(self.font.getlength(piece) + self.spacing for piece in pieces)) + 2 * ascent
        image = Image.new("L", (width, ascent + descent + 8), self.paper)
        pen, x = ImageDraw.Draw(image), float(ascent)
        for piece in pieces:
            pen.text((x, 4 + ascent), piece, font=self.font, fill=self.ink, anchor="ls")
            x += self.font.getlength(piece) + self.spacing
        return self._slant_image(image, self.paper)

    def _write(self, text: str) -> Image.Image:
        rng, size = self.rng, self.font.size
        pieces = self._cut(text, by_letter=self.spacing != 0)
        space = self.font.getlength(" ") * self.gap
        margin = 2 * size
        widths = [self.font.getlength(piece) for piece in pieces]
        ink = Image.new("L", (round(sum(widths) + len(pieces) * (space + size) + 2 * margin), round(4 * size)), 0)
        pen, x, drift = ImageDraw.Draw(ink), float(margin), 0.0
        base = 2.5 * size  # with room above and below for tall and deep letters
        for piece, width in zip(pieces, widths, strict=True):
            drift = 0.8 * drift + rng.gauss(0.0, self.wobble if self.spacing == 0 else self.wobble / 2)
            if piece != " ":
                pen.text((x, base + drift), piece, font=self.font, fill=255, anchor="ls", stroke_width=self.pen)
            if self.spacing == 0:
                x += width + space * rng.uniform(0.8, 1.4)
            else:
                x += (space if piece == " " else width + self.spacing) * rng.uniform(0.95, 1.1)
        return self._put_on_paper(self._crop(self._slant_image(ink, 0)))

    def _slant_image(self, image: Image.Image, background: int) -> Image.Image:
        matrix = (1, self.slant, -self.slant * image.height / 2, 0, 1, 0)
        return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC, fillcolor=background)

    def _crop(self, ink: Image.Image) -> Image.Image:
        """Cut to the writing with margins such as line finders leave, and made wider or narrower."""
        left, top, right, bottom = ink.getbbox() or (0, 0, *ink.size)
        margins = ((-0.03, 0.3), (-0.03, 0.3), (0.0, 1.0), (0.0, 1.0))  # of the height: above, below, before, behind
        above, below, before, behind = (round((bottom - top) * self.rng.uniform(*bounds)) for bounds in margins)
        ink = ink.crop((left - before, top - above, right + behind, bottom + below))
        return ink.resize((max(1, round(ink.width * self.width)), ink.height), Image.Resampling.BICUBIC)

    def _put_on_paper(self, ink: Image.Image) -> Image.Image:
        """Ink that runs dry here and there, on paper that is lit from one side."""
        width, height = ink.size
        rng = np.random.default_rng(self.rng.getrandbits(32))
        coarse = rng.uniform(0.6, 1.0, (max(2, height // 24), max(2, width // 24))).astype(np.float32)
        density = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
        light = np.linspace(0, rng.uniform(-25, 25), width)[None, :] + np.linspace(0, rng.uniform(-15, 15), height)[:, None]
        paper = self.paper + light + rng.normal(0, 2, (height, width))
        share = np.asarray(ink.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.8))), np.float32) / 255 * np.clip(density, 0, 1)
        return Image.fromarray(np.clip(paper + (self.ink - paper) * share, 0, 255).astype(np.uint8))


def letters_join(text: str) -> bool:
    """Whether a text has letters whose shape depends on their neighbors: Arabic, Syriac, N'Ko and Mandaic ones."""
    return _JOINING.search(text) is not None


def check_joining(text: str, name: str) -> None:
    """Refuse letters that join where Pillow cannot join them.

    Raises:
        InputError: Pillow does not find Raqm; the message begins with ``name`` and says what to install.
    """
    if letters_join(text) and not features.check("raqm"):
        needed = "Pillow's Raqm, which is not found here: install FriBiDi (on Debian libfribidi0), and Pillow from a wheel"
        raise InputError(f"{name}: has letters that join, as Arabic ones do; to draw them needs {needed}")


def _find_fonts(paths: list[Path] | None) -> list[Path | None]:
    found: list[Path | None] = []
    for path in paths or []:
        inside = sorted(file for file in path.rglob("*") if file.suffix.lower() in FONT_SUFFIXES) if path.is_dir() else [path]
        if not inside:
            raise InputError(f"{path}: holds no fonts ({', '.join(FONT_SUFFIXES)})")
        found += inside
    return found or [None]


def _choose_text(words: list[str], style: HandwritingStyle, rng: random.Random, max_words: int, capitals: bool) -> str:
    for _ in range(200):
        start = rng.randrange(len(words))
        text = " ".join(words[start : start + rng.randint(1, max_words)])
        text = text.upper() if capitals else text
        if style.covers(text):
            return text
    raise InputError(f"{style.font_name}: has no glyphs for most of the text; leave the font out")
