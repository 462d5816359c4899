"""The whole network: an item's log-probs do not depend on its batch, for every kind of features and front-end."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from recognizer.config import (
    AudioFeatures,
    LineCnn,
    LineFeatures,
    MdLstmFrontend,
    ModelConfig,
    NoFrontend,
    RecipeConfig,
    SpeechCnn,
    Stack,
)
from recognizer.models.conditioning import Conditioning
from recognizer.models.masked_norm import MaskedBatchNorm
from recognizer.models.network import Network

RATE, HEIGHT, LABELS = 8000, 16, 6
SPEECH_CNN = SpeechCnn(channels=(4, 4), time_strides=(2, 1), frequency_strides=(2, 2), output=8)
MDLSTM = MdLstmFrontend(hidden=(2, 3), units=(4,), block_heights=(4, 2), block_widths=(3, 2))
LINE_CNN = LineCnn(channels=(4, 8, 8), time_strides=(2, 2, 1), height_strides=(2, 2, 2))


def speech(frontend: Any = NoFrontend(), **features: Any) -> RecipeConfig:  # noqa: B008
    return RecipeConfig(AudioFeatures(sample_rate=RATE, **{"bins": 20, **features}), ModelConfig(frontend, layers=2, hidden=8, dropout=0.3))


def line(frontend: Any = NoFrontend(), **features: Any) -> RecipeConfig:  # noqa: B008
    return RecipeConfig(LineFeatures(height=HEIGHT, **features), ModelConfig(frontend, layers=2, hidden=8, dropout=0.3))


RECIPES = {
    "fbank": speech(),
    "fbank, each utterance normalised": speech(normalise="utterance"),
    "fbank, stack": speech(Stack(frames=3)),
    "fbank, cnn": speech(SPEECH_CNN),
    "fbank, energy, deltas, cnn": speech(SPEECH_CNN, energy=True, deltas=2, normalise="utterance"),
    "fbank, cnn, conditioned": RecipeConfig(AudioFeatures(sample_rate=RATE, bins=20), ModelConfig(SPEECH_CNN, layers=3, hidden=8, conditioning=0.2)),
    "mfcc, deltas": speech(kind="mfcc", deltas=2),
    "mfcc, deltas, stack": speech(Stack(frames=2), kind="mfcc", deltas=1, energy=True),
    "spectrogram, cnn": speech(SPEECH_CNN, kind="spectrogram", normalise="none"),
    "pixels": line(),
    "pixels, stack": line(Stack(frames=4)),
    "pixels, cnn": line(LINE_CNN),
    "pixels, cnn, not normalised": line(LINE_CNN, normalise="none"),
    "pixels, cnn, low rank": RecipeConfig(
        LineFeatures(height=HEIGHT), ModelConfig(replace(LINE_CNN, ranks=(0, 3, 4)), layers=2, hidden=8, ranks=(4, 6))
    ),
    "pixels, mdlstm": RecipeConfig(LineFeatures(height=HEIGHT), ModelConfig(MDLSTM, layers=0)),
    "geometric": line(kind="geometric"),
    "geometric, stack": line(Stack(frames=2), kind="geometric"),
}
every_recipe = pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))


def make_network(recipe: RecipeConfig, seed: int = 0) -> Network:
    """A network with statistics like a trained one's, that turn zeros into something else."""
    torch.manual_seed(seed)
    network = Network(recipe, LABELS)
    network.features.set_statistics(torch.randn(network.features.dim), torch.rand(network.features.dim) + 0.5)
    with torch.no_grad():
        network.output.weight.mul_(4)
        for module in network.modules():
            if isinstance(module, Conditioning):
                module.back.weight.normal_()
            if isinstance(module, MaskedBatchNorm):
                module.mean.normal_()
                module.variance.uniform_(0.5, 2)
                module.bias.uniform_(0.5, 1)
    return network.eval()


def make_items(recipe: RecipeConfig) -> list[Tensor]:
    """Waveforms (N,), one shorter than a window, or line images (W, H), one of a single column."""
    torch.manual_seed(9)
    if recipe.modality == "audio":
        return [torch.rand(size) * 0.4 - 0.2 for size in (2713, 90, 4100, 331, 1200)]
    return [(torch.rand(width, HEIGHT) < 0.3).to(torch.uint8) * 255 for width in (41, 1, 90, 13, 30)]


def make_batch(items: list[Tensor], extra: int = 0, fill: float = 0) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([len(item) for item in items])
    batch = torch.full((len(items), int(lengths.max()) + extra, *items[0].shape[1:]), fill, dtype=items[0].dtype)
    for row, item in zip(batch, items, strict=True):
        row[: len(item)] = item
    return batch, lengths


@every_recipe
def test_an_item_has_the_same_log_probs_alone_and_in_any_batch(recipe: RecipeConfig) -> None:
    network, items = make_network(recipe), make_items(recipe)
    with torch.inference_mode():
        alone = [network(item[None], torch.tensor([len(item)]))[0][0] for item in items]
        assert max(float(rows.std()) for rows in alone) > 0.1  # there is something to be seen
        for order, extra, fill in (((0, 1, 2, 3, 4), 0, 0), ((4, 2, 1), 37, 0), ((3, 0), 200, 200 if recipe.modality == "line" else 0.5)):
            log_probs, lengths = network(*make_batch([items[i] for i in order], extra, fill))
            for index, rows, length in zip(order, log_probs, lengths.tolist(), strict=True):
                assert length == len(alone[index]) == network.frames(network.features.frames(len(items[index])))
                torch.testing.assert_close(rows[:length], alone[index], atol=1e-5, rtol=0)


@every_recipe
def test_rows_are_distributions_over_the_labels(recipe: RecipeConfig) -> None:
    log_probs, lengths = make_network(recipe)(*make_batch(make_items(recipe)))
    assert log_probs.dtype == torch.float32 and log_probs.shape == (5, int(lengths.max()), LABELS)
    torch.testing.assert_close(log_probs.exp().sum(2), torch.ones(log_probs.shape[:2]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["fbank, cnn", "pixels, cnn", "mfcc, deltas, stack"])
def test_training_does_not_depend_on_the_amount_of_padding(name: str) -> None:
    recipe = RECIPES[name]
    outcomes = []
    for extra in (0, 400):
        network = make_network(recipe).train()
        for module in network.modules():
            for key in ("p", "probability"):
                if hasattr(module, key):
                    setattr(module, key, 0.0)
        log_probs, lengths = network(*make_batch(make_items(recipe), extra))
        outcomes.append([rows[:length] for rows, length in zip(log_probs, lengths.tolist(), strict=True)])
    for first, second in zip(*outcomes, strict=True):
        torch.testing.assert_close(first, second, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["fbank", "pixels, cnn"])
def test_auxiliary_log_probs_come_in_training_only(name: str) -> None:
    recipe = RECIPES[name]
    model = ModelConfig(recipe.model.frontend, layers=1, hidden=8, auxiliary=0.2)
    network = make_network(RecipeConfig(recipe.features, model))
    features = network.features(*make_batch(make_items(recipe)))
    assert network.encode(*features)[1] == []
    log_probs, [(auxiliary, share)], _ = network.train().encode(*features)
    assert share == 0.2 and auxiliary.shape == log_probs.shape and auxiliary.dtype == torch.float32
    torch.testing.assert_close(auxiliary.exp().sum(2), torch.ones(auxiliary.shape[:2]), atol=1e-5, rtol=0)
    auxiliary.sum().backward()  # it reaches the front-end, not the recurrent layers
    assert all(parameter.grad is None for parameter in network.encoder.parameters())
    assert all(parameter.grad is not None for parameter in network.frontend.parameters())
    without = make_network(recipe)
    assert without.auxiliary is None and without.train().encode(*features)[1] == []


@pytest.mark.parametrize("name", ["fbank, cnn", "pixels, cnn", "pixels"])
def test_log_probs_are_float32_under_bfloat16(name: str) -> None:
    recipe = RECIPES[name]
    network = make_network(RecipeConfig(recipe.features, ModelConfig(recipe.model.frontend, layers=2, hidden=8, auxiliary=0.5, conditioning=0.2)))
    batch = make_batch(make_items(recipe))
    with torch.no_grad():
        exact, lengths = network(*batch)
        with torch.autocast("cpu", torch.bfloat16):
            rough, rough_lengths = network(*batch)
            network.train()
            trained, early, _ = network.encode(*network.features(*batch))
    assert len(early) == 2 and torch.equal(lengths, rough_lengths)
    for log_probs in (rough, trained, *(reading.log_probs for reading in early)):
        assert log_probs.dtype == torch.float32
        torch.testing.assert_close(log_probs.exp().sum(2), torch.ones(log_probs.shape[:2]), atol=1e-5, rtol=0)
    difference = (rough - exact).abs().max()
    assert 1e-4 < float(difference) < 0.3  # bfloat16 was used, and did no harm


def test_uniform_draws_all_weights_from_its_range() -> None:
    model = ModelConfig(LINE_CNN, layers=2, hidden=32, auxiliary=0.1, uniform=0.1)
    torch.manual_seed(0)
    network = Network(RecipeConfig(LineFeatures(height=HEIGHT), model), LABELS)
    values = torch.cat([parameter.detach().flatten() for parameter in network.parameters()])
    assert float(values.abs().max()) <= 0.1
    assert abs(float(values.mean())) < 0.002 and abs(float(values.std()) - 0.1 / math.sqrt(3)) < 0.001
    for name, parameter in network.named_parameters():
        assert float(parameter.detach().std()) > 0.02, name
    torch.manual_seed(0)
    plain = Network(RecipeConfig(LineFeatures(height=HEIGHT), ModelConfig(LINE_CNN, layers=2, hidden=32)), LABELS)
    assert max(float(parameter.detach().max()) for parameter in plain.parameters()) == 1.0  # the scale of a fresh normalisation


@pytest.mark.parametrize("name", ["fbank, cnn", "pixels, cnn", "geometric"])
def test_the_state_dict_is_the_whole_network(name: str) -> None:
    recipe = RECIPES[name]
    network, batch = make_network(recipe), make_batch(make_items(recipe))
    state = network.state_dict()
    assert torch.equal(state["features.mean"], network.features.mean) and torch.equal(state["features.std"], network.features.std)
    other = Network(recipe, LABELS).eval()
    assert not torch.allclose(other(*batch)[0], network(*batch)[0], atol=1e-3)
    other.load_state_dict(state)
    assert torch.equal(other(*batch)[0], network(*batch)[0])


def test_strides_and_frames_are_those_of_the_front_end() -> None:
    assert [make_network(RECIPES[name]).stride for name in ("fbank", "fbank, stack", "pixels, cnn")] == [1, 3, 4]
    assert make_network(RECIPES["pixels, cnn"]).frames(torch.tensor([1, 4, 5])).tolist() == [1, 1, 2]
