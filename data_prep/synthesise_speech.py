"""Spoken stretches of any text, made by the synthesiser flite (Black & Lenzo 2001), with words and phones.

Teaches a recogniser what sounds and spellings follow each other before, or beside, the recordings of a small corpus.
Needs the program `flite` (Debian and Ubuntu: apt-get install flite).
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from recognizer.data.manifest import Item
from recognizer.data_prep.speechocean import PHONES
from recognizer.data_prep.texts import clean_text, read_text
from recognizer.errors import ConfigError, InputError

CORPUS = "synthetic"
VOICES = ("rms", "awb", "slt", "kal16")  # those that sound like people
SPELT = {"AX": "AH", "AXR": "ER", "NX": "N", "DX": "T"}  # flite's reduced sounds among the 39 phones
STRETCH = 0.15  # share by which a voice speaks faster or slower
PITCH = 0.15  # share by which its pitch is moved


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the voices, how many utterances and how long."""
    parser.add_argument("--voice", action="append", metavar="NAME", help=f"a voice of flite; repeatable (default: {', '.join(VOICES)})")
    parser.add_argument("--utterances", type=int, default=2000, help="how many to speak (default 2000)")
    parser.add_argument("--words", type=int, default=9, help="most words in an utterance (default 9)")
    parser.add_argument("--case", choices=("lower", "upper"), default="upper", help="of the transcript (default upper)")


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Speak random stretches of sentences of the text at ``source`` (a file, or a folder of .txt) into ``OUT/speech``, each voice in turn.

    Raises:
        ConfigError: flite is not installed or lacks a voice.
        InputError: no text.
    """
    program = shutil.which("flite")
    if program is None:
        raise ConfigError("the program flite is not installed (Debian and Ubuntu: apt-get install flite)")
    voices = options.voice or list(VOICES)
    listed = subprocess.run([program, "-lv"], capture_output=True, text=True, check=False).stdout.split(":")[-1].split()
    for voice in voices:
        if voice not in listed:
            raise ConfigError(f"--voice {voice}: flite has {', '.join(sorted(set(listed)))}")
    files = sorted(source.rglob("*.txt")) if source.is_dir() else [source]
    sentences = [words for file in files for words in _sentences(clean_text(read_text(file)))]
    if not sentences:
        raise InputError(f"{source}: holds no sentences of two words or more without digits")
    chance = random.Random(options.seed)
    folder = options.out / "speech"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(options.utterances):
        words = chance.choice(sentences)
        length = min(len(words), chance.randint(2, max(2, options.words)))
        start = chance.randrange(len(words) - length + 1)
        text = " ".join(words[start : start + length])
        voice = voices[number % len(voices)]
        path = folder / f"{number:06d}.wav"
        stretch, pitch = (chance.uniform(1 - share, 1 + share) for share in (STRETCH, PITCH))
        try:
            units = _speak(program, voice, text, path, stretch, pitch)
        except InputError as error:
            options.drop(error)
            continue
        text = text.upper() if options.case == "upper" else text.lower()
        yield Item(f"synthetic_{number:06d}", path.absolute(), text=text, units=units, group=f"flite_{voice}")


def _sentences(text: str) -> Iterator[list[str]]:
    """Stretches between punctuation marks whose words can be spelt: letters and apostrophes."""
    for stretch in re.split(r"[.,;:!?()\[\]\"_*]+|--+", text):
        words = [re.sub(r"^'+|'+$", "", word) for word in stretch.split()]
        if len(words) >= 2 and all(re.fullmatch(r"[A-Za-z]+(?:'[A-Za-z]+)*", word) for word in words):
            yield words


def _speak(program: str, voice: str, text: str, path: Path, stretch: float, pitch: float) -> tuple[str, ...]:
    """Write ``text`` as a recording and return its phones, pauses left out."""
    base = 100.0 if voice != "slt" else 180.0  # Hz; unit-selection voices ignore it
    command = [program, "-voice", voice, "--setf", f"duration_stretch={stretch:.3f}", "--setf", f"int_f0_target_mean={base * pitch:.1f}"]
    done = subprocess.run([*command, "-ps", "-t", text, "-o", str(path)], capture_output=True, text=True, check=False)
    if done.returncode or not path.exists():
        raise InputError(f"{path}: flite could not speak {text!r}: {(done.stderr or done.stdout).strip()[:200]}")
    phones = [SPELT.get(sound, sound) for sound in done.stdout.upper().split() if sound != "PAU"]
    odd = sorted(set(phones) - PHONES)
    if odd or not phones:
        raise InputError(f"{path}: flite gave {', '.join(odd) or 'no phones'} for {text!r}")
    return tuple(phones)
