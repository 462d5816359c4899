"""Readings between the layers: what they add, where they stand, and that they begin without a say."""

from __future__ import annotations

import torch

from recognizer.config import ModelConfig
from recognizer.models.masking import valid_frames
from recognizer.models.recurrent import RecurrentStack

LABELS = 6


def make_stack(layers: int = 3, **settings: float) -> RecurrentStack:
    torch.manual_seed(0)
    return RecurrentStack(5, ModelConfig(layers=layers, hidden=4, conditioning=0.3, **settings), LABELS)


def speak_up(stack: RecurrentStack) -> None:
    """Give the readings something to say."""
    for condition in stack.conditions:
        torch.nn.init.normal_(condition.back.weight)


def test_the_layer_above_reads_the_frames_and_what_was_read_in_them() -> None:
    stack = make_stack()
    speak_up(stack)
    frames, lengths = torch.randn(2, 7, 5), torch.tensor([7, 4])
    found, readings = stack.read(frames, lengths)
    assert len(readings) == len(stack.conditions) == 2
    for layer, condition, reading in zip(stack.layers, stack.conditions, readings, strict=False):
        hidden = layer(frames, lengths)[0]
        probs = (hidden @ condition.output.weight.T + condition.output.bias).softmax(dim=-1)
        for row, length in enumerate(lengths.tolist()):
            torch.testing.assert_close(reading[row, :length].exp(), probs[row, :length])
        frames = hidden + probs @ condition.back.weight.T
    expected = stack.layers[2](frames, lengths)[0] * valid_frames(lengths, 7)[:, :, None]
    torch.testing.assert_close(found, expected)


def test_fresh_conditioning_changes_nothing_but_learns() -> None:
    stack, frames, lengths = make_stack(), torch.randn(2, 7, 5), torch.tensor([7, 4])
    found = stack(frames, lengths)
    conditions, stack.conditions = stack.conditions, torch.nn.ModuleList()
    assert torch.equal(found, stack(frames, lengths))
    found.square().sum().backward()
    assert all(condition.back.weight.grad.abs().sum() > 0 for condition in conditions)


def test_one_direction_reads_on_from_a_state_as_it_reads_at_once() -> None:
    stack = make_stack(bidirectional=False)
    speak_up(stack)
    frames, lengths = torch.randn(2, 7, 5), torch.tensor([7, 7])
    first, states = stack.stream(frames[:, :3], torch.tensor([3, 3]))
    rest, _ = stack.stream(frames[:, 3:], torch.tensor([4, 4]), states)
    torch.testing.assert_close(torch.cat([first, rest], dim=1), stack(frames, lengths))


def test_an_encoder_without_it_has_no_weights_for_it() -> None:
    assert len(RecurrentStack(5, ModelConfig(layers=3, hidden=4)).conditions) == 0
