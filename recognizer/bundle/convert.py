"""A bundle written anew: in today's format, with all its files in one folder, its weights in half the space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from recognizer.bundle.io import Bundle, save_bundle
from recognizer.bundle.registry import locate_file
from recognizer.config import DECODER_FILES, RecognizerConfig
from recognizer.config.overrides import override_features


def collect_files(bundle: Bundle) -> tuple[RecognizerConfig, dict[str, Path]]:
    """What it takes to write a bundle again elsewhere: its settings, and its further files by the names that these settings give them.

    A file that it shares with another bundle comes along, under a name of its own.
    """
    files = {name: bundle.folder / name for name in bundle.others}
    names: dict[str, Any] = {}
    for key in DECODER_FILES:
        name = getattr(bundle.config.decoder, key)
        if name is not None and (path := locate_file(name, bundle.folder)) is not None:
            names[key] = path.name
            files[path.name] = path
    return replace(bundle.config, decoder=replace(bundle.config.decoder, **names)), files


def convert(bundle: Bundle, folder: Path, dtype: str | None = None, overrides: Sequence[str] = ()) -> None:
    """Write a bundle to ``folder``.

    Args:
        bundle: what is written.
        folder: of the new one.
        dtype: "bf16" or "float32" of matrices and kernels, None as they are. Vectors (biases, statistics of features and normalization)
            stay as they are: they are small, and they are what rounding would hurt. A recognizer computes in float32 or bf16 either way.
        overrides: settings of its features to change, ``features.KEY=VALUE``.

    Raises:
        ConfigError: an override that means nothing, or that the weights do not allow.
        BundleError: the folder cannot be written.
    """
    import torch

    weights = dict(bundle.weights)
    if dtype is not None:
        wanted = torch.bfloat16 if dtype == "bf16" else torch.float32
        weights = {name: tensor.to(wanted) if tensor.is_floating_point() and tensor.dim() > 1 else tensor for name, tensor in weights.items()}
    config, files = collect_files(bundle)
    config = replace(config, features=override_features(config.features, overrides))
    save_bundle(folder, config, bundle.alphabet, weights, bundle.card(), files)
