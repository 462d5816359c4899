"""`recognizer transcribe` over many files: channels, standard input, resuming, interruption, locks, logs."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 8000


@pytest.fixture
def folder(tones, tmp_path: Path) -> Path:
    """Six recordings in two folders, some of them with the same name."""
    made = tmp_path / "in"
    for item, name in zip(tones.items(), ("a.wav", "b.wav", "c.wav", "s/a.wav", "s/b.wav", "s/e.wav"), strict=False):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(item.source, made / name)
    return made


def command(folder: object, bundle: Path, *words: object) -> list[str]:
    return [sys.executable, "-m", "recognizer", "transcribe", str(folder), "-m", str(bundle), "--threads", "1", *map(str, words)]


def results(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.txt")}


def events(outcome) -> list[dict]:
    return [json.loads(line) for line in outcome.err]


def test_each_channel_is_a_transcript(cli, speech_run, speak, tmp_path) -> None:
    generator = np.random.default_rng(3)
    left, right = (np.resize(speak(text, generator), 6000) for text in ("abcd", "dcba"))
    left[4500:] = right[4500:] = 0
    soundfile.write(tmp_path / "call.wav", np.stack([left, right], axis=1), RATE)
    soundfile.write(tmp_path / "mono.wav", left, RATE)
    bundle = speech_run / "bundle"
    call = ("transcribe", tmp_path / "call.wav", "-m", bundle, "-q", "--channel")
    alone = {side: cli(*call, side).out[0].split("\t")[1] for side in ("left", "right")}
    assert alone["left"].startswith("abcd") and alone["right"].startswith("dcba")
    printed = cli(*call, "each")
    assert (printed.code, printed.out) == (0, [f"{tmp_path / 'call.wav'}.{side}\t{alone[side]}" for side in ("left", "right")])
    out = tmp_path / "out"
    assert cli("transcribe", tmp_path, "-m", bundle, "-q", "--channel", "each", "-o", out, "-f", "txt,ctm,json").code == 0
    assert set(results(out)) == {"call.wav.left.txt", "call.wav.right.txt", "mono.wav.txt"}
    assert results(out)["call.wav.right.txt"] == alone["right"] + "\n"
    channels = {name: {line.split()[1] for line in (out / name).read_text().splitlines()} for name in ("call.wav.left.ctm", "call.wav.right.ctm")}
    assert channels == {"call.wav.left.ctm": {"1"}, "call.wav.right.ctm": {"2"}}
    assert json.loads((out / "call.wav.right.json").read_text())["channel"] == "right"
    assert "channel" not in json.loads((out / "mono.wav.json").read_text())


def test_a_recording_on_standard_input(cli, speech_run, folder, tones, tmp_path, monkeypatch) -> None:
    def send(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    bundle, data = speech_run / "bundle", (folder / "a.wav").read_bytes()
    send(data)
    assert cli("transcribe", "--stdin-audio", "-m", bundle, "-q") == (0, [tones.items()[0].text], [])
    send(data)
    assert cli("transcribe", "--stdin-audio", "-m", bundle, "-q", "-o", tmp_path / "out", "-f", "jsonl").code == 0
    assert json.loads((tmp_path / "out" / "stdin.jsonl").read_text())["source"] == "standard input"
    send(b"")
    assert cli("transcribe", "--stdin-audio", "-m", bundle, "-q") == (1, [], ["recognizer: standard input: the file is empty"])
    send(b"no sound")
    outcome = cli("transcribe", "--stdin-audio", "-m", bundle, "-q")
    assert outcome.code == 1 and outcome.err[0].startswith("recognizer: standard input: not audio") and "/tmp" not in outcome.err[0]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_is_read(cli, speech_run, folder, tones, tmp_path) -> None:
    os.mkfifo(tmp_path / "live")
    sender = threading.Thread(target=(tmp_path / "live").write_bytes, args=[(folder / "a.wav").read_bytes()], daemon=True)
    sender.start()
    outcome = cli("transcribe", tmp_path / "live", "-m", speech_run / "bundle", "-q")
    assert outcome == (0, [f"{tmp_path / 'live'}\t{tones.items()[0].text}"], [])


def test_all_formats(cli, speech_run, folder, tmp_path) -> None:
    refused = cli("transcribe", folder / "a.wav", "-m", speech_run / "bundle", "-f", "all")
    assert refused == (2, [], ["recognizer: -f all: needs an output folder; name one with -o"])
    assert cli("transcribe", folder / "a.wav", "-m", speech_run / "bundle", "-q", "-f", "all", "-o", tmp_path / "out").code == 0
    suffixes = {path.name.removeprefix("a.wav") for path in (tmp_path / "out").iterdir() if path.is_file()}
    assert suffixes >= {".txt", ".json", ".jsonl", ".tsv", ".srt", ".vtt", ".ctm", ".TextGrid"} and ".alto.xml" not in suffixes


def test_a_manifest_is_a_source(cli, speech_run, tones) -> None:
    outcome = cli("transcribe", tones.root / "dev.jsonl", "-m", speech_run / "bundle", "-q")
    assert outcome.code == 0 and [line.split("\t")[0] for line in outcome.out] == [str(item.source) for item in tones.items()]


def test_resume_leaves_out_what_is_done_with_the_same_content_and_settings(cli, speech_run, folder, tones, tmp_path) -> None:
    out, bundle = tmp_path / "out", speech_run / "bundle"
    words = ("transcribe", folder, "-m", bundle, "-o", out, "--json-log", "--resume")

    def done(*more: str) -> list[str]:
        outcome = cli(*words, *more)
        assert outcome.code == 0
        return [Path(event["source"]).relative_to(folder).as_posix() for event in events(outcome) if event["event"] == "done"]

    everything = ["a.wav", "b.wav", "c.wav", "s/a.wav", "s/b.wav", "s/e.wav"]
    assert done() == everything
    assert done() == []
    shutil.copy(tones.items()[9].source, folder / "b.wav")  # other content
    (out / "s" / "b.wav.txt").unlink()  # a result that has gone
    assert done() == ["b.wav", "s/b.wav"]
    assert (out / "b.wav.txt").read_text() == tones.items()[9].text + "\n"
    assert done("-f", "txt,json") == everything  # other settings
    assert done("-f", "txt,json") == [] == done("-f", "txt,json", "--threads", "1")
    refused = cli("transcribe", folder, "-m", bundle, "--resume")
    assert refused == (2, [], ["recognizer: --resume: needs an output folder; name one with -o"])


def test_a_run_that_was_killed_goes_on(cli, speech_run, tones, tmp_path) -> None:
    source, out, bundle = tmp_path / "in", tmp_path / "out", speech_run / "bundle"
    source.mkdir()
    for number in range(150):
        shutil.copy(tones.items()[number % 24].source, source / f"{number:03d}.wav")
    ledger = out / ".recognizer" / "done.jsonl"
    with subprocess.Popen(command(source, bundle, "-o", out, "-q")) as process:
        until = time.monotonic() + 120
        while time.monotonic() < until and not (ledger.exists() and ledger.read_bytes().count(b"\n") > 20):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    before = ledger.read_bytes().count(b"\n")
    assert 20 < before < 150
    outcome = cli("transcribe", source, "-m", bundle, "-o", out, "--resume", "--json-log")
    again = [event["source"] for event in events(outcome) if event["event"] == "done"]
    assert outcome.code == 0 and len(again) == len(set(again)) == 150 - before  # nothing twice, nothing missed
    assert len(results(out)) == 150 and events(outcome)[-1]["skipped"] == before
    assert all(results(out)[f"{number:03d}.wav.txt"] == tones.items()[number].text + "\n" for number in range(24))


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(cli, speech_run, folder, tmp_path, monkeypatch) -> None:
    from recognizer.jobs.report import Report

    finish = Report.finish

    def interrupt(self: Report, *arguments: object) -> None:
        finish(self, *arguments)  # type: ignore[arg-type]
        if self.done == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Report, "finish", interrupt)
    outcome = cli("transcribe", folder, "-m", speech_run / "bundle", "-q", "-o", tmp_path / "out")
    assert outcome.code == 130
    assert outcome.err == ["recognizer: interrupted; 2 done and kept, the same command with --resume goes on"]
    assert sorted(results(tmp_path / "out")) == ["a.wav.txt", "b.wav.txt"]
    monkeypatch.setattr(Report, "finish", finish)
    assert cli("transcribe", folder, "-m", speech_run / "bundle", "-q", "-o", tmp_path / "out", "--resume").code == 0
    assert len(results(tmp_path / "out")) == 6


def test_two_runs_on_one_folder(cli, speech_run, folder, tmp_path) -> None:
    out = tmp_path / "out"
    hold = "import sys, time, pathlib; from recognizer.utils.lock import locked\n" \
        "with locked(pathlib.Path(sys.argv[1]), '%s'): print('locked', flush=True); time.sleep(60)"  # fmt: skip
    (out / ".recognizer").mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", hold, str(out / ".recognizer" / "lock")], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "locked\n"
        outcome = cli("transcribe", folder, "-m", speech_run / "bundle", "-q", "-o", out)
        advice = "is writing its results there; wait until it ends, or name another folder"
        assert outcome == (2, [], [f"recognizer: {out}: another run, process {process.pid}, {advice}"])
        process.send_signal(signal.SIGKILL)
    assert (out / ".recognizer" / "lock").exists()  # left behind, and stale
    assert cli("transcribe", folder, "-m", speech_run / "bundle", "-q", "-o", out).code == 0
    assert not (out / ".recognizer" / "lock").exists()


def test_a_full_disk_ends_the_run_with_one_line(cli, speech_run, folder, tmp_path, monkeypatch) -> None:
    from recognizer.utils import files

    write = Path.write_bytes

    def fail(path: Path, data: bytes) -> int:
        if path.name.startswith("c.wav"):
            raise OSError(28, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(files.Path, "write_bytes", fail)
    outcome = cli("transcribe", folder, "-m", speech_run / "bundle", "-q", "-o", tmp_path / "out")
    reason = "cannot be written: No space left on device; what is done stays, and --resume goes on once there is room or permission"
    assert outcome == (2, [], [f"recognizer: {tmp_path / 'out' / 'c.wav.txt'}: {reason}"])
    assert sorted(results(tmp_path / "out")) == ["a.wav.txt", "b.wav.txt"]


def test_an_output_that_cannot_be_written_is_told_before_a_model_is_opened(cli, folder, tmp_path, monkeypatch) -> None:
    make = Path.mkdir

    def refuse(path: Path, *arguments: object, **options: object) -> None:
        if path.name == ".recognizer":
            raise OSError(30, "Read-only file system")
        make(path, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "mkdir", refuse)
    outcome = cli("transcribe", folder, "-m", "speech-en", "-o", tmp_path / "out")
    assert outcome == (2, [], [f"recognizer: {tmp_path / 'out' / '.recognizer'}: cannot be made: Read-only file system"])


def test_errors_have_a_table_and_json_a_line(cli, speech_run, folder, tmp_path) -> None:
    (folder / "void.wav").touch()
    outcome = cli("transcribe", folder, folder / "none.wav", "-m", speech_run / "bundle", "--json-log", "--errors", tmp_path / "errors.tsv")
    told = events(outcome)
    assert outcome.code == 1 and len(outcome.out) == 6
    assert [event["source"] for event in told if event["event"] == "error"] == [str(folder / "none.wav"), str(folder / "void.wav")]
    assert told[-1]["event"] == "summary" and (told[-1]["done"], told[-1]["failed"]) == (6, 2)
    assert {event["source"] for event in told if event["event"] == "started"} == {str(path) for path in folder.rglob("*.wav")}
    assert all(event["seconds"] >= 0 and event["duration"] > 0 for event in told if event["event"] == "done")
    table = [line.split("\t") for line in (tmp_path / "errors.tsv").read_text().splitlines()]
    assert table[0] == ["source", "message"] and [row[0] for row in table[1:]] == [str(folder / "none.wav"), str(folder / "void.wav")]
    stopped = cli("transcribe", folder / "a.wav", "-m", "nowhere", "--json-log")
    assert stopped.code == 2 and [event["event"] for event in events(stopped)] == ["error"]


def test_a_terminal_that_knows_ascii_only(line_run, glyphs, tmp_path) -> None:
    shutil.copy(glyphs.items()[0].source, tmp_path / "d\u00e9j\u00e0.png")
    shutil.copy(glyphs.items()[1].source, os.fsencode(tmp_path) + b"/\xff.png")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command(tmp_path, line_run / "bundle", "-q"), capture_output=True, env=environment, timeout=120)
    assert done.returncode == 0 and done.stderr == b""
    lines = [line.removeprefix(os.fsencode(tmp_path) + b"/") for line in done.stdout.splitlines()]
    assert lines == [b"d\\xe9j\\xe0.png\t" + glyphs.items()[0].text.encode(), b"\xff.png\t" + glyphs.items()[1].text.encode()]


def test_one_stream_of_ctm_has_distinct_names(cli, speech_run, folder) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/z\xff.wav")).write_bytes((folder / "a.wav").read_bytes())
    outcome = cli("transcribe", folder, "-m", speech_run / "bundle", "-q", "-f", "ctm")
    assert outcome.code == 0 and outcome.err == []
    assert {line.split()[0] for line in outcome.out} == {"a.wav", "b.wav", "c", "s_a.wav", "s_b.wav", "e", "z\\udcff"}


def test_a_folder_is_watched_until_it_is_interrupted(cli, speech_run, folder, tones, tmp_path, monkeypatch) -> None:
    from recognizer.jobs import watch

    out = tmp_path / "out"
    looks: list[int] = []  # how many results there were at each

    def wait(_seconds: float) -> None:
        looks.append(len(results(out)))
        if looks[-1] == 6 and 6 not in looks[:-1]:
            shutil.copy(tones.items()[7].source, folder / "s" / "late.wav")
        if looks[-1] == 7 or len(looks) > 20:
            raise KeyboardInterrupt

    monkeypatch.setattr(watch, "watch", partial(watch.watch, wait=wait))
    outcome = cli("transcribe", "--watch", folder, "-m", speech_run / "bundle", "-o", out, "-q")
    assert outcome == (130, [], ["recognizer: interrupted; 7 done and kept, the same command with --resume goes on"])
    assert results(out)["s/late.wav.txt"] == tones.items()[7].text + "\n" and looks == [0, 6, 6, 7]


def test_help_names_the_exit_codes(cli) -> None:
    words = " ".join(" ".join(cli("transcribe", "--help").out).split())
    assert "Exit codes: 0 done; 1 some files failed" in words and "decoder.beam_size=N" in words
