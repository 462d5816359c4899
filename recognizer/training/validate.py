"""The error rate on the development items, during training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from recognizer.config import DecoderConfig, TrainConfig
from recognizer.data.batching import bucket_batches, pad
from recognizer.data.manifest import target
from recognizer.decoding.decoder import load_decoder
from recognizer.evaluation.edits import characters, error_rate, units
from recognizer.models.network import Network
from recognizer.text.bidi import to_logical
from recognizer.training.datamodule import Split
from recognizer.training.ranks import Ranks
from recognizer.utils.device import mixed_precision


def validate(config: TrainConfig, network: Network, dev: Split, ranks: Ranks | None = None) -> tuple[float, list[tuple[str, str]]]:
    """Decode the development items greedily, each process its share of them.

    Returns:
        The character or unit error rate, and (reference, hypothesis) of every item, in manifest order.
    """
    dataset, settings, device = dev.dataset, config.trainer, network.device
    tokens: Callable[[Any], list[str]] = characters if config.corpus.text.level == "characters" else units
    as_read: Callable[[str], str] = str if config.recognizer.modality == "audio" or config.corpus.text.level == "units" else to_logical
    joiner = "" if config.corpus.text.level == "characters" else " "
    pairs: dict[int, tuple[str, str]] = {}
    ranks = ranks or Ranks()
    network.eval()
    decoder = load_decoder(DecoderConfig(), dataset.alphabet, head=network.head)
    batches = bucket_batches(dev.frames, max_frames=settings.batch_frames, max_items=4 * settings.max_batch_size, by_length=True)
    with torch.inference_mode(), mixed_precision(device, settings.precision):
        for batch in ranks.share(batches):
            inputs, lengths = pad([dataset.read(index) for index in batch])
            tables, frames = network(inputs.to(device), lengths.to(device))
            for index, row, length in zip(batch, tables.cpu().numpy(), frames.tolist(), strict=True):
                reference = target(dataset.items[index], config.corpus.text) or ""
                pairs[index] = joiner.join(tokens(reference)), as_read(dataset.alphabet.decode(decoder.decode(row[:length])[0].labels))
    pairs = {index: pair for part in ranks.gather(pairs) for index, pair in part.items()}
    ordered = [pairs[index] for index in sorted(pairs)]
    rate = error_rate((tokens(reference), tokens(hypothesis)) for reference, hypothesis in ordered)
    return (float("inf") if rate is None else rate), ordered
