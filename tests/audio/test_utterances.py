"""Utterances in a recording that goes on: where they begin and end, whatever the blocks, and that nothing is lost or given twice."""

from __future__ import annotations

import numpy as np
import pytest

from recognizer.audio.speech import FRAME_SECONDS, SpeechDetector
from recognizer.audio.stream import MAX_SECONDS
from recognizer.audio.utterances import UtteranceDetector, UtterancePart

RATE = 1000
FRAME = round(FRAME_SECONDS * RATE)  # 32


class Marked(SpeechDetector):
    """Speech is where samples are not zero."""

    def __init__(self) -> None:
        self.rest = np.empty(0, dtype=np.float32)

    def probabilities(self, samples: np.ndarray, last: bool = False) -> np.ndarray:
        known = np.concatenate([self.rest, samples])
        known = np.pad(known, (0, -len(known) % FRAME)) if last else known
        whole = len(known) // FRAME * FRAME
        self.rest = known[whole:]
        return (known[:whole].reshape(-1, FRAME) != 0).mean(axis=1)

    def _score(self, frames: np.ndarray) -> np.ndarray:
        raise NotImplementedError


def make(*parts: tuple[float, bool]) -> np.ndarray:
    """A recording of seconds with and without speech, each sample of which is its own number."""
    speech = np.concatenate([np.full(round(seconds * RATE), spoken) for seconds, spoken in parts])
    return (speech * np.arange(1, len(speech) + 1)).astype(np.float32)


def find(samples: np.ndarray, block: int = FRAME, pause: float = 0.6) -> list[list[UtterancePart]]:
    detector, found = UtteranceDetector(RATE, pause, Marked()), []
    for begin in range(0, len(samples) + 1, block):
        for part in detector.feed(samples[begin : begin + block], last=begin + block > len(samples)):
            found += [[]] if part.begins else []
            found[-1].append(part)
    return found


@pytest.mark.parametrize("block", [1, 32, 333, 10_000])
def test_utterances_have_a_little_of_the_pauses_and_are_whole(block: int) -> None:
    samples = make((1.0, False), (0.9, True), (0.4, False), (0.8, True), (2.0, False), (0.5, True), (0.3, False))
    utterances = find(samples, block)
    assert [len(parts) > 1 for parts in utterances] == [True, True]
    spans = [(parts[0].start / RATE, parts[-1].stop / RATE) for parts in utterances]
    assert spans == [(pytest.approx(0.75, abs=0.04), pytest.approx(3.35, abs=0.07)), (pytest.approx(4.85, abs=0.04), pytest.approx(5.85, abs=0.07))]
    for parts in utterances:
        assert [part.stop is None for part in parts] == [True] * (len(parts) - 1) + [False]
        whole = np.concatenate([part.samples for part in parts])
        assert np.array_equal(whole, samples[parts[0].start : parts[0].start + len(whole)])
        assert parts[0].start + len(whole) >= parts[-1].stop
        places = np.cumsum([parts[0].start, *(len(part.samples) for part in parts)])
        assert [part.start for part in parts] == places[:-1].tolist()
    assert set(samples[samples > 0]) <= {value for parts in utterances for part in parts for value in part.samples}


def test_the_parts_do_not_depend_on_the_blocks_but_for_their_number() -> None:
    samples = make((0.3, False), (1.1, True), (0.7, False), (0.2, True), (0.05, False), (0.4, True))
    expected = find(samples, 1)
    for block in (31, 500, 5000):
        found = find(samples, block)
        assert [(parts[0].start, parts[-1].stop, [len(p.samples) for p in parts]) for parts in found] == [
            (parts[0].start, parts[-1].stop, [len(p.samples) for p in parts]) for parts in expected
        ]


def test_clicks_are_no_utterances_and_silence_is_none() -> None:
    assert find(make((1.0, False), (0.06, True), (1.0, False))) == [] == find(make((3.0, False)))
    assert find(np.empty(0, dtype=np.float32)) == []


def test_speech_without_a_pause_is_cut_and_goes_on_where_it_was_cut() -> None:
    samples = make((0.5, False), (2.2 * MAX_SECONDS, True), (1.0, False))
    utterances = find(samples)
    assert len(utterances) == 3
    stops = [parts[-1].stop for parts in utterances]
    assert [parts[0].start for parts in utterances][1:] == stops[:-1]
    assert max(parts[-1].stop - parts[0].start for parts in utterances) <= (MAX_SECONDS + 0.04) * RATE


def test_long_utterances_end_at_shorter_pauses() -> None:
    short, long = make((1, True), (0.3, False), (1, True), (1, False)), make((13, True), (0.3, False), (1, True), (1, False))
    assert (len(find(short)), len(find(long))) == (1, 2)
    assert len(find(short, pause=0.2)) == 2


def test_memory_does_not_grow_in_silence() -> None:
    detector = UtteranceDetector(RATE, 0.6, Marked())
    for _ in range(300):
        assert list(detector.feed(np.zeros(FRAME, dtype=np.float32))) == []
    assert len(detector._samples) < RATE
