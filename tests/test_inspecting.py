"""`recognizer inspect`: what is looked at, the picture that is written, and what cannot be looked at is said in one line."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from recognizer.config import MdLstmFrontend
from recognizer.errors import ConfigError
from recognizer.inspecting import _choose_cells, _list_cells, inspect, order_units
from recognizer.models.mdlstm_encoder import MdLstmEncoder
from recognizer.models.mdlstm_watching import STARTS, MapWitness
from recognizer.models.watching import Witness
from recognizer.pipeline import Recognizer
from recognizer.training.run import train
from tests.models.test_mdlstm import watch_place_by_place


@pytest.fixture(scope="module")
def listener(speech_run: Path) -> Recognizer:
    return Recognizer.load(speech_run / "bundle", "cpu", threads=1)


@pytest.fixture(scope="module")
def map_run(glyphs, tmp_path_factory) -> Path:
    """A run of two two-dimensional layers on the glyphs."""
    frontend = {"kind": "mdlstm", "hidden": [2, 6], "units": [4], "block_heights": [4, 2], "block_widths": [2, 2], "stable": True}
    run_dir = tmp_path_factory.mktemp("runs") / "maps"
    changes = {"model": {"frontend": frontend, "layers": 0}, "trainer.epochs": 12, "trainer.learning_rate": 0.02}
    train(glyphs.config(run_dir, changes), quiet=True)
    return run_dir


@pytest.fixture
def drawing() -> None:
    pytest.importorskip("matplotlib", reason="the extra 'inspect' is not installed")


def test_what_is_looked_at_is_what_is_recognised(listener, tones) -> None:
    source = tones.items()[0].source
    (transcript,) = listener.transcribe([source], times=True)
    found = inspect(listener, source)
    assert found.text == transcript.text and [token.symbol for token in found.tokens] == list(transcript.units)
    assert [(token.start, token.end) for token in found.tokens] == [(token.start, token.end) for token in transcript.tokens]
    (log_probs,) = listener.log_probs([source])
    np.testing.assert_allclose(found.posteriors, np.exp(log_probs), atol=1e-5)
    assert [panel.name for panel in found.panels] == list("ifgoch") * 2
    assert {panel.group.split(":")[0] for panel in found.panels} == {"layer 1, forwards", "layer 1, backwards"}
    assert all(panel.values.shape == (len(log_probs), 16) for panel in found.panels)
    assert found.features.shape == found.saliency.weights.shape and len(found.content) == round(8000 * found.clock.end)
    shown = {(panel.group[:15], panel.name): panel.values for panel in found.panels}
    for side in ("layer 1, forwar", "layer 1, backwa"):
        values = {name: shown[side, name] for name in "ifgoch"}
        c = values["c"] if side.endswith("forwar") else values["c"][::-1]
        i, f, g = (values[name] if side.endswith("forwar") else values[name][::-1] for name in "ifg")
        np.testing.assert_allclose(c[1:], f[1:] * c[:-1] + i[1:] * g[1:], atol=1e-5)


def test_maps_of_two_dimensional_layers(map_run, glyphs, monkeypatch) -> None:
    reader = Recognizer.load(map_run / "bundle", "cpu", threads=1)
    item = max(glyphs.items(), key=lambda item: len(item.text))
    monkeypatch.setattr("recognizer.inspecting.MOST_PANELS", 48)
    found = inspect(reader, item.source, [1, 2])
    (transcript,) = reader.transcribe([item.source])
    assert found.text == transcript.text and found.saliency.weights.shape == found.content.shape and found.saliency.weights.any()
    corners = [f"{side} from the {corner}" for side, corner in zip(["forwards"] * 2 + ["backwards"] * 2, STARTS, strict=True)]
    wanted = [(f"layer {layer}, {corner}", name) for layer in (1, 2) for corner in corners for name in "ifaoch"]
    assert [(panel.group.split(":")[0], panel.name) for panel in found.panels] == wanted
    encoder = reader.network.frontend
    columns, widths = reader.network.features(torch.from_numpy(found.content)[None], torch.tensor([len(found.content)]))
    with torch.no_grad():
        maps, widths = encoder._gather(columns.transpose(1, 2)[..., None], widths, 0)
        lower = watch_place_by_place(encoder.scans[0], maps, widths)
        maps, widths = encoder._gather(lower[..., 6, :].flatten(3), widths, 1)
        upper = watch_place_by_place(encoder.scans[1], torch.tanh(encoder.units[0](maps)), widths)
    for number, panel in enumerate(found.panels):
        place, kind = divmod(number % 24, 6)
        seen = (lower, upper)[number // 24][0, :, :, place, "ifagoch".index("ifaoch"[kind])].numpy()  # (R, W, H)
        plain = seen.mean(2) if kind < 4 else np.sqrt((seen**2).mean(2))
        np.testing.assert_allclose(panel.values, plain.T, atol=1e-5)
        assert panel.stride == (2, 4)[number // 24] and panel.group.endswith(f"mean of {(2, 6)[number // 24]} cells, of c and h its root mean square")
    some = inspect(reader, item.source, directions=["backwards"], what=["cells"])
    assert [(panel.group[:8], panel.name) for panel in some.panels] == [("layer 2,", name) for name in "chch"]


def test_layers_behind_two_dimensional_ones_come_after_them(listener) -> None:
    front = MdLstmEncoder(MdLstmFrontend(hidden=(2, 3), units=(4,), block_heights=(2, 2), block_widths=(2, 2)))
    there = _list_cells(Witness(listener.network.encoder), MapWitness(front))
    assert there == [(layer, side) for layer in range(3) for side in ("forwards", "backwards")]
    assert _choose_cells(there, None, ["backwards"]) == [(2, "backwards")] and _choose_cells(there, [1], None) == there[:2]
    ahead = [place for place in there if place != (2, "backwards")]
    assert _choose_cells(ahead, [1, 3], ["backwards"]) == [(0, "backwards")]
    with pytest.raises(ConfigError, match="--direction backwards: the recogniser's layers read forwards only"):
        _choose_cells(ahead, [3], ["backwards"])
    assert _choose_cells([], None, None) == []


def test_a_symbol_hangs_on_its_own_tone(listener, tones) -> None:
    source = next(item.source for item in tones.items() if len(item.text) >= 4)
    all_of_it = inspect(listener, source, what=["saliency"])
    count = len(all_of_it.tokens)
    first, last = (inspect(listener, source, what=["saliency"], symbol=k) for k in (1, count))
    assert not first.panels and first.saliency.norms.argmax() < last.saliency.norms.argmax()
    assert (first.saliency.symbol, last.saliency.symbol) == (0, count - 1)
    assert 0 <= last.saliency.reach[0.5] <= last.saliency.reach[0.9] <= len(last.posteriors)
    assert not all_of_it.saliency.reach
    for symbol in (0, count + 1):
        with pytest.raises(ConfigError, match=f"--symbol {symbol}: .* reads {count} symbols"):
            inspect(listener, source, symbol=symbol)


def test_cells_and_units_that_are_asked_for(listener, tones) -> None:
    found = inspect(listener, tones.items()[0].source, [1], ["backwards"], ["cells"], units=3)
    assert [panel.name for panel in found.panels] == ["c", "h"] and found.saliency is None
    assert found.panels[0].values.shape[1] == 3 and "3 of 16 units" in found.panels[0].group


def test_like_units_lie_side_by_side() -> None:
    time = np.linspace(0, 6, 50)[:, None]
    kinds = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2])
    outputs = np.sin(time + 2.1 * kinds) * np.linspace(1, 2, 9)
    order = order_units(outputs, 9)
    assert sorted(order) == list(range(9)) and np.count_nonzero(np.diff(kinds[order])) <= 3
    assert sorted(order_units(outputs, 4)) == [5, 6, 7, 8]
    assert list(order_units(outputs[:, :1], 4)) == [0] and list(order_units(outputs[:1], 2)) == [0, 1]


def test_pictures_of_all_kinds(cli, drawing, speech_run, line_run, trace_run, map_run, tones, glyphs, traces, tmp_path) -> None:
    kinds = ((speech_run, tones, "a.png"), (line_run, glyphs, "b.svg"), (trace_run, traces, "c.pdf"), (map_run, glyphs, "d.png"))
    for run, corpus, name in kinds:
        source = corpus.items()[0].source
        outcome = cli("inspect", run / "bundle", source, "-o", tmp_path / name, "--direction", "forwards", "--threads", 1)
        assert outcome == (0, [str(tmp_path / name)], [])
        assert (tmp_path / name).stat().st_size > 10_000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.svg", "c.pdf", "d.png"]


def test_the_picture_lies_beside_its_source_and_over_nothing(cli, drawing, speech_run, tones, tmp_path) -> None:
    source = tmp_path / "x.wav"
    source.write_bytes(tones.items()[0].source.read_bytes())
    words = ("inspect", speech_run / "bundle", source, "--what", "saliency", "--threads", 1)
    assert cli(*words) == (0, [f"{source}.inspect.png"], [])
    again = cli(*words)
    assert again == (2, [], [f"recognizer: {source}.inspect.png: is there already; remove it, or name another file with -o"])


def test_what_cannot_be(cli, drawing, speech_run, tones, tmp_path, monkeypatch) -> None:
    (tmp_path / "text.wav").write_text("no recording")
    soundfile.write(tmp_path / "long.wav", 0.1 * np.sin(np.arange(31 * 8000)), 8000)
    soundfile.write(tmp_path / "mute.wav", np.zeros(8000), 8000)
    good, out = tones.items()[0].source, tmp_path / "out.png"
    for source, extra, told in (
        (good, ["--layer", 2], "--layer 2: the recogniser's recurrent layers: 1"),
        (good, ["--layer", 0], "--layer 0: the recogniser's recurrent layers: 1"),
        (good, ["--units", 0], "--units 0: must be 1 or more"),
        (good, ["--what", "gate"], "--what: 'gate' is not one of gates, cells, saliency; did you mean 'gates'?"),
        (good, ["-o", tmp_path / "out.jpg"], f"{tmp_path / 'out.jpg'}: a picture's name ends in .png, .svg, .pdf"),
        (good, ["-o", tmp_path / "no" / "out.png"], f"{tmp_path / 'no' / 'out.png'}: the folder {tmp_path / 'no'} is not there"),
        (tmp_path / "text.wav", [], f"{tmp_path / 'text.wav'}: "),
        (tmp_path / "gone.wav", [], f"{tmp_path / 'gone.wav'}: "),
        (tmp_path / "long.wav", [], f"{tmp_path / 'long.wav'}: is longer than 30 s, more than a picture can show; cut it"),
        (tmp_path / "mute.wav", [], f"{tmp_path / 'mute.wav'}: holds nothing to look at: silence, or a blank line"),
    ):
        outcome = cli("inspect", speech_run / "bundle", source, "-o", out, "--threads", 1, *extra)
        assert outcome.code == 2 and outcome.out == [] and len(outcome.err) == 1, (source, extra, outcome)
        assert outcome.err[0].startswith(f"recognizer: {told}"), outcome.err
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    outcome = cli("inspect", speech_run / "bundle", good, "-o", out)
    assert outcome.code == 2 and outcome.err == ["recognizer: inspect draws with matplotlib, an extra: pip install 'recognizer[inspect]'"]
    assert not out.exists()


def test_more_panels_than_can_be_read(listener, tones, monkeypatch) -> None:
    monkeypatch.setattr("recognizer.inspecting.MOST_PANELS", 11)
    with pytest.raises(ConfigError, match="12 panels are more than 11; ask for less with --layer, --direction or --what"):
        inspect(listener, tones.items()[0].source)
