"""Lines of any text, drawn with fonts, as line images with transcripts: printed, or as many hands as there are fonts and ways to use them.

Needs no corpus, so that the whole way can be tried at once: `recognizer prepare rendered README.md data/printed`. With handwriting fonts it
teaches letters and spellings that the writers of a small corpus never wrote:
`recognizer prepare rendered TEXTS data/hands --style handwritten --font FONTS --hands 500 --lines 20000 --words 9 --capitals 0.1`.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from pathlib import Path

from recognizer.data.manifest import Item
from recognizer.data_prep.hand import Hand
from recognizer.data_prep.small_capitals import check_shares, shows_capitals
from recognizer.data_prep.texts import clean_text, read_text
from recognizer.errors import InputError

CORPUS = "rendered"
HANDS = 20  # combinations of font, size, spacing, slant and ink; each counts as a writer of its own
FONTS = (".ttf", ".otf", ".woff", ".woff2")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the fonts, the hands, how many lines and how long."""
    parser.add_argument("--font", action="append", type=Path, metavar="PATH", help="font, or folder of fonts; repeatable (default: Pillow's own)")
    parser.add_argument("--style", choices=("printed", "handwritten"), default="printed", help="how the fonts are used (default printed)")
    parser.add_argument("--hands", type=int, default=HANDS, help=f"combinations of font, size, slant, spacing and ink (default {HANDS})")
    parser.add_argument("--lines", type=int, default=1000, help="how many lines to draw (default 1000)")
    parser.add_argument("--words", type=int, default=4, help="most words in a line (default 4)")
    parser.add_argument("--capitals", type=float, default=0.0, metavar="SHARE", help="share of hands with capitals only, mostly spaced (default 0)")
    parser.add_argument("--small-capitals", type=float, default=0.0, metavar="SHARE", help="share of the other hands with small capitals (default 0)")


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Draw random stretches of the text at ``source`` (a file, or a folder of .txt) into ``options.made`` as PNG, each hand in turn.

    A stretch with letters that a hand's font lacks is left to another stretch.

    Raises:
        ConfigError: a share that is none or of nothing.
        InputError: no text, a font that cannot be opened or that lacks most of the text's letters, or no capitals for small capitals.
    """
    check_shares(options.capitals, options.small_capitals)
    files = sorted(source.rglob("*.txt")) if source.is_dir() else [source]
    words = [word for file in files for word in clean_text(read_text(file)).split()]
    if not words:
        raise InputError(f"{source}: holds no words")
    if options.small_capitals and not any(map(shows_capitals, words)):
        raise InputError(f"{source}: holds no word like Word, with a capital beside small letters, by which small capitals are told from capitals")
    chance = random.Random(options.seed)
    fonts = _fonts(options.font)
    hands = [Hand(chance, chance.choice(fonts), options.style) for _ in range(options.hands)]
    capitals = {hand for hand in range(options.hands) if options.capitals and chance.random() < options.capitals}
    for hand in sorted(capitals):
        hands[hand].write_capitals(random.Random(f"{options.seed} {hand}"))  # so that the others are the same whoever writes capitals
    for number, hand in enumerate(hands):
        own = random.Random(f"{options.seed} {number} small")
        if number not in capitals and own.random() < options.small_capitals:
            hand.write_small_capitals(own)
    folder = options.made
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(options.lines):
        hand = number % options.hands
        text = _stretch(words, hands[hand], chance, options.words, hand in capitals)
        path = folder / f"{number:06d}.png"
        image = hands[hand].draw(text)
        image.save(path)
        yield Item(f"{folder.name}_{path.stem}", path.absolute(), text=text, width=image.width, group=f"hand{hand:02d}")


def _fonts(paths: list[Path] | None) -> list[Path | None]:
    found: list[Path | None] = []
    for path in paths or []:
        inside = sorted(file for file in path.rglob("*") if file.suffix.lower() in FONTS) if path.is_dir() else [path]
        if not inside:
            raise InputError(f"{path}: holds no fonts ({', '.join(FONTS)})")
        found += inside
    return found or [None]


def _stretch(words: list[str], hand: Hand, chance: random.Random, most: int, capitals: bool) -> str:
    for _ in range(200):
        start = chance.randrange(len(words))
        text = " ".join(words[start : start + chance.randint(1, most)])
        text = text.upper() if capitals else text
        if hand.covers(hand.small.rewrite(text) if hand.small else text) and (hand.small is None or shows_capitals(text)):
            return text
    raise InputError(f"{hand.font.path}: has no glyphs for most of the text; leave the font out")
