"""The models that can be used by name: what they read, how often they err, where they lie."""

from __future__ import annotations

import argparse
import json
import sys

EXAMPLE = "RECOGNIZER_MODELS=~/models recognizer models"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.epilog = (
        "Those that ship come first, then those in the folder that $RECOGNIZER_MODELS names (several divided as in $PATH), or else in "
        "~/.cache/recognizer. Error rates are of the first set on the model's card, with 95 % intervals."
    )
    parser.add_argument("--json", action="store_true", help="print the list as JSON")


def run(options: argparse.Namespace) -> int:
    """Carry out the command."""
    from recognizer.bundle.catalog import hidden_models, list_models

    entries = list_models()
    for name, folder in hidden_models().items():
        print(f"recognizer: note: {folder}: another model is called {name}; use this one by its folder", file=sys.stderr)
    if options.json:
        print(json.dumps([entry.to_json() for entry in entries], ensure_ascii=False, indent=1))
        return 0
    rows = [("NAME", "LANGUAGE", "READS", "ERRORS", "SIZE", "FOLDER")]
    for entry in entries:
        errors = ", ".join(f"{name} {rate}" for name, rate in entry.card.errors.items())
        place = "(ships with the package)" if entry.ships else str(entry.folder)
        rows.append((entry.name, entry.card.language or "-", entry.card.reads or "-", errors or "-", f"{entry.size / 2**20:.1f} MiB", place))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(map(str.ljust, row, widths)).rstrip())
    return 0
