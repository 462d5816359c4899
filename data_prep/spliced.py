"""Sentences that nobody said, spliced from the words that speakers did say, so that no sentence can be learnt by heart.

A recogniser finds the words of a manifest's recordings; phrases of one to three are cut out where the sound is weakest between two words,
and laid end to end anew, each sentence in the voice of one speaker (after Lam et al. 2021, arXiv 2104.01393). For training only, of
recordings that are trained on: `recognizer prepare spliced TRAIN.jsonl data/spliced --name spliced --lexicon LEXICON`.
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from recognizer.data.manifest import Item, load_manifest
from recognizer.data_prep.aligned_tokens import add_aligner_arguments, get_tokens
from recognizer.data_prep.sound_joints import Setting, join_sounds
from recognizer.data_prep.sound_writer import add_format_arguments, write_sound
from recognizer.decoding.timing import Token, split_words
from recognizer.errors import ConfigError, InputError

CORPUS = "spliced"
SENTENCES = 16
PHRASES = (2, 6)  # in a sentence
LENGTHS = (1, 1, 2, 2, 3)  # words of a phrase, drawn evenly
JOINED = 0.6  # share of the phrases that follow without a pause
PAUSE = 0.25  # seconds at most
LEAD, TAIL = 0.15, 0.25  # seconds that the first sound may begin before its label, and the last end after
LEAST = 0.05  # seconds of a phrase; a shorter one is wrongly aligned
SMOOTHING = 0.02  # seconds over which the energy is taken


class Phrase(NamedTuple):
    """Words that one speaker said in a row."""

    sound: np.ndarray  # (N,) float32
    words: tuple[str, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the recogniser, how many sentences, whose, and their format."""
    add_aligner_arguments(parser, "speech-en", "words")
    parser.add_argument("--sentences", type=int, default=SENTENCES, metavar="N", help=f"how many of each speaker (default {SENTENCES})")
    parser.add_argument("--speaker", metavar="NAME", help="who speaks in all of the recordings (default: the groups of the manifest are speakers)")
    add_format_arguments(parser)


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Splice sentences of the words in the manifest ``source``, into ``OUT/sentences``, one speaker after another.

    Raises:
        ConfigError: fewer than one sentence; a recogniser that is none of speech.
        ManifestError: the manifest cannot be read.
        InputError: not one phrase could be cut out; a file with an alignment cannot be read.
        BundleError: no such recogniser.
    """
    if options.sentences < 1:
        raise ConfigError(f"--sentences {options.sentences}: must be at least 1")
    items = [item for item in load_manifest(source) if item.text]
    phrases = _gather(items, options)
    if not phrases:
        raise InputError(f"{source}: not one phrase could be cut out of its recordings")
    folder = options.out / "sentences"
    folder.mkdir(parents=True, exist_ok=True)
    for speaker, known in sorted(phrases.items()):
        chance = random.Random(f"{options.seed} {speaker}")  # others who join or leave change nothing for this speaker
        for number, chosen in enumerate(_deal(known, options.sentences, chance)):
            setting = Setting.draw(chance, len(chosen), PAUSE, JOINED)
            sound = join_sounds([phrase.sound for phrase in chosen], options.rate, setting)
            path = folder / f"{speaker.replace('/', '_')}_{number:05d}.{options.format}"
            write_sound(path, sound, options.rate)
            text = " ".join(word for phrase in chosen for word in phrase.words)
            yield Item(f"spliced_{speaker}_{number:05d}", path.absolute(), text=text, group=speaker)


def cut_phrases(sound: np.ndarray, sample_rate: int, tokens: Sequence[Token], chance: random.Random) -> list[Phrase]:
    """The recording (N,) cut into phrases of one to three words; what lies before its first and after its last word is left.

    A spike of CTC says that a sound is there, not where it begins or ends: between the last spike of a word and the first of the
    next, the cut falls where the energy is least.
    """
    words = [tokens[first:last] for first, last in split_words([token.symbol for token in tokens])]
    if not words or not len(sound):
        return []
    energy = np.convolve(np.square(sound, dtype=np.float64), np.ones(round(SMOOTHING * sample_rate)), "same")
    cuts = [max(0, round((words[0][0].start - LEAD) * sample_rate))]
    for before, after in pairwise(words):
        start = min(round(before[-1].start * sample_rate), len(sound) - 1)
        stop = max(start + 1, round(after[0].end * sample_rate))
        cuts.append(start + int(np.argmin(energy[start:stop])))
    cuts.append(min(len(sound), round((words[-1][-1].end + TAIL) * sample_rate)))
    phrases, first = [], 0
    while first < len(words):
        last = min(len(words), first + chance.choice(LENGTHS))
        piece = sound[cuts[first] : cuts[last]]
        if len(piece) >= LEAST * sample_rate:
            phrases.append(Phrase(piece, tuple("".join(token.symbol for token in word) for word in words[first:last])))
        first = last
    return phrases


def _gather(items: Sequence[Item], options: argparse.Namespace) -> dict[str, list[Phrase]]:
    """The phrases of each speaker; a recording without a group is a speaker of its own."""
    from recognizer.features.audio_file import load_audio

    tokens = get_tokens(options, "audio", items)
    phrases: dict[str, list[Phrase]] = defaultdict(list)
    for item in items:
        if item.id not in tokens:
            continue
        try:
            sound = load_audio(item.source, options.rate)
        except InputError as error:
            options.drop(error)
            continue
        speaker = options.speaker or item.group or item.id
        phrases[speaker] += cut_phrases(sound, options.rate, tokens[item.id], random.Random(f"{options.seed} {item.id}"))
    options.note(f"cut out {sum(map(len, phrases.values())):,} phrases by {len(phrases)} speakers")
    return {speaker: known for speaker, known in phrases.items() if known}


def _deal(phrases: Sequence[Phrase], sentences: int, chance: random.Random) -> Iterator[list[Phrase]]:
    """Sentences in which every phrase stands as often as the next, give or take one."""
    pack: list[Phrase] = []
    for _ in range(sentences):
        length = chance.randint(*PHRASES)
        while len(pack) < length:
            pack += chance.sample(phrases, len(phrases))
        yield pack[:length]
        del pack[:length]
