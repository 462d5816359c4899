"""Training batches: what augmentation does to an item depends on seed, epoch and id, and never makes it impossible."""

from __future__ import annotations

import dataclasses
import multiprocessing
import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from recognizer.config import AudioAugment, AudioFeatures, LineAugment, LineFeatures, NoAugment, TextConfig
from recognizer.data.batching import padded_length
from recognizer.data.cache import ArrayCache
from recognizer.data.dataset import Batch, BatchReader, CtcDataset, collate
from recognizer.data.loading import read_array, to_float
from recognizer.data.manifest import Item
from recognizer.errors import InputError
from recognizer.text.alphabet import Alphabet

RATE = 8000
AUDIO = AudioFeatures(sample_rate=RATE)
LINES = LineFeatures(height=16, crop=False)
TEXTS = ("abc", "aab", "c", "Ab", "bb", "cab")
AUDIO_CHANGE = AudioAugment(speed=(0.8, 1.25), gain_db=(-6.0, 6.0), noise=1.0)
LINE_CHANGE = LineAugment(probability=1.0, scale=0.2, shear=0.3, elastic=0.05, noise=0.1)


@pytest.fixture
def recordings(tmp_path: Path) -> CtcDataset:
    items = []
    for number, text in enumerate(TEXTS):
        samples = 0.3 * np.sin(np.arange(2000 + 400 * number) * (0.1 + 0.05 * number))
        soundfile.write(tmp_path / f"{number}.wav", samples, RATE, subtype="PCM_16")
        items.append(Item(f"u{number}", tmp_path / f"{number}.wav", text=text))
    return CtcDataset(items, AUDIO, TextConfig(case="lower"), Alphabet(("a", "b", "c")), AUDIO_CHANGE, 7, [0] * len(items))


@pytest.fixture
def pictures(tmp_path: Path) -> CtcDataset:
    items = []
    for number, text in enumerate(TEXTS):
        pixels = np.full((16, 60 + 10 * number), 240, dtype=np.uint8)
        pixels[3:13, 5::9] = pixels[7:9, 5:-5] = 10
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        items.append(Item(f"u{number}", tmp_path / f"{number}.png", text=text))
    return CtcDataset(items, LINES, TextConfig(case="lower"), Alphabet(("a", "b", "c")), LINE_CHANGE, 7, [0] * len(items))


@pytest.fixture(params=["recordings", "pictures"])
def dataset(request: pytest.FixtureRequest) -> CtcDataset:
    return request.getfixturevalue(request.param)


def collect(batches: list[Batch]) -> dict[str, np.ndarray]:
    """Arrays by id, without padding."""
    return {name: row[:length].numpy() for b in batches for name, row, length in zip(b.ids, b.inputs, b.lengths.tolist(), strict=True)}


def same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> bool:
    return first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)


def test_augmentation_does_not_depend_on_workers_order_or_batches(dataset: CtcDataset) -> None:
    plain = collect(list(BatchReader(dataset, 0).read([[0, 1, 2], [3, 4, 5]], 2)))
    assert len(plain) == len(dataset) == 6
    assert same(plain, collect(list(BatchReader(dataset, 0).read([[5], [2, 4], [3, 1, 0]], 2))))
    batches = list(BatchReader(dataset, 2).read([[0, 1, 2], [3, 4, 5]], 2))
    assert [batch.ids for batch in batches] == [("u0", "u1", "u2"), ("u3", "u4", "u5")]
    assert same(plain, collect(batches))
    moved = dataclasses.replace(dataset, items=dataset.items[::-1])  # another index, the same id
    assert same(plain, collect(list(BatchReader(moved, 0).read([[0, 1, 2, 3, 4, 5]], 2))))


def test_augmentation_depends_on_seed_epoch_and_id(dataset: CtcDataset) -> None:
    base = dataset[2, 0][1]
    renamed = dataclasses.replace(dataset, items=[dataclasses.replace(item, id=item.id + "x") for item in dataset.items])
    for other in (dataset[3, 0][1], dataclasses.replace(dataset, seed=8)[2, 0][1], renamed[2, 0][1]):
        assert base.shape != other.shape or not np.array_equal(base, other)
    again = pickle.loads(pickle.dumps(dataset))  # as it reaches worker processes that are not forked
    assert again.items == dataset.items and np.array_equal(base, again[2, 0][1])


def test_without_augmentation_items_come_as_they_are_stored(dataset: CtcDataset) -> None:
    for plain, epoch in ((dataclasses.replace(dataset, augment=NoAugment()), 5), (dataclasses.replace(dataset, clean_epochs=2), 1)):
        for index, item in enumerate(dataset.items):
            name, array, labels, units = plain[epoch, index]
            assert units is None  # the network writes none
            assert name == item.id and np.array_equal(array, read_array(item.source, dataset.features))
            assert plain.alphabet.decode(labels) == TEXTS[index].lower()
    assert np.array_equal(plain[2, 1][1], dataset[2, 1][1])  # its clean epochs are over


def test_the_cache_is_read_in_place_of_the_source(dataset: CtcDataset, tmp_path: Path) -> None:
    expected = collect(list(BatchReader(dataset, 0).read([[0, 1, 2]], 1)))
    cache = ArrayCache(tmp_path / "cache", dataset.features)
    for item in dataset.items[:3]:
        cache.add(item.source, read_array(item.source, dataset.features))
    cached = dataclasses.replace(dataset, cache=cache)
    assert same(expected, collect(list(BatchReader(cached, 0).read([[0, 1, 2]], 1))))
    cache.add(dataset.items[1].source, np.zeros_like(dataset.read(1)))
    assert not cached.read(1).any()
    assert np.array_equal(cached.read(5), dataset.read(5))  # not in the cache


def test_an_augmentation_that_leaves_too_few_frames_is_not_made(dataset: CtcDataset) -> None:
    lengths = {epoch: len(dataset[epoch, 1][1]) for epoch in range(12)}
    plain = dataset.read(1)
    assert min(lengths.values()) < len(plain) < max(lengths.values())
    strict = dataclasses.replace(dataset, shortest=[len(plain)] * len(dataset))
    for epoch, length in lengths.items():
        assert np.array_equal(strict[epoch, 1][1], plain if length < len(plain) else dataset[epoch, 1][1])


def test_collate_shapes_and_targets(dataset: CtcDataset) -> None:
    bare = dataclasses.replace(dataset, augment=NoAugment())
    batch = collate([bare[0, index] for index in (3, 1, 2)])
    arrays = [to_float(bare.read(index)) for index in (3, 1, 2)]
    assert batch.ids == ("u3", "u1", "u2")
    assert batch.inputs.shape == (3, padded_length(max(map(len, arrays))), *arrays[0].shape[1:])
    assert batch.inputs.dtype == (torch.float32 if arrays[0].ndim == 1 else torch.uint8)
    assert batch.lengths.tolist() == [len(array) for array in arrays] and batch.lengths.dtype == torch.int64
    for row, array in zip(batch.inputs, arrays, strict=True):
        assert np.array_equal(row[: len(array)], array) and not row[len(array) :].any()
    assert batch.targets.tolist() == [1, 2, 1, 1, 2, 3] and batch.target_lengths.tolist() == [2, 3, 1]
    assert batch.targets.dtype == torch.int64
    moved = batch.to(torch.device("cpu"))
    assert moved.ids == batch.ids and torch.equal(moved.inputs, batch.inputs) and torch.equal(moved.targets, batch.targets)


def test_items_that_should_have_been_audited(recordings: CtcDataset) -> None:
    untold = dataclasses.replace(recordings, items=[dataclasses.replace(recordings.items[0], text=None)])
    with pytest.raises(ValueError, match="u0 has no transcript"):
        untold[0, 0]
    foreign = dataclasses.replace(recordings, items=[dataclasses.replace(recordings.items[0], text="xyz")])
    with pytest.raises(InputError, match="not in the alphabet: 'x'"):
        foreign[0, 0]


@pytest.mark.parametrize("workers", [0, 1])
def test_one_reader_serves_epoch_after_epoch(dataset: CtcDataset, workers: int) -> None:
    reader = BatchReader(dataset, workers)
    first = collect(list(reader.read([[0, 1], [2, 3]], 0)))
    next(reader.read([[4], [3], [2], [1], [0]], 1))  # given up after one batch, as at a time limit
    second = collect(list(reader.read([[2, 3], [0, 1]], 1)))
    assert first.keys() == second.keys() and not same(first, second)
    assert same(first, collect(list(reader.read([[3], [2], [1, 0]], 0))))


def test_a_closed_reader_leaves_no_process(dataset: CtcDataset) -> None:
    others = set(multiprocessing.active_children())
    reader = BatchReader(dataset, 1)
    batches = reader.read([[0], [1], [2]], 0)
    next(batches)  # the others are on their way
    started = set(multiprocessing.active_children()) - others
    assert len(started) == 1
    reader.close()
    assert not started & set(multiprocessing.active_children())
    BatchReader(dataset, 0).close()
