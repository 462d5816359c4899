"""The state of a training run on disk: one process writes it, whole or not at all, and it is read back without pickle's dangers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from recognizer.errors import TrainingError

CHECKPOINT = "checkpoint.pt"
LOCK = "lock"


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
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        return state
    except Exception as error:
        raise TrainingError(f"{path}: the checkpoint is damaged ({_reason(error)})") from None


@contextmanager
def lock_run(run_dir: Path) -> Iterator[None]:
    """Keep other processes from training in ``run_dir`` within the block.

    ``run_dir/lock`` holds the id of the process. What counts is the system's lock on that file, which ends with the process
    however that ends: a file that is left behind locks nobody out, whatever process has that id by then. Where there are no
    such locks (Windows, some network drives), nobody is kept out.

    Raises:
        TrainingError: another process is training there.
    """
    path = run_dir / LOCK
    with path.open("a+", encoding="ascii") as file:
        try:
            import fcntl

            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # unlike flock, it is not inherited by worker processes
        except (BlockingIOError, PermissionError):
            file.seek(0)
            raise TrainingError(f"{run_dir}: process {file.read().strip()} is training there; wait until it ends, or stop it") from None
        except (ImportError, OSError):
            pass
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield
        finally:
            with suppress(OSError):  # Windows does not delete an open file
                path.unlink()


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split())[:200]
