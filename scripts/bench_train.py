"""How fast training runs: lines a second, times real time, waiting for data, and how near the machine's limit."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench_common import PRECISIONS, Row, describe_machine, in_fresh_process, measure_ceiling, report, time_calls
from bench_corpora import MANIFEST, network_of, text_level, write_corpus

if TYPE_CHECKING:
    from torch import nn

    from recognizer.training.loop import EpochStats, Trainer

NOTES = (
    "Training is the real loop: batches of 16 read ahead from the cache by a worker process, augmented, forward, CTC, backward,",
    "clipping, AdamW, running average. One whole epoch goes before the clock starts, because oneDNN compiles kernels for every",
    "shape (warm_up_s); reading the corpus for the first time is not counted either.",
    "rate: lines/s, or seconds of speech per second. waiting: share of the time in which the network waited for data, worker starts",
    "included.",
    "recurrent_*: the bidirectional layers alone, forward and backward, on a typical batch; of_ceiling: their share of the speed",
    "of a product of 2048 x 2048 matrices in the same precision; packed: how many times longer nn.LSTM takes with a packed sequence.",
)


def main() -> int:
    """Measure both networks in both precisions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", metavar="MANIFEST", help="real line images (default: synthetic ones)")
    parser.add_argument("--speech", metavar="MANIFEST", help="real recordings (default: synthetic ones)")
    parser.add_argument("--only", choices=("line", "audio"), help="one of the two networks")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each case is measured (default: 20)")
    parser.add_argument("--items", type=int, default=320, help="lines or utterances of an epoch (default: 320)")
    parser.add_argument("--no-augment", action="store_true", help="train on items as they are")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: all cores)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there as well")
    options = parser.parse_args()
    machine = in_fresh_process(describe_machine, options.threads)
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        for modality, manifest in (("line", options.lines), ("audio", options.speech)):
            if options.only not in (None, modality):
                continue
            folder = Path(temporary) / modality
            write_corpus(modality, folder, options.items, manifest)
            for precision in PRECISIONS:
                augment = not options.no_augment
                rows.append(in_fresh_process(measure, modality, precision, folder, augment, options.seconds, options.threads))
    report(machine, rows, NOTES, options.json)
    return 0


def measure(modality: str, precision: str, folder: Path, augment: bool, seconds: float, threads: int) -> Row:
    """Figures of one network in one precision; to be called in a fresh process."""
    from recognizer.training.loop import EpochStats
    from recognizer.utils.device import peak_memory

    trainer = _prepare(modality, precision, folder, augment, threads)
    started = time.perf_counter()
    for _ in trainer.run_epoch(EpochStats()):
        pass
    warm_up, stats = time.perf_counter() - started, EpochStats()
    _train_for(seconds, trainer, stats)
    spent = stats.waited + stats.worked
    amount = stats.items if modality == "line" else stats.frames * 0.01
    memory = peak_memory() / 2**20  # before the recurrent layers alone are measured
    return {
        "network": modality,
        "precision": precision,
        "weights_M": sum(parameter.numel() for parameter in trainer.network.parameters()) / 1e6,
        "rate": amount / spent,
        "unit": "lines/s" if modality == "line" else "x real time",
        "waiting": stats.waited / spent,
        "warm_up_s": warm_up,
        "peak_MiB": memory,
        **_measure_recurrent(trainer, precision, seconds / 4),
    }


def _prepare(modality: str, precision: str, folder: Path, augment: bool, threads: int) -> Trainer:
    from recognizer.config.compose import compose
    from recognizer.data.manifest import load_manifest
    from recognizer.models.network import Network
    from recognizer.training.datamodule import audit_splits, collect_alphabet, fit_statistics
    from recognizer.training.loop import Trainer
    from recognizer.utils.device import prepare_host
    from recognizer.utils.progress import Progress

    items = load_manifest(folder / MANIFEST)
    augmentation = {"line": "handwriting", "audio": "speech"}[modality] if augment else "none"
    config = compose([
        *network_of(modality), f"augment={augmentation}", f"corpus.root={folder}", f"corpus.train={MANIFEST}", f"corpus.dev={MANIFEST}",
        f"corpus.text.level={text_level(items)}", f"trainer.precision={precision}", f"run_dir={folder}", "device=cpu",
    ])
    prepare_host(threads)
    alphabet = collect_alphabet(config, items)
    network = Network(config.recognizer, len(alphabet))
    progress = Progress(quiet=True)
    split, _ = audit_splits(config, {"train": items, "dev": items}, alphabet, network, folder, progress)
    fit_statistics(config, split, network, progress)
    return Trainer(config, network, split)


def _train_for(seconds: float, trainer: Trainer, stats: EpochStats) -> None:
    deadline = time.perf_counter() + seconds
    while True:
        for _ in trainer.run_epoch(stats):
            if time.perf_counter() > deadline:
                return


def _measure_recurrent(trainer: Trainer, precision: str, seconds: float) -> Row:
    """Speed of the recurrent layers alone on the batch of median size, and of a packed ``nn.LSTM`` in their place."""
    import torch
    from torch import nn
    from torch.nn.utils.rnn import pack_padded_sequence

    network, stack = trainer.network, trainer.network.encoder
    model = trainer.config.model
    batches = sorted(trainer.plan(), key=lambda batch: sum(trainer.train.frames[index] for index in batch))
    lengths = torch.tensor([network.frames(trainer.train.frames[index]) for index in batches[len(batches) // 2]])  # (B,)
    trained_below = any(True for _ in network.frontend.parameters())
    frames = torch.randn(len(lengths), int(lengths.max()), network.frontend.dim, requires_grad=trained_below)  # (B, T, D)
    packed = nn.LSTM(network.frontend.dim, model.hidden_size, model.num_layers, batch_first=True, bidirectional=True)
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")

    def run_stack() -> None:
        with autocast:
            out = stack(frames, lengths)
        out.float().sum().backward()

    def run_packed() -> None:
        with autocast:
            out, _ = packed(pack_padded_sequence(frames, lengths, batch_first=True, enforce_sorted=False))
        out.data.float().sum().backward()

    ours, theirs = time_calls(run_stack, seconds), time_calls(run_packed, seconds)
    speed = _operations(stack, trained_below) * int(lengths.sum()) / ours / 1e9
    ceiling = measure_ceiling(precision)  # again, at this moment: a processor's speed is not the same all the time
    return {"recurrent_ms": 1000 * ours, "recurrent_gflops": speed, "of_ceiling": speed / ceiling, "packed": theirs / ours}


def _operations(stack: nn.Module, trained_below: bool) -> int:
    """Float operations of a frame's way through the recurrent layers and back: matrix products only, padding not counted.

    Each weight is multiplied and added once forward, once for its own gradient, and once for that of its input, which
    the lowest layer's input weights skip where nothing below is learnt.
    """
    from torch import nn

    total = 0
    for number, layer in enumerate(module for module in stack.modules() if isinstance(module, nn.LSTM)):
        into, within = 4 * layer.hidden_size * layer.input_size, 4 * layer.hidden_size**2  # four gates
        lowest = number < 2  # one of either direction
        total += 2 * (3 * within + (3 if trained_below or not lowest else 2) * into)
    return total


if __name__ == "__main__":
    sys.exit(main())
