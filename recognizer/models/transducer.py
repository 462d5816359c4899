"""The part of a transducer beyond the encoder: a prediction network over the labels written so far, joined to each frame."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from recognizer.config.objective import Transducer
from recognizer.models.encoder import VariationalDropout
from recognizer.models.heads import Head

FRAME_OUTPUT = "head.joint.frame_output."  # how the weights that score the labels of a frame alone are named in a network with the additive joint
State = tuple[Tensor, Tensor]  # of the prediction network after some labels: h and c, each (1, N, H)


class TransducerHead(Head):
    """Scores each label in each frame by the frame and by the labels written before (Graves 2012, section 2).

    An LSTM, the prediction network, reads the labels; its output after u of them and frame t of the encoder are projected to
    vectors p(u) and f(t) of C numbers, and the joint network makes of both the logits of the V labels, label 0 being the blank:

    * ``additive``: f(t) + p(u) with C = V, so that h(k, t, u) = exp(f + p) (Graves 2012, equations 12 and 13);
    * ``tanh``: W tanh(f(t) + p(u)) + b (Graves, Mohamed & Hinton 2013, section 4, equations 15 to 17).

    Labels are read as embeddings, not as one-hot vectors; that of label 0, which no text has, stands for the beginning.

    Args:
        settings: which joint, sizes and dropout.
        dim: size of the encoder's outputs.
        labels: V.

    Attributes:
        dim: C.
    """

    def __init__(self, settings: Transducer, dim: int, labels: int) -> None:
        super().__init__()
        self.settings, self.labels = settings, labels
        self.embedding = nn.Embedding(labels, settings.embedding_size)
        self.prediction = nn.LSTM(settings.embedding_size, settings.prediction_size, batch_first=True)
        self.dropout = VariationalDropout(settings.dropout)
        self.dim = labels if settings.joint == "additive" else settings.joint_size
        self._part = "output" if settings.joint == "additive" else "hidden"  # layers named output have a row a label
        layers = {f"frame_{self._part}": nn.Linear(dim, self.dim), f"label_{self._part}": nn.Linear(settings.prediction_size, self.dim)}
        if settings.joint == "tanh":
            layers["output"] = nn.Linear(self.dim, labels)
        self.joint = nn.ModuleDict(layers)

    @property
    def frame_layer(self) -> nn.Module:
        """From a frame of the encoder to f(t)."""
        return self.joint[f"frame_{self._part}"]

    @property
    def label_layer(self) -> nn.Module:
        """From the prediction network to p(u)."""
        return self.joint[f"label_{self._part}"]

    @property
    def joint_width(self) -> int:
        """Numbers that the joint network computes for each pair of a frame and a place in the text."""
        return max(self.dim, self.labels)

    def decoder_input(self, frames: Tensor, log_probs: Tensor | None = None) -> Tensor:
        """Encoder outputs (B, T, H) -> f(t), (B, T, C) float32 whatever the autocast precision."""
        with torch.autocast(frames.device.type, enabled=False):
            projected: Tensor = self.frame_layer(frames.float() if frames.dtype == torch.bfloat16 else frames)
            return projected

    def predict(self, labels: Tensor) -> Tensor:
        """Labels (B, U), padded with anything behind -> p(u) after 0 to U of them, (B, U + 1, C); no output depends on labels behind it."""
        with torch.autocast(labels.device.type, enabled=False):
            predicted: Tensor = self.label_layer(self.read(labels))
            return predicted

    def read(self, labels: Tensor) -> Tensor:
        """Outputs of the prediction network (B, U + 1, H) after 0 to U of the labels (B, U)."""
        with torch.autocast(labels.device.type, enabled=False):
            outputs, _ = self.prediction(self.dropout(self.embedding(functional.pad(labels, (1, 0)))))
            dropped: Tensor = self.dropout(outputs)
            return dropped

    def step(self, labels: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """p after one more label each (N,), 0 at the beginning, and the state after it -> (N, C)."""
        outputs, after = self.prediction(self.dropout(self.embedding(labels[:, None])), state)
        return self.label_layer(self.dropout(outputs))[:, 0], after

    def join(self, frames: Tensor, predicted: Tensor) -> Tensor:
        """f(t) and p(u), (..., C) that broadcast -> logits (..., V); their softmax is the probability of each label."""
        if self.settings.joint == "additive":
            return frames + predicted
        logits: Tensor = self.joint["output"](torch.tanh(frames + predicted))
        return logits
