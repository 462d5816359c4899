"""The error rate on the development items, during training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from recognizer.config import DecoderConfig, TrainConfig
from recognizer.data.batching import bucket_batches, pad
from recognizer.data.manifest import target
from recognizer.decoding.decoder import load_decoder
from recognizer.decoding.greedy import greedy
from recognizer.evaluation.edits import characters, error_rate, units
from recognizer.models.network import Network
from recognizer.text.alphabet import Alphabet
from recognizer.text.bidi import to_logical
from recognizer.training.datamodule import Split
from recognizer.training.ranks import Ranks
from recognizer.utils.device import mixed_precision


class Validation(NamedTuple):
    """What the development items give.

    Attributes:
        error: the character or unit error rate.
        pairs: (reference, hypothesis) of every item, in manifest order.
        units_error: error rate of a second output (``model.units_layer``), over the items that have units.
    """

    error: float
    pairs: list[tuple[str, str]]
    units_error: float | None = None


def validate(config: TrainConfig, network: Network, dev: Split, ranks: Ranks | None = None) -> Validation:
    """Decode the development items greedily, each process its share of them."""
    dataset, settings, device = dev.dataset, config.trainer, network.device
    tokens: Callable[[Any], list[str]] = characters if config.corpus.text.level == "characters" else units
    as_read: Callable[[str], str] = str if config.recognizer.modality == "audio" or config.corpus.text.level == "units" else to_logical
    joiner = "" if config.corpus.text.level == "characters" else " "
    pairs: dict[int, tuple[str, str]] = {}
    below: dict[int, tuple[list[str], list[str]]] = {}
    second = Alphabet(config.model.units, "units") if network.num_units else None
    ranks = ranks or Ranks()
    network.eval()
    decoder = load_decoder(DecoderConfig(), dataset.alphabet, head=network.head)
    batches = bucket_batches(dev.frames, max_frames=settings.batch_frames, max_items=4 * settings.max_batch_size, by_length=True)
    with torch.inference_mode(), mixed_precision(device, settings.precision):
        for batch in ranks.share(batches):
            inputs, lengths = pad([dataset.read(index) for index in batch])
            tables, frames = network(inputs.to(device), lengths.to(device))
            columns = tables.shape[2] - network.num_units  # those of the units are behind
            for index, row, length in zip(batch, tables.cpu().numpy(), frames.tolist(), strict=True):
                item, row = dataset.items[index], row[:length]
                reference = target(item, config.corpus.text) or ""
                pairs[index] = joiner.join(tokens(reference)), as_read(dataset.alphabet.decode(decoder.decode(row[:, :columns])[0].labels))
                if second is not None and item.units is not None:
                    below[index] = list(item.units), second.spell(greedy(row[:, columns:]).labels)
    pairs = {index: pair for part in ranks.gather(pairs) for index, pair in part.items()}
    ordered = [pairs[index] for index in sorted(pairs)]
    rate = error_rate((tokens(reference), tokens(hypothesis)) for reference, hypothesis in ordered)
    units_rate = error_rate(pair for part in ranks.gather(below) for pair in part.values())
    return Validation(float("inf") if rate is None else rate, ordered, units_rate)
