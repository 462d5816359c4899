"""How far the network's answers to two noisy views of the same items lie apart."""

from __future__ import annotations

from torch import Tensor

from recognizer.models.masking import valid_frames


def divergences(log_probs: Tensor, lengths: Tensor) -> Tensor:
    """Mean of both Kullback-Leibler divergences between two views of each item, summed over its frames (B,), in nats.

    Views of an item differ by dropout and, of recordings, by their masks. Each learns from the other as from a teacher, through
    which no gradient flows: what one mask hides, the other view tells. It keeps a network from learning few speakers by heart, and
    CTC from answering in lone spikes (CR-CTC, Yao et al. 2025, section 3).

    Args:
        log_probs: (2 B, T, V); item i is seen at rows i and B + i, frame by frame alike.
        lengths: (2 B,).
    """
    one, other = log_probs.chunk(2)
    apart = _divergence(one.detach(), other) + _divergence(other.detach(), one)
    return (apart * valid_frames(lengths.chunk(2)[0], log_probs.shape[1])).sum(dim=1) / 2


def _divergence(teacher: Tensor, learner: Tensor) -> Tensor:
    return (teacher.exp() * (teacher - learner)).sum(dim=2)
