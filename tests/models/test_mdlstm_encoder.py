"""The two-dimensional encoder: as many frames as it says, the same in every batch, blocks where they belong, and it learns."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from recognizer.config import LineFeatures, MdLstmFrontend, ModelConfig, RecipeConfig
from recognizer.models.mdlstm_encoder import MdLstmEncoder
from recognizer.models.network import Network

HEIGHT = 9  # not a multiple of the blocks
CONFIG = MdLstmFrontend(hidden=(2, 3, 4), units=(3, 5), block_heights=(2, 2, 2), block_widths=(2, 3, 1))


def make_encoder(config: MdLstmFrontend = CONFIG) -> MdLstmEncoder:
    torch.manual_seed(0)
    encoder = MdLstmEncoder(config)
    with torch.no_grad():
        for parameter in encoder.parameters():  # biases that turn zeros into something else
            parameter.normal_(0, 0.4)
    return encoder.eval()


def pad_columns(items: list[Tensor], extra: int) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([len(item) for item in items])
    padded = torch.zeros(len(items), int(lengths.max()) + extra, HEIGHT)
    for row, item in zip(padded, items, strict=True):
        row[: len(item)] = item
    return padded, lengths


def test_frames_foretell_the_output_and_the_stride_their_ratio() -> None:
    encoder = make_encoder()
    assert (encoder.strides, encoder.stride, encoder.dim) == ([2, 6, 6], 6, 16)
    with torch.no_grad():
        for length in range(1, 20):
            frames, lengths = encoder(torch.zeros(1, length, HEIGHT), torch.tensor([length]))
            assert frames.shape == (1, encoder.frames(length), encoder.dim)
            assert lengths.tolist() == [encoder.frames(length)] == [-(-length // encoder.stride)]
    assert encoder.frames(torch.arange(20)).tolist() == [encoder.frames(length) for length in range(20)]


def test_an_item_alone_is_the_same_as_in_a_padded_batch() -> None:
    encoder = make_encoder()
    items = [torch.randn(length, HEIGHT) for length in (23, 1, 6, 22, 7)]
    with torch.no_grad():
        alone = [encoder(item[None], torch.tensor([len(item)]))[0][0] for item in items]
        for extra in (0, 1, 7):
            frames, lengths = encoder(*pad_columns(items, extra))
            for row, length, expected in zip(frames, lengths.tolist(), alone, strict=True):
                assert length == len(expected)
                torch.testing.assert_close(row[:length], expected, atol=1e-5, rtol=0)
                assert not row[length:].any()


def test_learning_does_not_depend_on_the_amount_of_padding() -> None:
    items = [torch.randn(length, HEIGHT) for length in (13, 5, 1)]
    found = []
    for extra in (0, 9):
        encoder = make_encoder()
        frames, lengths = encoder(*pad_columns(items, extra))
        (frames[:, : int(lengths.max())].square()).sum().backward()
        found.append([parameter.grad for parameter in encoder.parameters()])
    for first, second in zip(*found, strict=True):
        torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-4)


def test_a_block_holds_its_pixels_row_by_row() -> None:
    encoder = make_encoder()
    columns = torch.arange(20.0).reshape(1, 4, 5)  # pixel (row r, column t) is 5 t + r
    maps, lengths = encoder._gather(columns.transpose(1, 2)[..., None], torch.tensor([3]), 0)
    assert maps.shape == (1, 3, 2, 4) and lengths.tolist() == [2]
    assert maps[0, 0, 1].tolist() == [10, 15, 11, 16] and maps[0, 2, 0].tolist() == [4, 9, 0, 0]


def test_frames_are_sums_over_columns_of_the_last_layer() -> None:
    encoder = make_encoder(MdLstmFrontend(hidden=(3,), units=(), block_heights=(4,), block_widths=(2,)))
    columns, lengths = torch.randn(2, 8, HEIGHT), torch.tensor([8, 5])
    frames, frame_lengths = encoder(columns, lengths)
    maps, _ = encoder._gather(columns.transpose(1, 2)[..., None], lengths, 0)
    torch.testing.assert_close(frames, encoder.scans[0](maps, frame_lengths).sum(1))


@pytest.mark.parametrize("stable", [False, True])
def test_two_lines_are_learnt_by_heart(stable: bool) -> None:
    torch.manual_seed(4)
    frontend = MdLstmFrontend(hidden=(2, 6), units=(4,), block_heights=(2, 4), block_widths=(2, 2), stable=stable)
    network = Network(RecipeConfig(LineFeatures(height=8, normalise="none"), ModelConfig(frontend, layers=0)), labels=4)
    lines = (torch.rand(2, 32, 8) < 0.3).to(torch.uint8) * 255
    lengths, targets, counts = torch.tensor([32, 25]), torch.tensor([[1, 2, 3, 3], [2, 1, 0, 0]]), torch.tensor([4, 2])
    optimiser = torch.optim.Adam(network.parameters(), 0.03)
    for _ in range(100):
        log_probs, frames = network(lines, lengths)
        loss = functional.ctc_loss(log_probs.transpose(0, 1), targets, frames, counts)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
    best = [row[:length].argmax(1).unique_consecutive() for row, length in zip(network(lines, lengths)[0], frames.tolist(), strict=True)]
    assert [[label for label in row.tolist() if label] for row in best] == [[1, 2, 3, 3], [2, 1]]
