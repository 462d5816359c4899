"""Typed settings of what training minimizes, and of the parts of the network that stand beyond the encoder for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from recognizer.config.schema import require, require_each, require_not_negative, require_shares


@dataclass(frozen=True)
class Ctc:
    """The negative log-likelihood of the labels, summed over all paths with blanks (Graves et al. 2006)."""

    kind: Literal["ctc"] = "ctc"
    label_prior: float = 0.0  # power of each label's share of the frames that its probabilities are divided by, in training only;
    # published to give fewer blanks and better times of `align` (Huang et al. 2024), not measured here; 0: none

    def __post_init__(self) -> None:
        require_shares(self, "label_prior")


@dataclass(frozen=True)
class Transducer:
    """A prediction network joined to the encoder: what is written next depends on what was written (Graves 2012)."""

    kind: Literal["transducer"] = "transducer"
    joint: Literal["additive", "tanh"] = "tanh"  # sum of both networks' outputs (Graves 2012), or a hidden layer over both (Graves et al. 2013)
    joint_size: int = 256  # units of that hidden layer
    embedding_size: int = 64  # of a label, as the prediction network reads it
    prediction_size: int = 256  # cells of the prediction network, an LSTM
    dropout: float = 0.0  # of labels' embeddings and of the prediction network's outputs
    prediction_epochs: int = 0  # before training: epochs in which the prediction network learns to predict the next label of the training texts
    max_joint_elements: int = 1 << 24  # most numbers in a tensor over frames, labels and outputs; an item that needs more is computed alone

    def __post_init__(self) -> None:
        require_each(self, "joint_size embedding_size prediction_size max_joint_elements", lambda value: value > 0, "must be positive")
        require_not_negative(self, "prediction_epochs")
        require(0 <= self.dropout < 1, "dropout", "must lie in [0, 1)")


@dataclass(frozen=True)
class AttentionSettings:
    """What both kinds of attention decoders can be told."""

    hidden_size: int = 256  # cells of the decoder's LSTM
    attention_size: int = 128  # in which frames and the decoder's state are compared
    filters: int = 10  # convolutions of the attention weights before
    filter_width: int = 51  # frames that one of them reads, odd
    smooth_focus: bool = False  # sigmoids in place of exponentials: attention lies on several frames (Chorowski et al. 2015, section 2.3)
    dropout: float = 0.0  # before the decoder's output layer
    label_smoothing: float = 0.0  # share of each target spread evenly over all labels (Szegedy et al. 2016, section 7)

    def __post_init__(self) -> None:
        require_each(self, "hidden_size attention_size filters filter_width", lambda size: 1 <= size <= 8192, "must lie between 1 and 8192")
        require(self.filter_width % 2 == 1, "filter_width", "must be odd")
        require_each(self, "dropout label_smoothing", lambda share: 0 <= share < 1, "must lie in [0, 1)")


@dataclass(frozen=True)
class Attention(AttentionSettings):
    """A decoder that attends to the encoder's frames and writes label by label, without CTC (Chorowski et al. 2015)."""

    kind: Literal["attention"] = "attention"


@dataclass(frozen=True)
class Joint(AttentionSettings):
    """CTC and an attention decoder over the same encoder (Watanabe et al. 2017)."""

    kind: Literal["joint"] = "joint"
    ctc_weight: float = 0.5  # share of the CTC loss, in training; decoder.ctc_weight is that in decoding

    def __post_init__(self) -> None:
        super().__post_init__()
        require_shares(self, "ctc_weight")


@dataclass(frozen=True)
class MinimumRisk:
    """The expected error of a CTC network in place of the likelihood; started from a bundle (Graves & Jaitly 2014; Prabhavalkar et al. 2018)."""

    kind: Literal["minimum_risk"] = "minimum_risk"
    hypotheses: Literal["samples", "n_best"] = "n_best"  # what the expectation is taken over: paths drawn by chance, or the best of a beam
    count: int = 8  # paths drawn of each item, or most hypotheses in its N-best list
    beam_size: int = 20  # prefixes kept in each frame, for n_best
    error: Literal["labels", "words"] = "labels"  # whose edit distance from the transcript is made small: characters (or units), or words
    ctc_weight: float = 0.1  # share of the CTC loss, which keeps what is likely from being forgotten; 1: CTC alone

    def __post_init__(self) -> None:
        require(1 <= self.count <= 1000, "count", "must lie between 1 and 1000")
        listed = self.hypotheses == "samples" or 1 < self.count <= self.beam_size
        require(listed, "count", "an N-best list has at least 2 hypotheses, at most beam_size")
        require(self.hypotheses == "n_best" or self.error == "labels", "error", "words are counted in N-best lists; needs hypotheses=n_best")
        require_shares(self, "ctc_weight")


Objective: TypeAlias = Ctc | Transducer | Attention | Joint | MinimumRisk
