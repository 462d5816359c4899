"""Programs and models that speak, and their voices: text in, a recording and its phones out."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from recognizer.data_prep.speechocean import PHONES
from recognizer.errors import ConfigError, InputError

# reduced sounds, taps and syllabic consonants of flite's and festival's radio phone set among the 39 phones
SPELT = {"AX": "AH", "AXR": "ER", "NX": "N", "DX": "T", "HV": "HH", "EL": "AH L", "EM": "AH M", "EN": "AH N"}
SILENT = {"PAU", "H#", "BRTH"}
PACKAGES = {"kal_diphone": "festvox-kallpc16k", "ked_diphone": "festvox-kdlpc16k", "cmu_us_slt_arctic_hts": "festvox-us-slt-hts"}
MODELS = ("sphinx", "kokoro")  # folders of files, in which every utterance has a speaker of its own
# Scales whatever the voice itself sets; the durations of an HTS voice follow Duration_Stretch, its pitch stays.
FESTIVAL = """
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


@dataclass(frozen=True)
class Utterance:
    """What is to be said, where it is kept, and by how much (factors) it is slower and higher than the voice speaks by itself.

    Voices of Kokoro can have the same ``speaker`` say several.
    """

    text: str
    path: Path
    stretch: float = 1.0
    pitch: float = 1.0
    speaker: str = ""


def name_voice(name: str) -> tuple[str, str]:
    """Program and voice of ``festival:VOICE``, ``sphinx:FOLDER``, ``kokoro:FOLDER``, ``flite:VOICE`` or, short for the latter, ``VOICE``.

    Raises:
        ConfigError: no such program.
    """
    program, colon, voice = name.partition(":")
    if not colon:
        return "flite", name
    if program not in ("festival", "flite", *MODELS):
        raise ConfigError(f"--voice {name}: the voices are those of flite (NAME), of festival (festival:NAME), of acoustic models (sphinx:FOLDER), "
                          "and of Kokoro-82M (kokoro:FOLDER)")  # fmt: skip
    return program, voice


def check_voices(names: Iterable[str]) -> None:
    """Make sure that every voice can speak.

    Raises:
        ConfigError: a program is not installed or lacks a voice; the message says what to install.
        InputError: a file of a model cannot be used.
    """
    for name in names:
        program, voice = name_voice(name)
        if program in MODELS:
            _load_model(program, voice)
            continue
        if shutil.which(program) is None:
            raise ConfigError(f"the program {program} is not installed (Debian and Ubuntu: apt-get install {program})")
        listed = _list_flite() if program == "flite" else _list_festival()
        if voice not in listed:
            advice = f" (Debian and Ubuntu: apt-get install {PACKAGES[voice]})" if program == "festival" and voice in PACKAGES else ""
            raise ConfigError(f"--voice {name}: {program} has {', '.join(sorted(listed)) or 'no voices'}{advice}")


def speak(name: str, utterances: Sequence[Utterance]) -> list[tuple[str, ...] | InputError]:
    """Write utterances as recordings; for each, its phones with pauses left out, or why it could not be spoken."""
    program, voice = name_voice(name)
    if program in MODELS:
        say = _load_model(program, voice)
        return [_speak_model(say, one) for one in utterances]
    said = [_speak_flite(voice, one) for one in utterances] if program == "flite" else _speak_festival(voice, utterances)
    return [_spell(sounds, name, one) for sounds, one in zip(said, utterances, strict=True)]


def _list_flite() -> set[str]:
    return set(subprocess.run(["flite", "-lv"], capture_output=True, text=True, check=False).stdout.split(":")[-1].split())


def _list_festival() -> set[str]:
    command = ["festival", "-b", '(format t "%l" (voice.list))']
    return set(subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip("()\n ").split())


def _load_model(program: str, folder: str) -> Callable[[Utterance], tuple[str, ...]]:
    """What speaks; imported here, since other voices can do without torch and onnxruntime."""
    if program == "sphinx":
        from recognizer.data_prep import model_voice

        natives = model_voice.load_voices(folder)
        return lambda one: model_voice.say(natives, one.text, one.path, one.stretch, one.pitch)
    from recognizer.data_prep import kokoro_voice

    voices = kokoro_voice.load_voices(folder)
    return lambda one: kokoro_voice.say(voices, one.text, one.path, one.stretch, one.speaker)  # has pitches of its own


def _speak_model(say: Callable[[Utterance], tuple[str, ...]], one: Utterance) -> tuple[str, ...] | InputError:
    try:
        return say(one)
    except InputError as error:
        return InputError(f"{one.path}: {error}")


def _speak_flite(voice: str, one: Utterance) -> str | InputError:
    base = 100.0 if voice != "slt" else 180.0  # Hz; unit-selection voices ignore it
    command = ["flite", "-voice", voice, "--setf", f"duration_stretch={one.stretch:.3f}", "--setf", f"int_f0_target_mean={base * one.pitch:.1f}"]
    done = subprocess.run([*command, "-ps", "-t", one.text, "-o", str(one.path)], capture_output=True, text=True, check=False)
    if done.returncode or not one.path.exists():
        return _refuse("flite", one, done)
    return done.stdout


def _speak_festival(voice: str, utterances: Sequence[Utterance]) -> list[str | InputError]:
    """All of them by one process, which takes a second to start; an utterance at which it stops is left out and the rest said by another."""
    said: dict[int, str | InputError] = {}
    while len(said) < len(utterances):
        waiting = [number for number in range(len(utterances)) if number not in said]
        lines = [f"(voice_{voice})", FESTIVAL]
        for number in waiting:
            one = utterances[number]
            strings = " ".join(json.dumps(word, ensure_ascii=False) for word in (one.text, str(one.path)))
            lines.append(f"(speak {number} {strings} {one.stretch:.3f} {one.pitch:.3f})\n")
        done = subprocess.run(["festival", "--pipe"], input="\n".join(lines), capture_output=True, text=True, check=False)
        for line in done.stdout.splitlines():
            place, _, sounds = line.partition(" ")
            if place.isdecimal() and int(place) in waiting and utterances[int(place)].path.exists():
                said[int(place)] = sounds
        missing = next((number for number in waiting if number not in said), None)
        if missing is not None:
            said[missing] = _refuse("festival", utterances[missing], done)
    return [said[number] for number in range(len(utterances))]


def _refuse(program: str, one: Utterance, done: subprocess.CompletedProcess[str]) -> InputError:
    reason = " ".join(done.stderr.split())[:200] or f"it ended with status {done.returncode}"
    return InputError(f"{one.path}: {program} could not speak {one.text!r}: {reason}")


def _spell(sounds: str | InputError, name: str, one: Utterance) -> tuple[str, ...] | InputError:
    if isinstance(sounds, InputError):
        return sounds
    sounds = sounds.upper()
    if name == "festival:ked_diphone":
        sounds = sounds.replace("ER R", "ER")  # its lexicon writes the vowel of "bird" so
    phones = [phone for sound in sounds.split() if sound not in SILENT for phone in SPELT.get(sound, sound).split()]
    odd = sorted(set(phones) - PHONES)
    if odd or not phones:
        return InputError(f"{one.path}: {name} gave {', '.join(odd) or 'no phones'} for {one.text!r}")
    return tuple(phones)
