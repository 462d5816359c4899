"""Folds: whole groups, much the same in size, the same whatever the order of the items."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from recognizer.data.manifest import Item
from recognizer.errors import ConfigError
from recognizer.tuning_folds import split_folds


@pytest.fixture
def items() -> list[Item]:
    """Nine groups of 1 to 9 items, and three items without one, of which one is called as a group is."""
    grouped = [Item(f"{group}-{n}", Path("a.wav"), text="a", group=f"s{group}") for group in range(1, 10) for n in range(group)]
    return [*grouped, *(Item(name, Path("a.wav"), text="a") for name in ("s1", "x", "y"))]


@pytest.mark.parametrize("folds", [2, 3, 5, 12])
def test_whole_groups_and_each_item_once(items: list[Item], folds: int) -> None:
    parts = split_folds(items, folds, seed=1)
    assert len(parts) == folds and sorted(n for part in parts for n in part) == list(range(len(items))) and all(parts)
    for group in {item.group for item in items} - {None}:
        assert sum(any(items[n].group == group for n in part) for part in parts) == 1
    sizes = list(map(len, parts))
    assert max(sizes) - min(sizes) <= 9  # the largest group


def test_the_seed_decides_and_the_order_does_not(items: list[Item]) -> None:
    def name(part: list[int], among: list[Item]) -> list[str]:
        return sorted(among[n].id for n in part)

    mixed = [items[n] for n in np.random.default_rng(3).permutation(len(items))]
    assert [name(p, items) for p in split_folds(items, 3, 1)] == [name(p, mixed) for p in split_folds(mixed, 3, 1)]
    seen = Counter(tuple(sorted(map(tuple, split_folds(items, 3, seed)))) for seed in range(5))
    assert len(seen) == 5


def test_what_cannot_be_parted(items: list[Item]) -> None:
    for folds in (0, 1):
        with pytest.raises(ConfigError, match=f"^--folds {folds}: "):
            split_folds(items, folds, 1)
    with pytest.raises(ConfigError, match="the items have 1 group only"):
        split_folds(items[:1], 2, 1)
    with pytest.raises(ConfigError, match="the items have 12 groups only"):
        split_folds(items, 13, 1)
