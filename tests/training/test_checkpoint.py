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

from recognizer.errors import OutputError, TrainingError
from recognizer.training.checkpoint import CHECKPOINT, DIGEST, LOCK, load_checkpoint, lock_run, save_checkpoint

CPU = torch.device("cpu")


def test_a_state_is_loaded_as_it_was_saved(tmp_path: Path) -> None:
    state = {"position": {"epoch": 3, "best": float("inf")}, "network": {"w": torch.randn(4, 3)}, "ema": None, "alphabet": ["a", " "]}
    save_checkpoint(tmp_path, state)
    back = load_checkpoint(tmp_path, CPU)
    assert torch.equal(back["network"].pop("w"), state["network"].pop("w")) and back == state
    assert sorted(path.name for path in tmp_path.iterdir()) == [CHECKPOINT, DIGEST]


def test_a_full_disk_keeps_the_one_before(tmp_path: Path, full_disk) -> None:
    with full_disk(1000), pytest.raises(TrainingError, match=r"\(File too large\); there is none yet; make room and start the run again"):
        save_checkpoint(tmp_path, {"w": torch.randn(200, 200)})
    assert list(tmp_path.iterdir()) == []
    save_checkpoint(tmp_path, {"step": 1})
    kept = (tmp_path / CHECKPOINT).read_bytes()
    with full_disk(50_000), pytest.raises(TrainingError) as caught:
        save_checkpoint(tmp_path, {"step": 2, "w": torch.randn(200, 200)})
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / CHECKPOINT}: cannot write the checkpoint") and "\n" not in message
    assert "the one before is kept" in message and f"--resume {tmp_path}" in message
    assert (tmp_path / CHECKPOINT).read_bytes() == kept and len(list(tmp_path.iterdir())) == 2
    assert load_checkpoint(tmp_path, CPU) == {"step": 1}


def test_a_flipped_bit_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, {"w": torch.zeros(30, 30)})
    whole = (tmp_path / CHECKPOINT).read_bytes()
    for place in range(0, len(whole), 97):
        (tmp_path / CHECKPOINT).write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(TrainingError, match=r"the checkpoint is damaged \(its SHA-256 is not the one in checkpoint\.sha256\)"):
            load_checkpoint(tmp_path, CPU)
    (tmp_path / DIGEST).unlink()  # as in runs of earlier versions
    (tmp_path / CHECKPOINT).write_bytes(whole)
    assert torch.equal(load_checkpoint(tmp_path, CPU)["w"], torch.zeros(30, 30))


def test_a_kill_between_digest_and_checkpoint_keeps_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(tmp_path, {"step": 1})
    replace = Path.replace

    def die(self: Path, target: Path) -> Path:
        if target.name == CHECKPOINT:
            raise KeyboardInterrupt
        return replace(self, target)

    for step in (2, 3, 4):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Path, "replace", die)
            save_checkpoint(tmp_path, {"step": step})
        assert load_checkpoint(tmp_path, CPU) == {"step": 1}
    save_checkpoint(tmp_path, {"step": 5})
    assert load_checkpoint(tmp_path, CPU) == {"step": 5}


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


def test_a_full_disk_leaves_no_lock(tmp_path: Path, full_disk) -> None:
    with full_disk(0), pytest.raises(OutputError, match="lock: cannot be written: File too large"), lock_run(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_file_that_was_left_behind_locks_nobody_out(tmp_path: Path) -> None:
    """Also where another process has that id by now."""
    (tmp_path / LOCK).write_text(f"{os.getppid()}\n")
    with lock_run(tmp_path):
        pass
    assert not (tmp_path / LOCK).exists()
