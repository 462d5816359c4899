"""Front-ends: as many frames as they say, the same for an item alone and in a padded batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from recognizer.config import LineCnn, SpeechCnn, Stack
from recognizer.models.convolution import MaskedConvolution, strided
from recognizer.models.frame_stack import FrameStack
from recognizer.models.line_cnn import LineConvolutions
from recognizer.models.masked_norm import MaskedBatchNorm
from recognizer.models.masking import valid_frames
from recognizer.models.network import Identity
from recognizer.models.speech_cnn import SpeechConvolutions

# the second of these adds to what it reads
RESIDUAL = LineCnn(channels=(3, 3, 3, 4), time_strides=(2, 1, 2, 1), height_strides=(2, 1, 1, 1), residual=True, dropout=0)
DIM = 9  # features of a frame, or rows of a line
STRIDES = list(product((1, 2, 3, 4), repeat=2))


def line_cnn(strides: tuple[int, int], channels: tuple[int, int] = (2, 2)) -> LineConvolutions:
    return LineConvolutions(LineCnn(channels=channels, time_strides=strides, height_strides=(2, 1)))


def speech_cnn(strides: tuple[int, int], channels: tuple[int, int] = (2, 2)) -> SpeechConvolutions:
    return SpeechConvolutions(SpeechCnn(channels=channels, time_strides=strides, frequency_strides=(2, 2), output=3), DIM)


MAKERS: dict[str, Callable[[], nn.Module]] = {
    "none": lambda: Identity(DIM),
    **{f"stack {n}": lambda n=n: FrameStack(Stack(frames=n), DIM) for n in (1, 2, 3, 5, 32)},  # type: ignore[misc]
    **{f"line {s}": lambda s=s: line_cnn(s) for s in STRIDES},  # type: ignore[misc]
    "residual line": lambda: LineConvolutions(RESIDUAL),
    **{f"speech {s}": lambda s=s: speech_cnn(s) for s in STRIDES},  # type: ignore[misc]
}


def randomise(frontend: nn.Module) -> nn.Module:
    """Weights and statistics that turn zeros into something else, as training does."""
    torch.manual_seed(3)
    with torch.no_grad():
        for module in frontend.modules():
            if isinstance(module, MaskedBatchNorm):
                module.mean.normal_()
                module.variance.uniform_(0.5, 2)
                module.bias.uniform_(0.5, 1)
    return frontend.eval()


def pad_frames(items: list[Tensor], extra: int = 0) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([len(item) for item in items])
    padded = torch.zeros(len(items), int(lengths.max()) + extra, *items[0].shape[1:])
    for row, item in zip(padded, items, strict=True):
        row[: len(item)] = item
    return padded, lengths


@pytest.mark.parametrize("name", MAKERS)
def test_frames_foretell_the_output_and_the_stride_their_ratio(name: str) -> None:
    frontend = MAKERS[name]().eval()
    with torch.no_grad():
        for length in range(1, 51):
            frames, lengths = frontend(torch.zeros(1, length, DIM), torch.tensor([length]))
            assert frames.shape == (1, frontend.frames(length), frontend.dim)
            assert lengths.tolist() == [frontend.frames(length)] == [-(-length // frontend.stride)]
    many = torch.arange(0, 51)
    assert frontend.frames(many).tolist() == [frontend.frames(length) for length in range(51)]
    assert isinstance(frontend.frames(50), int) and isinstance(frontend.stride, int)


def test_strides_are_products_of_those_of_the_layers() -> None:
    assert [MAKERS[name]().stride for name in ("none", "stack 5", "line (2, 3)", "speech (4, 2)")] == [1, 5, 6, 8]


@pytest.mark.parametrize("name", ["none", "stack 3", "line (2, 3)", "line (1, 1)", "residual line", "speech (2, 2)", "speech (1, 3)"])
def test_an_item_alone_is_the_same_as_in_a_padded_batch(name: str) -> None:
    frontend = randomise(MAKERS[name]())
    items = [torch.randn(length, DIM) for length in (23, 1, 6, 22, 7)]
    with torch.no_grad():
        alone = [frontend(item[None], torch.tensor([len(item)]))[0][0] for item in items]
        for extra in (0, 1, 5):
            frames, lengths = frontend(*pad_frames(items, extra))
            for row, length, expected in zip(frames, lengths.tolist(), alone, strict=True):
                assert length == len(expected)
                torch.testing.assert_close(row[:length], expected, atol=1e-5, rtol=0)
                assert not row[length:].any()  # what follows in the network relies on it


def test_stacked_frames_are_joined_in_order_and_the_last_filled_with_zeros() -> None:
    features = torch.arange(1.0, 11.0).reshape(1, 5, 2)
    frames, lengths = FrameStack(Stack(frames=3), 2)(features, torch.tensor([5]))
    assert frames.tolist() == [[[1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 0, 0]]] and lengths.tolist() == [2]


def test_masked_convolution_equals_convolution_norm_and_rectifier_of_the_unpadded_items() -> None:
    torch.manual_seed(0)
    layer = MaskedConvolution(2, 4, (3, 3), (2, 2))
    items = [torch.randn(length, 6, 2) for length in (11, 1, 4)]  # time first, to be padded
    padded, lengths = pad_frames(items, 3)
    maps, out_lengths = layer(padded.permute(0, 3, 2, 1), lengths)
    alone = [functional.conv2d(item.permute(2, 1, 0)[None], layer.convolution.weight, stride=2, padding=1) for item in items]
    expected = functional.relu(functional.batch_norm(torch.cat(alone, dim=3), None, None, training=True))
    real = torch.cat([row[..., :length] for row, length in zip(maps, out_lengths.tolist(), strict=True)], dim=2)[None]
    torch.testing.assert_close(real, expected, atol=1e-5, rtol=1e-5)
    assert not maps.masked_select(~valid_frames(out_lengths, maps.shape[3])[:, None, None, :]).any()


def test_masked_convolution_in_evaluation_uses_the_running_statistics() -> None:
    layer = MaskedConvolution(2, 4, (3, 3), (2, 2))
    randomise(layer)
    maps, norm = torch.randn(2, 2, 6, 11), layer.norm
    convolved = functional.conv2d(maps, layer.convolution.weight, stride=2, padding=1)
    expected = functional.relu(functional.batch_norm(convolved, norm.mean, norm.variance, norm.weight, norm.bias, eps=norm.epsilon))
    torch.testing.assert_close(layer(maps, torch.tensor([11, 11]))[0], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("make", [line_cnn, speech_cnn])
def test_dropout_spares_the_first_convolution_and_evaluation(make: Callable[..., nn.Module]) -> None:
    layers = make((1, 1)).layers
    assert [layer.dropout.p for layer in layers] == [0.0, 0.1]


def test_convolutions_learn_the_same_whatever_the_padding() -> None:
    items = [torch.randn(length, DIM) for length in (12, 5, 1)]
    for make in (line_cnn, speech_cnn):
        gradients = []
        for extra in (0, 9):
            torch.manual_seed(5)
            frontend = make((2, 1), (3, 4)).train()
            for layer in frontend.layers:
                layer.dropout.p = 0.0
            frames, lengths = frontend(*pad_frames(items, extra))
            size = int(lengths.max())
            (frames[:, :size] * torch.linspace(-1, 1, size)[:, None]).sum().backward()
            gradients.append([parameter.grad for parameter in frontend.parameters()])
        for first, second in zip(*gradients, strict=True):
            torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-4)


def test_line_frames_are_the_maximum_over_rows() -> None:
    frontend = randomise(line_cnn((1, 1)))
    line = torch.rand(1, 10, DIM)
    frames, _ = frontend(line, torch.tensor([10]))
    maps = line.transpose(1, 2)[:, None]
    for layer in frontend.layers:
        maps, _ = layer(maps, torch.tensor([10]))
    torch.testing.assert_close(frames[0], maps[0].max(dim=1).values.T)


@pytest.mark.parametrize(("length", "stride", "expected"), [(0, 2, 0), (1, 4, 1), (4, 4, 1), (5, 4, 2), (7, 1, 7)])
def test_strided(length: int, stride: int, expected: int) -> None:
    assert strided(length, stride) == expected and int(strided(torch.tensor(length), stride)) == expected


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("inputs", [1, 2])
def test_a_convolution_is_what_it_says(inputs: int, training: bool) -> None:
    layer = randomise(MaskedConvolution(inputs, 4, (3, 3), (2, 3))).train(training)
    lengths = torch.tensor([10, 7])
    maps = torch.randn(2, inputs, 6, 10) * valid_frames(lengths, 10)[:, None, None, :]
    kernels = layer.convolution.weight.detach().clone()
    plain = functional.conv2d(maps, kernels, None, (2, 3), (1, 1)).double()
    mask = valid_frames(strided(lengths, 3), plain.shape[3])[:, None, None, :]
    real = plain.permute(0, 2, 3, 1)[mask[:, 0].expand(-1, plain.shape[2], -1)]  # (N, C)
    mean, variance = (real.mean(0), real.var(0, correction=0)) if training else (layer.norm.mean.double(), layer.norm.variance.double())
    scale = layer.norm.weight.double() / (variance + layer.norm.epsilon).sqrt()
    wanted = ((plain - mean[:, None, None]) * scale[:, None, None] + layer.norm.bias.double()[:, None, None]).relu() * mask
    maps.requires_grad_()
    found, _ = layer(maps, lengths)
    torch.testing.assert_close(found.double(), wanted, atol=1e-5, rtol=1e-5)
    found.square().sum().backward()
    assert layer.convolution.weight.grad is not None and maps.grad is not None
    assert bool(layer.convolution.weight.grad.any()) and bool(maps.grad.any())


@pytest.mark.parametrize("training", [False, True])
def test_convolutions_that_keep_the_shape_add_to_what_they_read(training: bool) -> None:
    frontend = randomise(LineConvolutions(RESIDUAL)).train(training)
    columns, lengths = pad_frames([torch.randn(length, DIM) for length in (17, 8)])
    maps, widths = columns.transpose(1, 2)[:, None], lengths
    for number, layer in enumerate(frontend.layers):
        answer, widths = layer(maps, widths)
        maps = maps + answer if number == 1 else answer
    torch.testing.assert_close(frontend(columns, lengths)[0], maps.amax(dim=2).transpose(1, 2))


def test_gradients_go_past_a_convolution_that_answers_nothing() -> None:
    columns, lengths = pad_frames([torch.randn(17, DIM)])
    for residual in (False, True):
        frontend = LineConvolutions(replace(RESIDUAL, residual=residual, dropout=0.0))
        nn.init.zeros_(frontend.layers[1].norm.weight)
        nn.init.constant_(frontend.layers[1].norm.bias, -1.0)
        frontend(columns, lengths)[0].sum().backward()
        reached = frontend.layers[0].convolution.weight.grad
        assert (reached is not None and bool(reached.any())) == residual
