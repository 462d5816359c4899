"""The state of a training run on disk: one process writes it, whole or not at all, and it is read back without pickle's dangers."""

from __future__ import annotations

import hashlib
import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch

from recognizer.errors import OutputError, TrainingError
from recognizer.utils.files import new_file
from recognizer.utils.lock import locked

CHECKPOINT = "checkpoint.pt"
DIGEST = "checkpoint.sha256"  # a line each for the checkpoint and the one that it replaced
LOCK = "lock"


def save_checkpoint(run_dir: Path, state: dict[str, Any]) -> None:
    """Write the state; the one before stays until the new one is on disk.

    Its SHA-256 goes into a file of its own before, with that of the state before: whenever the process is killed, one of the two is right.

    Raises:
        TrainingError: the disk is full or not writable.
    """
    path = run_dir / CHECKPOINT
    try:
        with new_file(path) as partial:
            with partial.open("wb") as data:
                try:
                    torch.save(state, data)
                except RuntimeError as error:  # what torch makes of a failed write
                    raise (error.__context__ if isinstance(error.__context__, OSError) else error) from None
                data.flush()
                os.fsync(data.fileno())
            digests = [_digest(place) for place in (partial, path) if place.exists()]
            with new_file(run_dir / DIGEST) as listed, listed.open("w", encoding="ascii") as file:
                file.write("".join(f"{digest}\n" for digest in digests))
                file.flush()
                os.fsync(file.fileno())
    except (OutputError, RuntimeError) as error:
        reason = " ".join(str(error).rpartition("cannot be written: ")[2].split())[:200]
        kept = f"the one before is kept; make room and resume with --resume {run_dir}"
        advice = kept if path.exists() else "there is none yet; make room and start the run again"
        raise TrainingError(f"{path}: cannot write the checkpoint ({reason}); {advice}") from None


def load_checkpoint(run_dir: Path, device: torch.device) -> dict[str, Any]:
    """Read the state back.

    Raises:
        TrainingError: there is none, or it is damaged: not as it was written.
    """
    path = run_dir / CHECKPOINT
    if not path.is_file():
        raise TrainingError(f"{path}: no such checkpoint; nothing to resume")
    try:
        listed = run_dir / DIGEST
        if listed.exists() and _digest(path) not in listed.read_text(encoding="ascii").split():  # runs of earlier versions have none
            raise ValueError("its SHA-256 is not the one in " + DIGEST)
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        return state
    except Exception as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise TrainingError(f"{path}: the checkpoint is damaged ({' '.join(reason.split())[:200]}); restore it, or start a new run") from None


def lock_run(run_dir: Path) -> AbstractContextManager[None]:
    """Keep other processes from training in ``run_dir`` within a block (:func:`~recognizer.utils.lock.locked`).

    Raises:
        TrainingError: another process is training there.
    """
    return locked(run_dir / LOCK, f"{run_dir}: process %s is training there; wait until it ends, or stop it", TrainingError)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
