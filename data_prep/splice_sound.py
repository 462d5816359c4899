"""Phrases cut out of recordings, and sentences joined of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from recognizer.data_prep.sound_joints import Setting, join_sounds
from recognizer.data_prep.sound_writer import write_sound
from recognizer.decoding.timing import Span, Token

JOINED = 0.6  # share of the phrases that follow without a pause
PAUSE = 0.25  # seconds at most
LEAD, TAIL = 0.15, 0.25  # seconds that the first sound may begin before its label, and the last end after
LEAST = 0.05  # seconds of a phrase; a shorter one is wrongly aligned
SMOOTHING = 0.02  # seconds over which the energy is taken


class SoundSplicer:
    """Sentences of recorded phrases, in files of one rate and format.

    Args:
        sample_rate: Hz.
        suffix: of the files, as ``.flac``.
    """

    def __init__(self, sample_rate: int, suffix: str) -> None:
        self.sample_rate, self.suffix = sample_rate, suffix

    def cut(self, source: Path, words: Sequence[Sequence[Token]], phrases: Sequence[Span]) -> list[np.ndarray | None]:
        """The sound (N,) of each of the ``phrases``, spans of ``words``; None where it is too short to be one.

        Raises:
            InputError: the recording cannot be read.
        """
        from recognizer.features.audio_file import load_audio

        sound = load_audio(source, self.sample_rate)
        places = find_cuts(sound, self.sample_rate, words)
        pieces = [sound[places[first] : places[last]] for first, last in phrases]
        return [piece if len(piece) >= LEAST * self.sample_rate else None for piece in pieces]

    def write(self, pieces: Sequence[np.ndarray], path: Path, chance: random.Random) -> None:
        """Lay the pieces end to end, with short pauses or none."""
        setting = Setting.draw(chance, len(pieces), PAUSE, JOINED)
        write_sound(path, join_sounds(pieces, self.sample_rate, setting), self.sample_rate)


def find_cuts(sound: np.ndarray, sample_rate: int, words: Sequence[Sequence[Token]]) -> list[int]:
    """Samples of (N,), one more than words: before the first, between any two, and behind the last.

    A spike of CTC says that a sound is there, not where it begins or ends: between the last spike of a word and the first of the
    next, the cut falls where the energy is least.
    """
    energy = np.convolve(np.square(sound, dtype=np.float64), np.ones(round(SMOOTHING * sample_rate)), "same")
    cuts = [max(0, round((words[0][0].start - LEAD) * sample_rate))]
    for before, after in pairwise(words):
        start = min(round(before[-1].start * sample_rate), len(sound) - 1)
        stop = max(start + 1, round(after[0].end * sample_rate))
        cuts.append(start + int(np.argmin(energy[start:stop])))
    return [*cuts, min(len(sound), round((words[-1][-1].end + TAIL) * sample_rate))]
