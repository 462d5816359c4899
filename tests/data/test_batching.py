"""Batches: complete, within their limits, the same again, and padded to few lengths."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recognizer.data.batching import bucket_batches, pad, padded_length

FRAMES = st.lists(st.integers(0, 500), max_size=150)
LIMITS = st.fixed_dictionaries({"max_frames": st.integers(500, 3000), "max_items": st.integers(1, 9)})
PLACE = st.fixed_dictionaries({"seed": st.integers(0, 2**32), "epoch": st.integers(0, 99)})


@given(FRAMES, LIMITS, PLACE, st.booleans())
def test_every_item_once_within_both_limits(frames: list[int], limits: dict[str, int], place: dict[str, int], by_length: bool) -> None:
    batches = bucket_batches(frames, by_length=by_length, **limits, **place)
    assert sorted(index for batch in batches for index in batch) == list(range(len(frames)))
    for batch in batches:
        assert 1 <= len(batch) <= limits["max_items"]
        assert max(frames[index] for index in batch) * len(batch) <= limits["max_frames"]
    assert batches == bucket_batches(frames, by_length=by_length, **limits, **place)


@given(FRAMES, LIMITS, PLACE)
def test_by_length_is_ascending_and_fills_every_batch(frames: list[int], limits: dict[str, int], place: dict[str, int]) -> None:
    batches = bucket_batches(frames, by_length=True, **limits)
    order = [index for batch in batches for index in batch]
    assert order == sorted(range(len(frames)), key=lambda index: (frames[index], index))
    assert batches == bucket_batches(frames, by_length=True, **limits, **place)
    for batch, following in pairwise(batches):  # a batch ends only where the next item would break a limit
        assert len(batch) == limits["max_items"] or frames[following[0]] * (len(batch) + 1) > limits["max_frames"]


def test_the_order_changes_with_epoch_and_seed() -> None:
    frames = list(range(100, 160))
    plans = [bucket_batches(frames, max_frames=2000, max_items=4, seed=seed, epoch=epoch) for seed in range(3) for epoch in range(3)]
    assert len(set(map(str, plans))) == 9
    assert len({str(sorted(map(sorted, plan))) for plan in plans}) == 1  # one pool: only the order of batches is random


def test_many_items_are_mixed_anew_with_others_of_similar_length() -> None:
    frames = np.random.default_rng(0).integers(50, 500, 900).tolist()
    first, second = (bucket_batches(frames, max_frames=10_000, max_items=4, seed=1, epoch=epoch) for epoch in (0, 1))
    assert len(set(map(frozenset, first)) & set(map(frozenset, second))) < len(first) / 4
    padded = sum(max(frames[i] for i in batch) * len(batch) for batch in first)
    assert padded < 1.05 * sum(frames)  # in random batches it is about 1.6 times as much


def test_an_item_beyond_the_budget_is_named() -> None:
    with pytest.raises(ValueError, match="item 1 has 501 frames, more than the batch budget of 500"):
        bucket_batches([3, 501, 7], max_frames=500, max_items=4)
    assert bucket_batches([3, 500], max_frames=500, max_items=4, by_length=True) == [[0], [1]]


def test_padded_lengths() -> None:
    lengths = range(1, 50_001)
    padded = [padded_length(length) for length in lengths]
    assert all(0 <= result - length < max(64, length / 8) for length, result in zip(lengths, padded, strict=True))
    assert padded == sorted(padded) and all(padded_length(result) == result for result in set(padded))
    assert len(set(padded)) <= 80  # of 50,000: eight an octave, and every 64 below 1024
    assert 10**9 <= padded_length(10**9) <= 10**9 * 9 / 8


def test_padding_fills_up_with_zeros() -> None:
    arrays = [np.arange(1, 101, dtype=np.int16), np.full(3, 0.25, dtype=np.float32)]  # a stored and an augmented recording
    inputs, lengths = pad(arrays)
    assert inputs.dtype == torch.float32 and inputs.shape == (2, padded_length(100)) and lengths.tolist() == [100, 3]
    assert torch.equal(inputs[0, :100], torch.arange(1, 101) / 32768) and inputs[1, :3].tolist() == [0.25] * 3
    assert not inputs[0, 100:].any() and not inputs[1, 3:].any()
    columns, widths = pad([np.full((70, 8), 255, dtype=np.uint8), np.full((1, 8), 7, dtype=np.uint8)])
    assert columns.dtype == torch.uint8 and columns.shape == (2, padded_length(70), 8) and widths.tolist() == [70, 1]
    assert int(columns[0].sum()) == 70 * 8 * 255 and int(columns[1].sum()) == 7 * 8


@given(FRAMES, LIMITS, PLACE, st.integers(1, 4), st.integers(1, 5))
def test_few_archives_are_read_at_a_time(frames, limits, place, archives, open_archives):
    numbers = [index * archives // max(1, len(frames)) for index in range(len(frames))]
    batches = bucket_batches(frames, archives=numbers, open_archives=open_archives, **limits, **place)
    assert sorted(index for batch in batches for index in batch) == list(range(len(frames)))
    order = [numbers[index] for batch in batches for index in batch]
    for at in range(len(order)):  # archives begun and not yet left behind
        assert len(set(order[: at + 1]) & set(order[at:])) <= open_archives
