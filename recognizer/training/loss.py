"""The CTC loss of a batch, and the divergence of two views of it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from recognizer.data.dataset import Batch, UnitTargets
from recognizer.errors import TrainingError
from recognizer.models.masking import valid_frames


def ctc_losses(log_probs: Tensor, lengths: Tensor, batch: Batch) -> Tensor:
    """Negative log-likelihood of each item's labels (B,), in nats (Graves et al. 2006, section 4).

    Args:
        log_probs: (B, T, V) float32, blank at label 0.
        lengths: (B,) frames of each item.
        batch: its targets.

    Raises:
        TrainingError: a loss is not finite; the message names the items. Nothing is zeroed or skipped, because such a
            loss means wrong data or a diverged model, and both want a person.
    """
    losses = functional.ctc_loss(log_probs.transpose(0, 1), batch.targets, lengths.cpu(), batch.target_lengths, blank=0, reduction="none")
    return check_finite(losses, batch)


def check_finite(losses: Tensor, batch: Batch) -> Tensor:
    """The losses (B,) of a batch as they are, or a TrainingError that names the items of those which are not finite."""
    finite = torch.isfinite(losses.detach()).tolist()
    if not all(finite):
        failed = ", ".join(item_id for item_id, fine in zip(batch.ids, finite, strict=True) if not fine)
        advice = "lower trainer.learning_rate or look at these items"
        raise TrainingError(f"the loss is not finite for {failed} (batch of {', '.join(batch.ids)}); {advice}")
    return losses


def mean_over_views(log_probs: Tensor, lengths: Tensor, batch: Batch, views: int) -> Tensor:
    """The sum over the batch of each item's CTC loss, averaged over its views; a scalar.

    Args:
        log_probs: (views * B, T, V); view k of item i stands at row k * B + i.
        lengths: (views * B,).
    """
    losses = [ctc_losses(*view, batch).sum() for view in zip(log_probs.chunk(views), lengths.chunk(views), strict=True)]
    return torch.stack(losses).mean()


def unit_loss(log_probs: Tensor, lengths: Tensor, units: UnitTargets, views: int) -> Tensor:
    """As :func:`mean_over_views`, of the second output: items without units, or with more than their frames have room for, count nothing.

    Args:
        log_probs: (views * B, T, U).
        lengths: (views * B,).
        units: of the batch.
        views: of each item.
    """
    losses = functional.ctc_loss(
        log_probs.transpose(0, 1), units.labels.repeat(views), lengths.cpu(), units.lengths.repeat(views), reduction="none", zero_infinity=True
    )
    return (losses * units.known.repeat(views)).sum() / views


def view_divergences(log_probs: Tensor, lengths: Tensor) -> Tensor:
    """Mean of both Kullback-Leibler divergences between two views of each item, summed over its frames (B,), in nats.

    Views of an item differ by dropout and, of recordings, by their masks. Each is trained towards the other, which is held
    constant: no gradient flows through the target. It regularizes the network, and keeps CTC from peaking in single frames
    (CR-CTC, Yao et al. 2025, section 3).

    Args:
        log_probs: (2 B, T, V); the views of item i stand at rows i and B + i, frame by frame alike.
        lengths: (2 B,).
    """
    one, other = log_probs.chunk(2)
    both = _divergence(one.detach(), other) + _divergence(other.detach(), one)
    return (both * valid_frames(lengths.chunk(2)[0], log_probs.shape[1])).sum(dim=1) / 2


def _divergence(target: Tensor, trained: Tensor) -> Tensor:
    return (target.exp() * (target - trained)).sum(dim=2)
