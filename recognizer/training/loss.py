"""The CTC loss of a batch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from recognizer.data.dataset import Batch
from recognizer.errors import TrainingError


def ctc_losses(log_probs: Tensor, lengths: Tensor, batch: Batch) -> Tensor:
    """Negative log-likelihood of each item's labels (B,), in nats (Graves et al. 2006, section 4).

    Args:
        log_probs: (B, T, V) float32, blank at label 0; ``lengths`` (B,).

    Raises:
        TrainingError: a loss is not finite; the message names the items. Nothing is zeroed or skipped, because such a
            loss means wrong data or a diverged model, and both want a person.
    """
    losses = functional.ctc_loss(
        log_probs.transpose(0, 1), batch.targets, lengths.cpu(), batch.target_lengths, blank=0, reduction="none"
    )
    finite = torch.isfinite(losses.detach()).tolist()
    if not all(finite):
        guilty = [item_id for item_id, fine in zip(batch.ids, finite, strict=True) if not fine]
        advice = "lower trainer.learning_rate or look at these items"
        raise TrainingError(f"the loss is not finite for {', '.join(guilty)} (batch of {', '.join(batch.ids)}); {advice}")
    return losses
