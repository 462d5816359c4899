"""Bundles of earlier versions: their settings under today's names, and layers stored as two factors multiplied out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from recognizer.config.renamed import REMOVED, RENAMED

if TYPE_CHECKING:
    from torch import Tensor


def migrate_settings(values: Any, where: str = "") -> Any:
    """The settings of a bundle of format 1, a nested mapping, as :class:`~recognizer.config.RecognizerConfig` takes them today."""
    if not isinstance(values, Mapping):
        return values
    migrated = {}
    for key, value in values.items():
        path = f"{where}.{key}" if where else str(key)
        if path not in REMOVED:
            migrated[RENAMED.get(path, path).rpartition(".")[2]] = migrate_settings(value, path)
    return migrated


def multiply_factors(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights with every layer that is stored as two factors made whole.

    A convolution may come as few filters and a ``mixing`` of them (1 x 1), a recurrent layer's input matrices as a ``projection`` of the
    frame and matrices over its outcome: a third of the size on disk. The products are taken in float64, so that log-probs stay what they were.
    """
    import torch

    whole = dict(weights)
    for name in weights:
        layer, _, kind = name.rpartition(".weight")[0].rpartition(".")
        if kind == "mixing":
            mixing, filters = whole.pop(name).double().flatten(1), whole[f"{layer}.convolution.weight"].double()
            whole[f"{layer}.convolution.weight"] = torch.einsum("or,rihw->oihw", mixing, filters).float()
        elif kind == "projection" and layer.startswith("encoder.layers."):
            projection = whole.pop(name).double()
            for side in ("forwards", "backwards"):
                matrix = f"{layer}.{side}.weight_ih_l0"
                if matrix in whole:
                    whole[matrix] = (whole[matrix].double() @ projection).float()
    return whole
