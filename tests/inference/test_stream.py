"""Streaming recognition: what is fed in pieces of any length is written as the whole is, stable text only grows, times are those of the stream."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soxr

from recognizer.audio import speech
from recognizer.config import DecoderConfig
from recognizer.errors import ConfigError, InputError
from recognizer.inference import stream as module
from recognizer.inference.recognizer import Recognizer
from recognizer.inference.stream import StreamEvent

pytestmark = pytest.mark.filterwarnings("ignore:the package silero-vad")
RATE = 8000
TEXTS = ("abcd", "dcab", "bdca")


@pytest.fixture(autouse=True)
def by_loudness(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tones are no speech to silero-vad, where it is installed."""
    monkeypatch.setattr(speech, "find_spec", lambda name: None)


@pytest.fixture(scope="module")
def recognizer(stream_run: Path) -> Recognizer:
    return Recognizer.load(stream_run / "bundle", device="cpu", threads=1)


@pytest.fixture(scope="module")
def recording(speak) -> np.ndarray:
    """Three utterances with 1.5 s of a little noise around each."""
    generator = np.random.default_rng(3)

    def silence() -> np.ndarray:
        return (0.003 * generator.standard_normal(12_000)).astype(np.float32)

    return np.concatenate([silence(), *(part for text in TEXTS for part in (speak(text, generator), silence()))])


def pieces(samples: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """Of one sample, of none, and of up to a second."""
    generator, place = random.Random(seed), 0
    while place < len(samples):
        size = generator.choice((0, 1, 1, 255, 256, generator.randint(1, 8000)))
        yield samples[place : place + size]
        place += size


def finals(events: list[StreamEvent]) -> list[StreamEvent]:
    return [event for event in events if event.kind == "final"]


def test_utterances_are_written_while_they_are_spoken(recognizer: Recognizer, recording: np.ndarray) -> None:
    events = list(recognizer.stream(pieces(recording, 0)))
    assert [event.text for event in finals(events)] == list(TEXTS)
    kinds = "".join(event.kind[0] for event in events).split("f")
    assert kinds[-1] == "" and all(len(partial) >= 2 for partial in kinds[:2])
    text = ""
    for event in events:
        assert event.text.startswith(text) and event.stable == event.text and event.transcript.error is None
        text = "" if event.kind == "final" else event.text
        assert event.start < event.end and all(event.start <= word.start <= word.end <= event.end for word in event.transcript.words)
        assert "".join(token.symbol for token in event.transcript.tokens) == event.text
    # the tones lie where they were put: 1.5 s of silence, then the first
    assert finals(events)[0].transcript.tokens[0].start == pytest.approx(1.53, abs=0.12)
    assert finals(events)[1].start > finals(events)[0].end


@pytest.mark.parametrize("seed", range(3))
def test_pieces_of_any_size_give_the_same_events(recognizer: Recognizer, recording: np.ndarray, seed: int) -> None:
    expected = list(recognizer.stream([recording]))
    assert list(recognizer.stream(pieces(recording, seed))) == expected


def test_the_utterance_is_recognized_as_the_whole_of_it_would_be(recognizer: Recognizer, recording: np.ndarray, monkeypatch) -> None:
    fed, tables = [], []
    feed = module._Streamed.feed
    monkeypatch.setattr(module._Streamed, "feed", lambda self, part: (fed.append(part), feed(self, part))[1])
    monkeypatch.setattr(module._Streamed, "_decode", lambda self, reached, ends: tables.append(self._table) if ends else None)
    list(recognizer.stream(pieces(recording, 1)))
    bounds = [*(number for number, part in enumerate(fed) if part.begins), len(fed)]
    assert len(tables) == 3 == len(bounds) - 1
    for table, first, last in zip(tables, bounds, bounds[1:], strict=False):
        whole = recognizer.log_probs(np.concatenate([part.samples for part in fed[first:last]]))
        np.testing.assert_allclose(table, whole, atol=1e-5, rtol=0)


def test_other_sample_rates_are_resampled(recognizer: Recognizer, recording: np.ndarray) -> None:
    faster = soxr.resample(recording, RATE, 44_100, quality="HQ")
    events = finals(list(recognizer.stream(pieces(faster, 2), sample_rate=44_100)))
    assert [event.text for event in events] == list(TEXTS) and events[0].start == pytest.approx(1.3, abs=0.15)


@pytest.mark.parametrize("window", [9.0, 0.3])
def test_a_beam_revises_only_what_is_not_stable(stream_run: Path, recording: np.ndarray, window: float, monkeypatch) -> None:
    monkeypatch.setattr(module, "WINDOW_SECONDS", window)
    beam = Recognizer.load(stream_run / "bundle", device="cpu", threads=1, decoder=DecoderConfig(kind="beam", beam_size=8))
    events = list(beam.stream(pieces(recording, 4)))
    assert [event.text for event in finals(events)] == list(TEXTS)
    stable = ""
    for event in events:
        assert event.text.startswith(event.stable) and event.stable.startswith(stable)
        stable = "" if event.kind == "final" else event.stable
    partial = [event for event in events if event.kind == "partial"]
    assert any(event.stable for event in partial) == (window < 1)


def test_a_pause_within_an_utterance_may_be_longer(recognizer: Recognizer, recording: np.ndarray) -> None:
    (event,) = finals(list(recognizer.stream([recording], pause_seconds=3)))
    assert event.text == "".join(TEXTS)


def test_a_network_that_needs_whole_utterances_is_named_and_taken_by_utterance(speech_run: Path, recording: np.ndarray) -> None:
    whole = Recognizer.load(speech_run / "bundle", device="cpu", threads=1)
    with pytest.raises(ConfigError, match=r"^model\.bidirectional: .* train with model=streaming_blstm .*; or take it .*by_utterance=True$"):
        whole.stream([recording])  # and not only when the first event is asked for
    events = list(whole.stream(pieces(recording, 5), by_utterance=True))
    assert [(event.kind, event.text, event.stable) for event in events] == [("final", text, text) for text in TEXTS]
    assert events[0].transcript.tokens[0].start == pytest.approx(1.53, abs=0.12) and events[0].transcript.source == "stream"


def test_silence_has_no_events(recognizer: Recognizer) -> None:
    assert list(recognizer.stream([])) == [] == list(recognizer.stream(np.zeros((5, 4000), dtype=np.float32)))


def test_what_is_no_recording_is_refused(recognizer: Recognizer, line_run: Path) -> None:
    with pytest.raises(ConfigError, match=r"^features\.kind: pixels: this recognizer reads no recordings"):
        Recognizer.load(line_run / "bundle", device="cpu").open_stream(by_utterance=True)
    bad: dict[str, np.ndarray] = {
        "expected float samples": np.zeros(9, dtype=np.int16), "found shape": np.zeros((9, 2), dtype=np.float32),
        "NaN": np.full(9, np.nan, dtype=np.float32), "expected -1 to 1": np.full(9, 300.0, dtype=np.float32),
    }  # fmt: skip
    for message, samples in bad.items():
        with pytest.raises(InputError, match=f"^stream: .*{message}"):
            recognizer.open_stream().feed(samples)
    with pytest.raises(InputError, match=r"^stream: a sample rate of 44 Hz; expected 4 to 768 kHz$"):
        recognizer.open_stream(44)
    with pytest.raises(ConfigError, match=r"^decoder\.combine_with: two recognizers are not streamed together"):
        module.check_recognizer(SimpleNamespace(config=recognizer.config, bundle=recognizer.bundle, bundles=(1, 2)))  # type: ignore[arg-type]
    session = recognizer.open_stream()
    session.finish()
    with pytest.raises(InputError, match=r"^stream: it is finished; open another"):
        session.feed(np.zeros(1, dtype=np.float32))


def test_an_exported_network_is_refused(recognizer: Recognizer) -> None:
    exported = SimpleNamespace(graph=Path("small/model.onnx"))
    with pytest.raises(ConfigError, match=r"^small/model\.onnx: was exported, and its graph takes whole utterances"):
        module.check_recognizer(SimpleNamespace(config=recognizer.config, bundle=exported, bundles=(exported,)))  # type: ignore[arg-type]


def test_an_utterance_that_cannot_be_decoded_costs_itself(recognizer: Recognizer, recording: np.ndarray, monkeypatch) -> None:
    failing: Callable[..., None] = lambda *_: (_ for _ in ()).throw(InputError("broken"))  # noqa: E731
    monkeypatch.setattr(recognizer, "_time", failing)
    events = finals(list(recognizer.stream([recording])))
    assert [event.transcript.error for event in events] == ["stream: broken"] * 3 and replace(events[0].transcript, error=None).text == ""
