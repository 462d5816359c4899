"""The command line: finds the commands, parses, runs one. Results go to standard output, everything else to standard error."""

from __future__ import annotations

import argparse
import ast
import gc
import io
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from recognizer import __version__
from recognizer.errors import RecognizerError, RecognizerWarning
from recognizer.utils.compiling import announce_compiling

SHARED = ("__init__", "main", "arguments")  # modules of this folder that are no commands


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code: 0 done, 1 some items failed, 2 nothing could be done, 130 interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # file names that are not UTF-8 come out as they went in
    show_notes()
    try:
        with few_collections():
            options = parse(words)
            quiet = getattr(options, "quiet", False)
            announce_compiling(None if quiet else lambda message: print(f"recognizer: {message}", file=sys.stderr, flush=True))
            return int(import_module(f"{__package__}.{options.command}").run(options))
    except RecognizerError as error:
        print(f"recognizer: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("recognizer: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a full disk or a missing permission where no message of our own says more
        print(f"recognizer: {error.filename or 'input or output'}: {error.strerror or error}", file=sys.stderr)
        return 2


def show_notes() -> None:
    """Print what is to be said about inputs that are used all the same as notes, each once, whatever thread it comes from."""
    show_others = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *rest: Any, **options: Any) -> None:
        if issubclass(category, RecognizerWarning):
            print(f"recognizer: note: {message}", file=sys.stderr)
        else:
            show_others(message, category, *rest, **options)

    warnings.filterwarnings("default", category=RecognizerWarning)
    warnings.showwarning = show


def find_commands() -> dict[str, str]:
    """The modules of this folder that are commands, each with the first line of its docstring; none is imported.

    A command is a module with ``add_arguments(parser)`` and ``run(options) -> int``; adding one here is all that a new command takes.
    """
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.stem not in SHARED:
            docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            found[path.stem] = docstring.partition("\n")[0].rstrip(".")
    return found


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The options of a command line; only the module of its command is imported.

    A command whose parser has a default for ``decoding`` takes ``decoder.KEY=VALUE`` anywhere; one with a default for ``takes_overrides``
    takes words that no option explains as further ``overrides``.
    """
    parser = argparse.ArgumentParser(prog="recognizer", description="Speech and handwriting recognition with bidirectional LSTMs and CTC.")
    parser.add_argument("--version", action="version", version=f"recognizer {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    chosen = None
    for name, summary in find_commands().items():
        command = commands.add_parser(name, help=summary[:1].lower() + summary[1:], description=f"{summary}.")
        if words and words[0] == name:
            chosen = command
            import_module(f"{__package__}.{name}").add_arguments(command)
    words = list(words)
    decoding: list[str] = []
    if chosen is not None and chosen.get_default("decoding") is not None:
        from recognizer.config.overrides import take_overrides

        decoding, words = take_overrides(words)
    options, rest = parser.parse_known_args(words)
    if options.command is None:
        parser.print_help()
        parser.exit(0)
    if rest and not getattr(options, "takes_overrides", False):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        options.overrides = [*options.overrides, *rest]
    options.decoding = decoding
    return options


@contextmanager
def few_collections() -> Iterator[None]:
    """Look for garbage less often while a command runs, and not at all at the exit.

    The libraries make some 300,000 objects that stay until the end. Of the 2.9 s of one core that `recognizer transcribe` took on a short
    file, 0.3 s before the first line and 0.5 s at the exit were collections. Where torch is there already, nothing is changed.
    """
    if "torch" in sys.modules:
        yield
        return
    thresholds = gc.get_threshold()
    gc.set_threshold(100_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.freeze()


if __name__ == "__main__":
    sys.exit(main())
