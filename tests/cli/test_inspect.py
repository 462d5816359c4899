"""`recognizer inspect`: pictures of every kind of input, never over another file, and one line for what cannot be drawn."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import soundfile


@pytest.fixture
def drawing() -> None:
    pytest.importorskip("matplotlib", reason="the extra 'inspect' is not installed")


def test_pictures_of_all_kinds(cli, drawing, speech_run, line_run, trace_run, tones, glyphs, traces, tmp_path) -> None:
    kinds = ((speech_run, tones, "a.png"), (line_run, glyphs, "b.svg"), (trace_run, traces, "c.pdf"))
    for run, corpus, name in kinds:
        source = corpus.items()[0].source
        outcome = cli("inspect", run / "bundle", source, "-o", tmp_path / name, "--direction", "forwards", "--threads", 1)
        assert outcome == (0, [str(tmp_path / name)], [])
        assert (tmp_path / name).stat().st_size > 10_000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.svg", "c.pdf"]


def test_the_picture_lies_beside_its_source_and_replaces_nothing(cli, drawing, speech_run, tones, tmp_path) -> None:
    source = tmp_path / "x.wav"
    source.write_bytes(tones.items()[0].source.read_bytes())
    words = ("inspect", speech_run / "bundle", source, "--what", "saliency", "--threads", 1)
    assert cli(*words) == (0, [f"{source}.inspect.png"], [])
    again = cli(*words)
    assert again == (2, [], [f"recognizer: {source}.inspect.png: exists already; remove it, or name another file with -o"])


def test_wrong_options_and_inputs(cli, drawing, speech_run, tones, tmp_path, monkeypatch) -> None:
    (tmp_path / "text.wav").write_text("no recording")
    soundfile.write(tmp_path / "long.wav", 0.1 * np.sin(np.arange(31 * 8000)), 8000)
    soundfile.write(tmp_path / "mute.wav", np.zeros(8000), 8000)
    good, out = tones.items()[0].source, tmp_path / "out.png"
    for source, extra, told in (
        (good, ["--layer", 2], "--layer 2: the recurrent layers are 1"),
        (good, ["--layer", 0], "--layer 0: the recurrent layers are 1"),
        (good, ["--units", 0], "--units 0: must be 1 or more"),
        (good, ["--what", "gate"], "--what: 'gate' is not one of gates, cells, saliency; did you mean 'gates'?"),
        (good, ["-o", tmp_path / "out.jpg"], f"{tmp_path / 'out.jpg'}: a picture's name ends in .png, .svg, .pdf"),
        (good, ["-o", tmp_path / "no" / "out.png"], f"{tmp_path / 'no' / 'out.png'}: the folder {tmp_path / 'no'} does not exist"),
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
