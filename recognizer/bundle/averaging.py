"""The mean of bundles whose weights go back to the same start."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_
from pathlib import Path

import torch
from torch import Tensor

from recognizer.bundle.convert import collect_files
from recognizer.bundle.io import Bundle, save_bundle
from recognizer.bundle.provenance import TRAINED_ON, Provenance
from recognizer.config import are_compatible
from recognizer.errors import BundleError
from recognizer.models.network import label_axis
from recognizer.text.alphabet import BLANK

_CONDITIONING = re.compile(r"encoder\.conditions\.\d+\.")


def average(bundles: Sequence[Bundle], folder: Path, shares: Sequence[float] | None = None) -> None:
    """Write the mean of bundles whose encoders go back to the same weights (Wortsman et al. 2022, "Model soups").

    Settings, card, and models of the decoder are those of the first bundle. What any of them was trained on, the mean was trained on. A bundle
    without the first's intermediate CTC layers (``model.intermediate_ctc_weight``) counts as one whose intermediate layers add nothing; one
    that lacks symbols of the first's alphabet does not count for the rows of these symbols. A recognizer of the units that the first writes below
    its characters (``model.units_layer``) counts for the layers up to there only, without what they read of each other's outputs.

    Args:
        bundles: two or more, with the same features (pictures may be cleaned and sound dithered otherwise) and network, and no symbols
            that the first has not.
        folder: of the new bundle.
        shares: how much each counts; None: all alike.

    Raises:
        BundleError: they do not fit together; the message names the first that differs.
    """
    first, shares = bundles[0], shares or [1.0] * len(bundles)
    for bundle in bundles:
        bundle.require_weights()
    for bundle in bundles[1:]:
        _check_family(first, bundle)
    all_weights = [_weights(first, bundle) for bundle in bundles]
    weights = {}
    for name, tensor in first.weights.items():
        weights[name] = tensor
        if tensor.is_floating_point():
            parts = (share * each[name].float() for share, each in zip(shares, all_weights, strict=True))
            weights[name] = sum(parts, start=0 * tensor.float()) / sum(shares)
    config, files = collect_files(first)
    with tempfile.TemporaryDirectory() as temporary:
        known = [own for bundle in bundles if (own := Provenance.load(bundle.folder)) is not None]
        if known:
            files[TRAINED_ON] = Path(temporary) / TRAINED_ON
            reduce(or_, known).save(files[TRAINED_ON])
        save_bundle(folder, config, first.alphabet, weights, first.card(), files)


def _weights(first: Bundle, other: Bundle) -> dict[str, Tensor]:
    """Those of ``other`` for the first's alphabet, with the intermediate CTC layers that only the first has, adding nothing."""
    if _is_below(first, other):
        below = {("encoder.units." if name.startswith("output.") else "") + name: tensor for name, tensor in other.weights.items()}
        return {name: tensor if name.startswith("auxiliary.") else below.get(name, tensor) for name, tensor in first.weights.items()}
    missing = {name: tensor for name, tensor in first.weights.items() if _CONDITIONING.match(name) and name not in other.weights}
    found = {**other.weights, **{name: torch.zeros_like(tensor) if ".back." in name else tensor for name, tensor in missing.items()}}
    if other.alphabet == first.alphabet:
        return found
    label = {symbol: number for number, symbol in enumerate((BLANK, *first.alphabet.symbols))}
    places = torch.tensor([label[symbol] for symbol in (BLANK, *other.alphabet.symbols)])
    for name, tensor in other.weights.items():
        axis, whole = label_axis(name), first.weights.get(name)
        if axis is not None and whole is not None and tensor.shape == (*whole.shape[:axis], len(places), *whole.shape[axis + 1 :]):
            found[name] = whole.float().index_copy(axis, places, tensor.float())
    return found


def _is_below(first: Bundle, other: Bundle) -> bool:
    """Whether ``other`` writes the units that the first writes below its characters, with as many layers as lie there."""
    model = first.config.model
    return other.alphabet.level == "units" and model.units == other.alphabet.symbols and model.units_layer == other.config.model.num_layers


def _check_family(first: Bundle, other: Bundle) -> None:
    different = None
    same_labels = first.alphabet.level == other.alphabet.level and set(first.alphabet.symbols).issuperset(other.alphabet.symbols)
    if not same_labels and not _is_below(first, other):
        different = "alphabet"
    elif not are_compatible(other.config.features, first.config.features):
        different = "features"
    elif _shapes(first.weights) != _shapes(_weights(first, other)):
        different = "network"
    if different is not None:
        raise BundleError(f"{other.folder}: its {different} is not that of {first.folder}; only models of one family have a mean")


def _shapes(weights: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in weights.items()}
