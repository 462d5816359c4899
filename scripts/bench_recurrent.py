"""How fast each recurrent cell is, against torch.nn.LSTM of the same size in the same run, and how much memory its training takes."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from itertools import product
from typing import TYPE_CHECKING

from bench_common import PRECISIONS, Row, describe_machine, in_fresh_process, report

if TYPE_CHECKING:
    from recognizer.config import CellSettings

NOTES = (
    "One direction of one layer, D = H, all sequences of full length, random weights. infer: forward without gradient; train: forward and",
    "backward to weights and input. Times are the least of several runs that alternate with those of torch.nn.LSTM; *_ratio is the quotient.",
    "memory_*: growth of the process's resident memory while one training step holds its activations, MiB, and per frame of the batch, KiB.",
)
ROUNDS = 3  # runs at least of each


def main() -> int:
    """Measure every cell in every size asked for."""
    from recognizer.config import cell_names

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cell", action="append", choices=cell_names(), help="repeatable (default: every one)")
    parser.add_argument("--batch", type=int, action="append", help="sequences; repeatable (default: 1, 16, 64)")
    parser.add_argument("--frames", type=int, action="append", help="frames; repeatable (default: 500, 1000)")
    parser.add_argument("--hidden", type=int, action="append", help="cells; repeatable (default: 128, 250, 320, 512)")
    parser.add_argument("--precision", action="append", choices=PRECISIONS, help="repeatable (default: float32)")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each pair is measured at least (default: 1)")
    parser.add_argument("--memory", action="store_true", help="measure the memory of a training step as well")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: all cores)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there as well")
    options = parser.parse_args()
    machine = in_fresh_process(describe_machine, options.threads)
    cells, precisions = options.cell or cell_names(), options.precision or PRECISIONS[:1]
    rows = []
    for precision, hidden, frames, batch in product(
        precisions, options.hidden or (128, 250, 320, 512), options.frames or (500, 1000), options.batch or (1, 16, 64)
    ):
        done = in_fresh_process(measure, cells, precision, batch, frames, hidden, options.seconds, options.threads, options.device)
        for row in done if options.memory else ():
            row |= in_fresh_process(measure_memory, row["cell"], batch, frames, hidden, options.threads)
        rows += done
    report(machine, rows, NOTES, options.json)
    return 0


def measure(cells: list[str], precision: str, batch: int, frames: int, hidden: int, seconds: float, threads: int, device: str) -> list[Row]:
    """Times of some cells and of ``torch.nn.LSTM``; to be called in a fresh process."""
    import torch

    from recognizer.models.cells import build_cell
    from recognizer.utils.device import prepare_host

    prepare_host(threads)
    torch.manual_seed(1)
    inputs = torch.randn(batch, frames, hidden, device=device, requires_grad=True)
    lengths = torch.full((batch,), frames, device=device)
    peer = torch.nn.LSTM(hidden, hidden, batch_first=True).to(device)

    def timed(run: Callable[[], torch.Tensor], learn: bool) -> Callable[[], None]:
        def once() -> None:
            with torch.set_grad_enabled(learn), torch.autocast(inputs.device.type, torch.bfloat16, enabled=precision == "bf16"):
                outputs = run()
            if learn:
                outputs.float().sum().backward()
            if inputs.is_cuda:
                torch.cuda.synchronize()

        return once

    rows: list[Row] = []
    for name in cells:
        cell = build_cell(name, hidden, hidden, settings_for(hidden)).to(device)
        weights = sum(parameter.numel() for parameter in cell.parameters())
        row: Row = {"cell": name, "precision": precision, "B": batch, "T": frames, "H": hidden, "weights_k": weights / 1e3}
        below = inputs if cell.reads_below else None
        for what, learn in (("infer", False), ("train", True)):
            ours = timed(lambda cell=cell, below=below: cell(inputs, lengths, below=below).outputs, learn)  # type: ignore[misc]
            own, other = alternate(ours, timed(lambda: peer(inputs)[0], learn), seconds)
            row |= {f"{what}_ms": 1e3 * own, f"{what}_lstm_ms": 1e3 * other, f"{what}_ratio": own / other}
        rows.append(row)
    return rows


def settings_for(hidden: int) -> CellSettings:
    """Heads and positions that divide a size."""
    from recognizer.config import CellSettings

    return CellSettings(heads=2 if hidden % 4 else 4, positions=next(p for p in (10, 8, 5, 4, 2, 1) if hidden % p == 0))


def alternate(first: Callable[[], None], second: Callable[[], None], seconds: float) -> tuple[float, float]:
    """The least time of each, seconds, over runs in turn after one to warm up."""
    least = [float("inf"), float("inf")]
    first(), second()
    started, rounds = time.perf_counter(), 0
    while rounds < ROUNDS or time.perf_counter() - started < seconds:
        for which, work in enumerate((first, second)):
            before = time.perf_counter()
            work()
            least[which] = min(least[which], time.perf_counter() - before)
        rounds += 1
    return least[0], least[1]


def measure_memory(name: str, batch: int, frames: int, hidden: int, threads: int) -> Row:
    """Peak resident memory of one float32 training step less that before it; to be called in a fresh process."""
    import torch

    from recognizer.models.cells import build_cell
    from recognizer.utils.device import peak_memory, prepare_host

    prepare_host(threads)
    cell = build_cell(name, hidden, hidden, settings_for(hidden))

    def step(length: int) -> None:
        cell(torch.zeros(batch, length, hidden, requires_grad=True), torch.full((batch,), length)).outputs.sum().backward()

    step(8)
    before = peak_memory()
    step(frames)
    grown = peak_memory() - before
    return {"memory_MiB": grown / 2**20, "memory_KiB_per_frame": grown / 1024 / (batch * frames)}


if __name__ == "__main__":
    sys.exit(main())
