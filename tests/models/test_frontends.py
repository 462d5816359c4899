"""Front-ends: as many frames as they say, the same for an item alone and in a padded batch; masked batch normalization against torch's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from recognizer.config import LineCnn, SpeechCnn, Stack
from recognizer.models.frontends import FrameStack, Identity, LineConvolutions, MaskedBatchNorm, MaskedConvolution, SpeechConvolutions, strided
from recognizer.models.masking import valid_frames

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


def randomize(frontend: nn.Module) -> nn.Module:
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
def test_frames_are_as_many_as_computed_from_the_length(name: str) -> None:
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
    frontend = randomize(MAKERS[name]())
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


@pytest.mark.parametrize("make", [line_cnn, speech_cnn])
def test_dropout_spares_the_first_convolution_and_evaluation(make: Callable[..., nn.Module]) -> None:
    layers = make((1, 1)).layers
    assert [layer.dropout.probability for layer in layers] == [0.0, 0.1]


def test_convolutions_learn_the_same_whatever_the_padding() -> None:
    items = [torch.randn(length, DIM) for length in (12, 5, 1)]
    for make in (line_cnn, speech_cnn):
        gradients = []
        for extra in (0, 9):
            torch.manual_seed(5)
            frontend = make((2, 1), (3, 4)).train()
            for layer in frontend.layers:
                layer.dropout.probability = 0.0
            frames, lengths = frontend(*pad_frames(items, extra))
            size = int(lengths.max())
            (frames[:, :size] * torch.linspace(-1, 1, size)[:, None]).sum().backward()
            gradients.append([parameter.grad for parameter in frontend.parameters()])
        for first, second in zip(*gradients, strict=True):
            torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("length", "stride", "expected"), [(0, 2, 0), (1, 4, 1), (4, 4, 1), (5, 4, 2), (7, 1, 7)])
def test_strided(length: int, stride: int, expected: int) -> None:
    assert strided(length, stride) == expected and int(strided(torch.tensor(length), stride)) == expected


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("inputs", [1, 2])
def test_a_convolution_is_what_it_says(inputs: int, training: bool) -> None:
    layer = randomize(MaskedConvolution(inputs, 4, (3, 3), (2, 3))).train(training)
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
    frontend = randomize(LineConvolutions(RESIDUAL)).train(training)
    columns, lengths = pad_frames([torch.randn(length, DIM) for length in (17, 8)])
    maps, widths = columns.transpose(1, 2)[:, None], lengths
    for number, layer in enumerate(frontend.layers):
        answer, widths = layer(maps, widths)
        maps = maps + answer if number == 1 else answer
    torch.testing.assert_close(frontend(columns, lengths)[0], maps.amax(dim=2).transpose(1, 2))


def test_gradients_go_past_a_convolution_that_gives_zeros() -> None:
    columns, lengths = pad_frames([torch.randn(17, DIM)])
    for residual in (False, True):
        frontend = LineConvolutions(replace(RESIDUAL, residual=residual, dropout=0.0))
        nn.init.zeros_(frontend.layers[1].norm.weight)
        nn.init.constant_(frontend.layers[1].norm.bias, -1.0)
        frontend(columns, lengths)[0].sum().backward()
        reached = frontend.layers[0].convolution.weight.grad
        assert (reached is not None and bool(reached.any())) == residual


CHANNELS, ROWS = 3, 4
NORM_LENGTHS = (7, 1, 5)


def make_norm_maps(frames: int, lengths: tuple[int, ...] = NORM_LENGTHS, mean: float = 2.0) -> tuple[Tensor, Tensor]:
    """Maps (B, C, F, T) of the same real frames whatever ``frames`` is, zero in padding."""
    torch.manual_seed(1)
    real = mean + torch.randn(len(lengths), CHANNELS, ROWS, max(lengths)) * torch.tensor([1.0, 0.5, 5.0])[:, None, None]
    maps = torch.zeros(len(lengths), CHANNELS, ROWS, frames)
    for row, source, length in zip(maps, real, lengths, strict=True):
        row[..., :length] = source[..., :length]
    return maps, torch.tensor(lengths)


def join(maps: Tensor, lengths: Tensor) -> Tensor:
    """The real frames of a batch in one row, (1, C, F, sum of T)."""
    return torch.cat([row[..., :length] for row, length in zip(maps, lengths.tolist(), strict=True)], dim=-1)[None]


def make_norms() -> tuple[MaskedBatchNorm, nn.BatchNorm2d]:
    own, other = MaskedBatchNorm(CHANNELS, momentum=0.3), nn.BatchNorm2d(CHANNELS, momentum=0.3)
    with torch.no_grad():
        for module in (own, other):
            module.weight.copy_(torch.tensor([0.5, 2.0, -1.0]))
            module.bias.copy_(torch.tensor([1.0, 0.0, -3.0]))
    return own, other


@pytest.mark.parametrize("mean", [0.0, 2.0])
def test_masked_norm_equals_batch_norm_of_the_real_frames(mean: float) -> None:
    own, other = make_norms()
    maps, lengths = make_norm_maps(9, mean=mean)
    inputs, reference = maps.clone().requires_grad_(), join(maps, lengths).requires_grad_()
    result, expected = own(inputs, lengths), other(reference)
    torch.testing.assert_close(join(result, lengths), expected, atol=3e-5, rtol=1e-4)
    weights = torch.randn(expected.shape)
    (join(result, lengths) * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(join(inputs.grad, lengths), reference.grad, atol=3e-5, rtol=1e-4)
    torch.testing.assert_close(own.weight.grad, other.weight.grad, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(own.bias.grad, other.bias.grad, atol=1e-4, rtol=1e-4)


def test_running_statistics_are_those_of_batch_norm_but_for_the_bias_of_the_variance() -> None:
    own, other = make_norms()
    factor = sum(NORM_LENGTHS) * ROWS / (sum(NORM_LENGTHS) * ROWS - 1)  # torch keeps the unbiased variance
    for mean in (0.0, 1.0, -2.0):
        maps, lengths = make_norm_maps(9, mean=mean)
        before = own.variance.clone(), other.running_var.clone()
        own(maps, lengths)
        other(join(maps, lengths))
        torch.testing.assert_close((own.variance - 0.7 * before[0]) * factor, other.running_var - 0.7 * before[1], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(own.mean, other.running_mean, atol=1e-5, rtol=1e-5)


def test_statistics_of_the_norm_and_results_do_not_depend_on_the_amount_of_padding() -> None:
    outcomes = []
    for frames in (7, 8, 30):
        own, _ = make_norms()
        maps, lengths = make_norm_maps(frames)
        outcomes.append((join(own(maps, lengths), lengths), own.mean.clone(), own.variance.clone()))
    for other in outcomes[1:]:
        for first, second in zip(outcomes[0], other, strict=True):
            torch.testing.assert_close(first, second, atol=2e-5, rtol=1e-5)


def test_a_constant_channel_stays_finite() -> None:
    own, _ = make_norms()
    maps, lengths = make_norm_maps(9)
    maps[:, 1] = 1000.1  # rounding could make the variance negative
    result = own(maps, torch.full_like(lengths, 9))
    assert torch.isfinite(result).all() and float(own.variance.min()) >= 0


def test_statistics_are_float32_under_bfloat16_maps() -> None:
    own, _ = make_norms()
    maps, lengths = make_norm_maps(9)
    exact, _ = make_norms()
    exact(maps, lengths)
    assert own(maps.bfloat16(), lengths).dtype == torch.bfloat16
    assert own.mean.dtype == torch.float32
    torch.testing.assert_close(own.mean, exact.mean, atol=5e-3, rtol=5e-3)
