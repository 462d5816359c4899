"""Saliency: which parts of the input the recognised labels hang on (gradients by the input: Simonyan et al. 2014)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from recognizer.decoding.alignment import Alignment


def emission_frames(log_probs: np.ndarray, alignment: Alignment) -> list[int]:
    """Of each aligned label the frame of its run in which log-probs (T, V) give it most."""
    runs = zip(alignment.labels, alignment.starts, alignment.stops, strict=True)
    return [start + int(log_probs[start:stop, label].argmax()) for label, start, stop in runs]


def saliency(features: Tensor, log_probs: Tensor, labels: Sequence[int], frames: Sequence[int]) -> np.ndarray:
    """The gradient of the sum of some labels' log-probabilities, each in its frame, by the features.

    Args:
        features: (1, N, D), that log-probs were computed from with gradient.
        log_probs: (1, T, V).
        labels: labels >= 1.
        frames: as many frames of log-probs.

    Returns:
        (N, D), zeros where there are no labels.
    """
    total = log_probs[0, torch.tensor(frames, dtype=torch.long), torch.tensor(labels, dtype=torch.long)].sum()
    (gradient,) = torch.autograd.grad(total, features, retain_graph=True)
    return gradient[0].cpu().numpy()


def reach(norms: np.ndarray, centre: float, share: float) -> float:
    """Frames on either side of ``centre`` within which ``share`` of a gradient's norms (N,) lies.

    The norm of frame n lies at n + 1/2. Where all are zero the reach is 0.
    """
    total = norms.sum()
    if total <= 0:
        return 0.0
    distances = np.abs(np.arange(len(norms)) + 0.5 - centre)
    order = np.argsort(distances, kind="stable")
    held = np.cumsum(norms[order])
    return float(distances[order][min(int(np.searchsorted(held, share * total)), len(norms) - 1)])
