"""Sentences that nobody said or wrote, spliced from the words of those who did, so that no sentence can be learnt by heart.

A recogniser finds the words of a manifest's recordings or line images; phrases of one to three are cut out and laid end to end anew, each
sentence of one speaker's or writer's (after Lam et al. 2021, arXiv 2104.01393). For training only, of what is trained on:
`recognizer prepare spliced TRAIN.jsonl data/spliced --name spliced --lexicon LEXICON`.
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from recognizer.data.manifest import Item, load_manifest
from recognizer.data_prep.aligned_tokens import add_aligner_arguments, get_tokens
from recognizer.data_prep.sound_writer import add_format_arguments
from recognizer.data_prep.splice_line import LineSplicer
from recognizer.data_prep.splice_sound import SoundSplicer
from recognizer.decoding.timing import Span, Token, split_words
from recognizer.errors import ConfigError, InputError

CORPUS = "spliced"
SENTENCES = 16
PHRASES = (2, 6)  # in a sentence
LENGTHS = (1, 1, 2, 2, 3)  # words of a phrase, drawn evenly


class Phrase(NamedTuple):
    """Words that one speaker said, or one writer wrote, in a row."""

    piece: Any  # of the recording or picture, as the splicer has it
    words: tuple[str, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the recogniser, how many sentences, whose, and the format of recordings."""
    add_aligner_arguments(parser, "words")
    parser.add_argument("--sentences", type=int, default=SENTENCES, metavar="N", help=f"how many of each speaker or writer (default {SENTENCES})")
    parser.add_argument("--speaker", metavar="NAME", help="whose all of them are (default: the groups of the manifest are speakers or writers)")
    add_format_arguments(parser)


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Splice sentences of the words in the manifest ``source``, into ``options.made``, one speaker or writer after another.

    Raises:
        ConfigError: fewer than one sentence; a recogniser that does not read what is in the manifest.
        ManifestError: the manifest cannot be read.
        InputError: not one phrase could be cut out; a file with an alignment cannot be read.
        BundleError: no such recogniser.
    """
    from recognizer.features.image_file import IMAGE_SUFFIXES

    if options.sentences < 1:
        raise ConfigError(f"--sentences {options.sentences}: must be at least 1")
    items = [item for item in load_manifest(source) if item.text]
    pictures = bool(items) and items[0].source.suffix.lower() in IMAGE_SUFFIXES
    splicer = LineSplicer() if pictures else SoundSplicer(options.rate, f".{options.format}")
    tokens = get_tokens(options, "line" if pictures else "audio", items)
    speakers: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        speakers[options.speaker or item.group or item.id].append(item)  # without a group, one is by a speaker of its own
    folder = options.made
    folder.mkdir(parents=True, exist_ok=True)
    cut = used = 0
    for speaker in sorted(speakers):  # one at a time: the phrases of all may be more than memory holds
        phrases = list(_cut(speakers[speaker], tokens, splicer, options))
        cut, used = cut + len(phrases), used + bool(phrases)
        chance = random.Random(f"{options.seed} {speaker}")  # others who join or leave change nothing for this speaker
        for number, chosen in enumerate(deal(phrases, options.sentences, chance) if phrases else ()):
            name = f"{speaker}_{number:05d}"
            path = folder / (name.replace("/", "_") + splicer.suffix)
            splicer.write([phrase.piece for phrase in chosen], path, chance)
            text = " ".join(word for phrase in chosen for word in phrase.words)
            yield Item(f"{folder.name}_{name}", path.absolute(), text=text, group=speaker)
    if not cut:
        raise InputError(f"{source}: not one phrase could be cut out of its items")
    options.note(f"cut out {cut:,} phrases by {used} {'writers' if pictures else 'speakers'}")


def divide(words: int, chance: random.Random) -> list[Span]:
    """So many words as phrases of one to three, in order."""
    phrases: list[Span] = []
    first = 0
    while first < words:
        last = min(words, first + chance.choice(LENGTHS))
        phrases.append((first, last))
        first = last
    return phrases


def deal(phrases: Sequence[Phrase], sentences: int, chance: random.Random) -> Iterator[list[Phrase]]:
    """So many sentences, in which every phrase stands as often as the next, give or take one."""
    pack: list[Phrase] = []
    for _ in range(sentences):
        length = chance.randint(*PHRASES)
        while len(pack) < length:
            pack += chance.sample(phrases, len(phrases))
        yield pack[:length]
        del pack[:length]


def _cut(
    items: Sequence[Item], tokens: Mapping[str, Sequence[Token]], splicer: SoundSplicer | LineSplicer, options: argparse.Namespace
) -> Iterator[Phrase]:
    """The phrases of the items that have tokens, by id."""
    for item in items:
        found = tokens.get(item.id, ())
        words = [found[first:last] for first, last in split_words([token.symbol for token in found])]
        if not words:
            continue
        spans = divide(len(words), random.Random(f"{options.seed} {item.id}"))
        try:
            pieces = splicer.cut(item.source, words, spans)
        except InputError as error:
            options.drop(error)
            continue
        texts = ["".join(token.symbol for token in word) for word in words]
        yield from (Phrase(piece, tuple(texts[slice(*span)])) for piece, span in zip(pieces, spans, strict=True) if piece is not None)
