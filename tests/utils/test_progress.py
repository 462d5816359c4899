"""Progress: a live line on a terminal, rare plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import io
import re

import pytest

from recognizer.utils import progress as module
from recognizer.utils.progress import Progress, duration


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


def screen(output: str) -> list[str]:
    """What a terminal shows after this output."""
    lines, row = [""], 0
    for piece in re.findall(r"\x1b\[\??\d+[A-Za-z]|[\r\n]|[^\x1b\r\n]+", output):
        if piece == "\x1b[1A":
            row -= 1
        elif piece == "\x1b[2K":
            lines[row] = ""
        elif piece == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif piece[0] not in "\r\x1b":
            lines[row] = piece
    return lines


def test_a_terminal_has_one_line_that_is_written_over(clock: list[float]) -> None:
    stream = Terminal()
    progress = Progress(stream=stream)
    for clock[0], shown in ((100.1, ""), (100.3, "at 100.3"), (100.4, "at 100.3"), (100.6, "at 100.6")):
        progress.update(f"at {clock[0]:g}")
        assert screen(stream.getvalue()) == [shown]
    progress.line("kept")
    progress.line("too")
    clock[0] = 101.0
    progress.update("gone")
    assert screen(stream.getvalue()) == ["kept", "too", "gone"]
    progress.close()
    assert screen(stream.getvalue())[:3] == ["kept", "too", ""]
    assert stream.getvalue().rindex("\x1b[?25h") > stream.getvalue().rindex("\x1b[?25l")  # the cursor is back


def test_text_is_shown_as_it_is_in_one_line(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    stream = Terminal()
    progress = Progress(stream=stream)
    clock[0] += 1
    progress.update("[red]a[/red] :smile: " + 40 * "x")
    assert "[red]a[/red] :smile: xxx" in stream.getvalue() and "\n" not in stream.getvalue()
    progress.line("[/bold] " + 40 * "y")
    assert "[/bold] " + 40 * "y" + "\n" in stream.getvalue()


def test_standard_output_is_left_alone(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(stream=Terminal())
    clock[0] += 1
    progress.update("a")
    print("result")
    progress.close()
    assert capsys.readouterr().out == "result\n"


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_quiet_is_silent(clock: list[float], stream: io.StringIO) -> None:
    progress = Progress(quiet=True, stream=stream)
    clock[0] += 1000
    progress.update("a")
    progress.line("b")
    assert stream.getvalue() == ""


def test_a_dumb_terminal_gets_plain_lines(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    progress = Progress(stream=stream)
    clock[0] += 31
    progress.update("a")
    assert stream.getvalue() == "a\n"


def test_a_bar_shows_the_share_that_is_done(clock: list[float]) -> None:
    stream, plain = Terminal(), io.StringIO()
    progress = Progress(stream=stream)
    for clock[0], share in ((101.0, 0.25), (102.0, 1.0)):
        progress.update("2/8 files", share)
        shown = screen(stream.getvalue())
        assert len(shown) == 1
    assert "2/8 files" in stream.getvalue() and "\u2501" * module.BAR_WIDTH in stream.getvalue()  # the whole bar at the end
    rare = Progress(every=0.0, stream=plain)
    rare.update("2/8 files", 0.25)
    assert plain.getvalue() == "2/8 files\n"
