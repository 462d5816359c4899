"""Write a bundle as ONNX, which runs without PyTorch; a quarter of the size with --int8."""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLE = "recognizer export speech-en small/ --int8 --measure dev.jsonl"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("model", help="name or folder of the bundle")
    output = "folder of the new bundle: the graph, and all files of the decoder; FILE.onnx: the graph alone, which is decoded greedily"
    parser.add_argument("output", metavar="DIR|FILE.onnx", help=output)
    parser.add_argument("--int8", action="store_true", help="matrices as int8: smaller and faster, for onnxruntime; costs some accuracy")
    measure = "say how far its errors on this manifest differ from the original's, here and on the card of the new bundle"
    parser.add_argument("--measure", metavar="MANIFEST", help=measure)
    parser.epilog = "Needs the package onnx (pip install 'recognizer[onnx]'); what is written needs onnxruntime alone."


def run(options: argparse.Namespace) -> int:
    """Carry out the command."""
    from recognizer.bundle.export import export
    from recognizer.bundle.io import load_bundle
    from recognizer.bundle.registry import find_bundle

    bundle = load_bundle(find_bundle(options.model))
    path = export(bundle, Path(options.output), options.int8)
    print(f"{path}: {path.stat().st_size / 2**20:.1f} MiB")
    if options.measure:
        from recognizer.evaluation.export_cost import measure_export
        from recognizer.utils.progress import Progress

        progress = Progress(options.quiet)
        print(measure_export(bundle, path, options.measure, progress))
        progress.close()
    return 0
