"""Exported graphs against the networks that they were made from."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from recognizer.config import RecognizerConfig
from recognizer.config.schema import from_dict
from recognizer.errors import ConfigError
from recognizer.models.export.graph import OPSET, quantize
from recognizer.models.export.network import build_model
from recognizer.models.export.recurrent import CELLS
from recognizer.models.network import Network

LABELS = 7
SPEECH = {"features": {"kind": "fbank", "sample_rate": 8000, "num_mel_bins": 20}, "model": {"num_layers": 2, "hidden_size": 16}}
LINES = {
    "features": {"kind": "pixels", "height": 16},
    "model": {"frontend": {"kind": "line_cnn", "channels": [4, 8, 8], "time_strides": [2, 3, 1], "height_strides": [2, 2, 1], "residual": True},
              "num_layers": 1, "hidden_size": 16},
}  # fmt: skip
CNN = {"kind": "speech_cnn", "channels": [4, 8], "time_strides": [3, 1], "frequency_strides": [2, 2], "output": 24}


def configure(base: dict[str, Any], **groups: dict[str, Any]) -> RecognizerConfig:
    return from_dict(RecognizerConfig, {name: base.get(name, {}) | groups.get(name, {}) for name in base.keys() | groups.keys()})


def build(config: RecognizerConfig, seed: int = 0, int8: bool = False) -> tuple[Network, onnxruntime.InferenceSession]:
    torch.manual_seed(seed)
    network = Network(config, LABELS).eval()
    for name, value in network.state_dict().items():  # statistics as a trained network has them
        if name.endswith(("mean", "variance", "std")):
            value.copy_(torch.rand_like(value) + (0 if name.endswith("mean") else 0.5))
    model = build_model(network, config, {"alphabet": "x"}, int8)
    onnx.checker.check_model(model, full_check=not int8)
    return network, onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def ragged(config: RecognizerConfig, lengths: list[int], garbage: bool = False) -> np.ndarray:
    """A padded batch; ``garbage``: what stands beyond each item's length is anything."""
    generator, height = np.random.default_rng(len(lengths)), getattr(config.features, "height", None)
    shape = (len(lengths), max(lengths), *([height] if height else []))
    batch = generator.integers(0, 256, shape).astype(np.uint8) if height else (0.1 * generator.standard_normal(shape)).astype(np.float32)
    for row, length in zip(batch, lengths, strict=True):
        if not garbage:
            row[length:] = 0
    return batch


def assert_same(network: Network, session: onnxruntime.InferenceSession, batch: np.ndarray, lengths: list[int], tolerance: float = 1e-4) -> None:
    with torch.inference_mode():
        wanted, counts = network(torch.from_numpy(batch), torch.tensor(lengths))
    found, frames = session.run(None, {"inputs": batch, "lengths": np.array(lengths)})
    assert frames.tolist() == counts.tolist()
    for ours, theirs, count in zip(found, wanted.numpy(), frames, strict=True):
        np.testing.assert_allclose(ours[:count], theirs[:count], atol=tolerance)


SOUND = [4000, 1, 200, 199, 2803, 0, 2000]
COLUMNS = [150, 1, 2, 40, 99, 7]


@pytest.mark.parametrize("features", [
    {}, {"dither": 0.01}, {"normalize": "corpus"}, {"normalize": "none", "energy": True, "deltas": 2}, {"kind": "mfcc", "energy": True, "deltas": 1},
    {"kind": "spectrogram"}, {"sample_rate": 11025}, {"sample_rate": 16000, "window_ms": 20, "hop_ms": 7.3}, {"window_ms": 32.1, "f_min": 60},
], ids=str)  # fmt: skip
def test_features_of_every_kind_are_in_the_graph(features):
    config = configure(SPEECH, features=SPEECH["features"] | features)
    network, session = build(config)
    assert_same(network, session, ragged(config, SOUND, garbage=True), SOUND)


@pytest.mark.parametrize("model", [
    {"frontend": {"kind": "stack", "frames": 3}}, {"frontend": CNN}, {"bidirectional": False}, {"highway": True}, {"intermediate_ctc_weight": 0.3},
    {"units_layer": 2, "units": ["a", "b"], "intermediate_ctc_weight": 0.3, "num_layers": 3},
    {"frontend": CNN, "highway": True, "intermediate_ctc_weight": 0.3, "frontend_ctc_weight": 0.2, "num_layers": 3, "tbptt_frames": 5},
], ids=str)  # fmt: skip
def test_networks_of_sound(model):
    config = configure(SPEECH, model=SPEECH["model"] | model)
    network, session = build(config, seed=1)
    assert_same(network, session, ragged(config, SOUND), SOUND)


@pytest.mark.parametrize("cell", sorted(CELLS))
@pytest.mark.parametrize("bidirectional", [False, True])
def test_cells_that_onnx_has(cell, bidirectional):
    config = configure(SPEECH, model=SPEECH["model"] | {"cell": cell, "bidirectional": bidirectional, "recurrent": {"forget_bias": 1.0}})
    network, session = build(config, seed=2)
    assert_same(network, session, ragged(config, SOUND), SOUND)


@pytest.mark.parametrize("normalize", ["corpus", "none"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_networks_of_lines(cell, normalize):
    config = configure(LINES, features=LINES["features"] | {"normalize": normalize}, model=LINES["model"] | {"cell": cell})
    network, session = build(config, seed=3)
    assert_same(network, session, ragged(config, COLUMNS, garbage=True), COLUMNS)


@pytest.mark.parametrize("base", [SPEECH, LINES], ids=["sound", "lines"])
def test_a_result_does_not_depend_on_the_batch(base):
    config = configure(base, model=base["model"] | ({"frontend": CNN} if base is SPEECH else {}))
    _, session = build(config)
    lengths = SOUND[:5] if base is SPEECH else COLUMNS
    batch = ragged(config, lengths, garbage=True)
    together, frames = session.run(None, {"inputs": batch, "lengths": np.array(lengths)})
    for number, (length, count) in enumerate(zip(lengths, frames, strict=True)):
        alone, _ = session.run(None, {"inputs": batch[number : number + 1, :length], "lengths": np.array([length])})
        np.testing.assert_allclose(together[number, :count], alone[0, :count], atol=1e-5)


def test_silence_comes_out_as_in_torch_and_what_is_not_finite_stays_in_its_item():
    config = configure(SPEECH)
    network, session = build(config)
    batch = np.zeros((2, 1000), np.float32)
    assert_same(network, session, batch, [1000, 300])
    batch[0, 500] = np.nan
    with torch.inference_mode():
        wanted = network(torch.from_numpy(batch), torch.tensor([1000, 300]))[0].numpy()
    found, frames = session.run(None, {"inputs": batch, "lengths": np.array([1000, 300])})
    np.testing.assert_allclose(found[1, : frames[1]], wanted[1, : frames[1]], atol=1e-4)


@pytest.mark.parametrize(("groups", "words"), [
    ({"model": {"cell": "slstm"}}, "model.cell: .*'slstm'; models of the cells coupled, gru, lstm, lstm_1997, peephole"),
    ({"model": {"recurrent": {"zoneout": 0.1}}}, "model.recurrent.zoneout: "),
    ({"model": {"chunk_ms": 160.0}, "features": {"normalize": "corpus", "dither": 0.0}}, "model.chunk_ms: 160 cannot be exported"),
    ({"model": {"attention_heads": 4}}, "model.attention_heads: 4 cannot be exported"),
    ({"objective": {"kind": "transducer"}}, "objective.kind: transducer cannot be exported to ONNX; recognizers with CTC alone can"),
    ({"features": {"kind": "strokes"}}, "features.kind: strokes cannot"),
    ({"features": {"kind": "geometric"}}, "features.kind: geometric cannot"),
], ids=str)  # fmt: skip
def test_what_onnx_has_not_is_refused_by_its_setting(groups, words):
    base = {"features": {"kind": "fbank"}, "model": {"num_layers": 1, "hidden_size": 16}}
    config = configure(base, **{name: base.get(name, {}) | group for name, group in groups.items()})
    with pytest.raises(ConfigError, match=words):
        build_model(Network(config, LABELS).eval(), config, {})


@pytest.mark.parametrize(("base", "model"), [
    (SPEECH, {"frontend": CNN, "intermediate_ctc_weight": 0.3, "highway": True}), (SPEECH, {"cell": "gru"}), (SPEECH, {"cell": "coupled"}),
    (LINES, {}),
], ids=str)  # fmt: skip
def test_int8_is_near_and_smaller(base, model):
    config = configure(base, model=base["model"] | {"hidden_size": 64} | model)
    network, session = build(config, int8=True)
    lengths = SOUND[:5] if base is SPEECH else COLUMNS
    assert_same(network, session, ragged(config, lengths), lengths, tolerance=0.2)
    sizes = [len(build_model(network, config, {}, int8).SerializeToString()) for int8 in (False, True)]
    assert sizes[1] < 0.5 * sizes[0]


def test_quantized_weights_are_within_half_a_step():
    weight = np.random.default_rng(0).standard_normal((20, 30)).astype(np.float32)
    weight[:, 3] = 0
    small, scales = quantize(weight, axis=1)
    assert small.dtype == np.int8 and scales.shape == (30,)
    assert (np.abs(small * scales - weight) <= 0.5001 * scales).all()


def test_inputs_and_outputs_are_named_and_of_any_size():
    _, session = build(configure(LINES))
    assert [(each.name, each.shape) for each in session.get_inputs()] == [("inputs", ["batch", "columns", 16]), ("lengths", ["batch"])]
    assert [(each.name, each.shape) for each in session.get_outputs()] == [("log_probs", ["batch", "frames", LABELS]), ("frames", ["batch"])]
    assert session.get_modelmeta().custom_metadata_map == {"alphabet": "x"}
    assert OPSET == 17
