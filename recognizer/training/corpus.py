"""The training and development items of a run: loaded, audited, their alphabet and feature statistics."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from recognizer.alphabet import Alphabet
from recognizer.config import NoAugment, TrainConfig
from recognizer.data.audit import Audit, Auditor
from recognizer.data.batching import plan_batches
from recognizer.data.cache import ArrayCache
from recognizer.data.dataset import BatchReader, TrainingItems
from recognizer.data.manifest import Item, load_manifest
from recognizer.data.transcripts import target
from recognizer.errors import TrainingError
from recognizer.features.statistics import RunningStatistics
from recognizer.models.network import Network
from recognizer.progress import Progress
from recognizer.strict import plain

AUDIT = "audit.json"


@dataclass(frozen=True)
class Part:
    """Audited items of one manifest, ready for batching: items and the feature frames of each."""

    items: TrainingItems
    frames: Sequence[int]


def training_items(config: TrainConfig) -> list[Item]:
    """The items of the training manifests, or the first few of them under ``trainer.overfit``.

    Raises:
        TrainingError: two manifests share an id.
    """
    items: list[Item] = []
    places: dict[str, str] = {}
    for name in (config.corpus.train, *config.corpus.extra):
        for item in load_manifest(Path(config.corpus.root) / name):
            if places.setdefault(item.id, name) != name:
                raise TrainingError(f"{name}: the id {item.id!r} is also in {places[item.id]}; ids of all training manifests together must differ")
            items.append(item)
    return items[: config.trainer.overfit] if config.trainer.overfit else items


def development_items(config: TrainConfig) -> list[Item]:
    """The items training is stopped and compared by; the training items themselves under ``trainer.overfit``."""
    return training_items(config) if config.trainer.overfit else load_manifest(Path(config.corpus.root) / config.corpus.dev)


def collect_alphabet(config: TrainConfig, items: Sequence[Item]) -> Alphabet:
    """The symbols of the training transcripts.

    Raises:
        TrainingError: no item has a transcript at the configured level.
    """
    transcripts = [t for t in (target(item, config.corpus.text) for item in items) if t]
    if not transcripts:
        key = "text" if config.corpus.text.level == "characters" else "units"
        raise TrainingError(f"no training item has a transcript {key!r}; check the manifest and corpus.text.level={config.corpus.text.level}")
    return Alphabet.of(transcripts, config.corpus.text.level)


def audit_parts(config: TrainConfig, alphabet: Alphabet, network: Network, run_dir: Path, progress: Progress) -> tuple[Part, Part]:
    """Audit both manifests, say what is left out and why, and write the whole list to ``run_dir/audit.json``.

    Raises:
        TrainingError: nothing is left to train on, or to develop on.
    """
    cache = ArrayCache(run_dir / "cache", config.features) if config.trainer.cache else None
    auditor = Auditor(config.features, config.corpus.text, network.features.frames, network.frames, alphabet, config.trainer.batch_frames, cache)
    # a development item may hold symbols the model cannot write: they count as errors, they are not left out
    lenient = Auditor(config.features, config.corpus.text, network.features.frames, lambda frames: 1 << 62, None, config.trainer.batch_frames, cache)
    parts, report = [], {}
    for name, judge, items in (("train", auditor, training_items(config)), ("dev", lenient, development_items(config))):
        total = len(items)
        audit = judge.audit(items, lambda done, name=name, total=total: progress.update(f"audit {name}: {done}/{total}"))  # type: ignore[misc]
        _tell(name, audit, progress)
        report[name] = judge.report(audit) | {"excluded": [[f.item.id, f.kind, f.message] for f in audit.findings]}
        if not audit.usable:
            raise TrainingError(f"no {name} item can be used; {len(audit.excluded)} findings, the first: {audit.excluded[0].message}")
        augment = config.augment if name == "train" else NoAugment()
        dataset = TrainingItems(audit.usable, config.features, config.corpus.text, alphabet, augment, config.seed, audit.shortest, cache)
        parts.append(Part(dataset, audit.frames))
    (run_dir / AUDIT).write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return parts[0], parts[1]


def fit_statistics(config: TrainConfig, part: Part, network: Network, progress: Progress) -> None:
    """Set the mean and deviation of features from the unaugmented training items."""
    if plain(config.features)["normalise"] != "corpus":
        return
    statistics = RunningStatistics(network.features.dim)
    batches = plan_batches(part.frames, budget=config.trainer.batch_frames, most=config.trainer.batch_items, seed=0, epoch=0, by_length=True)
    bare = replace(part.items, augment=NoAugment())
    device = network.features.mean.device
    for done, batch in enumerate(BatchReader(bare, workers=0).read(batches, epoch=0), start=1):
        statistics.update(*network.features.raw(batch.inputs.to(device), batch.lengths.to(device)))
        progress.update(f"feature statistics: {done}/{len(batches)} batches")
    network.features.set_statistics(statistics.mean, statistics.std)


def _tell(name: str, audit: Audit, progress: Progress) -> None:
    marked = f", {audit.empty} of them marked as empty" if audit.empty else ""
    progress.line(f"{name}: {len(audit.usable)} of {audit.total} items can be used{marked}")
    for kind, count in Counter(f.kind for f in audit.findings).items():
        examples = [f for f in audit.findings if f.kind == kind]
        verdict = "left out" if examples[0].excludes else "kept"
        progress.line(f"  {kind} ({verdict}): {count}")
        for finding in examples[:3]:
            progress.line(f"    {finding.message}")
        if count > 3:
            progress.line(f"    ... and {count - 3} more, in {AUDIT}")
