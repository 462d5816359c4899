"""Progress: a live line on a terminal, rare plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import io

import pytest

from recognizer import progress as module
from recognizer.progress import Progress, duration


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.4, "0:59"), (59.6, "1:00"), (61, "1:01"), (3599.7, "1:00:00"), (36_061, "10:01:01")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_plain_lines_come_rarely(clock: list[float]) -> None:
    stream = io.StringIO()
    progress = Progress(every=30.0, stream=stream)
    for clock[0] in (101.0, 129.0, 130.5, 131.0, 160.0, 161.0):
        progress.update(f"at {clock[0]:g}")
    progress.line("done")
    assert stream.getvalue() == "at 130.5\nat 161\ndone\n"


def test_a_terminal_has_one_line_that_is_written_over(clock: list[float]) -> None:
    stream = Terminal()
    progress = Progress(stream=stream)
    for clock[0] in (100.1, 100.3, 100.4, 100.6):
        progress.update(f"at {clock[0]:g}")
    progress.line("kept")
    progress.line("too")
    assert stream.getvalue() == "at 100.3\r\x1b[Kat 100.6\r\x1b[Kkept\ntoo\n"


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_quiet_is_silent(clock: list[float], stream: io.StringIO) -> None:
    progress = Progress(quiet=True, stream=stream)
    clock[0] += 1000
    progress.update("a")
    progress.line("b")
    assert stream.getvalue() == ""
