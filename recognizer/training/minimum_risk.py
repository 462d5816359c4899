"""Minimum risk training: the expected number of errors of a CTC network in place of the likelihood of the transcript."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import groupby

import editdistance
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from recognizer.config import DecoderConfig, MinimumRisk, TrainConfig
from recognizer.data.dataset import Batch
from recognizer.decoding.beam import BeamDecoder
from recognizer.decoding.decoder import Decoder, raise_failures
from recognizer.errors import ConfigError
from recognizer.models.network import Encoded, Network
from recognizer.text.alphabet import Alphabet
from recognizer.training.loss import ctc_losses
from recognizer.training.objective import TrainingObjective
from recognizer.utils.compiling import compiled
from recognizer.utils.seeding import item_rng


class MinimumRiskObjective(TrainingObjective):
    """The expected edit distance from the transcript, and a share of the CTC loss.

    Over paths drawn by chance (:func:`sampled_risk`) it is the expected transcription loss of Graves & Jaitly (2014), over the N-best list
    of a beam search without models (:func:`n_best_risk`) the minimum word error rate training of Prabhavalkar et al. (2018).

    Args:
        config: of the run; its objective is :class:`~recognizer.config.MinimumRisk`.
        alphabet: of the labels.

    Raises:
        ConfigError: words are to be counted where the alphabet has no space between them.
    """

    def __init__(self, config: TrainConfig, alphabet: Alphabet) -> None:
        super().__init__()
        assert isinstance(config.objective, MinimumRisk)
        self.settings, self.threads = config.objective, config.trainer.threads
        self.decoder = BeamDecoder(alphabet, DecoderConfig(kind="beam", beam_size=self.settings.beam_size))
        self.separator = self.decoder.separator if self.settings.error == "words" else 0
        if self.settings.error == "words" and not self.separator:
            raise ConfigError("objective.error: words needs an alphabet of characters with a space; leave it at labels")

    def forward(self, network: Network, encoded: Encoded, batch: Batch, views: int, generator: np.random.Generator) -> Tensor:
        """Expected errors and CTC loss, each by its share; what is drawn for an item depends on the generator and its id alone."""
        log_probs, lengths, settings = encoded.log_probs, encoded.lengths, self.settings
        assert log_probs is not None and views == 1
        likelihood = ctc_losses(log_probs, lengths, batch).sum()
        if settings.ctc_weight == 1:
            return likelihood
        rows = [row[:length] for row, length in zip(log_probs, lengths.tolist(), strict=True)]
        references = [target.tolist() for target in batch.targets.cpu().split(batch.target_lengths.tolist())]
        if settings.hypotheses == "samples":
            seed = int(generator.integers(2**62))
            draws = [item_rng(seed, 0, item, "paths").random((settings.count, len(row))) for item, row in zip(batch.ids, rows, strict=True)]
            risks = [sampled_risk(*item) for item in zip(rows, references, draws, strict=True)]
        else:
            risks = n_best_risk(rows, references, self.decoder, settings.count, self.separator, self.threads)
        return (1 - settings.ctc_weight) * torch.stack(risks).sum() + settings.ctc_weight * likelihood


def sampled_risk(log_probs: Tensor, reference: Sequence[int], draws: np.ndarray) -> Tensor:
    """The mean edit distance of paths drawn from the network's distribution; its gradient is in expectation that of the expected distance.

    Not REINFORCE over whole paths, but the estimate of Graves & Jaitly (2014, section 4), of much smaller variance: in each frame of a
    path every label stands in once for the one that was drawn, and the gradient for its logit is its probability times the distance that it
    leads to, less the mean of these over all labels, which is the baseline.

    Args:
        log_probs: (T, V), normalized.
        reference: labels (L,).
        draws: (N, T) uniform in [0, 1): what the labels of N paths are drawn with.
    """
    probs = log_probs.detach().double().exp().cpu().numpy()
    steps = probs.cumsum(axis=1)
    labels, changes, total = np.asarray(reference, np.int64), np.zeros_like(probs), 0.0
    for numbers in draws:
        path = (numbers[:, None] * steps[:, -1:] >= steps).sum(axis=1).clip(max=probs.shape[1] - 1)
        errors = errors_by_label(path, labels, probs.shape[1])
        drawn = float(errors[0, path[0]])  # the path's own distance, which keeps the sum below small and changes no gradient
        changes += errors - drawn
        total += drawn
    surrogate = (log_probs.exp() * torch.from_numpy(changes / len(draws)).to(log_probs)).sum()
    return surrogate - surrogate.detach() + total / len(draws)


def n_best_risk(
    log_probs: Sequence[Tensor], references: Sequence[Sequence[int]], decoder: Decoder, count: int, separator: int = 0, threads: int = 0
) -> list[Tensor]:
    """The expected edit distance of each item over its N-best list, whose probabilities are made to sum to one.

    Prabhavalkar et al. 2018, equation 5. Their baseline, the mean distance over the list, is not subtracted: with probabilities that sum to one
    it changes no gradient. The log-likelihood of a hypothesis is summed over all its paths, not over those that the beam kept.

    Args:
        log_probs: of each item (T, V), normalized.
        references: labels of each item.
        decoder: gives the lists.
        count: hypotheses in a list at most.
        separator: label between words, whose distance is taken then; 0 for that of labels.
        threads: of the decoder; 0: as many as there are processors.
    """
    tables = [row.detach().cpu().numpy() for row in log_probs]
    risks = []
    for row, reference, found in zip(log_probs, references, raise_failures(decoder.decode_all(tables, count, threads)), strict=True):
        listed = [hypothesis.labels for hypothesis in found]
        wanted = _tokens(reference, separator)
        errors = row.new_tensor([editdistance.eval(wanted, _tokens(labels, separator)) for labels in listed])
        targets = torch.tensor([label for labels in listed for label in labels], dtype=torch.long, device=row.device)
        sizes = torch.tensor([len(labels) for labels in listed])
        losses = functional.ctc_loss(
            row.unsqueeze(1).expand(-1, len(listed), -1), targets, torch.full_like(sizes, len(row)), sizes, blank=0, reduction="none"
        )
        risks.append(((-losses).softmax(dim=0) * errors).sum())
    return risks


def _tokens(labels: Sequence[int], separator: int) -> list[Hashable]:
    """The labels, or the words that a separator stands between."""
    if separator == 0:
        return list(labels)
    return [tuple(word) for is_space, word in groupby(labels, separator.__eq__) if not is_space]


@compiled
def errors_by_label(path: np.ndarray, reference: np.ndarray, size: int) -> np.ndarray:
    """Edit distances from a reference of what a path reads, with each label in turn in the place of each frame's own: (T, V).

    A change is felt only where it is made: tables of the distances of all beginnings and of all ends of the labels that the path reads
    give all of them in time T (L + V).

    Args:
        path: a label for each frame (T,).
        reference: labels (L,).
        size: V.
    """
    frames, length = path.shape[0], reference.shape[0]
    read = np.empty(frames, np.int64)  # the labels that the path reads
    before = np.zeros(frames + 1, np.int64)  # how many of them begin before a frame
    count = 0
    for t in range(frames):
        before[t] = count
        if path[t] != 0 and (t == 0 or path[t] != path[t - 1]):
            read[count] = path[t]
            count += 1
    before[frames] = count
    heads = _beginnings(read[:count], reference)  # (M + 1, L + 1), of the first i labels read and the first j of the reference
    tails = _beginnings(read[:count][::-1], reference[::-1])[::-1, ::-1]  # of those from i on and from j on
    errors = np.empty((frames, size), np.float64)
    for t in range(frames):
        left = path[t - 1] if t > 0 else 0
        right = path[t + 1] if t + 1 < frames else 0
        begin = before[t]  # labels that are read up to this frame
        rest = before[min(t + 2, frames)] - (1 if right != 0 else 0)  # the first label of what is read behind it
        joined = (heads[begin] + tails[rest]).min()  # nothing is read in this frame
        substituted = heads[begin, :length] + tails[rest, 1:] if length else heads[begin, :0]
        wrong = joined + 1
        if length:
            wrong = min(wrong, substituted.min() + 1)
        errors[t] = wrong
        for j in range(length):
            errors[t, reference[j]] = min(errors[t, reference[j]], substituted[j])
        errors[t, 0] = joined
        if right != 0:
            errors[t, right] = joined
        if left != 0:
            errors[t, left] = joined if left != right else (heads[begin] + tails[rest + 1]).min()
    return errors


@compiled
def _beginnings(labels: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Edit distances of the first i labels from the first j of the reference (M + 1, L + 1)."""
    rows, columns = labels.shape[0] + 1, reference.shape[0] + 1
    table = np.empty((rows, columns), np.float64)
    for j in range(columns):
        table[0, j] = j
    for i in range(1, rows):
        table[i, 0] = i
        for j in range(1, columns):
            same = table[i - 1, j - 1] + (0.0 if labels[i - 1] == reference[j - 1] else 1.0)
            table[i, j] = min(same, table[i - 1, j] + 1.0, table[i, j - 1] + 1.0)
    return table
