"""Batches: complete, within their limits, the same again, and padded to few lengths."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recognizer.data.batching import plan_batches
from recognizer.data.padding import pad, padded_length

frames_lists = st.lists(st.integers(0, 500), max_size=150)
limits = {"budget": st.integers(500, 3000), "most": st.integers(1, 9), "seed": st.integers(0, 2**32), "epoch": st.integers(0, 99)}


@given(frames=frames_lists, by_length=st.booleans(), **limits)
def test_every_item_once_within_budget_and_number(frames: list[int], by_length: bool, budget: int, most: int, seed: int, epoch: int) -> None:
    batches = plan_batches(frames, budget=budget, most=most, seed=seed, epoch=epoch, by_length=by_length)
    assert sorted(index for batch in batches for index in batch) == list(range(len(frames)))
    for batch in batches:
        assert 1 <= len(batch) <= most
        assert max(frames[index] for index in batch) * len(batch) <= budget
    assert batches == plan_batches(frames, budget=budget, most=most, seed=seed, epoch=epoch, by_length=by_length)


@given(frames=frames_lists, **limits)
def test_by_length_is_ascending_and_leaves_no_room(frames: list[int], budget: int, most: int, seed: int, epoch: int) -> None:
    batches = plan_batches(frames, budget=budget, most=most, seed=seed, epoch=epoch, by_length=True)
    order = [index for batch in batches for index in batch]
    assert order == sorted(range(len(frames)), key=lambda index: (frames[index], index))
    assert batches == plan_batches(frames, budget=budget, most=most, seed=seed + 1, epoch=epoch + 1, by_length=True)
    for batch, following in pairwise(batches):  # a batch ends only where the next item would break a limit
        assert len(batch) == most or frames[following[0]] * (len(batch) + 1) > budget


def test_the_order_changes_with_epoch_and_seed() -> None:
    frames = list(range(100, 160))
    plans = {(seed, epoch): plan_batches(frames, budget=2000, most=4, seed=seed, epoch=epoch) for seed in range(3) for epoch in range(3)}
    assert len({str(plan) for plan in plans.values()}) == 9
    assert len({str(sorted(map(sorted, plan))) for plan in plans.values()}) == 1  # one pool: only the order of batches is left to chance


def test_items_change_their_company_where_there_are_many() -> None:
    frames = np.random.default_rng(0).integers(50, 500, 900).tolist()
    first, second = (plan_batches(frames, budget=10_000, most=4, seed=1, epoch=epoch) for epoch in (0, 1))
    shared = set(map(frozenset, first)) & set(map(frozenset, second))
    assert len(shared) < len(first) / 4


def test_batches_hold_items_of_similar_length() -> None:
    frames = np.random.default_rng(0).integers(50, 500, 800).tolist()
    batches = plan_batches(frames, budget=10_000, most=8, seed=1, epoch=0)
    padded = sum(max(frames[i] for i in batch) * len(batch) for batch in batches)
    assert padded < 1.05 * sum(frames)  # in chance company it is about 1.6 times as much


def test_an_item_beyond_the_budget_is_named() -> None:
    with pytest.raises(ValueError, match="item 1 has 501 frames, more than the batch budget of 500"):
        plan_batches([3, 501, 7], budget=500, most=4, seed=0, epoch=0)
    assert plan_batches([3, 500], budget=500, most=4, seed=0, epoch=0, by_length=True) == [[0], [1]]


def test_padded_lengths() -> None:
    lengths = range(1, 50_001)
    padded = [padded_length(length) for length in lengths]
    assert all(result >= length for length, result in zip(lengths, padded, strict=True))
    assert all(result - length < max(64, length / 8) for length, result in zip(lengths, padded, strict=True))
    assert padded == sorted(padded)
    assert all(padded_length(result) == result for result in set(padded))
    assert len(set(padded)) <= 80  # of 50,000: eight an octave, and every 64 below 1024
    huge = 10**9
    assert huge <= padded_length(huge) <= huge * 9 / 8


def test_padding_fills_up_with_zeros() -> None:
    arrays = [np.arange(1, 101, dtype=np.int16), np.full(3, 0.25, dtype=np.float32)]  # a stored and an augmented recording
    inputs, lengths = pad(arrays)
    assert inputs.dtype == torch.float32 and inputs.shape == (2, padded_length(100)) and lengths.tolist() == [100, 3]
    assert torch.equal(inputs[0, :100], torch.arange(1, 101) / 32768) and inputs[1, :3].tolist() == [0.25] * 3
    assert not inputs[0, 100:].any() and not inputs[1, 3:].any()
    columns, widths = pad([np.full((70, 8), 255, dtype=np.uint8), np.full((1, 8), 7, dtype=np.uint8)])
    assert columns.dtype == torch.uint8 and columns.shape == (2, padded_length(70), 8) and widths.tolist() == [70, 1]
    assert int(columns[0].sum()) == 70 * 8 * 255 and int(columns[1].sum()) == 7 * 8
