"""Promises 3 and 8 of the design: resume is exact, and memory is bounded whatever the length of a recording."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from recognizer.bundle.io import load_bundle

# All that is left to chance, and steps of several batches; a checkpoint after every step.
RESTLESS = {
    "trainer.limit_items": 26, "trainer.max_batch_size": 3, "trainer.gradient_accumulation_steps": 2, "trainer.epochs": 3, "trainer.ema_decay": 0.9,
    "trainer.weight_noise": 0.01, "trainer.optimizer": "adamw", "trainer.schedule": "cosine", "trainer.curriculum": True,
    "trainer.checkpoint_minutes": 0.0, "trainer.cache": True, "model.dropout": 0.3,
    "augment": {"kind": "audio", "speed": [0.9, 1.1], "gain_db": [-6, 6], "noise": 0.5, "time_masks": 1, "frequency_masks": 1},
}  # fmt: skip
STEPS = 15  # nine batches an epoch, two a step


SLOWLY = """
import sys, time
from recognizer.cli.main import main
from recognizer.training.loop import Trainer
step = Trainer._step
Trainer._step = lambda *arguments: (time.sleep(0.1), step(*arguments))[1]
sys.exit(main(sys.argv[1:]))
"""


def final_state(run_dir: Path) -> dict[str, Any]:
    """Checkpoint, bundle and log of a run, without what the clock decides."""
    state = torch.load(run_dir / "checkpoint.pt", weights_only=True)
    state["position"].pop("seconds")
    log = [json.loads(line) for line in (run_dir / "log.jsonl").read_text().splitlines()]
    state["errors"] = {record["epoch"]: (record["error"], record["best"], record["step"], record["learning_rate"]) for record in log}
    state["bundle"] = dict(load_bundle(run_dir / "bundle").weights)
    return state


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """Where two states are not the same to the bit."""
    if isinstance(one, torch.Tensor):
        return [] if torch.equal(one, other) and one.dtype == other.dtype else [path]
    if isinstance(one, dict):
        wrong = [f"{path}: keys"] if one.keys() != other.keys() else []
        return wrong + [d for key in one.keys() & other.keys() for d in differences(one[key], other[key], f"{path}.{key}")]
    if isinstance(one, (list, tuple)) and len(one) == len(other):
        return [d for i, pair in enumerate(zip(one, other, strict=True)) for d in differences(*pair, f"{path}[{i}]")]
    return [] if one == other else [path]


@pytest.fixture(scope="module")
def uninterrupted(tones, tmp_path_factory) -> dict[str, Any]:
    from recognizer.training.run import train

    run_dir = tmp_path_factory.mktemp("uninterrupted") / "run"
    train(tones.config(run_dir, RESTLESS), quiet=True)
    state = final_state(run_dir)
    assert state["position"]["step"] == STEPS and differences(state["network"], state["ema"])
    return state


def stop_from_outside(config: Path, run_dir: Path, number: signal.Signals) -> tuple[int, str, str, dict[str, Any]]:
    """Send a signal to a training command at no step in particular; exit code, both streams, and where it had come to."""
    command = [sys.executable, "-c", SLOWLY, "train", "--config", str(config), "-q"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wanted, seen, until = random.Random().randint(1, 6), set(), time.monotonic() + 120
    while len(seen) < wanted and process.poll() is None and time.monotonic() < until:
        if (run_dir / "checkpoint.pt").exists():
            seen.add((run_dir / "checkpoint.pt").stat().st_mtime_ns)
        time.sleep(0.001)
    time.sleep(random.Random().uniform(0, 0.1))
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    position = torch.load(run_dir / "checkpoint.pt", weights_only=True)["position"]
    assert 0 < position["step"] < STEPS
    return process.returncode, out, err, position


@pytest.mark.slow
def test_promise_3_a_killed_run_ends_as_if_it_had_not_been(tones, uninterrupted, cli, tmp_path) -> None:
    run_dir = tmp_path / "run"
    config = tones.save_config(tmp_path / "c.yaml", run_dir, RESTLESS)
    code, _, err, position = stop_from_outside(config, run_dir, signal.SIGKILL)
    assert (code, err) == (-signal.SIGKILL, "")
    assert cli("train", "--resume", run_dir).code == 0
    assert differences(final_state(run_dir), uninterrupted) == [], f"killed at {position}"


@pytest.mark.slow
def test_promise_3_an_interrupted_run_says_so_and_goes_on(tones, uninterrupted, cli, tmp_path) -> None:
    run_dir = tmp_path / "run"
    config = tones.save_config(tmp_path / "c.yaml", run_dir, RESTLESS)
    code, out, err, position = stop_from_outside(config, run_dir, signal.SIGINT)
    assert (code, out) == (130, "")
    assert err == f"recognizer: stopped by SIGINT at step {position['step']}; resume with: recognizer train --resume {run_dir}\n"
    resumed = cli("train", "--resume", run_dir)
    assert resumed.code == 0 and any(line.endswith(f", step {position['step']}") for line in resumed.err)
    assert differences(final_state(run_dir), uninterrupted) == [], f"interrupted at {position}"


def train_until(config: Any, resume: bool, sabotage: Callable[[], None]) -> int:
    """Train in a child process that does away with itself; its exit status, negative for a signal."""
    child = os.fork()
    if child == 0:
        try:
            from recognizer.training.run import train

            sabotage()
            train(config, resume=resume, quiet=True)
        except BaseException:
            os._exit(3)
        os._exit(0)
    until = time.monotonic() + 120
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise AssertionError("the child did not end")


def die_at(target: Any, name: str, call: int, after: bool = False, number: int = signal.SIGKILL) -> Callable[[], None]:
    """A sabotage: this process kills itself in the n-th call of a function, before or after it has done its work."""

    def arrange() -> None:
        original, count = getattr(target, name), 0

        def deadly(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            count += 1
            if count == call and not after:
                os.kill(os.getpid(), number)
            result = original(*arguments, **options)
            if count == call and after:
                os.kill(os.getpid(), number)
            return result

        setattr(target, name, deadly)

    return arrange


def test_promise_3_at_every_kind_of_moment(tones, uninterrupted, tmp_path) -> None:
    """Killed again and again: within a batch, while a checkpoint or a bundle is written, between both, while evaluating."""
    import recognizer.bundle.io
    import recognizer.training.checkpoint
    import recognizer.training.run
    from recognizer.training.loop import Trainer
    from recognizer.training.run import resumed_config, train

    run_dir = tmp_path / "run"
    config = tones.config(run_dir, RESTLESS)
    moments = [
        die_at(Trainer, "_backward", 4),
        die_at(recognizer.training.checkpoint.os, "fsync", 2),
        die_at(Trainer, "_step", 1, after=True),
        die_at(recognizer.training.run, "validate", 1, after=True),
        die_at(recognizer.bundle.io.shutil, "rmtree", 2),
        die_at(Path, "rename", 1, after=True),
        die_at(recognizer.training.run, "save_bundle", 1, after=True),
        die_at(Trainer, "_backward", 3, after=True),
        die_at(recognizer.training.run, "save_checkpoint", 3, number=signal.SIGTERM),
    ]
    ends = [train_until(config if n == 0 else resumed_config(run_dir), n > 0, moment) for n, moment in enumerate(moments)]
    assert ends == [-signal.SIGKILL] * 8 + [3]
    before = torch.load(run_dir / "checkpoint.pt", weights_only=True)["position"]
    assert 0 < before["step"] < STEPS and before["batch"] > 0
    train(resumed_config(run_dir), resume=True, quiet=True)
    assert differences(final_state(run_dir), uninterrupted) == []
    assert not list(tmp_path.rglob("*.partial")) and not list(tmp_path.rglob("*.replaced"))


def test_promise_3_of_a_network_that_reads_in_chunks(tones, tmp_path) -> None:
    from recognizer.training.loop import Trainer
    from recognizer.training.run import resumed_config, train

    changes = {**RESTLESS, "model.chunk_ms": 90.0, "model.lookahead_ms": 60.0, "model.recurrent": {"recurrent_dropout": 0.2}}
    train(tones.config(tmp_path / "whole", changes), quiet=True)
    run_dir = tmp_path / "killed"
    assert train_until(tones.config(run_dir, changes), False, die_at(Trainer, "_backward", 13)) == -signal.SIGKILL
    train(resumed_config(run_dir), resume=True, quiet=True)
    assert differences(final_state(run_dir), final_state(tmp_path / "whole")) == []


MEMORY = """
import contextlib, io, sys
from recognizer.audio import speech
from recognizer.cli.main import main
from recognizer.utils.device import peak_memory
speech.find_spec = lambda name: None  # tones are no speech to silero-vad, where it is installed
bundle, short, long = sys.argv[1:]
for sources in ([short], [short, long]):
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        assert main(["transcribe", *sources, "-b", bundle, "-q", "--threads", "1", "--device", "cpu"]) == 0
    print(peak_memory(), len(text.getvalue().splitlines()[-1]))
"""


@pytest.mark.slow
def test_promise_8_two_hours_beside_short_files_take_little_memory(tones, speech_run, tmp_path) -> None:
    short = tmp_path / "short"
    short.mkdir()
    for item in tones.items():
        shutil.copy(item.source, short)
    samples = np.concatenate([soundfile.read(item.source, dtype="int16")[0] for item in tones.items("train")])
    with soundfile.SoundFile(tmp_path / "long.wav", "w", 8000, 1) as sound:
        while sound.frames < 2 * 3600 * 8000:
            sound.write(samples)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(speech_run / "bundle"), str(short), str(tmp_path / "long.wav")],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (alone, _), (beside, letters) = (map(int, line.split()) for line in done.stdout.splitlines())
    assert letters > 50_000
    assert beside - alone < 400 * 2**20
