"""Splits by group: disjoint, complete, near their share, and the same however the corpus is listed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recognizer.data.manifest import Item
from recognizer.data.split import SplitPlan, divide, every_nth_group, group_key, split_by_group
from recognizer.errors import ConfigError

# the same examples on every run, and no limit of time that a busy machine could miss
trials = settings(suppress_health_check=[HealthCheck.too_slow])


def make_items(groups: list[str | None], **meta: str) -> list[Item]:
    return [Item(f"u{number:04d}", Path(f"/x/{number}.wav"), text="a", group=group, meta=dict(meta)) for number, group in enumerate(groups)]


def membership(parts: dict[str, list[Item]]) -> dict[str, str]:
    return {item.id: name for name, items in parts.items() for item in items}


group_lists = st.lists(st.one_of(st.none(), st.sampled_from("abcdefghijkl")), min_size=1, max_size=60)


@trials
@given(group_lists, st.floats(0.01, 0.45), st.floats(0.01, 0.45), st.integers(0, 5), st.randoms(use_true_random=False))
def test_random_groups(groups: list[str | None], dev: float, test: float, seed: int, rng: random.Random) -> None:
    items = make_items(groups)
    if len({group_key(item) for item in items}) < 3:
        with pytest.raises(ConfigError, match="cannot be divided"):
            split_by_group(items, {"dev": dev, "test": test}, seed)
        return
    parts = split_by_group(items, {"dev": dev, "test": test}, seed)
    assert list(parts) == ["train", "dev", "test"] and all(parts.values())
    assert sorted(item.id for part in parts.values() for item in part) == [item.id for item in items]
    keys = [{group_key(item) for item in part} for part in parts.values()]
    assert sum(map(len, keys)) == len(set().union(*keys))
    for part in parts.values():
        assert [item.id for item in part] == sorted(item.id for item in part)
    shuffled = items[:]
    rng.shuffle(shuffled)
    assert membership(split_by_group(shuffled, {"dev": dev, "test": test}, seed)) == membership(parts)


@trials
@given(st.integers(10, 80), st.integers(1, 4), st.floats(0.05, 0.4))
def test_groups_of_one_size_meet_the_share_to_half_a_group(count: int, size: int, share: float) -> None:
    items = make_items([f"g{number:02d}" for number in range(count) for _ in range(size)])
    taken = len(split_by_group(items, {"dev": share}, 1)["dev"])
    if share * count >= 0.5:
        assert abs(taken - share * len(items)) <= size / 2 + 1e-9
    else:
        assert taken == size


def test_a_group_too_large_for_a_share_is_passed_over() -> None:
    items = make_items(["big"] * 50 + [f"s{number}" for number in range(50)])
    for seed in range(20):
        assert all(item.group != "big" for item in split_by_group(items, {"dev": 0.1}, seed)["dev"])


def test_the_smallest_group_is_taken_where_all_are_too_large() -> None:
    items = make_items(["a"] * 40 + ["b"] * 30 + ["c"] * 30 + ["d"] * 20)
    for seed in range(10):
        assert {item.group for item in split_by_group(items, {"dev": 0.01}, seed)["dev"]} == {"d"}


def test_seeds_differ() -> None:
    items = make_items([f"g{number}" for number in range(30)])
    assert len({tuple(i.id for i in split_by_group(items, {"dev": 0.2}, seed)["dev"]) for seed in range(6)}) > 3


def test_an_item_named_like_a_group_is_not_in_it() -> None:
    items = [Item("a", Path("/x"), group=None), Item("b", Path("/x"), group="a"), Item("c", Path("/x"), group="a")]
    parts = split_by_group(items, {"dev": 0.34}, 0)
    assert [item.id for item in parts["dev"]] == ["a"]


def test_every_nth_group_in_sorted_order() -> None:
    items = make_items(["s7", "s1", "s3", "s2", "s5", "s4", "s6", "s1"])
    kept, held = every_nth_group(items, 3)
    assert [item.group for item in held] == ["s3", "s6"]
    assert [item.group for item in kept] == ["s7", "s1", "s2", "s5", "s4", "s1"]


@pytest.mark.parametrize("n", [0, 1, 4])
def test_every_nth_group_needs_that_many(n: int) -> None:
    with pytest.raises(ConfigError, match="groups cannot be held out"):
        every_nth_group(make_items(["a", "b", "c"]), n)


def test_divide_respects_the_corpus() -> None:
    items = [*make_items(["a", "b", "c", "d"], split="train"), Item("t", Path("/t"), group="t", meta={"split": "test", "sex": "f"})]
    parts = divide(items, SplitPlan(dev_every=4))
    assert {name: [item.group for item in part] for name, part in parts.items()} == {"train": ["a", "b", "c"], "dev": ["d"], "test": ["t"]}
    assert parts["test"][0].meta == {"sex": "f"} and parts["train"][0].meta == {}
    with pytest.raises(ConfigError, match="own test split"):
        divide(items, SplitPlan(test=0.2))


def test_divide_without_splits_or_with_a_name() -> None:
    items = make_items(["a", "b"])
    assert divide(items, SplitPlan()) == {"all": items}
    named = make_items(["a", "b"], split="test")
    assert divide(named, SplitPlan(name="dev")) == {"dev": named}


@pytest.mark.parametrize(("settings", "key"), [
    ({"dev": 1.0}, "dev"), ({"test": -0.1}, "test"), ({"dev": 0.5, "test": 0.5}, "dev"), ({"dev_every": 1}, "dev_every"),
    ({"dev_every": 5, "dev": 0.1}, "dev_every"), ({"name": "x", "test": 0.1}, "name"), ({"dev": float("nan")}, "dev"),
])
def test_plans_that_make_no_sense(settings: dict[str, float], key: str) -> None:
    with pytest.raises(ConfigError, match=f"^{key}:"):
        SplitPlan(**settings)  # type: ignore[arg-type]
