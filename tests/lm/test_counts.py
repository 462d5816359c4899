"""Sorting in parts is sorting, and packing keeps the order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recognizer.lm import counts
from recognizer.lm.counts import Packing, SortedRuns


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 3), st.integers(2, 40), st.lists(st.integers(0, 30), max_size=12), st.integers(0, 2**32))
def test_parts_on_disk_are_merged_in_order(tmp_path_factory, monkeypatch, keys, limit, sizes, seed) -> None:
    monkeypatch.setattr(counts, "MIN_BLOCK", 2)
    monkeypatch.setattr(counts, "MAX_RUNS", 3)
    generator = np.random.default_rng(seed)
    folder = tmp_path_factory.mktemp("runs")
    runs, expected = SortedRuns(keys, limit, folder), {}
    for size in sizes:
        rows = generator.integers(0, 4, (keys + 2, size)).astype(np.uint64)
        rows[:keys] += np.uint64(2**64 - 4)  # the highest bit counts
        runs.add(rows)
        for column in rows.T.tolist():
            sums = expected.setdefault(tuple(column[:keys]), [0, 0])
            sums[0] += column[keys]
            sums[1] += column[keys + 1]
    blocks = list(runs.blocks())
    found = [tuple(column) for block in blocks for column in block.T.tolist()]
    assert found == [(*key, *sums) for key, sums in sorted(expected.items())]
    assert all(block.shape[1] for block in blocks) and len(list(folder.iterdir())) <= 3
    runs.close()
    assert list(folder.iterdir()) == []


def test_memory_is_bounded_by_the_limit(tmp_path) -> None:
    runs = SortedRuns(1, 5000, tmp_path)
    generator = np.random.default_rng(1)
    for _ in range(50):
        runs.add(np.stack([generator.integers(0, 2**60, 1000), np.ones(1000)]).astype(np.uint64))
    blocks = [block.shape[1] for block in runs.blocks()]
    assert sum(blocks) == 50_000 and max(blocks) <= 8 * counts.MIN_BLOCK + 5000


@pytest.mark.parametrize(("size", "order"), [(1, 1), (2, 70), (4, 3), (100, 7), (65536, 4), (65537, 4), (2**31, 5)])
def test_packing_keeps_order_and_ids(size, order) -> None:
    packing = Packing(size, order)
    ids = np.random.default_rng(1).integers(0, size, (order, 50))
    ids[:, 0], ids[:, 1] = 0, size - 1
    packed = packing.pack(list(ids))
    assert packed.shape == (packing.columns, 50) and packing.columns == -(-order // (64 // max(1, (size - 1).bit_length())))
    assert np.array_equal(np.stack(packing.unpack(packed)), ids)
    assert np.array_equal(np.lexsort(packed[::-1]), np.lexsort(ids[::-1]))
