"""The training and development items of a run: loaded, audited, their alphabet and feature statistics."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from recognizer.bundle.io import load_bundle
from recognizer.bundle.registry import find_bundle
from recognizer.config import NoAugment, TrainConfig
from recognizer.config.schema import to_dict
from recognizer.data.audit import Audit, Auditor, find_copies
from recognizer.data.batching import bucket_batches
from recognizer.data.cache import ArrayCache
from recognizer.data.dataset import BatchReader, CtcDataset
from recognizer.data.manifest import Item, load_manifest, target_in_frames
from recognizer.data.manifest_index import ManifestItems
from recognizer.errors import TrainingError
from recognizer.models.network import Network
from recognizer.text.alphabet import Alphabet
from recognizer.training.transfer import extend_alphabet
from recognizer.utils.files import write_text
from recognizer.utils.progress import Progress
from recognizer.utils.statistics import RunningStatistics

AUDIT = "audit.json"


@dataclass(frozen=True)
class Split:
    """Audited items of one split, ready for batching.

    Attributes:
        frames: feature frames of each.
        archives: the number of the archive that each lies in; empty unless all lie in some.
    """

    dataset: CtcDataset
    frames: Sequence[int]
    archives: Sequence[int] = ()


def load_items(config: TrainConfig) -> dict[str, Sequence[Item]]:
    """The items of the splits "train" and "dev".

    Under ``trainer.limit_items`` both are the first few training items. Those of large manifests stay on disk (:class:`ManifestItems`).

    Raises:
        TrainingError: two training manifests share an id, or one of them is also the development manifest.
    """
    root = Path(config.corpus.root)
    for name in (config.corpus.train, *config.corpus.extra):
        if not config.trainer.limit_items and (root / name).resolve() == (root / config.corpus.dev).resolve():
            raise TrainingError(f"corpus.dev: {root / config.corpus.dev} is also trained on, so that its error rate says nothing; "
                                "hold items out (recognizer prepare ... --dev 0.1)")
    train = _load_train({name: root / name for name in (config.corpus.train, *config.corpus.extra)})
    if config.trainer.limit_items:
        train = train[: config.trainer.limit_items]
        return {"train": train, "dev": train}
    return {"train": train, "dev": load_manifest(root / config.corpus.dev)}


def _load_train(paths: Mapping[str, Path]) -> Sequence[Item]:
    """The items of all training manifests one after the other, no two with the same id."""
    parts = {name: load_manifest(path) for name, path in paths.items()}
    if any(isinstance(part, ManifestItems) for part in parts.values()):
        train = ManifestItems.open(paths.values())
        train.check_ids()
        return train
    manifests: dict[str, str] = {}
    for name, items in parts.items():
        for item in items:
            if manifests.setdefault(item.id, name) != name:
                raise TrainingError(f"{name}: the id {item.id!r} is also in {manifests[item.id]}; ids of all training manifests together must differ")
    return [item for items in parts.values() for item in items]


def collect_alphabet(config: TrainConfig, items: Sequence[Item]) -> Alphabet:
    """The symbols of the training transcripts, behind those of the bundle that the weights start from.

    Raises:
        BundleError: that bundle cannot be read.
        TrainingError: no item has a transcript at the configured level.
    """
    level = config.corpus.text.level
    transcripts = (t for t in (target_in_frames(item, config.corpus.text, config.features) for item in items) if t)
    first = next(transcripts, None)
    if first is None:
        key = "text" if level == "characters" else "units"
        raise TrainingError(f"no training item has a transcript {key!r}; check the manifest and corpus.text.level={level}")
    alphabet = Alphabet.of(chain([first], transcripts), level)
    return alphabet if config.init is None else extend_alphabet(config.init, alphabet)


def collect_units(config: TrainConfig, items: Sequence[Item]) -> TrainConfig:
    """The settings with the units of the training items, for a network that writes them (``model.units_layer``).

    Behind those of the bundle that the weights start from, if its network writes units, below characters or alone.

    Raises:
        BundleError: that bundle cannot be read.
        TrainingError: there are no units.
    """
    if not config.model.units_layer:
        return config
    known: tuple[str, ...] = ()
    if config.init is not None:
        source = load_bundle(find_bundle(config.init))
        known = source.alphabet.symbols if source.alphabet.level == "units" else source.config.model.units
    found = {unit for item in items for unit in item.units or ()}
    units = (*known, *sorted(found.difference(known)))
    if not units:
        raise TrainingError("model.units_layer: no training item has 'units'; give them with `recognizer prepare ... --lexicon FILE`")
    return replace(config, model=replace(config.model, units=units))


def audit_splits(
    config: TrainConfig, items: Mapping[str, Sequence[Item]], alphabet: Alphabet, network: Network, run_dir: Path, progress: Progress
) -> tuple[Split, Split]:
    """Audit the items of :func:`load_items`, say what is left out and why, and write the whole list to ``run_dir/audit.json``.

    Raises:
        TrainingError: nothing is left to train on, or to validate on.
        OutputError: the list cannot be written.
    """
    cache = ArrayCache(run_dir / "cache", config.features) if config.trainer.cache else None
    strict = Auditor(config.features, config.corpus.text, network.features.frames, network.frames, alphabet, config.trainer.batch_frames, cache)
    # a development item may hold symbols the model cannot write: they count as errors, they are not left out
    lenient = replace(strict, output_frames=lambda frames: 1 << 62, alphabet=None)
    splits, report = [], {}
    copies = [] if config.trainer.limit_items else find_copies(items["dev"], items["train"])
    if copies:
        item, other = copies[0]
        progress.line(f"dev: {len(copies)} files are also trained on, by their content ({item.id} is {other.id}, for one); the error rate flatters")
    for name, auditor, augment in (("train", strict, config.augment), ("dev", lenient, NoAugment())):
        total = len(items[name])
        audit = auditor.audit(items[name], lambda done, name=name, total=total: progress.update(f"audit {name}: {done}/{total}"))  # type: ignore[misc]
        _describe(name, audit, progress)
        report[name] = auditor.report(audit) | {"excluded": [[f.item.id, f.kind, f.message] for f in audit.findings]}
        if not audit.usable:
            raise TrainingError(f"no {name} item can be used; {len(audit.excluded)} findings, the first: {audit.excluded[0].message}")
        units = Alphabet(config.model.units, "units") if config.model.units else None
        dataset = CtcDataset(audit.usable, config.features, config.corpus.text, alphabet, augment, config.seed, audit.shortest, cache, units=units)
        splits.append(Split(dataset, audit.frames, audit.archives))
    report["dev"]["copies"] = [[item.id, other.id] for item, other in copies]
    write_text(run_dir / AUDIT, json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    return splits[0], splits[1]


def fit_statistics(config: TrainConfig, train: Split, network: Network, progress: Progress) -> None:
    """Set the mean and deviation of features from the training items without augmentation."""
    if to_dict(config.features)["normalize"] != "corpus":
        return
    statistics = RunningStatistics(network.features.dim)
    batches = bucket_batches(train.frames, max_frames=config.trainer.batch_frames, max_items=config.trainer.max_batch_size, by_length=True)
    reader = BatchReader(replace(train.dataset, augment=NoAugment()), workers=0)
    for done, batch in enumerate(reader.read(batches, epoch=0), start=1):
        statistics.update(*network.features.raw(batch.inputs.to(network.device), batch.lengths.to(network.device)))
        progress.update(f"feature statistics: {done}/{len(batches)} batches")
    network.features.set_statistics(statistics.mean, statistics.std)


def _describe(name: str, audit: Audit, progress: Progress) -> None:
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
