"""The loss of an attention decoder, alone or beside CTC."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from recognizer.config import Attention, Joint
from recognizer.data.dataset import Batch
from recognizer.models.attention_decoder import AttentionDecoder, Spelling
from recognizer.models.network import Encoded, Network
from recognizer.training.loss import check_finite, mean_over_views
from recognizer.training.objective import TrainingObjective


class AttentionObjective(TrainingObjective):
    """Cross entropy of each label, given the right ones before it, and of the end; with ``Joint`` beside the CTC loss.

    ``ctc_weight * CTC + (1 - ctc_weight) * cross entropy`` (Kim et al. 2017; Watanabe et al. 2017).
    """

    def __init__(self, settings: Attention | Joint) -> None:
        super().__init__()
        self.smoothing = settings.label_smoothing
        self.ctc_weight = settings.ctc_weight if isinstance(settings, Joint) else 0.0

    def forward(self, network: Network, encoded: Encoded, batch: Batch, views: int, generator: np.random.Generator) -> Tensor:
        """As :class:`~recognizer.training.objective.TrainingObjective` says; ``generator`` is not used."""
        assert isinstance(network.head, AttentionDecoder)
        spelling = network.head.spell(encoded.frames, encoded.lengths, batch.targets.repeat(views), batch.target_lengths.repeat(views))
        losses = cross_entropies(spelling, self.smoothing).view(views, -1).mean(dim=0)
        loss = (1 - self.ctc_weight) * check_finite(losses, batch).sum()
        if self.ctc_weight > 0:
            assert encoded.log_probs is not None
            loss = loss + self.ctc_weight * mean_over_views(encoded.log_probs, encoded.lengths, batch, views)
        return loss


def cross_entropies(spelling: Spelling, smoothing: float = 0.0) -> Tensor:
    """Negative log-likelihood of each item's labels and its end (B,), in nats.

    Args:
        spelling: what the decoder says of them.
        smoothing: share of each target that is spread evenly over all labels (Szegedy et al. 2016, section 7).
    """
    right = spelling.log_probs.gather(2, spelling.targets[:, :, None])[:, :, 0]
    if smoothing > 0:
        right = (1 - smoothing) * right + smoothing * spelling.log_probs.mean(dim=2)
    return -(right * spelling.valid).sum(dim=1)
