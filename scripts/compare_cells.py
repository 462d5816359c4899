"""Compare the recurrent cells: the same settings and number of weights, one training each, scored on speakers or writers never seen.

    recognizer prepare speechocean SPEECHOCEAN762 data/speechocean --dev-every 5
    python scripts/compare_cells.py data/speechocean/dev.jsonl runs/cells experiment=speechocean_coarse corpus.root=data/speechocean trainer.epochs=6

Cells of two dimensions beside `lstm`, on 1,000 lines of handwriting (`recognizer prepare table`, see conf/experiment/copiste.yaml):

    python scripts/compare_cells.py data/copiste/dev.jsonl runs/cells2d experiment=copiste corpus.root=data/copiste --limit 1000 \\
        --cell lstm --cell conv_lstm --cell mdlstm features.height=48 trainer.max_batch_size=8 trainer.clean_epochs=4

`mdlstm` is no cell behind a front-end, but an encoder of its own: `model=mdlstm_fast` with all its layers scaled up alike.
Finished trainings are kept: a second call does the missing ones. Overrides are those of `recognizer train`.
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
CELL_OVERRIDES = {  # settings that a cell needs
    "conv_lstm": ["model.recurrent.positions=4", "model.recurrent.kernel=3"],
    ENCODER: ["model=mdlstm_fast", "model.frontend.stable=true"],  # the published form overflows within three epochs
}
ITEM_SEED = 1  # of the choice of items
SIZE_STEP = 8  # cells by which the size is varied; divisible by heads and positions


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
    from recognizer.config.compose import compose
    from recognizer.data.manifest import load_manifest
    from recognizer.evaluation.evaluate import evaluate
    from recognizer.inference.recognizer import Recognizer
    from recognizer.training.checkpoint import CHECKPOINT
    from recognizer.training.run import LOG, train

    own = [*overrides, *([] if name == ENCODER else [f"model.cell={name}"]), *CELL_OVERRIDES.get(name, []), f"seed={seed}", f"run_dir={run_dir}"]
    hidden, count = fit_size(name, own, weights)
    bundle = train(compose([*own, *size_overrides(name, hidden)]), resume=(run_dir / CHECKPOINT).exists())
    epochs = [json.loads(line) for line in (run_dir / LOG).read_text().splitlines()]
    speed, memory = statistics.median(e["frames_per_second"] for e in epochs), max(e["peak_memory"] for e in epochs) / 2**20
    rate = next(iter(evaluate(Recognizer.load(bundle), load_manifest(manifest)).scores.rates.values()))
    errors = {"error": 100 * rate.rate, "low": 100 * rate.low, "high": 100 * rate.high}
    return {"cell": name, "seed": seed, "H": hidden, "weights_M": count / 1e6, **errors, "frames/s": speed, "peak_MiB": memory}


def choose_items(overrides: list[str], limit: int, folder: Path) -> Path:
    """A manifest in ``folder`` of so many random items of the training manifest, in their order; the same for all cells."""
    from recognizer.config.compose import compose
    from recognizer.data.manifest import load_manifest, save_manifest

    chosen = folder.absolute() / f"train_{limit}.jsonl"
    if not chosen.exists():
        corpus = compose(overrides).corpus
        items = load_manifest(Path(corpus.root) / corpus.train)
        places = random.Random(ITEM_SEED).sample(range(len(items)), min(limit, len(items)))
        save_manifest((items[place] for place in sorted(places)), chosen)
    return chosen


def size_overrides(name: str, hidden: int) -> list[str]:
    """What makes a network of the size H: the cells per direction, or those of the encoder's last layer and of the others in proportion."""
    if name != ENCODER:
        return [f"model.hidden_size={hidden}"]
    from recognizer.config import MdLstmFrontend
    from recognizer.config.compose import compose

    published = compose([*CELL_OVERRIDES[ENCODER], "features=pixels"]).model.frontend
    assert isinstance(published, MdLstmFrontend)
    keys, last = ("hidden_sizes", "units"), published.hidden_sizes[-1]
    scaled = {key: [max(1, round(size * hidden / last)) for size in getattr(published, key)] for key in keys}
    return [f"model.frontend.{key}=[{','.join(map(str, sizes))}]" for key, sizes in scaled.items()]


def fit_size(name: str, overrides: list[str], weights: float) -> tuple[int, int]:
    """The size H whose network has a number of weights nearest to the one wanted, and that number."""
    from recognizer.config.compose import compose
    from recognizer.models.network import Network
    from recognizer.training.datamodule import collect_alphabet, load_items

    config = compose(overrides)
    labels = len(collect_alphabet(config, load_items(config)["train"]))

    @cache
    def count(hidden: int) -> int:
        network = Network(compose([*overrides, *size_overrides(name, hidden)]).recognizer, labels)
        return sum(parameter.numel() for parameter in network.parameters())

    sizes = range(SIZE_STEP, 2048, SIZE_STEP)
    place = bisect_left(sizes, weights, hi=len(sizes) - 1, key=count)
    hidden = min(sizes[max(0, place - 1) : place + 1], key=lambda size: abs(count(size) - weights))
    return hidden, count(hidden)


if __name__ == "__main__":
    sys.exit(main())
