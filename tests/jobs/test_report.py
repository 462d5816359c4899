"""What is told of a run: lines, JSON, a table of errors."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest

from recognizer.errors import OutputError, RecognizerWarning
from recognizer.jobs.job import Job, Plan
from recognizer.jobs.report import Report
from recognizer.types import Transcript

JOB = Job("a.wav", "a.wav", "audio", "a", "/tmp/x/stdin")
DONE = Transcript("a.wav", "ab", seconds=2.0)


def test_json_lines_of_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(json_log=True)
    report.call(JOB.path, "standard input")
    with report.listening():
        report.plan(Plan([JOB, JOB], [("b.wav", "b.wav: no such file")], ["in: 1 file of other kinds passed over (1 .txt)"]))
        report.begin(JOB)
        warnings.warn("/tmp/x/stdin: is loud", RecognizerWarning, stacklevel=1)
        report.finish(JOB, DONE, ["a.wav.txt"])
        report.count("audio", DONE, 1.0)
        report.skip(JOB)
        report.close()
    printed = capsys.readouterr()
    events = [json.loads(line) for line in printed.err.splitlines()]
    assert printed.out == "" and [event.pop("event") for event in events] == ["error", "note", "started", "note", "done", "skipped", "summary"]
    assert events[0] == {"source": "b.wav", "message": "b.wav: no such file"} and events[3] == {"message": "standard input: is loud"}
    assert 0 <= events[4].pop("seconds") < 10 and events[4] == {"source": "a.wav", "files": ["a.wav.txt"], "duration": 2.0}
    assert {key: events[6][key] for key in ("done", "failed", "skipped")} == {"done": 1, "failed": 1, "skipped": 1}
    assert report.exit_code == 1


def test_lines_of_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    with report.listening():
        report.plan(Plan([JOB, JOB, JOB], [("b.wav", "b.wav: no such file")]))
        report.finish(JOB, DONE, [])
        report.count("audio", DONE, 0.5)
        report.skip(JOB)
        report.close()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "recognizer: b.wav: no such file" and lines[1].startswith("2 files, 1 failed, 1 done before, 4.0 times real time, 0.5 s, peak")
    nothing = Report()
    nothing.plan(Plan([], [("b.wav", "b.wav: no such file")]))
    nothing.close()
    assert nothing.exit_code == 2 and capsys.readouterr().err == "recognizer: b.wav: no such file\n"
    assert Report().exit_code == 0


def test_progress_has_a_rate_and_the_time_left(monkeypatch) -> None:
    shown: list[tuple[str, float]] = []
    now = [100.0]
    monkeypatch.setattr("recognizer.jobs.report.time.perf_counter", lambda: now[0])
    report = Report()
    monkeypatch.setattr(report.progress, "update", lambda text, share: shown.append((text, share)))
    report.plan(Plan([JOB] * 5))
    report.skip(JOB)  # takes no time, and so tells nothing about the time left
    now[0] = 110.0
    report.finish(JOB, DONE, [])
    report.count("audio", DONE, 8.0)
    assert shown == [("2/5 files, 0.2 times real time, 0:30 left", 0.4)]


def test_a_table_of_errors(tmp_path: Path) -> None:
    table = tmp_path / "errors.tsv"
    for _ in range(2):  # an older one is replaced
        report = Report(quiet=True, table=str(table))
        report.fail("in/a\tb\udcff.wav", "in/a\tb\udcff.wav: is\nbroken")
    assert table.read_bytes() == b"source\tmessage\nin/a b\xff.wav\tin/a b\xff.wav: is broken\n"
    (tmp_path / "mine.txt").write_text("my notes")
    with pytest.raises(OutputError, match=r"mine\.txt: is no table of errors, and is not overwritten"):
        Report(table=str(tmp_path / "mine.txt"))
    assert (tmp_path / "mine.txt").read_text() == "my notes"
