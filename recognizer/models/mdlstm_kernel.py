"""The arithmetic of one diagonal of a two-dimensional LSTM, in all four directions, and its gradient; compiled.

Arrays are of one floating type. Places are innermost, because a first layer has two cells and a diagonal many places: place
n = r * B + b is row r of line b, N = R * B of them, in column d - r of diagonal d. Place n of the diagonal before lies to its left, and
place n - B above it. Rows and columns count from where a direction starts. Cells and their places are one axis, H*N, since a last layer
has many cells in few places.
"""

from __future__ import annotations

import numpy as np

from recognizer.models.activation_kernel import compiled, sigmoid, tanh


@compiled
def fill_steps(maps: np.ndarray, widths: np.ndarray, steps: np.ndarray) -> None:
    """Lay maps (B, R, W, K) out along diagonals: ``steps[:D, :, :K]`` of (D+1, 4, K+2H, N), zero beyond the widths (B,).

    Directions 1 and 3 start at the bottom row, 2 and 3 at a line's last real column. Nothing comes before the first diagonal.
    """
    batch, rows, _, size = maps.shape
    steps[0, :, size:] = 0
    for d in range(len(steps) - 1):
        for s in range(4):
            for r in range(rows):
                row = rows - 1 - r if s % 2 else r
                for b in range(batch):
                    n, column = r * batch + b, d - r
                    if 0 <= column < widths[b]:
                        if s >= 2:
                            column = widths[b] - 1 - column
                        for k in range(size):
                            steps[d, s, k, n] = maps[b, row, column, k]
                    else:
                        for k in range(size):
                            steps[d, s, k, n] = 0


@compiled
def advance(
    d: int, gates: np.ndarray, cells: np.ndarray, steps: np.ndarray, bias: np.ndarray, peepholes: np.ndarray, alive: np.ndarray,
    inner: np.ndarray, widths: np.ndarray, stable: bool, outputs: np.ndarray,
) -> None:  # fmt: skip
    """From pre-activations to gates and states.

    Args:
        d: the diagonal.
        gates: (D, 4, 5, H*N), pre-activations of i, f, a, g, o; gates replace them.
        cells: (D+1, 4, H*N), cell states; those of diagonal d are written at d + 1.
        steps: (D+1, 4, (K+2H)*N); outputs are written at d + 1, once for the place to the right and once for that below.
        bias: (4, 5, H*N), each repeated for all places; ``peepholes``: (4, 4, H*N) of i, f, a, o, likewise.
        alive: (D, N), 1 where a place is within its line, else 0.
        inner: (H*N,), 0 in the first row, else 1.
        widths: (B,).
        stable: whether a shares out what f keeps.
        outputs: (B, R, W, 4H), written where alive.
    """
    size, batch, places, none = inner.size, len(widths), alive.shape[1], inner.dtype.type(0)  # a plain 0 would make float64 of float32
    inputs = steps.shape[2] - 2 * size
    real, above, both = _repeat(alive[d], size), np.empty_like(inner), np.empty_like(inner)
    for s in range(4):
        across, new, right, below = cells[d, s], cells[d + 1, s], steps[d + 1, s, inputs : inputs + size], steps[d + 1, s, inputs + size :]
        i, f, a, g, o = gates[d, s, 0], gates[d, s, 1], gates[d, s, 2], gates[d, s, 3], gates[d, s, 4]
        _shift(across, inner, batch, above)
        for n in range(size):
            both[n] = across[n] + above[n]
        # several short loops: one over so many arrays is not vectorised, since the compiler must see that none overlap
        _open(i, bias[s, 0], peepholes[s, 0], both)
        _open(f, bias[s, 1], peepholes[s, 1], across)
        _open(a, bias[s, 2], peepholes[s, 2], above)
        squeeze = bias[s, 3]
        for n in range(size):
            g[n] = tanh(g[n] + squeeze[n])
        if stable:
            for n in range(size):
                new[n] = i[n] * g[n] + f[n] * (above[n] + a[n] * (across[n] - above[n]))
        else:
            for n in range(size):
                new[n] = i[n] * g[n] + f[n] * across[n] + a[n] * above[n]
        for n in range(size):
            new[n] = new[n] if real[n] > 0 else none
        _open(o, bias[s, 4], peepholes[s, 3], new)
        for n in range(size):
            right[n] = o[n] * tanh(new[n])
        _shift(right, inner, batch, below)
    _write(d, steps[d + 1, :, inputs : inputs + size], places, widths, outputs)


@compiled
def retreat(
    d: int, gates: np.ndarray, cells: np.ndarray, peepholes: np.ndarray, alive: np.ndarray, inner: np.ndarray, widths: np.ndarray, stable: bool,
    d_outputs: np.ndarray, d_steps: np.ndarray, d_cells: np.ndarray, d_gates: np.ndarray, d_bias: np.ndarray, d_peepholes: np.ndarray,
) -> None:  # fmt: skip
    """The gradient of :func:`advance`: write that of the pre-activations.

    Args:
        d, gates, cells, peepholes, alive, inner, widths, stable: as there, gates as it left them.
        d_outputs: (B, R, W, 4H).
        d_steps: (4, (K+2H)*N) of the diagonal after, or without the inputs (4, 2H*N).
        d_cells: (4, H*N) of this diagonal, but for what comes through its outputs; those of the diagonal before replace it.
        d_gates: (4, 5, H*N), written.
        d_bias, d_peepholes: (4, 5, H*N) and (4, 4, H*N), added to.
    """
    size, batch, places, none = inner.size, len(widths), alive.shape[1], inner.dtype.type(0)
    inputs = d_steps.shape[1] - 2 * size
    real, above, up = _repeat(alive[d], size), np.empty_like(inner), np.empty_like(inner)
    given = np.zeros((4, size), inner.dtype)
    _read(d, d_outputs, places, widths, given)
    for s in range(4):
        across, new, dh, dc = cells[d, s], cells[d + 1, s], given[s], d_cells[s]
        right, below = d_steps[s, inputs : inputs + size], d_steps[s, inputs + size :]
        i, f, a, g, o = gates[d, s, 0], gates[d, s, 1], gates[d, s, 2], gates[d, s, 3], gates[d, s, 4]
        di, df, da, dg, do = d_gates[s, 0], d_gates[s, 1], d_gates[s, 2], d_gates[s, 3], d_gates[s, 4]
        p_i, p_f, p_a, p_o = peepholes[s, 0], peepholes[s, 1], peepholes[s, 2], peepholes[s, 3]
        _shift(across, inner, batch, above)
        _add_shifted(below, inner, batch, dh)
        for n in range(size):
            dh[n] = dh[n] + right[n] if real[n] > 0 else none
            dc[n] = dc[n] if real[n] > 0 else none
        for n in range(size):
            squashed = tanh(new[n])
            through = dh[n] * o[n]
            do[n] = dh[n] * squashed * (o[n] - o[n] * o[n])
            dc[n] += through - through * squashed * squashed + p_o[n] * do[n]
        for n in range(size):
            di[n] = dc[n] * g[n] * (i[n] - i[n] * i[n])
            dg[n] = dc[n] * (i[n] - i[n] * g[n] * g[n])
        if stable:
            for n in range(size):
                df[n] = dc[n] * (above[n] + a[n] * (across[n] - above[n])) * (f[n] - f[n] * f[n])
                da[n] = dc[n] * (across[n] - above[n]) * f[n] * (a[n] - a[n] * a[n])
            for n in range(size):
                up[n] = dc[n] * (f[n] - f[n] * a[n]) + p_i[n] * di[n] + p_a[n] * da[n]
            for n in range(size):
                dc[n] = dc[n] * f[n] * a[n] + p_i[n] * di[n] + p_f[n] * df[n]
        else:
            for n in range(size):
                df[n] = dc[n] * across[n] * (f[n] - f[n] * f[n])
                da[n] = dc[n] * above[n] * (a[n] - a[n] * a[n])
            for n in range(size):
                up[n] = dc[n] * a[n] + p_i[n] * di[n] + p_a[n] * da[n]
            for n in range(size):
                dc[n] = dc[n] * f[n] + p_i[n] * di[n] + p_f[n] * df[n]
        _add_shifted(up, inner, batch, dc)
        for n in range(size):
            up[n] = across[n] + above[n]
        for gate in range(5):
            _add(d_gates[s, gate], d_bias[s, gate])
        _add_product(di, up, d_peepholes[s, 0])
        _add_product(df, across, d_peepholes[s, 1])
        _add_product(da, above, d_peepholes[s, 2])
        _add_product(do, new, d_peepholes[s, 3])


@compiled
def spread(d: int, d_steps: np.ndarray, widths: np.ndarray, d_maps: np.ndarray) -> None:
    """Add the gradient ``d_steps[:, :K]`` of (4, K+2H, N) of the inputs on a diagonal to that of the maps (B, R, W, K)."""
    batch, rows, _, size = d_maps.shape
    for s in range(4):
        for r in range(max(0, d - d_maps.shape[2] + 1), min(rows, d + 1)):
            row = rows - 1 - r if s % 2 else r
            for b in range(batch):
                if d - r < widths[b]:
                    column = widths[b] - 1 - d + r if s >= 2 else d - r
                    for k in range(size):
                        d_maps[b, row, column, k] += d_steps[s, k, r * batch + b]


@compiled
def _open(gate: np.ndarray, bias: np.ndarray, weights: np.ndarray, seen: np.ndarray) -> None:
    for n in range(len(gate)):
        gate[n] = sigmoid(gate[n] + bias[n] + weights[n] * seen[n])


@compiled
def _shift(values: np.ndarray, inner: np.ndarray, batch: int, shifted: np.ndarray) -> None:
    """Values (H*N,) moved down by a row; zero in the first."""
    none = inner.dtype.type(0)
    shifted[:batch] = none
    moved, wanted = shifted[batch:], inner[batch:]
    for n in range(len(moved)):
        moved[n] = values[n] if wanted[n] > 0 else none


@compiled
def _add_shifted(values: np.ndarray, inner: np.ndarray, batch: int, total: np.ndarray) -> None:
    """Add values (H*N,) moved up by a row; the gradient of :func:`_shift`."""
    none = inner.dtype.type(0)
    moved, wanted = values[batch:], inner[batch:]
    for n in range(len(moved)):
        total[n] += moved[n] if wanted[n] > 0 else none


@compiled
def _repeat(values: np.ndarray, size: int) -> np.ndarray:
    """Values (N,), over and over, (size,)."""
    repeated = np.empty(size, values.dtype)
    for start in range(0, size, len(values)):
        repeated[start : start + len(values)] = values
    return repeated


@compiled
def _add(values: np.ndarray, total: np.ndarray) -> None:
    for n in range(len(total)):
        total[n] += values[n]


@compiled
def _add_product(first: np.ndarray, second: np.ndarray, total: np.ndarray) -> None:
    for n in range(len(total)):
        total[n] += first[n] * second[n]


@compiled
def _write(d: int, states: np.ndarray, places: int, widths: np.ndarray, outputs: np.ndarray) -> None:
    """States (4, H*N) of a diagonal to the places (B, R, W, 4H) that they belong to."""
    batch, rows, columns, _ = outputs.shape
    size = states.shape[1] // places
    for s in range(4):
        for r in range(max(0, d - columns + 1), min(rows, d + 1)):
            row = rows - 1 - r if s % 2 else r
            for b in range(batch):
                if d - r < widths[b]:
                    column = widths[b] - 1 - d + r if s >= 2 else d - r
                    for h in range(size):
                        outputs[b, row, column, s * size + h] = states[s, h * places + r * batch + b]


@compiled
def _read(d: int, d_outputs: np.ndarray, places: int, widths: np.ndarray, given: np.ndarray) -> None:
    """The opposite of :func:`_write`; places outside a line stay as they are."""
    batch, rows, columns, _ = d_outputs.shape
    size = given.shape[1] // places
    for s in range(4):
        for r in range(max(0, d - columns + 1), min(rows, d + 1)):
            row = rows - 1 - r if s % 2 else r
            for b in range(batch):
                if d - r < widths[b]:
                    column = widths[b] - 1 - d + r if s >= 2 else d - r
                    for h in range(size):
                        given[s, h * places + r * batch + b] = d_outputs[b, row, column, s * size + h]
