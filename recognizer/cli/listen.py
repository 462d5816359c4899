"""Text while somebody speaks, from a microphone or a pipe."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from recognizer.cli.arguments import accept_decoder_settings, add_hotwords, add_machine, add_model, open_recognizer

if TYPE_CHECKING:
    import numpy as np

    from recognizer.inference.stream import StreamEvent

STANDARD_INPUT = "standard input"
EXAMPLE = "arecord -q -f S16_LE -r 16000 | recognizer listen --input - --json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_model(parser, "folder of a bundle, or name of one that ships with the package (default: the one for speech)")
    source = parser.add_mutually_exclusive_group()
    sound = "a recording in place of the microphone, read as fast as it goes; -: WAV or bare samples of 16 bits from standard input, as they come"
    source.add_argument("--input", metavar="FILE", help=sound)
    source.add_argument("--microphone", metavar="NAME|N", help="which one, by its number or a part of its name (default: the system's)")
    source.add_argument("--list-microphones", action="store_true", help="print their numbers and names and stop")
    parser.add_argument("--raw-rate", type=_rate, default=16_000, metavar="HZ", help="sample rate of bare samples (default: 16000)")
    whole = "write an utterance when a pause has ended it; what a model does anyway that needs whole utterances, as those that ship do"
    parser.add_argument("--by-utterance", action="store_true", help=whole)
    parser.add_argument("--pause", type=_seconds, metavar="SECONDS", help="silence that ends an utterance (default: 0.6)")
    events = "print one JSON object a line: event (partial or final), start, end, text, stable (what will not change), words with times"
    parser.add_argument("--json", action="store_true", help=events)
    accept_decoder_settings(parser)
    add_hotwords(parser)
    add_machine(parser)


def _rate(word: str) -> int:
    if not word.isdecimal() or not 4000 <= int(word) <= 768_000:
        raise argparse.ArgumentTypeError(f"{word!r} is no sample rate from 4000 to 768000")
    return int(word)


def _seconds(word: str) -> float:
    try:
        seconds = float(word)
    except ValueError:
        seconds = -1.0
    if not 0.1 <= seconds <= 10:
        raise argparse.ArgumentTypeError(f"{word!r} is no number of seconds from 0.1 to 10")
    return seconds


def run(options: argparse.Namespace) -> int:
    """Carry out the command: 0 at the end of the recording and after Ctrl-C, 1 if an utterance could not be recognized."""
    from recognizer.audio.microphone import import_sounddevice, microphones
    from recognizer.audio.utterances import PAUSE_SECONDS
    from recognizer.bundle.registry import default_bundle
    from recognizer.errors import ConfigError
    from recognizer.inference.stream import check_recognizer

    if options.list_microphones:
        found = microphones()
        print("\n".join(f"{number}\t{name}" for number, name in found) if found else "none", file=sys.stdout if found else sys.stderr)
        return 0 if found else 1
    if options.input is None:
        import_sounddevice()  # what is missing is told before a model is loaded
    recognizer = open_recognizer(options, options.model or default_bundle("audio"))
    by_utterance = options.by_utterance
    if not by_utterance and recognizer.config.modality == "audio":
        try:
            check_recognizer(recognizer)
        except ConfigError as error:
            by_utterance = True
            if not options.quiet:
                print(f"note: each utterance is written when a pause has ended it, since the model cannot do better: {error}", file=sys.stderr)
    rate = getattr(recognizer.config.features, "sample_rate", 16_000)
    output = _Json() if options.json else _Terminal() if sys.stdout.isatty() else _Lines()
    with ExitStack() as stack:
        rate, chunks = stack.enter_context(_open_input(options, rate))
        session = recognizer.open_stream(rate, by_utterance, options.pause or PAUSE_SECONDS)
        if options.input is None and not options.quiet:
            print("listening; Ctrl-C ends it", file=sys.stderr)
        for chunk in _until_interrupted(chunks):
            output.show(session.feed(chunk))
        output.show(session.finish())
    return int(output.failed)


@contextmanager
def _open_input(options: argparse.Namespace, rate: int) -> Iterator[tuple[int, Iterator[np.ndarray]]]:
    """The sample rate and the samples as they come."""
    from recognizer.audio.io import is_pipe
    from recognizer.audio.microphone import open_microphone
    from recognizer.audio.pipe import read_pipe
    from recognizer.audio.stream import stream_audio

    if options.input is None:
        with open_microphone(options.microphone, rate) as opened:
            yield opened
    elif options.input == "-":
        yield read_pipe(sys.stdin.buffer, STANDARD_INPUT, options.raw_rate)
    elif is_pipe(options.input):
        with open(options.input, "rb") as pipe:
            yield read_pipe(pipe, options.input, options.raw_rate)
    else:
        yield rate, stream_audio(options.input, rate)


def _until_interrupted(chunks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """What comes, until there is no more or Ctrl-C is pressed; what is at work on a piece is not interrupted, only the wait for the next."""
    waiting, asked = False, False

    def stop(*_: Any) -> None:
        nonlocal asked
        asked = True
        if waiting:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, stop)
    try:
        while not asked:
            waiting = True
            chunk = next(chunks, None)
            waiting = False
            if chunk is None:
                return
            yield chunk
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGINT, before)


class _Output:
    """Where text goes.

    Attributes:
        failed: whether an utterance could not be recognized.
    """

    failed = False

    def show(self, events: Sequence[StreamEvent]) -> None:
        """Print events, and at once."""
        for event in events:
            if event.transcript.error is not None:
                self.failed = True
                print(f"recognizer: {event.transcript.error}", file=sys.stderr)
            else:
                self.write(event)
        sys.stdout.flush()

    def write(self, event: StreamEvent) -> None:
        """Print one event."""
        raise NotImplementedError


class _Lines(_Output):
    """One line an utterance, when it has ended."""

    def write(self, event: StreamEvent) -> None:
        """Nothing for what is not final."""
        if event.kind == "final":
            print(event.text)


class _Terminal(_Output):
    """A line that is written over while the utterance goes on; of one that is too long, the end."""

    def write(self, event: StreamEvent) -> None:
        """In place of the partial line."""
        final = event.kind == "final"
        text = event.text if final else event.text[1 - shutil.get_terminal_size().columns :]
        print(f"\r\x1b[K{text}", end="\n" if final else "")


class _Json(_Output):
    """One JSON object an event."""

    def write(self, event: StreamEvent) -> None:
        """All that is known, seconds to the millisecond."""
        words = [
            {"text": word.text, "start": round(word.start, 3), "end": round(word.end, 3)}
            | ({} if word.confidence is None else {"confidence": round(word.confidence, 4)})
            for word in event.transcript.words
        ]
        row = {"event": event.kind, "start": round(event.start, 3), "end": round(event.end, 3), "text": event.text, "stable": event.stable}
        print(json.dumps({**row, "words": words}, ensure_ascii=False))
