"""Acoustic models of CMU Sphinx: which Gaussian mixture each state of each triphone has."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from recognizer.errors import InputError

STREAMS = 3  # cepstra, their differences, the differences of those
COEFFICIENTS = 13
SILENCE = "SIL"
STEP = 1024 * np.log(1.0001)  # of the logarithms of the mixture weights, a byte each
PARTS = {"-feat": "1s_c_d_dd", "-svspec": "0-12/13-25/26-38", "-transform": "dct", "-lifter": "22"}  # what the rest of this package takes for granted
Parsed = TypeVar("Parsed")

_MARK = 0x11223344
_TRIPHONE = np.dtype([("sequence", "<i4"), ("matrix", "<i4"), ("position", "u1"), ("context", "u1", 3)])


class Position(IntEnum):
    """Where in its word a phone stands, as the models number it."""

    INSIDE = 0
    FIRST = 1
    LAST = 2
    ALONE = 3


class MelScale(NamedTuple):
    """The filters that the cepstra are of."""

    filters: int
    lowest: float  # Hz
    highest: float  # Hz


@dataclass(frozen=True)
class SphinxModel:
    """Phonetically tied mixtures: the states of all triphones of a phone share its Gaussians and differ in their weights.

    Attributes:
        phones: names; silence and noises are among them.
        means: of the Gaussians, (phones, STREAMS, densities, COEFFICIENTS), of cepstra whose mean over the recording was taken off.
        variances: likewise.
        weights: (STREAMS, densities, mixtures), summing to one over the densities.
        stay: the chance of staying in a state for another frame, (matrices, states).
        sequences: mixtures of the states, (kinds of triphones, states).
        triphones: row of ``sequences`` and of ``stay`` by (phone, phone before, phone after, position); by phone alone where it stands for all.
        scale: what the cepstra are of.
    """

    phones: tuple[str, ...]
    means: np.ndarray
    variances: np.ndarray
    weights: np.ndarray
    stay: np.ndarray
    sequences: np.ndarray
    triphones: dict[tuple[int, ...], tuple[int, int]]
    scale: MelScale

    def states(self, phone: int, before: int, after: int, position: Position) -> tuple[np.ndarray, np.ndarray]:
        """Mixtures of a triphone's states, and the chances of staying in them; another position's, or the bare phone's, where it was never seen."""
        for place in (position, *Position):
            if (phone, before, after, place) in self.triphones:
                sequence, matrix = self.triphones[phone, before, after, place]
                break
        else:
            sequence, matrix = self.triphones[(phone,)]
        return self.sequences[sequence], self.stay[matrix]


def load_sphinx_model(folder: str | Path) -> SphinxModel:
    """Read the folder of a model (``mdef``, ``means``, ``variances``, ``sendump``, ``transition_matrices``, ``feat.params``).

    The layouts are those that PocketSphinx 5 reads (``bin_mdef.c``, ``ms_gauden.c``, ``ptm_mgau.c``, ``tmat.c``), little-endian.

    Raises:
        InputError: a file cannot be read, is damaged, or holds a model of another kind; the file is named.
    """
    folder = Path(folder)
    scale = _read_scale(folder / "feat.params")
    phones, triphones, sequences, mixtures = _parse(folder / "mdef", _read_definition)
    means, variances = (_parse(folder / name, _read_gaussians) for name in ("means", "variances"))
    stay = _parse(folder / "transition_matrices", _read_transitions)
    if means.shape != variances.shape or means.shape[0] != len(phones):
        raise InputError(f"{folder}: {means.shape[0]} sets of Gaussians for {len(phones)} phones; only models with one for each (ptm) can be used")
    size = (STREAMS, means.shape[2], mixtures)
    weights = _parse(folder / "sendump", lambda content: _read_weights(content, size))
    return SphinxModel(phones, means, variances, weights, stay, sequences, triphones, scale)


def _parse(path: Path, read: Callable[[bytes], Parsed]) -> Parsed:
    try:
        return read(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, IndexError, struct.error, UnicodeDecodeError):
        raise InputError(f"{path}: is damaged, or not of a Sphinx model with phonetically tied mixtures") from None


def _read_scale(path: Path) -> MelScale:
    try:
        pairs = dict(line.split() for line in path.read_text("utf-8").splitlines() if line.strip())
        found = MelScale(int(pairs["-nfilt"]), float(pairs["-lowerf"]), float(pairs["-upperf"]))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError) as error:
        raise InputError(f"{path}: is not a list of settings with -nfilt, -lowerf and -upperf ({error})") from None
    for name, value in PARTS.items():
        if pairs.get(name) != value:
            raise InputError(f"{path}: {name} is {pairs.get(name, 'missing')}; only {value} can be used")
    return found


def _read_definition(content: bytes) -> tuple[tuple[str, ...], dict[tuple[int, ...], tuple[int, int]], np.ndarray, int]:
    if content[:4] != b"BMDF":
        raise ValueError("not a definition in binary form")
    place = 12 + struct.unpack_from("<i", content, 8)[0]  # what the format is stands here in words
    phones, entries, states, _, mixtures, _, kinds, _, branches, _ = struct.unpack_from("<10i", content, place)
    place += 40
    names, end = [], place
    for _ in range(phones):
        start, end = end, content.index(b"\0", end) + 1
        names.append(content[start : end - 1].decode())
    place += (end - place + 3) // 4 * 4 + 8 * branches  # the tree finds what a dictionary finds too
    table = np.frombuffer(content, _TRIPHONE, entries, place)
    sequences = np.frombuffer(content, "<u2", kinds * states, place + table.nbytes + 4).reshape(kinds, states)
    rows = list(zip(table["sequence"].tolist(), table["matrix"].tolist(), strict=True))
    known: dict[tuple[int, ...], tuple[int, int]] = {(phone,): rows[phone] for phone in range(phones)}
    contexts, positions = table["context"].tolist(), table["position"].tolist()
    known.update(((*contexts[row], positions[row]), rows[row]) for row in range(phones, entries))
    if SILENCE not in names or sequences.max(initial=0) >= mixtures or states < 1:
        raise ValueError("numbers do not agree")
    return tuple(names), known, sequences, mixtures


def _read_numbers(content: bytes, axes: int) -> tuple[tuple[int, ...], bytes]:
    """The sizes at the beginning of a file of parameters, and what follows."""
    place = content.index(b"endhdr\n") + 7
    mark, *sizes = struct.unpack_from(f"<I{axes}i", content, place)
    if mark != _MARK:
        raise ValueError("numbers in another order of bytes")
    return tuple(sizes), content[place + 4 + 4 * axes :]


def _read_gaussians(content: bytes) -> np.ndarray:
    sizes, rest = _read_numbers(content, 3)
    if sizes[1] != STREAMS or struct.unpack_from(f"<{STREAMS}i", rest) != (COEFFICIENTS,) * STREAMS:
        raise ValueError("other streams")
    shape = (*sizes, COEFFICIENTS)
    return np.frombuffer(rest, "<f4", int(np.prod(shape)), 4 * STREAMS + 4).reshape(shape).astype(np.float64)


def _read_transitions(content: bytes) -> np.ndarray:
    sizes, rest = _read_numbers(content, 4)
    counts = np.frombuffer(rest, "<f4", sizes[3]).reshape(sizes[:3]).astype(np.float64)
    return np.diagonal(counts / counts.sum(axis=2, keepdims=True), axis1=1, axis2=2)


def _read_weights(content: bytes, size: tuple[int, int, int]) -> np.ndarray:
    count = int(np.prod(size))  # bytes at the end, after a preamble in words
    steps = np.frombuffer(content, np.uint8, count, len(content) - count).reshape(size)
    weights = np.exp(steps.astype(np.float32) * np.float32(-STEP))
    return weights / weights.sum(axis=1, keepdims=True)
