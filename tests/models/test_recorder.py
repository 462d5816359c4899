"""Recording whole encoders and two-dimensional layers: the inputs of each cell, in the order of time, however the encoder ran it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from recognizer.config import MdLstmFrontend, ModelConfig
from recognizer.models.encoder import Encoder
from recognizer.models.mdlstm import MdLstmEncoder
from recognizer.models.recorder import MapRecorder, StateRecorder
from tests.models.cells.properties import draw_batch, real_frames, shake


@pytest.mark.parametrize(("name", "tbptt_frames"), [("lstm", 0), ("gru", 3), ("highway", 3), ("time_aware", 3)])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_recorded_outputs_are_those_of_the_encoder(name: str, tbptt_frames: int, bidirectional: bool) -> None:
    encoder = Encoder(4, ModelConfig(cell=name, num_layers=2, hidden_size=4, tbptt_frames=tbptt_frames, bidirectional=bidirectional)).double().eval()
    shake(encoder, scale=0.5)
    frames, lengths = draw_batch(4, (8, 5))
    gaps = torch.linspace(0.5, 9, 16, dtype=torch.float64).view(2, 8)
    recorder = StateRecorder(encoder)
    with recorder.recording():
        outputs = encoder(frames, lengths, gaps)
    sides = ["forwards", "backwards"][: 1 + bidirectional]
    assert list(recorder.cells) == [(layer, side) for layer in range(2) for side in sides]
    seen = torch.cat([recorder.states(1, side)["h"] for side in sides], dim=2)  # type: ignore[arg-type]
    torch.testing.assert_close(seen * real_frames(frames, lengths), outputs.detach(), atol=1e-12, rtol=0)
    assert not any(cell._forward_pre_hooks for cell in recorder.cells.values())


@pytest.mark.parametrize("stable", [False, True])
def test_recorded_maps_are_those_of_the_layers(stable: bool) -> None:
    torch.manual_seed(0)
    encoder = MdLstmEncoder(MdLstmFrontend(hidden_sizes=(2, 3), units=(4,), block_heights=(2, 2), block_widths=(2, 3), stable=stable)).double().eval()
    lengths = torch.tensor([23, 12])
    columns = torch.randn(2, 23, 9, dtype=torch.float64) * (torch.arange(23) < lengths[:, None])[:, :, None]
    recorder = MapRecorder(encoder)
    with recorder.recording():
        frames, counts = encoder(columns, lengths)
    assert recorder.strides == [2, 6] and len(recorder.scans) == 2
    lower, upper = (recorder.states(layer) for layer in range(2))
    assert lower["i"].shape == (2, 5, 12, 4, 2) and upper["c"].shape == (2, 3, 4, 4, 3)
    torch.testing.assert_close(upper["h"].flatten(3).sum(1) * real_frames(frames, counts), frames.detach(), atol=1e-12, rtol=0)
    torch.testing.assert_close(lower["h"], lower["o"] * torch.tanh(lower["c"]), atol=1e-12, rtol=0)
    assert not any(scan._forward_pre_hooks for scan in recorder.scans)


def test_other_modules_have_no_such_layers() -> None:
    assert StateRecorder(nn.Identity()).cells == {} and MapRecorder(nn.Identity()).scans == []
