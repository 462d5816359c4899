"""Synthetic voices behind one interface: the programs flite and festival, and the neural model Kokoro-82M."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from zlib import crc32

import numpy as np

from recognizer.data_prep.sound import write_sound
from recognizer.data_prep.speechocean import PHONES
from recognizer.errors import ConfigError, InputError, OutputError
from recognizer.text.lexicon import Pronunciations, bare_phone, load_lexicon

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Spoken = tuple[str, ...] | InputError  # phones, pauses left out, or why an utterance could not be spoken


@dataclass(frozen=True)
class Utterance:
    """What is to be said, where it is kept, and by how much (factors) it is slower and higher than the voice speaks by itself."""

    text: str
    path: Path
    stretch: float = 1.0
    pitch: float = 1.0


class Voice(Protocol):
    """Speaks utterances; ``group`` is what the items of this voice have in common."""

    group: str

    def speak(self, utterances: Sequence[Utterance]) -> list[Spoken]:
        """Write utterances as recordings and return their phones, in order."""


def open_voice(name: str) -> Voice:
    """The voice called ``festival:VOICE``, ``kokoro:FOLDER``, ``flite:VOICE`` or, short for the latter, ``VOICE``.

    Raises:
        ConfigError: a program is not installed or lacks the voice (the message says what to install), or a folder lacks a file.
        InputError: a file of a model cannot be used.
    """
    program, _, voice = name.partition(":") if ":" in name else ("flite", ":", name)
    if program == "kokoro":
        return KokoroVoice(Path(voice))
    if program not in ("flite", "festival"):
        raise ConfigError(f"--voice {name}: the voices are those of flite (NAME), of festival (festival:NAME), and of Kokoro-82M (kokoro:FOLDER)")
    if shutil.which(program) is None:
        raise ConfigError(f"the program {program} is not installed (Debian and Ubuntu: apt-get install {program})")
    command = ["flite", "-lv"] if program == "flite" else ["festival", "-b", '(format t "%l" (voice.list))']
    listed = set(_run(command).stdout.split(":")[-1].strip("()\n ").split())
    if voice not in listed:
        advice = f" (Debian and Ubuntu: apt-get install {FESTIVAL_PACKAGES[voice]})" if program == "festival" and voice in FESTIVAL_PACKAGES else ""
        raise ConfigError(f"--voice {name}: {program} has {', '.join(sorted(listed)) or 'no voices'}{advice}")
    return FliteVoice(voice) if program == "flite" else FestivalVoice(voice)


# Reduced sounds, taps and syllabic consonants of flite's and festival's radio phone set among the 39 phones.
RADIO_PHONES = {"AX": "AH", "AXR": "ER", "NX": "N", "DX": "T", "HV": "HH", "EL": "AH L", "EM": "AH M", "EN": "AH N"}
SILENCES = {"PAU", "H#", "BRTH"}


class FliteVoice:
    """A voice of flite (Black & Lenzo 2001)."""

    def __init__(self, voice: str) -> None:
        self.voice, self.group = voice, f"flite_{voice}"

    def speak(self, utterances: Sequence[Utterance]) -> list[Spoken]:
        """One process an utterance."""
        return [self._speak(utterance) for utterance in utterances]

    def _speak(self, one: Utterance) -> Spoken:
        pitch = one.pitch * (180.0 if self.voice == "slt" else 100.0)  # Hz; unit-selection voices ignore it
        settings = ["--setf", f"duration_stretch={one.stretch:.3f}", "--setf", f"int_f0_target_mean={pitch:.1f}"]
        done = _run(["flite", "-voice", self.voice, *settings, "-ps", "-t", one.text, "-o", str(one.path)])
        if done.returncode or not one.path.exists():
            return _explain_failure("flite", one, done)
        return _read_phones(done.stdout, self.voice, one)


FESTIVAL_PACKAGES = {"kal_diphone": "festvox-kallpc16k", "ked_diphone": "festvox-kdlpc16k", "cmu_us_slt_arctic_hts": "festvox-us-slt-hts"}
# Scales whatever the voice itself sets; the durations of an HTS voice follow Duration_Stretch, its pitch stays.
FESTIVAL_PROGRAM = """
(define (speak number text path stretch pitch)
  (Parameter.set 'Duration_Stretch (* stretch voice_stretch))
  (set! int_lr_params (cons (list 'target_f0_mean (* pitch voice_mean)) voice_params))
  (let ((utt (utt.synth (eval (list 'Utterance 'Text text)))))
    (utt.wave.resample utt 16000)
    (utt.save.wave utt path 'riff)
    (format t "%d" number)
    (mapcar (lambda (segment) (format t " %s" (item.name segment))) (utt.relation.items utt 'Segment))
    (format t "\\n")
    (fflush nil)))
(set! voice_stretch (Parameter.get 'Duration_Stretch))
(set! voice_params int_lr_params)
(set! voice_mean (cadr (assoc 'target_f0_mean voice_params)))
"""


class FestivalVoice:
    """A voice of festival (Black, Taylor & Caley 1998)."""

    def __init__(self, voice: str) -> None:
        self.voice, self.group = voice, f"festival_{voice}"

    def speak(self, utterances: Sequence[Utterance]) -> list[Spoken]:
        """All of them by one process, which takes a second to start; after one at which it stops, another says the rest."""
        spoken: dict[int, Spoken] = {}
        while len(spoken) < len(utterances):
            waiting = [number for number in range(len(utterances)) if number not in spoken]
            lines = [f"(voice_{self.voice})", FESTIVAL_PROGRAM]
            for number in waiting:
                one = utterances[number]
                strings = " ".join(json.dumps(word, ensure_ascii=False) for word in (one.text, str(one.path)))
                lines.append(f"(speak {number} {strings} {one.stretch:.3f} {one.pitch:.3f})\n")
            done = _run(["festival", "--pipe"], "\n".join(lines))
            for line in done.stdout.splitlines():
                place, _, sounds = line.partition(" ")
                if place.isdecimal() and int(place) in waiting and utterances[int(place)].path.exists():
                    spoken[int(place)] = self._read_phones(sounds, utterances[int(place)])
            stopped = next((number for number in waiting if number not in spoken), None)
            if stopped is not None:
                spoken[stopped] = _explain_failure("festival", utterances[stopped], done)
        return [spoken[number] for number in range(len(utterances))]

    def _read_phones(self, sounds: str, one: Utterance) -> Spoken:
        if self.voice == "ked_diphone":
            sounds = sounds.upper().replace("ER R", "ER")  # its lexicon writes the vowel of "bird" so
        return _read_phones(sounds, f"festival:{self.voice}", one)


def _run(command: Sequence[str], text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def _explain_failure(program: str, one: Utterance, done: subprocess.CompletedProcess[str]) -> InputError:
    reason = " ".join(done.stderr.split())[:200] or f"it ended with status {done.returncode}"
    return InputError(f"{one.path}: {program} could not speak {one.text!r}: {reason}")


def _read_phones(sounds: str, voice: str, one: Utterance) -> Spoken:
    phones = [phone for sound in sounds.upper().split() if sound not in SILENCES for phone in RADIO_PHONES.get(sound, sound).split()]
    unknown = sorted(set(phones) - PHONES)
    if unknown or not phones:
        return InputError(f"{one.path}: {voice} gave {', '.join(unknown) or 'no phones'} for {one.text!r}")
    return tuple(phones)


MODEL_RATE = 24_000  # Hz, of what Kokoro says
RATE = 16_000  # Hz, of the recordings
STYLE_SIZE = 256  # numbers of a style vector
MODEL_INPUTS = {"tokens", "style", "speed"}
ENGLISH = ("a", "b")  # first letters of the names of American and British voices
# Kokoro's symbols for the phones of the CMU dictionary, and their numbers (config.json of Kokoro-82M). Vowels without stress follow the table.
SYMBOLS = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "W", "AY": "I", "B": "b", "CH": "ʧ", "D": "d", "DH": "ð", "EH": "ɛ", "ER": "ɜɹ",
    "EY": "A", "F": "f", "G": "ɡ", "HH": "h", "IH": "ɪ", "IY": "i", "JH": "ʤ", "K": "k", "L": "l", "M": "m", "N": "n", "NG": "ŋ", "OW": "O",
    "OY": "Y", "P": "p", "R": "ɹ", "S": "s", "SH": "ʃ", "T": "t", "TH": "θ", "UH": "ʊ", "UW": "u", "V": "v", "W": "w", "Y": "j", "Z": "z",
    "ZH": "ʒ"}  # fmt: skip
UNSTRESSED = {"AH": "ə", "ER": "əɹ"}
STRESS = {"1": "ˈ", "2": "ˌ"}
FLAP = "T"
NUMBERS = {
    ",": 3, ".": 4, "?": 6, " ": 16, "A": 24, "I": 25, "O": 31, "T": 36, "W": 39, "Y": 41, "b": 44, "d": 46, "f": 48, "h": 50, "i": 51, "j": 52,
    "k": 53, "l": 54, "m": 55, "n": 56, "p": 58, "s": 61, "t": 62, "u": 63, "v": 64, "w": 65, "z": 68, "ɑ": 69, "æ": 72, "ɔ": 76, "ð": 81,
    "ʤ": 82, "ə": 83, "ɛ": 86, "ɜ": 87, "ɡ": 92, "ɪ": 102, "ŋ": 112, "θ": 119, "ɹ": 123, "ʃ": 131, "ʧ": 133, "ʊ": 135, "ʌ": 138, "ʒ": 147,
    "ˈ": 156, "ˌ": 157}  # fmt: skip
# Said without stress between other words.
FUNCTION_WORDS = frozenset((
    "a", "am", "an", "and", "are", "as", "at", "be", "been", "but", "by", "can", "could", "do", "does", "for", "from", "had", "has", "have",
    "he", "her", "him", "his", "i", "if", "in", "is", "it", "its", "me", "my", "nor", "of", "on", "or", "our", "shall", "she", "should",
    "so", "some", "than", "that", "the", "their", "them", "then", "there", "these", "they", "this", "to", "us", "was", "we", "were", "will",
    "with", "would", "you", "your"))  # fmt: skip
ENDINGS = (".", ".", ".", ",", "?")  # of an utterance
SPEEDS = (0.9, 1.4)  # factors
ENGLISH_SHARE = (0.5, 1.0)  # of the English voice in a speaker, who lies between it and any voice
PAUSE_PROBABILITY = 0.04  # of one between two words
VARIANT_PROBABILITY = 0.3  # that a word is pronounced in any of its ways in place of the first
PEAKS = (0.2, 0.8)  # of the loudest sample
MARGINS = (0.05, 0.4)  # seconds before and behind what is said
SILENCE_DB = 34.0  # below the loudest frame; what is quieter at the ends is silence


class KokoroVoice:
    """Kokoro-82M (StyleTTS 2, Li et al. 2023; weights and voices are Apache-2.0), with another speaker for every utterance.

    A voice is a row of style vectors, one for each length of an utterance, and what lies between two voices is a voice, too.

    Args:
        folder: with the model (``*.onnx``), the voices (``voices/*.bin``) and a pronouncing dictionary with stress (``*.dict``).

    Raises:
        ConfigError: the folder lacks one of them, the dictionary has no stress, or onnxruntime is not installed.
        InputError: a file in it cannot be used.
    """

    group = "kokoro"

    def __init__(self, folder: Path) -> None:
        models, dictionaries, voices = sorted(folder.glob("*.onnx")), sorted(folder.glob("*.dict")), sorted(folder.glob("voices/*.bin"))
        if len(models) != 1 or len(dictionaries) != 1 or not any(path.name.startswith(ENGLISH) for path in voices):
            raise ConfigError(f"--voice kokoro:{folder}: must be a folder with one model (NAME.onnx), one dictionary with stress (NAME.dict) and "
                              "voices of English (voices/a*.bin, voices/b*.bin)")  # fmt: skip
        self.lexicon: Pronunciations = load_lexicon(dictionaries[0], bare=False)
        phones = {phone for ways in self.lexicon.values() for way in ways for phone in way}
        unknown = sorted({phone for phone in phones if bare_phone(phone) not in SYMBOLS})
        if unknown or not any(phone[-1] in STRESS for phone in phones):
            raise ConfigError(f"{dictionaries[0]}: must have the phones of the CMU dictionary, with stress (AH0, AH1)"
                              + (f", and has {', '.join(unknown[:5])}" if unknown else ""))  # fmt: skip
        self.styles = {path.stem: _load_styles(path) for path in voices}  # (lengths, STYLE_SIZE) each
        self.model = _load_model(models[0])

    def speak(self, utterances: Sequence[Utterance]) -> list[Spoken]:
        """Speak each; the words and the file's name decide how. The pitch is the speaker's own."""
        spoken: list[Spoken] = []
        for utterance in utterances:
            try:
                spoken.append(self._speak(utterance))
            except OutputError:
                raise
            except InputError as error:
                spoken.append(InputError(f"{utterance.path}: {error}"))
        return spoken

    def _speak(self, one: Utterance) -> tuple[str, ...]:
        import soxr

        rng = np.random.default_rng(crc32(f"{one.path.stem} {one.text}".encode()))
        words = [(word, self._pronounce(word, rng)) for word in one.text.lower().split()]
        tokens = [NUMBERS[symbol] for symbol in write_symbols(words, rng)]
        english = [styles for name, styles in self.styles.items() if name.startswith(ENGLISH)]
        first, second = (voices[rng.integers(len(voices))] for voices in (english, [*self.styles.values()]))
        longest = min(len(first), len(second))
        if len(tokens) > longest:
            raise InputError(f"{len(tokens)} sounds and marks, and the voices say {longest} at most")
        style = second[len(tokens) - 1] + rng.uniform(*ENGLISH_SHARE) * (first[len(tokens) - 1] - second[len(tokens) - 1])
        speed = np.array([rng.uniform(*SPEEDS) / one.stretch], dtype=np.float32)
        (samples, *_) = self.model.run(None, {"tokens": np.array([[0, *tokens, 0]]), "style": style[None], "speed": speed})
        samples = _trim(np.asarray(samples).ravel(), rng)
        peak = max(float(np.abs(samples).max(initial=0.0)), 1e-9)
        write_sound(one.path, soxr.resample(samples, MODEL_RATE, RATE) * (rng.uniform(*PEAKS) / peak), RATE)
        return tuple(bare_phone(phone) for _, phones in words for phone in phones)

    def _pronounce(self, word: str, rng: np.random.Generator) -> tuple[str, ...]:
        ways = self.lexicon.get(word) or self.lexicon.get(word.upper())
        if not ways:
            raise InputError(f"{word!r} is not in the dictionary")
        return ways[rng.integers(len(ways)) if rng.random() < VARIANT_PROBABILITY else 0]


def write_symbols(words: Sequence[tuple[str, Sequence[str]]], rng: np.random.Generator) -> str:
    """Kokoro's symbols for words and their phones: function words lose their stress, a T between vowels is flapped, pauses are commas."""
    written = []
    for number, (word, phones) in enumerate(words):
        symbols = ""
        for place, phone in enumerate(phones):
            name, stress = bare_phone(phone), phone[-1]
            voiced = 0 < place < len(phones) - 1 and (phones[place - 1][-1].isdigit() or phones[place - 1] == "R")
            flapped = name == "T" and voiced and phones[place + 1].endswith("0")
            symbols += "" if word in FUNCTION_WORDS else STRESS.get(stress, "")
            symbols += FLAP if flapped else UNSTRESSED.get(name, SYMBOLS[name]) if stress == "0" else SYMBOLS[name]
        written.append(symbols + ("," if number < len(words) - 1 and rng.random() < PAUSE_PROBABILITY else ""))
    return " ".join(written) + ENDINGS[rng.integers(len(ENDINGS))]


def _trim(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What is said, with a random margin of what the model puts around it."""
    import librosa  # here, since it takes a second to load

    _, (start, stop) = librosa.effects.trim(samples, top_db=SILENCE_DB, frame_length=512, hop_length=128)
    before, behind = (round(MODEL_RATE * rng.uniform(*MARGINS)) for _ in range(2))
    return samples[max(0, start - before) : stop + behind]


def _load_styles(path: Path) -> np.ndarray:
    numbers = np.fromfile(path, dtype="<f4")
    if not len(numbers) or len(numbers) % STYLE_SIZE or not np.isfinite(numbers).all():
        raise InputError(f"{path}: not a voice: {len(numbers)} numbers, must be rows of {STYLE_SIZE}")
    return numbers.reshape(-1, STYLE_SIZE)


def _load_model(path: Path) -> InferenceSession:
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
    if names != MODEL_INPUTS:
        raise InputError(f"{path}: not a model of Kokoro: it takes {', '.join(sorted(names))}, must take {', '.join(sorted(MODEL_INPUTS))}")
    return model
