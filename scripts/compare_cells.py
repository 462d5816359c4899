"""The recurrent cells side by side: the same recipe and number of weights, one training each, scored on speakers never seen.

    recognizer prepare speechocean SPEECHOCEAN762 data/speechocean --dev-every 5
    python scripts/compare_cells.py data/speechocean/dev.jsonl runs/cells experiment=speechocean_coarse corpus.root=data/speechocean trainer.epochs=6

What is done stays: a second call goes on where the first stopped. Overrides are those of `recognizer train`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path

from bench_common import Row, describe_machine, in_fresh_process, report

NOTES = (
    "weights_M: of the whole network; the number of cells is chosen so that it comes nearest to the one asked for. error: substitutions,",
    "deletions and insertions by reference labels, per cent, greedy, with the 95 % interval over speakers or writers; frames/s: feature frames",
    "trained on by the second of training, other work on the machine included; peak_MiB: of the training process, the reading of data included.",
)
OWN = {"conv_lstm": ["model.recurrent.positions=4", "model.recurrent.kernel=3"]}  # without these there is no such cell
STEP = 8  # cells by which the size is varied; divisible by heads and positions


def main() -> int:
    """Train and score every cell that has not been yet, then print the table."""
    from recognizer.config import cell_names

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path, help="items of speakers or writers that training never sees")
    parser.add_argument("out", type=Path, help="folder of the runs")
    parser.add_argument("overrides", nargs="*", help="of recognizer train")
    parser.add_argument("--cell", action="append", choices=cell_names(), help="repeatable (default: every one)")
    parser.add_argument("--weights", type=float, default=2.0, help="millions of weights of the whole network (default 2)")
    parser.add_argument("--seed", type=int, action="append", help="repeatable (default: 1)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there as well")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for seed in options.seed or (1,):
        for name in options.cell or cell_names():
            done = options.out / f"{name}_{seed}.json"
            if not done.exists():
                row = in_fresh_process(run, name, seed, options.weights * 1e6, options.manifest, options.out / f"{name}_{seed}", options.overrides)
                done.write_text(json.dumps(row) + "\n")
            rows.append(json.loads(done.read_text()))
    report(in_fresh_process(describe_machine, 0), sorted(rows, key=lambda row: row["error"]), NOTES, options.json)
    return 0


def run(name: str, seed: int, weights: float, manifest: Path, run_dir: Path, overrides: list[str]) -> Row:
    """Train one cell and score it; to be called in a fresh process."""
    from recognizer.composition import compose
    from recognizer.data.manifest import load_manifest
    from recognizer.pipeline import Recognizer
    from recognizer.scoring import evaluate
    from recognizer.training.checkpoint import CHECKPOINT
    from recognizer.training.run import LOG, train

    own = [*overrides, f"model.cell={name}", *OWN.get(name, []), f"seed={seed}", f"run_dir={run_dir}"]
    hidden, count = fit_size(own, weights)
    bundle = train(compose([*own, f"model.hidden={hidden}"]), resume=(run_dir / CHECKPOINT).exists())
    epochs = [json.loads(line) for line in (run_dir / LOG).read_text().splitlines()]
    speed, memory = statistics.median(e["frames_per_second"] for e in epochs), max(e["peak_memory"] for e in epochs) / 2**20
    rate = next(iter(evaluate(Recognizer.load(bundle), load_manifest(manifest)).report.rates.values()))
    errors = {"error": 100 * rate.rate, "low": 100 * rate.low, "high": 100 * rate.high}
    return {"cell": name, "seed": seed, "H": hidden, "weights_M": count / 1e6, **errors, "frames/s": speed, "peak_MiB": memory}


def fit_size(overrides: list[str], weights: float) -> tuple[int, int]:
    """The size H whose network has a number of weights nearest to the one wanted, and that number."""
    from recognizer.composition import compose
    from recognizer.models.network import Network

    best = (0, 0)
    for hidden in range(STEP, 2048, STEP):
        network = Network(compose([*overrides, f"model.hidden={hidden}"]).recipe, 40)
        count = sum(parameter.numel() for parameter in network.parameters())
        if best[0] == 0 or abs(count - weights) < abs(best[1] - weights):
            best = hidden, count
        if count > weights:
            break
    return best


if __name__ == "__main__":
    sys.exit(main())
