"""A training run from settings to bundle."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import yaml

from recognizer.alphabet import Alphabet
from recognizer.bundle import save_bundle
from recognizer.bundles import find_bundle
from recognizer.config import TrainConfig
from recognizer.data.provenance import TRAINED_ON, Provenance
from recognizer.errors import TrainingError
from recognizer.host import choose_device, peak_memory, prepare_host
from recognizer.models.network import Network
from recognizer.progress import Progress, duration
from recognizer.strict import plain
from recognizer.training.card import first_card
from recognizer.training.checkpoint import CHECKPOINT, load_checkpoint, save_checkpoint
from recognizer.training.corpus import Part, audit_parts, collect_alphabet, fit_statistics, training_items
from recognizer.training.development import development_error
from recognizer.training.loop import Learner, Tally
from recognizer.training.transfer import start_from

CONFIG = "config.yaml"
LOG = "log.jsonl"
BUNDLE = "bundle"


class Interrupted(TrainingError):
    """Training was stopped by a signal, after a checkpoint."""


def train(config: TrainConfig, resume: bool = False, quiet: bool = False) -> Path:
    """Train a recogniser and return the folder of its bundle.

    ``config.run_dir`` receives the settings, the audit, a log line an epoch, checkpoints and the bundle of the best
    epoch by development error. With ``resume`` training goes on from the checkpoint there, and ends with the same
    weights as if it had never stopped.

    Raises:
        RecognizerError: anything the user can mend; the last good checkpoint and bundle stay.
        Interrupted: SIGINT or SIGTERM arrived; a checkpoint was written first.
    """
    prepare_host(config.trainer.threads)
    device = choose_device(config.device)
    progress = Progress(quiet)
    items = training_items(config)
    alphabet = collect_alphabet(config, items)
    torch.manual_seed(config.seed)
    network = Network(config.recipe, len(alphabet)).to(device)
    if config.init is not None and not resume:
        progress.line(start_from(config.init, config, alphabet, network))
    run_dir = _open_run(config, resume)
    train_part, dev_part = audit_parts(config, alphabet, network, run_dir, progress)
    _write_provenance(config, train_part, dev_part, run_dir)
    if config.init is None and not resume:  # a bundle brings the statistics that its weights were made for
        fit_statistics(config, train_part, network, progress)
    learner = Learner(config, network, train_part)
    if resume:
        _restore(learner, alphabet, run_dir)
        progress.line(f"resumed at epoch {learner.position.epoch + 1}, step {learner.position.step}")
    weights = sum(p.numel() for p in network.parameters())
    progress.line(f"{weights / 1e6:.2f} M weights, {len(alphabet)} labels, {device}, {config.trainer.precision}; {run_dir}")
    with closing(learner.reader), _signals() as pending:
        _Run(learner, dev_part, alphabet, run_dir, progress, pending).go()
    return run_dir / BUNDLE


class _Run:
    """Epochs, evaluations, checkpoints and reports of one session."""

    def __init__(
        self, learner: Learner, dev: Part, alphabet: Alphabet, run_dir: Path, progress: Progress, pending: list[int]
    ) -> None:
        self.learner, self.dev, self.alphabet = learner, dev, alphabet
        self.config, self.run_dir, self.progress, self.pending = learner.config, run_dir, progress, pending
        self.saved = time.monotonic()
        self.tally = Tally()

    def go(self) -> None:
        """Train until the last epoch, the time limit or the end of patience."""
        trainer, position = self.config.trainer, self.learner.position
        while position.epoch < trainer.epochs and not self._exhausted():
            self.tally = Tally()
            try:
                self.learner.run_epoch(self.tally, self._after_step)
            except StopIteration:  # the time limit; what was learnt counts as an epoch
                position.epoch, position.batch = position.epoch + 1, 0
            if position.epoch % trainer.evaluate_every == 0 or position.epoch == trainer.epochs or self._exhausted():
                self._evaluate()
            self._save()
        if not (self.run_dir / BUNDLE).exists():
            raise TrainingError(f"{self.run_dir}: training ended without an evaluation; raise trainer.epochs")
        memory = f"peak memory {peak_memory() / 2**20:.0f} MiB"
        self.progress.line(f"best development error {100 * position.best:.2f} % at epoch {position.best_epoch}; {memory}; {self.run_dir / BUNDLE}")

    def _exhausted(self) -> bool:
        trainer, position = self.config.trainer, self.learner.position
        out_of_time = trainer.minutes > 0 and position.seconds >= 60 * trainer.minutes
        return out_of_time or (trainer.patience > 0 and position.stale >= trainer.patience)

    def _after_step(self) -> None:
        if self.pending:
            self._save()
            name = signal.Signals(self.pending[0]).name
            raise Interrupted(f"stopped by {name} at step {self.learner.position.step}; resume with: recognizer train --resume {self.run_dir}")
        if time.monotonic() - self.saved > 60 * self.config.trainer.checkpoint_minutes:
            self._save()
        self.progress.update(self._line())
        trainer = self.config.trainer
        if trainer.minutes > 0 and self.learner.position.seconds >= 60 * trainer.minutes:
            raise StopIteration

    def _line(self) -> str:
        tally, learner = self.tally, self.learner
        speed = tally.items / max(1e-9, tally.waited + tally.worked)
        total = len(learner.train.items.items)
        epochs_left = self.config.trainer.epochs - learner.position.epoch
        left = max(0, epochs_left * total - tally.items) / max(speed, 1e-9)
        if self.config.trainer.minutes:
            left = min(left, 60 * self.config.trainer.minutes - learner.position.seconds)
        loss = tally.loss / max(1, tally.labels)
        best = f"  best error {100 * learner.position.best:.1f} %" if learner.position.best_epoch else ""
        return f"epoch {learner.position.epoch + 1} {tally.items}/{total}  loss {loss:.3f}{best}  {speed:.1f} items/s  {duration(left)} left"

    def _evaluate(self) -> None:
        learner, position = self.learner, self.learner.position
        with learner.average.applied(learner.network) if learner.average is not None else nullcontext():
            started = time.perf_counter()
            error, pairs = development_error(self.config, learner.network, self.dev)
            improved = error < position.best
            learner.schedule.observe(improved)
            position.stale = 0 if improved else position.stale + 1
            if improved:
                position.best, position.best_epoch = error, position.epoch
            record = self._record(error, time.perf_counter() - started)
            if improved:
                card = first_card(self.config, self.run_dir, record, pairs)
                files = {TRAINED_ON: self.run_dir / TRAINED_ON}
                save_bundle(self.run_dir / BUNDLE, self.config.recipe, self.alphabet, learner.network.state_dict(), card, files)
        with (self.run_dir / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        self._tell(record, pairs)

    def _record(self, error: float, evaluation_seconds: float) -> dict[str, Any]:
        tally, position = self.tally, self.learner.position
        spent = tally.waited + tally.worked
        record = {
            "epoch": position.epoch,
            "step": position.step,
            "loss": round(tally.loss / max(1, tally.labels), 5),
            "error": round(error, 5),
            "best": round(position.best, 5),
            "learning_rate": self.learner.rate,
            "items_per_second": round(tally.items / max(spent, 1e-9), 2),
            "frames_per_second": round(tally.frames / max(spent, 1e-9), 1),
            "waiting": round(tally.waited / max(spent, 1e-9), 4),
            "seconds": round(position.seconds, 1),
            "evaluation_seconds": round(evaluation_seconds, 1),
            "peak_memory": peak_memory(),
        }
        hop = getattr(self.config.features, "hop_ms", None)
        if hop is not None:
            record["times_real_time"] = round(tally.frames * hop / 1000 / max(spent, 1e-9), 1)
        return record

    def _tell(self, record: dict[str, Any], pairs: list[tuple[str, str]]) -> None:
        pace = f"{record['times_real_time']} x real time" if "times_real_time" in record else f"{record['items_per_second']} lines/s"
        star = " *" if record["epoch"] == self.learner.position.best_epoch else ""
        self.progress.line(
            f"epoch {record['epoch']}: loss {record['loss']:.3f}, development error {100 * record['error']:.2f} %{star}, "
            f"{pace}, {100 * record['waiting']:.0f} % waiting, {duration(record['seconds'])}"
        )
        reference, hypothesis = pairs[record["epoch"] % len(pairs)]
        self.progress.line(f"  reference:  {reference}\n  hypothesis: {hypothesis}")
        if self.config.trainer.tensorboard:
            from recognizer.training.tensorboard import write_scalars

            write_scalars(self.run_dir, record)

    def _save(self) -> None:
        save_checkpoint(self.run_dir, {**self.learner.state(), "alphabet": list(self.alphabet.symbols)})
        self.saved = time.monotonic()


def _open_run(config: TrainConfig, resume: bool) -> Path:
    run_dir = Path(config.run_dir)
    if not resume and (run_dir / CHECKPOINT).exists():
        raise TrainingError(f"{run_dir}: holds a run already; go on with --resume {run_dir}, or name another run_dir")
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        partial = run_dir / (CONFIG + ".partial")
        partial.write_text(yaml.safe_dump(plain(config), sort_keys=False, allow_unicode=True), encoding="utf-8")
        partial.replace(run_dir / CONFIG)
        if not resume:
            (run_dir / LOG).unlink(missing_ok=True)
    except OSError as error:
        raise TrainingError(f"{run_dir}: cannot write the run: {error.strerror}") from None
    return run_dir


def _write_provenance(config: TrainConfig, train_part: Part, dev_part: Part, run_dir: Path) -> None:
    """Say, in digests, what these weights see, and what those that they start from saw."""
    provenance = Provenance.of(train_part.items.items, dev_part.items.items)
    if config.init is not None:
        earlier = find_bundle(config.init) / TRAINED_ON
        if earlier.exists():
            provenance |= Provenance.parse(earlier.read_text(encoding="utf-8"))
    (run_dir / TRAINED_ON).write_text(provenance.to_text(), encoding="utf-8")


def _restore(learner: Learner, alphabet: Alphabet, run_dir: Path) -> None:
    state = load_checkpoint(run_dir, learner.device)
    if state.pop("alphabet") != list(alphabet.symbols):
        advice = f"start a new run with init={run_dir / BUNDLE}"
        raise TrainingError(f"{run_dir}: the training manifest has other symbols than when the run began; {advice}")
    try:
        learner.restore(state)
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{run_dir}: the checkpoint does not fit the settings ({str(error).splitlines()[0]})") from None


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM in a list, so that a step is never cut in half; a second one kills as usual."""
    pending: list[int] = []
    before: dict[int, Any] = {}

    def note(number: int, frame: FrameType | None) -> None:
        pending.append(number)
        signal.signal(number, before[number])

    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, note)
    except ValueError:  # not the main thread: signals stay with the caller
        yield pending
        return
    try:
        yield pending
    finally:
        for known, handler in before.items():
            signal.signal(known, handler)


def resumed_config(run_dir: str | Path, overrides: dict[str, Any] | None = None) -> TrainConfig:
    """The settings a run was started with, with some of ``trainer``'s changed.

    Raises:
        TrainingError: no run there, or its settings cannot be read.
        ConfigError: a change that the settings refuse.
    """
    from recognizer.strict import build

    path = Path(run_dir) / CONFIG
    if not path.is_file():
        raise TrainingError(f"{run_dir}: holds no run ({CONFIG} is missing)")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        values["trainer"].update(overrides or {})
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError, KeyError, AttributeError):
        raise TrainingError(f"{path}: is damaged; restore it, or start a new run") from None
    return replace(build(TrainConfig, values), run_dir=str(run_dir))
