"""How far the times of ``recognizer align`` lie from hand-made ones: ``python scripts/measure_boundaries.py BUNDLE MANIFEST``.

The manifest's items have ``meta.phones`` and ``meta.words``, lists of ``[start, end, label]`` in seconds, as ``recognizer prepare timit`` writes
them (``--phones cmu`` for a recognizer of the CMU dictionary's phones). The units are aligned if the recognizer writes units, else the words.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence

import numpy as np

from recognizer.config import DecoderConfig
from recognizer.data.manifest import Item, load_manifest
from recognizer.errors import RecognizerError
from recognizer.inference.align import align
from recognizer.inference.recognizer import Recognizer
from recognizer.types import Token, Word

WITHIN = (10, 20, 30, 50)  # milliseconds


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the errors of starts and ends; 2 if something cannot be read or has no times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("manifest")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    try:
        errors = find_errors(Recognizer.load(options.bundle, decoder=DecoderConfig()), load_manifest(options.manifest))
    except RecognizerError as error:
        print(error, file=sys.stderr)
        return 2
    if not errors["start"]:
        print(f"{options.manifest}: no item could be aligned that has times for all it says", file=sys.stderr)
        return 2
    rows = {side: describe(found) for side, found in errors.items()}
    if options.json:
        print(json.dumps(rows, indent=1))
        return 0
    for side, row in rows.items():
        within = ", ".join(f"{100 * row[f'within_{limit}']:.1f} % within {limit} ms" for limit in WITHIN)
        print(f"{side}: {row['count']} limits; {within}; mean {row['mean_absolute']:.1f} ms off, median {row['median']:+.1f} ms (+: late)")
    return 0


def find_errors(recognizer: Recognizer, items: Sequence[Item]) -> dict[str, list[float]]:
    """Milliseconds by which each start and end comes late (below 0: early), of all items whose aligned labels are those with times."""
    kind = "phones" if recognizer.alphabet.level == "units" else "words"
    errors: dict[str, list[float]] = {"start": [], "end": []}
    for item, aligned in zip(items, align(recognizer, items), strict=True):
        found: Sequence[Token | Word] = aligned.transcript.tokens if kind == "phones" else aligned.transcript.words
        wanted = item.meta.get(kind, ())
        if aligned.transcript.error is not None or len(found) != len(wanted):
            continue
        for ours, (start, end, _) in zip(found, wanted, strict=True):
            errors["start"].append(1000 * (ours.start - start))
            errors["end"].append(1000 * (ours.end - end))
    return errors


def describe(errors: Sequence[float]) -> dict[str, float]:
    """Shares within so many milliseconds, mean of the absolute values, median and count."""
    absolute = np.abs(errors)
    return {
        **{f"within_{limit}": float((absolute <= limit).mean()) for limit in WITHIN},
        "mean_absolute": float(absolute.mean()), "median": statistics.median(errors), "count": len(errors),
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
