"""The losses of attention and joint training: their values, their gradients, and runs from settings to a recognizer that reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from recognizer.bundle.io import load_bundle, save_bundle
from recognizer.config import Attention, Ctc, Joint
from recognizer.data.dataset import Batch
from recognizer.errors import TrainingError
from recognizer.inference.recognizer import Recognizer
from recognizer.models.network import Encoded, Network
from recognizer.text.alphabet import Alphabet
from recognizer.training.attention_loss import AttentionObjective, cross_entropies
from recognizer.training.checkpoint import load_checkpoint, save_checkpoint
from recognizer.training.loop import EpochStats
from recognizer.training.loss import ctc_losses
from recognizer.training.run import train
from recognizer.training.transfer import load_pretrained
from tests.training.test_loop import make_trainer, run_epoch, same_state

DIM, LABELS, LENGTHS, TARGETS = 32, 5, (9, 4, 6), ([1, 3, 3, 2], [4], [])
SMALL = {"hidden_size": 24, "attention_size": 16, "filters": 3, "filter_width": 9}
OBJECTIVES = {kind: {"kind": kind} | SMALL for kind in ("attention", "joint")}
GENERATOR = np.random.default_rng(0)


def make_network(glyphs: Any, tmp_path: Any, kind: str, **settings: float) -> Network:
    torch.manual_seed(2)
    return Network(glyphs.config(tmp_path, {"objective": OBJECTIVES[kind] | settings}).recognizer, LABELS).double()


def make_encoded(requires_grad: bool = False, items: slice = slice(None)) -> Encoded:
    generator = torch.Generator().manual_seed(4)
    frames = torch.randn(3, 10, DIM, generator=generator, dtype=torch.float64)[items]
    log_probs = torch.randn(3, 10, LABELS, generator=generator, dtype=torch.float64)[items].log_softmax(dim=2)
    return Encoded(log_probs.requires_grad_(requires_grad), [], frames.requires_grad_(requires_grad), torch.tensor(LENGTHS[items]))


def make_batch(items: slice = slice(None)) -> Batch:
    rows = TARGETS[items]
    targets = torch.tensor([label for row in rows for label in row], dtype=torch.long)
    nothing = torch.zeros(len(rows), 1)
    return Batch(tuple("abc")[items], nothing, nothing, targets, torch.tensor([len(row) for row in rows]))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_the_cross_entropy_of_labels_and_end(glyphs, tmp_path, smoothing: float) -> None:
    network, encoded, batch = make_network(glyphs, tmp_path, "attention", label_smoothing=smoothing), make_encoded(), make_batch()
    found = AttentionObjective(Attention(**SMALL, label_smoothing=smoothing))(network, encoded, batch, 1, GENERATOR)
    expected = []
    for item, labels in enumerate(TARGETS):
        memory = network.head.remember(encoded.frames[item : item + 1, : LENGTHS[item]], encoded.lengths[item : item + 1])
        state, before, loss = network.head.initial(memory, 1), 0, 0.0
        for label in [*labels, 0]:
            log_probs, state = network.head.step(memory, state, torch.tensor([before]))
            loss += functional.cross_entropy(log_probs, torch.tensor([label]), label_smoothing=smoothing).item()
            before = label
        expected.append(loss)
    assert found.item() == pytest.approx(sum(expected), abs=1e-9)
    spelling = network.head.spell(encoded.frames, encoded.lengths, batch.targets, batch.target_lengths)
    assert cross_entropies(spelling, smoothing).tolist() == pytest.approx(expected, abs=1e-9)


def test_joint_training_weighs_both_losses_and_their_gradients(glyphs, tmp_path) -> None:
    network, batch = make_network(glyphs, tmp_path, "joint"), make_batch()
    results = []
    for weight in (0.0, 1.0, 0.3):
        encoded = make_encoded(requires_grad=True)
        loss = AttentionObjective(Joint(**SMALL, ctc_weight=weight))(network, encoded, batch, 1, GENERATOR)
        results.append((loss.detach(), *torch.autograd.grad(loss, (encoded.frames, encoded.log_probs), allow_unused=True)))
    (spelt, by_frames, none), (by_ctc, _, by_log_probs), (loss, *gradients) = results
    assert none is None
    torch.testing.assert_close(by_ctc, ctc_losses(make_encoded().log_probs, torch.tensor(LENGTHS), batch).sum())
    torch.testing.assert_close(loss, 0.3 * by_ctc + 0.7 * spelt)
    torch.testing.assert_close(gradients, [0.7 * by_frames, 0.3 * by_log_probs])


@pytest.mark.parametrize("kind", ["attention", "joint"])
def test_the_loss_of_a_batch_is_the_sum_of_those_of_its_items(glyphs, tmp_path, kind: str) -> None:
    network = make_network(glyphs, tmp_path, kind)
    objective = AttentionObjective({"attention": Attention, "joint": Joint}[kind](**SMALL))
    whole = objective(network, make_encoded(), make_batch(), 1, GENERATOR)
    parts = [objective(network, make_encoded(items=slice(i, i + 1)), make_batch(slice(i, i + 1)), 1, GENERATOR) for i in range(3)]
    torch.testing.assert_close(whole, torch.stack(parts).sum())


def test_a_loss_that_is_not_finite_names_its_items(glyphs, tmp_path) -> None:
    network, encoded = make_network(glyphs, tmp_path, "attention"), make_encoded()
    encoded.frames[1, 2, 3] = torch.nan
    with pytest.raises(TrainingError, match=r"the loss is not finite for b \(batch of a, b, c\)"):
        AttentionObjective(Attention(**SMALL))(network, encoded, make_batch(), 1, GENERATOR)


@pytest.mark.parametrize(("kind", "epochs", "precision"), [("joint", 90, "bf16"), ("attention", 90, "float32")])
def test_a_run_learns_its_items_and_its_bundle_reads_them(line_run, glyphs, tmp_path, kind: str, epochs: int, precision: str) -> None:
    changes = {"objective": OBJECTIVES[kind], "trainer.epochs": epochs, "trainer.limit_items": 6, "trainer.val_every_n_epochs": epochs,
        "trainer.precision": precision, "init": str(line_run / "bundle")}  # fmt: skip
    train(glyphs.config(tmp_path / "run", changes), quiet=True)
    recognizer = Recognizer.load(tmp_path / "run" / "bundle", device="cpu")
    assert recognizer.config.objective.kind == kind and (recognizer.network.output is None) == (kind == "attention")
    items = glyphs.items("train")[:6]
    read = list(recognizer.transcribe([item.source for item in items], n_best=3, times=True))
    assert sum(transcript.text == item.text for transcript, item in zip(read, items, strict=True)) >= 5
    for transcript in read:
        starts = [token.start for token in transcript.tokens]
        assert starts == sorted(starts) and all(0 < token.confidence <= 1 for token in transcript.tokens)
        assert 1 <= len(transcript.alternatives) + 1 <= 3


@pytest.mark.parametrize("kind", ["attention", "joint"])
def test_a_state_holds_all_that_training_goes_on_from(glyphs, tmp_path, kind: str) -> None:
    changes = {"objective": OBJECTIVES[kind] | {"dropout": 0.3, "label_smoothing": 0.1}, "trainer.max_batch_size": 8, "trainer.ema_decay": 0.9,
        "model.dropout": 0.2, "trainer.precision": "bf16"}  # fmt: skip
    whole = make_trainer(glyphs, tmp_path / "whole", changes)
    for _ in whole.run_epoch(EpochStats()):
        if whole.state.step == 2:
            save_checkpoint(tmp_path, whole.state_dict())
    torch.manual_seed(99)
    resumed = make_trainer(glyphs, tmp_path / "resumed", changes)
    resumed.load_state_dict(load_checkpoint(tmp_path, torch.device("cpu")))
    assert 0 < resumed.state.batch < len(resumed.plan())
    run_epoch(resumed)
    assert same_state(whole.state_dict(), resumed.state_dict())


@pytest.mark.parametrize("kind", ["attention", "joint"])
def test_the_encoder_comes_from_a_ctc_bundle_and_with_joint_training_its_output(line_run, glyphs, tmp_path, kind: str) -> None:
    bundle, config = load_bundle(line_run / "bundle"), glyphs.config(tmp_path, {"objective": OBJECTIVES[kind]})
    assert isinstance(bundle.config.objective, Ctc)
    network = Network(config.recognizer, 5)
    fresh = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    line = load_pretrained(str(line_run / "bundle"), config, bundle.alphabet, network)
    assert line.endswith("4 of 4 symbols keep their output rows" if kind == "joint" else "its encoder; what writes the symbols begins anew")
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, fresh[name] if name.startswith("head.") else bundle.weights[name]), name
    assert any(name.startswith("head.") for name in fresh) and ("output.weight" in fresh) == (kind == "joint")


def test_an_attention_decoder_keeps_what_it_knows_of_shared_symbols(glyphs, tmp_path) -> None:
    config = glyphs.config(tmp_path, {"objective": OBJECTIVES["joint"]})
    known = Network(config.recognizer, 5)
    save_bundle(tmp_path / "known", config.recognizer, Alphabet(("a", "b", "c", "d")), known.state_dict(), "", {})
    network = Network(config.recognizer, 4)
    load_pretrained(str(tmp_path / "known"), config, Alphabet(("x", "d", "b")), network)
    for name in ("head.embedding.weight", "head.output.weight", "output.weight"):
        for label, source in ((0, 0), (2, 4), (3, 2)):  # the end or blank, d, b
            assert torch.equal(network.state_dict()[name][label], known.state_dict()[name][source]), name
    assert torch.equal(network.head.key.weight, known.head.key.weight)
