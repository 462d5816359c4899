"""What stands beyond the encoder where the objective is not CTC alone: a prediction network or an attention decoder."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from recognizer.config.objective import Attention, Joint, Objective, Transducer


class Head(nn.Module, ABC):
    """A part of the network that writes label by label, each by those before it.

    Attributes:
        dim: size C of what its decoder takes of each frame.
    """

    dim: int

    @abstractmethod
    def decoder_input(self, frames: Tensor, log_probs: Tensor | None) -> Tensor:
        """Encoder outputs (B, T, H), and CTC log-probs (B, T, V) if the objective has them, -> what the decoder takes (B, T, C)."""


def has_ctc_output(objective: Objective) -> bool:
    """Whether the network has a CTC output layer over its encoder."""
    return not isinstance(objective, (Transducer, Attention))


def build_head(objective: Objective, dim: int, labels: int) -> Head | None:
    """The head of an objective, None where CTC is all.

    Args:
        objective: the settings.
        dim: size H of the encoder's outputs.
        labels: V, size of the alphabet with label 0, the blank.
    """
    match objective:
        case Transducer():
            from recognizer.models.transducer import TransducerHead

            return TransducerHead(objective, dim, labels)
        case Attention() | Joint():
            from recognizer.models.attention_decoder import AttentionDecoder

            return AttentionDecoder(objective, dim, labels)
        case _:
            return None
