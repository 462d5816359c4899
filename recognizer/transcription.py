"""`recognizer transcribe`: which files are meant, and what is printed about them."""

from __future__ import annotations

import argparse
import glob
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from recognizer.bundle import load_bundle
from recognizer.bundles import default_bundle, find_bundle
from recognizer.config import Modality
from recognizer.decoding.hotwords import parse_hotword
from recognizer.errors import InputError
from recognizer.features.audio_file import AUDIO_SUFFIXES
from recognizer.features.image_file import IMAGE_SUFFIXES
from recognizer.features.stroke_file import STROKE_SUFFIXES
from recognizer.host import peak_memory, prepare_host
from recognizer.overrides import override_decoder
from recognizer.pipeline import Recognizer, Transcript
from recognizer.progress import Progress
from recognizer.writers import SUBJECTS, Writer, choose_writers, open_folder, write_file

SUFFIXES: dict[Modality, Collection[str]] = {"audio": AUDIO_SUFFIXES, "line": IMAGE_SUFFIXES, "strokes": STROKE_SUFFIXES}


def expand(sources: Sequence[str], modality: Modality) -> Iterator[str]:
    """The files that a list of files, folders and glob patterns means; ``-`` reads a list from standard input.

    A folder stands for the recordings (images, pen traces) anywhere below it, in sorted order. What does not exist is passed
    on as it is, so that it gets an error of its own.
    """
    suffixes = SUFFIXES[modality]
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


def open_recognizer(options: argparse.Namespace, bundle: str | Path | None = None) -> Recognizer:
    """The recogniser that a command line asks for, its decoder changed by overrides and hotwords.

    Args:
        options: parsed.
        bundle: instead of ``options.bundle``.

    Raises:
        RecognizerError: a damaged bundle, or settings that cannot be.
    """
    opened = load_bundle(find_bundle(bundle or options.bundle))
    hotwords = dict(parse_hotword(word) for word in options.hotword)
    decoding = [*options.decoding]
    if hotwords and not any(override.startswith("decoder=") for override in decoding):
        decoding.append("decoder=beam")
    prepare_host(options.threads)
    decoder = override_decoder(opened.recipe.decoder, decoding)
    return Recognizer(opened, options.device, options.precision, decoder=decoder, hotwords=hotwords, threads=options.threads)


def choose_bundles(options: argparse.Namespace) -> list[tuple[str | Path, list[str]]]:
    """Which bundle recognises which sources: the one that was named, or else one of the box by the kind of each file.

    Raises:
        InputError: no bundle was named and a file's name does not tell what it holds.
        BundleError: the box holds none for it.
    """
    if options.bundle is not None:
        return [(options.bundle, options.sources)]
    sources: dict[Modality, list[str]] = {"audio": [], "line": [], "strokes": []}
    listed = [line.rstrip("\n") for line in sys.stdin if line.strip()] if "-" in options.sources else []
    given = [name for source in options.sources for name in (listed if source == "-" else [source])]
    for source in given:
        if Path(source).is_dir():
            for kind in sources:
                # an .xml among other files is more often the layout of a page than a pen trace
                sources[kind] += (name for name in expand([source], kind) if not name.lower().endswith(".xml"))
        else:
            for name in expand([source], "audio"):  # a pattern's files, of whatever kind
                sources[_kind(name)].append(name)
    if not any(sources.values()):
        raise InputError(f"{', '.join(options.sources)}: no recordings or images found")
    return [(default_bundle(kind), names) for kind, names in sources.items() if names]


def _kind(source: str) -> Modality:
    suffix = Path(source).suffix.lower()
    for kind, suffixes in SUFFIXES.items():
        if suffix in suffixes:
            return kind
    if not Path(source).exists():
        raise InputError(f"{source}: no such file")
    raise InputError(f"{source}: its name does not tell whether it is a recording or an image; name a recogniser with -b")


def transcribe_files(options: argparse.Namespace) -> int:
    """Carry out the command; 1 if some file could not be used, 2 if there was none to use."""
    choose_writers(options.format)  # a misspelt one is told before a model is loaded
    folder = open_folder(options.output)
    several = len(options.sources) > 1 or options.sources[0] == "-" or not Path(options.sources[0]).is_file()
    output = _Output(folder, several, Progress(options.quiet))
    for bundle, sources in choose_bundles(options):
        output.run(open_recognizer(options, bundle), sources, options)
    if not options.quiet:
        output.progress.line(f"{output.summary()}, peak memory {peak_memory() / 2**20:.0f} MiB")
    return 1 if output.failed else 0


class _Output:
    """Where transcripts go, and what is counted on the way."""

    def __init__(self, folder: Path | None, several: bool, progress: Progress) -> None:
        self.folder, self.several, self.progress = folder, several, progress
        self.done = self.failed = 0
        self.paces: list[str] = []
        self.seconds = 0.0
        self.written: dict[str, str] = {}  # sources by the name their results have in the folder

    def run(self, recognizer: Recognizer, sources: Sequence[str], options: argparse.Namespace) -> None:
        """Recognise some sources and print or write each."""
        modality = recognizer.recipe.modality
        writers = choose_writers(options.format, modality)
        started, amount, before = time.perf_counter(), 0.0, self.done
        times = any(writer.timed for writer in writers)
        for transcript in recognizer.transcribe(expand(sources, modality), max(1, options.nbest), times):
            self.done += 1
            try:
                if transcript.error is not None:
                    raise InputError(transcript.error)
                if self.folder is not None:
                    _refuse_same_name(transcript.source, self.written)
                _emit(transcript, writers, self.folder, self.several)
            except InputError as error:
                self.failed += 1
                print(f"recognizer: {error}", file=sys.stderr)
                continue
            amount += transcript.seconds if transcript.seconds is not None else 1
            if self.folder is not None:
                self.progress.update(f"{self.done} files, {_pace(modality, amount, time.perf_counter() - started)}")
        if self.done == before:
            raise InputError(f"{', '.join(sources)}: no {SUBJECTS[modality]} found")
        self.seconds += time.perf_counter() - started
        if amount:
            self.paces.append(_pace(modality, amount, time.perf_counter() - started))

    def summary(self) -> str:
        """How much was done and how fast."""
        failures = [f"{self.failed} failed"] if self.failed else []
        return ", ".join([f"{self.done} file{'s' * (self.done != 1)}", *failures, *self.paces, f"{self.seconds:.1f} s"])


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


def _pace(modality: Modality, amount: float, seconds: float) -> str:
    rate = amount / max(seconds, 1e-9)
    return f"{rate:.1f} times real time" if modality == "audio" else f"{rate:.1f} lines/s"
