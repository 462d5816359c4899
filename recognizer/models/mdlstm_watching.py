"""Looking into two-dimensional layers while a network runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from recognizer.models.mdlstm import MdLstm
from recognizer.models.mdlstm_encoder import MdLstmEncoder

STARTS = ("top left", "bottom left", "top right", "bottom right")  # of the four directions; the first two read forwards


class MapWitness:
    """What the two-dimensional layers of a front-end were given in one run, and what went on inside them.

    Args:
        frontend: any; only :class:`MdLstmEncoder` has such layers.
    """

    def __init__(self, frontend: nn.Module) -> None:
        encoder = frontend if isinstance(frontend, MdLstmEncoder) else None
        self.scans: list[MdLstm] = [] if encoder is None else list(encoder.scans)  # type: ignore[arg-type]
        self.strides = [] if encoder is None else encoder.strides
        self._given: list[tuple[Tensor, Tensor] | None] = [None for _ in self.scans]

    @contextmanager
    def listen(self) -> Iterator[None]:
        """Within the block the network runs once."""

        def note(layer: int) -> Any:
            return lambda _, arguments: self._given.__setitem__(layer, arguments)

        handles = [scan.register_forward_pre_hook(note(layer)) for layer, scan in enumerate(self.scans)]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def watch(self, layer: int) -> dict[str, Tensor]:
        """Gates, states and outputs of a layer in that run, as :meth:`MdLstm.watch` names them; each (B, R, W, 4, H).

        The layer runs once more, which it need not do for those that nobody asks for.
        """
        given = self._given[layer]
        assert given is not None
        return self.scans[layer].watch(*given)
