"""Saliency: the gradient is what a small change of the input does; how far evidence reaches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recognizer.config import AudioFeatures, ModelConfig, RecipeConfig, Stack
from recognizer.decoding.alignment import Alignment
from recognizer.evaluation.saliency import emission_frames, reach, saliency
from recognizer.models.network import Network


@pytest.mark.parametrize("cell", ["lstm", "peephole"])
def test_the_gradient_is_a_difference_quotient(cell: str) -> None:
    torch.manual_seed(0)
    model = ModelConfig(Stack(frames=2), cell=cell, layers=1, hidden=6, uniform=0.6)
    network = Network(RecipeConfig(features=AudioFeatures(bins=4), model=model), 5).eval()
    features, lengths = torch.randn(1, 9, 4).requires_grad_(), torch.tensor([9])
    labels, frames = [1, 3, 3], [0, 2, 4]
    gradient = saliency(features, network.encode(features, lengths)[0], labels, frames)
    assert gradient.shape == (9, 4)

    def total(change: np.ndarray) -> float:
        with torch.no_grad():
            table = network.encode(features + torch.from_numpy(change)[None], lengths)[0][0].double()
        return float(sum(table[frame, label] for label, frame in zip(labels, frames, strict=True)))

    for frame, entry in ((0, 1), (4, 3), (8, 0)):
        change = np.zeros((9, 4), np.float32)
        change[frame, entry] = 0.02
        assert (total(change) - total(-change)) / 0.04 == pytest.approx(gradient[frame, entry], abs=2e-4)
    assert np.abs(gradient).max() > 0.05


def test_no_labels_hang_on_nothing() -> None:
    features = torch.randn(1, 3, 2, requires_grad=True)
    assert not saliency(features, features.log_softmax(2), [], []).any()


def test_labels_are_emitted_where_they_are_likeliest() -> None:
    table = np.log(np.array([[0.1, 0.9], [0.05, 0.95], [0.9, 0.1], [0.4, 0.6]]))
    assert emission_frames(table, Alignment((1, 1), (0, 3), (2, 4), 0.0)) == [1, 3]


def test_reach() -> None:
    norms = np.array([0, 1, 2, 1, 0, 0.4])
    assert [reach(norms, 2.5, share) for share in (0.4, 0.5, 0.9, 1.0)] == [0.0, 1.0, 1.0, 3.0]
    assert reach(np.zeros(4), 1.5, 0.9) == 0.0
