"""Draw gates, cell states and saliency over a recording, line image or pen trace."""

from __future__ import annotations

import argparse
from pathlib import Path

from recognizer.cli.arguments import count, count_threads
from recognizer.errors import ConfigError, nearest

EXAMPLE = "recognizer inspect speech-en talk.wav"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("model", help="name or folder of the bundle")
    parser.add_argument("source", metavar="FILE", help="what to look at; recordings up to 30 s")
    parser.add_argument("-o", "--output", metavar="OUT", help="picture: .png, .svg or .pdf, not there yet (default: FILE.inspect.png)")
    parser.add_argument("--layer", nargs="+", type=count, metavar="N", help="recurrent layers, 1 the lowest (default: the last)")
    sides = ("forwards", "backwards")
    parser.add_argument("--direction", nargs="+", choices=sides, metavar="SIDE", help="forwards, backwards (default: both)")
    parser.add_argument("--what", default="gates,cells,saliency", metavar="LIST", help="of gates, cells, saliency (default: all)")
    parser.add_argument("--units", type=count, default=64, metavar="N", help="units a panel: those that vary most (default: 64)")
    parser.add_argument("--symbol", type=count, metavar="K", help="saliency of the K-th recognized symbol, and how far it reaches (default: of all)")
    parser.add_argument("--threads", type=count_threads, default=0, metavar="N", help="CPU threads (default: all cores)")


def run(options: argparse.Namespace) -> int:
    """Write one picture and print its path."""
    from recognizer.evaluation.inspect import CONTENTS, inspect
    from recognizer.evaluation.inspect_figure import SUFFIXES, draw_inspection, require_matplotlib
    from recognizer.inference.recognizer import Recognizer
    from recognizer.utils.progress import Progress

    what = [word.strip() for word in options.what.split(",")]
    for word in what:
        if word not in CONTENTS:
            raise ConfigError(f"--what: {word!r} is not one of {', '.join(CONTENTS)}{nearest(word, CONTENTS)}")
    output = Path(options.output or f"{options.source}.inspect.png")
    if output.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"{output}: a picture's name ends in {', '.join(SUFFIXES)}")
    if output.exists():
        raise ConfigError(f"{output}: exists already; remove it, or name another file with -o")
    if not output.parent.is_dir():
        raise ConfigError(f"{output}: the folder {output.parent} does not exist; make it, or name another file with -o")
    if options.units < 1:
        raise ConfigError(f"--units {options.units}: must be 1 or more")
    require_matplotlib()
    recognizer = Recognizer.load(options.model, "cpu", threads=options.threads)
    found = inspect(recognizer, options.source, options.layer, options.direction, what, options.units, options.symbol)
    draw_inspection(found, output)
    if not found.panels and set(what) - {"saliency"}:
        Progress(options.quiet).line(f"{options.model}: has no recurrent layers to show")
    print(output)
    return 0
