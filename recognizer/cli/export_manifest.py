"""Write a manifest as other programs want it: Hugging Face data sets, lhotse, NeMo."""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLE = "recognizer export-manifest data/mine/train.jsonl hub/ --to huggingface"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.epilog = "Each of these comes back with `recognizer prepare huggingface|lhotse|nemo`."
    parser.add_argument("manifest", metavar="MANIFEST", help="manifest, or folder of a project")
    out = "folder, which gets a file named after the manifest (X.parquet, cuts_X.jsonl.gz, X.json), or the file itself"
    parser.add_argument("out", metavar="OUT", type=Path, help=out)
    formats = "huggingface: Parquet with the sound or pictures in it; lhotse: cuts; nemo: a manifest (both of recordings, which stay where they are)"
    parser.add_argument("--to", required=True, choices=("huggingface", "lhotse", "nemo"), help=formats)


def run(options: argparse.Namespace) -> int:
    """Carry out the command: how many items went where on standard output; 1 if any was left out."""
    from recognizer.data.export import EXPORTS
    from recognizer.data.manifest import load_manifest
    from recognizer.data.preparation import print_dropped
    from recognizer.errors import InputError, OutputError

    export, name = EXPORTS[options.to]
    items, dropped = load_manifest(options.manifest), 0
    path = options.out if options.out.suffix and not options.out.is_dir() else options.out / name.format(Path(options.manifest).stem)

    def drop(error: InputError) -> None:
        nonlocal dropped
        dropped += 1
        print_dropped(error)

    if path.exists() and path.resolve() in {Path(options.manifest).resolve(), *(item.source.resolve() for item in items)}:
        raise OutputError(f"{path}: is what is read; name another file or folder")
    count = export(items, path, drop)
    print(f"{path}: {count} of {len(items)} items")
    return 1 if dropped else 0
