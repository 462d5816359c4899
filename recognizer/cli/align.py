"""Times of the words and symbols of known texts."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from recognizer.cli.arguments import add_machine
from recognizer.errors import InputError

if TYPE_CHECKING:
    from recognizer.formats.base import Writer
    from recognizer.inference.align import Aligned

EXAMPLE = "recognizer align phones-en data/mine/train.jsonl -f textgrid -o times/"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("model", help="name or folder of the bundle")
    parser.add_argument("manifest", help="manifest with transcripts")
    parser.add_argument("-f", "--format", default="jsonl", help="as transcribe takes them (default: jsonl)")
    parser.add_argument("-o", "--output-dir", metavar="DIR", help="write one file for each item, named by its id, into DIR instead of printing")
    add_machine(parser)


def run(options: argparse.Namespace) -> int:
    """Carry out the command; 1 if some item could not be aligned."""
    from recognizer.config import DecoderConfig
    from recognizer.data.manifest import load_manifest
    from recognizer.formats.base import choose_writers
    from recognizer.inference.align import align
    from recognizer.inference.recognizer import Recognizer
    from recognizer.utils.files import open_folder
    from recognizer.utils.progress import Progress

    items = load_manifest(options.manifest)
    # the text is known: no need to read the language model of the bundle's decoder
    recognizer = Recognizer.load(options.model, options.device, options.precision, options.threads, DecoderConfig())
    writers = choose_writers(options.format, recognizer.config.modality)
    folder = open_folder(options.output_dir) if options.output_dir else None
    progress = Progress(options.quiet)
    started, failed = time.perf_counter(), 0
    names: dict[str, str] = {}  # ids by the name their files have
    for done, aligned in enumerate(align(recognizer, items), start=1):
        try:
            _write(aligned, writers, folder, names)
        except InputError as error:
            failed += 1
            print(f"recognizer: {aligned.id}: {error}", file=sys.stderr)
        if folder is not None:
            progress.update(f"{done}/{len(items)} items")
    seconds = time.perf_counter() - started
    progress.line(f"{len(items)} items{f', {failed} failed' if failed else ''}, {seconds:.1f} s, {len(items) / max(seconds, 1e-9):.1f} items/s")
    return 1 if failed else 0


def _write(aligned: Aligned, writers: Sequence[Writer], folder: Path | None, names: dict[str, str]) -> None:
    from recognizer.formats.base import save_text

    if aligned.transcript.error is not None:
        raise InputError(aligned.transcript.error)
    name = aligned.id.replace("/", "_")
    if names.setdefault(name, aligned.id) != aligned.id:
        raise InputError(f"its files would have the names of those of {names[name]}; rename one of the two")
    for writer in writers:
        text = _render(aligned, name, writer)
        if folder is None:
            print(text, flush=True)
        else:
            save_text(text, folder / (name + writer.suffix))


def _render(aligned: Aligned, name: str, writer: Writer) -> str:
    """What a writer makes of a result, by the item's id where it would go by the source: many corpora have one ``sa1.wav`` a speaker."""
    from recognizer.formats.json_lines import Json, Jsonl, dump_json, transcript_record
    from recognizer.formats.timed import Ctm

    if isinstance(writer, (Jsonl, Json)):
        return dump_json({"id": aligned.id, **transcript_record(aligned.transcript)}, writer.indent)
    if isinstance(writer, Ctm):
        return writer.render(replace(aligned.transcript, source=f"{name}.wav"))
    return writer.render(aligned.transcript)
