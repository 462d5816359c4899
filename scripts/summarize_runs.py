"""Mean and standard deviation of the scores of several runs, such as three seeds: ``python scripts/summarize_runs.py runs/x/seed=*/test``.

Takes folders that ``recognizer evaluate -o DIR`` wrote, or the ``scores.json`` in them; of a folder of a run itself, such as those of
``recognizer train -m``, the best validation error, by which its weights were chosen: ``python scripts/summarize_runs.py runs/x/seed=*``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recognizer.errors import InputError, RecognizerError
from recognizer.evaluation.results import SCORES
from recognizer.training.run import CONFIG, LOG
from recognizer.utils.reading import parse_yaml

SHARED = ("level", "manifest", "items", "decoding", "fingerprint")  # must be the same in all runs for their mean to mean something


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table, or JSON; 1 if the runs were not scored alike, 2 if one cannot be read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder with scores.json, or the file")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    try:
        records = [load_scores(run) for run in options.runs]
    except RecognizerError as error:
        print(error, file=sys.stderr)
        return 2
    summary = summarize(records)
    differing = [key for key in SHARED if any(record.get(key) != records[0].get(key) for record in records)]
    if options.json:
        print(json.dumps({"runs": [str(run) for run in options.runs], "rates": summary, "differing": differing}, indent=1))
    else:
        print(render(summary))
    for key in differing:
        print(f"these runs differ in {key}, so that their mean says little", file=sys.stderr)
    return 1 if differing else 0


def load_scores(run: Path) -> dict[str, Any]:
    """The record of a run.

    Raises:
        InputError: it is not there or is no record of scores.
    """
    if not (run / SCORES).exists() and (run / LOG).is_file():
        return load_validation(run)
    path = run / SCORES if run.is_dir() else run
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        rates = {name: float(rate["rate"]) for name, rate in record["rates"].items()}
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; write it with `recognizer evaluate MODEL MANIFEST -o DIR`") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{path}: is not a record of scores, as `recognizer evaluate -o` writes it") from None
    return {**record, "rates": rates, "fingerprint": (record.get("protocol") or {}).get("fingerprint")}


def load_validation(run: Path) -> dict[str, Any]:
    """The best validation error of a run of ``recognizer train``, as a record.

    Raises:
        InputError: no epoch has ended, or a file is damaged.
    """
    try:
        best = float(json.loads((run / LOG).read_text(encoding="utf-8").splitlines()[-1])["best"])
        items = json.loads((run / "audit.json").read_text(encoding="utf-8"))["dev"]["usable"]
        corpus = parse_yaml((run / CONFIG).read_text(encoding="utf-8"), str(run / CONFIG))["corpus"]
        manifest, level = str(Path(corpus["root"]) / corpus["dev"]), corpus["text"]["level"]
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        raise InputError(f"{run}: holds no epoch of a training that can be read") from None
    return {"level": level, "manifest": manifest, "items": items, "decoding": "validation", "rates": {"validation error": best}, "fingerprint": None}


def summarize(records: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Mean, deviation (of the sample; None for a single run), least and largest of each rate that all runs have."""
    summary = {}
    for name in records[0]["rates"]:
        rates = [record["rates"][name] for record in records if name in record["rates"]]
        if len(rates) == len(records):
            deviation = statistics.stdev(rates) if len(rates) > 1 else None
            summary[name] = {"runs": len(rates), "mean": statistics.fmean(rates), "deviation": deviation, "low": min(rates), "high": max(rates)}
    return summary


def render(summary: dict[str, dict[str, Any]]) -> str:
    """One line a rate: ``PER 18.63 % +- 0.21 (3 runs, 18.42 to 18.84)``."""
    lines = []
    for name, s in summary.items():
        spread = "" if s["deviation"] is None else f" +- {100 * s['deviation']:.2f}"
        runs = f"{s['runs']} run{'s' * (s['runs'] != 1)}"
        lines.append(f"{name} {100 * s['mean']:.2f} %{spread} ({runs}, {100 * s['low']:.2f} to {100 * s['high']:.2f})")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
