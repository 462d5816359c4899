"""The command line: finds the commands, parses, runs one. Results go to standard output, everything else to standard error."""

from __future__ import annotations

import argparse
import ast
import codecs
import gc
import io
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from recognizer import __version__
from recognizer.cli.arguments import add_verbosity
from recognizer.cli.defaults import set_defaults
from recognizer.errors import ConfigError, RecognizerError, RecognizerWarning, nearest
from recognizer.utils.compiling import announce_compiling

SHARED = ("__init__", "main", "arguments", "defaults")  # modules of this folder that are no commands

EPILOG = """`recognizer COMMAND --help` explains a command and ends with an example. Defaults of options can stand in
~/.config/recognizer/config.toml, or the file that $RECOGNIZER_CONFIG names: below [transcribe], say, format = "srt".

Exit codes: 0 done; 1 some inputs failed, the others are done; 2 nothing could be done; 130 interrupted.

example: recognizer transcribe talk.mp3 -f srt -o texts/"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code: 0 done, 1 some items failed, 2 nothing could be done, 130 interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        codecs.register_error("recognizer", _encode_anything)
        sys.stdout.reconfigure(errors="recognizer")
    show_notes()
    if "_ARGCOMPLETE" in os.environ:
        complete(os.environ.get("COMP_LINE", "").split()[1:])
    options = argparse.Namespace(verbose=False)
    try:
        with few_collections():
            options = parse(words)
            announce_compiling(None if options.quiet else lambda message: print(f"recognizer: {message}", file=sys.stderr, flush=True))
            return int(import_module(module_name(options.command)).run(options))
    except RecognizerError as error:
        if options.verbose:
            traceback.print_exc()
        print(f"recognizer: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:  # of those without which an exported model runs
        if options.verbose:
            traceback.print_exc()
        print(f"recognizer: the package {error.name} is not installed, which this needs; run `pip install recognizer`", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("recognizer: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a full disk or a missing permission where no message of our own says more
        print(f"recognizer: {error.filename or 'input or output'}: {error.strerror or error}", file=sys.stderr)
        return 2


def _encode_anything(error: UnicodeError) -> tuple[str | bytes, int]:
    """Bytes of file names that are not UTF-8 come out as they went in, and letters that the terminal does not know as escapes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    raw = (bytes([ord(c) - 0xDC00]) if "\udc80" <= c <= "\udcff" else c.encode("ascii", "backslashreplace") for c in letters)
    return b"".join(raw), error.end


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
            found[path.stem.replace("_", "-")] = docstring.partition("\n")[0].rstrip(".")
    return found


def module_name(command: str) -> str:
    """The module that a command is."""
    return f"{__package__}.{command.replace('-', '_')}"


class HelpFormatter(argparse.HelpFormatter):
    """Fills paragraphs one by one; an example stays on its line."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        fill = super()._fill_text
        return "\n\n".join(part if part.startswith("example: ") else fill(part, width, indent) for part in text.split("\n\n"))


def build_parser(name: str | None) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser | None]:
    """The parser of the command line and, within it, that of the command of this name, None if there is none; only its module is imported.

    The ``EXAMPLE`` of a command's module is a command line that its help ends with.

    Raises:
        ConfigError: the user's configuration file is not right.
    """
    description = "Speech and handwriting recognition with bidirectional LSTMs and CTC."
    parser = argparse.ArgumentParser(prog="recognizer", description=description, epilog=EPILOG, formatter_class=HelpFormatter)
    parser.add_argument("--version", action="version", version=f"recognizer {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    chosen = None
    known = find_commands()
    for command, summary in known.items():
        added = commands.add_parser(command, help=summary[:1].lower() + summary[1:], description=f"{summary}.", formatter_class=HelpFormatter)
        if command == name:
            chosen = added
            module = import_module(module_name(command))
            module.add_arguments(chosen)
            add_verbosity(chosen)
            set_defaults(chosen, command, known)
            example = getattr(module, "EXAMPLE", None)
            chosen.epilog = "\n\n".join(part for part in (chosen.epilog, example and f"example: {example}") if part) or None
    return parser, chosen


def complete(words: Sequence[str]) -> None:
    """Answer the shell, which asks for what could stand next, and end the process.

    Args:
        words: of the line so far, the command first.
    """
    try:
        from argcomplete import autocomplete
        from argcomplete.completers import FilesCompleter

        from recognizer.bundle.registry import own_bundles, shipped_bundles

        parser, chosen = build_parser(words[0] if words else None)
    except (ImportError, RecognizerError):
        os._exit(1)
    names = sorted(own_bundles() | shipped_bundles())
    for action in chosen._actions if chosen is not None else ():
        if action.dest in ("model", "models"):
            action.completer = lambda prefix, **_: [*names, *FilesCompleter()(prefix)]  # type: ignore[attr-defined]
    autocomplete(parser)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The options of a command line.

    A command whose parser has a default for ``decoding`` takes ``decoder.KEY=VALUE`` anywhere; one with a default for ``takes_overrides``
    takes words that no option explains as further ``overrides``.

    Raises:
        ConfigError: no such command, or the user's configuration file is not right.
    """
    parser, chosen = build_parser(words[0] if words else None)
    words = list(words)
    if chosen is None and words and not words[0].startswith("-"):
        known = find_commands()
        raise ConfigError(f"there is no command {words[0]!r}{nearest(words[0], known)} ({', '.join(known)})")
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
