"""Search for a recurrent cell: compose cells from parts at random, train each alike on a task with long time lags, rank them.

    python scripts/search_cells.py runs/search --task reber

After Bayer et al. 2009 (evolved cells) and Greff et al. 2017 (an LSTM without one part at a time). A candidate is the cell `composed` with
settings drawn from all that there are; the LSTM is one of them and always takes part. All have nearly the same number of weights and the same
number of updates. The best go into a final with other seeds, beside the LSTM, because the best of many in one trial was lucky as well.

Training is the loop of long_lags.py: `recognizer train -m` learns CTC from manifests, and these tasks have neither labels to align nor items.
Each cell is printed as the overrides with which `recognizer train` takes it, so that what is found can be swept over on a corpus:

    recognizer train -m model.cell=composed model.recurrent.parts.forget_gate=gate,coupled,none experiment=... corpus.root=...

Finished runs are kept in a file each: a second call does the missing ones.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields, replace
from itertools import product
from pathlib import Path
from typing import Any

import torch
from bench_common import Row, report
from long_lags import LagTraining, Settings, StreamTraining, Training

from recognizer.config import CellParts
from recognizer.errors import ConfigError, InputError
from recognizer.utils.device import name_processor, prepare_host

NOTES = (
    "First the search, one seed, then the final, other seeds, mean over them. wrong_%: distractors: of test sequences, answers not within 0.2 of",
    "the target; reber: of predictions of a string's last but one symbol; guessing gets all and half. loss: mean of the last tenth of training.",
    "trained_on: sequences, with which training ends early if it succeeds, or symbols. Ranked by wrong_%, then trained_on, then loss.",
    "deviation: of wrong_% over the seeds; no_worse: seeds with at most as many errors as the LSTM. failed: gradients that are not finite.",
)
TASKS = {
    "distractors": Settings(300, 0.03, hidden=8, batch=16, lag=200, kinds=10, test=1000),
    "reber": Settings(1500, 0.01, hidden=8, batch=32, chunk=64, stream=2000),
}
LSTM = CellParts()


def every_cell() -> list[CellParts]:
    """All cells that can be composed, the LSTM among them."""
    choices = {"forget_gate": ("gate", "coupled", "none")}
    names = [field.name for field in fields(CellParts)]

    def valid() -> Iterator[CellParts]:
        for values in product(*(choices.get(name, (True, False)) for name in names)):
            try:
                yield CellParts(**dict(zip(names, values, strict=True)))
            except ConfigError:
                continue  # parts that contradict each other

    return list(valid())


def describe(parts: CellParts) -> str:
    """What is not as in the LSTM, as overrides below ``model.recurrent.parts``; ``lstm`` for nothing."""
    changed = [(name, value) for name, value in asdict(parts).items() if value != getattr(LSTM, name)]
    return " ".join(f"{name}={str(value).lower()}" for name, value in changed) or "lstm"


def make_training(task: str, parts: CellParts, seed: int, settings: Settings) -> Training:
    """A training of the cell, of so many cells that the network has nearly the weights of the LSTM with ``settings.hidden``."""
    kind = StreamTraining if task == "reber" else LagTraining

    def make(own: CellParts, hidden: int) -> Training:
        return kind(task, "composed", seed, replace(settings, hidden=hidden, parts=own))

    def count(training: Training) -> int:
        return sum(parameter.numel() for parameter in training.network.parameters())

    wanted = count(make(LSTM, settings.hidden))
    return min((make(parts, hidden) for hidden in range(settings.hidden, 5 * settings.hidden)), key=lambda made: abs(count(made) - wanted))


def run(task: str, parts: CellParts, seed: int, settings: Settings, folder: Path) -> Row:
    """Result of one cell, from its file (InputError: made with other settings) or by training it."""
    name = describe(parts)
    done = folder / f"{task}_{hashlib.sha1(name.encode()).hexdigest()[:10]}_{seed}.json"
    given = asdict(settings)
    if done.exists():
        row: Row = json.loads(done.read_text())
        if row["settings"] != given:
            raise InputError(f"{done}: was made with other settings ({row['settings']}); name another folder, or delete it")
        return row
    training = make_training(task, parts, seed, settings)
    row = {"cell": name, "H": training.settings.hidden}
    try:
        result = training.run()
    except RuntimeError as error:
        if "non-finite" not in str(error):
            raise
        row |= {"wrong_%": 100.0, "trained_on": training.curve[-1][0] if training.curve else 0, "loss": float("inf"), "failed": "yes"}
    else:
        last = [point[1] for point in result["curve"]][-max(1, len(result["curve"]) // 10) :]
        row |= {name: result[name] for name in ("weights", "wrong_%", "trained_on", "cpu_s")} | {"loss": statistics.fmean(last)}
    row |= {"seed": seed, "settings": given}
    done.write_text(json.dumps(row) + "\n")
    print(f"{task} {seed} {name}: {row['wrong_%']:.3g} % wrong after {row['trained_on']}", file=sys.stderr, flush=True)
    return row


def rank(row: Row) -> tuple[float, ...]:
    """The less the better."""
    return row["wrong_%"], row["trained_on"], row["loss"]


def compete(task: str, cells: Sequence[CellParts], seeds: Sequence[int], settings: Settings, folder: Path) -> list[Row]:
    """The final: every cell with every seed, the mean of each, the LSTM last where it is no better than another."""
    runs = {describe(parts): [run(task, parts, seed, settings, folder) for seed in seeds] for parts in cells}
    rows: list[Row] = []
    for name, own in runs.items():
        wrong = [row["wrong_%"] for row in own]
        means: dict[str, Any] = {key: statistics.fmean(row[key] for row in own) for key in ("wrong_%", "trained_on", "loss")}
        no_worse = sum(mine["wrong_%"] <= other["wrong_%"] for mine, other in zip(own, runs["lstm"], strict=True))
        row = {"cell": name, "H": own[0]["H"], "weights": own[0].get("weights"), **means}
        rows.append({**row, "deviation": statistics.stdev(wrong) if len(wrong) > 1 else None, "no_worse": f"{no_worse} of {len(own)}"})
    return sorted(rows, key=lambda row: (*rank(row), row["cell"] == "lstm"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Search, then the final; print both tables; 2 if files stand in the way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the results")
    parser.add_argument("--task", choices=TASKS, default="reber", help="default: reber, which a cell that cannot forget does not learn")
    parser.add_argument("--cells", type=int, default=30, help="candidates beside the LSTM (default: 30)")
    parser.add_argument("--finalists", type=int, default=3, help="beside the LSTM (default: 3)")
    parser.add_argument("--seeds", type=int, default=5, help="of the final (default: 5)")
    parser.add_argument("--seed", type=int, default=1, help="of the choice of cells and of the search (default: 1)")
    parser.add_argument("--updates", type=int, help="of each training (default: TASKS in this file)")
    parser.add_argument("--lag", type=int, help="of distractors (default: TASKS in this file)")
    parser.add_argument("--quick", action="store_true", help="three cells, few updates and seeds, to see that all of it works")
    parser.add_argument("--json", metavar="FILE", help="write the figures there as well")
    options = parser.parse_args(arguments)
    if options.quick:
        options.cells, options.finalists, options.seeds, options.updates, options.lag = 3, 1, 2, 5, 10
    prepare_host(1)  # which is fastest at this size
    options.out.mkdir(parents=True, exist_ok=True)
    settings = replace(TASKS[options.task], **{name: value for name in ("updates", "lag") if (value := getattr(options, name)) is not None})
    others = [parts for parts in every_cell() if parts != LSTM]
    chosen = [LSTM, *random.Random(options.seed).sample(others, min(options.cells, len(others)))]
    try:
        found = {describe(parts): run(options.task, parts, options.seed, settings, options.out) for parts in chosen}
        best = [parts for parts in sorted(chosen, key=lambda parts: rank(found[describe(parts)])) if parts != LSTM][: options.finalists]
        final = compete(options.task, [LSTM, *best], range(options.seed + 1, options.seed + 1 + options.seeds), settings, options.out)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    ranked = [{key: value for key, value in row.items() if key != "settings"} for row in sorted(found.values(), key=rank)]
    rows = [{"round": "search", **row} for row in ranked] + [{"round": "final", **row} for row in final]
    report({"cpu": name_processor(), "torch": torch.__version__, "task": options.task}, rows, NOTES, options.json)
    if final[0]["cell"] != "lstm":
        overrides = " ".join(f"model.recurrent.parts.{part}" for part in final[0]["cell"].split())
        print(f"\nno worse than the LSTM: recognizer train model.cell=composed {overrides}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
