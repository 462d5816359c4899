"""Voices of Kokoro-82M, a neural synthesiser (StyleTTS 2, Li et al. 2023) whose weights and voices are Apache-2.0: natives of many kinds.

A voice is a row of style vectors, one for each length of an utterance, and what lies between two voices is a voice, too; so
every utterance has a speaker of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

import numpy as np
import soxr

from recognizer.data_prep.pronouncing import pronounce_once
from recognizer.data_prep.sound_writer import write_sound
from recognizer.errors import ConfigError, InputError
from recognizer.lexicon import Pronunciations, bare_phone, load_lexicon

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

RATE = 24_000  # Hz, of what the model says
HEARD = 16_000  # Hz, of the recordings
STYLE = 256  # numbers of a style
INPUTS = {"tokens", "style", "speed"}
ENGLISH = ("a", "b")  # first letters of the names of American and British voices
# The model's symbols for the phones of the CMU dictionary, and their numbers (config.json of Kokoro-82M). Vowels without stress follow the table.
SYMBOLS = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "W", "AY": "I", "B": "b", "CH": "ʧ", "D": "d", "DH": "ð", "EH": "ɛ", "ER": "ɜɹ",
    "EY": "A", "F": "f", "G": "ɡ", "HH": "h", "IH": "ɪ", "IY": "i", "JH": "ʤ", "K": "k", "L": "l", "M": "m", "N": "n", "NG": "ŋ", "OW": "O",
    "OY": "Y", "P": "p", "R": "ɹ", "S": "s", "SH": "ʃ", "T": "t", "TH": "θ", "UH": "ʊ", "UW": "u", "V": "v", "W": "w", "Y": "j", "Z": "z",
    "ZH": "ʒ"}  # fmt: skip
FAINT = {"AH": "ə", "ER": "əɹ"}
STRESS = {"1": "ˈ", "2": "ˌ"}
FLAP = "T"
NUMBERS = {
    ",": 3, ".": 4, "?": 6, " ": 16, "A": 24, "I": 25, "O": 31, "T": 36, "W": 39, "Y": 41, "b": 44, "d": 46, "f": 48, "h": 50, "i": 51, "j": 52,
    "k": 53, "l": 54, "m": 55, "n": 56, "p": 58, "s": 61, "t": 62, "u": 63, "v": 64, "w": 65, "z": 68, "ɑ": 69, "æ": 72, "ɔ": 76, "ð": 81,
    "ʤ": 82, "ə": 83, "ɛ": 86, "ɜ": 87, "ɡ": 92, "ɪ": 102, "ŋ": 112, "θ": 119, "ɹ": 123, "ʃ": 131, "ʧ": 133, "ʊ": 135, "ʌ": 138, "ʒ": 147,
    "ˈ": 156, "ˌ": 157}  # fmt: skip
# Said without stress between other words.
WEAK = frozenset((
    "a", "am", "an", "and", "are", "as", "at", "be", "been", "but", "by", "can", "could", "do", "does", "for", "from", "had", "has", "have",
    "he", "her", "him", "his", "i", "if", "in", "is", "it", "its", "me", "my", "nor", "of", "on", "or", "our", "shall", "she", "should",
    "so", "some", "than", "that", "the", "their", "them", "then", "there", "these", "they", "this", "to", "us", "was", "we", "were", "will",
    "with", "would", "you", "your"))  # fmt: skip
ENDS = (".", ".", ".", ",", "?")  # of an utterance
PACE = (0.9, 1.4)  # factors of the speed
OWN = (0.5, 1.0)  # share of the first of the two voices
PAUSE = 0.04  # chance of one between two words
LEVELS = (0.2, 0.8)  # of the loudest sample
AROUND = (0.05, 0.4)  # seconds before and behind what is said
QUIET = 0.01  # of the loudest sample: nothing is said below


class Voices(NamedTuple):
    """What speakers are made of."""

    model: InferenceSession
    english: list[np.ndarray]  # styles (lengths, STYLE)
    all: list[np.ndarray]
    lexicon: Pronunciations  # with stress


@cache
def load_voices(folder: str) -> Voices:
    """The model (``*.onnx``), the voices (``voices/*.bin``) and the pronouncing dictionary with stress (``*.dict``) in a folder.

    Raises:
        ConfigError: it lacks one of them, the dictionary has no stress, or onnxruntime is not installed.
        InputError: a file in it cannot be used.
    """
    root = Path(folder)
    models, dictionaries, voices = sorted(root.glob("*.onnx")), sorted(root.glob("*.dict")), sorted(root.glob("voices/*.bin"))
    english = [path for path in voices if path.name.startswith(ENGLISH)]
    if len(models) != 1 or len(dictionaries) != 1 or not english:
        raise ConfigError(f"--voice kokoro:{folder}: must be a folder with one model (NAME.onnx), one dictionary with stress (NAME.dict) and voices "
                          "of English (voices/a*.bin, voices/b*.bin)")  # fmt: skip
    lexicon = load_lexicon(dictionaries[0], bare=False)
    phones = {phone for ways in lexicon.values() for way in ways for phone in way}
    odd = sorted({phone for phone in phones if bare_phone(phone) not in SYMBOLS})
    if odd or not any(phone[-1] in STRESS for phone in phones):
        raise ConfigError(f"{dictionaries[0]}: must have the phones of the CMU dictionary, with stress (AH0, AH1)"
                          + (f", and has {', '.join(odd[:5])}" if odd else ""))  # fmt: skip
    styles = {path: _read_voice(path) for path in voices}
    return Voices(_open_model(models[0]), [styles[path] for path in english], [*styles.values()], lexicon)


def say(voices: Voices, text: str, path: Path, stretch: float, speaker: str = "") -> tuple[str, ...]:
    """Write a text spoken by one of countless speakers; returns its phones.

    Args:
        voices: of `load_voices`.
        text: words with blanks between.
        path: of the recording, 16 kHz.
        stretch: by how much (a factor) it is slower than the speaker would be.
        speaker: any name, whose speaker is the same every time; without one the words and the file's name decide.

    Raises:
        InputError: a word is not in the dictionary, or the text is too long for the voices.
    """
    seed = crc32(f"{path.stem} {text}".encode())
    chance = np.random.default_rng(seed)
    words = [(word, pronounce_once(word, voices.lexicon, chance)) for word in text.lower().split()]
    tokens = [NUMBERS[symbol] for symbol in write_symbols(words, chance)]
    who = np.random.default_rng(crc32(speaker.encode())) if speaker else chance
    first, second = voices.english[who.integers(len(voices.english))], voices.all[who.integers(len(voices.all))]
    most = min(len(first), len(second))
    if len(tokens) > most:
        raise InputError(f"{len(tokens)} sounds and marks, and the voices say {most} at most")
    style = second[len(tokens) - 1] + who.uniform(*OWN) * (first[len(tokens) - 1] - second[len(tokens) - 1])
    speed = chance.uniform(*PACE) / stretch
    inputs = {"tokens": np.array([[0, *tokens, 0]]), "style": style[None], "speed": np.array([speed], dtype=np.float32)}
    samples = _cut(np.asarray(voices.model.run(None, inputs)[0]).ravel(), chance)
    peak = max(float(np.abs(samples).max(initial=0.0)), 1e-9)
    write_sound(path, soxr.resample(samples, RATE, HEARD) * (chance.uniform(*LEVELS) / peak), HEARD)
    return tuple(bare_phone(phone) for _, phones in words for phone in phones)


def write_symbols(words: Sequence[tuple[str, Sequence[str]]], chance: np.random.Generator) -> str:
    """The model's symbols for words and their phones: function words lose their stress, a T between vowels is flapped, pauses are commas."""
    spelt = []
    for number, (word, phones) in enumerate(words):
        symbols = ""
        for place, phone in enumerate(phones):
            name, stress = bare_phone(phone), phone[-1]
            flapped = name == "T" and 0 < place < len(phones) - 1 and _is_vowel(phones[place - 1]) and phones[place + 1].endswith("0")
            symbols += "" if word in WEAK else STRESS.get(stress, "")
            symbols += FLAP if flapped else FAINT.get(name, SYMBOLS[name]) if stress == "0" else SYMBOLS[name]
        spelt.append(symbols + ("," if number < len(words) - 1 and chance.random() < PAUSE else ""))
    return " ".join(spelt) + ENDS[chance.integers(len(ENDS))]


def _is_vowel(phone: str) -> bool:
    return phone[-1].isdigit() or phone == "R"


def _cut(samples: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """What is said, with a breath of what the model has round it."""
    (loud,) = np.nonzero(np.abs(samples) > QUIET * np.abs(samples).max(initial=0.0))
    if not len(loud):
        return samples
    before, behind = (round(RATE * chance.uniform(*AROUND)) for _ in range(2))
    return samples[max(0, loud[0] - before) : loud[-1] + 1 + behind]


def _read_voice(path: Path) -> np.ndarray:
    numbers = np.fromfile(path, dtype="<f4")
    if not len(numbers) or len(numbers) % STYLE or not np.isfinite(numbers).all():
        raise InputError(f"{path}: not a voice: {len(numbers)} numbers, must be rows of {STYLE}")
    return numbers.reshape(-1, STYLE)


def _open_model(path: Path) -> InferenceSession:
    try:
        import onnxruntime
    except ImportError:
        raise ConfigError("voices of kokoro need the package onnxruntime: pip install 'recognizer[voices]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # two say 1.7 times as much, two commands beside each other twice as much
    options.log_severity_level = 3
    try:
        model = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no base of their own
        raise InputError(f"{path}: not a model that onnxruntime reads: {' '.join(str(error).split())[:200]}") from None
    names = {one.name for one in model.get_inputs()}
    if names != INPUTS:
        raise InputError(f"{path}: not a model of Kokoro: it takes {', '.join(sorted(names))}, must take {', '.join(sorted(INPUTS))}")
    return model
