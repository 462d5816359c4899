"""What the constant error carousel is for, and what the forget gate is for: the cells at two tasks of the papers that brought them.

    python scripts/long_lags.py runs/lags --json runs/lags.json --figure runs/lags.svg

distractors: remember one symbol over 1,000 random ones (Hochreiter & Schmidhuber 1997, task 2c with 50 kinds). reber: tell what follows in the
embedded Reber grammar, string after string, with no reset between them (Gers, Schmidhuber & Cummins 2000), with the paper's eight cells. adding,
if asked for: add two numbers over 1,000 steps (1997, section 5.4). What is done stays: a second call goes on where the first stopped.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench_common import Row, describe_machine, in_fresh_process, report

CELLS = ("lstm", "lstm_1997", "peephole", "coupled", "gru", "slstm", "layer_norm", "rnn")
TASKS = ("distractors", "reber", "adding")
NOTES = (
    "distractors: solved: the last 10 training batches, all of sequences never seen before, and then every sequence of the test within 0.2",
    "of its target; the paper's test has 10,000. adding: the 2,000 most recent training sequences within 0.04, as in the paper. wrong_%: of the",
    "test, a tenth of it where they were not; one who guesses between two symbols gets all wrong. reber: ten test streams without reset; wrong_%:",
    "of predictions of a string's last but one symbol, which is the second one again (one who guesses gets half); a prediction is right if each",
    "symbol that may follow is likelier than all that may not; until_mistake: symbols before the first wrong prediction, mean of the streams;",
    "solved: no mistake at all; good: more than 1,000 symbols until one, as in the paper. c_*: mean |c| in the test streams. trained_on:",
    "sequences, for reber symbols. rnn: tanh without gates. cpu_s: training, processor time.",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Train and test every cell that has not been yet, then print the table; 2 if files stand in the way."""
    from recognizer.config import cell_names
    from recognizer.errors import RecognizerError
    from recognizer.host import prepare_host

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of what is learnt: curves, results, checkpoints")
    parser.add_argument("--task", action="append", choices=TASKS, help="repeatable (default: distractors, reber)")
    parser.add_argument("--cell", action="append", choices=[*cell_names(), "rnn"], help=f"repeatable (default: {', '.join(CELLS)})")
    parser.add_argument("--seed", type=int, action="append", help="repeatable (default: 1)")
    for name, what in (
        ("updates", "at most (default: distractors 600, reber 1000, adding 6000)"),
        ("hidden", "cells (default: 32; reber 8, as in the paper)"), ("batch", "sequences or streams trained on at once (default: 32)"),
        ("lag", "steps of distractors and adding (default: 1000)"), ("test", "their sequences in the test (default: 2560)"),
        ("inner", "inner strings in a string of reber (default: 1)"), ("chunk", "symbols of reber between updates (default: 64)"),
        ("stream", "symbols of each of its test streams (default: 100000)"),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, help=what)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1, which is fastest at this size)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there as well")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="draw curves and cell states there, .png or .svg (needs matplotlib)")
    options = parser.parse_args(arguments)
    if options.figure and options.figure.suffix not in (".png", ".svg"):
        parser.error(f"--figure {options.figure}: must end in .png or .svg")
    prepare_host(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        figure = begin_figure() if options.figure else None
        runs = [(task, cell, seed) for seed in options.seed or (1,) for task in options.task or TASKS[:2] for cell in options.cell or CELLS]
        rows = [run(task, cell, seed, options) for task, cell, seed in runs]
    except RecognizerError as error:
        print(error, file=sys.stderr)
        return 2
    plain = [{key: value for key, value in row.items() if key not in ("curve", "growth", "settings")} for row in rows]
    report(in_fresh_process(describe_machine, options.threads), plain, NOTES, options.json)
    if figure is not None:
        draw(figure, rows)
        partial = options.figure.with_suffix(".partial")
        figure.savefig(partial, format=options.figure.suffix[1:])
        partial.replace(options.figure)
    return 0


def run(task: str, cell: str, seed: int, options: argparse.Namespace) -> Row:
    """Result, curve and settings of one cell at one task, from its file or by doing it.

    Raises:
        InputError: the file is of other settings.
    """
    from lag_training import LESSONS, USUAL, require_same

    names = ("updates", "hidden", "batch", "lag", "inner", "chunk", "test", "stream")
    settings = replace(USUAL[task], **{name: getattr(options, name) for name in names if getattr(options, name) is not None})
    done = options.out / f"{task}_{cell}_{seed}.json"
    if done.exists():
        row: Row = json.loads(done.read_text())
        require_same(row["settings"], settings, done)
        return row
    checkpoint = done.with_suffix(".pt")
    row = LESSONS[task](task, cell, seed, settings).run(checkpoint)
    partial = done.with_suffix(".partial")
    partial.write_text(json.dumps(row) + "\n")
    partial.replace(done)
    checkpoint.unlink(missing_ok=True)
    print(f"{task} {cell} {seed}: {row['wrong_%']:.3g} % wrong after {row['trained_on']}, {row['cpu_s']:.0f} s", file=sys.stderr, flush=True)
    return row


def begin_figure() -> Any:
    """An empty matplotlib figure.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    from recognizer.errors import ConfigError

    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise ConfigError("--figure: matplotlib is not installed; pip install 'recognizer[inspect]'") from None
    return Figure(figsize=(9, 9), layout="constrained")


def draw(figure: Any, rows: Sequence[Row]) -> None:
    """One panel a task with the share of right answers as training goes on, and one with the growth of |c| in streams that nothing resets."""
    tasks = [task for task in TASKS if any(row["task"] == task for row in rows)]
    panels = figure.subplots(len(tasks) + ("reber" in tasks), squeeze=False)[:, 0]
    cells = list(dict.fromkeys(row["cell"] for row in rows))
    first = rows[0]["seed"]  # the others go without a place in the legend
    styles = {cell: {"color": f"C{number % 10}", "linestyle": "--" if cell == "rnn" else "-", "linewidth": 1.2} for number, cell in enumerate(cells)}

    def named(row: Row) -> dict[str, Any]:
        return {"label": row["cell"] if row["seed"] == first else None, **styles[row["cell"]]}

    for panel, task in zip(panels, tasks, strict=False):
        for row in (row for row in rows if row["task"] == task):
            points = [point for point in row["curve"] if point[2] is not None]
            panel.plot([point[0] for point in points], smooth([100 * point[2] for point in points]), **named(row))
        settings = next(row["settings"] for row in rows if row["task"] == task)
        unit = "symbols" if task == "reber" else "sequences"
        over = "last but one symbol of a string, no resets" if task == "reber" else f"over {settings['lag']} steps"
        panel.set_title(f"{task}: {over}", fontsize=10)
        panel.set(xlabel=f"{unit} trained on", ylabel="right, %", ylim=(-3, 103))
    if "reber" in tasks:
        for row in (row for row in rows if row["task"] == "reber" and row["c_at_end"] is not None):
            panels[-1].loglog(*zip(*row["growth"], strict=True), **named(row))
        panels[-1].set_title("reber: the cells in test streams that nothing resets", fontsize=10)
        panels[-1].set(xlabel="symbols read", ylabel="mean |c|")
    for panel in panels:
        panel.legend(fontsize=7, ncols=2)


def smooth(values: Sequence[float], width: int = 10) -> list[float]:
    """Means of each value and up to ``width`` - 1 before it."""
    return [math.fsum(values[max(0, end - width) : end]) / min(end, width) for end in range(1, len(values) + 1)]


if __name__ == "__main__":
    sys.exit(main())
