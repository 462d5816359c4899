"""Recording gates and states of recurrent layers while a network runs, for ``recognizer inspect``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from recognizer.models.chunks import join_windows
from recognizer.models.masking import reverse
from recognizer.models.mdlstm import MdLstm, MdLstmEncoder
from recognizer.models.recurrent_cell import RecurrentCell

Direction = Literal["forwards", "backwards"]
STARTS = ("top left", "bottom left", "top right", "bottom right")  # of the four directions in two dimensions; the first two read forwards


@contextmanager
def _hooks(modules: Mapping[Any, nn.Module], note: Callable[[Any, tuple[Any, ...], Mapping[str, Any]], None]) -> Iterator[None]:
    """Within the block ``note(key, arguments, keywords)`` is called with the inputs of each module."""

    def hook(key: Any) -> Callable[..., None]:
        return lambda _, arguments, keywords: note(key, arguments, keywords)

    handles = [module.register_forward_pre_hook(hook(key), with_kwargs=True) for key, module in modules.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class StateRecorder:
    """The inputs of an encoder's cells in one run, and their gates and states.

    Args:
        encoder: with ``layers``, each of a cell ``forwards`` and one or None ``backwards``; one without layers has no cells.
    """

    def __init__(self, encoder: nn.Module) -> None:
        layers = getattr(encoder, "layers", ())
        found = {(number, side): getattr(layer, side) for number, layer in enumerate(layers) for side in get_args(Direction)}
        self.cells: dict[tuple[int, Direction], RecurrentCell] = {place: cell for place, cell in found.items() if cell is not None}
        self.chunks = [layer.chunks for layer in layers]
        self._inputs: dict[tuple[int, Direction], list[tuple[tuple[Any, ...], Mapping[str, Any]]]] = {place: [] for place in self.cells}

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Within the block the network runs once; it may run in chunks."""
        with _hooks(self.cells, lambda place, arguments, keywords: self._inputs[place].append((arguments, keywords))):
            yield

    def states(self, layer: int, direction: Direction) -> dict[str, Tensor]:
        """Gates, states and output of a cell in that run, as :meth:`RecurrentCell.record` names them; each (B, T, H) in the order of time.

        What stands in padded frames is not defined. The cell runs once more, and only those cells that are asked for.
        """
        inputs = self._inputs[layer, direction]
        frames = torch.cat([arguments[0] for arguments, _ in inputs], dim=1).detach()
        lengths = torch.stack([arguments[1] for arguments, _ in inputs]).sum(0)
        optional = [[keywords[key] for _, keywords in inputs if keywords.get(key) is not None] for key in ("below", "gaps")]
        below, gaps = (torch.cat(parts, dim=1).detach() if parts else None for parts in optional)
        seen = self.cells[layer, direction].record(frames, lengths, below, gaps)
        if direction == "forwards":
            return seen
        turned = {name: reverse(tensor, lengths.to(tensor.device)) for name, tensor in seen.items()}
        chunks = self.chunks[layer]
        if chunks is None:
            return turned
        parts = [arguments[0].shape for arguments, _ in self._inputs[layer, "forwards"]]
        shape = torch.Size((parts[0][0], sum(part[1] for part in parts)))
        return {name: join_windows(tensor, shape, chunks) for name, tensor in turned.items()}


class MapRecorder:
    """The inputs of a front-end's two-dimensional layers in one run, and their gates and states.

    Args:
        frontend: any; only :class:`MdLstmEncoder` has such layers.
    """

    def __init__(self, frontend: nn.Module) -> None:
        encoder = frontend if isinstance(frontend, MdLstmEncoder) else None
        self.scans: list[MdLstm] = [] if encoder is None else list(encoder.scans)  # type: ignore[arg-type]
        self.strides = [] if encoder is None else encoder.strides
        self._inputs: dict[int, tuple[Any, ...]] = {}

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Within the block the network runs once."""
        with _hooks(dict(enumerate(self.scans)), lambda layer, arguments, _: self._inputs.update({layer: arguments})):
            yield

    def states(self, layer: int) -> dict[str, Tensor]:
        """Gates, states and outputs of a layer in that run, as :meth:`MdLstm.record` names them; each (B, R, W, 4, H)."""
        return self.scans[layer].record(*self._inputs[layer])
