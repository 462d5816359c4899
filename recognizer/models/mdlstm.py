"""Two-dimensional LSTM layers over a line image: the offline recognizer that won the ICDAR 2009 competitions, up to its output layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from operator import mul
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from recognizer.config import MdLstmFrontend
from recognizer.models.frontends import Frontend, strided
from recognizer.models.masking import reverse

DIRECTIONS = 4  # from the top left, bottom left, top right, bottom right
GATES = 5  # i, f, a, g, o
PEEPHOLES = 4  # of i, f, a, o
FEW_COLUMNS = 16  # of a matrix product


class MdLstm(nn.Module):
    """Long short-term memory with two pasts (Graves, Fernandez & Schmidhuber 2007; Graves & Schmidhuber 2008).

    In each direction the cell at row r and column t sees the states to its left (L) and above it (A), "left" and "above" being where
    the direction comes from; outside the line they are zero. With W for matrices, p for peepholes, s for the logistic function:

        i = s(W_i [x; h_L; h_A] + b_i + p_i * (c_L + c_A))
        f = s(W_f [x; h_L; h_A] + b_f + p_f * c_L)
        a = s(W_a [x; h_L; h_A] + b_a + p_a * c_A)
        g = tanh(W_g [x; h_L; h_A] + b_g)
        c = i * g + f * c_L + a * c_A
        o = s(W_o [x; h_L; h_A] + b_o + p_o * c)
        h = o * tanh(c)

    With both forget gates open c can double with every step. ``stable`` takes a as the share of the left side in what f keeps:
    c = i * g + f * (a * c_L + (1 - a) * c_A), the stable cell of Leifert et al. 2016 with the peepholes as above.

    Cells of a diagonal do not depend on each other, so that a diagonal of all lines and directions is one batched product with
    [W_x, W_L, W_A] and one compiled step on the CPU. On other devices the same is done by torch's operations.

    Args:
        inputs: channels K of the maps.
        hidden: cells H per direction.
        stable: see above; the published form otherwise.
    """

    def __init__(self, inputs: int, hidden: int, stable: bool = False) -> None:
        super().__init__()
        self.inputs, self.hidden, self.stable = inputs, hidden, stable
        self.weight = nn.Parameter(torch.empty(DIRECTIONS, GATES * hidden, inputs + 2 * hidden))
        self.bias = nn.Parameter(torch.empty(DIRECTIONS, GATES * hidden))
        self.peepholes = nn.Parameter(torch.empty(DIRECTIONS, PEEPHOLES, hidden))
        self.dim = DIRECTIONS * hidden
        bound = math.sqrt(6 / (inputs + 3 * hidden))  # Glorot & Bengio 2010, as Voigtlaender et al. 2016 found necessary in depth
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.zeros_(self.bias)
        nn.init.zeros_(self.peepholes)
        with torch.no_grad():
            # the published cell must not start with more than it got, or it overflows within a line
            self.bias.view(DIRECTIONS, GATES, hidden)[:, 1 : 2 if stable else 3] = 1.0 if stable else -1.0

    def forward(self, maps: Tensor, widths: Tensor) -> Tensor:
        """Maps (B, R, W, K), of which the first ``widths`` (B,) columns are real -> (B, R, W, 4H), zero beyond the widths.

        The directions stand one after the other: from the top left, bottom left, top right and bottom right. Those from the right
        start at each line's own last column. Computed in float32 under autocast, in float64 where the weights are.
        """
        with torch.autocast(maps.device.type, enabled=False):
            maps = maps.to(self.weight.dtype)
            if maps.device.type == "cpu":
                outputs: Tensor = _scan(maps, widths, self.weight, self.bias, self.peepholes, self.stable)[0]
                return outputs
            return scan_by_operations(maps, widths, self.weight, self.bias, self.peepholes, self.stable)

    @torch.no_grad()
    def record(self, maps: Tensor, widths: Tensor) -> dict[str, Tensor]:
        """Gates and states by the names of the equations: i, f, a, g, o, c and h.

        Arguments and order of the directions as of :meth:`forward`; each is (B, R, W, 4, H), without gradient. What stands beyond the
        widths is not defined.
        """
        seen = scan_by_operations(maps.to(self.weight.dtype), widths, self.weight, self.bias, self.peepholes, self.stable, whole=True)
        return dict(zip("ifagoch", seen.unflatten(3, (DIRECTIONS, -1, self.hidden)).unbind(4), strict=True))


def scan_by_operations(
    maps: Tensor, widths: Tensor, weight: Tensor, bias: Tensor, peepholes: Tensor, stable: bool, whole: bool = False
) -> Tensor:  # fmt: skip
    """What :class:`MdLstm` computes, by torch's operations on any device: one product and some twenty operations a diagonal.

    With ``whole`` (B, R, W, 4 * 7H) come out, of each direction i, f, a, g, o, c and h.
    """
    batch, rows, columns, size = maps.shape
    diagonals, hidden = rows + columns - 1, peepholes.shape[2]
    lines = torch.arange(rows, device=maps.device)
    places = torch.arange(diagonals, device=maps.device)[:, None] - lines  # (D, R) columns
    real = ((places >= 0)[:, :, None] & (places[:, :, None] < widths))[..., None]  # (D, R, B, 1)
    flipped = torch.stack(_flip(maps.expand(DIRECTIONS, *maps.shape).unbind(0), widths))  # (4, B, R, W, K)
    skewed = flipped[:, :, lines, places.clamp(0, columns - 1)].permute(2, 0, 3, 1, 4)  # (D, 4, R, B, K)
    skewed = torch.where(real[:, None], skewed, 0.0).flatten(2, 3)
    projected = torch.matmul(skewed, weight[:, :, :size].transpose(1, 2)) + bias[:, None]  # (D, 4, R*B, 5H)
    recurrent, p = weight[:, :, size:].transpose(1, 2), peepholes[:, :, None, None].unbind(1)
    states = []
    h = c = maps.new_zeros(DIRECTIONS, rows, batch, hidden)
    for d in range(diagonals):
        h_above, c_above = (torch.cat([torch.zeros_like(state[:, :1]), state[:, :-1]], dim=1) for state in (h, c))
        gates = torch.baddbmm(projected[d], torch.cat([h, h_above], dim=3).flatten(1, 2), recurrent)
        i, f, a, g, o = gates.view(DIRECTIONS, rows, batch, GATES * hidden).chunk(GATES, dim=3)
        i, f, a = torch.sigmoid(i + p[0] * (c + c_above)), torch.sigmoid(f + p[1] * c), torch.sigmoid(a + p[2] * c_above)
        g = torch.tanh(g)
        c = torch.where(real[d], i * g + (f * (a * c + (1 - a) * c_above) if stable else f * c + a * c_above), 0.0)
        o = torch.sigmoid(o + p[3] * c)
        h = torch.where(real[d], o * torch.tanh(c), 0.0)
        states.append(torch.cat([i, f, a, g, o, c, h], dim=3) if whole else h)
    taken = torch.arange(columns, device=maps.device) + lines[:, None]  # (R, W) diagonals
    outputs = torch.stack(states)[taken, :, lines[:, None]].permute(2, 3, 0, 1, 4)  # (4, B, R, W, H)
    return torch.cat(_flip(outputs.unbind(0), widths), dim=3)


def _flip(maps: Sequence[Tensor], widths: Tensor) -> list[Tensor]:
    """Maps (B, R, W, C) of each direction, so that the direction starts at the top left; flipping twice gives them back."""
    flipped = []
    for direction, one in enumerate(maps):
        if direction % 2:
            one = one.flip(1)
        if direction >= 2:
            one = reverse(one.transpose(1, 2).flatten(2), widths).unflatten(2, (one.shape[1], -1)).transpose(1, 2)
        flipped.append(one)
    return flipped


Saved = tuple[Tensor, Tensor, Tensor, Tensor]


def _allocate(maps: Tensor, widths: Tensor, weight: Tensor, bias: Tensor, peepholes: Tensor, stable: bool) -> Saved:
    batch, rows, columns, size = maps.shape
    hidden, places, diagonals = peepholes.shape[2], batch * rows, rows + columns - 1
    return (
        maps.new_empty(batch, rows, columns, DIRECTIONS * hidden),
        maps.new_empty(diagonals + 1, DIRECTIONS, size + 2 * hidden, places),
        maps.new_empty(diagonals, DIRECTIONS, GATES * hidden, places),
        maps.new_empty(diagonals + 1, DIRECTIONS, hidden, places),
    )


@torch.library.custom_op("recognizer::mdlstm", mutates_args=())
def _scan(maps: Tensor, widths: Tensor, weight: Tensor, bias: Tensor, peepholes: Tensor, stable: bool) -> Saved:
    """Outputs, and what the backward pass needs: steps (D+1, 4, K+2H, N), gates (D, 4, 5H, N), cells (D+1, 4, H, N); see the kernel."""
    from recognizer.models.kernels.mdlstm import advance, fill_steps

    outputs, steps, gates, cells = _allocate(maps, widths, weight, bias, peepholes, stable)
    hidden, diagonals, places = peepholes.shape[2], len(gates), gates.shape[3]
    outputs.zero_()
    cells[0] = 0
    steps[0, :, maps.shape[3] :] = 0
    real = _real_places(widths, maps)
    widths_array, written = _array(widths), _array(outputs)
    fill_steps(_array(maps), widths_array, _array(steps))
    arrays = [
        _array(gates.view(diagonals, DIRECTIONS, GATES, -1)), _array(cells.flatten(2)), _array(steps.flatten(2)),
        *(_array(tensor.reshape(DIRECTIONS, -1, hidden, 1).expand(-1, -1, -1, places).flatten(2)) for tensor in (bias, peepholes)),
    ]  # fmt: skip
    transposed = weight.transpose(1, 2).contiguous()
    for d, (step, gate) in enumerate(zip(steps.unbind(0), gates.unbind(0), strict=False)):
        _multiply(weight, transposed, step, gate)
        advance(d, *arrays, real, widths_array, stable, written)
    return outputs, steps, gates, cells


_scan.register_fake(_allocate)


@torch.library.custom_op("recognizer::mdlstm_backward", mutates_args=())
def _scan_back(
    d_outputs: Tensor, maps: Tensor, widths: Tensor, weight: Tensor, peepholes: Tensor, stable: bool, steps: Tensor, gates: Tensor, cells: Tensor,
    needs_maps: bool,
) -> Saved:  # fmt: skip
    """Gradients of the maps, weights, biases and peepholes; that of the maps is empty unless it is needed, as that of pixels never is."""
    from recognizer.models.kernels.mdlstm import add_to_maps, retreat

    diagonals, _, _, places = gates.shape
    hidden = peepholes.shape[2]
    d_maps, d_weight = torch.zeros_like(maps) if needs_maps else maps.new_empty(0), torch.zeros_like(weight)
    d_bias, d_peepholes = (maps.new_zeros(DIRECTIONS, kinds, hidden * places) for kinds in (GATES, PEEPHOLES))
    ahead = weight if needs_maps else weight[:, :, maps.shape[3] :].contiguous()
    back = ahead.transpose(1, 2).contiguous()
    d_steps, d_gates, d_cells = steps.new_zeros(*back.shape[:2], places), torch.empty_like(gates[0]), torch.zeros_like(cells[0])
    widths_array, d_maps_array, d_steps_array = _array(widths), _array(d_maps), _array(d_steps[None])
    repeated = peepholes[..., None].expand(-1, -1, -1, places).flatten(2)
    arrays = [_array(tensor) for tensor in (gates.view(diagonals, DIRECTIONS, GATES, -1), cells.flatten(2), repeated)]
    saved = (*arrays, _real_places(widths, maps), widths_array)
    d_states = _array(d_steps.flatten(1)), _array(d_cells.flatten(1)), _array(d_gates.view(DIRECTIONS, GATES, -1))
    gradients = (_array(d_outputs.contiguous()), *d_states, _array(d_bias), _array(d_peepholes))
    rows = steps.transpose(2, 3).unbind(0)
    for d in reversed(range(diagonals)):
        retreat(d, *saved, stable, *gradients)
        d_weight.baddbmm_(d_gates, rows[d])
        _multiply(back, ahead, d_gates, d_steps)
        if needs_maps:
            add_to_maps(d, d_maps_array, widths_array, d_steps_array, 0, 0, maps.shape[3], False)
    d_bias, d_peepholes = (total.unflatten(2, (hidden, places)).sum(3) for total in (d_bias, d_peepholes))
    return d_maps, d_weight, d_bias.flatten(1), d_peepholes


@_scan_back.register_fake
def _(
    d_outputs: Tensor, maps: Tensor, widths: Tensor, weight: Tensor, peepholes: Tensor, stable: bool, steps: Tensor, gates: Tensor, cells: Tensor,
    needs_maps: bool,
) -> Saved:  # fmt: skip
    d_maps = torch.empty_like(maps) if needs_maps else maps.new_empty(0)
    return d_maps, torch.empty_like(weight), weight.new_empty(weight.shape[:2]), torch.empty_like(peepholes)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Saved) -> None:
    maps, widths, weight, _, peepholes, ctx.stable = inputs
    ctx.save_for_backward(maps, widths, weight, peepholes, *output[1:])


def _go_back(ctx: Any, d_outputs: Tensor, *_: Tensor | None) -> tuple[Tensor | None, ...]:
    maps, widths, weight, peepholes, *saved = ctx.saved_tensors
    needs_maps = ctx.needs_input_grad[0]
    d_maps, d_weight, d_bias, d_peepholes = _scan_back(d_outputs, maps, widths, weight, peepholes, ctx.stable, *saved, needs_maps)
    return d_maps if needs_maps else None, None, d_weight, d_bias, d_peepholes, None


_scan.register_autograd(_go_back, setup_context=_save)


def _multiply(matrices: Tensor, transposed: Tensor, columns: Tensor, out: Tensor) -> None:
    """Batched product of matrices with columns (B, K, N); ``transposed`` are the same matrices, both laid out row by row.

    With few columns the library is three to five times faster when they are rows.
    """
    if columns.shape[2] < FEW_COLUMNS:
        out.copy_(torch.bmm(columns.transpose(1, 2), transposed).transpose(1, 2))
    else:
        torch.bmm(matrices, columns, out=out)


def _real_places(widths: Tensor, maps: Tensor) -> Any:
    """(D, R * B), 1 where row r and column d - r lie within line b."""
    _, rows, columns, _ = maps.shape
    column = torch.arange(rows + columns - 1)[:, None] - torch.arange(rows)
    return _array(((column >= 0)[:, :, None] & (column[:, :, None] < widths)).flatten(1).to(maps.dtype))


def _array(tensor: Tensor) -> Any:
    return tensor.detach().numpy()


class MdLstmEncoder(Frontend):
    """Multidimensional LSTM layers over blocks, summed to one dimension at the end (Graves & Schmidhuber 2008, section 3).

    Pixels are gathered in blocks, which the first layer scans in four directions. The outputs of all directions are gathered in
    blocks in turn and mapped to a few tanh units, which the next layer scans, and so on. The outputs of the last layer are summed
    over each column, one frame a column, and every direction has weights of its own in the output layer that follows.
    """

    def __init__(self, config: MdLstmFrontend) -> None:
        super().__init__(config.block_widths, DIRECTIONS * config.hidden_sizes[-1])
        self.blocks = list(zip(config.block_heights, config.block_widths, strict=True))
        areas = [height * width for height, width in self.blocks]
        self.scans = nn.ModuleList(
            MdLstm(inputs, hidden, config.stable) for inputs, hidden in zip((areas[0], *config.units), config.hidden_sizes, strict=True)
        )
        sizes = [DIRECTIONS * hidden for hidden in config.hidden_sizes]
        self.units = nn.ModuleList(nn.Linear(area * size, units) for area, size, units in zip(areas[1:], sizes[:-1], config.units, strict=True))
        self.dropout = nn.Dropout(config.dropout)
        self.strides = list(accumulate(config.block_widths, mul))  # pixel columns that a column of each layer stands for

    def forward(self, columns: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Pixel columns (B, W, H), zero beyond widths (B,) -> frames (B, T, 4 * cells), zero beyond lengths (B,)."""
        maps, lengths = self._gather(columns.transpose(1, 2)[..., None], lengths, 0)
        maps = self.scans[0](maps, lengths)
        for level, (units, scan) in enumerate(zip(self.units, self.scans[1:], strict=True), start=1):
            maps, lengths = self._gather(self.dropout(maps), lengths, level)
            maps = scan(torch.tanh(units(maps)), lengths)
        return maps.sum(1), lengths

    def _gather(self, maps: Tensor, lengths: Tensor, level: int) -> tuple[Tensor, Tensor]:
        """Maps (B, R, W, C) to blocks (B, R', W', height * width * C), those at the lower and right edge filled up with zeros."""
        height, width = self.blocks[level]
        maps = functional.pad(maps, (0, 0, 0, -maps.shape[2] % width, 0, -maps.shape[1] % height))
        return maps.unflatten(1, (-1, height)).unflatten(3, (-1, width)).transpose(2, 3).flatten(3), strided(lengths, width)
