"""The recurrent cells side by side: the same recipe and number of weights, one training each, scored on speakers or writers never seen.

    recognizer prepare speechocean SPEECHOCEAN762 data/speechocean --dev-every 5
    python scripts/compare_cells.py data/speechocean/dev.jsonl runs/cells experiment=speechocean_coarse corpus.root=data/speechocean trainer.epochs=6

Cells of two dimensions beside `lstm`, on 1,000 lines of handwriting (`recognizer prepare table`, see conf/experiment/copiste.yaml):

    python scripts/compare_cells.py data/copiste/dev.jsonl runs/cells2d experiment=copiste corpus.root=data/copiste --limit 1000 \\
        --cell lstm --cell conv_lstm --cell mdlstm features.height=48 trainer.batch_items=8 trainer.calm_epochs=4

`mdlstm` is no cell behind the recipe's front-end, but an encoder of its own: `model=mdlstm_fast` with all its layers scaled up alike.
What is done stays: a second call goes on where the first stopped. Overrides are those of `recognizer train`.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
from bisect import bisect_left
from functools import cache
from pathlib import Path

from bench_common import Row, describe_machine, in_fresh_process, report

NOTES = (
    "weights_M: of the whole network; the number of cells is chosen so that it comes nearest to the one asked for. error: substitutions,",
    "deletions and insertions by reference labels, per cent, greedy, with the 95 % interval over speakers or writers; frames/s: feature frames",
    "(of a line: columns of pixels) trained on by the second of training, other work on the machine included; peak_MiB: of the training",
    "process, the reading of data included. H: cells per direction, of mdlstm in its last layer. conv_lstm: four bands of a frame or, behind",
    "convolutions that leave one row, four groups of their channels. mdlstm: with cells that cannot grow without limit.",
)
ENCODER = "mdlstm"  # not a cell of recurrent layers
OWN = {  # without these there is no such cell
    "conv_lstm": ["model.recurrent.positions=4", "model.recurrent.kernel=3"],
    ENCODER: ["model=mdlstm_fast", "model.frontend.stable=true"],  # the published form ends in infinity within three epochs of this recipe
}
DRAW = 1  # seed of the choice of items
STEP = 8  # cells by which the size is varied; divisible by heads and positions


def main() -> int:
    """Train and score every cell that has not been yet, then print the table."""
    from recognizer.config import cell_names

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path, help="items of speakers or writers that training never sees")
    parser.add_argument("out", type=Path, help="folder of the runs")
    parser.add_argument("overrides", nargs="*", help="of recognizer train")
    parser.add_argument("--cell", action="append", choices=[*cell_names(), ENCODER], help=f"repeatable (default: every one but {ENCODER})")
    parser.add_argument("--weights", type=float, default=2.0, help="millions of weights of the whole network (default 2)")
    parser.add_argument("--seed", type=int, action="append", help="repeatable (default: 1)")
    parser.add_argument("--limit", type=int, default=0, help="train on so many items of the training manifest, the same for all (default: on all)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there as well")
    options = parser.parse_intermixed_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.limit:
        options.overrides.append(f"corpus.train={choose_items(options.overrides, options.limit, options.out)}")
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

    own = [*overrides, *([] if name == ENCODER else [f"model.cell={name}"]), *OWN.get(name, []), f"seed={seed}", f"run_dir={run_dir}"]
    hidden, count = fit_size(name, own, weights)
    bundle = train(compose([*own, *size_overrides(name, hidden)]), resume=(run_dir / CHECKPOINT).exists())
    epochs = [json.loads(line) for line in (run_dir / LOG).read_text().splitlines()]
    speed, memory = statistics.median(e["frames_per_second"] for e in epochs), max(e["peak_memory"] for e in epochs) / 2**20
    rate = next(iter(evaluate(Recognizer.load(bundle), load_manifest(manifest)).report.rates.values()))
    errors = {"error": 100 * rate.rate, "low": 100 * rate.low, "high": 100 * rate.high}
    return {"cell": name, "seed": seed, "H": hidden, "weights_M": count / 1e6, **errors, "frames/s": speed, "peak_MiB": memory}


def choose_items(overrides: list[str], limit: int, folder: Path) -> Path:
    """A manifest in ``folder`` of so many items of the training manifest, drawn once and for all, in their order."""
    from recognizer.composition import compose
    from recognizer.data.manifest import load_manifest, save_manifest

    chosen = folder.absolute() / f"train_{limit}.jsonl"
    if not chosen.exists():
        corpus = compose(overrides).corpus
        items = load_manifest(Path(corpus.root) / corpus.train)
        places = random.Random(DRAW).sample(range(len(items)), min(limit, len(items)))
        save_manifest((items[place] for place in sorted(places)), chosen)
    return chosen


def size_overrides(name: str, hidden: int) -> list[str]:
    """What makes a network of the size H: the cells per direction, or those of the encoder's last layer and of the others in proportion."""
    if name != ENCODER:
        return [f"model.hidden={hidden}"]
    from recognizer.composition import compose
    from recognizer.config import MdLstmFrontend

    published = compose([*OWN[ENCODER], "features=pixels"]).model.frontend
    assert isinstance(published, MdLstmFrontend)
    scaled = {key: [max(1, round(size * hidden / published.hidden[-1])) for size in getattr(published, key)] for key in ("hidden", "units")}
    return [f"model.frontend.{key}=[{','.join(map(str, sizes))}]" for key, sizes in scaled.items()]


def fit_size(name: str, overrides: list[str], weights: float) -> tuple[int, int]:
    """The size H whose network has a number of weights nearest to the one wanted, and that number."""
    from recognizer.composition import compose
    from recognizer.models.network import Network
    from recognizer.training.corpus import collect_alphabet, training_items

    config = compose(overrides)
    labels = len(collect_alphabet(config, training_items(config)))

    @cache
    def count(hidden: int) -> int:
        network = Network(compose([*overrides, *size_overrides(name, hidden)]).recipe, labels)
        return sum(parameter.numel() for parameter in network.parameters())

    sizes = range(STEP, 2048, STEP)
    place = bisect_left(sizes, weights, hi=len(sizes) - 1, key=count)
    hidden = min(sizes[max(0, place - 1) : place + 1], key=lambda size: abs(count(size) - weights))
    return hidden, count(hidden)


if __name__ == "__main__":
    sys.exit(main())
