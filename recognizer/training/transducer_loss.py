"""The transducer loss, in bounded memory, and the pretraining of the prediction network as a model of the labels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from recognizer.config import TrainConfig, Transducer
from recognizer.data.dataset import Batch
from recognizer.data.manifest import target_in_frames
from recognizer.models.network import Encoded, Network
from recognizer.models.transducer import TransducerHead
from recognizer.training.datamodule import Split
from recognizer.training.loss import check_finite
from recognizer.training.objective import TrainingObjective
from recognizer.training.transfer import pretrained_settings
from recognizer.utils.progress import Progress
from recognizer.utils.seeding import item_rng

PRETRAINING_RATE = 2e-3  # learning rate of Adam
PRETRAINING_BATCH = 16  # texts in a step


class TransducerObjective(TrainingObjective):
    """Negative log-likelihood of the labels, summed over all alignments (Graves 2012)."""

    def __init__(self, settings: Transducer) -> None:
        super().__init__()
        self.settings = settings

    def forward(self, network: Network, encoded: Encoded, batch: Batch, views: int, generator: np.random.Generator) -> Tensor:
        """As :class:`~recognizer.training.objective.TrainingObjective` says."""
        head = network.head
        assert isinstance(head, TransducerHead)
        parts = zip(head.decoder_input(encoded.frames).chunk(views), encoded.lengths.chunk(views), strict=True)
        return torch.stack([transducer_loss(head, frames, lengths, batch, self.settings.max_joint_elements) for frames, lengths in parts]).mean()


def transducer_loss(head: TransducerHead, frames: Tensor, lengths: Tensor, batch: Batch, max_elements: int) -> Tensor:
    """The sum over a batch of -log P(labels), in nats; a scalar (Graves 2012, section 2.4).

    The joint tensor (items, T, U + 1, V) is made for as many items at a time as it has ``max_elements`` numbers for, or for one that
    has more alone, each time without the padding that these items do not need; its gradient is taken at once, so that it is never kept.

    Args:
        head: the transducer's.
        frames: its ``decoder_input`` (B, T, C).
        lengths: (B,) frames of each item, 1 at least.
        batch: its targets.
        max_elements: as above.

    Raises:
        TrainingError: a loss is not finite; the message names the items.
    """
    counts = batch.target_lengths.tolist()
    targets = pad_sequence(list(batch.targets.split(counts)), batch_first=True)
    predicted = head.predict(targets)
    weights = [] if head.settings.joint == "additive" else [weight for weight in head.joint["output"].parameters() if weight.requires_grad]
    total, losses = _SummedLoss.apply(head, max_elements, lengths.tolist(), counts, targets, frames, predicted, *weights)
    check_finite(losses, batch)
    return total


class _SummedLoss(torch.autograd.Function):
    """The summed loss and that of each item, whose gradients are found on the way forwards, chunk by chunk."""

    @staticmethod
    def forward(
        ctx: Any, head: TransducerHead, max_elements: int, lengths: list[int], counts: list[int], targets: Tensor,
        frames: Tensor, predicted: Tensor, *weights: Tensor,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        losses = torch.zeros(len(lengths), device=frames.device)
        inputs = (frames, predicted, *weights)
        gradients = [torch.zeros_like(tensor) for tensor in inputs] if any(ctx.needs_input_grad) else []
        for first, stop in _chunks(lengths, counts, head.joint_width, max_elements):
            span, rows, columns = slice(first, stop), max(lengths[first:stop]), max(counts[first:stop])
            parts = [frames[span, :rows].detach(), predicted[span, : columns + 1].detach()]
            with torch.set_grad_enabled(bool(gradients)), torch.autocast(frames.device.type, enabled=False):
                if gradients:
                    parts = [part.requires_grad_() for part in parts]
                logits = head.join(parts[0][:, :, None], parts[1][:, None])
                losses[span] = chunk = _rnnt_losses(logits, targets[span, :columns], lengths[span], counts[span])
                if gradients:
                    found = torch.autograd.grad(chunk.sum(), [*parts, *weights])
                    gradients[0][span, :rows], gradients[1][span, : columns + 1] = found[:2]
                    for gradient, more in zip(gradients[2:], found[2:], strict=True):
                        gradient += more
        ctx.save_for_backward(*gradients)
        losses = losses.detach()
        ctx.mark_non_differentiable(losses)
        return losses.sum(), losses

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        return (*[None] * 5, *(gradient * saved for saved in ctx.saved_tensors))


def _rnnt_losses(logits: Tensor, targets: Tensor, lengths: list[int], counts: list[int]) -> Tensor:
    """-log P (B,) of each item by logits (B, T, U + 1, V) and targets (B, U), of which T and U are the most that an item has."""
    from torchaudio.functional import rnnt_loss

    rows, columns = (torch.tensor(numbers, dtype=torch.int32, device=logits.device) for numbers in (lengths, counts))
    losses: Tensor = rnnt_loss(logits.contiguous(), targets.to(torch.int32).contiguous(), rows, columns, blank=0, reduction="none")
    return losses


def _chunks(lengths: Sequence[int], counts: Sequence[int], width: int, max_elements: int) -> Iterator[tuple[int, int]]:
    """First item and the one after the last of chunks whose padded tensor of ``width`` numbers a cell has at most ``max_elements``, or one item."""
    first, rows, columns = 0, 0, 0
    for number, (length, count) in enumerate(zip(lengths, counts, strict=True)):
        rows, columns = max(rows, length), max(columns, count + 1)
        if number > first and (number + 1 - first) * rows * columns * width > max_elements:
            yield first, number
            first, rows, columns = number, length, count + 1
    if lengths:
        yield first, len(lengths)


def pretrain_head(config: TrainConfig, train: Split, network: Network, progress: Progress) -> None:
    """Where ``objective.prediction_epochs`` asks for it, pretrain a transducer's prediction network on the training texts, before the first step.

    One that comes with a bundle is trained already, and stays as it is.
    """
    head = network.head
    if not isinstance(head, TransducerHead) or head.settings.prediction_epochs == 0:
        return
    if config.init is not None and isinstance(pretrained_settings(config.init).objective, Transducer):
        return
    dataset = train.dataset
    transcripts = (target_in_frames(item, dataset.text, dataset.features) for item in dataset.items)
    texts = [dataset.alphabet.encode(transcript) for transcript in transcripts if transcript is not None]
    perplexity = pretrain_prediction(head, texts, config.seed)
    epochs = head.settings.prediction_epochs
    progress.line(f"prediction network: perplexity {perplexity:.2f} a label after {epochs} epochs on {len(texts)} training texts")


def pretrain_prediction(head: TransducerHead, texts: Sequence[Sequence[int]], seed: int) -> float:
    """Train the prediction network to predict each label of a text from those before it; return the perplexity of the last epoch.

    That is how Graves, Mohamed & Hinton 2013 (section 5) start a transducer. With the additive joint the output layer is that of
    the joint network, without the blank, which no text has; with the other one it serves here only, as in the paper.

    Args:
        head: the transducer's; ``head.settings.prediction_epochs`` says how long.
        texts: labels of each training text.
        seed: of the order of the texts.
    """
    device = head.embedding.weight.device
    size = head.settings.prediction_size
    torch.manual_seed(seed)  # of the output layer below
    output = head.label_layer if head.settings.joint == "additive" else nn.Linear(size, head.labels).to(device)
    optimizer = torch.optim.Adam([*head.embedding.parameters(), *head.prediction.parameters(), *output.parameters()], PRETRAINING_RATE)
    rows = [torch.tensor(text, dtype=torch.long) for text in texts if len(text)]
    head.train()
    nats, labels = 0.0, 0
    for epoch in range(head.settings.prediction_epochs if rows else 0):
        generator = item_rng(seed, epoch, "", "prediction network")
        torch.manual_seed(int(generator.integers(2**62)))  # of dropout
        order = generator.permutation(len(rows)).tolist()
        nats, labels = 0.0, 0
        for first in range(0, len(order), PRETRAINING_BATCH):
            batch = pad_sequence([rows[number] for number in order[first : first + PRETRAINING_BATCH]], batch_first=True).to(device)
            logits = output(head.read(batch[:, :-1]))[..., 1:]  # (B, U, V - 1): the first label is predicted from the beginning
            loss = functional.cross_entropy(logits.flatten(0, 1), batch.flatten() - 1, ignore_index=-1, reduction="sum")
            count = int((batch > 0).sum())
            optimizer.zero_grad(set_to_none=True)
            (loss / count).backward()
            nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], 5.0)
            optimizer.step()
            nats, labels = nats + float(loss.detach()), labels + count
    head.zero_grad(set_to_none=True)
    return math.exp(nats / labels) if labels else math.nan
