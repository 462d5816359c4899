"""Recurrent layers as ONNX operators, which read each sequence of a batch backwards within its own length."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from recognizer.errors import ConfigError
from recognizer.models.encoder import RecurrentLayer
from recognizer.models.export.graph import MICROSOFT, Graph, Name, quantize

OPEN = 100.0  # bias of a gate that is always 1 in float32


class Direction(NamedTuple):
    """Weights of one direction of a layer, blocks in the order of the operator.

    Attributes:
        inputs, recurrent: matrices (G*H, D) and (G*H, H).
        bias: (2*G*H,), of the inputs, then of the recurrent product.
        peepholes: (3*H,) of the gates i, o, f; None where there are none.
    """

    inputs: np.ndarray
    recurrent: np.ndarray
    bias: np.ndarray
    peepholes: np.ndarray | None = None


def add_recurrent(graph: Graph, kind: str, layer: RecurrentLayer, frames: Name, lengths: Name) -> Name:
    """Frames (T, B, D) with lengths (B,) int32, none of them 0, through a layer of this cell: (T, B, H or 2H), anything in the padding.

    Raises:
        ConfigError: ONNX has no such cell.
    """
    cells = [layer.forwards, *([layer.backwards] if layer.backwards is not None else [])]
    directions = [_direction(kind, cell) for cell in cells]
    inputs, recurrent = np.stack([each.inputs for each in directions]), np.stack([each.recurrent for each in directions])
    bias = np.stack([each.bias for each in directions])
    peepholes = None if directions[0].peepholes is None else np.stack([each.peepholes for each in directions if each.peepholes is not None])
    hidden = layer.forwards.hidden
    settings: dict[str, Any] = {"hidden_size": hidden, "direction": "forward" if len(cells) == 1 else "bidirectional"}
    settings |= {"input_forget": 1} if kind == "coupled" else {}
    others = ["", "", "" if peepholes is None else graph.constant(peepholes)]  # initial states, which are zeros
    if kind == "gru":
        matrices = [_spread(graph, inputs), _spread(graph, recurrent)]
        outputs = graph.add("GRU", frames, *matrices, graph.constant(bias), lengths, linear_before_reset=1, **settings)
    elif graph.int8:
        small, scales = zip(*(_quantize_directions(matrices) for matrices in (inputs, recurrent)), strict=True)
        zeros = graph.constant(np.zeros(scales[0].shape), np.int8)
        matrices = [graph.constant(each, np.int8) for each in small]
        factors = [each for scale in scales for each in (graph.constant(scale), zeros)]
        outputs = graph.add(
            "DynamicQuantizeLSTM", frames, *matrices, graph.constant(bias), lengths, *others, *factors, domain=MICROSOFT, **settings,
        )  # fmt: skip
    else:
        matrices = [graph.constant(inputs), graph.constant(recurrent)]
        outputs = graph.add("LSTM", frames, *matrices, graph.constant(bias), lengths, *others, **settings)
    return graph.add("Reshape", graph.add("Transpose", outputs, perm=[0, 2, 1, 3]), graph.ints(0, 0, len(cells) * hidden))


def _spread(graph: Graph, matrices: np.ndarray) -> Name:
    """Matrices (directions, R, C) that are kept in int8 where the graph is so, a scale for each row of each."""
    rows = graph.stored(matrices.reshape(-1, matrices.shape[2]), axis=0)
    return graph.add("Reshape", rows, graph.ints(*matrices.shape)) if graph.int8 else graph.constant(matrices)


def _quantize_directions(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(directions, R, C) as (directions, C, R) int8, which the operator takes, and scales (directions, R)."""
    pairs = [quantize(matrix.T, axis=1) for matrix in matrices]
    return np.stack([small for small, _ in pairs]), np.stack([scales for _, scales in pairs])


def _direction(kind: str, cell: Any) -> Direction:
    if kind not in CELLS:
        raise ConfigError(f"model.cell: ONNX has no operator for {kind!r}; models of the cells {', '.join(sorted(CELLS))} can be exported")
    if cell.settings.zoneout:
        raise ConfigError("model.recurrent.zoneout: ONNX has no operator that mixes states; models trained without zoneout can be exported")
    return CELLS[kind](cell)


def _numbers(tensor: Tensor) -> np.ndarray:
    return np.asarray(tensor.detach().cpu().float().numpy())


def _reorder(rows: np.ndarray, hidden: int, order: tuple[int | None, ...]) -> np.ndarray:
    """Blocks of H rows in another order, zeros for None."""
    return np.concatenate([np.zeros_like(rows[:hidden]) if place is None else rows[place * hidden : (place + 1) * hidden] for place in order])


def _lstm_like(order: tuple[int | None, ...], peepholes: bool = False, always: bool = False) -> Callable[[Any], Direction]:
    """How a cell of gates becomes an LSTM with gates i, o, f, g.

    Args:
        order: which of the cell's blocks each of these is.
        peepholes: whether the cell has any.
        always: whether f is 1.
    """

    def convert(cell: Any) -> Direction:
        hidden = cell.hidden
        bias = cell.bias_l0 if hasattr(cell, "bias_l0") else cell.bias_ih_l0 + cell.bias_hh_l0
        inputs, recurrent, shift = (_reorder(_numbers(rows), hidden, order) for rows in (cell.weight_ih_l0, cell.weight_hh_l0, bias))
        if always:
            shift[2 * hidden : 3 * hidden] = OPEN
        weights = _reorder(_numbers(cell.peephole_l0).flatten(), hidden, (0, 2, 1)) if peepholes else None  # the cell's are of i, f, o
        return Direction(inputs, recurrent, np.concatenate([shift, np.zeros_like(shift)]), weights)

    return convert


def _gru(cell: Any) -> Direction:
    hidden, order = cell.hidden, (1, 0, 2)  # z, r, n of r, z, n
    inputs, recurrent, bias = (_reorder(_numbers(rows), hidden, order) for rows in (cell.weight_ih_l0, cell.weight_hh_l0, cell.bias_l0))
    inner = np.zeros_like(bias)
    inner[2 * hidden :] = _numbers(cell.peephole_l0)[0]
    return Direction(inputs, recurrent, np.concatenate([bias, inner]))


CELLS: dict[str, Callable[[Any], Direction]] = {
    "lstm": _lstm_like((0, 3, 1, 2)),
    "peephole": _lstm_like((0, 3, 1, 2), peepholes=True),
    "coupled": _lstm_like((0, 2, None, 1), peepholes=True),
    "lstm_1997": _lstm_like((0, 2, None, 1), always=True),
    "gru": _gru,
}
