"""Splits of a corpus that keep speakers and writers apart."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from recognizer.config.schema import require
from recognizer.data.manifest import Item
from recognizer.errors import ConfigError

SPLITS = ("train", "dev", "test")  # the usual names, in the order in which they are written
Key = tuple[str, str]  # ("group", name), or ("item", id) for an item without a group, so that the two never collide


@dataclass(frozen=True)
class SplitPlan:
    """How the items that a corpus does not assign itself are divided."""

    dev: float = 0.0  # share of the items, taken as whole groups
    test: float = 0.0
    dev_every: int = 0  # > 0: every so many-th group goes to dev instead of a share
    seed: int = 1
    name: str | None = None  # one manifest of this name takes everything

    def __post_init__(self) -> None:
        """Refuse shares and steps that leave a split empty, and two ways to the same split."""
        require(0 <= self.dev < 1, "dev", "is a share of the items, 0 or more and below 1")
        require(0 <= self.test < 1, "test", "is a share of the items, 0 or more and below 1")
        require(self.dev + self.test < 1, "dev", "dev and test together leave nothing to train on")
        require(self.dev_every == 0 or self.dev_every >= 2, "dev_every", "every group would be held out; take 2 or more")
        require(not (self.dev and self.dev_every), "dev_every", "give a share (dev) or a step (dev_every), not both")
        require(self.name is None or not self.divides, "name", "everything goes into one manifest, so no split can be asked for")

    @property
    def divides(self) -> bool:
        """Whether a split is asked for."""
        return bool(self.dev or self.test or self.dev_every)


def group_key(item: Item) -> Key:
    """What an item is split by: its group, or itself where it has none."""
    return ("item", item.id) if item.group is None else ("group", item.group)


def split_by_group(items: Sequence[Item], shares: Mapping[str, float], seed: int) -> dict[str, list[Item]]:
    """Hold out whole groups until each split has about its share of the items.

    Groups are ordered by a hash of the seed and their name, so neither the order of ``items`` nor the presence of other groups
    changes a group's place; each split then takes the groups, in this order, that bring it nearer to its share.

    Args:
        items: those of one group end up in one split; an item without a group is a group of its own.
        shares: of the items, by split name; what remains is "train".
        seed: another one gives another split.

    Returns:
        The items of "train" and of every key of ``shares``, each in the order of ``items``; no list is empty.

    Raises:
        ConfigError: there are fewer groups than splits.
    """
    sizes = Counter(map(group_key, items))
    asked = {name: share for name, share in shares.items() if share > 0}
    if len(sizes) <= len(asked):
        raise ConfigError(f"{len(sizes)} group{'s' * (len(sizes) != 1)} cannot be divided into train and {' and '.join(asked)} "
                          "without parting a group; name finer groups or ask for fewer splits")
    order = sorted(sizes, key=lambda key: (hashlib.sha256(repr((seed, *key)).encode()).digest(), key))
    place: dict[Key, str] = {}
    for position, (name, share) in enumerate(asked.items()):
        target, filled = share * len(items), 0
        spare = len(order) - (len(asked) - position)  # the later splits and train need one group each
        free = [key for key in order if key not in place]
        for key in free:
            if filled + sizes[key] / 2 <= target and len(place) < spare:
                place[key] = name
                filled += sizes[key]
        if not filled:
            place[min(free, key=lambda key: sizes[key])] = name
    parts: dict[str, list[Item]] = {name: [] for name in ("train", *asked)}
    for item in items:
        parts[place.get(group_key(item), "train")].append(item)
    return parts


def every_nth_group(items: Iterable[Item], n: int) -> tuple[list[Item], list[Item]]:
    """Hold out the n-th, 2n-th, ... group in sorted order; return (kept, held out), each in the order of ``items``.

    Raises:
        ConfigError: ``n`` is below 2 or there are fewer than ``n`` groups.
    """
    items = list(items)
    groups = sorted({group_key(item) for item in items})
    if n < 2 or len(groups) < n:
        raise ConfigError(f"every {n}-th of {len(groups)} groups cannot be held out; take a number from 2 to {len(groups)}")
    held = set(groups[n - 1::n])
    return [item for item in items if group_key(item) not in held], [item for item in items if group_key(item) in held]


def divide(items: Sequence[Item], plan: SplitPlan) -> dict[str, list[Item]]:
    """Divide a corpus: items with ``meta["split"]`` go where it says, those of "train" and those without it as planned.

    Returns:
        Items by split, without ``meta["split"]`` because the manifest now says it; a single split "all" when neither the corpus
        nor the plan divides them.

    Raises:
        ConfigError: the plan asks for a split that the corpus itself has, or there are too few groups.
    """
    if plan.name is not None:
        return {plan.name: list(items)}
    fixed: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        fixed[item.meta.get("split", "train")].append(item)
    pool = fixed.pop("train", [])
    for name, asked in (("dev", plan.dev or plan.dev_every), ("test", plan.test)):
        if asked and name in fixed:
            raise ConfigError(f"{name}: the corpus has its own {name} split ({len(fixed[name])} items); do not ask for another")
    if not plan.divides and all("split" not in item.meta for item in items):
        return {"all": pool}
    held: list[Item] = []
    if plan.dev_every:
        pool, held = every_nth_group(pool, plan.dev_every)
    parts = split_by_group(pool, {"dev": plan.dev, "test": plan.test}, plan.seed) if plan.dev or plan.test else {"train": pool}
    if held:
        parts["dev"] = held
    parts.update(fixed)
    names = sorted(parts, key=lambda name: (SPLITS.index(name) if name in SPLITS else len(SPLITS), name))
    return {name: [_without_split(item) for item in parts[name]] for name in names if parts[name]}


def _without_split(item: Item) -> Item:
    return replace(item, meta={key: value for key, value in item.meta.items() if key != "split"})
