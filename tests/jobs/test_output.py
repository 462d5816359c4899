"""Where transcripts go: names, channels, and writing that fails."""

from __future__ import annotations

import errno
import io
from pathlib import Path

import pytest

from recognizer.errors import InputError, OutputError, RecognizerWarning
from recognizer.formats.base import find_writers
from recognizer.jobs import output
from recognizer.jobs.job import Job
from recognizer.jobs.output import WAITS, Printer, ResultFolder, is_hopeless, is_lost
from recognizer.types import Transcript, Word

JOB = Job("in/sub/a.wav", "sub/a.wav", "audio", "sub_a.wav", "in/sub/a.wav")
TEXT = Transcript("in/sub/a.wav", "ab", seconds=1.0, words=(Word("ab", 0.0, 0.5),))
WRITERS = find_writers()


def test_a_file_for_each_format_and_channel(tmp_path: Path) -> None:
    folder = ResultFolder(tmp_path)
    assert folder.write(JOB, TEXT, [WRITERS["txt"], WRITERS["ctm"]]) == ["sub/a.wav.txt", "sub/a.wav.ctm"]
    assert (tmp_path / "sub" / "a.wav.ctm").read_text() == "sub_a.wav 1 0.000 0.500 ab\n"
    left, right = (Transcript(TEXT.source, name, seconds=1.0, words=(Word(name, 0.0, 0.5),), channel=name) for name in ("left", "right"))
    assert folder.write(JOB, left, [WRITERS["txt"]]) == ["sub/a.wav.left.txt"]
    assert folder.write(JOB, right, [WRITERS["ctm"]]) == ["sub/a.wav.right.ctm"]
    assert (tmp_path / "sub" / "a.wav.right.ctm").read_text() == "sub_a.wav 2 0.000 0.500 right\n"
    assert folder.notes == [] and folder.exist(["sub/a.wav.txt", "sub/a.wav.left.txt"]) and not folder.exist(["sub/a.wav.txt", "x"])


def test_a_name_that_is_too_long_is_shortened_and_said(tmp_path: Path) -> None:
    name = "n" * 245 + ".wav"
    folder = ResultFolder(tmp_path)
    (written,) = folder.write(Job(name, name, "audio", "n", name), TEXT, [WRITERS["textgrid"]])
    assert (tmp_path / written).is_file() and len(written) == 255 and written.endswith(".wav.TextGrid")
    assert folder.notes == [f"{name}: its name is too long for that of a result, which is {written}"]


def test_texts_of_several_sources_are_told_apart() -> None:
    stream = io.StringIO()
    Printer(False, stream).write(JOB, TEXT, [WRITERS["txt"]])
    Printer(True, stream).write(JOB, TEXT, [WRITERS["txt"]])
    Printer(False, stream).write(JOB, Transcript("x", "l", channel="left"), [WRITERS["txt"]])
    assert stream.getvalue() == "ab\nin/sub/a.wav\tab\nin/sub/a.wav.left\tl\n"


@pytest.mark.parametrize(("number", "hopeless"), [(errno.ENOSPC, True), (errno.EROFS, True), (errno.EACCES, False), (errno.ENAMETOOLONG, False)])
def test_a_full_disk_is_told_from_one_bad_name(tmp_path: Path, monkeypatch, number: int, hopeless: bool) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, "failed")

    monkeypatch.setattr("recognizer.utils.files.Path.write_bytes", fail)
    with pytest.raises(OutputError, match=r"a\.wav\.txt: cannot be written: failed") as caught:
        ResultFolder(tmp_path).write(JOB, TEXT, [WRITERS["txt"]])
    assert is_hopeless(caught.value) == hopeless and not is_hopeless(InputError("x"))
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited for, all at once."""
    spent: list[float] = []
    monkeypatch.setattr(output.time, "sleep", spent.append)
    return spent


def test_storage_that_comes_back_costs_nothing(tmp_path: Path, monkeypatch, waits: list[float]) -> None:
    folder, away = ResultFolder(tmp_path / "out"), tmp_path / "away"
    (tmp_path / "out").rename(away)  # as a network drive that is lost
    monkeypatch.setattr(output.time, "sleep", lambda seconds: (waits.append(seconds), len(waits) == 3 and away.rename(tmp_path / "out")))
    with pytest.warns(RecognizerWarning, match=r"out: the output folder is gone; trying again in 1 s"):
        assert folder.write(JOB, TEXT, [WRITERS["txt"]]) == ["sub/a.wav.txt"]
    assert waits == list(WAITS[:3]) and (tmp_path / "out" / "sub" / "a.wav.txt").read_text() == "ab\n"


@pytest.mark.filterwarnings("ignore::recognizer.errors.RecognizerWarning")
def test_storage_that_stays_away_ends_the_run(tmp_path: Path, monkeypatch, waits: list[float]) -> None:
    folder = ResultFolder(tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "away")
    with pytest.raises(OutputError, match=r"out: the output folder is gone$") as caught:
        folder.write(JOB, TEXT, [WRITERS["txt"]])
    assert is_lost(caught.value) and is_hopeless(caught.value) and waits == list(WAITS) and not (tmp_path / "out").exists()
    waits.clear()
    (tmp_path / "away").rename(tmp_path / "out")

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("recognizer.utils.files.Path.write_bytes", fail)
    with pytest.raises(OutputError, match=r"a\.wav\.txt: cannot be written: Input/output error$"):
        folder.write(JOB, TEXT, [WRITERS["txt"]])
    assert waits == list(WAITS)
