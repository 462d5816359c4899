"""The arithmetic of one diagonal of a two-dimensional LSTM, in all four directions, and its gradient; compiled.

Arrays are of one floating type. Places are innermost, because a first layer has two cells and a diagonal many places: place
n = r * B + b is row r of line b, N = R * B of them, in column d - r of diagonal d. Place n of the diagonal before lies to its left, and
place n - B above it. Rows and columns count from where a direction starts. Cells and their places are one axis, H*N, since a last layer
has many cells in few places.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recognizer.models.kernels.activations import Array, add_product, compiled, sigmoid, tanh


def _copier(reads: bool, adds: bool) -> Callable[..., None]:
    @compiled
    def copy(d: int, maps: Array, widths: Array, steps: Array, e: int, start: int, size: int, apart: bool) -> None:
        batch, rows, columns, _ = maps.shape
        for s in range(4):
            first = s * size if apart else 0
            for r in range(max(0, d - columns + 1), min(rows, d + 1)):
                row = rows - 1 - r if s % 2 else r
                for b in range(batch):
                    n = r * batch + b
                    if d - r < widths[b]:
                        column = widths[b] - 1 - d + r if s >= 2 else d - r
                        for k in range(size):
                            if reads:
                                steps[e, s, start + k, n] = maps[b, row, column, first + k]
                            elif adds:
                                maps[b, row, column, first + k] += steps[e, s, start + k, n]
                            else:
                                maps[b, row, column, first + k] = steps[e, s, start + k, n]

    return copy


# Copies between diagonal d of maps (B, R, W, C or 4C), within the widths (B,), and ``steps[e, :, start : start + C]`` of (E, 4, ., N).
# Directions 1 and 3 start at the bottom row, 2 and 3 at a line's last real column. With ``apart`` each direction has channels of its own.
read_maps, write_maps, add_to_maps = _copier(True, False), _copier(False, False), _copier(False, True)


@compiled
def fill_steps(maps: Array, widths: Array, steps: Array) -> None:
    """Lay maps (B, R, W, K) out along diagonals: ``steps[:D, :, :K]`` of (D+1, 4, K+2H, N), zero beyond the widths (B,)."""
    steps[:, :, : maps.shape[3]] = 0
    for d in range(len(steps) - 1):
        read_maps(d, maps, widths, steps, d, 0, maps.shape[3], False)


@compiled
def advance(
    d: int, gates: Array, cells: Array, steps: Array, bias: Array, peepholes: Array, real: Array, widths: Array, stable: bool, outputs: Array,
) -> None:  # fmt: skip
    """From pre-activations to gates and states.

    Args:
        d: the diagonal.
        gates: (D, 4, 5, H*N), pre-activations of i, f, a, g, o; gates replace them.
        cells: (D+1, 4, H*N), cell states; those of diagonal d are written at d + 1.
        steps: (D+1, 4, (K+2H)*N); outputs are written at d + 1, once for the place to the right and once for that below.
        bias: (4, 5, H*N), each repeated for all places; ``peepholes``: (4, 4, H*N) of i, f, a, o, likewise.
        real: (D, N), 1 where a place is within its line, else 0.
        widths: (B,).
        stable: whether a shares out what f keeps.
        outputs: (B, R, W, 4H), written where real.
    """
    size, batch, places = cells.shape[2], len(widths), real.shape[1]
    none = cells.dtype.type(0)  # a plain 0 would make float64 of float32
    inputs = steps.shape[2] - 2 * size
    inside, above, both = _repeat(real[d], size), np.empty_like(cells[0, 0]), np.empty_like(cells[0, 0])
    for s in range(4):
        across, new, right, below = cells[d, s], cells[d + 1, s], steps[d + 1, s, inputs : inputs + size], steps[d + 1, s, inputs + size :]
        i, f, a, g, o = gates[d, s, 0], gates[d, s, 1], gates[d, s, 2], gates[d, s, 3], gates[d, s, 4]
        _shift(across, places, batch, above)
        for n in range(size):
            both[n] = across[n] + above[n]
        # several short loops: one over so many arrays is not vectorized, since the compiler must see that none overlap
        _open_gate(i, bias[s, 0], peepholes[s, 0], both)
        _open_gate(f, bias[s, 1], peepholes[s, 1], across)
        _open_gate(a, bias[s, 2], peepholes[s, 2], above)
        bias_g = bias[s, 3]
        for n in range(size):
            g[n] = tanh(g[n] + bias_g[n])
        if stable:
            for n in range(size):
                new[n] = i[n] * g[n] + f[n] * (above[n] + a[n] * (across[n] - above[n]))
        else:
            for n in range(size):
                new[n] = i[n] * g[n] + f[n] * across[n] + a[n] * above[n]
        for n in range(size):
            new[n] = new[n] if inside[n] > 0 else none
        _open_gate(o, bias[s, 4], peepholes[s, 3], new)
        for n in range(size):
            right[n] = o[n] * tanh(new[n])
        _shift(right, places, batch, below)
    diagonals = steps.reshape(len(steps), 4, -1, places)
    write_maps(d, outputs, widths, diagonals, d + 1, inputs // places, size // places, True)


@compiled
def retreat(
    d: int, gates: Array, cells: Array, peepholes: Array, real: Array, widths: Array, stable: bool,
    d_outputs: Array, d_steps: Array, d_cells: Array, d_gates: Array, d_bias: Array, d_peepholes: Array,
) -> None:  # fmt: skip
    """The gradient of :func:`advance`: write that of the pre-activations.

    Args:
        d, gates, cells, peepholes, real, widths, stable: as there, gates as it left them.
        d_outputs: (B, R, W, 4H).
        d_steps: (4, (K+2H)*N) of the diagonal after, or without the inputs (4, 2H*N).
        d_cells: (4, H*N) of this diagonal, but for what comes through its outputs; those of the diagonal before replace it.
        d_gates: (4, 5, H*N), written.
        d_bias, d_peepholes: (4, 5, H*N) and (4, 4, H*N), added to.
    """
    size, batch, places, none = cells.shape[2], len(widths), real.shape[1], cells.dtype.type(0)
    inputs = d_steps.shape[1] - 2 * size
    inside, above, up = _repeat(real[d], size), np.empty_like(cells[0, 0]), np.empty_like(cells[0, 0])
    given = np.zeros((4, size), cells.dtype)
    read_maps(d, d_outputs, widths, given.reshape(1, 4, -1, places), 0, 0, size // places, True)
    for s in range(4):
        across, new, dh, dc = cells[d, s], cells[d + 1, s], given[s], d_cells[s]
        right, below = d_steps[s, inputs : inputs + size], d_steps[s, inputs + size :]
        i, f, a, g, o = gates[d, s, 0], gates[d, s, 1], gates[d, s, 2], gates[d, s, 3], gates[d, s, 4]
        di, df, da, dg, do = d_gates[s, 0], d_gates[s, 1], d_gates[s, 2], d_gates[s, 3], d_gates[s, 4]
        p_i, p_f, p_a, p_o = peepholes[s, 0], peepholes[s, 1], peepholes[s, 2], peepholes[s, 3]
        _shift(across, places, batch, above)
        _add_shifted(below, places, batch, dh)
        for n in range(size):
            dh[n] = dh[n] + right[n] if inside[n] > 0 else none
            dc[n] = dc[n] if inside[n] > 0 else none
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
        _add_shifted(up, places, batch, dc)
        for n in range(size):
            up[n] = across[n] + above[n]
        for gate in range(5):
            d_total, d_gate = d_bias[s, gate], d_gates[s, gate]
            for n in range(size):
                d_total[n] += d_gate[n]
        add_product(di, up, d_peepholes[s, 0])
        add_product(df, across, d_peepholes[s, 1])
        add_product(da, above, d_peepholes[s, 2])
        add_product(do, new, d_peepholes[s, 3])


@compiled
def _open_gate(gate: Array, bias: Array, peephole: Array, cell: Array) -> None:
    for n in range(len(gate)):
        gate[n] = sigmoid(gate[n] + bias[n] + peephole[n] * cell[n])


@compiled
def _clear_first_row(values: Array, places: int, batch: int) -> None:
    for start in range(0, len(values), places):
        for n in range(start, start + batch):
            values[n] = 0


@compiled
def _shift(values: Array, places: int, batch: int, shifted: Array) -> None:
    """Values (H*N,) moved down by a row; zero in the first."""
    source, target = values[: len(values) - batch], shifted[batch:]
    for n in range(len(source)):
        target[n] = source[n]
    _clear_first_row(shifted, places, batch)


@compiled
def _add_shifted(values: Array, places: int, batch: int, total: Array) -> None:
    """Add values (H*N,) moved up by a row; the gradient of :func:`_shift`. Overwrites the first row of values."""
    _clear_first_row(values, places, batch)
    source, target = values[batch:], total[: len(values) - batch]
    for n in range(len(source)):
        target[n] += source[n]


@compiled
def _repeat(values: Array, size: int) -> Array:
    """Values (N,), over and over, (size,)."""
    repeated = np.empty(size, values.dtype)
    for start in range(0, size, len(values)):
        repeated[start : start + len(values)] = values
    return repeated
