"""How much of what was learnt is kept: half where a few lines of a single page say nothing of others."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from recognizer.data.manifest import Item
from recognizer.training.adapt_network import mix_weights
from recognizer.training.adapt_recipe import choose_share


@pytest.mark.parametrize(
    ("groups", "modality", "share"),
    [(["p"] * 59, "line", 0.5), (["p"] * 60, "line", 1.0), (["p"] * 20 + ["q"], "line", 1.0), ([None] * 20, "line", 1.0), (["p"] * 20, "audio", 1.0)],
)
def test_few_lines_of_one_page_are_learnt_by_half(groups, modality, share):
    assert choose_share([Item(str(n), Path("x.png"), group=group) for n, group in enumerate(groups)], modality) == share


def test_the_mean_of_weights():
    old = {"a": torch.tensor([0.0, 2.0]), "count": torch.tensor(3)}
    new = {"a": torch.tensor([4.0, 2.0]), "count": torch.tensor(5)}
    mixed = mix_weights(old, new, 0.25)
    assert mixed["a"].tolist() == [1.0, 2.0] and mixed["count"] == 5
