"""The convolutional LSTM: kernels of all widths, how a frame lies, what it starts from and what it refuses."""

from __future__ import annotations

import pytest
import torch

from recognizer.config import CellSettings
from recognizer.errors import ConfigError
from recognizer.models.cells.conv_lstm import Cell
from tests.models.cells import properties
from tests.models.cells.references import CASES

POSITIONS, BELOW, CHANNELS = 4, 3, 2
INPUTS, HIDDEN = BELOW * POSITIONS, CHANNELS * POSITIONS


def make(peepholes: bool = True, kernel: int = 3, positions: int = POSITIONS) -> Cell:
    cell = Cell(INPUTS, HIDDEN, CellSettings(peepholes=peepholes, kernel=kernel, positions=positions)).double()
    properties.shake(cell)
    return cell


@pytest.mark.parametrize("kernel", [1, 9])
@pytest.mark.parametrize("peepholes", [True, False])
def test_equals_the_equations_forward_and_backward(peepholes: bool, kernel: int) -> None:
    cell = make(peepholes, kernel)
    frames, lengths = properties.draw_batch(INPUTS)
    frames, *state = properties.leaves(cell, frames)
    expected = properties.unroll(cell, CASES["conv_lstm"].step(cell), frames, lengths, tuple(state))
    properties.compare_gradients(cell, cell(frames, lengths, tuple(state), carry=True), expected, lengths, [frames, *state])


def test_a_frame_holds_channel_after_channel() -> None:
    cell = make(peepholes=False)
    frames = torch.zeros(1, 1, INPUTS, dtype=torch.float64)
    frames[0, 0, POSITIONS + 1] = 1.0  # channel 1, position 1
    with torch.no_grad():
        cell.bias.zero_()
        cell.input_kernel[:, [0, 2]] = 0  # channel 1 alone is read
    maps = cell(frames, torch.tensor([1])).outputs[0, 0].view(CHANNELS, POSITIONS)
    assert (maps[:, :3] != 0).all() and (maps[:, 3] == 0).all()  # positions 0 to 2 see it through a kernel of 3


def test_two_directions_are_a_map_for_the_next_layer() -> None:
    joined = Cell(2 * HIDDEN, HIDDEN, CellSettings(kernel=3, positions=POSITIONS))
    assert joined.input_kernel.shape == (4 * CHANNELS, 2 * CHANNELS, 3)


def test_starting_weights() -> None:
    torch.manual_seed(0)
    cell = Cell(INPUTS, HIDDEN, CellSettings(kernel=3, positions=POSITIONS))
    bound = 1 / (CHANNELS * 3) ** 0.5
    assert (cell.bias.abs() < bound).all() and not cell.peepholes.any()
    assert cell.hidden_kernel.abs().max() < bound < 2 * cell.hidden_kernel.abs().max()


@pytest.mark.parametrize("positions", [0, 3, 8])  # 3 divides the frame only, 8 the hidden size only
def test_refuses_positions_that_do_not_fit(positions: int) -> None:
    wanted = "the 12 entries of a frame and model.hidden_size=8: the number of mel bands or rows, 4 or a divisor of it"
    with pytest.raises(ConfigError, match=f"model.recurrent.positions: {positions} must divide {wanted}"):
        make(positions=positions)
