"""Masks and reversal within a sequence's own length."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recognizer.models.masking import reverse, valid_frames

trials = settings(max_examples=50)
length_lists = st.lists(st.integers(0, 9), min_size=1, max_size=5)


def make(lengths: list[int], extra: int) -> tuple[torch.Tensor, torch.Tensor]:
    frames = max(lengths) + extra
    return torch.arange(len(lengths) * frames * 2.0).reshape(len(lengths), frames, 2), torch.tensor(lengths)


@trials
@given(length_lists, st.integers(0, 3))
def test_a_mask_is_true_where_frames_are_real(lengths: list[int], extra: int) -> None:
    frames = max(lengths) + extra
    mask = valid_frames(torch.tensor(lengths), frames)
    assert mask.dtype == torch.bool and mask.tolist() == [[t < length for t in range(frames)] for length in lengths]


@trials
@given(length_lists, st.integers(0, 3))
def test_reversal_is_that_of_each_sequence_and_its_own_inverse(lengths: list[int], extra: int) -> None:
    sequences, tensor = make(lengths, extra)
    mirrored = reverse(sequences, tensor)
    for row, before, length in zip(mirrored, sequences, lengths, strict=True):
        assert row[:length].tolist() == before[:length].flip(0).tolist()
        assert torch.equal(row[length:], before[length:])  # padding stays
    assert torch.equal(reverse(mirrored, tensor), sequences)


def test_gradients_go_back_to_where_frames_came_from() -> None:
    sequences, lengths = make([4, 2], 1)
    sequences.requires_grad_()
    weights = torch.arange(20.0).reshape(2, 5, 2)
    (reverse(sequences, lengths) * weights).sum().backward()
    assert sequences.grad is not None and torch.equal(sequences.grad, reverse(weights, lengths))
