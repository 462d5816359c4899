"""The chunked bidirectional layer: by its definition frame by frame, batch invariance, what a frame can see, and gradients."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from recognizer.config import AudioFeatures, CellSettings, Features, LineFeatures, ModelConfig, RecognizerConfig, cell_names
from recognizer.errors import ConfigError
from recognizer.models.chunks import Chunks, cut_windows, join_windows
from recognizer.models.encoder import Encoder, RecurrentLayer

INPUTS, HIDDEN = 5, 4


def make_encoder(layers: int = 2, chunk: float = 4, ahead: float = 4, **settings: object) -> Encoder:
    torch.manual_seed(0)
    config = ModelConfig(**{"num_layers": layers, "hidden_size": HIDDEN, "chunk_ms": chunk, "lookahead_ms": ahead, **settings})  # type: ignore[arg-type]
    return Encoder(INPUTS, config, 3).double().eval()


def by_definition(layer: RecurrentLayer, frames: Tensor) -> Tensor:
    """One sequence (T, D): the forward direction over all of it, the backward one over each chunk and the frames ahead, from zero."""
    chunks, total = layer.chunks, len(frames)
    ahead = layer.forwards(frames[None], torch.tensor([total])).outputs[0]
    back, begin = [], 0
    for stop in range(chunks.size - chunks.offset, total + chunks.size, chunks.size):
        window = frames[begin : stop + chunks.ahead].flip(0)
        if len(window):
            back.append(layer.backwards(window[None], torch.tensor([len(window)])).outputs[0].flip(0)[: stop - begin])
        begin = stop
    return torch.cat([ahead, torch.cat(back)[:total]], dim=1)


@pytest.mark.parametrize(("size", "ahead", "total"), [*itertools.product((1, 3, 5), (0, 2, 7), (1, 4, 11)), (20, 3, 11)])
def test_equals_its_definition_whatever_the_padding(size: int, ahead: int, total: int) -> None:
    encoder = make_encoder(3, size, 3 * ahead)
    assert [layer.chunks for layer in encoder.layers] == [Chunks(size, ahead, (n + 1) * ahead % size) for n in range(3)]
    torch.manual_seed(total)
    frames, lengths = torch.randn(3, total + 6, INPUTS, dtype=torch.float64), torch.tensor([total, 0, total + 2])
    found = encoder(frames, lengths)
    for row, sequence, length in zip(found, frames, lengths.tolist(), strict=True):
        expected = sequence[:length]
        for layer in encoder.layers if length else ():
            expected = by_definition(layer, expected)
        torch.testing.assert_close(row[:length], expected if length else row[:0], atol=1e-12, rtol=0)
        assert not row[length:].any()
    frames[0, total:] = 1e3
    assert torch.equal(encoder(frames, lengths), found)


def test_windows_come_back_as_the_frames_that_they_were_cut_from() -> None:
    for size, ahead, offset, total in itertools.product((1, 4), (0, 3), (0, 3), (1, 8, 9)):
        chunks, frames = Chunks(size, ahead, offset % size), torch.randn(2, total, 3)
        windows, spans = cut_windows(frames, torch.tensor([total, 1]), chunks)
        assert windows.shape[1:] == (size + ahead, 3) and len(spans) == len(windows) and int(spans.max()) <= size + ahead
        assert torch.equal(join_windows(windows, frames.shape[:2], chunks), frames)


@pytest.mark.parametrize("name", cell_names())
def test_every_cell_sees_no_further_than_it_looks_ahead(name: str) -> None:
    encoder = make_encoder(2, 4, 4, cell=name, hidden_size=8, recurrent=CellSettings(positions=int(name == "conv_lstm")))
    frames, lengths = torch.randn(1, 24, INPUTS, dtype=torch.float64), torch.tensor([24])
    changed = frames.clone()
    changed[:, 16:] += 1
    seen = (encoder(frames, lengths) - encoder(changed, lengths))[0].abs().amax(1) > 0
    assert not seen[:12].any() and seen[12:].all()  # 16 frames make those up to 16 - 4 certain, and chunks of 4 end there


def test_gradients_are_quotients_of_differences() -> None:
    layer = make_encoder(1, 3, 2, cell="peephole").layers[0]
    frames, lengths = torch.randn(2, 7, INPUTS, dtype=torch.float64, requires_grad=True), torch.tensor([7, 4])
    mask = (torch.arange(7) < lengths[:, None])[:, :, None]
    assert torch.autograd.gradcheck(lambda frames: layer(frames, lengths)[0] * mask, frames)


def test_milliseconds_become_whole_frames_of_each_layer() -> None:
    config = ModelConfig(num_layers=2, chunk_ms=160, lookahead_ms=320)
    assert [Chunks.of_layer(config, n, 30.0) for n in (0, 1)] == [Chunks(5, 5, 0), Chunks(5, 5, 0)]
    assert Chunks.of_layer(config, 1, 60.0) == Chunks(3, 3, 0) and Chunks.of_layer(config, 0, 1000.0) == Chunks(1, 0, 0)
    assert Chunks.of_layer(ModelConfig(), 0, 10.0) is None


@pytest.mark.parametrize(("settings", "message"), [
    ({"chunk_ms": 100.0, "bidirectional": False}, r"^chunk_ms: divides what the backward direction reads; needs bidirectional=true$"),
    ({"chunk_ms": 100.0, "attention_heads": 2}, r"^chunk_ms: self-attention reads all frames at once; needs attention_heads=0$"),
    ({"lookahead_ms": 100.0}, r"^lookahead_ms: lies behind a chunk; needs chunk_ms$"),
    ({"chunk_ms": -1.0}, r"^chunk_ms: cannot be negative or infinite$"),
    ({"chunk_ms": 1e9}, r"^chunk_ms: cannot be above 60000$"),
])  # fmt: skip
def test_refuses_settings_that_do_not_go_together(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ModelConfig(**settings)


@pytest.mark.parametrize(("features", "message"), [
    (LineFeatures(), r"^model.chunk_ms: recordings can be streamed, not features.kind=pixels$"),
    (AudioFeatures(), r"^model.chunk_ms: is for streaming, with features.normalize=corpus and features.dither=0 \(features=streaming\)$"),
    (AudioFeatures(normalize="corpus", dither=0.1), r"^model.chunk_ms: is for streaming"),
])  # fmt: skip
def test_refuses_features_that_need_the_whole_utterance(features: Features, message: str) -> None:
    RecognizerConfig(AudioFeatures(normalize="corpus"), ModelConfig(chunk_ms=100))
    with pytest.raises(ConfigError, match=message):
        RecognizerConfig(features, ModelConfig(chunk_ms=100))
