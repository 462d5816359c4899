"""Minimum risk: distances against edits of every changed path, gradients against the exact ones by enumeration of all paths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import editdistance
import numpy as np
import pytest
import torch
from torch import Tensor

from recognizer.bundle.io import load_bundle, save_bundle
from recognizer.config import Ctc, DecoderConfig, MinimumRisk, Objective, TrainConfig
from recognizer.decoding.beam import BeamDecoder
from recognizer.decoding.greedy import ctc_collapse
from recognizer.errors import ConfigError, TrainingError
from recognizer.models.network import Encoded, Network
from recognizer.text.alphabet import Alphabet
from recognizer.training.checkpoint import load_checkpoint, save_checkpoint
from recognizer.training.loop import EpochStats
from recognizer.training.loss import ctc_losses
from recognizer.training.minimum_risk import MinimumRiskObjective, errors_by_label, n_best_risk, sampled_risk
from recognizer.training.objective import build_objective
from recognizer.training.run import train
from tests.training.test_loop import make_trainer, run_epoch, same_state
from tests.training.test_loss import batch_of

ALPHABET = Alphabet(("a", " "), "characters")
FRAMES, LABELS = 5, 3
ConfigOf = Callable[[Objective], TrainConfig]


def random_logits(frames: int = FRAMES, labels: int = LABELS, seed: int = 0) -> Tensor:
    return torch.randn(frames, labels, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).requires_grad_()


def words_of(labels: list[int]) -> list[str]:
    return "".join("" if label == 0 else ALPHABET.symbols[label - 1] for label in labels).split()


def exact_risk(logits: Tensor, reference: list[int], words: bool = False) -> Tensor:
    """The sum over all paths of probability times distance."""
    log_probs = logits.log_softmax(-1)
    read = words_of if words else list
    total = torch.zeros((), dtype=torch.float64)
    for path in product(range(logits.shape[1]), repeat=len(logits)):
        probability = log_probs[range(len(path)), path].sum().exp()
        total = total + probability * editdistance.eval(read(ctc_collapse(path)), read(reference))
    return total


def gradient(risk: Tensor, logits: Tensor) -> Tensor:
    return torch.autograd.grad(risk, logits)[0]


def objective_of(config_of: ConfigOf, **settings: object) -> MinimumRiskObjective:
    return MinimumRiskObjective(config_of(MinimumRisk(**settings)), ALPHABET)


@pytest.fixture
def config_of(tones, tmp_path) -> ConfigOf:
    """Settings of a run with an objective."""
    return lambda objective: replace(tones.config(tmp_path / "run"), objective=objective, init="a bundle")


@pytest.mark.parametrize("seed", range(6))
def test_each_label_in_each_frame_has_the_distance_of_the_path_that_it_makes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(60):
        path = rng.choice(4, rng.integers(1, 9), p=[0.4, 0.3, 0.2, 0.1])
        reference = rng.integers(1, 4, rng.integers(0, 5))
        expected = np.zeros((len(path), 4))
        for t, label in product(range(len(path)), range(4)):
            changed = path.copy()
            changed[t] = label
            expected[t, label] = editdistance.eval(ctc_collapse(changed), reference.tolist())
        np.testing.assert_array_equal(errors_by_label(path, reference, 4), expected)


@pytest.mark.parametrize("reference", [[1, 2], [1, 1], []])
def test_the_gradient_of_samples_is_in_the_mean_that_of_the_expected_distance(reference: list[int]) -> None:
    logits, draws = random_logits(), np.random.default_rng(3).random((400, 50, FRAMES))
    found = [sampled_risk(logits.log_softmax(-1), reference, few) for few in draws]
    gradients = torch.stack([gradient(risk, logits) for risk in found])
    values = torch.stack(found).detach()
    expected = exact_risk(logits, reference)
    # 20,000 paths in 400 groups: each mean within 4.5 standard errors, which all of 16 numbers are in 9,999 of 10,000 seeds
    for mean, groups in ((gradient(expected, logits), gradients), (expected.detach(), values)):
        error = groups.std(dim=0) / len(groups) ** 0.5
        assert bool(((groups.mean(dim=0) - mean).abs() < 4.5 * error + 1e-12).all())
    assert float(error) < 0.01 and float((gradients.std(dim=0) / 20).max()) < 0.005  # else the comparison above would say little


def test_the_estimate_varies_less_than_that_of_whole_paths() -> None:
    logits, reference, draws = random_logits(), [1, 2], np.random.default_rng(4).random((800, 2, FRAMES))
    ours = torch.stack([gradient(sampled_risk(logits.log_softmax(-1), reference, few), logits) for few in draws])
    probs = logits.detach().softmax(-1)
    plain = torch.zeros(len(draws), FRAMES, LABELS, dtype=torch.float64)
    for row, few in zip(plain, draws, strict=True):  # REINFORCE over two paths, each the other's baseline
        paths = [(steps[:, None] >= probs.numpy().cumsum(1)).sum(1) for steps in few]
        first, second = (editdistance.eval(ctc_collapse(path), reference) for path in paths)
        for path, advantage in zip(paths, (first - second, second - first), strict=True):
            row += advantage / 2 * (torch.eye(LABELS, dtype=torch.float64)[path] - probs)
    expected = gradient(exact_risk(logits, reference), logits)
    assert bool(((plain.mean(0) - expected).abs() < 4.5 * plain.std(0) / len(draws) ** 0.5).all())  # the same mean
    assert float(ours.var(0).sum()) < 0.5 * float(plain.var(0).sum())


@pytest.mark.parametrize(("reference", "words"), [([1, 2], False), ([1, 1], False), ([], False), ([1, 2, 1], True), ([2, 1, 1], True)])
def test_over_all_hypotheses_the_n_best_risk_is_the_expected_distance(reference: list[int], words: bool) -> None:
    logits, decoder = random_logits(seed=7), BeamDecoder(ALPHABET, DecoderConfig(kind="beam", beam_size=1000))
    (found,) = n_best_risk([logits.log_softmax(-1)], [reference], decoder, 1000, 2 if words else 0, threads=1)
    expected = exact_risk(logits, reference, words)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=0)
    torch.testing.assert_close(gradient(found, logits), gradient(expected, logits), rtol=0, atol=1e-9)


def test_a_short_list_is_weighed_by_probabilities_that_sum_to_one() -> None:
    logits, decoder = random_logits(seed=8), BeamDecoder(ALPHABET, DecoderConfig(kind="beam", beam_size=1000))
    best = decoder.decode(logits.log_softmax(-1).detach().numpy(), 2)
    first, second = (np.exp(hypothesis.acoustic) for hypothesis in best)
    distances = [editdistance.eval(list(hypothesis.labels), [1, 2]) for hypothesis in best]
    (found,) = n_best_risk([logits.log_softmax(-1)], [[1, 2]], decoder, 2, threads=1)
    assert float(found.detach()) == pytest.approx((first * distances[0] + second * distances[1]) / (first + second), rel=1e-6)


@pytest.mark.parametrize("settings", [{"hypotheses": "samples", "count": 3}, {"count": 3, "beam_size": 50}, {"error": "words", "count": 3}])
def test_an_item_counts_the_same_alone_and_padded_in_a_batch(config_of, settings: dict) -> None:
    objective, lengths = objective_of(config_of, **settings), torch.tensor([5, 8, 3])
    log_probs = torch.randn(3, 8, LABELS, generator=torch.Generator().manual_seed(1), dtype=torch.float64).log_softmax(-1)
    targets = [[1, 2], [1, 2, 1], []]

    def loss_of(rows: list[int], wide: int) -> tuple[float, Tensor]:
        frames = log_probs[rows, :wide].clone().requires_grad_()
        batch = batch_of(*(targets[row] for row in rows))
        object.__setattr__(batch, "ids", tuple(f"item{row}" for row in rows))
        loss = objective(None, Encoded(frames, [], frames, lengths[rows]), batch, 1, np.random.default_rng(5))
        return float(loss.detach()), torch.autograd.grad(loss, frames)[0]

    together, gradients = loss_of([0, 1, 2], 8)
    alone = [loss_of([row], int(lengths[row])) for row in range(3)]
    assert sum(value for value, _ in alone) == pytest.approx(together, rel=1e-9)
    other_way, _ = loss_of([2, 0, 1], 8)
    assert other_way == pytest.approx(together, rel=1e-9)
    for row, (_, own) in enumerate(alone):
        torch.testing.assert_close(gradients[row, : lengths[row]], own[0], rtol=1e-9, atol=1e-12)
        assert not bool(gradients[row, lengths[row] :].any())


def test_a_share_of_one_is_ctc_and_shares_between_lie_between(config_of) -> None:
    log_probs, lengths, batch = random_logits(6).log_softmax(-1).unsqueeze(0), torch.tensor([6]), batch_of([1, 2])
    encoded = Encoded(log_probs, [], log_probs, lengths)
    losses = {share: float(objective_of(config_of, ctc_weight=share)(None, encoded, batch, 1, np.random.default_rng(1)).detach())
              for share in (0.0, 0.25, 1.0)}  # fmt: skip
    assert losses[1.0] == pytest.approx(float(ctc_losses(log_probs, lengths, batch).sum().detach()))
    assert losses[0.25] == pytest.approx(0.75 * losses[0.0] + 0.25 * losses[1.0])


def test_what_cannot_be_is_refused(config_of) -> None:
    with pytest.raises(ConfigError, match=r"^objective\.error: words needs an alphabet of characters with a space"):
        MinimumRiskObjective(config_of(MinimumRisk(error="words")), Alphabet(("A", "B"), "units"))
    for settings, key in (({"count": 30}, "count"), ({"count": 1}, "count"), ({"hypotheses": "samples", "error": "words"}, "error")):
        with pytest.raises(ConfigError, match=f"^{key}: "):
            MinimumRisk(**settings)
    log_probs = torch.full((1, 4, LABELS), torch.nan)
    with pytest.raises(TrainingError, match="not finite for item0"):
        objective_of(config_of)(None, Encoded(log_probs, [], log_probs, torch.tensor([4])), batch_of([1]), 1, np.random.default_rng(1))


def test_the_settings_choose_it(config_of) -> None:
    assert isinstance(build_objective(config_of(MinimumRisk()), ALPHABET), MinimumRiskObjective)
    assert not isinstance(build_objective(config_of(Ctc()), ALPHABET), MinimumRiskObjective)


@pytest.fixture
def bundle(tones, tmp_path) -> str:
    """A bundle of a network that has learnt nothing."""
    config, alphabet = tones.config(tmp_path / "known"), Alphabet(("a", "b", "c", "d"), "characters")
    torch.manual_seed(1)
    weights = Network(config.recognizer, len(alphabet)).state_dict()
    save_bundle(tmp_path / "known", config.recognizer, alphabet, weights, "", {})
    return str(tmp_path / "known")


@pytest.mark.parametrize("hypotheses", ["samples", "n_best"])
def test_a_state_holds_all_that_training_goes_on_from(tones, tmp_path, bundle: str, hypotheses: str) -> None:
    objective = {"kind": "minimum_risk", "hypotheses": hypotheses, "count": 3}
    changes = {"objective": objective, "init": bundle, "trainer.max_batch_size": 8, "trainer.precision": "bf16", "model.dropout": 0.2}
    whole = make_trainer(tones, tmp_path / "whole", changes)
    for _ in whole.run_epoch(EpochStats()):
        if whole.state.step == 2:
            save_checkpoint(tmp_path, whole.state_dict())
    torch.manual_seed(99)
    resumed = make_trainer(tones, tmp_path / "resumed", changes)
    resumed.load_state_dict(load_checkpoint(tmp_path, torch.device("cpu")))
    run_epoch(resumed)
    assert same_state(whole.state_dict(), resumed.state_dict())


def test_a_run_starts_from_a_bundle_and_leaves_one_with_ctc(tones, tmp_path, bundle: str) -> None:
    changes = {"objective": {"kind": "minimum_risk"}, "init": bundle, "trainer.epochs": 1, "trainer.limit_items": 8, "trainer.learning_rate": 1e-4}
    found = load_bundle(train(tones.config(tmp_path / "run", changes), quiet=True))
    assert found.config.objective == Ctc()
    before = load_bundle(bundle).weights["output.weight"]
    assert 0 < float((found.weights["output.weight"] - before).abs().max()) < 0.01
    with pytest.raises(ConfigError, match=r"^init: objective=minimum_risk starts from a bundle"):
        tones.config(tmp_path / "run", {"objective": {"kind": "minimum_risk"}})
