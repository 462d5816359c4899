"""Arrays of different lengths as one tensor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from recognizer.features.reading import to_float


def padded_length(length: int) -> int:
    """A length rounded up to one of eight steps in each octave.

    oneDNN compiles and keeps its kernels for every tensor shape it meets: without the steps, hours of training meet
    thousands of shapes, and both time and memory go there.
    """
    step = max(64, 1 << max(0, (length - 1).bit_length() - 4))
    return -(-length // step) * step


def pad(arrays: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Stored arrays as one zero-padded tensor (B, N) float32, (B, W, H) uint8 or (B, T, 5) float32, with lengths (B,)."""
    lengths = torch.tensor([len(array) for array in arrays])
    whole = [to_float(array) for array in arrays]
    padded = np.zeros((len(whole), padded_length(int(lengths.max())), *whole[0].shape[1:]), dtype=whole[0].dtype)
    for row, array in zip(padded, whole, strict=True):
        row[: len(array)] = array
    return torch.from_numpy(padded), lengths
