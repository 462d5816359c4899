"""Sentences that nobody said or wrote, spliced from the words of those who did, so that no sentence can be learned by heart.

Phrases of one to three words are cut out of a manifest's recordings or line images and laid end to end anew, each sentence of one speaker's
or writer's (after Lam et al. 2021, arXiv 2104.01393). For training only, of what is trained on; an alignment says where the words lie:
`recognizer align speech-en TRAIN.jsonl > ALIGNED.jsonl`, then
`recognizer prepare spliced TRAIN.jsonl data/spliced --name spliced --alignments ALIGNED.jsonl --lexicon LEXICON`.
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from recognizer.data.manifest import Item, load_manifest
from recognizer.data_prep.common import read_text, write_picture
from recognizer.data_prep.sound import Spacing, add_format_arguments, join_sounds, write_sound
from recognizer.errors import ConfigError, InputError
from recognizer.types import Token
from recognizer.utils.reading import parse_json

CORPUS = "spliced"
SENTENCES = 16
PHRASES, PHRASE_WORDS = (2, 6), (1, 1, 2, 2, 3)  # phrases in a sentence, and words of a phrase, drawn evenly

JOINED_SHARE, MAX_PAUSE = 0.6, 0.25  # share of the spoken phrases that follow without a pause; seconds
LEAD, TAIL = 0.15, 0.25  # seconds that the first sound may begin before its token, and the last end after
MIN_SECONDS, SMOOTHING = 0.05, 0.02  # of a phrase (a shorter one is wrongly aligned); seconds over which the energy is taken

INK, RULE_LENGTH = 100, 2.5  # gray level (paper 0) from which a pixel is ink; heights of the picture from which a level streak is a ruled line
BODY_LETTERS = set("acemnorsuvwxz")  # as high as the line's body
STANDING_LETTERS = BODY_LETTERS | set("bdhiklt" "ABCDEHIKLMNOPRSTUVWX0123456789")  # on the base line
MIN_WIDTH = 0.3  # bodies; a narrower phrase is wrongly aligned
DEFAULT_GAP, GAP_FACTORS = 0.9, (0.7, 1.4)  # bodies between two words, where a line has one only; times the line's usual gap
WOBBLE = 0.05  # bodies; standard deviation of the base line from phrase to phrase

Span = tuple[int, int]  # first word of a phrase, and the one after its last
Words = Sequence[Sequence[Token]]
Phrase = tuple[Any, str]  # samples (N,) or a Strip, and its text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the alignments, how many sentences, whose, and the format of recordings."""
    parser.add_argument("--alignments", type=Path, metavar="FILE", help="where the words are: what `recognizer align MODEL SOURCE` printed (needed)")
    parser.add_argument("--sentences", type=int, default=SENTENCES, metavar="N", help=f"how many of each speaker or writer (default {SENTENCES})")
    parser.add_argument("--speaker", metavar="NAME", help="whose all of them are (default: the groups of the manifest are speakers or writers)")
    add_format_arguments(parser)


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Splice sentences of the words in the manifest ``source``, into ``options.made``, one speaker or writer after another.

    Raises:
        ConfigError: fewer than one sentence, or no ``--alignments``.
        ManifestError: the manifest cannot be read.
        InputError: the alignments cannot be read, or not one phrase could be cut out.
    """
    from recognizer.image.io import IMAGE_SUFFIXES

    if options.sentences < 1:
        raise ConfigError(f"--sentences {options.sentences}: must be at least 1")
    if options.alignments is None:
        raise ConfigError(f"--alignments: is needed; run `recognizer align MODEL {source} > FILE` and give FILE")
    items, words = [item for item in load_manifest(source) if item.text], read_alignments(options.alignments)
    lines = bool(items) and items[0].source.suffix.lower() in IMAGE_SUFFIXES
    speakers: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        speakers[options.speaker or item.group or item.id].append(item)  # without a group, one is by a speaker of its own
    folder = options.made
    folder.mkdir(parents=True, exist_ok=True)
    cut = used = 0
    for speaker in sorted(speakers):  # one at a time: the phrases of all may be more than memory holds
        phrases = [phrase for item in speakers[speaker] if words.get(item.id) for phrase in _cut_phrases(item, words[item.id], lines, options)]
        cut, used = cut + len(phrases), used + bool(phrases)
        rng = random.Random(f"{options.seed} {speaker}")  # others who join or leave change nothing for this speaker
        for number, chosen in enumerate(deal(phrases, options.sentences, rng) if phrases else ()):
            name, pieces = f"{speaker}_{number:05d}", [piece for piece, _ in chosen]
            path = folder / f"{name.replace('/', '_')}.{'png' if lines else options.format}"
            if lines:
                write_line(path, pieces, rng)
            else:
                spacing = Spacing.draw(rng, len(pieces), MAX_PAUSE, JOINED_SHARE)
                write_sound(path, join_sounds(pieces, options.rate, spacing), options.rate)
            yield Item(f"{folder.name}_{name}", path.absolute(), text=" ".join(text for _, text in chosen), group=speaker)
    if not cut:
        raise InputError(f"{source}: not one phrase could be cut out of its items")
    options.note(f"cut out {cut:,} phrases by {used} {'writers' if lines else 'speakers'}")


def read_alignments(path: Path) -> dict[str, list[list[Token]]]:
    """The tokens of each word of each item, by id, from the JSON lines of `recognizer align`; raises InputError for other lines."""
    found = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        try:
            record = parse_json(line, f"{path}:{number}")
            tokens = [Token(str(entry["symbol"]), float(entry["start"]), float(entry["end"])) for entry in record["tokens"]]
            found[str(record["id"])] = [list(run) for space, run in groupby(tokens, lambda token: token.symbol == " ") if not space]
        except (InputError, ValueError, KeyError, TypeError, AttributeError):
            raise InputError(f"{path}:{number}: not a line of `recognizer align -f jsonl` with id and tokens") from None
    return found


def split_phrases(words: int, rng: random.Random) -> list[Span]:
    """So many words as phrases of one to three, in order."""
    ends = [0]
    while ends[-1] < words:
        ends.append(min(words, ends[-1] + rng.choice(PHRASE_WORDS)))
    return list(pairwise(ends))


def deal(phrases: Sequence[Phrase], sentences: int, rng: random.Random) -> Iterator[list[Phrase]]:
    """So many sentences, in which every phrase stands as often as the next, give or take one."""
    pack: list[Phrase] = []
    for length in [rng.randint(*PHRASES) for _ in range(sentences)]:
        while len(pack) < length:
            pack += rng.sample(phrases, len(phrases))
        yield pack[:length]
        del pack[:length]


def _cut_phrases(item: Item, words: Words, lines: bool, options: argparse.Namespace) -> list[Phrase]:
    spans = split_phrases(len(words), random.Random(f"{options.seed} {item.id}"))
    try:
        pieces: Sequence[Any] = cut_line(item.source, words, spans) if lines else cut_sound(item.source, options.rate, words, spans)
    except InputError as error:
        options.drop(error)
        return []
    texts = [" ".join("".join(token.symbol for token in word) for word in words[first:last]) for first, last in spans]
    return [(piece, text) for piece, text in zip(pieces, texts, strict=True) if piece is not None]


def cut_sound(path: Path, sample_rate: int, words: Words, phrases: Sequence[Span]) -> list[np.ndarray | None]:
    """The samples (N,) of each of the ``phrases``; None where they are too short for one.

    A token of CTC says that a sound is there, not where it begins or ends: between the last token of a word and the first of the next, the cut
    falls where the energy is least.

    Raises:
        InputError: the recording cannot be read.
    """
    from recognizer.audio.io import load_audio

    sound = load_audio(path, sample_rate)
    energy = np.convolve(np.square(sound, dtype=np.float64), np.ones(round(SMOOTHING * sample_rate)), "same")
    cuts = [max(0, round((words[0][0].start - LEAD) * sample_rate))]
    for before, after in pairwise(words):
        start = min(round(before[-1].start * sample_rate), len(sound) - 1)
        cuts.append(start + int(np.argmin(energy[start : max(start + 1, round(after[0].end * sample_rate))])))
    cuts.append(min(len(sound), round((words[-1][-1].end + TAIL) * sample_rate)))
    return [sound[cuts[first] : cuts[last]] if cuts[last] - cuts[first] >= MIN_SECONDS * sample_rate else None for first, last in phrases]


@dataclass(frozen=True)
class Strip:
    """A phrase as one writer wrote it; lengths in pixels."""

    gray: np.ndarray  # uint8 (H, W), dark ink on light paper, from its first column with ink to where the next word's begins
    ink: int  # columns to its last one with ink
    base: float  # row of the base line in its middle
    body: float  # height of the small letters of its line
    gap: float  # between two words of its line
    paper: float  # gray level


def cut_line(path: Path, words: Words, phrases: Sequence[Span]) -> list[Strip | None]:
    """The picture of each of the ``phrases``; None where there is no ink or no base line. Raises InputError for an unreadable picture."""
    from scipy import ndimage

    from recognizer.image.contrast import normalize_contrast
    from recognizer.image.io import load_image
    from recognizer.image.normalize import orient_polarity

    gray = orient_polarity(load_image(path), "auto")
    dark = normalize_contrast(gray, "stretch") >= INK
    length = min(round(RULE_LENGTH * dark.shape[0]), round(0.8 * dark.shape[1]))
    dark &= ~ndimage.binary_opening(ndimage.binary_closing(dark, np.ones((3, 9), bool)), np.ones((1, length), bool))
    line = measure_line(dark, [token for word in words for token in word])
    if line is None:
        return [None] * len(phrases)
    slope, base, body = line
    ink, cuts = dark.sum(axis=0), [0]
    for before, after in pairwise(words):  # cut in the middle of the widest stretch with the least ink
        start = min(max(cuts[-1], round((before[-1].start + before[-1].end) / 2)), len(ink) - 1)
        stretch = ink[start : max(start + 1, round((after[0].start + after[0].end) / 2))]
        least = np.flatnonzero(stretch == stretch.min())
        widest = max(np.split(least, np.flatnonzero(np.diff(least) > 1) + 1), key=len)
        cuts.append(start + int(widest[len(widest) // 2]))
    inked = [np.flatnonzero(ink[start:stop]) + start for start, stop in pairwise([*cuts, len(ink)])]
    gaps = [after[0] - before[-1] for before, after in pairwise(inked) if len(before) and len(after)]
    gap, paper = float(np.median(gaps)) if gaps else DEFAULT_GAP * body, float(np.median(gray[~dark]))
    strips: list[Strip | None] = []
    for first, last in phrases:
        columns = np.concatenate(inked[first:last])
        if len(columns) == 0 or np.ptp(columns) < MIN_WIDTH * body:
            strips.append(None)
            continue
        stop = next((int(after[0]) for after in inked[last:] if len(after)), gray.shape[1])
        row = base + slope * (columns[0] + columns[-1]) / 2
        strips.append(Strip(gray[:, columns[0] : stop], int(np.ptp(columns)) + 1, row, body, gap, paper))
    return strips


def measure_line(dark: np.ndarray, tokens: Sequence[Token]) -> tuple[float, float, float] | None:
    """Slope and row (at column 0) of the base line of ``dark``, bool (H, W), and the height of small letters; None with too few letters."""
    from scipy import stats

    middles = [(token.start + token.end) / 2 for token in tokens]
    borders = [0, *(round((one + other) / 2) for one, other in pairwise(middles)), dark.shape[1]]
    feet, heads = [], []
    for token, middle, (left, right) in zip(tokens, middles, pairwise(borders), strict=True):
        rows = np.flatnonzero(dark[:, left:right].any(axis=1))
        if len(rows) and token.symbol in STANDING_LETTERS:
            feet.append((middle, rows[-1] + 1))
        if len(rows) and token.symbol in BODY_LETTERS:
            heads.append((middle, rows[0]))
    if len(feet) < 2 or len(heads) < 2:
        return None
    columns, rows = np.array(feet, float).T
    slope, base = 0.0, float(np.median(rows))
    if len(feet) >= 4 and np.ptp(columns) > 2 * dark.shape[0]:
        slope, base = (float(value) for value in stats.theilslopes(rows, columns)[:2])  # a line that descenders and accents do not bend
    body = float(np.median([base + slope * column - head for column, head in heads]))
    return (slope, base, body) if body >= 6 else None


def write_line(path: Path, pieces: Sequence[Strip], rng: random.Random) -> None:
    """Set the pieces on one base line, as far apart as their writer leaves words, on paper of one gray, and write them as PNG."""
    from PIL import Image

    bases = [piece.base + rng.gauss(0, WOBBLE * piece.body) for piece in pieces]
    above = max(0, *(round(base) for base in bases))
    below = max(1, *(piece.gray.shape[0] - round(base) for piece, base in zip(pieces, bases, strict=True)))
    paper = float(np.median([piece.paper for piece in pieces]))
    # what a word is followed by is its own paper, with the rules on it, as far as that goes
    widths = [piece.ink + max(1, round(piece.gap * rng.uniform(*GAP_FACTORS))) for piece in pieces]
    left = round(pieces[0].gap * rng.uniform(0, 1))
    picture = np.full((above + below, left + sum(widths)), paper)
    for piece, base, width in zip(pieces, bases, widths, strict=True):
        top, columns = above - round(base), piece.gray[:, :width]
        picture[top : top + columns.shape[0], left : left + columns.shape[1]] = columns * (paper / max(1.0, piece.paper))
        left += width
    write_picture(path, Image.fromarray(np.clip(picture.round(), 0, 255).astype(np.uint8)))
