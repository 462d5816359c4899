"""A whole network as an ONNX model: waveforms or line images in, CTC log-probs out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from onnx import ModelProto, TensorProto, helper

from recognizer.config import AudioFeatures, LineFeatures, RecognizerConfig
from recognizer.errors import ConfigError
from recognizer.models.encoder import Encoder
from recognizer.models.export.audio import add_audio_features
from recognizer.models.export.graph import MICROSOFT, OPSET, Graph, Name, tensor_info
from recognizer.models.export.recurrent import add_recurrent
from recognizer.models.frontends import FrameStack, Identity, LineConvolutions, MaskedConvolution, SpeechConvolutions
from recognizer.models.network import Network

INPUTS, LENGTHS, LOG_PROBS, FRAMES = "inputs", "lengths", "log_probs", "frames"
IR_VERSION = 8  # of the file format, as old as the operators


def build_model(network: Network, config: RecognizerConfig, metadata: Mapping[str, str], int8: bool = False) -> ModelProto:
    """The ONNX model of a network in evaluation mode.

    Its inputs are ``inputs``, samples (B, N) float32 in [-1, 1] or pixel columns (B, W, H) uint8 with ink 255, padded with anything, and
    ``lengths`` (B,) int64; its outputs ``log_probs`` (B, T, V) float32, label 0 the blank, and ``frames`` (B,) int64, how many of the T
    are each item's. Log-probs of units, if the network writes them, are in further columns. What comes out for an item does not depend on
    the others.

    Args:
        network: with its weights.
        config: what it was built from.
        metadata: stored in the model.
        int8: store and multiply matrices as int8; the model then needs onnxruntime.

    Raises:
        ConfigError: a part of the network has no counterpart in ONNX; the message names the setting.
    """
    check_exportable(config)
    graph = Graph(int8)
    if isinstance(config.features, AudioFeatures):
        inputs = tensor_info(INPUTS, TensorProto.FLOAT, ["batch", "samples"])
        features, lengths = add_audio_features(graph, network.features, INPUTS, LENGTHS)  # type: ignore[arg-type]
    else:
        inputs = tensor_info(INPUTS, TensorProto.UINT8, ["batch", "columns", network.features.dim])
        features, lengths = _add_pixels(graph, network)
    frames, lengths = _add_frontend(graph, network, features, lengths)
    outputs, units = _add_encoder(graph, network.encoder, config, frames, lengths)  # type: ignore[arg-type]
    assert network.output is not None
    log_probs = graph.add("LogSoftmax", _linear(graph, network.output, outputs), axis=-1)  # (T, B, V)
    if units is not None:
        log_probs = graph.add("Concat", log_probs, graph.add("LogSoftmax", units, axis=-1), axis=2)
    # also frames beyond an item's are those that the network gives of zeros
    graph.nodes.append(helper.make_node("Transpose", [log_probs], [LOG_PROBS], perm=[1, 0, 2]))
    graph.nodes.append(helper.make_node("Identity", [lengths], [FRAMES]))
    columns = network.num_labels + network.num_units
    results = [tensor_info(LOG_PROBS, TensorProto.FLOAT, ["batch", "frames", columns]), tensor_info(FRAMES, TensorProto.INT64, ["batch"])]
    made = helper.make_graph(graph.nodes, "recognizer", [inputs, tensor_info(LENGTHS, TensorProto.INT64, ["batch"])], results, graph.constants)
    versions = [helper.make_opsetid("", OPSET), *([helper.make_opsetid(MICROSOFT, 1)] if int8 else [])]
    model = helper.make_model(made, opset_imports=versions, producer_name="recognizer", ir_version=IR_VERSION)
    helper.set_model_props(model, dict(metadata))
    return model


def check_exportable(config: RecognizerConfig) -> None:
    """Refuse what has no counterpart in ONNX, or none here.

    Raises:
        ConfigError: such a setting.
    """
    features, model = config.features, config.model
    refused = {
        "objective.kind": (config.objective.kind not in ("ctc", "minimum_risk"), config.objective.kind, "recognizers with CTC alone"),
        "features.kind": (
            not isinstance(features, AudioFeatures) and not (isinstance(features, LineFeatures) and features.kind == "pixels"),
            features.kind, "recognizers of sound and those of lines by their pixels",
        ),
        "model.frontend.kind": (model.frontend.kind == "mdlstm", "mdlstm", "front-ends of convolutions, stack and none"),
        "model.chunk_ms": (model.chunk_ms > 0, f"{model.chunk_ms:g}", "models whose backward direction reads all frames, and one-directional ones"),
        "model.attention_heads": (model.attention_heads > 0, model.attention_heads, "models without a layer of attention"),
    }  # fmt: skip
    for key, (is_refused, value, others) in refused.items():
        if is_refused:
            raise ConfigError(f"{key}: {value} cannot be exported to ONNX; {others} can")


def _add_pixels(graph: Graph, network: Network) -> tuple[Name, Name]:
    """Pixels (B, W, H) float32, zero in the padding, of the input's columns, and their lengths."""
    pixels = graph.add("Div", graph.cast(INPUTS, "float"), graph.constant(255.0))
    if network.features.normalize == "corpus":
        mean, std = (graph.constant(values.numpy()) for values in (network.features.mean, network.features.std))
        pixels = graph.add("Div", graph.add("Sub", pixels, mean), std)
    real = graph.add("Unsqueeze", graph.inside(LENGTHS, graph.size(INPUTS, 1)), graph.ints(2))
    return graph.add("Where", real, pixels, graph.constant(0.0)), LENGTHS


def _add_frontend(graph: Graph, network: Network, features: Name, lengths: Name) -> tuple[Name, Name]:
    """Features (B, T, D) to frames (T', B, C), zero in the padding, and their lengths (B,)."""
    frontend = network.frontend
    if isinstance(frontend, Identity):
        return graph.add("Transpose", features, perm=[1, 0, 2]), lengths
    if isinstance(frontend, FrameStack):
        count = frontend.stride
        missing = graph.add("Sub", graph.add("Mul", graph.ceil_div(graph.size(features, 1), count), graph.ints(count)), graph.size(features, 1))
        padding = graph.add("Concat", graph.ints(0, 0, 0, 0), missing, graph.ints(0), axis=0)
        stacked = graph.add("Reshape", graph.add("Pad", features, padding), graph.ints(0, -1, frontend.dim))
        return graph.add("Transpose", stacked, perm=[1, 0, 2]), graph.ceil_div(lengths, count)
    assert isinstance(frontend, (LineConvolutions, SpeechConvolutions))
    maps = graph.add("Unsqueeze", features, graph.ints(1))  # (B, 1, T, D): frames in rows, so that no axes are exchanged
    adds = frontend.adds if isinstance(frontend, LineConvolutions) else [False] * len(frontend.layers)
    for layer, adds_input in zip(frontend.layers, adds, strict=True):
        below = maps
        maps, lengths = _add_convolution(graph, layer, maps, lengths)  # type: ignore[arg-type]
        maps = graph.add("Add", maps, below) if adds_input else maps
    if isinstance(frontend, LineConvolutions):
        return graph.add("Transpose", graph.add("ReduceMax", maps, axes=[3], keepdims=0), perm=[2, 0, 1]), lengths
    rows = graph.add("Transpose", maps, perm=[2, 0, 3, 1])  # (T, B, D, C)
    frames = _linear(graph, frontend.projection, graph.add("Reshape", rows, graph.ints(0, 0, frontend.projection.in_features)))
    return graph.add("Mul", frames, _mask(graph, lengths, frames)), lengths


def _add_convolution(graph: Graph, layer: MaskedConvolution, maps: Name, lengths: Name) -> tuple[Name, Name]:
    """Maps (B, C, T, D) through a convolution and a rectifier; padded frames come out as zero."""
    scale, shift = layer.norm.affine(layer.norm.mean, layer.norm.variance)
    kernels = (layer.convolution.weight * scale[:, None, None, None]).detach().transpose(2, 3).numpy()
    padding = [kernels.shape[2] // 2, kernels.shape[3] // 2] * 2
    lengths = graph.ceil_div(lengths, layer.strides[1])
    strides = [layer.strides[1], layer.strides[0]]
    maps = graph.add("Conv", maps, graph.stored(kernels, axis=0), graph.constant(shift.detach().numpy()), pads=padding, strides=strides)
    maps = graph.add("Relu", maps)
    real = graph.cast(graph.inside(lengths, graph.size(maps, 2)), "float")
    return graph.add("Mul", maps, graph.add("Unsqueeze", real, graph.ints(1, 3))), lengths


def _mask(graph: Graph, lengths: Name, frames: Name) -> Name:
    """(T, B, 1) float32, 1 where frames (T, B, D) are real and 0 in the padding."""
    real = graph.cast(graph.inside(lengths, graph.size(frames, 0)), "float")
    return graph.add("Unsqueeze", graph.add("Transpose", real, perm=[1, 0]), graph.ints(2))


def _add_encoder(graph: Graph, encoder: Encoder, config: RecognizerConfig, frames: Name, lengths: Name) -> tuple[Name, Name | None]:
    """Frames (T, B, C) through the recurrent layers: (T, B, H or 2H), zero in the padding; and logits (T, B, U) of units if there are any."""
    units = None
    counts = graph.cast(graph.add("Max", lengths, graph.ints(1)), "int32")  # an item of no frames runs over its padding
    for number, layer in enumerate(encoder.layers):
        frames = add_recurrent(graph, config.model.cell, layer, frames, counts)  # type: ignore[arg-type]
        if len(encoder.highways):
            frames = _add_highway(graph, encoder.highways[number].linear, frames)
        condition = encoder.condition(number)
        if condition is not None:
            logits = _linear(graph, condition.output, frames)
            units = logits if condition is encoder.units else units
            frames = graph.add("Add", frames, _linear(graph, condition.back, graph.add("Softmax", logits, axis=-1)))
    return graph.add("Mul", frames, _mask(graph, lengths, frames)), units


def _add_highway(graph: Graph, layer: object, frames: Name) -> Name:
    weight, bias = _weights(layer)
    middle = len(bias) // 2 if bias is not None else 0
    transform, gate = (graph.linear(frames, weight[part], None if bias is None else bias[part]) for part in (slice(middle), slice(middle, None)))
    return graph.add("Add", frames, graph.add("Mul", graph.add("Sigmoid", gate), graph.add("Sub", graph.add("Tanh", transform), frames)))


def _linear(graph: Graph, layer: object, frames: Name) -> Name:
    return graph.linear(frames, *_weights(layer))


def _weights(layer: object) -> tuple[np.ndarray, np.ndarray | None]:
    weight, bias = layer.weight.detach().numpy(), layer.bias  # type: ignore[attr-defined]
    return weight, None if bias is None else bias.detach().numpy()
