"""What training minimizes: the loss of a batch, for each objective that the settings can name."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from torch import Tensor, nn

from recognizer.config import Attention, Ctc, Joint, MinimumRisk, TrainConfig, Transducer
from recognizer.data.dataset import Batch
from recognizer.models.network import Encoded, Network
from recognizer.text.alphabet import Alphabet
from recognizer.training.loss import mean_over_views


class TrainingObjective(nn.Module, ABC):
    """The loss of a batch. It has no weights, but may keep tensors (buffers) that change in training; checkpoints hold them."""

    @abstractmethod
    def forward(self, network: Network, encoded: Encoded, batch: Batch, views: int, generator: np.random.Generator) -> Tensor:
        """The sum over the batch of each item's loss in nats, averaged over its views; a scalar.

        Args:
            network: in training mode.
            encoded: of the batch; view k of item i stands at row k * B + i.
            batch: its targets.
            views: how often each item is in ``encoded``; more than once with CR-CTC only.
            generator: the only source of chance besides torch's, which is seeded alike: both follow from seed, epoch and batch.

        Raises:
            TrainingError: a loss is not finite; the message names the items.
        """


class CtcObjective(TrainingObjective):
    """Connectionist temporal classification (Graves et al. 2006)."""

    def forward(self, network: Network, encoded: Encoded, batch: Batch, views: int, generator: np.random.Generator) -> Tensor:
        """Negative log-likelihood of the labels, summed over all paths."""
        assert encoded.log_probs is not None
        return mean_over_views(encoded.log_probs, encoded.lengths, batch, views)


def build_objective(config: TrainConfig, alphabet: Alphabet) -> TrainingObjective:
    """The loss that ``config.objective`` names.

    Args:
        config: of the run.
        alphabet: of the labels.
    """
    match config.objective:
        case Transducer():
            from recognizer.training.transducer_loss import TransducerObjective

            return TransducerObjective(config.objective)
        case Attention() | Joint():
            from recognizer.training.attention_loss import AttentionObjective

            return AttentionObjective(config.objective)
        case MinimumRisk():
            from recognizer.training.minimum_risk import MinimumRiskObjective

            return MinimumRiskObjective(config, alphabet)
        case Ctc(label_prior=weight) if weight > 0:
            from recognizer.training.label_prior import LabelPriorObjective

            return LabelPriorObjective(weight, len(alphabet))
        case _:
            return CtcObjective()
