"""Compare the objectives: the same encoder, data and minutes of training, scored on speakers or writers never seen.

    recognizer prepare speechocean SPEECHOCEAN762 data/speechocean --dev-every 5
    python scripts/compare_objectives.py data/speechocean/dev.jsonl runs/objectives experiment=speechocean_phones corpus.root=data/speechocean

A CTC network is trained for --first minutes, unless one is given by --init. From its encoder each objective then trains for --then minutes,
CTC among them, so that what differs is the objective alone. Finished trainings are kept: a second call does the missing ones. Overrides are
those of `recognizer train`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from bench_common import Row, describe_machine, in_fresh_process, report
from compare_cells import choose_items

OBJECTIVES = ("ctc", "minimum_risk", "transducer", "joint", "attention")
NOTES = (
    "greedy, beam: substitutions, deletions and insertions by reference labels, per cent, with the 95 % interval over speakers or writers;",
    "beam: of so many hypotheses, without a language model. train_s: seconds of the second training, read_s: seconds to recognize all items",
    "with the beam, features and network included. epochs: of the second training.",
)


def main() -> int:
    """Train and score what has not been yet, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path, help="items of speakers or writers that training never sees")
    parser.add_argument("out", type=Path, help="folder of the runs")
    parser.add_argument("overrides", nargs="*", help="of recognizer train")
    parser.add_argument("--objective", action="append", choices=OBJECTIVES, help="repeatable (default: all)")
    parser.add_argument("--init", metavar="BUNDLE", help="of CTC, which all start from (default: train one)")
    parser.add_argument("--first", type=float, default=10.0, metavar="MINUTES", help="of training with CTC (default 10)")
    parser.add_argument("--then", type=float, default=5.0, metavar="MINUTES", help="of training with each objective (default 5)")
    parser.add_argument("--beam-size", type=int, default=10)
    parser.add_argument("--seed", type=int, action="append", help="repeatable (default: 1)")
    parser.add_argument("--limit", type=int, default=0, help="train on so many items of the training manifest, the same for all (default: on all)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there as well")
    options = parser.parse_intermixed_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.limit:
        options.overrides.append(f"corpus.train={choose_items(options.overrides, options.limit, options.out)}")
    rows = []
    for seed in options.seed or (1,):
        start = options.init
        if start is None:
            first = [*options.overrides, f"seed={seed}", f"trainer.minutes={options.first}"]
            start = in_fresh_process(run_training, first, options.out / f"first_{seed}")
        for name in options.objective or OBJECTIVES:
            done = options.out / f"{name}_{seed}.json"
            if not done.exists():
                own = [*options.overrides, f"objective={name}", f"init={start}", f"seed={seed}", f"trainer.minutes={options.then}"]
                row = in_fresh_process(run, name, seed, own, options.out / f"{name}_{seed}", options.manifest, options.beam_size)
                done.write_text(json.dumps(row) + "\n")
            rows.append(json.loads(done.read_text()))
    report(in_fresh_process(describe_machine, 0), sorted(rows, key=lambda row: row["beam"]), NOTES, options.json)
    return 0


def run_training(overrides: list[str], run_dir: Path) -> Path:
    """Train as the overrides say, or go on where a training was interrupted; the bundle's folder."""
    from recognizer.config.compose import compose
    from recognizer.training.checkpoint import CHECKPOINT
    from recognizer.training.run import train
    from recognizer.training.transfer import pretrained_settings

    config = compose([*overrides, f"run_dir={run_dir}"], None, pretrained_settings)
    return train(config, resume=(run_dir / CHECKPOINT).exists())


def run(name: str, seed: int, overrides: list[str], run_dir: Path, manifest: Path, beam_size: int) -> Row:
    """Train with one objective and score it; to be called in a fresh process."""
    from recognizer.config import DecoderConfig
    from recognizer.data.manifest import load_manifest
    from recognizer.evaluation.evaluate import evaluate
    from recognizer.inference.recognizer import Recognizer
    from recognizer.training.run import LOG

    bundle, items = run_training(overrides, run_dir), load_manifest(manifest)
    log = [json.loads(line) for line in (run_dir / LOG).read_text().splitlines()]
    row: Row = {"objective": name, "seed": seed}
    for key, config in (("greedy", DecoderConfig()), ("beam", DecoderConfig(kind="beam", beam_size=beam_size))):
        recognizer = Recognizer.load(bundle, decoder=config)
        started = time.perf_counter()
        rate = next(iter(evaluate(recognizer, items).scores.rates.values()))
        row |= {key: 100 * rate.rate, f"{key}_low": 100 * rate.low, f"{key}_high": 100 * rate.high}
        row["read_s"] = time.perf_counter() - started
    return row | {"train_s": log[-1]["seconds"], "epochs": log[-1]["epoch"]}


if __name__ == "__main__":
    sys.exit(main())
