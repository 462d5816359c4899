"""How fast the two-dimensional LSTM runs: each layer against a loop over places, and a training step of the whole encoder."""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bench_common import Row, describe_machine, in_fresh_process, report

if TYPE_CHECKING:
    from torch import Tensor

    from recognizer.models.mdlstm import MdLstm

MODELS = ("mdlstm", "mdlstm_fast")  # files of conf/model
DIAGONALS = 50  # timed at once
HEIGHT, LABELS, LETTERS = 64, 80, 40  # rows of a line, size of its alphabet, letters on it
NOTES = (
    "Lines of 64 rows, float32, CPU time of one thread, so that other work on the machine does not count.",
    "forward, both: milliseconds a line, both with the backward pass; network: of all its layers. As in training, pixels need no",
    "gradient, so that the first layer and its loop compute none.",
    "loop: the same layer by torch's operations, one place after the other, each step of all lines of the batch and all four",
    "directions in one batched product, as the layer's diagonals are; so a batch makes the loop faster too. On the first columns of",
    "the map only and scaled up to all of them, since its time goes with their number; times: loop over layer.",
    "products: of both, what the matrix products of the diagonals alone take, which the loop has to do as well; most: the times that",
    "the layer would reach if all else took no time.",
    "lines_s: a training step (forward, CTC, backward, AdamW) and inference of the whole network, which has no other layers.",
)


def main() -> int:
    """Measure the layers and the networks of both sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16], help="lines in a batch (default: 1 16)")
    parser.add_argument("--width", type=int, default=1000, help="columns of a line (default: 1000)")
    parser.add_argument("--loop-columns", type=int, default=8, help="columns of the map that the loop is timed on (default: 8)")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each case is measured (default: 2)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there as well")
    options = parser.parse_args()
    machine = in_fresh_process(describe_machine, 1)
    rows = []
    for model in MODELS:
        for batch in options.batch:
            rows += in_fresh_process(measure, model, batch, options.width, options.loop_columns, options.seconds)
    report(machine, rows, NOTES, options.json)
    return 0


def measure(model: str, batch: int, width: int, loop_columns: int, seconds: float) -> list[Row]:
    """Rows of each layer and of the whole network; to be called in a fresh process."""
    import torch

    from recognizer.config.compose import compose
    from recognizer.models.frontends import strided
    from recognizer.models.mdlstm import MdLstm, MdLstmEncoder
    from recognizer.models.network import Network
    from recognizer.utils.device import prepare_host

    prepare_host(1)
    torch.manual_seed(0)
    config = compose([f"model={model}", "features=pixels", f"features.height={HEIGHT}"]).recognizer
    network = Network(config, LABELS)
    encoder = network.frontend
    assert isinstance(encoder, MdLstmEncoder)
    rows, height, columns = [], HEIGHT, width
    for number, (layer, block) in enumerate(zip(encoder.scans, encoder.blocks, strict=True), start=1):
        assert isinstance(layer, MdLstm)
        height, columns = strided(height, block[0]), strided(columns, block[1])
        maps = torch.randn(batch, height, columns, layer.inputs)
        few = min(loop_columns, columns)
        row: Row = {"model": model, "layer": f"{number}: {height} x {columns} x {layer.hidden}", "batch": batch}
        scale = columns / few
        for name, size, factor, scan in (("", columns, 1.0, layer), ("loop_", few, scale, lambda maps, widths, layer=layer: _loop(layer, maps))):
            widths = torch.full((batch,), size)
            forward, both = _time_scan(scan, maps[:, :, :size].contiguous().requires_grad_(number > 1), widths, seconds)
            row |= {f"{name}forward": 1e3 * factor * forward / batch, f"{name}both": 1e3 * factor * both / batch}
        row["products"] = 1e3 * (height + columns - 1) * _time_products(layer, batch * height, number > 1, seconds) / batch
        rows.append(row)
    totals = {key: sum(row[key] for row in rows) for key in ("forward", "both", "loop_forward", "loop_both", "products")}
    rows.append({"model": model, "layer": "network", "batch": batch, **totals, **_time_network(network, batch, width, seconds)})
    for row in rows:
        times = {"times_forward": row["loop_forward"] / row["forward"], "times_both": row["loop_both"] / row["both"]}
        row |= {**times, "most_both": row["loop_both"] / row["products"]}
    return rows


def _time_scan(scan: Any, maps: Tensor, widths: Tensor, seconds: float) -> tuple[float, float]:
    """Seconds forward without gradients, and forward and backward."""
    import torch

    def forward() -> None:
        with torch.inference_mode():
            scan(maps, widths)

    weighting = torch.randn_like(scan(maps, widths))
    return _time_calls(forward, seconds), _time_calls(lambda: scan(maps, widths).backward(weighting), seconds)


def _time_products(layer: MdLstm, places: int, whole: bool, seconds: float) -> float:
    """Seconds of the three products of a diagonal: forward, backward (to the inputs if ``whole``, else to the states only), to the weights."""
    import torch

    from recognizer.models.mdlstm import FEW_COLUMNS

    weight = layer.weight.detach()
    back = (weight if whole else weight[:, :, layer.inputs :]).transpose(1, 2).contiguous()
    d_weight, steps, gates = torch.zeros_like(weight), torch.randn(4, weight.shape[2], places), torch.randn(4, weight.shape[1], places)
    turned, turned_back = weight.transpose(1, 2).contiguous(), back.transpose(1, 2).contiguous()
    d_steps, by_rows = torch.empty(4, back.shape[1], places), places < FEW_COLUMNS

    def multiply() -> None:
        for _ in range(DIAGONALS):
            if by_rows:
                torch.bmm(steps.transpose(1, 2), turned)
                torch.bmm(gates.transpose(1, 2), turned_back)
            else:
                torch.bmm(weight, steps, out=gates)
                torch.bmm(back, gates, out=d_steps)
            d_weight.baddbmm_(gates, steps.transpose(1, 2))

    return _time_calls(multiply, seconds / 4) / DIAGONALS


def _time_calls(call: Callable[[], Any], seconds: float) -> float:
    """Median CPU seconds of a call, over at least three calls and at least ``seconds``, after one that does not count."""
    call()
    spent: list[float] = []
    while len(spent) < 3 or sum(spent) < seconds:
        started = time.process_time()
        call()
        spent.append(time.process_time() - started)
    return statistics.median(spent)


def _loop(layer: MdLstm, maps: Tensor) -> Tensor:
    """The equations of the layer for lines of one width: a Python step a place, all directions in one product."""
    import torch

    rows, columns = maps.shape[1:3]
    turned = torch.stack([maps, maps.flip(1), maps.flip(2), maps.flip((1, 2))])
    nothing = maps.new_zeros(4, len(maps), layer.hidden)
    p_i, p_f, p_a, p_o = layer.peepholes[:, :, None].unbind(1)
    weight, bias = layer.weight.transpose(1, 2), layer.bias[:, None]
    above = [(nothing, nothing)] * columns
    outputs = []
    for row in range(rows):
        h, c = nothing, nothing
        for column in range(columns):
            h_above, c_above = above[column]
            i, f, a, g, o = torch.baddbmm(bias, torch.cat([turned[:, :, row, column], h, h_above], dim=2), weight).chunk(5, dim=2)
            i, f, a = torch.sigmoid(i + p_i * (c + c_above)), torch.sigmoid(f + p_f * c), torch.sigmoid(a + p_a * c_above)
            c = i * torch.tanh(g) + f * c + a * c_above
            h = torch.sigmoid(o + p_o * c) * torch.tanh(c)
            above[column] = h, c
            outputs.append(h)
    return torch.stack(outputs)


def _time_network(network: Any, batch: int, width: int, seconds: float) -> Row:
    import torch
    from torch.nn import functional

    lines = (torch.rand(batch, width, HEIGHT) < 0.15).to(torch.uint8) * 255
    widths, counts, targets = torch.full((batch,), width), torch.full((batch,), LETTERS), torch.randint(1, LABELS, (batch, LETTERS))
    optimizer = torch.optim.AdamW(network.parameters())

    def train() -> None:
        log_probs, frames = network(lines, widths)
        optimizer.zero_grad()
        functional.ctc_loss(log_probs.transpose(0, 1), targets, frames, counts).backward()
        optimizer.step()

    def infer() -> None:
        with torch.inference_mode():
            network(lines, widths)

    return {
        "weights": sum(parameter.numel() for parameter in network.parameters()),
        "train_lines_s": batch / _time_calls(train, seconds),
        "infer_lines_s": batch / _time_calls(infer, seconds),
    }


if __name__ == "__main__":
    sys.exit(main())
