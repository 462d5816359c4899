"""The loop of a convolutional LSTM: one small product and a few in-place steps a frame, with its derivatives written out.

The convolution of a frame is a product of the kernel with the windows of the map, copied side by side. On one CPU thread, 16 maps of
256 to 320 entries and a kernel of 5, that took half the time of the framework's convolution or less, and a ninth to half the time of the
product with the whole recurrent matrix that the kernel stands for; at 1,280 entries it is as fast as the convolution, a fifteenth of the product.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import grad


@torch.library.custom_op("recognizer::conv_recurrence", mutates_args=())
def conv_recurrence(
    drives: Tensor, hidden: Tensor, cell: Tensor, kernel: Tensor, peepholes: Tensor | None, kept: Tensor | None, zones: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Run the recurrence of :class:`recognizer.models.cells.conv_lstm.Cell` over all frames.

    All tensors are of one floating type.

    Args:
        drives: what inputs and biases give each gate, (T, B, 4, C, P) in the order i, f, g, o.
        hidden, cell: before the first frame, (B, C, P).
        kernel: (4 C, C, K) with K odd.
        peepholes: weights of i, f and o, (3, C, P); None: there are none.
        kept: factors of the hidden state where the convolution reads it (dropout), (B, C, P); None: 1.
        zones: shares of hidden and cell state that stay what they were (zoneout), (2, T, B, C, P); None: 0.

    Returns:
        Hidden and cell states after each frame (T, B, C, P), and the gates (T, B, 4, C, P).
    """
    with torch.autocast(drives.device.type, enabled=False):
        gates = drives.clone(memory_format=torch.contiguous_format)
        outputs, cells = (torch.empty_like(gates[:, :, 0], memory_format=torch.contiguous_format) for _ in range(2))
        windows = _Windows(hidden, kernel.shape[-1])
        matrices = kernel.flatten(1).expand(hidden.shape[0], -1, -1)  # (B, 4 C, C K)
        squashed = torch.empty_like(cell)
        for t in range(gates.shape[0]):
            gate = gates[t]
            gate.view(*matrices.shape[:2], -1).baddbmm_(matrices, windows.of(hidden if kept is None else hidden * kept))
            if peepholes is not None:
                gate[:, :2].addcmul_(peepholes[:2], cell[:, None])
            gate[:, :2].sigmoid_()
            gate[:, 2].tanh_()
            torch.mul(cell, gate[:, 1], out=cells[t]).addcmul_(gate[:, 0], gate[:, 2])
            if peepholes is not None:
                gate[:, 3].addcmul_(peepholes[2], cells[t])
            torch.mul(gate[:, 3].sigmoid_(), torch.tanh(cells[t], out=squashed), out=outputs[t])
            if zones is not None:
                outputs[t].addcmul_(zones[0, t], hidden - outputs[t])
                cells[t].addcmul_(zones[1, t], cell - cells[t])
            hidden, cell = outputs[t], cells[t]
    return outputs, cells, gates


class _Windows:
    """Maps (B, C, P) to their windows (B, C K, P): row (c, k) holds channel c, shifted by k - (K - 1) / 2, zero beyond the ends."""

    def __init__(self, maps: Tensor, size: int) -> None:
        batch, channels, positions = maps.shape
        width = positions + size - 1
        self.padded = maps.new_zeros(batch, channels, width)
        self.inner = self.padded.narrow(2, size // 2, positions)
        self.shifted = self.padded.as_strided((batch, channels, size, positions), (channels * width, width, 1, 1))
        self.buffer = maps.new_empty(batch, channels, size, positions)

    def of(self, maps: Tensor) -> Tensor:
        """Overwritten by the next call."""
        self.inner.copy_(maps)
        return self.buffer.copy_(self.shifted).flatten(1, 2)


@conv_recurrence.register_fake
def _(
    drives: Tensor, hidden: Tensor, cell: Tensor, kernel: Tensor, peepholes: Tensor | None, kept: Tensor | None, zones: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    shape = (*drives.shape[:2], *drives.shape[3:])
    return drives.new_empty(shape), drives.new_empty(shape), drives.new_empty(drives.shape)


@torch.library.custom_op("recognizer::conv_recurrence_back", mutates_args=())
def conv_recurrence_back(
    d_outputs: Tensor, d_cells: Tensor, hidden: Tensor, cell: Tensor, kernel: Tensor, peepholes: Tensor | None, kept: Tensor | None,
    zones: Tensor | None, outputs: Tensor, cells: Tensor, gates: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients of drives, initial hidden and cell state, kernel and peepholes ((0,) if there are none) of :func:`conv_recurrence`."""
    with torch.autocast(gates.device.type, enabled=False):
        before = torch.cat([cell[None], cells])[:-1]
        i, f, g, o = gates.unbind(2)
        new = cells if zones is None else torch.addcmul(f * before, i, g)
        squashed = new.tanh()
        # what a gradient of the cell (of the output, in the last gate) is to be multiplied by to reach the pre-activations
        d_drives = torch.stack([g * i * (1 - i), before * f * (1 - f), i * (1 - g * g), squashed * o * (1 - o)], dim=2)
        through = o * (1 - squashed * squashed)
        turned = kernel.flip(2).transpose(0, 1).flatten(1).expand(hidden.shape[0], -1, -1)  # (B, C, 4 C K)
        windows = _Windows(gates[0].flatten(1, 2), kernel.shape[-1])
        d_hidden, d_cell = torch.zeros_like(hidden), torch.zeros_like(cell)
        for t in reversed(range(gates.shape[0])):
            d_gate = d_drives[t]
            d_hidden, d_cell = d_hidden.add_(d_outputs[t]), d_cell.add_(d_cells[t])
            if zones is not None:
                stayed_hidden, stayed_cell = d_hidden * zones[0, t], d_cell * zones[1, t]
                d_hidden, d_cell = d_hidden - stayed_hidden, d_cell - stayed_cell
            d_gate[:, 3].mul_(d_hidden)
            d_cell.addcmul_(d_hidden, through[t])
            if peepholes is not None:
                d_cell.addcmul_(d_gate[:, 3], peepholes[2])
            d_gate[:, :3].mul_(d_cell[:, None])
            d_cell.mul_(gates[t, :, 1])
            if peepholes is not None:
                d_cell.addcmul_(d_gate[:, 0], peepholes[0]).addcmul_(d_gate[:, 1], peepholes[1])
            d_hidden = turned @ windows.of(d_gate.flatten(1, 2))
            if kept is not None:
                d_hidden.mul_(kept)
            if zones is not None:
                d_hidden.add_(stayed_hidden)
                d_cell.add_(stayed_cell)
        maps = torch.cat([hidden[None], outputs])[:-1]
        maps = (maps if kept is None else maps * kept).flatten(0, 1)
        d_kernel = grad.conv1d_weight(maps, kernel.shape, d_drives.flatten(2, 3).flatten(0, 1), padding=kernel.shape[2] // 2)
        if peepholes is None:
            d_peepholes = gates.new_empty(0)
        else:
            d_peepholes = torch.stack([(d_drives[:, :, gate] * states).sum((0, 1)) for gate, states in ((0, before), (1, before), (3, new))])
    return d_drives, d_hidden, d_cell, d_kernel, d_peepholes


@conv_recurrence_back.register_fake
def _(
    d_outputs: Tensor, d_cells: Tensor, hidden: Tensor, cell: Tensor, kernel: Tensor, peepholes: Tensor | None, kept: Tensor | None,
    zones: Tensor | None, outputs: Tensor, cells: Tensor, gates: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    d_peepholes = gates.new_empty(0) if peepholes is None else torch.empty_like(peepholes)
    return gates.new_empty(gates.shape), hidden.new_empty(hidden.shape), cell.new_empty(cell.shape), kernel.new_empty(kernel.shape), d_peepholes


def _keep(ctx: Any, inputs: tuple[Tensor | None, ...], output: tuple[Tensor, ...]) -> None:
    ctx.save_for_backward(*inputs[1:], *output)


def _go_back(ctx: Any, d_outputs: Tensor, d_cells: Tensor, d_gates: Tensor) -> tuple[Tensor | None, ...]:
    # the gates are there for this only, nobody differentiates them
    d_drives, d_hidden, d_cell, d_kernel, d_peepholes = conv_recurrence_back(d_outputs, d_cells, *ctx.saved_tensors)
    return d_drives, d_hidden, d_cell, d_kernel, d_peepholes if d_peepholes.numel() else None, None, None


conv_recurrence.register_autograd(_go_back, setup_context=_keep)
