"""What a bundle is, in facts that people ask for: its network, alphabet, decoder, files, and what it was trained on."""

from __future__ import annotations

import json
from dataclasses import fields
from math import prod
from pathlib import Path
from typing import Any

from recognizer.bundle.catalog import list_models, read_card_facts
from recognizer.bundle.io import CONTENTS, WEIGHTS, Bundle
from recognizer.bundle.provenance import Origin, Provenance
from recognizer.bundle.registry import find_partner, locate_file
from recognizer.config import DECODER_FILES, AudioFeatures, LineFeatures
from recognizer.config.schema import to_dict
from recognizer.errors import BundleError

Facts = dict[str, Any]


def describe_bundle(bundle: Bundle) -> dict[str, Facts]:
    """Facts about a bundle by group ("bundle", "input", "text", "network", "decoder", "training", "files"), as values that JSON can hold.

    Raises:
        BundleError: the list of what it was trained on is damaged.
    """
    card, text = read_card_facts(bundle.card()), bundle.config.text
    if bundle.folder == bundle.graph:
        contents, files = {"format": "ONNX", "recognizer": bundle.metadata.get("recognizer")}, [bundle.folder]
    else:
        contents = json.loads((bundle.folder / CONTENTS).read_text(encoding="utf-8"))  # load_bundle has checked it
        files = [path for path in sorted(bundle.folder.iterdir()) if path.is_file()]
    return {
        "bundle": {
            "folder": str(bundle.folder),
            "reads": card.reads or None,
            "language": card.language or None,
            "errors": card.errors or None,
            "measured_on": card.measured_on or None,
            "format": contents["format"],
            "made_by": f"recognizer {contents.get('recognizer', 'of unknown version')}",
        },
        "input": _describe_input(bundle),
        "text": {"level": text.level, **_changed(text), "labels": len(bundle.alphabet), "alphabet": list(bundle.alphabet.symbols)},
        "network": _describe_network(bundle),
        "decoder": _describe_decoder(bundle),
        "training": _describe_training(bundle),
        "files": {path.name: path.stat().st_size for path in files},
    }


def _describe_input(bundle: Bundle) -> Facts:
    features = bundle.config.features
    kinds = {"audio": "recordings", "line": "line images", "strokes": "pen traces"}
    facts: Facts = {"kind": kinds[bundle.config.modality], "features": features.kind}
    if isinstance(features, AudioFeatures):
        facts |= {"sample_rate": features.sample_rate, "hop_ms": features.hop_ms}
    elif isinstance(features, LineFeatures):
        facts |= {"height": features.height}
    return facts


def _describe_network(bundle: Bundle) -> Facts:
    model = bundle.config.model
    facts = {
        "frontend": model.frontend.kind,
        "cell": model.cell,
        "num_layers": model.num_layers,
        "hidden_size": to_dict(model.hidden_size),
        "bidirectional": model.bidirectional,
        **({"chunk_ms": model.chunk_ms, "lookahead_ms": model.lookahead_ms} if model.chunk_ms else {}),
    }
    if bundle.graph is not None:
        from recognizer.bundle.onnx_file import read_metadata

        return facts | {"exported": f"ONNX, matrices {read_metadata(bundle.graph).get('matrices', '')}"}
    from safetensors import safe_open

    stored: dict[str, int] = {}  # numbers by their type; a matrix may be stored as two factors, or at half precision
    with safe_open(bundle.folder / WEIGHTS, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118  # it is no dictionary
            part = file.get_slice(name)
            stored[part.get_dtype()] = stored.get(part.get_dtype(), 0) + prod(part.get_shape())
    return facts | {"weights": sum(tensor.numel() for tensor in bundle.weights.values()), "stored": stored}


def _describe_decoder(bundle: Bundle) -> Facts:
    """Settings that differ from the defaults, and where the files and the partner lie that they name."""
    decoder = bundle.config.decoder
    facts: Facts = {"kind": decoder.kind, **_changed(decoder)}
    facts["calibrated"] = facts.pop("calibration", None) is not None
    if decoder.kind == "greedy":
        return facts
    for key in DECODER_FILES:
        name = getattr(decoder, key)
        if name is not None:
            found = locate_file(name, bundle.folder)
            facts[key] = {"name": name, "bytes": None if found is None else found.stat().st_size}
    if decoder.partner is not None:
        facts["combine_with"] = {"name": decoder.partner, "folder": str(find_partner(decoder.partner, bundle.folder))}
    return facts


def _describe_training(bundle: Bundle) -> Facts:
    """How many items it was trained and chosen on, and which bundle it started from: the one it names, or else one that is told by its items."""
    known, origin = Provenance.load(bundle.folder), Origin.load(bundle.folder)
    parent = origin.name if origin else find_parent(bundle.folder, known) if known else None
    adapted = {f"adapted_{name}": value for name, value in (origin.figures if origin else {}).items()}
    return {"items": len(known.train) if known else None, "dev_items": len(known.dev) if known else None, "parent": parent, **adapted}


def find_parent(folder: Path, provenance: Provenance) -> str | None:
    """The name of the bundle that one started from: of those that can be used by name, the one with the most training items that are all
    among its own, and fewer; None where there is none.

    Args:
        folder: of the bundle.
        provenance: what it was trained on.
    """
    best: tuple[int, str] | None = None
    for entry in list_models():
        try:
            other = Provenance.load(entry.folder)
        except BundleError:
            continue
        if other is not None and other.train and other.train < provenance.train and entry.folder.resolve() != folder.resolve():
            best = max(best or (0, ""), (len(other.train), entry.name))
    return None if best is None else best[1]


def _changed(config: Any) -> Facts:
    """The settings of a group that differ from the defaults."""
    default = type(config)()
    return {each.name: to_dict(getattr(config, each.name)) for each in fields(config) if getattr(config, each.name) != getattr(default, each.name)}
