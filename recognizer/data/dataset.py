"""Training batches: stored arrays and labels, augmented, padded and read ahead by worker processes."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from recognizer.audio.augment import augment_audio
from recognizer.config import AudioAugment, AudioFeatures, Augment, Features, LineAugment, StrokeAugment, StrokeFeatures, TextConfig
from recognizer.data.batching import pad
from recognizer.data.cache import ArrayCache
from recognizer.data.loading import read_array, to_float
from recognizer.data.manifest import Item, target_in_frames
from recognizer.image.augment import augment_line
from recognizer.strokes.augment import augment_strokes
from recognizer.text.alphabet import Alphabet
from recognizer.utils.seeding import item_rng

Key = tuple[int, int]  # epoch, index of the item
Sample = tuple[str, np.ndarray, list[int], list[int] | None]  # id, stored array, labels, labels of units if there are any


@dataclass(frozen=True)
class UnitTargets:
    """What a second output learns to write of the items of a batch.

    Attributes:
        labels: of all items one after another (sum of U,); ``lengths`` (B,).
        known: (B,) whether the item says what its units are; of others there are none among the labels.
    """

    labels: Tensor
    lengths: Tensor
    known: Tensor


@dataclass(frozen=True)
class Batch:
    """Padded items of one step.

    Attributes:
        ids: of the items.
        inputs: float32 samples (B, N), uint8 columns (B, W, H) or float32 points (B, T, 5), padded with zeros; ``lengths`` (B,) int64.
        targets: labels of all items one after another (sum of L,); ``target_lengths`` (B,).
        units: of a network that writes units below its characters.
    """

    ids: tuple[str, ...]
    inputs: Tensor
    lengths: Tensor
    targets: Tensor
    target_lengths: Tensor
    units: UnitTargets | None = None

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device; target lengths stay where they are."""
        units = self.units and replace(self.units, labels=self.units.labels.to(device), known=self.units.known.to(device))
        return replace(
            self, inputs=self.inputs.to(device, non_blocking=True), lengths=self.lengths.to(device), targets=self.targets.to(device), units=units
        )


@dataclass(frozen=True)
class CtcDataset(Dataset[Sample]):
    """Items addressed by (epoch, index), with their labels; augmentation of an item depends on the seed, the epoch and its id only.

    Attributes:
        shortest: for each item, the least length of its stored array that leaves its labels enough frames.
        clean_epochs: first epochs without augmentation.
        units: alphabet of the units, where the network writes them besides the text.
    """

    items: Sequence[Item]
    features: Features
    text: TextConfig
    alphabet: Alphabet
    augment: Augment
    seed: int
    shortest: Sequence[int]
    cache: ArrayCache | None = None
    clean_epochs: int = 0
    units: Alphabet | None = None

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, key: Key) -> Sample:
        """Id, stored array and labels of an item, and those of its units."""
        epoch, index = key
        item, array = self.items[index], self.read(index)
        transcript = target_in_frames(item, self.text, self.features)
        if transcript is None:
            raise ValueError(f"{item.id} has no transcript; training items are audited first")
        augmented = self._augment(array, epoch, item.id)
        # fewer frames than the labels need would make the loss infinite
        fits = len(augmented) >= self.shortest[index]
        units = None if self.units is None or item.units is None else self.units.encode(item.units)
        return item.id, augmented if fits else array, self.alphabet.encode(transcript), units

    def read(self, index: int) -> np.ndarray:
        """Stored array of an item, from the cache if it is there."""
        source = self.items[index].source
        kept = self.cache.get(source) if self.cache is not None else None
        return read_array(source, self.features) if kept is None else kept

    def _augment(self, array: np.ndarray, epoch: int, item_id: str) -> np.ndarray:
        if epoch < self.clean_epochs:
            return array
        generator = item_rng(self.seed, epoch, item_id)
        if isinstance(self.augment, AudioAugment) and isinstance(self.features, AudioFeatures):
            return augment_audio(to_float(array), self.features.sample_rate, self.augment, generator)
        if isinstance(self.augment, LineAugment):
            return np.ascontiguousarray(augment_line(array.T, self.augment, generator).T)
        if isinstance(self.augment, StrokeAugment) and isinstance(self.features, StrokeFeatures):
            return augment_strokes(array, self.augment, self.features.spacing, generator)
        return array


def collate(samples: Sequence[Sample]) -> Batch:
    """Join items into a batch."""
    ids, arrays, labels, units = zip(*samples, strict=True)
    inputs, lengths = pad(arrays)
    found = None
    if any(row is not None for row in units):
        found = UnitTargets(*_join([row or [] for row in units]), torch.tensor([row is not None for row in units]))
    return Batch(ids, inputs, lengths, *_join(labels), found)


def _join(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Labels of all items one after another, and how many each has."""
    return torch.tensor([label for row in rows for label in row], dtype=torch.long), torch.tensor([len(row) for row in rows])


def _ignore_signals(worker: int) -> None:
    """Ctrl-C reaches every process of a terminal; only the training process answers it, and it ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


class BatchReader:
    """Reads batches of items ahead of the caller, in processes that are started once.

    A process forked anew each epoch would share the memory of the training process, and every page that either of them
    then writes is copied: seconds an epoch, and twice the memory.

    Args:
        dataset: what is read.
        workers: processes; 0 reads in the calling process.
    """

    def __init__(self, dataset: CtcDataset, workers: int) -> None:
        self._keys: list[list[Key]] = []
        self._loader: DataLoader[Batch] = DataLoader(
            dataset,  # type: ignore[arg-type]
            batch_sampler=self._keys,
            collate_fn=collate,
            num_workers=workers,
            prefetch_factor=4 if workers else None,
            persistent_workers=workers > 0,
            worker_init_fn=_ignore_signals,
            pin_memory=torch.cuda.is_available(),
        )

    def read(self, batches: Sequence[Sequence[int]], epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, given as lists of item indices, in order; ends any reading begun before."""
        self._keys[:] = [[(epoch, index) for index in batch] for batch in batches]
        return iter(self._loader)

    def close(self) -> None:
        """End the processes; they ignore the signal that would stop them at the end of the program."""
        iterator = self._loader._iterator
        if iterator is not None:
            iterator._shutdown_workers()  # type: ignore[attr-defined]  # the loader has no public way
            self._loader._iterator = None
