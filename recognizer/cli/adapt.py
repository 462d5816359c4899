"""Adapt a recognizer to corrected items of a writer, a speaker or a subject."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from recognizer.cli.arguments import count, count_threads

if TYPE_CHECKING:
    from recognizer.training.adapt_session import AdaptProgress

EXAMPLE = "recognizer adapt handwriting-fr corrections.jsonl -o mine/ --minutes 10"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("model", help="name or folder of the bundle; it is not changed")
    sources = "corrected items: a manifest, a folder of files with x.txt or x.gt.txt beside them, or a project"
    parser.add_argument("corrections", metavar="MANIFEST|FOLDER", help=sources)
    parser.add_argument("-o", "--output-dir", metavar="NEW", required=True, help="folder of the new bundle")
    parser.add_argument("--minutes", type=_minutes, default=10.0, metavar="N", help="time that it may take (default: 10)")
    folds = "hold items back so many times (default: 4 below 60 items, else 1: a tenth is held back)"
    parser.add_argument("--folds", type=count, metavar="N", help=folds)
    rehearse = "learn as many items of this earlier training material again, against forgetting"
    parser.add_argument("--rehearse", metavar="MANIFEST", help=rehearse)
    unlabelled = "files or folders of the same hand or voice without texts, which are learnt as the adapted model reads them where it is sure"
    parser.add_argument("--unlabelled", nargs="+", default=[], metavar="FILE", help=unlabelled)
    parser.add_argument("--also", metavar="MANIFEST", help="score another corpus before and after, such as the old one")
    again = "go on from this bundle itself, where it was adapted before (default: begin anew from what it started from)"
    parser.add_argument("--continue", dest="continue_", action="store_true", help=again)
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run to the same NEW")
    parser.add_argument("--force", action="store_true", help="also with fewer than ten items, and over an older bundle")
    parser.add_argument("--seed", type=count, default=0, metavar="N", help="of what is held back and of the training (default: 0)")
    parser.add_argument("--json-log", action="store_true", help="one JSON object a line on standard error: progress, and the result at the end")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    parser.add_argument("--threads", type=count_threads, default=0, metavar="N", help="CPU threads (default: all cores)")
    parser.add_argument("-q", "--quiet", action="store_true", help="print the result only")


def run(options: argparse.Namespace) -> int:
    """Carry out the command; 0 also where nothing was gained, which is said."""
    from recognizer.training.adapt import adapt, describe

    result = adapt(
        options.model, options.corrections, options.output_dir, minutes=options.minutes, folds=options.folds, rehearse=options.rehearse,
        unlabelled=options.unlabelled, also=options.also, continue_=options.continue_, resume=options.resume, force=options.force, seed=options.seed,
        device=options.device, threads=options.threads, on_progress=_log_progress if options.json_log else None,
        quiet=options.quiet or options.json_log,
    )  # fmt: skip
    if options.json_log:
        record = {**vars(result), "bundle": str(result.bundle), "interval": [_finite(end) for end in result.interval]}
        _log({"event": "result", **record})
    print(describe(result))
    return 0


def _minutes(word: str) -> float:
    try:
        minutes = float(word)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes < 1e6:
        raise argparse.ArgumentTypeError(f"{word!r} is not a number of minutes above 0")
    return minutes


def _log_progress(progress: AdaptProgress) -> None:
    _log({"event": "progress", **vars(progress)})


def _log(record: dict[str, Any]) -> None:
    print(json.dumps(record, ensure_ascii=False), file=sys.stderr, flush=True)


def _finite(value: float) -> float | None:
    return value if abs(value) < float("inf") else None
