"""Inspection: what is shown is what is recognized; saliency is the gradient that a small change of the input confirms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from recognizer.config import AudioFeatures, MdLstmFrontend, ModelConfig, RecognizerConfig, Stack
from recognizer.errors import ConfigError
from recognizer.evaluation.inspect import choose_cells, input_gradient, inspect, list_cells, reach
from recognizer.inference.recognizer import Recognizer
from recognizer.models.mdlstm import MdLstmEncoder
from recognizer.models.network import Network
from recognizer.models.recorder import STARTS, MapRecorder, StateRecorder
from recognizer.training.run import train
from tests.models.test_mdlstm import scan_place_by_place


@pytest.fixture(scope="module")
def recognizer(speech_run: Path) -> Recognizer:
    return Recognizer.load(speech_run / "bundle", "cpu", threads=1)


@pytest.fixture(scope="module")
def map_run(glyphs, tmp_path_factory) -> Path:
    """A run of two two-dimensional layers on the glyphs."""
    frontend = {"kind": "mdlstm", "hidden_sizes": [2, 6], "units": [4], "block_heights": [4, 2], "block_widths": [2, 2], "stable": True}
    run_dir = tmp_path_factory.mktemp("runs") / "maps"
    changes = {"model": {"frontend": frontend, "num_layers": 0}, "trainer.epochs": 12, "trainer.learning_rate": 0.02}
    train(glyphs.config(run_dir, changes), quiet=True)
    return run_dir


def test_what_is_shown_is_what_is_recognized(recognizer, tones) -> None:
    source = tones.items()[0].source
    (transcript,) = recognizer.transcribe([source], times=True)
    found = inspect(recognizer, source)
    assert found.text == transcript.text and [token.symbol for token in found.tokens] == list(transcript.units)
    assert [(token.start, token.end) for token in found.tokens] == [(token.start, token.end) for token in transcript.tokens]
    (log_probs,) = recognizer.log_probs([source])
    np.testing.assert_allclose(found.posteriors, np.exp(log_probs), atol=1e-5)
    assert [panel.name for panel in found.panels] == list("ifgoch") * 2
    assert {panel.group.split(":")[0] for panel in found.panels} == {"layer 1, forwards", "layer 1, backwards"}
    assert all(panel.values.shape == (len(log_probs), 16) for panel in found.panels)
    assert found.features.shape == found.saliency.shape and len(found.content) == round(8000 * found.frame_times.end)
    shown = {(panel.group[:15], panel.name): panel.values for panel in found.panels}
    for side in ("layer 1, forwar", "layer 1, backwa"):
        values = {name: shown[side, name] for name in "ifgoch"}
        c = values["c"] if side.endswith("forwar") else values["c"][::-1]
        i, f, g = (values[name] if side.endswith("forwar") else values[name][::-1] for name in "ifg")
        np.testing.assert_allclose(c[1:], f[1:] * c[:-1] + i[1:] * g[1:], atol=1e-5)


def test_maps_of_two_dimensional_layers(map_run, glyphs, monkeypatch) -> None:
    recognizer = Recognizer.load(map_run / "bundle", "cpu", threads=1)
    item = max(glyphs.items(), key=lambda item: len(item.text))
    monkeypatch.setattr("recognizer.evaluation.inspect.MAX_PANELS", 48)
    found = inspect(recognizer, item.source, [1, 2])
    (transcript,) = recognizer.transcribe([item.source])
    assert found.text == transcript.text and found.saliency.shape == found.content.shape and found.saliency.any()
    corners = [f"{side} from the {corner}" for side, corner in zip(["forwards"] * 2 + ["backwards"] * 2, STARTS, strict=True)]
    wanted = [(f"layer {layer}, {corner}", name) for layer in (1, 2) for corner in corners for name in "ifaoch"]
    assert [(panel.group.split(":")[0], panel.name) for panel in found.panels] == wanted
    encoder = recognizer.network.frontend
    columns, widths = recognizer.network.features(torch.from_numpy(found.content)[None], torch.tensor([len(found.content)]))
    with torch.no_grad():
        maps, widths = encoder._gather(columns.transpose(1, 2)[..., None], widths, 0)
        lower = scan_place_by_place(encoder.scans[0], maps, widths)
        maps, widths = encoder._gather(lower[..., 6, :].flatten(3), widths, 1)
        upper = scan_place_by_place(encoder.scans[1], torch.tanh(encoder.units[0](maps)), widths)
    for number, panel in enumerate(found.panels):
        place, kind = divmod(number % 24, 6)
        seen = (lower, upper)[number // 24][0, :, :, place, "ifagoch".index("ifaoch"[kind])].numpy()  # (R, W, H)
        plain = seen.mean(2) if kind < 4 else np.sqrt((seen**2).mean(2))
        np.testing.assert_allclose(panel.values, plain.T, atol=1e-5)
        assert panel.stride == (2, 4)[number // 24] and panel.group.endswith(f"mean of {(2, 6)[number // 24]} cells, of c and h its root mean square")
    some = inspect(recognizer, item.source, directions=["backwards"], what=["cells"])
    assert [(panel.group[:8], panel.name) for panel in some.panels] == [("layer 2,", name) for name in "chch"]


def test_layers_behind_two_dimensional_ones_come_after_them(recognizer) -> None:
    front = MdLstmEncoder(MdLstmFrontend(hidden_sizes=(2, 3), units=(4,), block_heights=(2, 2), block_widths=(2, 2)))
    there = list_cells(StateRecorder(recognizer.network.encoder), MapRecorder(front))
    assert there == [(layer, side) for layer in range(3) for side in ("forwards", "backwards")]
    assert choose_cells(there, None, ["backwards"]) == [(2, "backwards")] and choose_cells(there, [1], None) == there[:2]
    ahead = [place for place in there if place != (2, "backwards")]
    assert choose_cells(ahead, [1, 3], ["backwards"]) == [(0, "backwards")]
    with pytest.raises(ConfigError, match="--direction backwards: the layers read forwards only"):
        choose_cells(ahead, [3], ["backwards"])
    assert choose_cells([], None, None) == []


def test_a_symbol_depends_on_its_own_tone(recognizer, tones) -> None:
    source = next(item.source for item in tones.items() if len(item.text) >= 4)
    all_of_it = inspect(recognizer, source, what=["saliency"])
    count = len(all_of_it.tokens)
    first, last = (inspect(recognizer, source, what=["saliency"], symbol=k) for k in (1, count))
    assert not first.panels and first.saliency.sum(1).argmax() < last.saliency.sum(1).argmax()
    assert (all_of_it.symbol, first.symbol, last.symbol) == (None, 0, count - 1)
    assert 0 <= last.reach[0.5] <= last.reach[0.9] <= len(last.posteriors)
    assert not all_of_it.reach
    for symbol in (0, count + 1):
        with pytest.raises(ConfigError, match=f"--symbol {symbol}: .* has {count} recognized symbols"):
            inspect(recognizer, source, symbol=symbol)


def test_cells_and_units_that_are_asked_for(recognizer, tones) -> None:
    found = inspect(recognizer, tones.items()[0].source, [1], ["backwards"], ["cells"], units=3)
    assert [panel.name for panel in found.panels] == ["c", "h"] and found.saliency is None
    assert found.panels[0].values.shape[1] == 3 and "3 of 16 units" in found.panels[0].group


def test_too_many_panels_are_refused(recognizer, tones, monkeypatch) -> None:
    monkeypatch.setattr("recognizer.evaluation.inspect.MAX_PANELS", 11)
    with pytest.raises(ConfigError, match="12 panels are more than 11; ask for less with --layer, --direction or --what"):
        inspect(recognizer, tones.items()[0].source)


@pytest.mark.parametrize("cell", ["lstm", "peephole"])
def test_the_gradient_is_a_difference_quotient(cell: str) -> None:
    torch.manual_seed(0)
    model = ModelConfig(Stack(frames=2), cell=cell, num_layers=1, hidden_size=6, uniform=0.6)
    network = Network(RecognizerConfig(features=AudioFeatures(num_mel_bins=4), model=model), 5).eval()
    features, lengths = torch.randn(1, 9, 4).requires_grad_(), torch.tensor([9])
    labels, frames = [1, 3, 3], [0, 2, 4]
    gradient = input_gradient(features, network.encode(features, lengths)[0], labels, frames)
    assert gradient.shape == (9, 4)

    def total(change: np.ndarray) -> float:
        with torch.no_grad():
            table = network.encode(features + torch.from_numpy(change)[None], lengths)[0][0].double()
        return float(sum(table[frame, label] for label, frame in zip(labels, frames, strict=True)))

    for frame, entry in ((0, 1), (4, 3), (8, 0)):
        change = np.zeros((9, 4), np.float32)
        change[frame, entry] = 0.02
        assert (total(change) - total(-change)) / 0.04 == pytest.approx(gradient[frame, entry], abs=2e-4)
    assert np.abs(gradient).max() > 0.05


def test_without_labels_the_gradient_is_zero() -> None:
    features = torch.randn(1, 3, 2, requires_grad=True)
    assert not input_gradient(features, features.log_softmax(2), [], []).any()


def test_reach() -> None:
    norms = np.array([0, 1, 2, 1, 0, 0.4])
    assert [reach(norms, 2.5, share) for share in (0.4, 0.5, 0.9, 1.0)] == [0.0, 1.0, 1.0, 3.0]
    assert reach(np.zeros(4), 1.5, 0.9) == 0.0
