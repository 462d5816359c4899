"""What the cells with gates have in common: weights, projection of all frames at once, zoneout, recurrent dropout, carried state."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from recognizer.config import CellSettings
from recognizer.models.gated import Operator
from recognizer.models.recurrence import Pass, Recurrence, State, last_states

STATES = ("h", "c", "n", "m")  # what equations call the states, in their order


class GatedCell(Recurrence):
    """A cell whose arithmetic is one operator of :func:`recognizer.models.gated.make_operator`.

    Weights are drawn from [-1/sqrt(H), 1/sqrt(H)] as in ``torch.nn.LSTM``, whose names and order of blocks they keep. A subclass
    names its blocks and its operator, and overrides :meth:`matrices` or :meth:`weights` where the operator wants others.
    """

    blocks: ClassVar[tuple[str, ...]]  # of the projected input, each H wide; "f" is a forget gate
    recurrent: ClassVar[tuple[str, ...] | None] = None  # blocks of the recurrent matrix; None: the same
    states: ClassVar[int] = 2  # S; h is the first, c the second
    peepholes: ClassVar[int] = 0  # rows of element-wise weights that are learnt
    operator: ClassVar[Operator]

    def __init__(self, inputs: int, hidden: int, settings: CellSettings) -> None:
        super().__init__()
        self.inputs, self.hidden, self.settings = inputs, hidden, settings
        rows = len(self.recurrent if self.recurrent is not None else self.blocks)
        self.weight_ih_l0 = self._drawn(len(self.blocks) * hidden, inputs)
        self.weight_hh_l0 = self._drawn(rows * hidden, hidden)
        self.bias_l0 = self._drawn(len(self.blocks) * hidden)
        self.peephole_l0 = self._drawn(self.peepholes, hidden) if self.peepholes else None
        if "f" in self.blocks:
            start = self.blocks.index("f") * hidden
            with torch.no_grad():
                self.bias_l0[start : start + hidden] += settings.forget_bias

    def _drawn(self, *shape: int) -> nn.Parameter:
        bound = 1 / math.sqrt(self.hidden)
        return nn.Parameter(torch.empty(*shape).uniform_(-bound, bound))

    def matrices(self) -> list[Tensor]:
        """Recurrent matrices [(R, H)], or kernels."""
        return [self.weight_hh_l0]

    def weights(self) -> Tensor:
        """Element-wise weights (W, H); zeros (3, H) where there are no peepholes."""
        return self.peephole_l0 if self.peephole_l0 is not None else self.weight_hh_l0.new_zeros(3, self.hidden)

    def project(self, frames: Tensor, below: Tensor | None, gaps: Tensor | None) -> Tensor:
        """(T, B, D) to (T, B, P), all frames in one product; ``below`` is (T, B, H) and ``gaps`` (T, B)."""
        return functional.linear(frames, self.weight_ih_l0, self.bias_l0)

    def initial(self, frames: Tensor) -> State:
        """Zeros (B, H), as many as the cell has states."""
        return (self.weight_hh_l0.new_zeros(frames.shape[0], self.hidden),) * self.states

    def forward(
        self, frames: Tensor, lengths: Tensor, state: State | None = None, carry: bool = False,
        below: Tensor | None = None, gaps: Tensor | None = None,
    ) -> Pass:  # fmt: skip
        """As :class:`Recurrence` says; the state is (h, c, ...), each (B, H)."""
        projected = self._project(frames, below, gaps)
        state = state if state is not None else self.initial(frames)
        states = run_gated(type(self).operator, projected, self.matrices(), self.weights(), state, self.settings, self.training)
        final = tuple(last_states(every, before, lengths) for every, before in zip(states, state, strict=True)) if carry else None
        return Pass(states[0], final, states[1] if self.shows_cells else None)

    def watch(self, frames: Tensor, lengths: Tensor, below: Tensor | None = None, gaps: Tensor | None = None) -> dict[str, Tensor]:
        """As :class:`Recurrence` says: the kernel's gates, then the states."""
        projected, state = self._project(frames, below, gaps), self.initial(frames)
        return watch_gated(type(self).operator, projected, self.matrices(), self.weights(), state, self.settings)

    def _project(self, frames: Tensor, below: Tensor | None, gaps: Tensor | None) -> Tensor:
        turned = [None if tensor is None else tensor.transpose(0, 1) for tensor in (below, gaps)]
        return self.project(frames.transpose(0, 1), *turned)


def run_gated(
    operator: Operator, projected: Tensor, matrices: list[Tensor], weights: Tensor, state: State, settings: CellSettings, training: bool,
    *watched: dict[str, Tensor],
) -> Tensor:  # fmt: skip
    """Run an operator over projected frames (T, B, P) with zoneout and recurrent dropout; the states after each frame, (S, B, T, H).

    Products with recurrent matrices are in autocast's precision, all else in that of the weights. ``watched`` is handed on to the operator.
    """
    own, device = weights.dtype, projected.device.type
    if torch.is_autocast_enabled(device):
        matrices = [matrix.to(torch.get_autocast_dtype(device)) if matrix.ndim == 2 else matrix for matrix in matrices]
    initial = torch.stack([tensor.to(own) for tensor in state])
    count, batch, hidden = initial.shape
    zones = factors = initial.new_empty(0)
    if settings.zoneout:  # its expectation where nothing is learnt
        zones = initial.new_full((count, len(projected), batch, hidden), settings.zoneout)
        zones = torch.bernoulli(zones) if training else zones
    if settings.recurrent_dropout and training:
        kept = initial.new_full((batch, hidden), 1 - settings.recurrent_dropout)
        factors = torch.bernoulli(kept) / kept
    return operator(projected.to(own).contiguous(), matrices, weights, initial, zones, factors, *watched)[:, 1:].transpose(1, 2)


def watch_gated(
    operator: Operator, projected: Tensor, matrices: list[Tensor], weights: Tensor, state: State, settings: CellSettings
) -> dict[str, Tensor]:
    """The gates of an operator over projected frames (T, B, P) and the states after each, the output last, by name (B, T, H)."""
    gates: dict[str, Tensor] = {}
    states = run_gated(operator, projected, matrices, weights, state, settings, False, gates)
    named = dict(zip(STATES, states, strict=False))
    output = named.pop("h")
    return {name: gate.transpose(0, 1) for name, gate in gates.items()} | named | {"h": output}
