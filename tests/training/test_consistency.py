"""The divergence between two views: against the formula item by item, and that each view only learns from the other."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import kl_div

from recognizer.training.consistency import divergences
from recognizer.training.loop import Tally
from tests.training.test_loop import first_batch, make_learner


def views(seed: int, lengths: list[int], labels: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2 * len(lengths), max(lengths) + 2, labels, generator=generator, dtype=torch.float64)
    return logits.log_softmax(dim=2), torch.tensor(lengths * 2)


def test_it_is_the_mean_of_both_divergences_of_the_real_frames() -> None:
    log_probs, lengths = views(1, [5, 3])
    for item, length in enumerate([5, 3]):
        one, other = log_probs[item, :length], log_probs[2 + item, :length]
        expected = (kl_div(one, other, log_target=True, reduction="sum") + kl_div(other, one, log_target=True, reduction="sum")) / 2
        assert divergences(log_probs, lengths)[item] == pytest.approx(float(expected), rel=1e-12)


def test_equal_views_do_not_diverge_and_padding_does_not_count() -> None:
    log_probs, lengths = views(2, [4, 2])
    log_probs[2, :4], log_probs[3, :2] = log_probs[0, :4], log_probs[1, :2]
    assert divergences(log_probs, lengths).tolist() == [0.0, 0.0]


def test_no_gradient_flows_through_the_teacher() -> None:
    log_probs, lengths = views(3, [3])
    logits = log_probs.clone().requires_grad_()
    divergences(logits.log_softmax(dim=2), lengths).sum().backward()
    one, other = log_probs[:, :3].exp()
    # the gradient of KL(teacher || softmax(z)) is softmax(z) - teacher, for each view with the other as a constant
    torch.testing.assert_close(logits.grad[:, :3], torch.stack([one - other, other - one]) / 2)
    assert not logits.grad[:, 3:].any()


SPEECH = {"augment": {"kind": "audio", "time_masks": 2, "frequency_masks": 1}}


def test_the_step_adds_it_to_the_mean_loss_of_both_views(tones, tmp_path) -> None:
    plain, paired = (make_learner(tones, tmp_path / name, SPEECH | {"trainer.consistency": w}) for name, w in (("plain", 0.0), ("paired", 0.3)))
    batch, network = first_batch(paired), paired.network
    features, lengths = network.features(batch.inputs, batch.lengths)
    masked = [paired._vary(features, lengths, batch, view) for view in (0, 1)]
    assert not torch.equal(*masked)
    network.train()
    outputs = [network.encode(view, lengths) for view in masked]
    losses = [
        torch.nn.functional.ctc_loss(log_probs.transpose(0, 1), batch.targets, frames, batch.target_lengths, reduction="sum")
        for log_probs, _, frames in outputs
    ]  # fmt: skip
    apart = divergences(torch.cat([outputs[0][0], outputs[1][0]]), outputs[0][2].repeat(2)).sum()
    objective = (losses[0] + losses[1]) / 2 + 0.3 * apart
    (objective / int(batch.target_lengths.sum())).backward()
    expected = {name: p.grad.clone() for name, p in network.named_parameters()}
    network.zero_grad()
    tally = Tally()
    paired._learn(batch, 0, tally)
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-4, atol=1e-6)
    assert apart > 0
    assert tally.loss == pytest.approx(float(losses[0].detach() + losses[1].detach()) / 2, rel=1e-5)
    assert (tally.items, tally.frames) == (3, int(lengths.sum()))
    tally = Tally()
    plain.network.train()
    plain._learn(batch, 0, tally)
    assert tally.loss == pytest.approx(float(losses[0].detach()), rel=1e-5)
