"""Witnesses of two-dimensional layers: what each layer was given, and what it made of it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from recognizer.config import MdLstmFrontend
from recognizer.models.mdlstm_encoder import MdLstmEncoder
from recognizer.models.mdlstm_watching import MapWitness


@pytest.mark.parametrize("stable", [False, True])
def test_watched_outputs_are_those_of_the_layers(stable: bool) -> None:
    torch.manual_seed(0)
    encoder = MdLstmEncoder(MdLstmFrontend(hidden=(2, 3), units=(4,), block_heights=(2, 2), block_widths=(2, 3), stable=stable)).double().eval()
    lengths = torch.tensor([23, 12])
    columns = torch.randn(2, 23, 9, dtype=torch.float64) * (torch.arange(23) < lengths[:, None])[:, :, None]
    witness = MapWitness(encoder)
    with witness.listen():
        frames, counts = encoder(columns, lengths)
    assert witness.strides == [2, 6] and len(witness.scans) == 2
    lower, upper = (witness.watch(layer) for layer in range(2))
    assert lower["i"].shape == (2, 5, 12, 4, 2) and upper["c"].shape == (2, 3, 4, 4, 3)
    real = (torch.arange(4) < counts[:, None])[:, :, None]
    torch.testing.assert_close(upper["h"].flatten(3).sum(1) * real, frames.detach(), atol=1e-12, rtol=0)
    torch.testing.assert_close(lower["h"], lower["o"] * torch.tanh(lower["c"]), atol=1e-12, rtol=0)
    assert not any(scan._forward_pre_hooks for scan in witness.scans)


def test_other_front_ends_have_no_such_layers() -> None:
    assert MapWitness(nn.Identity()).scans == []
