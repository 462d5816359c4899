r"""The curve of adapting: errors on items of the same hand or voice that were never learnt, against the number of corrected items.

One command for each corpus; groups of the manifest to learn (pages, say) are taken whole, in a random order, until there are enough items:

    python scripts/bench_adapt.py handwriting-fr PERAIRE/learn.jsonl PERAIRE/score.jsonl runs/adapt/peraire --size 25 --size 100 --seed 1 --seed 2
    python scripts/bench_adapt.py speech-en KATHLEEN/learn.jsonl KATHLEEN/score.jsonl runs/adapt/kathleen --size 5 --size 10 --size 25 --size 50

With `--scratch` the same items are also learnt from scratch, with settings of `recognizer train`, in the same time:

    python scripts/bench_adapt.py speech-en DUTCH/learn.jsonl DUTCH/score.jsonl runs/adapt/dutch --size 100 --size 300 --size 1000 \
        --scratch corpus=folder features=fbank augment=speech model=speech_cnn_blstm model.frontend.time_strides=[3,2] model.dropout=0.1 \
        corpus.text.case=lower 'corpus.text.drop=".,;:!?"' trainer.schedule=constant trainer.ema_decay=0.99 trainer.epochs=10000

With `--cores 2` minutes are of processor time, two of which make one, so that other work on the machine takes nothing away.
What is finished in OUT is kept: a second call does the missing ones. The picture goes to OUT/curve.png, or where `--picture` says.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench_common import Row, report

if TYPE_CHECKING:
    from recognizer.data.manifest import Item

NOTES = (
    "error: of the items to score, by the bundle's own decoder, per cent; before: of the bundle as it is. low, high: 95 % interval of the",
    "difference. held_back: before and after as adapting itself says, on items that it held back. minutes: as the clock says (with --cores:",
    "cpu_minutes by so many), cpu_minutes: of all processors together, other work on the machine left out. mean: of the seeds, lowest and",
    "highest are their range.",
)


def main() -> int:
    """Adapt with every size and seed that has not been yet, then print the table and draw it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", help="name or folder")
    parser.add_argument("learn", type=Path, help="manifest of corrected items")
    parser.add_argument("score", type=Path, help="manifest of others, of the same hand or voice")
    parser.add_argument("out", type=Path, help="folder of the adapted bundles and figures")
    parser.add_argument("--size", type=int, action="append", required=True, help="number of corrected items; repeatable")
    parser.add_argument("--seed", type=int, action="append", help="of the choice of items and of adapting; repeatable (default: 1)")
    parser.add_argument("--minutes", type=float, default=10.0, help="for each adaptation (default: 10)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: all cores)")
    parser.add_argument("--cores", type=int, default=0, help="count processor time, as if of so many free cores (default: what the clock says)")
    parser.add_argument("--scratch", nargs="+", default=[], metavar="OVERRIDE", help="also train from scratch with these settings")
    parser.add_argument("--picture", type=Path, help="where to draw the curve (default: OUT/curve.png)")
    parser.add_argument("--title", default="", help="of the picture")
    parser.add_argument("--json", metavar="FILE", help="write the figures there as well")
    options = parser.parse_intermixed_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.cores:
        count_processor_time(options.cores)
    rows = [measure(options, size, seed) for seed in options.seed or [1] for size in options.size]
    rows += [measure_scratch(options, size, seed) for seed in options.seed or [1] for size in options.size if options.scratch]
    report(describe_host(options.threads), rows + summarize(rows), NOTES, options.json)
    draw(rows, options.picture or options.out / "curve.png", options.title)
    return 0


def describe_host(threads: int) -> Row:
    """The processor and what computes on it; its speed is not measured, since errors are what counts here."""
    import torch

    from recognizer.utils.device import has_bf16, name_processor

    precision = "bf16" if has_bf16(torch.device("cpu")) else "float32"
    return {"cpu": name_processor(), "cores": os.cpu_count(), "threads": threads or "all", "torch": torch.__version__, "precision": precision}


def count_processor_time(cores: int) -> None:
    """Let what limits training and adapting count processor time of this process, not what the clock on the wall says."""
    time.monotonic = time.perf_counter = lambda: time.process_time() / cores


def choose_items(items: Sequence[Item], size: int, seed: int) -> list[Item]:
    """So many items, of whole groups as far as that goes; a larger choice with the same seed holds the smaller one."""
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.group or item.id, []).append(item)
    names = sorted(groups)
    random.Random(seed).shuffle(names)
    return [item for name in names for item in groups[name]][:size]


def measure(options: argparse.Namespace, size: int, seed: int) -> Row:
    """Adapt to some of the items and score the others."""
    from recognizer.data.manifest import load_manifest, save_manifest
    from recognizer.training.adapt import adapt
    from recognizer.training.adapt_decoder import compare_errors

    record = options.out / f"{size}-{seed}.json"
    if record.exists():
        return dict(json.loads(record.read_text()))
    manifest, bundle = options.out / f"{size}-{seed}.jsonl", options.out / f"{size}-{seed}"
    save_manifest(choose_items(load_manifest(options.learn), size, seed), manifest)
    started, used = time.monotonic(), cpu_seconds()
    result = adapt(options.bundle, manifest, bundle, minutes=options.minutes, seed=seed, threads=options.threads, force=True, quiet=False)
    minutes, cpu = (time.monotonic() - started) / 60, (cpu_seconds() - used) / 60
    before, after = errors_of(options, options.bundle), errors_of(options, bundle)
    low, high = compare_errors(before, after)
    row: Row = {
        "kind": "adapted", "items": size, "seed": seed, "metric": after.metric, "before": percent(before.rate), "error": percent(after.rate),
        "low": percent(low), "high": percent(high), "held_back": f"{percent(result.before)} -> {percent(result.after)}", "gained": result.gained,
        "minutes": round(minutes, 1), "cpu_minutes": round(cpu, 1),
    }  # fmt: skip
    record.write_text(json.dumps(row, indent=1))
    print(row, file=sys.stderr, flush=True)
    return row


def measure_scratch(options: argparse.Namespace, size: int, seed: int) -> Row:
    """Train with the same items and minutes, and nothing else."""
    from recognizer.config.compose import compose
    from recognizer.data.manifest import load_manifest, save_manifest
    from recognizer.training.run import train

    record = options.out / f"{size}-{seed}-scratch.json"
    if record.exists():
        return dict(json.loads(record.read_text()))
    items = choose_items(load_manifest(options.learn), size, seed)
    held = max(8, size // 10)
    save_manifest(items[held:], options.out / "train.jsonl")
    save_manifest(items[:held], options.out / "dev.jsonl")
    run_dir = options.out / f"{size}-{seed}-scratch"
    own = [f"corpus.root={options.out}", f"run_dir={run_dir}", f"seed={seed}"]
    own += [f"trainer.minutes={options.minutes}", f"trainer.threads={options.threads}"]
    started, used = time.monotonic(), cpu_seconds()
    bundle = train(compose([*options.scratch, *own]))
    after = errors_of(options, bundle)
    row: Row = {
        "kind": "scratch", "items": size, "seed": seed, "metric": after.metric, "error": percent(after.rate),
        "minutes": round((time.monotonic() - started) / 60, 1), "cpu_minutes": round((cpu_seconds() - used) / 60, 1),
    }  # fmt: skip
    record.write_text(json.dumps(row, indent=1))
    return row


_known: dict[str, Any] = {}


def errors_of(options: argparse.Namespace, bundle: str | Path) -> Any:
    """The errors of a bundle on the items to score."""
    from recognizer.data.manifest import load_manifest
    from recognizer.inference.recognizer import Recognizer
    from recognizer.training.adapt_decoder import choose_metric, count_errors

    if str(bundle) not in _known:
        recognizer = Recognizer.load(bundle, threads=options.threads)
        _known[str(bundle)] = count_errors(recognizer, load_manifest(options.score), choose_metric(recognizer))
    return _known[str(bundle)]


def cpu_seconds() -> float:
    """Processor time of this process and of those that it waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def summarize(rows: Sequence[Row]) -> list[Row]:
    """Mean and range of the seeds, for every kind and size."""
    found: list[Row] = []
    for kind, size in dict.fromkeys((row["kind"], row["items"]) for row in rows):
        errors = [row["error"] for row in rows if (row["kind"], row["items"]) == (kind, size)]
        found.append({
            "kind": kind, "items": size, "seed": f"{len(errors)} seeds", "mean": round(statistics.mean(errors), 2),
            "lowest": min(errors), "highest": max(errors),
        })  # fmt: skip
    return found


def percent(share: float) -> float:
    """A share in per cent, two digits behind the point."""
    return round(100 * share, 2)


def draw(rows: Sequence[Row], path: Path, title: str) -> None:
    """Draw the error of each kind against the number of items, with all seeds as points and their mean as a line."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 3.6), layout="constrained")
    colors = {"adapted": "#1f5fa8", "scratch": "#b5532a"}
    for kind in dict.fromkeys(row["kind"] for row in rows):
        own = [row for row in rows if row["kind"] == kind]
        before = [row["before"] for row in own if "before" in row][:1]
        means = sorted((row["items"], row["mean"], row["lowest"], row["highest"]) for row in summarize(own))
        sizes, middle, low, high = zip(*means, strict=True)
        axes.plot([0] * len(before) + list(sizes), before + list(middle), "-", color=colors[kind], label=kind)
        axes.fill_between(sizes, low, high, color=colors[kind], alpha=0.15, linewidth=0)
        axes.plot([row["items"] for row in own], [row["error"] for row in own], "o", color=colors[kind], markersize=4)
        if before:
            axes.axhline(before[0] / 2, color="#999999", linewidth=0.8, linestyle="--")
            axes.annotate("half the errors", (max(sizes), before[0] / 2), ha="right", va="bottom", fontsize=8, color="#666666")
    axes.set_xlabel("corrected items")
    axes.set_ylabel(f"{rows[0]['metric']}, %")
    axes.set_ylim(bottom=0)
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    if len({row["kind"] for row in rows}) > 1:
        axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    sys.exit(main())
