"""`recognizer transcribe`: which files are meant, what is printed where, and exit codes."""

from __future__ import annotations

import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from recognizer.formats.base import find_writers

FORMATS = ", ".join(find_writers())


@pytest.fixture
def recordings(tones, tmp_path: Path) -> Path:
    """Four recordings, one of them deeper and one with capitals, beside files of other kinds."""
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    for item, name in zip(tones.items(), ("b.wav", "a.wav", "C.WAV", "sub/d.wav"), strict=False):
        shutil.copy(item.source, folder / name)
    (folder / "notes.txt").write_text("no recording")
    (folder / "sub" / "folder.wav").mkdir()
    return folder


def written(folder: Path) -> list[str]:
    """The files of results, without the list of what is done."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and ".recognizer" not in path.parts)


def texts(outcome) -> dict[str, str]:
    return dict(line.split("\t") for line in outcome.out)


def test_one_file_gives_its_bare_text(cli, speech_run, recordings, tones) -> None:
    outcome = cli("transcribe", recordings / "b.wav", "-m", speech_run / "bundle", "--device", "cpu")
    assert outcome.code == 0 and outcome.out == [tones.items()[0].text]
    (summary,) = outcome.err
    assert summary.startswith("1 file, ") and "times real time" in summary and "peak memory" in summary


def test_several_files_are_told_apart_and_a_missing_one_costs_itself(cli, speech_run, recordings, tones) -> None:
    outcome = cli("transcribe", recordings / "none.wav", recordings, recordings / "*x.wav", "-m", speech_run / "bundle", "-q")
    assert outcome.code == 1
    assert [line.split("\t")[0] for line in outcome.out] == [str(recordings / name) for name in ("C.WAV", "a.wav", "b.wav", "sub/d.wav")]
    assert texts(outcome)[str(recordings / "a.wav")] == tones.items()[1].text
    assert outcome.err == [f"recognizer: {recordings / name}: no such file" for name in ("none.wav", "*x.wav")]
    missing = cli("transcribe", recordings / "none.wav", "-m", speech_run / "bundle")
    assert missing == (2, [], [f"recognizer: {recordings / 'none.wav'}: no such file"])  # nothing could be done
    (recordings / "void.wav").touch()
    failed = cli("transcribe", recordings / "void.wav", "-m", speech_run / "bundle")
    assert failed.code == 1 and failed.err[1].startswith("1 file, 1 failed, ") and "real time" not in failed.err[1]


def test_what_is_passed_over_is_counted_or_named(cli, speech_run, recordings) -> None:
    outcome = cli("transcribe", recordings, "-m", speech_run / "bundle", "-v")
    note = f"recognizer: note: {recordings}"
    assert outcome.code == 0 and outcome.err[:2] == [f"{note}: 1 file of other kinds passed over (1 .txt)", f"{note}/notes.txt: passed over"]
    assert len(cli("transcribe", recordings, "-m", speech_run / "bundle").err) == 2


def test_a_list_on_standard_input(cli, speech_run, recordings, tones, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{recordings / 'b.wav'}\n"))
    outcome = cli("transcribe", "-", "-m", speech_run / "bundle", "-q")
    assert outcome == (0, [f"{recordings / 'b.wav'}\t{tones.items()[0].text}"], [])
    monkeypatch.setattr("sys.stdin", io.StringIO(f"\ufeff{recordings / 'b.wav'}\r\n{recordings / 'none.wav'}\r\n{recordings / 'a.wav'}\r\n"))
    outcome = cli("transcribe", "-", "-m", speech_run / "bundle", "-q")
    assert outcome.code == 1 and outcome.err == [f"recognizer: {recordings / 'none.wav'}: no such file"]
    assert list(texts(outcome).values()) == [item.text for item in tones.items()[:2]]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    assert cli("transcribe", "-", "-m", speech_run / "bundle") == (2, [], ["recognizer: standard input: the list holds no names"])


def test_json_lines(cli, speech_run, recordings, tones) -> None:
    outcome = cli("transcribe", recordings, "-m", speech_run / "bundle", "-q", "-f", "jsonl")
    records = [json.loads(line) for line in outcome.out]
    assert [Path(record["source"]).name for record in records] == ["C.WAV", "a.wav", "b.wav", "d.wav"]
    assert records[2]["text"] == tones.items()[0].text and records[2]["units"] == list(records[2]["text"])
    assert records[2]["seconds"] == pytest.approx(soundfile.info(str(recordings / "b.wav")).duration, abs=1e-3)


def test_lines_are_read_as_recordings_are_heard(cli, line_run, glyphs, tmp_path) -> None:
    items = glyphs.items()[:3]
    outcome = cli("transcribe", *(item.source for item in items), "-m", line_run / "bundle", "-f", "jsonl")
    records = [json.loads(line) for line in outcome.out]
    assert [record["source"] for record in records] == [str(item.source) for item in items]
    assert all(record["width"] > 0 and "seconds" not in record for record in records)
    assert outcome.code == 0 and "lines/s" in outcome.err[-1]


def test_an_output_folder_holds_a_file_a_source_and_format(cli, speech_run, recordings, tones, tmp_path) -> None:
    out = tmp_path / "new" / "out"
    outcome = cli("transcribe", recordings, recordings / "none.wav", "-m", speech_run / "bundle", "-q", "-f", "txt,jsonl", "-o", out)
    assert (outcome.code, outcome.out) == (1, [])
    assert outcome.err == [f"recognizer: {recordings / 'none.wav'}: no such file"]
    assert written(out) == sorted(f"{name}.{suffix}" for name in ("a.wav", "b.wav", "C.WAV", "sub/d.wav") for suffix in ("txt", "jsonl"))
    assert (out / "b.wav.txt").read_text() == tones.items()[0].text + "\n"
    assert json.loads((out / "b.wav.jsonl").read_text())["source"] == str(recordings / "b.wav")


def test_results_lie_in_the_folders_of_their_sources(cli, speech_run, recordings, tones, tmp_path) -> None:
    shutil.copy(tones.items()[7].source, recordings / "sub" / "b.wav")
    assert cli("transcribe", recordings, "-m", speech_run / "bundle", "-q", "-o", tmp_path / "out") == (0, [], [])
    assert written(tmp_path / "out") == ["C.WAV.txt", "a.wav.txt", "b.wav.txt", "sub/b.wav.txt", "sub/d.wav.txt"]
    assert (tmp_path / "out" / "b.wav.txt").read_text() == tones.items()[0].text + "\n"
    assert (tmp_path / "out" / "sub" / "b.wav.txt").read_text() == tones.items()[7].text + "\n"
    names = [recordings / "b.wav", recordings / "sub" / "b.wav", recordings / "a.wav"]
    assert cli("transcribe", *names, "-m", speech_run / "bundle", "-q", "-o", tmp_path / "singly").code == 0
    assert written(tmp_path / "singly") == ["a.wav.txt", "b.wav.txt", "sub/b.wav.txt"]


def test_a_result_that_cannot_be_written_costs_itself(cli, speech_run, recordings, tmp_path) -> None:
    (tmp_path / "out" / "a.wav.txt").mkdir(parents=True)
    outcome = cli("transcribe", recordings, "-m", speech_run / "bundle", "-q", "-o", tmp_path / "out")
    assert outcome.code == 1 and len(outcome.err) == 1 and f"{tmp_path / 'out' / 'a.wav.txt'}: cannot be written" in outcome.err[0]
    assert written(tmp_path / "out") == ["C.WAV.txt", "b.wav.txt", "sub/d.wav.txt"]


@pytest.mark.skipif(not hasattr(os, "fsencode"), reason="file names are bytes on this system only")
def test_a_name_that_is_not_utf8_comes_out_as_it_went_in(speech_run, recordings, tones, capfdbinary) -> None:
    from recognizer.cli.main import main

    name = os.fsencode(recordings) + b"/caf\xe9.wav"
    shutil.copy(tones.items()[0].source, name)
    Path(os.fsdecode(os.fsencode(recordings) + b"/n\xe9ant.wav")).touch()
    assert main(["transcribe", str(recordings), "-m", str(speech_run / "bundle"), "-q"]) == 1
    printed = capfdbinary.readouterr()
    assert name + b"\t" + tones.items()[0].text.encode() in printed.out.splitlines() and len(printed.out.splitlines()) == 5
    assert len(printed.err.splitlines()) == 1 and b"ant.wav: the file is empty" in printed.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-f", "text"], f"recognizer: --format: 'text' is not one of {FORMATS}; did you mean 'txt'?"),
        (["-o", "{in}/notes.txt"], "recognizer: {in}/notes.txt: cannot be made: File exists"),
        (["--device", "cdua"], "recognizer: device: 'cdua' is not auto, cpu, cuda or cuda:N"),
        (["-b", "{in}"], "recognizer: {in}: is not a bundle (bundle.json is missing)"),
        (["-b", "{in}/none"], "recognizer: {in}/none: no such bundle"),
    ],
)
def test_what_stops_all_is_one_line(cli, speech_run, recordings, words: list[str], message: str) -> None:
    fill = [word.replace("{in}", str(recordings)) for word in words]
    outcome = cli("transcribe", recordings / "b.wav", "-m", speech_run / "bundle", *fill)
    assert outcome == (2, [], [message.replace("{in}", str(recordings))])


def test_no_recordings_at_all(cli, speech_run, tmp_path) -> None:
    outcome = cli("transcribe", tmp_path, "-m", speech_run / "bundle")
    assert outcome == (2, [], [f"recognizer: {tmp_path}: no recordings found"])


def test_a_stereo_flac_of_another_rate(cli, speech_run, speak, tmp_path) -> None:
    import soxr

    wave = soxr.resample(speak("abcd", np.random.default_rng(4)), 8000, 44_100)
    soundfile.write(tmp_path / "a.flac", np.stack([wave, wave], axis=1), 44_100)
    assert cli("transcribe", tmp_path / "a.flac", "-m", speech_run / "bundle", "-q") == (0, ["abcd"], [])
