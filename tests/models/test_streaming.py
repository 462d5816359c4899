"""Networks that run while the recording goes on: in pieces of any length as over the whole, and what is certain after so many samples."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from recognizer.audio.feature_stream import FeatureStream
from recognizer.audio.features import AudioFeatureExtractor
from recognizer.config import AudioFeatures, LineFeatures, ModelConfig, NoFrontend, RecognizerConfig, SpeechCnn, Stack, Transducer, cell_names
from recognizer.errors import ConfigError
from recognizer.models.network import Network
from recognizer.models.streaming import NetworkStream, check_streams
from tests.models.test_network import make_network

RATE = 8000
FEATURES = AudioFeatures(sample_rate=RATE, num_mel_bins=20, normalize="corpus")
CNN = SpeechCnn(channels=(4, 4), time_strides=(3, 2), frequency_strides=(2, 2), output=8)
FORWARD, CHUNKED = {"bidirectional": False}, {"chunk_ms": 120.0, "lookahead_ms": 180.0}
MODELS = {
    "one direction": ModelConfig(num_layers=2, hidden_size=8, **FORWARD),
    "one direction, stack": ModelConfig(Stack(frames=3), num_layers=2, hidden_size=8, **FORWARD),
    "one direction, cnn, highway": ModelConfig(CNN, num_layers=2, hidden_size=8, highway=True, tbptt_frames=4, **FORWARD),
    "chunks": ModelConfig(NoFrontend(), num_layers=3, hidden_size=8, **CHUNKED),
    "chunks, stack": ModelConfig(Stack(frames=3), num_layers=2, hidden_size=8, **CHUNKED),
    "chunks, cnn": ModelConfig(CNN, num_layers=3, hidden_size=8, **CHUNKED),
    "chunks, cnn, conditioned": ModelConfig(CNN, num_layers=3, hidden_size=8, intermediate_ctc_weight=0.2, frontend_ctc_weight=0.1, **CHUNKED),
    "chunks without look-ahead": ModelConfig(CNN, num_layers=2, hidden_size=8, chunk_ms=120.0),
}
every_model = pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))


def run(config: RecognizerConfig, network: Network, samples: Tensor, sizes: list[int]) -> list[Tensor]:
    """What comes out after each piece of these sizes, and at the end."""
    stream, place, pieces = NetworkStream(config, network), 0, []
    for size in sizes:
        pieces.append(stream.feed(samples[place : place + size]))
        place += size
    return [*pieces, stream.feed(samples[place:], last=True)]


def draw_sizes(seed: int, total: int) -> list[int]:
    """Pieces of one sample, of none, of a few frames and of a second."""
    generator, sizes = random.Random(seed), []
    while sum(sizes) < total:
        sizes.append(generator.choice((0, 1, 1, 79, 80, 200, generator.randint(1, 999), 8000)))
    return sizes


def whole(network: Network, samples: Tensor) -> Tensor:
    with torch.inference_mode():
        return network(samples[None], torch.tensor([len(samples)]))[0][0]


@every_model
@pytest.mark.parametrize("seed", range(3))
def test_pieces_of_any_size_give_what_the_whole_gives(model: ModelConfig, seed: int) -> None:
    config = RecognizerConfig(FEATURES, model)
    network, total = make_network(config, seed), 11_000 + 37 * seed
    samples = torch.rand(total, generator=torch.Generator().manual_seed(seed)) * 0.4 - 0.2
    expected = whole(network, samples)
    assert float(expected.std()) > 0.1
    found = torch.cat(run(config, network, samples, draw_sizes(seed, total)))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@every_model
def test_one_sample_at_a_time_and_recordings_of_a_few_samples(model: ModelConfig) -> None:
    config = RecognizerConfig(FEATURES, model)
    network, samples = make_network(config), torch.rand(1700, generator=torch.Generator().manual_seed(5)) * 0.4 - 0.2
    torch.testing.assert_close(torch.cat(run(config, network, samples, [1] * 1700)), whole(network, samples), atol=1e-5, rtol=0)
    for total in (0, 1, 90, 200, 281):
        found = torch.cat(run(config, network, samples[:total], [total // 2]))
        torch.testing.assert_close(found, whole(network, samples[:total]) if total else found[:0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("features", [
    {"deltas": 2, "energy": True}, {"kind": "mfcc", "deltas": 1}, {"kind": "spectrogram", "normalize": "none"}, {"hop_ms": 25.0},
    {"window_ms": 31.7, "hop_ms": 7.3},
])  # fmt: skip
def test_features_of_pieces_are_those_of_the_whole(features: dict) -> None:
    extractor = AudioFeatureExtractor(replace(FEATURES, **features))
    extractor.set_statistics(torch.randn(extractor.dim), torch.rand(extractor.dim) + 0.5)
    for seed, total in itertools.product(range(2), (0, 1, 260, 5000)):
        samples, stream, place, pieces = torch.rand(total, generator=torch.Generator().manual_seed(seed)) - 0.5, FeatureStream(extractor), 0, []
        for size in draw_sizes(seed, total):
            pieces.append(stream.feed(samples[place : place + size]))
            place += size
        pieces.append(stream.feed(samples[place:], last=True))
        expected = extractor(samples[None], torch.tensor([total]))[0][0] if total else torch.empty(0, extractor.dim)
        torch.testing.assert_close(torch.cat(pieces), expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize("name", cell_names())
@pytest.mark.parametrize("settings", [FORWARD, CHUNKED], ids=["forward", "chunked"])
def test_every_cell_can_be_streamed(name: str, settings: dict) -> None:
    config = RecognizerConfig(FEATURES, ModelConfig(Stack(frames=2), cell=name, num_layers=2, hidden_size=8, **settings))
    if name == "conv_lstm":
        config = replace(config, model=replace(config.model, recurrent=replace(config.model.recurrent, positions=4)))
    network, samples = make_network(config), torch.rand(6000, generator=torch.Generator().manual_seed(5)) * 0.4 - 0.2
    found, tolerance = torch.cat(run(config, network, samples, draw_sizes(4, 6000))), 1e-4 if name == "mlstm" else 1e-5  # it sums over its own chunks
    torch.testing.assert_close(found, whole(network, samples), atol=tolerance, rtol=0)


@every_model
def test_a_frame_comes_no_later_than_the_latency_says(model: ModelConfig) -> None:
    config = RecognizerConfig(FEATURES, model)
    network, step, seen, late = make_network(config), 40, 0, []
    stream = NetworkStream(config, network)
    for fed in range(step, 12_000, step):
        seen += len(stream.feed(torch.zeros(step)))
        late.append(fed - seen * network.stride * network.features.hop)  # samples behind the first one of the next frame
    assert max(late) < stream.latency <= max(late) + 2 * step


def test_what_cannot_be_streamed_is_named_with_what_can() -> None:
    def refused(config: RecognizerConfig) -> str:
        with pytest.raises(ConfigError) as failure:
            check_streams(config)
        return str(failure.value)

    forward = ModelConfig(bidirectional=False)
    advice = "train with model=streaming_blstm (model.chunk_ms, model.lookahead_ms) or model=streaming_lstm (model.bidirectional=false)"
    both = refused(RecognizerConfig(FEATURES, ModelConfig()))
    assert both == f"model.bidirectional: the backward direction reads from the end, so that nothing can be written before; {advice}"
    assert refused(RecognizerConfig(replace(FEATURES, normalize="utterance"), forward)).endswith("train with features.normalize=corpus")
    assert "features.dither: 0.003" in refused(RecognizerConfig(replace(FEATURES, dither=0.003), forward))
    assert refused(RecognizerConfig(FEATURES, replace(forward, attention_heads=1))).startswith("model.attention_heads: ")
    assert refused(RecognizerConfig(FEATURES, forward, objective=Transducer())).startswith("objective.kind: transducer: ")
    assert refused(RecognizerConfig(LineFeatures(), forward)).startswith("features.kind: pixels: ")
