"""`recognizer pack`: a bundle made small for handing on."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from recognizer.bundle import Bundle, load_bundle, save_bundle
from recognizer.bundles import find_bundle
from recognizer.overrides import override_features


def pack(bundle: Bundle, folder: Path, overrides: Sequence[str] = ()) -> int:
    """Write a bundle with its matrices and kernels as bfloat16, half the size; return the bytes of the whole.

    Vectors (biases, statistics of features and normalisation) stay as they are: they are small, and they are what
    rounding would hurt. A recogniser computes with them in float32 or bf16 as before.

    Args:
        bundle: what is packed.
        folder: of the small one.
        overrides: settings of its features to change, ``features.KEY=VALUE``.

    Raises:
        ConfigError: an override that means nothing, or that the weights do not allow.
    """
    import torch

    weights = {
        name: tensor.to(torch.bfloat16) if tensor.is_floating_point() and tensor.dim() > 1 else tensor for name, tensor in bundle.weights.items()
    }
    files = {name: bundle.folder / name for name in bundle.others}
    recipe = replace(bundle.recipe, features=override_features(bundle.recipe.features, overrides))
    save_bundle(folder, recipe, bundle.alphabet, weights, bundle.card(), files)
    return sum(path.stat().st_size for path in folder.iterdir())


def pack_bundle(options: argparse.Namespace) -> int:
    """Carry out the command."""
    folder = Path(options.output)
    size = pack(load_bundle(find_bundle(options.bundle)), folder, options.overrides)
    print(f"{folder}: {size / 2**20:.1f} MiB")
    return 0
