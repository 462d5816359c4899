"""The error rate on the development items, during training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from recognizer.config import TrainConfig
from recognizer.data.batching import plan_batches
from recognizer.data.padding import pad
from recognizer.data.transcripts import target
from recognizer.decoding.greedy import greedy
from recognizer.evaluation.edits import error_rate
from recognizer.evaluation.tokens import characters, units
from recognizer.models.network import Network
from recognizer.training.corpus import Part


def development_error(config: TrainConfig, network: Network, part: Part) -> tuple[float, list[tuple[str, str]]]:
    """Decode the development items greedily.

    Returns:
        The character or unit error rate, and (reference, hypothesis) of every item, in manifest order.
    """
    items, trainer = part.items, config.trainer
    tokens: Callable[[Any], list[str]] = characters if config.corpus.text.level == "characters" else units
    joiner = "" if config.corpus.text.level == "characters" else " "
    device = network.device
    texts: dict[int, tuple[str, str]] = {}
    network.eval()
    batches = plan_batches(part.frames, budget=trainer.batch_frames, most=4 * trainer.batch_items, seed=0, epoch=0, by_length=True)
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=trainer.precision == "bf16"):
        for batch in batches:
            inputs, lengths = pad([items.read(index) for index in batch])
            log_probs, frames = network(inputs.to(device), lengths.to(device))
            for index, row, length in zip(batch, log_probs.cpu().numpy(), frames.tolist(), strict=True):
                reference = target(items.items[index], config.corpus.text) or ""
                hypothesis = items.alphabet.decode(greedy(row[:length]).labels)
                texts[index] = (joiner.join(tokens(reference)), hypothesis)
    pairs = [texts[index] for index in sorted(texts)]
    rate = error_rate((tokens(reference), tokens(hypothesis)) for reference, hypothesis in pairs)
    return (float("inf") if rate is None else rate), pairs
