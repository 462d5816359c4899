"""The transducer loss against sums over all alignments and a float64 recursion, with its gradients; training with it from start to bundle."""

from __future__ import annotations

import copy
import json
import math
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from recognizer.bundle.io import load_bundle
from recognizer.config import Transducer
from recognizer.data.dataset import Batch
from recognizer.errors import Interrupted, TrainingError
from recognizer.inference.recognizer import Recognizer
from recognizer.models.transducer import TransducerHead
from recognizer.training import transducer_loss as module
from recognizer.training.run import train
from recognizer.training.transducer_loss import pretrain_prediction, transducer_loss
from recognizer.utils.device import has_bf16

JOINTS = ("additive", "tanh")
WHOLE = 1 << 30
TEXTS, LENGTHS = [[1, 2, 1], [], [3, 3], [2, 1], [1]], [5, 3, 4, 1, 2]


def make_head(joint: str, seed: int = 0, **sizes: Any) -> TransducerHead:
    torch.manual_seed(seed)
    return TransducerHead(Transducer(joint=joint, **{"joint_size": 5, "embedding_size": 3, "prediction_size": 4} | sizes), 6, 4)


def batch_of(texts: list[list[int]]) -> Batch:
    flat = torch.tensor([label for row in texts for label in row], dtype=torch.long)
    empty = torch.empty(0)
    return Batch(tuple(f"item{i}" for i in range(len(texts))), empty, empty, flat, torch.tensor([len(row) for row in texts]))


def summed_over_alignments(log_probs: Tensor, text: list[int]) -> Tensor:
    """-log of the summed probability of every way to spread the labels over frames, by log-probs (T, U + 1, V)."""
    frames, paths = log_probs.shape[0], []
    for places in combinations_with_replacement(range(frames), len(text)):
        steps = [log_probs[t, u, text[u]] for u, t in enumerate(places)]
        steps += [log_probs[t, sum(place <= t for place in places), 0] for t in range(frames)]
        paths.append(torch.stack(steps).sum())
    return -torch.logsumexp(torch.stack(paths), dim=0)


def recursion(log_probs: Tensor, text: list[int]) -> Tensor:
    """-log P by the forward variables of Graves 2012, equations 16 to 18, in the precision of the log-probs (T, U + 1, V)."""
    alpha: dict[tuple[int, int], Tensor] = {}
    for t in range(log_probs.shape[0]):
        for u in range(len(text) + 1):
            ways = [log_probs.new_zeros(())] if t == u == 0 else []
            if t > 0:
                ways.append(alpha[t - 1, u] + log_probs[t - 1, u, 0])
            if u > 0:
                ways.append(alpha[t, u - 1] + log_probs[t, u - 1, text[u - 1]])
            alpha[t, u] = torch.logsumexp(torch.stack(ways), dim=0)
    return -(alpha[log_probs.shape[0] - 1, len(text)] + log_probs[-1, -1, 0])


def reference(head: TransducerHead, outputs: Tensor, lengths: list[int], texts: list[list[int]], loss: Any) -> Tensor:
    """The summed loss in float64, item by item."""
    total = outputs.new_zeros(())
    for frames, length, text in zip(outputs, lengths, texts, strict=True):
        predicted = head.predict(torch.tensor([text], dtype=torch.long))[0]
        total = total + loss(head.join(head.decoder_input(frames[None, :length])[0][:, None], predicted).log_softmax(-1), text)
    return total


@pytest.mark.parametrize("max_elements", [1, 300, WHOLE])
@pytest.mark.parametrize("joint", JOINTS)
def test_loss_and_gradients_are_those_of_the_sum_over_all_alignments(joint: str, max_elements: int) -> None:
    head = make_head(joint)
    exact = copy.deepcopy(head).double()
    outputs = torch.randn(5, 5, 6)
    ours, theirs = outputs.clone().requires_grad_(), outputs.double().requires_grad_()
    loss = transducer_loss(head, head.decoder_input(ours), torch.tensor(LENGTHS), batch_of(TEXTS), max_elements)
    expected = reference(exact, theirs, LENGTHS, TEXTS, summed_over_alignments)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    (3 * loss).backward()  # not one, so that a gradient that ignores what comes back would be wrong
    (3 * expected).backward()
    torch.testing.assert_close(ours.grad.double(), theirs.grad, atol=1e-5, rtol=1e-4)
    for (name, weight), other in zip(head.named_parameters(), exact.parameters(), strict=True):
        torch.testing.assert_close(weight.grad.double(), other.grad, atol=1e-5, rtol=1e-4, msg=lambda text, name=name: f"{name}: {text}")
    for row, length in zip(ours.grad, LENGTHS, strict=True):
        assert not row[length:].any()


@pytest.mark.parametrize("joint", JOINTS)
def test_a_longer_text_agrees_with_the_recursion_in_float64(joint: str) -> None:
    head = make_head(joint, seed=3)
    texts, lengths = [torch.randint(1, 4, (14,), generator=torch.Generator().manual_seed(1)).tolist(), [1, 2]], [30, 9]
    outputs = 3 * torch.randn(2, 30, 6)
    exact, ours = outputs.double().requires_grad_(), outputs.clone().requires_grad_()
    expected = reference(copy.deepcopy(head).double(), exact, lengths, texts, recursion)
    loss = transducer_loss(head, head.decoder_input(ours), torch.tensor(lengths), batch_of(texts), WHOLE)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    expected.backward()
    loss.backward()
    torch.testing.assert_close(ours.grad.double(), exact.grad, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("joint", JOINTS)
def test_padding_and_other_items_do_not_count(joint: str) -> None:
    head = make_head(joint)
    outputs = torch.randn(5, 8, 6)
    together = transducer_loss(head, head.decoder_input(outputs), torch.tensor(LENGTHS), batch_of(TEXTS), WHOLE)
    alone = [
        transducer_loss(head, head.decoder_input(row[None, :length]), torch.tensor([length]), batch_of([text]), WHOLE).item()
        for row, length, text in zip(outputs, LENGTHS, TEXTS, strict=True)
    ]
    assert together.item() == pytest.approx(sum(alone), rel=1e-6)


@pytest.mark.parametrize("joint", JOINTS)
def test_without_a_prediction_network_labels_are_drawn_anew_each_time(joint: str) -> None:
    """Frames alike and a prediction network that says nothing leave one distribution p for every step: a text of L labels needs T blanks, and
    its labels fall anywhere before the last of them, so that P = p(blank)^T * product of p(label) * (L + T - 1 choose L)."""
    head = make_head(joint)
    torch.nn.init.zeros_(head.label_layer.weight)
    frames = head.decoder_input(torch.randn(1, 1, 6)).repeat(1, 6, 1)
    p = head.join(frames[0, 0], head.label_layer.bias).softmax(-1).tolist()
    text = [1, 3, 3, 2]
    expected = p[0] ** 6 * math.prod(p[label] for label in text) * math.comb(4 + 6 - 1, 4)
    assert transducer_loss(head, frames, torch.tensor([6]), batch_of([text]), WHOLE).item() == pytest.approx(-math.log(expected), rel=1e-5)


def test_the_joint_tensor_has_no_more_numbers_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    head = make_head("tanh")
    sizes: list[int] = []
    inner = module._rnnt_losses

    def watch(logits: Tensor, *rest: Any) -> Tensor:
        sizes.append(math.prod(logits.shape[:3]) * head.joint_width)
        return inner(logits, *rest)

    monkeypatch.setattr(module, "_rnnt_losses", watch)
    for limit, chunks in ((1, 5), (100, 4), (WHOLE, 1)):
        sizes.clear()
        transducer_loss(head, head.decoder_input(torch.randn(5, 5, 6)), torch.tensor(LENGTHS), batch_of(TEXTS), limit)
        alone = [length * (len(text) + 1) * head.joint_width for length, text in zip(LENGTHS, TEXTS, strict=True)]
        assert max(sizes) <= max(limit, *alone) and len(sizes) == chunks


def test_items_whose_loss_is_not_finite_are_named() -> None:
    head = make_head("tanh")
    frames = head.decoder_input(torch.randn(3, 4, 6)).detach()
    frames[1, 2] = math.nan
    with pytest.raises(TrainingError, match=r"^the loss is not finite for item1 \(batch of item0, item1, item2\)"):
        transducer_loss(head, frames, torch.tensor([4, 4, 4]), batch_of([[1], [2], []]), WHOLE)


@pytest.mark.parametrize("joint", JOINTS)
def test_pretraining_learns_the_next_label(joint: str) -> None:
    texts = [[1, 2, 3] * 4, [2, 3, 1] * 3, [], [3]] * 8
    heads = [make_head(joint, prediction_size=16, prediction_epochs=epochs) for epochs in (1, 60, 60)]
    rough, fine, again = (pretrain_prediction(head, texts, seed=1) for head in heads)
    assert rough > 2.5 and 1.05 < fine < 1.6 and fine == again  # the first label of a text cannot be told
    assert all(torch.equal(one, other) for one, other in zip(heads[1].parameters(), heads[2].parameters(), strict=True))
    untouched = make_head(joint, prediction_size=16)
    assert torch.equal(heads[1].frame_layer.weight, untouched.frame_layer.weight)
    if joint == "additive":  # whose output layer stays: it knows what follows 1 and 2
        after = heads[1].predict(torch.tensor([[1, 2]]))[0, -1]
        assert int(after[1:].argmax()) + 1 == 3
    assert math.isnan(pretrain_prediction(make_head(joint, prediction_epochs=3), [[]], seed=1))


TRANSDUCER = {"kind": "transducer", "joint_size": 24, "embedding_size": 8, "prediction_size": 16}


def test_training_learns_a_few_items_by_heart(tones, tmp_path: Path) -> None:
    few = {"objective": TRANSDUCER, "trainer.limit_items": 8, "trainer.epochs": 160, "trainer.val_every_n_epochs": 160}
    bundle = train(tones.config(tmp_path / "run", few), quiet=True)
    recognizer = Recognizer.load(bundle, device="cpu")
    items = tones.items("train")[:8]
    found = list(recognizer.transcribe([item.source for item in items], times=True))
    assert sum(transcript.text != item.text for transcript, item in zip(found, items, strict=True)) <= 1
    for transcript in found:
        starts = [token.start for token in transcript.tokens]
        assert starts == sorted(starts) and all(0 < token.confidence <= 1 for token in transcript.tokens)


def test_training_in_bf16_is_nearly_that_in_float32(glyphs, tmp_path: Path) -> None:
    losses = []
    for precision in ("float32", "bf16"):
        short = {"objective": TRANSDUCER, "trainer.limit_items": 16, "trainer.epochs": 4, "trainer.precision": precision}
        train(glyphs.config(tmp_path / precision, short), quiet=True)
        losses.append([json.loads(line)["loss"] for line in (tmp_path / precision / "log.jsonl").read_text().splitlines()])
    assert (losses[0] != losses[1]) == has_bf16(torch.device("cpu")) and losses[0][-1] < losses[0][0]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_training_goes_on_exactly_where_it_stopped(tones, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {
        "objective": TRANSDUCER | {"prediction_epochs": 2, "dropout": 0.2, "joint": "additive"}, "trainer.limit_items": 16, "trainer.epochs": 2,
        "trainer.weight_noise": 0.01,
    }  # fmt: skip
    whole = train(tones.config(tmp_path / "whole", changes), quiet=True)
    from recognizer.training.run import _Session

    after_step = _Session._after_step

    def stop(self: _Session) -> None:
        if self.state.step == 1:
            self.pending.append(2)
        after_step(self)

    monkeypatch.setattr(_Session, "_after_step", stop)
    with pytest.raises(Interrupted):
        train(tones.config(tmp_path / "halves", changes), quiet=True)
    monkeypatch.undo()
    halves = train(str(tmp_path / "halves"), resume=True, quiet=True)
    one, other = (load_bundle(folder).weights for folder in (whole, halves))
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_transducer_starts_from_a_ctc_bundle(tones, tmp_path: Path) -> None:
    short = {"trainer.limit_items": 8, "trainer.epochs": 1, "trainer.learning_rate": 1e-9}
    ctc = train(tones.config(tmp_path / "ctc", short), quiet=True)
    objective = TRANSDUCER | {"joint": "additive", "prediction_epochs": 1}
    started = train(tones.config(tmp_path / "started", short | {"init": str(ctc), "objective": objective}), quiet=True)
    before, after = load_bundle(ctc).weights, load_bundle(started).weights
    for name, weight in before.items():
        own = name.replace("output.", "head.joint.frame_output.") if name.startswith("output.") else name
        torch.testing.assert_close(after[own], weight, atol=1e-6, rtol=0)
    further = train(tones.config(tmp_path / "further", short | {"init": str(started), "objective": objective}), quiet=True)
    for name, weight in load_bundle(further).weights.items():  # nothing is pretrained again
        torch.testing.assert_close(weight, after[name], atol=1e-6, rtol=0)
