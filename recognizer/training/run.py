"""A training run from settings to bundle."""

from __future__ import annotations

import hashlib
import json
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import yaml

from recognizer.bundle.convert import gather_files
from recognizer.bundle.io import save_bundle
from recognizer.bundle.provenance import TRAINED_ON, Provenance
from recognizer.bundle.registry import find_bundle, locate_file
from recognizer.config import DECODER_FILES, TrainConfig
from recognizer.config.compose import compose
from recognizer.config.renamed import carry_over
from recognizer.config.schema import from_dict, to_dict
from recognizer.errors import ConfigError, InputError, Interrupted, TrainingError
from recognizer.models.network import Network
from recognizer.text.alphabet import Alphabet
from recognizer.training.checkpoint import CHECKPOINT, load_checkpoint, lock_run, save_checkpoint
from recognizer.training.datamodule import Split, audit_splits, collect_alphabet, collect_units, fit_statistics, load_items
from recognizer.training.loop import EpochStats, Trainer
from recognizer.training.ranks import Ranks, join_ranks
from recognizer.training.trackers import open_tracker
from recognizer.training.transducer_loss import pretrain_head
from recognizer.training.transfer import brings_statistics, load_pretrained, pretrained_settings
from recognizer.training.validate import validate
from recognizer.utils.device import choose_device, has_bf16, peak_memory, prepare_host
from recognizer.utils.files import append_bytes, write_text
from recognizer.utils.progress import Progress, duration
from recognizer.utils.reading import parse_yaml

CONFIG = "config.yaml"
LOG = "log.jsonl"
BUNDLE = "bundle"


def train(config: TrainConfig | Sequence[str] | str, resume: bool = False, quiet: bool = False) -> Path:
    """Train a recognizer and return the folder of its bundle.

    ``config.run_dir`` receives the settings, the audit, a log line an epoch, checkpoints and the bundle of the best
    epoch by validation error. With ``resume`` training goes on from the checkpoint there, and ends with the same
    weights as if it had never stopped.

    Args:
        config: the settings, or those of them that differ from the defaults, as after ``recognizer train``: ``["corpus.root=data/mine",
            "features=pixels"]``; or, with ``resume``, the folder of the run.
        resume: whether to go on with a run.
        quiet: print errors only.

    Raises:
        RecognizerError: anything the user can mend; the last good checkpoint and bundle stay.
        Interrupted: SIGINT or SIGTERM arrived; a checkpoint was written first.
    """
    if not isinstance(config, TrainConfig):
        config = resumed_config(str(config)) if resume else compose([config] if isinstance(config, str) else config, None, pretrained_settings)
    config = locate_files(config)
    prepare_host(config.trainer.threads)
    device = choose_device(config.device, local=Ranks.of_environment().local)
    with join_ranks(device) as ranks:
        resume = resume or (ranks.restarts > 0 and (Path(config.run_dir) / CHECKPOINT).exists())
        _train(config, resume, quiet or not ranks.writes, device, ranks)
        return Path(config.run_dir) / BUNDLE


def _train(config: TrainConfig, resume: bool, quiet: bool, device: torch.device, ranks: Ranks) -> None:
    """Train as one of several processes; the first opens the run's folder, audits, prints and writes."""
    items = load_items(config)
    alphabet = collect_alphabet(config, items["train"])
    config = collect_units(config, items["train"])
    torch.manual_seed(config.seed)
    network = Network(config.recognizer, len(alphabet)).to(device)
    _compare_settings(config, alphabet, ranks)
    with closing(Progress(quiet)) as progress, ExitStack() as held:
        if config.init is not None and not resume:
            progress.line(load_pretrained(config.init, config, alphabet, network))
        run_dir = held.enter_context(_open_run(config, resume)) if ranks.writes else Path(config.run_dir)
        splits = audit_splits(config, items, alphabet, network, run_dir, progress) if ranks.writes else None
        train_split, dev_split = ranks.from_first(splits)
        if ranks.writes:
            _write_provenance(config, train_split, dev_split, run_dir)
            if not resume and (config.init is None or not brings_statistics(config.init, config)):
                fit_statistics(config, train_split, network, progress)
            if not resume:
                pretrain_head(config, train_split, network, progress)
        network.load_state_dict(ranks.from_first(network.state_dict()))  # the statistics above all
        trainer = Trainer(config, network, train_split, ranks=ranks)
        if resume:
            _restore(trainer, alphabet, run_dir)
            progress.line(f"resumed at epoch {trainer.state.epoch + 1}, step {trainer.state.step}")
        weights = sum(p.numel() for p in network.parameters())
        several = f" x {ranks.world} processes" if ranks.world > 1 else ""
        precision: str = config.trainer.precision
        if precision == "bf16" and not has_bf16(device):
            precision = "float32 (this processor has no bf16)"
        progress.line(f"{weights / 1e6:.2f} M weights, {len(alphabet)} labels, {device}{several}, {precision}; {run_dir}")
        with closing(trainer.reader), collect_signals() as pending, closing(_Session(trainer, dev_split, run_dir, progress, pending)) as session:
            session.run()


def _compare_settings(config: TrainConfig, alphabet: Alphabet, ranks: Ranks) -> None:
    """Refuse processes of one training that have other settings or symbols than the first."""
    own = hashlib.sha256(json.dumps([to_dict(config), alphabet.symbols], sort_keys=True).encode()).hexdigest()
    digests = ranks.gather(own)
    for rank, digest in enumerate(digests):
        if digest != digests[0]:
            raise TrainingError(f"process {rank} has other settings or training texts than process 0; start all of them alike")


def resumed_config(run_dir: str | Path, overrides: dict[str, Any] | None = None) -> TrainConfig:
    """The settings a run was started with, with some of ``trainer``'s changed.

    Raises:
        TrainingError: no run there, or its settings cannot be read.
        ConfigError: a change that the settings refuse.
    """
    path = Path(run_dir) / CONFIG
    if not path.is_file():
        raise TrainingError(f"{run_dir}: holds no run ({CONFIG} is missing)")
    try:
        values = carry_over(parse_yaml(path.read_text(encoding="utf-8"), str(path)))
        values["trainer"].update(overrides or {})
    except (OSError, UnicodeDecodeError, InputError, TypeError, KeyError, AttributeError):
        raise TrainingError(f"{path}: is damaged; restore it, or start a new run") from None
    return replace(from_dict(TrainConfig, values), run_dir=str(run_dir))


class _Session:
    """Epochs, validations, checkpoints and reports, from the start or a resume to the end or an interruption."""

    def __init__(self, trainer: Trainer, dev: Split, run_dir: Path, progress: Progress, pending: list[int]) -> None:
        self.trainer, self.dev, self.run_dir, self.progress, self.pending = trainer, dev, run_dir, progress, pending
        self.config, self.settings, self.state = trainer.config, trainer.config.trainer, trainer.state
        self.alphabet = trainer.train.dataset.alphabet
        self.stats = EpochStats()
        self.saved = time.monotonic()
        self.ranks = trainer.ranks
        self.ended = False
        self.tracker = open_tracker(self.config, run_dir, run_dir / BUNDLE) if self.ranks.writes else None

    def close(self) -> None:
        """Write what the tracker has not written yet, and whether training came to its end."""
        if self.tracker is not None:
            self.tracker.close(self.ended)

    def run(self) -> None:
        """Train until the last epoch, the time limit or the end of patience."""
        state, settings = self.state, self.settings
        while state.epoch < settings.epochs and not self._exhausted():
            self.stats = EpochStats()
            for _ in self.trainer.run_epoch(self.stats):
                self._after_step()
                if self._out_of_time():
                    self.trainer.end_epoch()  # what was trained so far counts as an epoch
                    break
            if state.epoch % settings.val_every_n_epochs == 0 or state.epoch == settings.epochs or self._exhausted():
                self._validate()
            self._save()
        if self.ranks.writes and not (self.run_dir / BUNDLE).exists():
            raise TrainingError(f"{self.run_dir}: training ended without a validation; raise trainer.epochs")
        self.ended = True
        memory = f"peak memory {peak_memory() / 2**20:.0f} MiB"
        self.progress.line(f"best validation error {100 * state.best:.2f} % at epoch {state.best_epoch}; {memory}; {self.run_dir / BUNDLE}")

    def _out_of_time(self) -> bool:
        return self.settings.minutes > 0 and self.state.seconds >= 60 * self.settings.minutes

    def _exhausted(self) -> bool:
        return self._out_of_time() or (self.settings.patience > 0 and self.state.stale >= self.settings.patience)

    def _after_step(self) -> None:
        # a signal, and the time, may reach processes between different steps; what the last of them knows holds for all
        number, self.state.seconds = self.ranks.max([self.pending[0] if self.pending else 0, self.state.seconds])
        if number:
            self._save()
            name = signal.Signals(int(number)).name
            raise Interrupted(f"stopped by {name} at step {self.state.step}; resume with: recognizer train --resume {self.run_dir}")
        if time.monotonic() - self.saved > 60 * self.settings.checkpoint_minutes:
            self._save()
        self.progress.update(self._line())

    def _line(self) -> str:
        stats, state = self.stats, self.state
        speed = stats.items / max(1e-9, stats.waited + stats.worked)
        total = len(self.trainer.train.frames)
        left = max(0, (self.settings.epochs - state.epoch) * total - stats.items) / max(speed, 1e-9)
        if self.settings.minutes:
            left = min(left, max(0.0, 60 * self.settings.minutes - state.seconds))  # the step that ends it may go beyond
        loss = stats.loss / max(1, stats.labels)
        best = f"  best error {100 * state.best:.1f} %" if state.best_epoch else ""
        return f"epoch {state.epoch + 1} {stats.items}/{total}  loss {loss:.3f}{best}  {speed:.1f} items/s  {duration(left)} left"

    def _validate(self) -> None:
        trainer, state = self.trainer, self.state
        with trainer.averaged():
            started = time.perf_counter()
            error, pairs, units_error = validate(self.config, trainer.network, self.dev, self.ranks)
            improved = error < state.best
            trainer.schedule.observe(improved)
            state.stale = 0 if improved else state.stale + 1
            if improved:
                state.best, state.best_epoch = error, state.epoch
            record = self._record(error, time.perf_counter() - started) | ({} if units_error is None else {"units_error": round(units_error, 5)})
            if improved and self.ranks.writes:
                card = _first_card(self.config, self.run_dir, record, pairs)
                decoder, files = gather_files(self.config.decoder, self.run_dir)
                files[TRAINED_ON] = self.run_dir / TRAINED_ON
                recognizer = replace(self.config.recognizer, decoder=decoder)
                save_bundle(self.run_dir / BUNDLE, recognizer, self.alphabet, trainer.network.state_dict(), card, files)
        if self.ranks.writes:
            append_bytes(self.run_dir / LOG, (json.dumps(record) + "\n").encode())
            self._report(record, pairs)

    def _record(self, error: float, evaluation_seconds: float) -> dict[str, Any]:
        stats, state = self.stats, self.state
        spent = max(stats.waited + stats.worked, 1e-9)
        record = {
            "epoch": state.epoch,
            "step": state.step,
            "loss": round(stats.loss / max(1, stats.labels), 5),
            "error": round(error, 5),
            "best": round(state.best, 5),
            "learning_rate": self.trainer.rate,
            "items_per_second": round(stats.items / spent, 2),
            "frames_per_second": round(stats.frames / spent, 1),
            "waiting": round(stats.waited / spent, 4),
            "seconds": round(state.seconds, 1),
            "evaluation_seconds": round(evaluation_seconds, 1),
            "peak_memory": peak_memory(),
        }
        hop = getattr(self.config.features, "hop_ms", None)
        return record if hop is None else record | {"times_real_time": round(stats.frames * hop / 1000 / spent, 1)}

    def _report(self, record: dict[str, Any], pairs: list[tuple[str, str]]) -> None:
        speed = f"{record['times_real_time']} x real time" if "times_real_time" in record else f"{record['items_per_second']} lines/s"
        units = f" (units {100 * record['units_error']:.2f} %)" if "units_error" in record else ""
        star = " *" if record["epoch"] == self.state.best_epoch else ""
        self.progress.line(
            f"epoch {record['epoch']}: loss {record['loss']:.3f}, validation error {100 * record['error']:.2f} %{units}{star}, "
            f"{speed}, {100 * record['waiting']:.0f} % waiting, {duration(record['seconds'])}"
        )
        reference, hypothesis = pairs[record["epoch"] % len(pairs)]
        self.progress.line(f"  reference:  {reference}\n  hypothesis: {hypothesis}")
        if self.tracker is not None:
            self.tracker.log_epoch(record)

    def _save(self) -> None:
        if self.ranks.writes:
            save_checkpoint(self.run_dir, {**self.trainer.state_dict(), "alphabet": list(self.alphabet.symbols)})
        self.saved = time.monotonic()


@contextmanager
def _open_run(config: TrainConfig, resume: bool) -> Iterator[Path]:
    """The run's folder, made and locked, with the settings in it."""
    run_dir = Path(config.run_dir)
    if not resume and (run_dir / CHECKPOINT).exists():
        raise TrainingError(f"{run_dir}: holds a run already; go on with --resume {run_dir}, or name another run_dir")
    with ExitStack() as stack:
        try:
            run_dir.mkdir(parents=True, exist_ok=True)
            stack.enter_context(lock_run(run_dir))
            write_text(run_dir / CONFIG, yaml.safe_dump(to_dict(config), sort_keys=False, allow_unicode=True))
            if not resume:
                (run_dir / LOG).unlink(missing_ok=True)
        except OSError as error:
            raise TrainingError(f"{run_dir}: cannot write the run: {error.strerror}") from None
        yield run_dir


def locate_files(config: TrainConfig) -> TrainConfig:
    """The settings with the models and lexicons of the decoder by their full paths, of which the run's bundle gets copies.

    Raises:
        ConfigError: one of them is neither in the working directory nor in the bundle that the weights start from.
    """
    paths: dict[str, Any] = {}
    for key in DECODER_FILES:
        name = getattr(config.decoder, key)
        if name is not None:
            places = (Path(), *([] if config.init is None else [find_bundle(config.init)]))
            found = next((path for place in places if (path := locate_file(name, place)) is not None), None)
            if found is None:
                raise ConfigError(f"decoder.{key}: {name}: no such file")
            paths[key] = str(found.absolute())
    return replace(config, decoder=replace(config.decoder, **paths)) if paths else config


def _write_provenance(config: TrainConfig, train_split: Split, dev_split: Split, run_dir: Path) -> None:
    """Write digests of the items that these weights are trained and chosen on, and those of the weights that they start from."""
    provenance = Provenance.of(train_split.dataset.items, dev_split.dataset.items)
    if config.init is not None:
        provenance |= Provenance.load(find_bundle(config.init)) or Provenance()
    provenance.save(run_dir / TRAINED_ON)


def _restore(trainer: Trainer, alphabet: Alphabet, run_dir: Path) -> None:
    state = load_checkpoint(run_dir, trainer.device)
    if state.pop("alphabet") != list(alphabet.symbols):
        advice = f"start a new run with init={run_dir / BUNDLE}"
        raise TrainingError(f"{run_dir}: the training manifest has other symbols than when the run began; {advice}")
    try:
        trainer.load_state_dict(state)
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{run_dir}: the checkpoint does not fit the settings ({str(error).splitlines()[0]})") from None


@contextmanager
def collect_signals() -> Iterator[list[int]]:
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


def _first_card(config: TrainConfig, run_dir: Path, record: dict[str, Any], pairs: list[tuple[str, str]]) -> str:
    """What training itself knows: data, license, validation error, and how to make the bundle again."""

    def cell(text: str) -> str:
        return text.replace("|", "\\|").replace("\n", " ")

    corpus, rate = config.corpus, "character" if config.corpus.text.level == "characters" else "unit"
    lines = [
        f"# {corpus.name}",
        "",
        f"* Task: {'speech' if config.recognizer.modality == 'audio' else 'handwriting'} to {corpus.text.level}.",
        f"* Trained on: `{corpus.name}`, manifest `{corpus.train}`; license of the data: {corpus.license}.",
        f"* Validation error ({rate} error rate, greedy, {len(pairs)} items of `{corpus.dev}`): {100 * record['error']:.2f} %.",
        "  Training was stopped and chosen by these items; score others with `recognizer evaluate`.",
        f"* Training: {record['epoch']} epochs, {record['step']} steps, {duration(record['seconds'])}, "
        f"seed {config.seed}, {config.trainer.precision}.",
        f"* To train again: `recognizer train --config {run_dir / CONFIG} run_dir=NEW`.",
        "",
        "| reference | hypothesis |",
        "|---|---|",
        *(f"| {cell(reference)} | {cell(hypothesis)} |" for reference, hypothesis in pairs[:5]),
    ]
    return "\n".join(lines) + "\n"
