"""`recognizer listen`: lines, events and the line written over; pipes, a microphone that is not there, Ctrl-C."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from recognizer.audio import speech

RATE = 8000
SCRIPT = """
import sys
from recognizer.audio import speech
from recognizer.cli.main import main
speech.find_spec = lambda name: None
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(autouse=True)
def by_loudness(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tones are no speech to silero-vad, where it is installed."""
    monkeypatch.setattr(speech, "find_spec", lambda name: None)
    monkeypatch.setattr(speech, "_note_missing", lambda: None)  # said once, in whichever test comes first


@pytest.fixture
def recording(speak, tmp_path: Path) -> Path:
    generator = np.random.default_rng(3)
    silence = (0.003 * generator.standard_normal(12_000)).astype(np.float32)
    soundfile.write(tmp_path / "two.wav", np.concatenate([silence, speak("abcd", generator), silence, speak("dca", generator), silence]), RATE)
    return tmp_path / "two.wav"


def test_a_line_an_utterance(cli, stream_run: Path, recording: Path) -> None:
    assert cli("listen", "-m", stream_run / "bundle", "--input", recording, "-q") == (0, ["abcd", "dca"], [])


def test_a_model_that_cannot_stream_is_used_by_utterance_and_says_why(cli, speech_run: Path, recording: Path) -> None:
    outcome = cli("listen", "-m", speech_run / "bundle", "--input", recording)
    assert (outcome.code, outcome.out) == (0, ["abcd", "dca"])
    assert outcome.err[0].startswith("note: each utterance is written when a pause has ended it") and "model=streaming_blstm" in outcome.err[0]
    assert "by_utterance" not in outcome.err[0]


def test_events(cli, stream_run: Path, recording: Path) -> None:
    outcome = cli("listen", "-m", stream_run / "bundle", "--input", recording, "--json", "-q")
    events = [json.loads(line) for line in outcome.out]
    assert [event["text"] for event in events if event["event"] == "final"] == ["abcd", "dca"]
    assert events[0]["event"] == "partial" and events[0].keys() == {"event", "start", "end", "text", "stable", "words"}
    (word,) = events[-1]["words"]
    assert word["text"] == "dca" and events[-1]["start"] <= word["start"] < word["end"] <= events[-1]["end"] and 0 <= word["confidence"] <= 1
    whole = cli("listen", "-m", stream_run / "bundle", "--input", recording, "--json", "-q", "--by-utterance")
    assert [json.loads(line)["event"] for line in whole.out] == ["final", "final"]


@pytest.mark.parametrize("kind", ["wav", "raw"])
def test_standard_input(cli, stream_run: Path, recording: Path, kind: str, monkeypatch) -> None:
    samples = soundfile.read(recording, dtype="int16")[0]
    content = recording.read_bytes() if kind == "wav" else samples.tobytes()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    assert cli("listen", "-m", stream_run / "bundle", "--input", "-", "-q", "--raw-rate", RATE).out == ["abcd", "dca"]


def test_on_a_terminal_the_line_is_written_over(cli, stream_run: Path, recording: Path, monkeypatch) -> None:
    from recognizer.cli import listen

    monkeypatch.setattr(listen, "_Lines", listen._Terminal)
    printed = "\n".join(cli("listen", "-m", stream_run / "bundle", "--input", recording, "-q").out)
    first, second, rest = printed.split("abcd\n")[0], *printed.partition("abcd\n")[1:]
    assert first.startswith("\r\x1b[Ka") or "\x1b[K" in first
    assert second == "abcd\n" and rest.endswith("\x1b[Kdca")


@pytest.mark.parametrize(("words", "message"), [
    (["--input", "none.wav"], "recognizer: none.wav: no such file"),
    (["--pause", "60"], "argument --pause: '60' is no number of seconds from 0.1 to 10"),
    (["--raw-rate", "1"], "argument --raw-rate: '1' is no sample rate from 4000 to 768000"),
])  # fmt: skip
def test_mistakes_are_one_line(cli, stream_run: Path, words: list[str], message: str) -> None:
    outcome = cli("listen", "-m", stream_run / "bundle", "-q", *words)
    assert outcome.code == 2 and outcome.out == [] and outcome.err[-1].endswith(message)


class PortAudioError(Exception):
    pass


def fake_device(samples: np.ndarray, rate: int, opens: bool = True) -> SimpleNamespace:
    """A package with one microphone, which says these samples at a rate of its own and is unplugged then."""

    class InputStream:
        def __init__(self, rate: int, block: int, device: object, channels: int, dtype: str, callback) -> None:
            if not opens:
                raise PortAudioError("Device unavailable [PaErrorCode -9985]")
            self.block, self.callback, self.active = block, callback, True

        def __enter__(self) -> None:
            for begin in range(0, len(samples), self.block):
                self.callback(samples[begin : begin + self.block, None], self.block, None, None)
            self.active = False

        def __exit__(self, *_: object) -> None:
            pass

    def check_input_settings(device: object, channels: int, dtype: str, samplerate: int) -> None:
        if samplerate != rate:
            raise PortAudioError("Invalid sample rate")

    devices = [{"name": "speakers", "max_input_channels": 0}, {"name": "headset", "max_input_channels": 1, "default_samplerate": float(rate)}]

    def query_devices(device: object = None, kind: str | None = None):
        if device == "none":
            raise ValueError("No input device matching 'none'")
        return devices if kind is None else devices[1]

    functions = {"check_input_settings": check_input_settings, "query_devices": query_devices}
    return SimpleNamespace(InputStream=InputStream, PortAudioError=PortAudioError, **functions)


def test_a_microphone(cli, stream_run: Path, recording: Path, monkeypatch) -> None:
    samples = soundfile.read(recording, dtype="float32")[0]
    monkeypatch.setitem(sys.modules, "sounddevice", fake_device(np.repeat(samples, 2), 2 * RATE))
    outcome = cli("listen", "-m", stream_run / "bundle")
    assert outcome.out == ["abcd", "dca"] and outcome.code == 2  # and then it is gone
    assert outcome.err == [*outcome.err[:-1], "recognizer: microphone by default: records no more; is it still connected?"]
    assert "listening; Ctrl-C ends it" in outcome.err
    assert cli("listen", "--list-microphones") == (0, ["1\theadset"], [])
    missing = cli("listen", "-m", stream_run / "bundle", "--microphone", "none", "-q")
    advice = "--list-microphones names those there are, --microphone chooses one"
    assert missing == (2, [], [f"recognizer: microphone 'none': cannot be opened (No input device matching 'none'); {advice}"])
    monkeypatch.setitem(sys.modules, "sounddevice", fake_device(samples, RATE, opens=False))
    assert "cannot be opened (Device unavailable" in cli("listen", "-m", stream_run / "bundle", "-q").err[0]


def test_a_missing_package_is_named_with_what_to_do(cli, stream_run: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    outcome = cli("listen", "-m", stream_run / "bundle")
    advice = "`pip install 'recognizer[listen]'`"
    assert outcome.code == 2 and outcome.err[0].startswith(f"recognizer: a microphone needs the package sounddevice: {advice}")


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise there")
def test_ctrl_c_ends_it_and_what_is_left_is_written(stream_run: Path, recording: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, "listen", "-m", str(stream_run / "bundle"), "--input", "-", "--raw-rate", str(RATE), "--json"]
    process = subprocess.Popen([*command, "--threads", "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    samples = soundfile.read(recording, dtype="int16")[0]
    process.stdin.write(samples[:17_000].tobytes())  # the first utterance, without the pause that ends it
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["event"] == "partial"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    last = json.loads(out.decode().splitlines()[-1])
    assert process.returncode == 0 and (last["event"], last["text"]) == ("final", "abcd"), err
