"""The attention decoder against its equations written out in numpy; steps, padding, gradients, precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from recognizer.config import Attention, Joint
from recognizer.errors import ConfigError
from recognizer.models.attention_decoder import END, AttentionDecoder

DIM, LABELS = 3, 5
LENGTHS, TARGETS = (6, 2, 4), ([2, 2, 4], [], [1])
SMALL = {"hidden_size": 4, "attention_size": 3, "filters": 2, "filter_width": 3}


def make_decoder(joint: bool = False, **settings: float) -> AttentionDecoder:
    torch.manual_seed(1)
    objective = (Joint if joint else Attention)(**(SMALL | settings))  # type: ignore[arg-type]
    decoder = AttentionDecoder(objective, DIM, LABELS).double()
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.normal_()
    return decoder


def make_batch(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Frames with noise in their padding, lengths, labels one after another, how many each item has."""
    frames = torch.randn(len(LENGTHS), max(LENGTHS) + 2, DIM, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    targets = torch.tensor([label for row in TARGETS for label in row])
    return frames, torch.tensor(LENGTHS), targets, torch.tensor([len(row) for row in TARGETS])


def spell_by_hand(decoder: AttentionDecoder, frames: np.ndarray, labels: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Log-probs (L + 1, V) and weights (L + 1, T), frame by frame and label by label."""
    w = {name: tensor.detach().numpy() for name, tensor in decoder.state_dict().items()}
    count, size, width = len(frames), len(w["output.bias"]), w["filters.weight"].shape[2]
    hidden, cell, attention = np.zeros(SMALL["hidden_size"]), np.zeros(SMALL["hidden_size"]), np.eye(count)[0]
    log_probs, weights = [], []
    for label in [END, *labels]:
        energies = []
        for t in range(count):
            seen = [attention[t + k - width // 2] if 0 <= t + k - width // 2 < count else 0.0 for k in range(width)]
            features = w["filters.weight"][:, 0] @ np.array(seen)
            inner = w["query.weight"] @ hidden + w["key.weight"] @ frames[t] + w["key.bias"] + w["location.weight"] @ features
            energies.append(float(w["energy.weight"][0] @ np.tanh(inner)))
        raw = 1 / (1 + np.exp(-np.array(energies))) if decoder.smooth else np.exp(energies)
        attention = raw / raw.sum()
        context = sum(attention[t] * frames[t] for t in range(count))
        gates = w["embedding.weight"][label] + w["recurrent.weight"] @ np.concatenate([hidden, context]) + w["recurrent.bias"]
        into, forget, candidate, out = np.split(gates, 4)
        cell = cell / (1 + np.exp(-forget)) + np.tanh(candidate) / (1 + np.exp(-into))
        hidden = np.tanh(cell) / (1 + np.exp(-out))
        logits = w["output.weight"] @ np.concatenate([hidden, context]) + w["output.bias"]
        log_probs.append(logits - np.log(np.exp(logits).sum()))
        weights.append(attention)
    assert len(log_probs[0]) == size
    return np.array(log_probs), np.array(weights)


@pytest.mark.parametrize("smooth", [False, True])
def test_equals_its_equations_for_each_item_of_a_padded_batch(smooth: bool) -> None:
    decoder, (frames, lengths, targets, counts) = make_decoder(smooth_focus=smooth), make_batch()
    spelling = decoder.spell(frames, lengths, targets, counts)
    for item, labels in enumerate(TARGETS):
        log_probs, weights = spell_by_hand(decoder, frames[item, : LENGTHS[item]].numpy(), labels)
        rows = len(labels) + 1
        np.testing.assert_allclose(spelling.log_probs[item, :rows].detach(), log_probs, atol=1e-12)
        np.testing.assert_allclose(spelling.weights[item, :rows, : LENGTHS[item]].detach(), weights, atol=1e-12)
        assert not spelling.weights[item, :, LENGTHS[item] :].any()
        assert spelling.valid[item].tolist() == [True] * rows + [False] * (4 - rows)
        assert spelling.targets[item, :rows].tolist() == [*labels, END]


def test_steps_of_many_states_write_what_known_labels_do() -> None:
    decoder, (frames, lengths, targets, counts) = make_decoder(), make_batch()
    spelling = decoder.spell(frames, lengths, targets, counts)
    memory = decoder.remember(frames, lengths)
    state, last = decoder.initial(memory, len(LENGTHS)), torch.full((len(LENGTHS),), END)
    for position in range(spelling.targets.shape[1]):
        log_probs, state = decoder.step(memory, state, last)
        torch.testing.assert_close(log_probs, spelling.log_probs[:, position])
        last = spelling.targets[:, position]
    alone = decoder.remember(frames[:1, : LENGTHS[0]], lengths[:1])  # one item that several states belong to
    states = decoder.initial(alone, 2)
    log_probs, states = decoder.step(alone, states, torch.tensor([END, END]))
    torch.testing.assert_close(log_probs, spelling.log_probs[0, :1].expand(2, -1))
    log_probs, states = decoder.step(alone, states.select(torch.tensor([1, 0, 1])), torch.tensor([3, 2, 1]))
    torch.testing.assert_close(log_probs[1], spelling.log_probs[0, 1])


def test_gradients_by_differences() -> None:
    decoder, (frames, lengths, targets, counts) = make_decoder(), make_batch()
    names = [name for name, _ in decoder.named_parameters()]
    weights = torch.randn(3, 4, LABELS, dtype=torch.float64, generator=torch.Generator().manual_seed(3))

    def loss(frames: Tensor, *parameters: Tensor) -> Tensor:
        class Spell(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.decoder = decoder

            def forward(self) -> Tensor:
                spelling = self.decoder.spell(frames, lengths, targets, counts)
                return (spelling.log_probs * weights * spelling.valid[:, :, None]).sum()

        return functional_call(Spell(), {f"decoder.{name}": tensor for name, tensor in zip(names, parameters, strict=True)}, ())

    arguments = [frames.requires_grad_(), *(parameter.detach().clone().requires_grad_() for parameter in decoder.parameters())]
    assert torch.autograd.gradcheck(loss, arguments, fast_mode=True)


def test_padding_and_the_other_items_of_a_batch_change_nothing() -> None:
    decoder, (frames, lengths, targets, counts) = make_decoder().float(), make_batch()
    frames = frames.float()
    together = decoder.spell(frames, lengths, targets, counts)
    for item, labels in enumerate(TARGETS):
        row = slice(item, item + 1)
        alone = decoder.spell(frames[row, : LENGTHS[item]], lengths[row], torch.tensor(labels, dtype=torch.long), counts[row])
        torch.testing.assert_close(together.log_probs[item, : len(labels) + 1], alone.log_probs[0], atol=1e-5, rtol=0)


def test_an_item_of_no_frames_has_finite_log_probs_and_gradients() -> None:
    decoder, (frames, _, targets, counts) = make_decoder(), make_batch()
    frames.requires_grad_()
    spelling = decoder.spell(frames, torch.tensor([6, 0, 4]), targets, counts)
    spelling.log_probs.sum().backward()
    assert torch.isfinite(spelling.log_probs).all() and torch.isfinite(frames.grad).all() and not frames.grad[1].any()


def test_reduced_precision_does_not_reach_the_recurrent_part() -> None:
    decoder, (frames, lengths, targets, counts) = make_decoder().float(), make_batch()
    frames = frames.bfloat16()
    plain = decoder.spell(frames, lengths, targets, counts).log_probs
    with torch.autocast("cpu", torch.bfloat16):
        reduced = decoder.spell(frames, lengths, targets, counts).log_probs
        memory = decoder.remember(frames, lengths)
        first, _ = decoder.step(memory, decoder.initial(memory, 3), torch.zeros(3, dtype=torch.long))
        taken = decoder.decoder_input(frames, None)
    assert reduced.dtype == taken.dtype == torch.float32
    torch.testing.assert_close(reduced, plain, atol=1e-6, rtol=0)
    torch.testing.assert_close(first, plain[:, 0], atol=1e-6, rtol=0)


def test_its_decoder_takes_frames_and_with_ctc_log_probs_in_front_of_them() -> None:
    frames, log_probs = torch.randn(2, 4, DIM), torch.randn(2, 4, LABELS)
    alone, joint = make_decoder(), make_decoder(joint=True)
    assert torch.equal(alone.decoder_input(frames, None), frames) and alone.dim == DIM
    both = joint.decoder_input(frames, log_probs)
    assert torch.equal(both[:, :, :LABELS], log_probs) and torch.equal(both[:, :, LABELS:], frames) and joint.dim == LABELS + DIM


def test_dropout_is_for_training() -> None:
    decoder, batch = make_decoder(dropout=0.5), make_batch()
    plain = make_decoder().spell(*batch).log_probs
    assert not torch.allclose(decoder.spell(*batch).log_probs, plain)
    torch.testing.assert_close(decoder.eval().spell(*batch).log_probs, plain)


@pytest.mark.parametrize(("key", "value"), [("filter_width", 4), ("hidden_size", 0), ("label_smoothing", 1.0), ("ctc_weight", 1.5)])
def test_settings_out_of_their_limits_are_refused(key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=key):
        Joint(**{key: value})  # type: ignore[arg-type]
