from __future__ import annotations

import numpy as np
import pytest
import torch

from recognizer.utils.statistics import RunningStatistics


def test_batches_add_up_to_the_whole() -> None:
    rng = np.random.default_rng(0)
    items = [rng.normal(1e4, 2.0, (n, 3)) * [1, 0, 1] + [0, 5, -1e6] for n in (7, 1, 40, 3)]
    statistics = RunningStatistics(3)
    for pair in (items[:2], items[2:]):
        longest = max(map(len, pair)) + 2
        features = torch.full((2, longest, 3), float("nan"), dtype=torch.float64)
        for i, item in enumerate(pair):
            features[i, : len(item)] = torch.from_numpy(item)
        statistics.update(features, torch.tensor([len(item) for item in pair]))
    whole = np.concatenate(items)
    assert statistics.count == len(whole) == 51
    np.testing.assert_allclose(statistics.mean, whole.mean(0), rtol=1e-6)
    np.testing.assert_allclose(statistics.std[[0, 2]], whole.std(0)[[0, 2]], rtol=1e-5)
    assert float(statistics.std[1]) == 1.0  # constant


def test_nothing_seen_and_nan_are_errors() -> None:
    statistics = RunningStatistics(2)
    statistics.update(torch.full((1, 3, 2), float("nan")), torch.tensor([0]))
    with pytest.raises(ValueError, match="no frames"):
        _ = statistics.mean
    with pytest.raises(ValueError, match="NaN"):
        statistics.update(torch.full((1, 3, 2), float("nan")), torch.tensor([1]))
