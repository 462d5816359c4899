"""What a model is: its network, alphabet, decoder and files, and what it was trained on."""

from __future__ import annotations

import argparse
import json
from typing import Any

EXAMPLE = "recognizer info speech-en"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("model", metavar="NAME|FOLDER", help="name or folder of the bundle; its files are checked against their digests")
    parser.add_argument("--card", action="store_true", help="print the model card instead")
    parser.add_argument("--json", action="store_true", help="print the facts as JSON")


def run(options: argparse.Namespace) -> int:
    """Carry out the command."""
    from recognizer.bundle.describe import describe_bundle
    from recognizer.bundle.io import load_bundle
    from recognizer.bundle.registry import find_bundle
    from recognizer.errors import BundleError

    bundle = load_bundle(find_bundle(options.model))
    if options.card:
        if not bundle.card():
            raise BundleError(f"{bundle.folder}: has no model card")
        print(bundle.card(), end="")
        return 0
    facts = describe_bundle(bundle)
    if options.json:
        print(json.dumps(facts, ensure_ascii=False, indent=1))
        return 0
    for group, values in facts.items():
        for key, value in values.items():
            if value not in (None, ""):
                print(f"{group:9} {key:16} {_spell(key, value) if group != 'files' else _size(value)}")
    return 0


def _spell(key: str, value: Any) -> str:
    """A fact on one line."""
    if key == "alphabet":
        return " ".join("␣" if symbol == " " else symbol for symbol in value)
    if key == "stored":
        return ", ".join(f"{count:,} {kind}" for kind, count in value.items())
    if isinstance(value, dict) and "name" in value:
        rest = [value["folder"]] if "folder" in value else [] if value["bytes"] is None else [_size(value["bytes"])]
        return " ".join([value["name"], *(f"({part})" for part in rest)])
    if isinstance(value, dict):
        return ", ".join(f"{name} {part}" for name, part in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _size(count: int) -> str:
    return f"{count:,} bytes"
