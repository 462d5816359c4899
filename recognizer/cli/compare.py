"""Whether two results on the same manifest differ by more than chance."""

from __future__ import annotations

import argparse
import json

EXAMPLE = "recognizer compare scores/a scores/b"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("first", metavar="A", help="folder that `recognizer evaluate -o` wrote")
    parser.add_argument("second", metavar="B", help="another one, on the same manifest")
    parser.add_argument("--protocol", metavar="NAME", help="count both by this (default: as both were scored)")
    parser.add_argument("--json", action="store_true", help="print the comparison as JSON")


def run(options: argparse.Namespace) -> int:
    """Carry out the command."""
    from recognizer.evaluation.compare import compare, render_comparison
    from recognizer.evaluation.protocols import find_protocol
    from recognizer.evaluation.results import load_results

    protocol = find_protocol(options.protocol) if options.protocol else None
    comparison = compare(load_results(options.first), load_results(options.second), protocol)
    print(json.dumps(comparison.to_json(), ensure_ascii=False, indent=1) if options.json else render_comparison(comparison))
    return 0
