"""Witnesses of whole encoders: what each cell was given, in time order, however the encoder ran it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from recognizer.config import ModelConfig
from recognizer.models.recurrent import RecurrentStack
from recognizer.models.watching import Witness
from tests.models.cells.properties import draw_batch, shake


@pytest.mark.parametrize(("name", "truncate"), [("lstm", 0), ("gru", 3), ("highway", 3), ("time_aware", 3)])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_watched_outputs_are_the_encoder_s(name: str, truncate: int, bidirectional: bool) -> None:
    encoder = RecurrentStack(4, ModelConfig(cell=name, layers=2, hidden=4, truncate=truncate, bidirectional=bidirectional)).double().eval()
    shake(encoder, scale=0.5)
    frames, lengths = draw_batch(4, (8, 5))
    gaps = torch.linspace(0.5, 9, 16, dtype=torch.float64).view(2, 8)
    witness = Witness(encoder)
    with witness.listen():
        outputs = encoder(frames, lengths, gaps)
    sides = ["forwards", "backwards"][: 1 + bidirectional]
    assert list(witness.cells) == [(layer, side) for layer in range(2) for side in sides]
    seen = torch.cat([witness.watch(1, side)["h"] for side in sides], dim=2)  # type: ignore[arg-type]
    real = (torch.arange(8) < lengths[:, None])[:, :, None]
    torch.testing.assert_close(seen * real, outputs.detach(), atol=1e-12, rtol=0)
    assert not any(cell._forward_pre_hooks for cell in witness.cells.values())


def test_an_encoder_without_layers_has_no_cells() -> None:
    assert Witness(nn.Identity()).cells == {}
