"""Lines composed of letters that real writers wrote: texts in capitals, say, of writers who never wrote a whole line so.

A recogniser finds the letters of a manifest's lines, which are cut out and set anew, each line in the letters of one writer and, where there
are none, of others with a similar pen: `recognizer prepare collage TRAIN.jsonl data/collage --name collage`. For training only: a line may hold
letters of writers from other splits.

Lines in small capitals (`--capitals 0 --small-capitals 1`) are transcribed as lines in small letters: those who write so mean them.
"""

from __future__ import annotations

import argparse
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from recognizer.data.manifest import Item, load_manifest
from recognizer.data_prep.accents import SHAPES
from recognizer.data_prep.aligned_tokens import add_aligner_arguments, get_tokens
from recognizer.data_prep.letter_cuts import Cut, cut_letters, erase_rules
from recognizer.data_prep.letter_line import SAME, LetterLine, Style, can_compose
from recognizer.data_prep.letter_stock import TWINS, LetterStock, sift
from recognizer.data_prep.picture_writer import write_picture
from recognizer.data_prep.small_capitals import SmallCapitals, check_shares, shows_capitals
from recognizer.data_prep.texts import clean_text, read_text
from recognizer.decoding.timing import Token
from recognizer.errors import ConfigError, InputError

CORPUS = "collage"
LINES = 1000
WORDS = 8
OWN = 5  # capitals that a writer must have written to be one whose lines are composed
TRIES = 200  # texts that are looked at for one that can be composed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the recogniser, the texts, the share of capitals and how many lines."""
    add_aligner_arguments(parser, "letters")
    parser.add_argument("--texts", type=Path, metavar="FILE", help="text to compose stretches of (default: the manifest's lines)")
    parser.add_argument("--words", type=int, default=WORDS, help=f"most words in a stretch of --texts (default {WORDS})")
    parser.add_argument("--capitals", type=float, default=1.0, metavar="SHARE", help="share of the lines in capitals only (default 1)")
    parser.add_argument("--small-capitals", type=float, default=0.0, metavar="SHARE", help="share of the others in small capitals (default 0)")
    parser.add_argument("--lines", type=int, default=LINES, help=f"how many lines to compose (default {LINES})")


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Compose lines of the letters in the manifest ``source``, into ``options.made`` as PNG, each writer in turn.

    Raises:
        ConfigError: a share that is none or of nothing, or a number below 1.
        ManifestError: the manifest cannot be read.
        InputError: no line can be composed; a file with texts or an alignment cannot be read.
        BundleError: no such recogniser.
    """
    from recognizer.features.chance import item_generator

    check_shares(options.capitals, options.small_capitals)
    for name in ("lines", "words"):
        if getattr(options, name) < 1:
            raise ConfigError(f"--{name} {getattr(options, name)}: must be at least 1")
    items = [item for item in load_manifest(source) if item.text]
    texts = Texts(items, options.texts, options.words)
    tokens = get_tokens(options, "line", items)
    stock = gather(items, tokens, _wanted(texts.letters(), options.capitals, options.small_capitals), options)
    writers = [writer for writer in stock.writers if options.capitals == 0 or stock.capitals_of(writer) >= OWN] or list(stock.writers)
    if not writers:
        raise InputError(f"{source}: not one letter could be cut out of its lines")
    folder = options.made
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(options.lines):
        generator = item_generator(options.seed, 0, f"{CORPUS}_{number + 1:06d}")  # the same lines under any name
        capitals = generator.random() < options.capitals
        small = SmallCapitals.draw(generator.random) if not capitals and generator.random() < options.small_capitals else None
        text = texts.draw(stock, capitals, small, generator)
        writer = writers[number % len(writers)]
        grey = LetterLine(stock, writer, Style.draw(generator), generator).compose(text, small)
        path = folder / f"{number + 1:06d}.png"
        write_picture(path, Image.fromarray(grey))
        yield Item(f"{folder.name}_{path.stem}", path.absolute(), text=text, width=grey.shape[1], group=writer, meta={"kind": "text"})


def gather(items: Sequence[Item], tokens: dict[str, list[Token]], wanted: set[str], options: argparse.Namespace) -> LetterStock:
    """Cut the letters ``wanted`` out of the items that have tokens, by id; lines without a group are writers of their own."""
    from recognizer.features.image_file import load_image
    from recognizer.features.line import normalise_contrast, orient_polarity

    cuts: list[tuple[str, Cut]] = []
    for item in items:
        if item.id not in tokens or not wanted & _split(item.text or ""):
            continue
        try:
            grey = load_image(item.source)
        except InputError as error:
            options.drop(error)
            continue
        ink = erase_rules(normalise_contrast(orient_polarity(grey, "auto"), "stretch"))
        cuts += [(item.group or item.id, cut) for cut in cut_letters(ink, tokens[item.id], wanted)]
    stock = LetterStock(sift(cuts))
    kept = sum(len(found) for owners in stock.cuts.values() for found in owners.values())
    options.note(f"cut out {len(cuts)} letters and accents, of which {kept} look like what they are, by {len(stock.writers)} writers")
    return stock


class Texts:
    """What is to be written: the texts of items, or stretches of a file of up to ``words`` words."""

    def __init__(self, items: Sequence[Item], file: Path | None, words: int) -> None:
        self.source = file
        self.lines = [clean_text(item.text or "") for item in items] if file is None else []
        self.words = [] if file is None else clean_text(read_text(file)).split()
        self.most = words
        if file is not None and not self.words:
            raise InputError(f"{file}: holds no words")

    def letters(self) -> set[str]:
        """All that may be drawn."""
        return set("".join(self.lines or self.words))

    def draw(self, stock: LetterStock, capitals: bool, small: SmallCapitals | None, generator: np.random.Generator) -> str:
        """One that the stock has letters for; one for small capitals has a capital beside a small letter, so that they can be told.

        Raises:
            InputError: none was found.
        """
        for _ in range(TRIES):
            if self.lines:
                text = self.lines[int(generator.integers(len(self.lines)))]
            else:
                start = int(generator.integers(len(self.words)))
                text = " ".join(self.words[start : start + int(generator.integers(1, self.most + 1))])
            text = text.upper() if capitals else text
            if text and can_compose(small.rewrite(text) if small else text, stock) and (small is None or shows_capitals(text)):
                return text
        lacking = "letters, or capitals beside small letters," if small else "letters"
        raise InputError(f"{self.source or 'the manifest'}: {lacking} for most of the texts are missing; take more lines or other texts")


def _wanted(letters: set[str], capitals: float, small_capitals: float) -> set[str]:
    """What is worth cutting out: the letters to be written, bare ones, accents and twins included."""
    large = {letter for small in letters for letter in small.upper()}
    needed = (large if capitals or small_capitals else set()) | (letters if capitals < 1 else set())
    needed |= {SAME[letter] for letter in needed if letter in SAME}
    parts = {part for letter in needed for part in _split(letter)}
    return (needed | parts | {TWINS[letter] for letter in parts if letter in TWINS}) - {" "}


def _split(text: str) -> set[str]:
    """The letters of a text, and what they are made of."""
    return set(text) | {part for part in unicodedata.normalize("NFD", text) if part.isalnum() or part in SHAPES}
