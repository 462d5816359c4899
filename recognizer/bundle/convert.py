"""A bundle written anew: in today's format, with all its files in one folder, its weights in half the space."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from recognizer.bundle.io import Bundle, save_bundle
from recognizer.bundle.provenance import TRAINED_ON
from recognizer.bundle.registry import locate_file, name_within
from recognizer.config import DECODER_FILES, DecoderConfig, RecognizerConfig, TextConfig
from recognizer.config.overrides import override_features
from recognizer.errors import ConfigError
from recognizer.text.alphabet import Alphabet


def collect_files(bundle: Bundle) -> tuple[RecognizerConfig, dict[str, Path]]:
    """What it takes to write a bundle again elsewhere: its settings, and its further files by the names that these settings give them.

    A file that it shares with another bundle comes along, under a name of its own.
    """
    decoder, shared = gather_files(bundle.config.decoder, bundle.folder, bundle.others)
    return replace(bundle.config, decoder=decoder), {name: bundle.folder / name for name in bundle.others} | shared


def gather_files(decoder: DecoderConfig, folder: Path, own: Collection[str] = ()) -> tuple[DecoderConfig, dict[str, Path]]:
    """The settings of a decoder for a bundle that carries every file that they name, and these files by their names there.

    Args:
        decoder: the settings.
        folder: where they name files, as :func:`~recognizer.bundle.registry.locate_file` finds them; what is not there is left as it is.
        own: names that the bundle has already.
    """
    names: dict[str, Any] = {}
    files: dict[str, Path] = {}
    for key in DECODER_FILES:
        name = getattr(decoder, key)
        if name is not None and name not in own and (path := locate_file(name, folder)) is not None:
            names[key] = name_within(key, path)
            while names[key] in own:
                names[key] = f"other_{names[key]}"
            files[names[key]] = path
    return replace(decoder, **names), files


def take_units(bundle: Bundle) -> Bundle:
    """The layers of a network up to its output of units (``model.units_layer``), as a recognizer of these units that decodes greedily.

    Raises:
        ConfigError: the network has no such output, or reads chunks, of which all of its layers together look ahead.
        BundleError: it was exported.
    """
    bundle.require_weights()
    model, count = bundle.config.model, bundle.config.model.units_layer
    if not count:
        raise ConfigError(f"{bundle.folder}: its network has no output of units; train one with model.units_layer")
    if model.chunk_ms:
        raise ConfigError(f"{bundle.folder}: model.chunk_ms: how far its lower layers look ahead depends on those above; they cannot be taken alone")
    weights = {}
    for name, tensor in bundle.weights.items():
        layer = re.match(r"encoder\.(?:layers|highways|conditions)\.(\d+)\.", name)
        if name.startswith("encoder.units.output."):
            weights[name.removeprefix("encoder.units.")] = tensor
        elif int(layer[1]) < count if layer else not name.startswith(("output.", "auxiliary.", "encoder.units.", "encoder.attention.")):
            weights[name] = tensor
    below = replace(
        model, num_layers=count, units_layer=0, units=(), frontend_ctc_weight=0.0, attention_heads=0,
        intermediate_ctc_weight=model.intermediate_ctc_weight if count > 1 else 0.0,
    )  # fmt: skip
    config = replace(bundle.config, model=below, text=TextConfig(level="units"), decoder=DecoderConfig())
    others = tuple(name for name in bundle.others if name == TRAINED_ON)
    return replace(bundle, config=config, alphabet=Alphabet(model.units, "units"), weights=weights, others=others)


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

    bundle.require_weights()
    weights = dict(bundle.weights)
    if dtype is not None:
        wanted = torch.bfloat16 if dtype == "bf16" else torch.float32
        weights = {name: tensor.to(wanted) if tensor.is_floating_point() and tensor.dim() > 1 else tensor for name, tensor in weights.items()}
    config, files = collect_files(bundle)
    config = replace(config, features=override_features(config.features, overrides))
    save_bundle(folder, config, bundle.alphabet, weights, bundle.card(), files)
