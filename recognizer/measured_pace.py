"""How fast a recogniser is in use: once it runs, and from the start of the command to its first line."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from statistics import median

from recognizer.data.manifest import Item
from recognizer.pipeline import Recognizer, Transcript

PACED = 100  # items by which speed is measured, spread over the manifest
STARTS = 3  # processes by which the cold start is measured


def measure_speed(recognizer: Recognizer, items: Sequence[Item], threads: int) -> str:
    """How fast up to 100 of the items are read from files and recognised, once the first has shown that all is loaded."""
    chosen = items[:: max(1, len(items) // PACED)][:PACED]
    list(recognizer.transcribe([chosen[0].source]))
    started = time.perf_counter()
    found = [t for t in recognizer.transcribe(item.source for item in chosen) if t.error is None]
    seconds = max(time.perf_counter() - started, 1e-9)
    used = f"{threads or 'all'} thread{'s' * (threads != 1)}, {len(found)} items from files"
    if recognizer.recipe.modality != "audio":
        return f"{len(found) / seconds:.1f} lines/s ({used})"
    heard = max(sum(t.seconds or 0.0 for t in found), 1e-9)
    return f"{heard / seconds:.0f} times real time, a real-time factor of {seconds / heard:.4f}; {len(found) / seconds:.1f} items/s ({used})"


def measure_start(recognizer: Recognizer, transcripts: Sequence[Transcript], threads: int) -> str:
    """Seconds from starting `recognizer transcribe` on one file until its first line is there, each time in a fresh interpreter.

    Args:
        recognizer: whose bundle, device and precision are taken.
        transcripts: of files that could be recognised; the one of median length is taken.
        threads: of the CPU, 0: all cores.
    """
    one = sorted(transcripts, key=lambda t: (t.seconds or 0.0, t.width or 0))[len(transcripts) // 2]
    words = [sys.executable, "-m", "recognizer.cli", "transcribe", one.source, "--bundle", str(recognizer.bundle.folder), "--quiet"]
    words += ["--device", str(recognizer.device), "--precision", recognizer.precision, "--threads", str(threads)]
    seconds = []
    for _ in range(STARTS):
        started = time.perf_counter()
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            seconds.append(time.perf_counter() - started)
        if process.returncode or not line:
            return f"not measured, since `recognizer transcribe {one.source}` ended with code {process.returncode}"
    noun = "columns" if recognizer.recipe.modality == "line" else "points"
    length = f"{one.width} {noun}" if one.seconds is None else f"{one.seconds:.1f} s"
    spread = f"median of {STARTS}, {min(seconds):.1f} to {max(seconds):.1f}"
    return f"{median(seconds):.1f} s from starting `recognizer transcribe` on one file of {length} to its first line ({spread})"
