"""The highway layer against its equation."""

from __future__ import annotations

import torch

from recognizer.models.highway import Highway


def make() -> Highway:
    torch.manual_seed(0)
    return Highway(4).double()


def test_equals_the_equation_forward_and_backward() -> None:
    layer, frames = make(), torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    w, w_t = layer.linear.weight.chunk(2)
    b, b_t = layer.linear.bias.chunk(2)
    t = torch.sigmoid(frames @ w_t.T + b_t)
    expected = torch.tanh(frames @ w.T + b) * t + frames * (1 - t)
    own = layer(frames)
    torch.testing.assert_close(own, expected, atol=1e-12, rtol=0)
    leaves = [frames, *layer.parameters()]
    gradients = [torch.autograd.grad(result.square().sum(), leaves) for result in (own, expected)]
    torch.testing.assert_close(*gradients, atol=1e-11, rtol=0)
    assert torch.autograd.gradcheck(layer, frames)


def test_a_new_layer_lets_its_frames_through() -> None:
    layer, frames = make(), torch.randn(100, 4, dtype=torch.float64) / 10
    assert torch.all(layer.linear.bias[4:] == -2)
    torch.testing.assert_close(layer(frames), frames, atol=0.15, rtol=0)
    with torch.no_grad():
        layer.linear.bias[4:] = -50
    torch.testing.assert_close(layer(frames), frames, atol=1e-15, rtol=0)
    with torch.no_grad():
        layer.linear.bias[4:] = 50
    torch.testing.assert_close(layer(frames), torch.tanh(layer.linear(frames)[:, :4]), atol=1e-15, rtol=0)


def test_bf16_and_export() -> None:
    layer, frames = make().float(), torch.randn(2, 3, 4)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(frames).dtype == torch.float32
        torch.testing.assert_close(layer(frames), make()(frames.double()).float(), atol=0.02, rtol=0)
    exported = torch.export.export(layer, (frames,)).module()
    torch.testing.assert_close(exported(frames), layer(frames))
