"""Two-dimensional LSTM over maps, in four directions, computed along diagonals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from recognizer.models.masking import reverse

DIRECTIONS = 4  # from the top left, bottom left, top right, bottom right
GATES = 5  # i, f, a, g, o
PEEPHOLES = 4  # of i, f, a, o
FEW = 16  # columns of a product


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
    [W_x, W_L, W_A] and one compiled step on the CPU. On other devices the same is done by the framework's operations.

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
                return _scan(maps, widths, self.weight, self.bias, self.peepholes, self.stable)[0]
            return scan_by_operations(maps, widths, self.weight, self.bias, self.peepholes, self.stable)

    @torch.no_grad()
    def watch(self, maps: Tensor, widths: Tensor) -> dict[str, Tensor]:
        """What goes on inside, by the names of the equations: i, f, a, g, o, c and h.

        Arguments and order of the directions as of :meth:`forward`; each is (B, R, W, 4, H), without gradient. What stands beyond the
        widths is not defined.
        """
        seen = scan_by_operations(maps.to(self.weight.dtype), widths, self.weight, self.bias, self.peepholes, self.stable, whole=True)
        return dict(zip("ifagoch", seen.unflatten(3, (DIRECTIONS, -1, self.hidden)).unbind(4), strict=True))


def scan_by_operations(
    maps: Tensor, widths: Tensor, weight: Tensor, bias: Tensor, peepholes: Tensor, stable: bool, whole: bool = False
) -> Tensor:  # fmt: skip
    """What :class:`MdLstm` computes, by the framework's operations on any device: one product and some twenty operations a diagonal.

    With ``whole`` (B, R, W, 4 * 7H) come out, of each direction i, f, a, g, o, c and h.
    """
    batch, rows, columns, size = maps.shape
    diagonals, hidden = rows + columns - 1, peepholes.shape[2]
    lines = torch.arange(rows, device=maps.device)
    places = torch.arange(diagonals, device=maps.device)[:, None] - lines  # (D, R) columns
    alive = ((places >= 0)[:, :, None] & (places[:, :, None] < widths))[..., None]  # (D, R, B, 1)
    turned = torch.stack(_turn(maps.expand(DIRECTIONS, *maps.shape).unbind(0), widths))  # (4, B, R, W, K)
    skewed = turned[:, :, lines, places.clamp(0, columns - 1)].permute(2, 0, 3, 1, 4)  # (D, 4, R, B, K)
    skewed = torch.where(alive[:, None], skewed, 0.0).flatten(2, 3)
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
        c = torch.where(alive[d], i * g + (f * (a * c + (1 - a) * c_above) if stable else f * c + a * c_above), 0.0)
        o = torch.sigmoid(o + p[3] * c)
        h = torch.where(alive[d], o * torch.tanh(c), 0.0)
        states.append(torch.cat([i, f, a, g, o, c, h], dim=3) if whole else h)
    taken = torch.arange(columns, device=maps.device) + lines[:, None]  # (R, W) diagonals
    outputs = torch.stack(states)[taken, :, lines[:, None]].permute(2, 3, 0, 1, 4)  # (4, B, R, W, H)
    return torch.cat(_turn(outputs.unbind(0), widths), dim=3)


def _turn(maps: Sequence[Tensor], widths: Tensor) -> list[Tensor]:
    """Maps (B, R, W, C) of each direction, so that the direction starts at the top left; turning twice gives them back."""
    turned = []
    for direction, one in enumerate(maps):
        if direction % 2:
            one = one.flip(1)
        if direction >= 2:
            one = reverse(one.transpose(1, 2).flatten(2), widths).unflatten(2, (one.shape[1], -1)).transpose(1, 2)
        turned.append(one)
    return turned


Saved = tuple[Tensor, Tensor, Tensor, Tensor]


@torch.library.custom_op("recognizer::mdlstm", mutates_args=())
def _scan(maps: Tensor, widths: Tensor, weight: Tensor, bias: Tensor, peepholes: Tensor, stable: bool) -> Saved:
    """Outputs, and what the backward pass needs: steps (D+1, 4, K+2H, N), gates (D, 4, 5H, N), cells (D+1, 4, H, N); see the kernel."""
    from recognizer.models.mdlstm_kernel import advance, fill_steps

    batch, rows, columns, size = maps.shape
    hidden, places, diagonals = peepholes.shape[2], batch * rows, rows + columns - 1
    steps = maps.new_empty(diagonals + 1, DIRECTIONS, size + 2 * hidden, places)
    gates = maps.new_empty(diagonals, DIRECTIONS, GATES * hidden, places)
    cells = maps.new_empty(diagonals + 1, DIRECTIONS, hidden, places)
    cells[0] = 0
    outputs = maps.new_zeros(batch, rows, columns, DIRECTIONS * hidden)
    alive, inner = _masks(widths, maps, hidden)
    widths_array, written = _array(widths), _array(outputs)
    fill_steps(_array(maps), widths_array, _array(steps))
    arrays = [
        _array(gates.view(diagonals, DIRECTIONS, GATES, -1)), *(_array(tensor.flatten(2)) for tensor in (cells, steps)),
        *(_array(tensor.reshape(DIRECTIONS, -1, hidden, 1).expand(-1, -1, -1, places).flatten(2)) for tensor in (bias, peepholes)),
    ]  # fmt: skip
    turned = weight.transpose(1, 2).contiguous()
    for d, (step, gate) in enumerate(zip(steps.unbind(0), gates.unbind(0), strict=False)):
        _multiply(weight, turned, step, gate)
        advance(d, *arrays, alive, inner, widths_array, stable, written)
    return outputs, steps, gates, cells


@_scan.register_fake
def _(maps: Tensor, widths: Tensor, weight: Tensor, bias: Tensor, peepholes: Tensor, stable: bool) -> Saved:
    batch, rows, columns, size = maps.shape
    hidden, places, diagonals = peepholes.shape[2], batch * rows, rows + columns - 1
    return (
        maps.new_empty(batch, rows, columns, DIRECTIONS * hidden),
        maps.new_empty(diagonals + 1, DIRECTIONS, size + 2 * hidden, places),
        maps.new_empty(diagonals, DIRECTIONS, GATES * hidden, places),
        maps.new_empty(diagonals + 1, DIRECTIONS, hidden, places),
    )


@torch.library.custom_op("recognizer::mdlstm_backward", mutates_args=())
def _scan_back(
    d_outputs: Tensor, maps: Tensor, widths: Tensor, weight: Tensor, peepholes: Tensor, stable: bool, steps: Tensor, gates: Tensor, cells: Tensor,
    wanted: bool,
) -> Saved:  # fmt: skip
    """Gradients of the maps, weights, biases and peepholes; that of the maps is empty unless it is wanted, as that of pixels never is."""
    from recognizer.models.mdlstm_kernel import retreat, spread

    diagonals, _, _, places = gates.shape
    hidden = peepholes.shape[2]
    d_maps, d_weight = torch.zeros_like(maps) if wanted else maps.new_empty(0), torch.zeros_like(weight)
    d_bias, d_peepholes = (maps.new_zeros(DIRECTIONS, kinds, hidden * places) for kinds in (GATES, PEEPHOLES))
    ahead = weight if wanted else weight[:, :, maps.shape[3] :].contiguous()
    back = ahead.transpose(1, 2).contiguous()
    d_steps, d_gates, d_cells = steps.new_zeros(*back.shape[:2], places), torch.empty_like(gates[0]), torch.zeros_like(cells[0])
    alive, inner = _masks(widths, maps, hidden)
    widths_array, d_maps_array, d_steps_array = _array(widths), _array(d_maps), _array(d_steps)
    repeated = peepholes[..., None].expand(-1, -1, -1, places).flatten(2)
    kept = (_array(gates.view(diagonals, DIRECTIONS, GATES, -1)), _array(cells.flatten(2)), _array(repeated), alive, inner, widths_array)
    d_states = _array(d_steps.flatten(1)), _array(d_cells.flatten(1)), _array(d_gates.view(DIRECTIONS, GATES, -1))
    made = (_array(d_outputs.contiguous()), *d_states, _array(d_bias), _array(d_peepholes))
    rows = steps.transpose(2, 3).unbind(0)
    for d in reversed(range(diagonals)):
        retreat(d, *kept, stable, *made)
        d_weight.baddbmm_(d_gates, rows[d])
        _multiply(back, ahead, d_gates, d_steps)
        if wanted:
            spread(d, d_steps_array, widths_array, d_maps_array)
    d_bias, d_peepholes = (total.unflatten(2, (hidden, places)).sum(3) for total in (d_bias, d_peepholes))
    return d_maps, d_weight, d_bias.flatten(1), d_peepholes


@_scan_back.register_fake
def _(
    d_outputs: Tensor, maps: Tensor, widths: Tensor, weight: Tensor, peepholes: Tensor, stable: bool, steps: Tensor, gates: Tensor, cells: Tensor,
    wanted: bool,
) -> Saved:  # fmt: skip
    d_maps = torch.empty_like(maps) if wanted else maps.new_empty(0)
    return d_maps, torch.empty_like(weight), weight.new_empty(weight.shape[:2]), torch.empty_like(peepholes)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Saved) -> None:
    maps, widths, weight, _, peepholes, ctx.stable = inputs
    ctx.save_for_backward(maps, widths, weight, peepholes, *output[1:])


def _back(ctx: Any, d_outputs: Tensor, *_: Tensor | None) -> tuple[Tensor | None, ...]:
    maps, widths, weight, peepholes, *kept = ctx.saved_tensors
    wanted = ctx.needs_input_grad[0]
    d_maps, d_weight, d_bias, d_peepholes = _scan_back(d_outputs, maps, widths, weight, peepholes, ctx.stable, *kept, wanted)
    return d_maps if wanted else None, None, d_weight, d_bias, d_peepholes, None


_scan.register_autograd(_back, setup_context=_save)


def _multiply(matrices: Tensor, turned: Tensor, columns: Tensor, out: Tensor) -> None:
    """Batched product of matrices with columns (B, K, N); ``turned`` are the matrices transposed, both laid out row by row.

    With few columns the library is three to five times faster when they are rows.
    """
    if columns.shape[2] < FEW:
        out.copy_(torch.bmm(columns.transpose(1, 2), turned).transpose(1, 2))
    else:
        torch.bmm(matrices, columns, out=out)


def _masks(widths: Tensor, maps: Tensor, hidden: int) -> tuple[Any, Any]:
    """``alive`` (D, R * B), 1 where row r and column d - r lie within line b, and ``inner`` (H * R * B,), 1 but in the first row."""
    batch, rows, columns, _ = maps.shape
    place = torch.arange(rows + columns - 1)[:, None] - torch.arange(rows)
    alive = (place >= 0)[:, :, None] & (place[:, :, None] < widths)
    inner = (torch.arange(rows) > 0)[:, None].expand(hidden, rows, batch)
    return _array(alive.flatten(1).to(maps.dtype)), _array(inner.flatten().to(maps.dtype))


def _array(tensor: Tensor) -> Any:
    return tensor.detach().numpy()
