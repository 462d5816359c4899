"""Stretches of a long recording put together: one emission, one transcript, times on the clock of the recording."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from recognizer.audio import stream
from recognizer.audio.speech import LoudnessDetector
from recognizer.errors import RecognizerWarning
from recognizer.inference import inputs
from recognizer.inference.recognizer import Recognizer
from recognizer.inference.runner import Emission
from recognizer.inference.stretches import join_transcripts, merge_emissions
from recognizer.text.alphabet import Alphabet
from recognizer.types import Alternative, Token, Transcript, Word

RATE = 8000


@pytest.fixture(scope="module")
def listener(speech_run: Path) -> Recognizer:
    return Recognizer.load(speech_run / "bundle", "cpu", threads=1)


@pytest.fixture(autouse=True)
def tones_are_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "speech_detector", LoudnessDetector)


def test_frames_between_stretches_are_blank() -> None:
    tables = [np.log(np.random.default_rng(n).dirichlet(np.ones(5), 4)).astype(np.float32) for n in range(2)]
    parts = [Emission("a", table[:, :3], table, start=start, partial=True) for table, start in zip(tables, (2, 8), strict=True)]
    empty, silent = np.zeros((0, 5), np.float32), np.log(np.array([1 - 2e-6, 1e-6, 1e-6, 1 - 1e-6, 1e-6], np.float32))
    merged = merge_emissions(parts, Emission("a", empty[:, :3], empty, seconds=3.0, start=11), silent)
    table = merged.decoder_input
    assert table is not None and merged.log_probs is not None and table.shape == (11, 5) and merged.log_probs.shape == (11, 3) and merged.start == 0
    assert np.array_equal(table[2:6], tables[0]) and np.array_equal(table[8:11], tables[1][:3])  # a front-end may round up
    for row in table[[0, 1, 6, 7]]:
        assert row[0] > -1e-4 and row[3] > -1e-4 and np.exp(row[:3]).sum() == pytest.approx(1) and np.exp(row[3:]).sum() == pytest.approx(1)
    assert merge_emissions(parts, Emission("a", error="a: broken off"), silent).error == "a: broken off"


def part(text: str, score: float, start: float, *others: tuple[str, float]) -> Transcript:
    tokens = tuple(Token(symbol, start + n, start + n + 0.5) for n, symbol in enumerate(text))
    words = (Word(text, start, start + len(text)),)
    alternatives = tuple(Alternative(*other) for other in others)
    return Transcript("a", text, tuple(text), score, score - 1, 0.5, 0.5, tokens=tokens, words=words, alternatives=alternatives)


def test_transcripts_are_joined_with_one_space_and_times_in_order() -> None:
    parts = [part("ab", -1.0, 0.0, ("a", -3.0)), Transcript("a"), part("c", -2.0, 1.5, ("d", -2.5), ("e", -9.0))]
    joined = join_transcripts(parts, Transcript("a", seconds=9.0), Alphabet((" ", "a", "b", "c")), 3)
    assert joined.text == "ab c" == "".join(joined.units) == "".join(token.symbol for token in joined.tokens) and joined.seconds == 9.0
    assert (joined.score, joined.acoustic, joined.language, joined.bonus) == (-3.0, -5.0, 1.0, 1.0)
    assert [(word.text, word.start, word.end) for word in joined.words] == [("ab", 0.0, 2.0), ("c", 2.0, 2.5)]
    assert joined.alternatives == (Alternative("ab d", -3.5), Alternative("a c", -5.0))
    assert join_transcripts(parts, Transcript("a"), Alphabet(("a", "b", "c"))).text == "abc"
    assert join_transcripts(parts, Transcript("a"), Alphabet(("ab", "c"), "units")).text == "ab c"


def test_an_error_in_one_stretch_is_that_of_the_recording() -> None:
    alphabet = Alphabet(("a", "b"))
    broken = Transcript("a", error="a: no memory")
    assert join_transcripts([part("a", -1.0, 0.0), broken], Transcript("a", seconds=1.0), alphabet).error == "a: no memory"
    assert join_transcripts([part("a", -1.0, 0.0)], Transcript("a", error="a: broken off"), alphabet).error == "a: broken off"


def test_stretches_are_told_as_they_are_decoded_on_the_clock_of_the_recording(listener, speak, tmp_path) -> None:
    generator = np.random.default_rng(3)
    noise = (0.003 * generator.standard_normal(40 * RATE)).astype(np.float32)
    said = [speak(text, generator) for text in ("abcd" * 8, "dcba" * 10)]
    begins = [10 * RATE, 10 * RATE + len(said[0]) + 20 * RATE]
    samples = np.concatenate([noise[: 10 * RATE], said[0], noise[: 20 * RATE], said[1], noise[: 10 * RATE]])
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    told: list[Transcript] = []
    (found,) = listener.transcribe([tmp_path / "a.wav"], n_best=2, times=True, on_segment=told.append)
    assert found.text == "".join(part.text for part in told) and found.seconds == pytest.approx(len(samples) / RATE) and len(told) == 2
    assert found.text == "".join(listener.transcribe(array).text for array in said) == "abcd" * 8 + "dcba" * 10
    for each, begin, array in zip(told, begins, said, strict=True):
        times = [token.start for token in each.tokens]
        assert times == sorted(times) and begin / RATE - 0.1 < times[0] < begin / RATE + 0.3 and times[-1] < (begin + len(array)) / RATE + 0.1
    assert all(one.end <= other.start for one, other in pairwise(found.words))
    (table,) = listener.log_probs([tmp_path / "a.wav"])
    assert len(table) == listener.network.frames(listener.network.features.frames(len(samples)))
    assert "".join(listener.spell(listener.decode(table).labels)) == found.text


def test_a_recording_is_one_item_beside_others(listener, speak, monkeypatch) -> None:
    monkeypatch.setattr(inputs, "WHOLE_SECONDS", 2.0)
    generator = np.random.default_rng(4)
    short, long = speak("abc", generator), speak("abcd" * 10, generator)
    found = list(listener.transcribe([short, long, short, long]))
    assert [transcript.source for transcript in found] == [f"array {n}" for n in range(4)]
    assert found[0].text == found[2].text == "abc" and found[1].text == found[3].text == "abcd" * 10


def test_a_recording_without_speech_says_so(listener, tmp_path) -> None:
    for seconds, message in ((40, "no speech found"), (1, "is silent")):
        with pytest.warns(RecognizerWarning, match=f"array 0: {message}"):
            assert listener.transcribe(np.zeros(seconds * RATE, np.float32)).text == ""


def test_a_fault_further_in_is_the_error_of_the_recording(listener, speak, tmp_path) -> None:
    samples = np.concatenate([speak("abcd" * 100, np.random.default_rng(5)), np.full(60 * RATE, np.nan, np.float32)])
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    (found,) = listener.transcribe([tmp_path / "a.wav"])
    assert found.error is not None and "NaN" in found.error and found.text == ""
