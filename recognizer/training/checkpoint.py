"""The full state of a training run on disk: written whole or not at all, read back without pickle's dangers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from recognizer.errors import TrainingError

CHECKPOINT = "checkpoint.pt"


def save_checkpoint(run_dir: Path, state: dict[str, Any]) -> None:
    """Write the state; the one before stays until the new one is on disk.

    Raises:
        TrainingError: the disk is full or not writable.
    """
    path, partial = run_dir / CHECKPOINT, run_dir / (CHECKPOINT + ".partial")
    try:
        with partial.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except (OSError, RuntimeError) as error:  # torch reports a failed write as a RuntimeError
        partial.unlink(missing_ok=True)
        kept = "the one before is kept" if path.exists() else "there is none yet"
        raise TrainingError(f"{path}: cannot write the checkpoint ({_reason(error)}); {kept}; make room and resume with --resume {run_dir}") from None


def load_checkpoint(run_dir: Path, device: torch.device) -> dict[str, Any]:
    """Read the state back.

    Raises:
        TrainingError: there is none, or it is damaged.
    """
    path = run_dir / CHECKPOINT
    if not path.is_file():
        raise TrainingError(f"{path}: no such checkpoint; nothing to resume")
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        raise TrainingError(f"{path}: the checkpoint is damaged ({_reason(error)})") from None


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split())[:200]
