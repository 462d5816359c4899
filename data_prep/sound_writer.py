"""Recordings that a corpus is made of: 16-bit files that appear whole or not at all."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

FORMATS = ("flac", "wav")
RATES = (8000, 16_000)  # Hz


def add_format_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--rate`` and ``--format``."""
    parser.add_argument("--rate", type=int, choices=RATES, default=16_000, help="samples a second (default 16000)")
    parser.add_argument("--format", choices=FORMATS, default="flac", help="of the recordings (default flac)")


def write_sound(path: Path, samples: np.ndarray, sample_rate: int) -> None:
    """Write samples (N,) in the format of the file's ending; what would leave [-1, 1] is scaled down as a whole."""
    import soundfile

    peak = float(np.abs(samples).max(initial=0.0))
    partial = path.with_name(path.name + ".partial")
    try:
        soundfile.write(partial, samples / max(1.0, peak), sample_rate, subtype="PCM_16", format=path.suffix[1:].upper())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
