"""Checkpoints: whole or not at all, and never trusted."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch

from recognizer.errors import TrainingError
from recognizer.training.checkpoint import CHECKPOINT, load_checkpoint, save_checkpoint

CPU = torch.device("cpu")


def load(run_dir: Path) -> dict:
    return load_checkpoint(run_dir, CPU)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    state = {"position": {"epoch": 3, "best": float("inf")}, "network": {"w": torch.randn(4, 3)}, "average": None, "alphabet": ["a", " "]}
    save_checkpoint(tmp_path, state)
    back = load(tmp_path)
    assert torch.equal(back["network"].pop("w"), state["network"].pop("w")) and back == state
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]


def test_a_full_disk_keeps_the_one_before(tmp_path: Path, full_disk) -> None:
    save_checkpoint(tmp_path, {"step": 1})
    kept = (tmp_path / CHECKPOINT).read_bytes()
    with full_disk(50_000), pytest.raises(TrainingError) as caught:
        save_checkpoint(tmp_path, {"step": 2, "w": torch.randn(200, 200)})
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / CHECKPOINT}: cannot write the checkpoint") and "\n" not in message
    assert "the one before is kept" in message and f"--resume {tmp_path}" in message
    assert (tmp_path / CHECKPOINT).read_bytes() == kept and len(list(tmp_path.iterdir())) == 1


def test_a_first_checkpoint_on_a_full_disk(tmp_path: Path, full_disk) -> None:
    with full_disk(1000), pytest.raises(TrainingError, match="there is none yet"):
        save_checkpoint(tmp_path, {"w": torch.randn(200, 200)})
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"checkpoint\.pt: no such checkpoint; nothing to resume"):
        load(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.6, 0.99])
def test_a_broken_off_checkpoint_is_named(tmp_path: Path, share: float) -> None:
    save_checkpoint(tmp_path, {"w": torch.randn(200, 200)})
    data = (tmp_path / CHECKPOINT).read_bytes()
    (tmp_path / CHECKPOINT).write_bytes(data[: int(share * len(data))])
    with pytest.raises(TrainingError, match="the checkpoint is damaged") as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(tmp_path / "sprung"),)

    (tmp_path / CHECKPOINT).write_bytes(pickle.dumps({"network": Trap()}))
    with pytest.raises(TrainingError, match="damaged"):
        load(tmp_path)
    torch.save({"network": Trap()}, tmp_path / CHECKPOINT)
    with pytest.raises(TrainingError, match="damaged"):
        load(tmp_path)
    assert not (tmp_path / "sprung").exists()
