"""The recogniser in use: the same result in any company, in any batch, whole or in windows, and errors that cost one source."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
import torch

from recognizer.audio import stream
from recognizer.audio.io import load_audio
from recognizer.audio.speech import LoudnessDetector
from recognizer.bundle.io import load_bundle
from recognizer.errors import BundleError, ConfigError, InputError
from recognizer.image.io import load_image
from recognizer.inference import inputs as source_module
from recognizer.inference import runner
from recognizer.inference.recognizer import Recognizer


@pytest.fixture(scope="module")
def listener(speech_run: Path) -> Recognizer:
    return Recognizer.load(speech_run / "bundle", "cpu", threads=1)


@pytest.fixture(scope="module")
def reader(line_run: Path) -> Recognizer:
    return Recognizer.load(line_run / "bundle", "cpu", threads=1)


def long_recording(speak, path: Path, words: int, seed: int = 5) -> tuple[Path, str]:
    """Many words spoken one after the other into one file, and its text."""
    generator = np.random.default_rng(seed)
    text = "".join(generator.choice(list("abcd"), words))
    soundfile.write(path, speak(text, generator), 8000)
    return path, text


@pytest.fixture(autouse=True)
def tones_are_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "speech_detector", LoudnessDetector)


@pytest.mark.parametrize("corpus", ["tones", "glyphs"])
def test_a_result_does_not_depend_on_its_company(corpus: str, request) -> None:
    """Promise 1."""
    recognizer = request.getfixturevalue("listener" if corpus == "tones" else "reader")
    sources = [str(item.source) for item in request.getfixturevalue(corpus).items()]
    together = list(zip(recognizer.transcribe(sources), recognizer.log_probs(sources), strict=True))
    assert len({len(log_probs) for _, log_probs in together}) > 5
    for source, (transcript, log_probs) in zip(sources, together, strict=True):
        alone = recognizer.transcribe(source)
        assert replace(alone, score=transcript.score, acoustic=transcript.acoustic) == transcript
        assert alone.score == alone.acoustic == pytest.approx(transcript.score, abs=1e-4)
        np.testing.assert_allclose(recognizer.log_probs(source), log_probs, atol=1e-5)


def test_an_item_that_cannot_be_decoded_costs_itself(listener, tones, monkeypatch) -> None:
    sources = [str(item.source) for item in tones.items()[:5]]
    expected = list(listener.transcribe(sources))
    lengths = [len(log_probs) for log_probs in listener.log_probs(sources)]
    decode = listener.decoder.decode

    def fail(log_probs: np.ndarray, n_best: int = 1):
        if len(log_probs) == lengths[2]:
            raise ZeroDivisionError("a fault nobody expected")
        return decode(log_probs, n_best)

    monkeypatch.setattr(listener.decoder, "decode", fail)
    for place, (found, other) in enumerate(zip(listener.transcribe(sources), expected, strict=True)):
        if lengths[place] == lengths[2]:
            assert found.text == "" and found.error == f"{sources[place]}: ZeroDivisionError: a fault nobody expected"
        else:
            assert found == other


def test_samples_of_another_rate(listener, tones) -> None:
    """Arrays carry no rate: it is said, and they are resampled as a file's would be."""
    for item in tones.items()[:3]:
        samples = soxr.resample(load_audio(item.source, 8000), 8000, 44_100)
        transcript = listener.transcribe(samples, sample_rate=44_100)
        assert transcript.text == item.text and transcript.seconds == pytest.approx(len(samples) / 44_100, abs=1e-3)


@pytest.mark.parametrize("batch_frames", [1, 150, 10_000])
def test_the_budget_of_a_batch_changes_nothing_but_memory(listener, tones, monkeypatch, batch_frames: int) -> None:
    sources = [str(item.source) for item in tones.items()]
    expected = list(listener.log_probs(sources))
    frames: list[int] = []
    encode = listener.network.encode

    def watch(features: torch.Tensor, lengths: torch.Tensor):
        frames.append(len(features) * int(lengths.max()))
        return encode(features, lengths)

    monkeypatch.setattr(listener.network, "encode", watch)
    monkeypatch.setattr(listener.runner, "batch_frames", batch_frames)
    for one, other in zip(expected, listener.log_probs(sources), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert sum(frames) > 0 and (max(frames) <= batch_frames or len(frames) == len(sources))


@pytest.mark.parametrize("corpus", ["tones", "glyphs"])
def test_transcripts_say_what_they_are_of(corpus: str, request) -> None:
    recognizer = request.getfixturevalue("listener" if corpus == "tones" else "reader")
    item = request.getfixturevalue(corpus).items()[0]
    transcript = recognizer.transcribe(item.source)
    assert transcript.source == str(item.source) and transcript.error is None
    assert transcript.text == "".join(transcript.units) and transcript.score < 0
    if corpus == "tones":
        assert transcript.width is None and transcript.seconds == pytest.approx(soundfile.info(str(item.source)).duration)
    else:
        assert transcript.seconds is None and 0 < transcript.width < 100


def test_results_come_in_order_whatever_they_are(listener, tones, speak, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(runner, "READ_AHEAD", 4)
    monkeypatch.setattr(source_module, "WHOLE_SECONDS", 2.0)
    monkeypatch.setattr(stream, "MAX_SECONDS", 2.0)
    short = [str(item.source) for item in tones.items()]
    long, _ = long_recording(speak, tmp_path / "long.wav", 100)
    late = np.zeros(200_000, dtype=np.float32)
    late[150_000] = np.nan
    soundfile.write(tmp_path / "late.wav", late, 8000, subtype="FLOAT")
    sources = [short[0], str(long), str(tmp_path / "none.wav"), *short[1:9], str(tmp_path / "late.wav"), str(long), load_audio(short[9], 8000)]
    transcripts = list(listener.transcribe(sources))
    assert [t.source for t in transcripts] == [*sources[:-1], f"array {len(sources) - 1}"]
    failed = [t for t in transcripts if t.error is not None]
    assert [Path(t.source).name for t in failed] == ["none.wav", "late.wav"] and all(t.text == "" for t in failed)
    assert transcripts[1].text == transcripts[-2].text and len(transcripts[1].text) > 90
    expected = {t.source: t.text for t in listener.transcribe(short)}
    assert all(expected[t.source] == t.text for t in transcripts if t.source in expected)
    assert transcripts[-1].text == expected[short[9]]


def test_results_come_before_all_is_read(listener, tones) -> None:
    drawn = 0

    def endless():
        nonlocal drawn
        while True:
            drawn += 1
            yield str(tones.items()[0].source)

    assert len(list(islice(listener.transcribe(endless()), 3))) == 3
    assert drawn <= 2 * runner.READ_AHEAD


def test_arrays_are_as_good_as_files(listener, reader, tones, glyphs) -> None:
    for recognizer, corpus in ((listener, tones), (reader, glyphs)):
        sources = [item.source for item in corpus.items()[:4]]
        arrays = [load_audio(source, 8000) if corpus is tones else load_image(source) for source in sources]
        assert [t.text for t in recognizer.transcribe(sources)] == [t.text for t in recognizer.transcribe(arrays)]
    single = listener.transcribe(load_audio(tones.items()[0].source, 8000).astype(np.float64))
    assert single.source == "array 0" and single.text == listener.transcribe(tones.items()[0].source).text


@pytest.mark.parametrize(
    ("kind", "array"),
    [
        ("listener", np.zeros((2, 8000), np.float32)), ("listener", np.zeros(0, np.float32)), ("listener", np.full(800, np.nan, np.float32)),
        ("listener", np.ones(800, np.int16)), ("listener", np.array(["a"] * 9)), ("listener", np.full(800, 9000.0)),
        ("reader", np.zeros(9, np.uint8)), ("reader", np.zeros((9, 9, 3), np.uint8)), ("reader", np.zeros((9, 0), np.uint8)),
        ("reader", np.zeros((9, 9), np.float32)),
    ],
)  # fmt: skip
def test_arrays_of_another_kind_are_refused(request, kind: str, array: np.ndarray) -> None:
    recognizer = request.getfixturevalue(kind)
    (transcript,) = recognizer.transcribe([array])
    assert transcript.error is not None and transcript.error.startswith("array 0: ") and "\n" not in transcript.error
    with pytest.raises(InputError, match=r"^array 0: "):
        list(recognizer.log_probs([array]))


def test_nothing_to_hear_or_see_gives_no_text(listener, reader) -> None:
    for recognizer, array in ((listener, np.zeros(9000, np.float32)), (listener, np.full(1, 0.5)), (reader, np.full((30, 200), 255, np.uint8))):
        transcript = recognizer.transcribe(array)
        assert (transcript.error, transcript.text, transcript.units) == (None, "", ())
    assert [log_probs.shape for log_probs in listener.log_probs([np.zeros(9000, np.float32)])] == [(0, 5)]


@pytest.mark.parametrize("seconds", [31, 65.01, 100])
def test_windows_stitch(listener, speak, tmp_path, monkeypatch, seconds: float) -> None:
    path, _ = long_recording(speak, tmp_path / "long.wav", int(seconds / 0.1) + 20)
    samples = load_audio(path, 8000)[: int(seconds * 8000)]
    ((windowed,), (transcript,)) = listener.log_probs([samples]), [listener.transcribe(samples)]
    assert transcript.seconds == pytest.approx(len(samples) / 8000)
    monkeypatch.setattr(source_module, "WHOLE_SECONDS", 1000.0)
    ((whole,), (expected,)) = listener.log_probs([samples]), [listener.transcribe(samples)]
    assert windowed.shape == whole.shape and len(whole) == (1 + (len(samples) - 200) // 80 + 2) // 3
    assert transcript.text == expected.text and len(expected.text) > 8 * seconds
    # both directions have forgotten the cut after the context of three seconds
    np.testing.assert_allclose(np.exp(windowed), np.exp(whole), atol=1e-3)
    assert np.abs(windowed - whole).mean() < 1e-3


def test_without_context_windows_would_differ(listener, speak, tmp_path, monkeypatch) -> None:
    samples = load_audio(long_recording(speak, tmp_path / "long.wav", 700)[0], 8000)
    (whole,) = listener.log_probs([samples])
    monkeypatch.setattr(stream, "CONTEXT_SECONDS", 0.0)
    (cut,) = listener.log_probs([samples])
    assert cut.shape == whole.shape and np.abs(np.exp(cut) - np.exp(whole)).max() > 0.01


def test_a_file_and_its_array_are_cut_alike(listener, speak, tmp_path) -> None:
    path, _ = long_recording(speak, tmp_path / "long.wav", 400)
    (file,), (array,) = listener.log_probs([path]), listener.log_probs([load_audio(path, 8000)])
    assert np.array_equal(file, array)


def test_a_picture_that_is_no_line_is_refused(reader) -> None:
    picture = np.full((4, 20_000), 255, np.uint8)
    picture[1:3, ::3] = 0
    (transcript,) = reader.transcribe([picture])
    assert "is this one line of text?" in transcript.error


def test_weights_that_do_not_fit_the_settings(line_run, speech_run) -> None:
    lines, speech = load_bundle(line_run / "bundle"), load_bundle(speech_run / "bundle")
    with pytest.raises(BundleError, match=f"^{lines.folder}: the weights do not fit the settings") as caught:
        Recognizer(replace(lines, weights=speech.weights), "cpu")
    assert "\n" not in str(caught.value)


def test_unknown_devices_are_refused(line_run) -> None:
    for device in ("gpu", "cuda:99"):
        with pytest.raises(ConfigError, match=f"device: '{device}'"):
            Recognizer.load(line_run / "bundle", device)
