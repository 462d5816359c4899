"""The whole network: an item's log-probs do not depend on its batch, for every kind of features and front-end."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from recognizer.config import AudioFeatures, LineCnn, LineFeatures, MdLstmFrontend, ModelConfig, NoFrontend, RecognizerConfig, SpeechCnn, Stack
from recognizer.models.encoder import SelfConditioning
from recognizer.models.frontends import MaskedBatchNorm
from recognizer.models.network import Network

RATE, HEIGHT, LABELS = 8000, 16, 6
SPEECH_CNN = SpeechCnn(channels=(4, 4), time_strides=(2, 1), frequency_strides=(2, 2), output=8)
MDLSTM = MdLstmFrontend(hidden_sizes=(2, 3), units=(4,), block_heights=(4, 2), block_widths=(3, 2))
LINE_CNN = LineCnn(channels=(4, 8, 8), time_strides=(2, 2, 1), height_strides=(2, 2, 2))


def model(frontend: Any = NoFrontend(), **settings: Any) -> ModelConfig:  # noqa: B008
    return ModelConfig(frontend, **{"num_layers": 2, "hidden_size": 8, "dropout": 0.3, **settings})


def speech(frontend: Any = NoFrontend(), **features: Any) -> RecognizerConfig:  # noqa: B008
    return RecognizerConfig(AudioFeatures(sample_rate=RATE, **{"num_mel_bins": 20, **features}), model(frontend))


def line(frontend: Any = NoFrontend(), **features: Any) -> RecognizerConfig:  # noqa: B008
    return RecognizerConfig(LineFeatures(height=HEIGHT, **features), model(frontend))


CONFIGS = {
    "fbank": speech(),
    "fbank, each utterance normalized": speech(normalize="utterance"),
    "fbank, stack": speech(Stack(frames=3)),
    "fbank, cnn": speech(SPEECH_CNN),
    "fbank, energy, deltas, cnn": speech(SPEECH_CNN, energy=True, deltas=2, normalize="utterance"),
    "fbank, cnn, conditioned": RecognizerConfig(
        AudioFeatures(sample_rate=RATE, num_mel_bins=20), model(SPEECH_CNN, num_layers=3, intermediate_ctc_weight=0.2)
    ),
    "fbank, cnn, chunks": RecognizerConfig(
        AudioFeatures(sample_rate=RATE, num_mel_bins=20, normalize="corpus"), model(SPEECH_CNN, chunk_ms=100.0, lookahead_ms=120.0)
    ),
    "mfcc, deltas, stack": speech(Stack(frames=2), kind="mfcc", deltas=1, energy=True),
    "spectrogram, cnn": speech(SPEECH_CNN, kind="spectrogram", normalize="none"),
    "pixels": line(),
    "pixels, stack": line(Stack(frames=4)),
    "pixels, cnn": line(LINE_CNN),
    "pixels, cnn, not normalized": line(LINE_CNN, normalize="none"),
    "pixels, mdlstm": RecognizerConfig(LineFeatures(height=HEIGHT), ModelConfig(MDLSTM, num_layers=0)),
    "geometric": line(kind="geometric"),
}
every_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=list(CONFIGS))


def make_network(config: RecognizerConfig, seed: int = 0) -> Network:
    """A network with statistics like a trained one's, that turn zeros into something else."""
    torch.manual_seed(seed)
    network = Network(config, LABELS)
    network.features.set_statistics(torch.randn(network.features.dim), torch.rand(network.features.dim) + 0.5)
    with torch.no_grad():
        network.output.weight.mul_(4)
        for module in network.modules():
            if isinstance(module, SelfConditioning):
                module.back.weight.normal_()
            if isinstance(module, MaskedBatchNorm):
                module.mean.normal_()
                module.variance.uniform_(0.5, 2)
                module.bias.uniform_(0.5, 1)
    return network.eval()


def make_items(config: RecognizerConfig) -> list[Tensor]:
    """Waveforms (N,), one shorter than a window, or line images (W, H), one of a single column."""
    torch.manual_seed(9)
    if config.modality == "audio":
        return [torch.rand(size) * 0.4 - 0.2 for size in (2713, 90, 4100, 331, 1200)]
    return [(torch.rand(width, HEIGHT) < 0.3).to(torch.uint8) * 255 for width in (41, 1, 90, 13, 30)]


def make_batch(items: list[Tensor], extra: int = 0, fill: float = 0) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([len(item) for item in items])
    batch = torch.full((len(items), int(lengths.max()) + extra, *items[0].shape[1:]), fill, dtype=items[0].dtype)
    for row, item in zip(batch, items, strict=True):
        row[: len(item)] = item
    return batch, lengths


@every_config
def test_an_item_has_the_same_log_probs_alone_and_in_any_batch(config: RecognizerConfig) -> None:
    network, items = make_network(config), make_items(config)
    with torch.inference_mode():
        alone = [network(item[None], torch.tensor([len(item)]))[0][0] for item in items]
        assert max(float(rows.std()) for rows in alone) > 0.1  # there is something to be seen
        for order, extra, fill in (((0, 1, 2, 3, 4), 0, 0), ((4, 2, 1), 37, 0), ((3, 0), 200, 200 if config.modality == "line" else 0.5)):
            log_probs, lengths = network(*make_batch([items[i] for i in order], extra, fill))
            for index, rows, length in zip(order, log_probs, lengths.tolist(), strict=True):
                assert length == len(alone[index]) == network.frames(network.features.frames(len(items[index])))
                torch.testing.assert_close(rows[:length], alone[index], atol=1e-5, rtol=0)


@every_config
def test_rows_are_distributions_over_the_labels(config: RecognizerConfig) -> None:
    log_probs, lengths = make_network(config)(*make_batch(make_items(config)))
    assert log_probs.dtype == torch.float32 and log_probs.shape == (5, int(lengths.max()), LABELS)
    torch.testing.assert_close(log_probs.exp().sum(2), torch.ones(log_probs.shape[:2]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["fbank, cnn", "fbank, cnn, chunks", "pixels, cnn", "mfcc, deltas, stack"])
def test_training_does_not_depend_on_the_amount_of_padding(name: str) -> None:
    config = CONFIGS[name]
    outcomes = []
    for extra in (0, 400):
        network = make_network(config).train()
        for module in network.modules():
            for key in ("p", "probability"):
                if hasattr(module, key):
                    setattr(module, key, 0.0)
        log_probs, lengths = network(*make_batch(make_items(config), extra))
        outcomes.append([rows[:length] for rows, length in zip(log_probs, lengths.tolist(), strict=True)])
    for first, second in zip(*outcomes, strict=True):
        torch.testing.assert_close(first, second, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["fbank", "pixels, cnn"])
def test_auxiliary_log_probs_come_in_training_only(name: str) -> None:
    config = CONFIGS[name]
    network = make_network(RecognizerConfig(config.features, model(config.model.frontend, frontend_ctc_weight=0.2)))
    features = network.features(*make_batch(make_items(config)))
    assert network.encode(*features)[1] == []
    log_probs, [(auxiliary, share)], *_ = network.train().encode(*features)
    assert share == 0.2 and auxiliary.shape == log_probs.shape and auxiliary.dtype == torch.float32
    torch.testing.assert_close(auxiliary.exp().sum(2), torch.ones(auxiliary.shape[:2]), atol=1e-5, rtol=0)
    auxiliary.sum().backward()  # it reaches the front-end, not the recurrent layers
    assert all(parameter.grad is None for parameter in network.encoder.parameters())
    assert all(parameter.grad is not None for parameter in network.frontend.parameters())
    without = make_network(config)
    assert without.auxiliary is None and without.train().encode(*features)[1] == []


@pytest.mark.parametrize("name", ["fbank, cnn", "pixels, cnn", "pixels"])
def test_log_probs_are_float32_under_bfloat16(name: str) -> None:
    config = CONFIGS[name]
    network = make_network(RecognizerConfig(config.features, model(config.model.frontend, frontend_ctc_weight=0.5, intermediate_ctc_weight=0.2)))
    batch = make_batch(make_items(config))
    with torch.no_grad():
        exact, lengths = network(*batch)
        with torch.autocast("cpu", torch.bfloat16):
            rough, rough_lengths = network(*batch)
            network.train()
            trained, early, *_ = network.encode(*network.features(*batch))
    assert len(early) == 2 and torch.equal(lengths, rough_lengths)
    for log_probs in (rough, trained, *(intermediate.log_probs for intermediate in early)):
        assert log_probs.dtype == torch.float32
        torch.testing.assert_close(log_probs.exp().sum(2), torch.ones(log_probs.shape[:2]), atol=1e-5, rtol=0)
    difference = (rough - exact).abs().max()
    assert 1e-4 < float(difference) < 0.3  # bfloat16 was used, and did no harm


def test_uniform_draws_all_weights_from_its_range() -> None:
    torch.manual_seed(0)
    network = Network(RecognizerConfig(LineFeatures(height=HEIGHT), model(LINE_CNN, hidden_size=32, frontend_ctc_weight=0.1, uniform=0.1)), LABELS)
    values = torch.cat([parameter.detach().flatten() for parameter in network.parameters()])
    assert float(values.abs().max()) <= 0.1
    assert abs(float(values.mean())) < 0.002 and abs(float(values.std()) - 0.1 / math.sqrt(3)) < 0.001
    for name, parameter in network.named_parameters():
        assert float(parameter.detach().std()) > 0.02, name
    plain = Network(line(LINE_CNN), LABELS)
    assert max(float(parameter.detach().max()) for parameter in plain.parameters()) == 1.0  # the scale of a fresh normalisation


@pytest.mark.parametrize("name", ["fbank, cnn", "pixels, cnn", "geometric"])
def test_the_state_dict_is_the_whole_network(name: str) -> None:
    config = CONFIGS[name]
    network, batch = make_network(config), make_batch(make_items(config))
    state = network.state_dict()
    assert torch.equal(state["features.mean"], network.features.mean) and torch.equal(state["features.std"], network.features.std)
    other = Network(config, LABELS).eval()
    assert not torch.allclose(other(*batch)[0], network(*batch)[0], atol=1e-3)
    other.load_state_dict(state)
    assert torch.equal(other(*batch)[0], network(*batch)[0])


def test_strides_and_frames_are_those_of_the_front_end() -> None:
    assert [make_network(CONFIGS[name]).stride for name in ("fbank", "fbank, stack", "pixels, cnn")] == [1, 3, 4]
    assert make_network(CONFIGS["pixels, cnn"]).frames(torch.tensor([1, 4, 5])).tolist() == [1, 1, 2]
