"""What training and recognition take on 8, 64 and 512 GPUs, worked out from measured constants: time, GPU hours, network, storage.

    python scripts/plan_scale.py
    python scripts/plan_scale.py --set weights=60e6 --set epochs_60000=5
    python scripts/plan_scale.py --measure        reading and decoding speed of one core of this machine, in place of ours

Every constant is printed with where it comes from; the table follows from them by the formulas below and from nothing else.
"""

from __future__ import annotations

import argparse
import io
import math
import time
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from bench_common import Row

GPUS = (8, 64, 512)
GPUS_A_NODE = 8
DAY = 86_400.0

# name: value, unit, source
CONSTANTS: dict[str, tuple[float, str, str]] = {
    "train_lines": (1250, "lines/s of one H200", "measured: items_per_second in log.jsonl, 5.8 M weights, bf16, batch 128 (1,199 to 1,303)"),
    "train_batch": (128, "lines a step", "the same run"),
    "line_frames": (250, "encoder frames a line", "assumed: 1,000 pixel columns, four to a frame"),
    "frame_seconds": (0.03, "s of speech a frame", "bundle speech-en: 10 ms a feature frame, three to an encoder frame"),
    "h100_h200": (0.70, "speed of an H100, H200 = 1", "3.35 and 4.8 TB/s of memory (NVIDIA's data sheets), the same arithmetic: the lower bound"),
    "forward_share": (0.33, "of a training step", "forward pass against forward and backward pass: one product of three"),
    "layers": (3, "recurrent layers", "handwriting-fr, the network of train_lines"),
    "recurrent_us": (10, "us a frame and layer", "assumed: what a recurrent step takes however small the batch is"),
    "weights": (5.8e6, "weights", "the network of train_lines"),
    "batch_hours": (2.7, "h of speech a step, at most", "wav2vec 2.0 LARGE: 128 GPUs, 2.7 h (Baevski et al. 2020, section 4.2)"),
    "epochs_1000": (60, "epochs over 1,000 h", "assumed; compare_cells.py and the recipes in conf/ use 6 to 60"),
    "epochs_60000": (8, "epochs over 60,000 h", "assumed: 480,000 h seen in all"),
    "nvlink": (450e9, "B/s each way", "H100 SXM: 900 GB/s of NVLink, both ways together (NVIDIA's data sheet)"),
    "fabric": (50e9, "B/s of one GPU to other nodes", "DGX H100: eight 400 Gbit/s adapters for eight GPUs (NVIDIA's data sheet)"),
    "link_use": (0.6, "of a link's speed", "assumed for all-reduce of a few MB"),
    "hop_us": (15, "us a step of an all-reduce", "assumed; a ring within a node, a tree between nodes"),
    "cores": (14, "cores a GPU", "DGX H100: 112 cores for eight GPUs (NVIDIA's data sheet)"),
    "augment_cores": (16, "cores that keep up with train_lines", "measured: the machine of that run; fewer may do"),
    "flac": (62.6e6, "B an hour of speech", "LibriSpeech train-clean-100: 6.3 GB, 100.6 h, 16 kHz FLAC (openslr.org/12)"),
    "storage": (20e9, "B/s of the file system", "assumed: a small parallel file system; an object store gives as much to 64 nodes"),
    "read_speed": (3500, "x real time a core", "measured: plan_scale.py --measure, three calls 3,410 to 3,785 (FLAC decoded, 16 kHz)"),
    "decode_frames": (104_142, "frames/s a core", "measured: bench_decode.py, beam 50, word 4-grams"),
    "text": (0.4e6, "B of results an hour", "9,000 words an hour with times as JSON, 45 B a word"),
}  # fmt: skip


@dataclass(frozen=True)
class Work:
    """A job: hours of speech, and how often training goes over them; 0: recognition."""

    name: str
    hours: float
    epochs: float = 0.0


@dataclass(frozen=True)
class Plan:
    """The formulas over the constants, by name."""

    constants: dict[str, float] = field(default_factory=lambda: {name: value for name, (value, _, _) in CONSTANTS.items()})

    def __getattr__(self, name: str) -> float:
        try:
            return self.__dict__["constants"][name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def line_seconds(self) -> float:
        """Seconds of speech that are as many encoder frames as a line."""
        return self.line_frames * self.frame_seconds

    @property
    def full_batch(self) -> float:
        """Seconds of speech a step of one GPU at the batch size that was measured."""
        return self.train_batch * self.line_seconds

    def step(self, batch: float) -> float:
        """Seconds of one GPU for a training step over so many seconds of speech: the part that is one frame after the other, and the rest."""
        whole = self.train_batch / self.train_lines / self.h100_h200
        serial = min(whole, self.line_frames * self.layers * 3 * self.recurrent_us * 1e-6)  # backward takes twice as long as forward
        return serial + (whole - serial) * batch / self.full_batch

    def all_reduce(self, gpus: int) -> float:
        """Seconds for the sum of all gradients in float32."""
        inside, nodes = min(gpus, GPUS_A_NODE), math.ceil(gpus / GPUS_A_NODE)
        size = 4 * self.weights
        seconds = 2 * (inside - 1) / inside * size / (self.nvlink * self.link_use) + 2 * (inside - 1) * self.hop_us * 1e-6
        if nodes > 1:  # each GPU exchanges its share with those of the same place in other nodes
            seconds += 2 * (nodes - 1) / nodes * size / inside / (self.fabric * self.link_use) + 2 * math.log2(nodes) * self.hop_us * 1e-6
        return seconds

    def train(self, work: Work, gpus: int) -> Row:
        """A training run: what each part of a step takes; the longest is the limit."""
        total = min(gpus * self.full_batch, self.batch_hours * 3600)
        batch = total / gpus
        augmented = self.cores / self.augment_cores * self.train_lines * self.line_seconds  # s of speech a second and GPU
        exchange = self.all_reduce(gpus)
        parts = {
            "network's arithmetic": self.step(batch) + exchange,
            "reading and augmenting": batch / augmented,
            "storage": total / 3600 * self.flac / self.storage,
        }
        limit = max(parts, key=parts.__getitem__)
        if limit == "network's arithmetic" and batch < 0.5 * self.full_batch:
            limit = "batch size: frames follow each other" if self.step(0) > exchange else "exchange of gradients"
        seconds = parts[max(parts, key=parts.__getitem__)]
        steps = work.epochs * work.hours * 3600 / total
        sent = 2 * (gpus - 1) / gpus * 4 * self.weights / seconds
        return self._row(work, gpus, steps * seconds, total / 3600 * self.flac / seconds, limit) | {
            "steps": round(steps), "s/step": round(seconds, 4), "gradients %": round(100 * exchange / seconds),
            "sent GB/s a GPU": round(sent / 1e9, 2),
        }  # fmt: skip

    def recognize(self, work: Work, gpus: int) -> Row:
        """Recognition of an archive: speech a second through each part; the slowest is the limit."""
        speeds = {
            "network's arithmetic": gpus * self.full_batch / (self.step(self.full_batch) * self.forward_share),
            "reading and decoding": gpus * self.cores / (1 / self.read_speed + 1 / (self.decode_frames * self.frame_seconds)),
            "storage": self.storage / self.flac * 3600,
        }
        limit = min(speeds, key=speeds.__getitem__)
        speed = speeds[limit]
        row = self._row(work, gpus, work.hours * 3600 / speed, speed / 3600 * self.flac, limit)
        return row | {"results TB": round(work.hours * self.text / 1e12, 2)}

    def _row(self, work: Work, gpus: int, seconds: float, read: float, limit: str) -> Row:
        return {
            "work": work.name, "H100s": gpus, "hours": round(seconds / 3600, 2), "GPU hours": round(gpus * seconds / 3600, 1),
            "x real time": round(max(1.0, work.epochs) * work.hours * 3600 / seconds), "kept TB": round(work.hours * self.flac / 1e12, 2),
            "read GB/s": round(read / 1e9, 2), "limit": limit,
        }  # fmt: skip


def measure_reading() -> float:
    """How many times faster than real time one core decodes FLAC at 16 kHz; time of the processor, which other work changes less."""
    import soundfile

    rate, seconds = 16_000, 15
    times = np.arange(rate * seconds) / rate
    sound = 0.2 * np.sin(2 * np.pi * (200 + 20 * times) * times) + 0.02 * np.random.default_rng(1).standard_normal(len(times))
    file = io.BytesIO()
    soundfile.write(file, sound, rate, format="FLAC")
    content, calls, started = file.getvalue(), 50, time.process_time()
    for _ in range(calls):
        soundfile.read(io.BytesIO(content), dtype="float32")
    return calls * seconds / (time.process_time() - started)


def find_limits(plan: Plan, work: Work) -> str:
    """From how many GPUs on another part is the limit."""
    calculate = plan.train if work.epochs else plan.recognize
    limits = [(gpus, str(calculate(work, gpus)["limit"])) for gpus in range(1, 2049)]
    changes = [limits[0], *((gpus, limit) for (_, before), (gpus, limit) in pairwise(limits) if limit != before)]
    return f"{work.name}: " + "; ".join(f"from {gpus} on {limit}" for gpus, limit in changes)


def print_table(rows: list[Row]) -> None:
    """The rows, below the names of their columns."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [columns, *([f"{row.get(column, ''):,}" if isinstance(row.get(column), (int, float)) else str(row.get(column, "")) for column in columns]
                        for row in rows)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(columns))]
    for line in cells:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))


def main() -> int:
    """Print the constants, the tables and the limits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="another value of a constant; repeatable")
    parser.add_argument("--measure", action="store_true", help="measure the constant read_speed on this machine")
    options = parser.parse_args()
    changed: dict[str, float] = {}
    for word in options.set:
        name, _, value = word.partition("=")
        if name not in CONSTANTS:
            parser.error(f"{name!r} is none of {', '.join(CONSTANTS)}")
        changed[name] = float(value)
    if options.measure:
        changed["read_speed"] = round(measure_reading())
    plan = Plan()
    plan = replace(plan, constants=plan.constants | changed)
    for name, (value, unit, source) in CONSTANTS.items():
        print(f"{name:14} {changed.get(name, value):>14,g} {unit:34} {'given or measured now' if name in changed else source}")
    works = [Work("train 1,000 h", 1000, plan.epochs_1000), Work("train 60,000 h", 60_000, plan.epochs_60000), Work("recognize 1 M h", 1e6)]
    print()
    print_table([plan.train(work, gpus) for work in works[:2] for gpus in GPUS])
    print()
    print_table([plan.recognize(works[2], gpus) for gpus in GPUS])
    print("\nWhat is the limit:")
    for work in works:
        print("  " + find_limits(plan, work))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
