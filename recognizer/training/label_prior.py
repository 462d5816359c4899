"""CTC whose labels are weighed by how many frames they have, so that the blank does not take all but a few."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from recognizer.data.dataset import Batch
from recognizer.models.batch_share import sum_over_batch
from recognizer.models.masking import valid_frames
from recognizer.models.network import Encoded, Network
from recognizer.training.loss import ctc_losses
from recognizer.training.objective import TrainingObjective

MEMORY = 100  # batches that the running mean of the priors goes back
LEAST = 1e-6  # a prior is not taken for less: a label that has hardly been seen is not to be all that counts


class LabelPriorObjective(TrainingObjective):
    """CTC of probabilities divided by a power of each label's prior (Huang et al. 2024, "Less peaky and more accurate CTC forced alignment").

    A path's probability p(path) becomes p(path) / prior(path) ** weight, so that of the paths that read the transcript those with few
    blanks, which are frequent, are learnt. The prior of a label is the mean of its probability over all frames of the last batches; that of
    the first batch is uniform, which changes nothing. It serves training alone: where the gradient vanishes, the network's own
    probabilities are each label's share of such paths, and are decoded and aligned as they are.

    The loss is below 0 where priors weigh more than probabilities.

    Args:
        weight: the power, 0 for CTC as usual.
        labels: V.

    Attributes:
        prior: (V,) running mean.
        batches: how many it has seen.
    """

    prior: Tensor
    batches: Tensor

    def __init__(self, weight: float, labels: int) -> None:
        super().__init__()
        self.weight = weight
        self.register_buffer("prior", torch.full((labels,), 1 / labels))
        self.register_buffer("batches", torch.zeros((), dtype=torch.long))

    def forward(self, network: Network, encoded: Encoded, batch: Batch, views: int, generator: np.random.Generator) -> Tensor:
        """The loss with the priors of the batches before; then these learn from this one."""
        assert encoded.log_probs is not None
        rows = zip(encoded.log_probs.chunk(views), encoded.lengths.chunk(views), strict=True)
        loss = torch.stack([prior_losses(*view, batch, self.weight * self.prior.log()).sum() for view in rows]).mean()
        self._learn(encoded.log_probs.detach(), encoded.lengths)
        return loss

    def _learn(self, log_probs: Tensor, lengths: Tensor) -> None:
        frames = valid_frames(lengths, log_probs.shape[1])
        sums = (log_probs.exp() * frames.unsqueeze(2)).sum(dim=(0, 1))
        together = sum_over_batch(torch.cat([sums, frames.sum().to(sums)[None]]))  # also of other processes
        mean = together[:-1] / together[-1]
        self.batches += 1
        share = max(1 / MEMORY, 1 / int(self.batches))  # at first the mean of all batches
        self.prior.lerp_(mean.to(self.prior), share).clamp_(min=LEAST)


def prior_losses(log_probs: Tensor, lengths: Tensor, batch: Batch, log_prior: Tensor) -> Tensor:
    """Minus the log of the sum, over the paths that read each item's labels, of p(path) / prior(path); (B,).

    Args:
        log_probs: (B, T, V), normalized.
        lengths: (B,) frames of each item.
        batch: its targets.
        log_prior: (V,) of each label, in nats.

    Raises:
        TrainingError: a loss is not finite; the message names the items.
    """
    # torch's gradient of the CTC loss is right for normalized log-probs only: what is taken from a frame to make it so is given back
    scores = log_probs - log_prior.to(log_probs)
    totals = scores.logsumexp(dim=2)
    losses = ctc_losses(scores - totals.unsqueeze(2), lengths, batch)
    return losses - (totals * valid_frames(lengths, totals.shape[1])).sum(dim=1)
