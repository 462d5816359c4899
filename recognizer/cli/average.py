"""One model from several that go back to the same weights: their mean."""

from __future__ import annotations

import argparse
from pathlib import Path

from recognizer.errors import BundleError

EXAMPLE = "recognizer average runs/a/bundle runs/b/bundle -o mean/"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("models", nargs="+", metavar="MODEL", help="two or more bundles; settings and decoder are those of the first")
    parser.add_argument("-o", "--output-dir", required=True, metavar="DIR", help="folder of the mean")
    parser.add_argument("--shares", type=_shares, metavar="A,B,...", help="how much each counts (default: all alike)")


def run(options: argparse.Namespace) -> int:
    """Carry out the command."""
    from recognizer.bundle.averaging import average
    from recognizer.bundle.io import load_bundle
    from recognizer.bundle.registry import find_bundle

    if len(options.models) < 2:
        raise BundleError(f"{options.models[0]}: a mean is of two bundles or more")
    if options.shares and len(options.shares) != len(options.models):
        raise BundleError(f"--shares: {len(options.shares)} numbers for {len(options.models)} bundles; give one for each")
    average([load_bundle(find_bundle(name)) for name in options.models], Path(options.output_dir), options.shares)
    print(options.output_dir)
    return 0


def _shares(word: str) -> list[float]:
    try:
        shares = [float(part) for part in word.split(",")]
    except ValueError:
        shares = []
    if not shares or not all(0 < share < float("inf") for share in shares):
        raise argparse.ArgumentTypeError(f"{word!r} is not a list of positive numbers such as 2,1")
    return shares
