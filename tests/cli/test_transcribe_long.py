"""`recognizer transcribe` of long recordings: text while it runs, subtitles as they are asked for, a line where nobody speaks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from recognizer.audio import stream
from recognizer.audio.speech import LoudnessDetector

RATE = 8000
WORDS = ("abcd" * 4, "dcba" * 4, "abab" * 4)


@pytest.fixture
def talk(speak, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three words, twelve seconds of silence before each."""
    monkeypatch.setattr(stream, "speech_detector", LoudnessDetector)
    generator = np.random.default_rng(6)
    noise = (0.003 * generator.standard_normal(12 * RATE)).astype(np.float32)
    soundfile.write(tmp_path / "talk.wav", np.concatenate([part for word in WORDS for part in (noise, speak(word, generator))]), RATE)
    return tmp_path / "talk.wav"


def test_each_stretch_is_told_as_it_is_recognized(cli, speech_run, talk) -> None:
    outcome = cli("transcribe", talk, "-m", speech_run / "bundle", "--device", "cpu", "--json-log")
    events = [json.loads(line) for line in outcome.err]
    told = [event for event in events if event["event"] == "segment"]
    assert outcome.code == 0 and [event["text"] for event in told] == list(WORDS) and outcome.out == ["".join(WORDS)]
    assert all(12 * n < event["until"] < 14 * n + 1 for n, event in enumerate(told, start=1)) and told[0]["source"] == str(talk)


def test_subtitles_keep_to_the_layout(cli, speech_run, talk, tmp_path) -> None:
    layout = ("--max-line-width", 2, "--max-words-per-line", 2)
    outcome = cli("transcribe", talk, "-m", speech_run / "bundle", "-f", "srt", *layout, "-q", "-o", tmp_path / "out")
    lines = [line for block in next((tmp_path / "out").rglob("talk*.srt")).read_text().split("\n\n") for line in block.splitlines()[2:]]
    assert outcome.code == 0 and "".join(lines) == "".join(WORDS)
    refused = cli("transcribe", talk, "-m", speech_run / "bundle", "-f", "srt", "--max-line-count", 0)
    assert refused.code == 2 and refused.err == ["recognizer: --max-line-count: 0 is not a number of 1 or more"]


def test_a_recording_in_which_nobody_speaks_says_so(cli, speech_run, talk, tmp_path) -> None:
    soundfile.write(tmp_path / "none.wav", np.zeros(35 * RATE), RATE)
    outcome = cli("transcribe", tmp_path / "none.wav", "-m", speech_run / "bundle")
    assert outcome.code == 0 and outcome.out == [""]
    assert outcome.err[0] == f"recognizer: note: {tmp_path / 'none.wav'}: no speech found, so that it has no text"
