"""Write a bundle again: in today's format, whole; at half the size, or its output of units alone, if asked for."""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLE = "recognizer convert runs/mine/bundle small/ --dtype bf16"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("model", help="name or folder of the bundle")
    parser.add_argument("output", metavar="DIR", help="folder of the new one; files that it shares with other bundles are copied into it")
    parser.add_argument("--dtype", choices=("float32", "bf16"), help="of matrices and kernels; bf16 halves the size (default: as they are)")
    parser.add_argument("--units", action="store_true", help="the layers up to its output of units (phones), as a recognizer of these alone")
    features = "how sound is dithered or pictures are cleaned, if otherwise than in training: features.dither=0.003"
    parser.add_argument("overrides", nargs="*", metavar="features.KEY=VALUE", help=features)


def run(options: argparse.Namespace) -> int:
    """Carry out the command."""
    from recognizer.bundle.convert import convert, take_units
    from recognizer.bundle.io import load_bundle
    from recognizer.bundle.registry import find_bundle

    folder = Path(options.output)
    bundle = load_bundle(find_bundle(options.model))
    convert(take_units(bundle) if options.units else bundle, folder, options.dtype, options.overrides)
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{folder}: {size / 2**20:.1f} MiB")
    return 0
