"""Training batches: stored arrays and labels, augmented, padded and read ahead by worker processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from recognizer.alphabet import Alphabet
from recognizer.config import AudioAugment, AudioFeatures, LineAugment, LineFeatures, NoAugment, TextConfig
from recognizer.data.audit import required_frames
from recognizer.data.cache import ArrayCache
from recognizer.data.manifest import Item
from recognizer.data.transcripts import target
from recognizer.features.audio_augment import augment_audio
from recognizer.features.chance import item_generator
from recognizer.features.line_augment import augment_line
from recognizer.features.reading import read_array, to_float

Key = tuple[int, int]  # epoch, index of the item


@dataclass(frozen=True)
class Batch:
    """Padded items of one step.

    Attributes:
        ids: of the items.
        inputs: float32 samples (B, N) or uint8 columns (B, W, H), padded with zeros; ``lengths`` (B,) int64.
        targets: labels of all items one after another (sum of L,); ``target_lengths`` (B,).
    """

    ids: tuple[str, ...]
    inputs: Tensor
    lengths: Tensor
    targets: Tensor
    target_lengths: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device; target lengths stay where they are."""
        return Batch(self.ids, self.inputs.to(device, non_blocking=True), self.lengths.to(device), self.targets.to(device), self.target_lengths)


def padded_length(length: int) -> int:
    """A length rounded up to one of sixteen steps in each octave.

    oneDNN compiles and keeps its kernels for every tensor shape it meets: without the steps, hours of training meet
    thousands of shapes, and both time and memory go there.
    """
    step = max(64, 1 << max(0, (length - 1).bit_length() - 4))
    return -(-length // step) * step


def pad(arrays: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Stored arrays as one zero-padded tensor (B, N) float32 or (B, W, H) uint8, with lengths (B,)."""
    lengths = torch.tensor([len(array) for array in arrays])
    whole = [to_float(array) for array in arrays]
    padded = np.zeros((len(whole), padded_length(int(lengths.max())), *whole[0].shape[1:]), dtype=whole[0].dtype)
    for row, array in zip(padded, whole, strict=True):
        row[: len(array)] = array
    return torch.from_numpy(padded), lengths


@dataclass(frozen=True)
class TrainingItems(Dataset[tuple[str, np.ndarray, list[int]]]):
    """Items addressed by (epoch, index); what augmentation does to one depends on the seed, the epoch and its id only."""

    items: Sequence[Item]
    features: AudioFeatures | LineFeatures
    text: TextConfig
    alphabet: Alphabet
    augment: NoAugment | AudioAugment | LineAugment
    seed: int
    output_frames: Callable[[int], int]  # frames left for CTC, from the length of a stored array
    cache: ArrayCache | None = None

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, key: Key) -> tuple[str, np.ndarray, list[int]]:
        """Id, stored array and labels of an item."""
        epoch, index = key
        item, array = self.items[index], self.read(index)
        transcript = target(item, self.text)
        if transcript is None:
            raise ValueError(f"{item.id} has no transcript; training items are audited first")
        labels = self.alphabet.encode(transcript)
        changed = self._augment(array, epoch, item.id)
        # a change that leaves fewer frames than the labels need would make the loss infinite
        fits = self.output_frames(len(changed)) >= required_frames(labels)
        return item.id, changed if fits else array, labels

    def read(self, index: int) -> np.ndarray:
        """Stored array of an item, from the cache if it is there."""
        source = self.items[index].source
        kept = self.cache.get(source) if self.cache is not None else None
        return read_array(source, self.features) if kept is None else kept

    def _augment(self, array: np.ndarray, epoch: int, item_id: str) -> np.ndarray:
        generator = item_generator(self.seed, epoch, item_id)
        if isinstance(self.augment, AudioAugment) and isinstance(self.features, AudioFeatures):
            return augment_audio(to_float(array), self.features.sample_rate, self.augment, generator)
        if isinstance(self.augment, LineAugment):
            return np.ascontiguousarray(augment_line(array.T, self.augment, generator).T)
        return array


def collate(samples: Sequence[tuple[str, np.ndarray, list[int]]]) -> Batch:
    """Join items into a batch."""
    ids, arrays, labels = zip(*samples, strict=True)
    inputs, lengths = pad(arrays)
    targets = torch.tensor([label for row in labels for label in row], dtype=torch.long)
    return Batch(ids, inputs, lengths, targets, torch.tensor([len(row) for row in labels]))


def load_batches(items: TrainingItems, batches: Sequence[Sequence[int]], epoch: int, workers: int) -> Iterator[Batch]:
    """Read batches in order, ``workers`` processes ahead of the caller."""
    keys = [[(epoch, index) for index in batch] for batch in batches]
    loader: DataLoader[Batch] = DataLoader(
        items,
        batch_sampler=keys,  # type: ignore[arg-type]
        collate_fn=collate,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        pin_memory=torch.cuda.is_available(),
    )
    return iter(loader)
