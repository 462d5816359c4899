"""Folds: whole groups, much the same in size, each scored by weights that never saw it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recognizer.config import DecoderConfig
from recognizer.data.manifest import Item, load_manifest
from recognizer.errors import ConfigError
from recognizer.evaluation.evaluate import evaluate
from recognizer.inference.recognizer import Recognizer
from recognizer.tuning.data import TuningData
from recognizer.tuning.folds import score_folds, split_folds
from recognizer.tuning.tune import tune


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
    assert len(Counter(tuple(sorted(map(tuple, split_folds(items, 3, seed)))) for seed in range(5))) == 5


def test_too_few_folds_or_groups_are_refused(items: list[Item]) -> None:
    for members, folds, message in ((items, 1, "^--folds 1: "), (items[:1], 2, "1 group only"), (items, 13, "12 groups only")):
        with pytest.raises(ConfigError, match=message):
            split_folds(members, folds, 1)


def test_every_group_is_scored_by_weights_that_never_saw_it(bundle, noisy, model) -> None:
    """Against a tuning and an evaluation of their own for each fold."""
    items, start = load_manifest(noisy), DecoderConfig(kind="beam", lm=str(model))
    recognizer = Recognizer.load(bundle, decoder=start, threads=1)
    scores = score_folds(TuningData(recognizer, items), 3, seed=2)
    assert sorted(group for fold in scores.folds for group in fold.groups) == ["g0", "g1", "g2", "g3"] and sum(f.items for f in scores.folds) == 24
    errors = tokens = 0
    for fold in scores.folds:
        tuned = tune(TuningData(recognizer, [item for item in items if item.group not in fold.groups]))
        assert replace(tuned.config, calibration=None) == fold.config and tuned.error == pytest.approx(fold.tuned)
        reader = Recognizer.load(bundle, decoder=fold.config, threads=1)
        (cer, _) = evaluate(reader, [item for item in items if item.group in fold.groups]).scores.rates.values()
        assert cer.rate == pytest.approx(fold.error)
        errors, tokens = errors + cer.counts.errors, tokens + cer.counts.reference
    pooled = scores.pooled.rates["CER"]
    assert (pooled.counts.errors, pooled.counts.reference) == (errors, tokens)
    assert (pooled.resampled, len(scores.pooled.groups)) == ("groups", 4) and pooled.low <= pooled.rate <= pooled.high
    assert scores.greedy == evaluate(Recognizer.load(bundle, decoder=DecoderConfig(), threads=1), items).scores
    # settings that the bundle has already may be due to the very groups that are scored
    settled = Recognizer.load(bundle, decoder=replace(start, lm_weight=0.77, word_score=0.3, beam_size=5, token_threshold=2.5), threads=1)
    assert score_folds(TuningData(settled, items), 3, seed=2) == scores
