"""What readers of published corpora share: saying in what a copy differs, and refusing it unless that was asked for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from recognizer.errors import InputError

_NAMED = {False: 20, True: 3}  # causes that are noted, with and without --partial


def add_partial_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--partial``."""
    parser.add_argument("--partial", action="store_true", help="go on with a copy whose counts are not the published ones")


def report_deviations(corpus: str, source: Path, causes: Sequence[str], counts: Sequence[str], options: argparse.Namespace) -> None:
    """Note what is missing or extra and which counts differ; do nothing if there is neither.

    Raises:
        InputError: something differs and ``options.partial`` is not set.
    """
    if not causes and not counts:
        return
    shown = _NAMED[options.partial]
    for line in [*causes[:shown], *([f"... and {len(causes) - shown} more of this kind"] if len(causes) > shown else []), *counts]:
        options.note(line)
    if not options.partial:
        first, *others = *causes, *counts
        more = f" (deviations besides: {len(others)})" if others else ""
        raise InputError(f"{source}: not {corpus} as published: {first}{more}; mend the copy, or say --partial to do without the published counts")
    options.note(f"{source}: the counts are not the published ones; no score on these sets can stand beside a published one")
