"""How fast a recogniser is, held against clocks that are known."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from recognizer import measured_pace
from recognizer.measured_pace import measure_speed, measure_start
from recognizer.pipeline import Recognizer, Transcript


@pytest.fixture(scope="module")
def reader(line_run: Path) -> Recognizer:
    return Recognizer.load(line_run / "bundle", "cpu", threads=1)


@pytest.fixture
def pretend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In place of the interpreter a script that prints after 0.2 s, ends 1.5 s later and notes its words."""
    script, notes = tmp_path / "python", tmp_path / "notes.txt"
    script.write_text(f"#!/bin/sh\necho \"$@\" >> '{notes}'\nsleep 0.2\necho said\nsleep 1.5\n")
    script.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(script))
    return notes


def test_the_clock_stops_at_the_first_line(reader, pretend) -> None:
    transcripts = [Transcript(f"{width}.png", width=width) for width in (90, 10, 50)]
    told = measure_start(reader, transcripts, 3)
    seconds = float(told.split()[0])
    assert 0.2 <= seconds < 1.7 and "on one file of 50 columns to its first line (median of 3, " in told
    words = f"-m recognizer.cli transcribe 50.png --bundle {reader.bundle.folder} --quiet --device cpu --precision float32 --threads 3"
    assert pretend.read_text().splitlines() == [words] * 3


def test_a_start_that_fails_is_told(reader, pretend, tmp_path) -> None:
    (tmp_path / "python").write_text("#!/bin/sh\nexit 3\n")
    assert measure_start(reader, [Transcript("a.png", width=5)], 0) == "not measured, since `recognizer transcribe a.png` ended with code 3"


def test_a_fresh_interpreter_recognises_the_file(reader, glyphs, monkeypatch) -> None:
    monkeypatch.setattr(measured_pace, "STARTS", 1)
    told = measure_start(reader, list(reader.transcribe(item.source for item in glyphs.items()[:3])), 1)
    assert re.fullmatch(r"\d+\.\d s from starting `recognizer transcribe` on one file of \d+ columns to its first line \(.*\)", told)


def test_the_ways_of_telling_the_speed_agree(speech_run, tones, monkeypatch) -> None:
    monkeypatch.setattr(measured_pace, "PACED", 6)
    listener = Recognizer.load(speech_run / "bundle", "cpu", threads=1)
    told = measure_speed(listener, tones.items(), 1)
    found = re.fullmatch(r"(\d+) times real time, a real-time factor of ([\d.]+); ([\d.]+) items/s \(1 thread, 6 items from files\)", told)
    assert found is not None
    times, factor, pace = map(float, found.groups())
    heard = sum(t.seconds for t in listener.transcribe(item.source for item in tones.items()[::4]))
    assert times * factor == pytest.approx(1, rel=0.1) and pace * heard / 6 == pytest.approx(times, rel=0.1)
