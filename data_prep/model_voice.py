"""Voices out of an acoustic model: what recognises speech, turned round.

A recogniser's Gaussians hold how hundreds of speakers pronounce each sound between its neighbours. A likely course of
cepstra for a row of triphones (Tokuda et al. 2000), rendered as sound, passes on what they have heard where their recordings cannot be had.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np

from recognizer.data_prep.pronouncing import pronounce_once
from recognizer.data_prep.sound_writer import write_sound
from recognizer.data_prep.speechocean import PHONES
from recognizer.data_prep.sphinx_model import SILENCE, Position, SphinxModel, load_sphinx_model
from recognizer.data_prep.trajectory import find_trajectory
from recognizer.data_prep.vocoder import RATE, render
from recognizer.errors import ConfigError
from recognizer.lexicon import Pronunciations, load_lexicon

# Mean cepstra of a recording, which models leave out: mean and deviation over 240 of speechocean762 and Kathleen, loudest sample 1.
COLOUR = (61.1, 4.1, 3.1, 5.0, -4.9, -0.3, -3.7, -3.7, -4.7, 0.8, -0.6, -0.2, 2.6)
COLOURS = (4.4, 6.4, 5.9, 7.7, 6.1, 6.7, 6.3, 6.8, 7.0, 5.9, 4.9, 5.1, 4.2)
# Share of noise in what is said; what is not listed is voiced, and what is not a phone is noise.
NOISE = dict.fromkeys(("CH", "F", "HH", "K", "P", "S", "SH", "T", "TH"), 1.0) | {
    "B": 0.2, "D": 0.3, "DH": 0.3, "G": 0.3, "JH": 0.6, "V": 0.4, "Z": 0.6, "ZH": 0.6}  # fmt: skip
BREATH = (0.05, 0.2)  # and that of all voiced sounds, by speaker
PITCHES = ((85.0, 140.0), (150.0, 240.0))  # Hz
PACE = (0.8, 1.2)  # factors of the durations
LEVELS = (0.2, 0.8)  # of the loudest sample
OWN = (0.5, 1.0)  # share of a speaker's own Gaussian in a sound, the rest being all speakers'
ACCENT = (0.3, 1.2)  # how far a speaker's Gaussians are from the most frequent
PAUSE = 0.04  # chance of one between two words
LONGEST = 6.0  # frames of a state of silence, on average
SHAPE = 6.0  # of the gamma distribution of a state's durations
HURRY = 0.35  # deviation of the logarithm of a whole phone's
SPREAD = (0.2, 1.0)  # how far what is said strays from the likeliest course
FLOOR = 0.1  # of a variance, as a share of its mean over all Gaussians


class Voices(NamedTuple):
    """What speakers are made of."""

    model: SphinxModel
    lexicon: Pronunciations


@cache
def load_voices(folder: str) -> Voices:
    """The acoustic model and the pronouncing dictionary in a folder laid out like PocketSphinx's ``model/en-us``: NAME/mdef, NAME.dict.

    Raises:
        ConfigError: it is laid out otherwise.
        InputError: a file in it cannot be used.
    """
    root = Path(folder)
    models, dictionaries = sorted(root.glob("*/mdef")), sorted(root.glob("*.dict"))
    if len(models) != 1 or len(dictionaries) != 1:
        raise ConfigError(f"--voice sphinx:{folder}: must be a folder with one acoustic model (NAME/mdef) and one dictionary (NAME.dict), "
                          "such as model/en-us in the package pocketsphinx of PyPI")  # fmt: skip
    voices = Voices(load_sphinx_model(models[0].parent), load_lexicon(dictionaries[0]))
    odd = PHONES - {*voices.model.phones}
    if odd:
        raise ConfigError(f"--voice sphinx:{folder}: the model lacks the phones {', '.join(sorted(odd))}")
    return voices


def say(voices: Voices, text: str, path: Path, stretch: float, pitch: float) -> tuple[str, ...]:
    """Write a text spoken by one of countless speakers, whom its words and the file's name decide; returns its phones.

    Raises:
        InputError: a word is not in the dictionary.
    """
    chance = np.random.default_rng(crc32(f"{path.stem} {text}".encode()))
    words = [pronounce_once(word, voices.lexicon, chance) for word in text.split()]
    cepstra, noise = _plan(voices.model, words, stretch * chance.uniform(*PACE), chance)
    cepstra += chance.normal(COLOUR, COLOURS) - cepstra.mean(axis=0)
    samples = render(cepstra, noise, _intone(len(cepstra), chance) * pitch, voices.model.scale, chance)
    write_sound(path, samples * chance.uniform(*LEVELS) / max(np.abs(samples).max(), 1e-9), RATE)
    return tuple(phone for word in words for phone in word)


def _intone(frames: int, chance: np.random.Generator) -> np.ndarray:
    """Hz by frame: falling, with a bend about every quarter of a second."""
    bends = chance.standard_normal(2 + frames // 25)
    sways = np.interp(np.linspace(0, 1, frames), np.linspace(0, 1, len(bends)), bends)
    return chance.uniform(*PITCHES[chance.integers(2)]) * np.exp(0.12 - 0.28 * np.linspace(0, 1, frames) + 0.12 * sways)


def _plan(model: SphinxModel, words: Sequence[Sequence[str]], pace: float, chance: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Cepstra (frames, COEFFICIENTS) whose mean is anywhere, and the share of noise in each frame."""
    whims = chance.gumbel(size=model.means[:, 0, :, 0].shape) * chance.uniform(*ACCENT)  # one speaker prefers the same Gaussians throughout
    own, breath = chance.uniform(*OWN), chance.uniform(*BREATH)
    floors = model.variances.mean(axis=(0, 2)) * FLOOR
    means, variances, noise = [], [], []
    for phone, mixtures, stay in _states(model, words, chance):
        name = model.phones[phone]
        lengthened = pace * chance.lognormal(0.0, HURRY)
        for mixture, loop in zip(mixtures, stay, strict=True):
            weights = model.weights[:, :, mixture, None]
            mean = (weights * model.means[phone]).sum(axis=1)
            variance = (weights * (model.variances[phone] + model.means[phone] ** 2)).sum(axis=1) - mean**2
            chosen = np.argmax(np.log(weights[0, :, 0] + 1e-12) + whims[phone])
            mean[0] += own * (model.means[phone, 0, chosen] - mean[0])
            variance[0] = model.variances[phone, 0, chosen]
            lasts = 1 / (1 - min(loop, 0.97))
            frames = max(1, round(chance.gamma(SHAPE, (min(lasts, LONGEST) if name == SILENCE else lasts) * lengthened / SHAPE)))
            means += [mean] * frames
            variances += [np.maximum(variance, floors)] * frames
            noise += [max(breath, NOISE.get(name, 0.0 if name in PHONES else 1.0))] * frames
    return find_trajectory(np.stack(means), np.stack(variances), chance, chance.uniform(*SPREAD)), np.array(noise)


def _states(model: SphinxModel, words: Sequence[Sequence[str]], chance: np.random.Generator) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """Each phone's number, the mixtures of its states between its neighbours, the chances of staying; silence at both ends and at times between."""
    silence = model.phones.index(SILENCE)
    row: list[tuple[int, Position | None]] = [(silence, None)]
    for number, word in enumerate(words):
        if number and chance.random() < PAUSE:
            row.append((silence, None))
        for place, name in enumerate(word):
            ends = (place == 0) + 2 * (place == len(word) - 1)  # as Position counts
            row.append((model.phones.index(name), Position(ends)))
    row.append((silence, None))
    states = []
    for number, (phone, position) in enumerate(row):
        if position is None:
            sequence, matrix = model.triphones[(phone,)]
            states.append((phone, model.sequences[sequence], model.stay[matrix]))
        else:
            states.append((phone, *model.states(phone, row[number - 1][0], row[number + 1][0], position)))
    return states
