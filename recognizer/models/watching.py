"""Looking into recurrent layers while a network runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from recognizer.models.masking import reverse
from recognizer.models.recurrence import Recurrence

Direction = Literal["forwards", "backwards"]
Watched = dict[tuple[int, Direction], dict[str, Tensor]]


class Witness:
    """What the cells of an encoder were given in one run, and what went on inside them.

    Args:
        encoder: with ``layers``, each of a cell ``forwards`` and one or None ``backwards``; one without layers has no cells.
    """

    def __init__(self, encoder: nn.Module) -> None:
        layers = getattr(encoder, "layers", ())
        found = {(number, side): getattr(layer, side) for number, layer in enumerate(layers) for side in get_args(Direction)}
        self.cells: dict[tuple[int, Direction], Recurrence] = {place: cell for place, cell in found.items() if cell is not None}
        self._given: dict[tuple[int, Direction], list[tuple[tuple[Any, ...], Mapping[str, Any]]]] = {place: [] for place in self.cells}

    @contextmanager
    def listen(self) -> Iterator[None]:
        """Within the block the network runs once; it may run in chunks."""

        def note(place: tuple[int, Direction]) -> Any:
            return lambda _, arguments, named: self._given[place].append((arguments, named))

        handles = [cell.register_forward_pre_hook(note(place), with_kwargs=True) for place, cell in self.cells.items()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def watch(self, layer: int, direction: Direction) -> dict[str, Tensor]:
        """Gates, states and output of a cell in that run, as :meth:`Recurrence.watch` names them; each (B, T, H) in the order of time.

        What stands in padded frames is not defined. The cell runs once more, which it need not do for those that nobody asks for.
        """
        given = self._given[layer, direction]
        frames = torch.cat([arguments[0] for arguments, _ in given], dim=1).detach()
        lengths = torch.stack([arguments[1] for arguments, _ in given]).sum(0)
        beside = [[named[key] for _, named in given if named.get(key) is not None] for key in ("below", "gaps")]
        below, gaps = (torch.cat(parts, dim=1).detach() if parts else None for parts in beside)
        seen = self.cells[layer, direction].watch(frames, lengths, below, gaps)
        return seen if direction == "forwards" else {name: reverse(tensor, lengths.to(tensor.device)) for name, tensor in seen.items()}
