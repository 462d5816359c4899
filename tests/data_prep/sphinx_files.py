"""A small acoustic model in the files of CMU Sphinx, written from their layouts: every phone sounds like itself, whatever stands around it."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from scipy.fft import dct

from recognizer.data_prep.speechocean import PHONES
from recognizer.data_prep.sphinx_model import COEFFICIENTS, STREAMS

NAMES = ("SIL", *sorted(PHONES))
DENSITIES = 2
STATES = 3
EDGES = 700 * (10 ** (np.linspace(2595 * np.log10(1 + 130 / 700), 2595 * np.log10(1 + 6800 / 700), 27) / 2595) - 1)  # of the filters, Hz
LIFTER = 1 + 11 * np.sin(np.pi * np.arange(COEFFICIENTS) / 22)
SETTINGS = "-lowerf 130\n-upperf 6800\n-nfilt 25\n-transform dct\n-lifter 22\n-feat 1s_c_d_dd\n-svspec 0-12/13-25/26-38\n-cmn batch\n"


def write_model(folder: Path, triphones: tuple[tuple[str, str, str, int, tuple[int, ...]], ...] = ()) -> np.ndarray:
    """Write a model of ``NAMES``, and of triphones (phone, before, after, position, mixtures); returns the phones' cepstra (phones, 13)."""
    folder.mkdir(parents=True)
    chance = np.random.default_rng(3)
    sounds = np.zeros((len(NAMES), COEFFICIENTS))
    codes = chance.permutation(3**6)[: len(NAMES), None]  # no two phones alike
    sounds[:, 1:7] = (codes // 3 ** np.arange(6) % 3 - 1) * 12.0
    means = np.zeros((len(NAMES), STREAMS, DENSITIES, COEFFICIENTS))
    means[:, 0] = sounds[:, None]
    (folder / "feat.params").write_text(SETTINGS)
    (folder / "means").write_bytes(_gaussians(means))
    (folder / "variances").write_bytes(_gaussians(np.ones_like(means)))
    (folder / "mdef").write_bytes(definition(triphones))
    mixtures = STATES * len(NAMES) + 2
    (folder / "sendump").write_bytes(b"\x05\0\0\0what\0" + np.zeros((STREAMS, DENSITIES, mixtures), np.uint8).tobytes())
    matrices = np.zeros((len(NAMES), STATES, STATES + 1))
    for state in range(STATES):
        matrices[:, state, state : state + 2] = 3.0, 1.0  # four frames
    (folder / "transition_matrices").write_bytes(_head(*matrices.shape, matrices.size) + matrices.astype("<f4").tobytes())
    (folder.parent / "words.dict").write_text("sad S AE D\nsad(2) S AA D\nmoon M UW N\nyes Y EH S\n")
    return sounds


def definition(triphones: tuple[tuple[str, str, str, int, tuple[int, ...]], ...]) -> bytes:
    """The file ``mdef``."""
    sequences = [tuple(range(STATES * phone, STATES * phone + STATES)) for phone in range(len(NAMES))] + [triphone[4] for triphone in triphones]
    count = len(NAMES) + len(triphones)
    words = b"FORMAT\0"
    content = b"BMDF" + struct.pack("<2i", 1, len(words)) + words
    content += struct.pack("<10i", len(NAMES), count, STATES, 0, STATES * len(NAMES) + 2, len(NAMES), len(sequences), 3, 2, 0)
    names = b"".join(name.encode() + b"\0" for name in NAMES)
    content += names + b"\0" * (-len(names) % 4) + b"tree" * 4  # two branches of eight bytes
    for number in range(len(NAMES)):
        content += struct.pack("<2i4B", number, number, 0, 0, 0, 0)
    for number, (phone, before, after, position, _) in enumerate(triphones):
        context = (NAMES.index(name) for name in (phone, before, after))
        content += struct.pack("<2i4B", len(NAMES) + number, NAMES.index(phone), position, *context)
    return content + struct.pack("<i", len(sequences) * STATES) + np.array(sequences, "<u2").tobytes()


def find_cepstra(samples: np.ndarray) -> np.ndarray:
    """Cepstra (frames, COEFFICIENTS) of samples in [-1, 1] at 16 kHz with these settings, as CMU Sphinx makes them, noise left in."""
    sharp = np.append(samples[:1], samples[1:] - 0.97 * samples[:-1]) * 32768
    windows = np.lib.stride_tricks.sliding_window_view(sharp, 410)[::160] * np.hamming(410)
    hertz = np.arange(257) * 16_000 / 512
    low, middle, high = (EDGES[start : start + 25, None] for start in range(3))
    filters = np.minimum((hertz - low) / (middle - low), (high - hertz) / (high - middle)).clip(0) * 2 / (high - low)
    energies = np.log(np.abs(np.fft.rfft(windows, 512)) ** 2 @ filters.T + 1e-4)
    return dct(energies, norm="ortho")[:, :COEFFICIENTS] * LIFTER


def _gaussians(values: np.ndarray) -> bytes:
    phones, streams, densities, size = values.shape
    sizes = struct.pack(f"<{streams + 1}i", *[size] * streams, values.size)
    return _head(phones, streams, densities) + sizes + values.astype("<f4").tobytes()


def _head(*sizes: int) -> bytes:
    return b"s3\nversion 1.0\nendhdr\n" + struct.pack(f"<I{len(sizes)}i", 0x11223344, *sizes)
