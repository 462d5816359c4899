"""Training over several processes: the same weights as by one, resuming with another number, and an end for all when one fails."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recognizer.models.batch_share import draw, share_of_batch, sum_over_batch
from recognizer.training.checkpoint import load_checkpoint
from recognizer.training.ranks import Ranks

# 9 lines in batches of 4, 4 and 1: of the last one nothing is left for the second process
SETTINGS = {
    "augment": {"kind": "line", "scale": 0.1, "shear": 0.2, "noise": 0.05, "thickness": 0.3}, "model.frontend.dropout": 0.2, "model.dropout": 0.3,
    "model.frontend_ctc_weight": 0.2, "trainer.ema_decay": 0.9, "trainer.optimizer": "sgd", "trainer.learning_rate": 0.01,
    "trainer.schedule": "constant", "trainer.warmup_steps": 0, "trainer.limit_items": 9, "trainer.max_batch_size": 4, "trainer.epochs": 2,
    "trainer.gradient_accumulation_steps": 2, "trainer.weight_noise": 0.01, "trainer.num_workers": 0, "trainer.threads": 1,
}  # fmt: skip


def start(processes: int, *words: object) -> subprocess.CompletedProcess[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m"] if processes > 1 else ["-m"]
    return subprocess.run([sys.executable, *launcher, "recognizer", "train", *map(str, words)], capture_output=True, text=True, timeout=300)


def tensors(run_dir: Path) -> torch.Tensor:
    state = load_checkpoint(run_dir, torch.device("cpu"))
    return torch.cat([tensor.double().flatten() for name in ("network", "ema") for tensor in state[name].values()])


def log_of(run_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run_dir / "log.jsonl").read_text().splitlines()]


def test_two_processes_end_with_the_weights_of_one(glyphs: Any, tmp_path: Path) -> None:
    done = {}
    for processes, epochs in ((1, 2), (2, 2), (2, 1)):
        run_dir = tmp_path / f"{processes}_{epochs}"
        config = glyphs.save_config(tmp_path / "config.yaml", run_dir, {**SETTINGS, "trainer.epochs": epochs})
        done[run_dir.name] = run_dir
        result = start(processes, "--config", config)
        assert result.returncode == 0, result.stderr
        assert result.stdout == f"{run_dir / 'bundle'}\n"
    resumed = start(1, "--resume", done["2_1"], "trainer.epochs=2")  # what two began, one ends
    assert resumed.returncode == 0, resumed.stderr
    expected = tensors(done["1_2"])
    for name in ("2_2", "2_1"):
        np.testing.assert_allclose(tensors(done[name]), expected, atol=2e-5)
        for record, other in zip(log_of(done[name]), log_of(done["1_2"]), strict=True):
            assert (record["error"], record["step"]) == (other["error"], other["step"])
            assert record["loss"] == pytest.approx(other["loss"], abs=1e-4)


def by_hand(port: int, rank: int, *words: object, code: str | None = None) -> subprocess.Popen[str]:
    who = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, *(["-m", "recognizer", "train"] if code is None else ["-c", code]), *map(str, words)]
    return subprocess.Popen(command, env=os.environ | who, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_process_with_other_settings_is_refused(glyphs: Any, tmp_path: Path) -> None:
    config, port = glyphs.save_config(tmp_path / "config.yaml", tmp_path / "run", SETTINGS), free_port()
    running = [by_hand(port, rank, "--config", config, f"trainer.learning_rate={0.01 * (1 + rank)}") for rank in range(2)]
    for process in running:
        assert "process 1 has other settings or training texts than process 0" in process.communicate(timeout=120)[1]
        assert process.returncode == 2
    assert not (tmp_path / "run").exists()


THREADS_AFTERWARDS = """
import os, sys, torch
from torch.nn.parallel import DistributedDataParallel
from recognizer.training.ranks import join_ranks
def threads(): return [open(f"/proc/self/task/{task}/comm").read() for task in os.listdir("/proc/self/task")]
with join_ranks(torch.device("cpu")) as ranks:
    DistributedDataParallel(torch.nn.Linear(1, 1))
    ranks.gather(ranks.rank)
    assert any("gloo" in name for name in threads())
assert not any("gloo" in name for name in threads()), threads()
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the threads in /proc")
def test_no_thread_is_left_that_could_abort_the_process_at_its_end() -> None:
    port = free_port()
    for process in [by_hand(port, rank, code=THREADS_AFTERWARDS) for rank in range(2)]:
        said = process.communicate(timeout=120)[1]
        assert process.returncode == 0, said


def test_when_a_process_dies_the_others_end(glyphs: Any, tmp_path: Path) -> None:
    config, port = glyphs.save_config(tmp_path / "config.yaml", tmp_path / "run", {**SETTINGS, "trainer.epochs": 10_000}), free_port()
    first, second = (by_hand(port, rank, "--config", config, "trainer.checkpoint_minutes=0") for rank in range(2))
    deadline = time.monotonic() + 120
    while not (tmp_path / "run" / "log.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    second.send_signal(signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
    said = first.communicate(timeout=120)[1]
    second.communicate(timeout=120)
    assert first.returncode == 2 and "process 0 of 2: lost another process" in said
    state = load_checkpoint(tmp_path / "run", torch.device("cpu"))  # whole
    assert state["position"]["step"] > 0


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the processes in /proc")
def test_torchrun_starts_all_again_from_the_last_checkpoint(glyphs: Any, tmp_path: Path) -> None:
    config = glyphs.save_config(tmp_path / "config.yaml", tmp_path / "run", {**SETTINGS, "trainer.epochs": 40})
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=1", "--monitor-interval=0.1"]
    running = subprocess.Popen([*torchrun, "-m", "recognizer", "train", "--config", str(config), "trainer.checkpoint_minutes=0"],
                               stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)  # fmt: skip
    deadline = time.monotonic() + 120
    while not (tmp_path / "run" / "log.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    os.kill(int(children[-1]), signal.SIGKILL)
    said = running.communicate(timeout=240)[1]
    assert running.returncode == 0, said
    assert "resumed at epoch" in said
    assert [record["epoch"] for record in log_of(tmp_path / "run")] == list(range(1, 41))  # each once


def test_an_item_has_the_same_random_numbers_however_many_share_its_batch() -> None:
    torch.manual_seed(3)
    whole = torch.rand(2, 5, 3).flatten(0, 1)  # two views of five items
    for world in (1, 2, 3, 7):
        for rank in range(world):
            rows = range(rank, 5, world)
            torch.manual_seed(3)
            with share_of_batch(rows, 5):
                found = draw(2 * max(1, len(rows)), 3, device=torch.device("cpu"))
            assert torch.equal(found, whole[[view * 5 + row for view in range(2) for row in (rows or [0])]])
    assert torch.equal(sum_over_batch(whole), whole)


def test_one_process_alone_is_all() -> None:
    alone = Ranks()
    assert alone.writes and alone.share([1, 2]) == [1, 2] and alone.sum([1.5]) == alone.max([1.5]) == [1.5] and alone.gather("a") == ["a"]
    assert [Ranks(rank, 3).share(range(7)) for rank in range(3)] == [[0, 3, 6], [1, 4], [2, 5]]
    assert alone.from_first("a") == "a" and not Ranks(1, 2).writes
