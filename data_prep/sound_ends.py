"""The ends of a recording, cut off by level: as programs do that wait for sound, which take the s off a six with the silence before it."""

from __future__ import annotations

import numpy as np

FRAME = 0.02  # seconds of which the level is taken
SHORTEST = 0.08  # seconds that stay in any case


def cut_ends(sound: np.ndarray, sample_rate: int, depth_db: float) -> np.ndarray:
    """What lies between the first and the last frame that is at most ``depth_db`` quieter than the loudest.

    Args:
        sound: (N,) float32.
        sample_rate: Hz.
        depth_db: of the frames' RMS, 0 or more.

    Returns:
        A view of ``sound``, all of it where it is shorter than 0.08 s or silent.
    """
    size, shortest = max(1, round(FRAME * sample_rate)), round(SHORTEST * sample_rate)
    if len(sound) <= shortest:
        return sound
    starts = np.arange(0, len(sound), size)
    energy = np.add.reduceat(np.square(sound, dtype=np.float64), starts) / np.diff([*starts, len(sound)])
    loud = np.flatnonzero(energy >= energy.max() * 10 ** (-depth_db / 10))
    first, last = int(starts[loud[0]]), min(int(starts[loud[-1]]) + size, len(sound))
    if last - first < shortest:
        first = min(max(0, (first + last - shortest) // 2), len(sound) - shortest)
        last = first + shortest
    return sound[first:last]
