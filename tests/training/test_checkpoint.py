"""Checkpoints are written whole or not at all and read without running code; only one process trains in a folder."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from recognizer.errors import TrainingError
from recognizer.training.checkpoint import CHECKPOINT, LOCK, load_checkpoint, lock_run, save_checkpoint

CPU = torch.device("cpu")


def test_a_state_is_loaded_as_it_was_saved(tmp_path: Path) -> None:
    state = {"position": {"epoch": 3, "best": float("inf")}, "network": {"w": torch.randn(4, 3)}, "ema": None, "alphabet": ["a", " "]}
    save_checkpoint(tmp_path, state)
    back = load_checkpoint(tmp_path, CPU)
    assert torch.equal(back["network"].pop("w"), state["network"].pop("w")) and back == state
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]


def test_a_full_disk_keeps_the_one_before(tmp_path: Path, full_disk) -> None:
    with full_disk(1000), pytest.raises(TrainingError, match="there is none yet"):
        save_checkpoint(tmp_path, {"w": torch.randn(200, 200)})
    assert list(tmp_path.iterdir()) == []
    save_checkpoint(tmp_path, {"step": 1})
    kept = (tmp_path / CHECKPOINT).read_bytes()
    with full_disk(50_000), pytest.raises(TrainingError) as caught:
        save_checkpoint(tmp_path, {"step": 2, "w": torch.randn(200, 200)})
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / CHECKPOINT}: cannot write the checkpoint") and "\n" not in message
    assert "the one before is kept" in message and f"--resume {tmp_path}" in message
    assert (tmp_path / CHECKPOINT).read_bytes() == kept and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("share", [0.0, 0.1, 0.6, 0.99])
def test_a_truncated_checkpoint_is_named(tmp_path: Path, share: float) -> None:
    save_checkpoint(tmp_path, {"w": torch.randn(200, 200)})
    data = (tmp_path / CHECKPOINT).read_bytes()
    (tmp_path / CHECKPOINT).write_bytes(data[: int(share * len(data))])
    with pytest.raises(TrainingError, match="the checkpoint is damaged") as caught:
        load_checkpoint(tmp_path, CPU)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(tmp_path / "sprung"),)

    (tmp_path / CHECKPOINT).write_bytes(pickle.dumps({"network": Trap()}))
    with pytest.raises(TrainingError, match="damaged"):
        load_checkpoint(tmp_path, CPU)
    torch.save({"network": Trap()}, tmp_path / CHECKPOINT)
    with pytest.raises(TrainingError, match="damaged"):
        load_checkpoint(tmp_path, CPU)
    assert not (tmp_path / "sprung").exists()


HOLD = "import sys, time; from pathlib import Path; from recognizer.training.checkpoint import lock_run\n" \
    "with lock_run(Path(sys.argv[1])): print('locked', flush=True); time.sleep(60)"  # fmt: skip


@contextmanager
def training_elsewhere(run_dir: Path) -> Iterator[subprocess.Popen]:
    """Another process that holds the lock of a run, until it is killed at the end of the block."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(run_dir)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "locked\n"
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)


def test_a_second_process_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    with training_elsewhere(tmp_path) as process:
        with pytest.raises(TrainingError, match=rf"{tmp_path}: process {process.pid} is training there; wait until it ends"), lock_run(tmp_path):
            pass
        assert (tmp_path / LOCK).read_text() == f"{process.pid}\n"
    assert (tmp_path / LOCK).exists()  # it was killed
    with lock_run(tmp_path):
        assert (tmp_path / LOCK).read_text() == f"{os.getpid()}\n"
    assert not (tmp_path / LOCK).exists()


def test_a_lock_file_that_was_left_behind_locks_nobody_out(tmp_path: Path) -> None:
    """Also where another process has that id by now."""
    (tmp_path / LOCK).write_text(f"{os.getppid()}\n")
    with lock_run(tmp_path):
        pass
    assert not (tmp_path / LOCK).exists()
