"""Text from recordings, line images or pen traces."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recognizer.cli.arguments import add_decoding, add_machine, add_model, open_recognizer
from recognizer.errors import InputError

if TYPE_CHECKING:
    from recognizer.config import Modality
    from recognizer.formats.base import Writer
    from recognizer.inference.recognizer import Recognizer
    from recognizer.types import Transcript
    from recognizer.utils.progress import Progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("sources", nargs="+", metavar="FILE", help="files, folders, globs; - reads paths from standard input")
    add_model(parser, "folder of a bundle, or name of one that ships with the package (default: by kind of file)")
    formats = "txt, jsonl, json, tsv, srt, vtt, ctm, textgrid, alto, page; several: txt,srt (default: txt)"
    parser.add_argument("-f", "--format", default="txt", help=formats)
    parser.add_argument("-o", "--output-dir", metavar="DIR", help="write one file for each input into DIR instead of printing")
    channels = "of a recording: left, right, mix (their average), or auto: mix unless the channels cancel each other or one is silent (default)"
    parser.add_argument("--channel", choices=("auto", "mix", "left", "right"), default="auto", help=channels)
    add_decoding(parser)
    add_machine(parser)


def run(options: argparse.Namespace) -> int:
    """Carry out the command; 1 if some file could not be used, 2 if there was none to use."""
    from recognizer.formats.base import choose_writers
    from recognizer.utils.device import peak_memory
    from recognizer.utils.files import open_folder
    from recognizer.utils.progress import Progress

    choose_writers(options.format)  # a misspelt one is told before a model is loaded
    folder = open_folder(options.output_dir) if options.output_dir else None
    several = len(options.sources) > 1 or options.sources[0] == "-" or not Path(options.sources[0]).is_file()
    output = _Output(folder, several, Progress(options.quiet))
    for model, sources in choose_models(options.model, options.sources):
        recognizer = open_recognizer(options, model)
        recognizer.runner.loader.channel = options.channel
        output.write(recognizer, sources, options.format, max(1, options.n_best))
    if not options.quiet:
        output.progress.line(f"{output.summary()}, peak memory {peak_memory() / 2**20:.0f} MiB")
    return 1 if output.failed else 0


def choose_models(model: str | None, sources: Sequence[str]) -> list[tuple[str | Path, list[str]]]:
    """Which model recognizes which sources: the one that was named, or else one that ships, by the kind of each file.

    Raises:
        InputError: no model was named and a file's name does not tell what it holds, or there is no file.
        BundleError: none ships for this kind of file.
    """
    from recognizer.bundle.registry import default_bundle
    from recognizer.inference.inputs import group_by_modality

    listed = [line.rstrip("\n") for line in sys.stdin if line.strip()] if "-" in sources else []
    given = [name for source in sources for name in (listed if source == "-" else [source])]
    if model is not None:
        return [(model, given)]
    groups = group_by_modality(given)
    if not groups:
        raise InputError(f"{', '.join(sources)}: no recordings or images found")
    return [(default_bundle(modality), names) for modality, names in groups.items()]


class _Output:
    """Where transcripts go, and what is counted on the way."""

    def __init__(self, folder: Path | None, several: bool, progress: Progress) -> None:
        self.folder, self.several, self.progress = folder, several, progress
        self.done = self.failed = 0
        self.rates: list[str] = []
        self.seconds = 0.0
        self.written: dict[str, str] = {}  # sources by the name their results have in the folder

    def write(self, recognizer: Recognizer, sources: Sequence[str], formats: str, n_best: int) -> None:
        """Recognize some sources and print or write each."""
        from recognizer.formats.base import SUBJECTS, choose_writers
        from recognizer.inference.inputs import find_files

        modality = recognizer.config.modality
        writers = choose_writers(formats, modality)
        started, amount, before = time.perf_counter(), 0.0, self.done
        times = any(writer.timed for writer in writers)
        for transcript in recognizer.transcribe(find_files(sources, modality), n_best, times):
            self.done += 1
            try:
                self._write_one(transcript, writers)
            except InputError as error:
                self.failed += 1
                print(f"recognizer: {error}", file=sys.stderr)
                continue
            amount += transcript.seconds if transcript.seconds is not None else 1
            if self.folder is not None:
                self.progress.update(f"{self.done} files, {_rate(modality, amount, time.perf_counter() - started)}")
        if self.done == before:
            raise InputError(f"{', '.join(sources)}: no {SUBJECTS[modality]} found")
        self.seconds += time.perf_counter() - started
        if amount:
            self.rates.append(_rate(modality, amount, time.perf_counter() - started))

    def _write_one(self, transcript: Transcript, writers: Sequence[Writer]) -> None:
        from recognizer.formats.base import write_file

        if transcript.error is not None:
            raise InputError(transcript.error)
        if self.folder is None:
            for writer in writers:
                prefix = f"{transcript.source}\t" if writer.suffix == ".txt" and self.several else ""
                print(f"{prefix}{writer.render(transcript)}", flush=True)
            return
        other = self.written.setdefault(Path(transcript.source).name, transcript.source)
        if other != transcript.source:
            which = f"has the name of {other}, whose result it would overwrite"
            raise InputError(f"{transcript.source}: {which}; give each folder an output folder of its own")
        for writer in writers:
            write_file(transcript, writer, self.folder)

    def summary(self) -> str:
        """How much was done and how fast."""
        failures = [f"{self.failed} failed"] if self.failed else []
        return ", ".join([f"{self.done} file{'s' * (self.done != 1)}", *failures, *self.rates, f"{self.seconds:.1f} s"])


def _rate(modality: Modality, amount: float, seconds: float) -> str:
    rate = amount / max(seconds, 1e-9)
    return f"{rate:.1f} times real time" if modality == "audio" else f"{rate:.1f} lines/s"
