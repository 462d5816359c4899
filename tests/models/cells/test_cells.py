"""What holds for every cell there is: found by name, in both directions, stacked, cut into chunks, within the whole network."""

from __future__ import annotations

import pytest
import torch

from recognizer.config import AudioFeatures, CellSettings, ModelConfig, NoFrontend, RecognizerConfig, cell_names
from recognizer.models.cells import build_cell
from recognizer.models.encoder import Encoder, RecurrentLayer, reverse_gaps
from recognizer.models.network import Network
from recognizer.models.recurrent_cell import RecurrentCell
from tests.models.cells.properties import draw_batch, shake

INPUTS, HIDDEN = 8, 8
SETTINGS = CellSettings(heads=2, positions=4, kernel=3)
every_cell = pytest.mark.parametrize("name", cell_names())


def make(name: str, inputs: int = INPUTS) -> RecurrentCell:
    torch.manual_seed(0)
    return build_cell(name, inputs, HIDDEN, SETTINGS).double()


def stack(name: str, **settings: object) -> Encoder:
    config = ModelConfig(cell=name, recurrent=SETTINGS, num_layers=2, hidden_size=HIDDEN, **settings)  # type: ignore[arg-type]
    encoder = Encoder(INPUTS, config).double()
    shake(encoder, scale=0.3)
    return encoder


def test_the_literature_is_there() -> None:
    known = {"lstm", "lstm_1997", "peephole", "cell_gated", "coupled", "gru", "layer_norm", "highway", "time_aware", "slstm", "mlstm", "conv_lstm"}
    assert known <= set(cell_names())


@every_cell
def test_backward_direction_is_the_cell_over_reversed_sequences(name: str) -> None:
    forwards, backwards = make(name), make(name)
    shake(backwards, seed=5)
    frames, lengths = draw_batch(INPUTS, (7, 1, 4))
    both = RecurrentLayer(forwards, backwards)(frames, lengths)[0]
    for item, length in enumerate(lengths.tolist()):
        alone = frames[item : item + 1, :length]
        ahead = forwards(alone, lengths[item : item + 1]).outputs
        back = backwards(alone.flip(1), lengths[item : item + 1]).outputs.flip(1)
        torch.testing.assert_close(both[item : item + 1, :length], torch.cat([ahead, back], dim=2), atol=1e-12, rtol=0)
    assert torch.equal(RecurrentLayer(forwards, None)(frames, lengths)[0], forwards(frames, lengths).outputs)


@every_cell
def test_truncation_changes_gradients_but_not_outputs(name: str) -> None:
    whole, cut = stack(name), stack(name, tbptt_frames=3)
    frames, lengths = draw_batch(INPUTS, (8, 5, 2))
    first, second = (frames.clone().requires_grad_() for _ in range(2))
    outputs = whole(first, lengths), cut(second, lengths)
    torch.testing.assert_close(*outputs, atol=1e-11, rtol=0)
    for output in outputs:
        output[0, 7, :HIDDEN].sum().backward()
    assert first.grad is not None and second.grad is not None
    assert first.grad[0, 0].any()  # through the whole sequence
    layer = RecurrentLayer(make(name), None, tbptt_frames=3)
    only = frames.clone().requires_grad_()
    layer(only, lengths)[0][0, 7].sum().backward()
    assert only.grad is not None and only.grad[0, 6:8].any() and not only.grad[0, :6].any()  # the last chunk begins at frame 6


@every_cell
def test_the_network_learns_with_it_and_items_do_not_see_each_other(name: str) -> None:
    features = AudioFeatures(sample_rate=8000, num_mel_bins=8)
    torch.manual_seed(0)
    network = Network(RecognizerConfig(features, ModelConfig(NoFrontend(), cell=name, recurrent=SETTINGS, num_layers=2, hidden_size=HIDDEN)), 5)
    items = [torch.rand(size) - 0.5 for size in (2000, 700)]
    padded = torch.nn.utils.rnn.pad_sequence(items, batch_first=True)
    lengths = torch.tensor([2000, 700])
    log_probs, frames = network(padded, lengths)
    torch.nn.functional.ctc_loss(log_probs.transpose(0, 1), torch.tensor([[1, 2], [3, 4]]), frames, torch.tensor([2, 2])).backward()
    unused = [key for key, parameter in network.encoder.named_parameters() if parameter.grad is None or not parameter.grad.any()]
    assert unused == [] or (name == "highway" and all("layers.0" in key for key in unused))  # nothing lies below the first layer
    with torch.no_grad():
        network.eval()
        together, counts = network(padded, lengths)
        for item, row, count in zip(items, together, counts.tolist(), strict=True):
            torch.testing.assert_close(network(item[None], torch.tensor([len(item)]))[0][0], row[:count], atol=1e-5, rtol=0)


def test_hybrids_with_highway_layers_and_attention_ignore_padding() -> None:
    encoder = stack("peephole", highway=True, attention_heads=2)
    frames, lengths = draw_batch(INPUTS, (8, 5, 1))
    expected = encoder(frames, lengths)
    loud = frames.clone()
    for row, length in zip(loud, lengths.tolist(), strict=True):
        row[length:] = 1e3
    torch.testing.assert_close(encoder(loud, lengths), expected, atol=1e-11, rtol=0)
    assert not expected[1, 5:].any()


def test_gaps_are_read_from_either_end() -> None:
    """Backwards, the time since the frame before is the gap behind a frame."""
    reversed_gaps = reverse_gaps(torch.tensor([[1.0, 2, 3, 4], [1, 5, 9, 9]]), torch.tensor([4, 2]))
    assert reversed_gaps[0].tolist() == [1, 4, 3, 2] and reversed_gaps[1, :2].tolist() == [1, 5]
