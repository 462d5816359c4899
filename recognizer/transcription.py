"""`recognizer transcribe`: which files are meant, and what is printed about them."""

from __future__ import annotations

import argparse
import glob
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from recognizer.bundle import load_bundle
from recognizer.config import Modality
from recognizer.decoding.hotwords import parse_hotword
from recognizer.errors import InputError
from recognizer.features.audio_file import AUDIO_SUFFIXES
from recognizer.features.image_file import IMAGE_SUFFIXES
from recognizer.host import peak_memory, prepare_host
from recognizer.overrides import override_decoder
from recognizer.pipeline import Recognizer, Transcript
from recognizer.progress import Progress
from recognizer.writers import Writer, choose_writers, write_file


def expand(sources: Sequence[str], modality: Modality) -> Iterator[str]:
    """The files that a list of files, folders and glob patterns means; ``-`` reads a list from standard input.

    A folder stands for the recordings (or images) anywhere below it, in sorted order. What does not exist is passed
    on as it is, so that it gets an error of its own.
    """
    suffixes = AUDIO_SUFFIXES if modality == "audio" else IMAGE_SUFFIXES
    for source in sources:
        path = Path(source)
        if source == "-":
            yield from expand([line.rstrip("\n") for line in sys.stdin if line.strip()], modality)
        elif path.is_dir():
            found = (p for p in path.rglob("*") if p.suffix.lower() in suffixes)
            # a link into nowhere is a recording that is missing
            yield from sorted(str(p) for p in found if p.is_file() or (p.is_symlink() and not p.exists()))
        elif not path.exists() and glob.has_magic(source):
            yield from sorted(glob.glob(source, recursive=True)) or [source]
        else:
            yield source


def open_recognizer(options: argparse.Namespace) -> Recognizer:
    """The recogniser that a command line asks for, its decoder changed by overrides and hotwords.

    Raises:
        RecognizerError: a damaged bundle, or settings that cannot be.
    """
    bundle = load_bundle(options.bundle)
    hotwords = dict(parse_hotword(word) for word in options.hotword)
    decoding = [*options.decoding]
    if hotwords and not any(override.startswith("decoder=") for override in decoding):
        decoding.append("decoder=beam")
    prepare_host(options.threads)
    decoder = override_decoder(bundle.recipe.decoder, decoding)
    return Recognizer(bundle, options.device, options.precision, decoder=decoder, hotwords=hotwords, threads=options.threads)


def transcribe_files(options: argparse.Namespace) -> int:
    """Carry out the command; 1 if some file could not be used, 2 if there was none to use."""
    choose_writers(options.format)  # a misspelt one is told before a model is loaded
    recognizer = open_recognizer(options)
    writers = choose_writers(options.format, recognizer.recipe.modality)
    times = any(writer.timed for writer in writers)
    progress = Progress(options.quiet)
    folder = Path(options.output) if options.output else None
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder}: cannot be made: {error.strerror}") from None
    started, done, failed, amount = time.perf_counter(), 0, 0, 0.0
    written: dict[str, str] = {}  # sources by the name their results have in the folder
    several = len(options.sources) > 1 or options.sources[0] == "-" or not Path(options.sources[0]).is_file()
    for transcript in recognizer.transcribe(expand(options.sources, recognizer.recipe.modality), max(1, options.nbest), times):
        done += 1
        try:
            if transcript.error is not None:
                raise InputError(transcript.error)
            if folder is not None:
                _refuse_same_name(transcript.source, written)
            _emit(transcript, writers, folder, several)
        except InputError as error:
            failed += 1
            print(f"recognizer: {error}", file=sys.stderr)
            continue
        amount += transcript.seconds if transcript.seconds is not None else 1
        if folder is not None:
            progress.update(f"{done} files, {_pace(recognizer, amount, time.perf_counter() - started)}")
    if done == 0:
        raise InputError(f"{', '.join(options.sources)}: no {'recordings' if recognizer.recipe.modality == 'audio' else 'images'} found")
    if not options.quiet:
        spent = time.perf_counter() - started
        failures = f", {failed} failed" if failed else ""
        progress.line(f"{done} files{failures}, {_pace(recognizer, amount, spent)}, {spent:.1f} s, peak memory {peak_memory() / 2**20:.0f} MiB")
    return 1 if failed else 0


def _refuse_same_name(source: str, written: dict[str, str]) -> None:
    other = written.setdefault(Path(source).name, source)
    if other != source:
        raise InputError(f"{source}: has the name of {other}, whose result it would overwrite; give each folder an output folder of its own")


def _emit(transcript: Transcript, writers: Sequence[Writer], folder: Path | None, several: bool) -> None:
    for writer in writers:
        if folder is not None:
            write_file(transcript, writer, folder)
        elif writer.suffix == ".txt" and several:
            print(f"{transcript.source}\t{writer.render(transcript)}", flush=True)
        else:
            print(writer.render(transcript), flush=True)


def _pace(recognizer: Recognizer, amount: float, seconds: float) -> str:
    rate = amount / max(seconds, 1e-9)
    return f"{rate:.1f} times real time" if recognizer.recipe.modality == "audio" else f"{rate:.1f} lines/s"
