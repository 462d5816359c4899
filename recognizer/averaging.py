"""`recognizer average`: one recogniser from several of a family, by the mean of their weights."""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from recognizer.alphabet import BLANK
from recognizer.bundle import Bundle, load_bundle, save_bundle
from recognizer.bundles import find_bundle
from recognizer.config import are_akin
from recognizer.data.provenance import TRAINED_ON, Provenance
from recognizer.errors import BundleError
from recognizer.models.outputs import label_axis

_CONDITIONING = re.compile(r"encoder\.conditions\.\d+\.")


def average(bundles: Sequence[Bundle], folder: Path, shares: Sequence[float] | None = None) -> None:
    """Write the mean of bundles whose encoders go back to the same weights (Wortsman et al. 2022, "Model soups").

    Runs that went different ways from one start often lie in one valley, and its middle makes fewer mistakes than either. Settings,
    card, and models of the decoder are those of the first bundle. What any of them was trained on, the mean was. One without the first's
    conditioning (``model.conditioning``) counts as one whose readings between the layers have no say; one that lacks symbols of the
    first's alphabet has no say on them.

    Args:
        bundles: two or more, with the same features (pictures may be cleaned and sound dithered otherwise) and network, and no symbols
            that the first has not.
        folder: of the new bundle.
        shares: how much each counts; None: all alike.

    Raises:
        BundleError: they do not fit together; the message names the first that differs.
    """
    first, shares = bundles[0], shares or [1.0] * len(bundles)
    for bundle in bundles[1:]:
        _check_kin(first, bundle)
    all_weights = [_weights(first, bundle) for bundle in bundles]
    weights = {}
    for name, tensor in first.weights.items():
        weights[name] = tensor
        if tensor.is_floating_point():
            parts = (share * each[name].float() for share, each in zip(shares, all_weights, strict=True))
            weights[name] = sum(parts, start=0 * tensor.float()) / sum(shares)
    files = {name: first.folder / name for name in first.others}
    with tempfile.TemporaryDirectory() as temporary:
        if any(TRAINED_ON in bundle.others for bundle in bundles):
            files[TRAINED_ON] = Path(temporary) / TRAINED_ON
            files[TRAINED_ON].write_text(_unite(bundles).to_text(), encoding="utf-8")
        save_bundle(folder, first.recipe, first.alphabet, weights, first.card(), files)


def _weights(first: Bundle, other: Bundle) -> dict[str, Tensor]:
    """Those of ``other`` for the first's alphabet, with what only the first is conditioned on: its readings, without a say."""
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


def _check_kin(first: Bundle, other: Bundle) -> None:
    strange = None
    if first.alphabet.level != other.alphabet.level or not set(first.alphabet.symbols).issuperset(other.alphabet.symbols):
        strange = "alphabet"
    elif not are_akin(other.recipe.features, first.recipe.features):
        strange = "features"
    elif _shapes(first.weights) != _shapes(_weights(first, other)):
        strange = "network"
    if strange is not None:
        raise BundleError(f"{other.folder}: its {strange} is not that of {first.folder}; only recognisers of one family have a mean")


def _shapes(weights: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in weights.items()}


def _unite(bundles: Sequence[Bundle]) -> Provenance:
    whole = Provenance()
    for bundle in bundles:
        if TRAINED_ON in bundle.others:
            whole |= Provenance.parse((bundle.folder / TRAINED_ON).read_text(encoding="utf-8"))
    return whole


def average_bundles(options: argparse.Namespace) -> int:
    """Carry out the command."""
    if len(options.bundles) < 2:
        raise BundleError(f"{options.bundles[0]}: a mean is of two bundles or more")
    if options.shares and len(options.shares) != len(options.bundles):
        raise BundleError(f"--shares: {len(options.shares)} numbers for {len(options.bundles)} bundles; give one for each")
    average([load_bundle(find_bundle(name)) for name in options.bundles], Path(options.output), options.shares)
    print(options.output)
    return 0
