"""Where utterances begin and end in a recording that is still going on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from recognizer.audio.speech import FRAME_SECONDS, SpeechDetector, speech_detector
from recognizer.audio.stream import AIM_SECONDS, LEAST_SPEECH_SECONDS, MAX_SECONDS, NO_SPEECH, PAD_SECONDS, SHORT_PAUSE_SECONDS, SPEECH

PAUSE_SECONDS = 0.6  # after so much silence somebody has finished


@dataclass(frozen=True)
class UtterancePart:
    """Samples of an utterance that follow those of the part before.

    Attributes:
        samples: (N,).
        start: sample of the recording at which they begin.
        begins: whether the utterance begins with them.
        stop: where the utterance has ended: the sample behind the last speech and some of the pause; None while it goes on. What follows it in
            the samples is silence.
    """

    samples: np.ndarray
    start: int
    begins: bool
    stop: int | None = None


class UtteranceDetector:
    """Takes a recording block by block and gives the utterances in it, part by part, each part as soon as it is there.

    An utterance begins a little before the speech and ends after a pause: one of ``pause_seconds``, a shorter one where it is long, or none
    after ``MAX_SECONDS``. Shorter sounds than ``LEAST_SPEECH_SECONDS`` are none.
    """

    def __init__(self, sample_rate: int, pause_seconds: float = PAUSE_SECONDS, detector: SpeechDetector | None = None) -> None:
        """Nothing is known yet.

        Args:
            sample_rate: Hz.
            pause_seconds: silence that ends an utterance.
            detector: tells speech from the rest; None: the best one installed.
        """
        self._rate, self._pause = sample_rate, max(pause_seconds, FRAME_SECONDS)
        self._detector = detector or speech_detector(sample_rate)
        self._samples = np.empty(0, dtype=np.float32)  # of the recording, from `_first` on
        self._first, self._frames = 0, 0  # sample; frames of the detector so far
        self._speech, self._run = False, 0  # whether the last frame is speech, and for how many frames it has been so
        self._begin: int | None = None  # of the utterance that goes on
        self._given = 0  # sample up to which parts were given, or that the next utterance cannot begin before
        self._heard = 0  # sample behind the last speech

    def feed(self, samples: np.ndarray, last: bool = False) -> Iterator[UtterancePart]:
        """The parts that these samples (N,) complete; ``last``: nothing follows."""
        self._samples = np.concatenate([self._samples, samples.astype(np.float32, copy=False)])
        for probability in self._detector.probabilities(samples, last):
            part = self._follow(float(probability))
            if part is not None:
                yield part
        if last and self._begin is not None:
            yield self._part(self._first + len(self._samples), True)
        self._forget()

    def _follow(self, probability: float) -> UtterancePart | None:
        """The part up to the end of the next frame."""
        speech = probability >= SPEECH or (self._speech and probability >= NO_SPEECH)
        self._run = self._run + 1 if speech == self._speech else 1
        self._speech = speech
        self._frames += 1
        reached = min(self._sample(self._frames), self._first + len(self._samples))
        if speech:
            self._heard = reached
        if self._begin is None:
            if not speech or self._run * FRAME_SECONDS < LEAST_SPEECH_SECONDS:
                return None
            pad = round(PAD_SECONDS * self._rate)
            self._begin = self._given = max(self._given, self._first, self._sample(self._frames - self._run) - pad)
        seconds, silence = (reached - self._begin) / self._rate, 0.0 if speech else self._run * FRAME_SECONDS
        paused = silence >= (self._pause if seconds < AIM_SECONDS else min(self._pause, SHORT_PAUSE_SECONDS))
        return self._part(reached, paused or seconds >= MAX_SECONDS)

    def _part(self, reached: int, ends: bool) -> UtterancePart:
        begins, start = self._given == self._begin, self._given
        stop = min(reached, self._heard + round(PAD_SECONDS * self._rate)) if ends else None
        part = UtterancePart(self._samples[start - self._first : reached - self._first].copy(), start, begins, stop)
        self._given = reached if stop is None else max(stop, start)
        if ends:
            self._begin = None
        return part

    def _sample(self, frame: int) -> int:
        return round(frame * FRAME_SECONDS * self._rate)

    def _forget(self) -> None:
        """Drop what no utterance to come can begin with."""
        margin = round((PAD_SECONDS + LEAST_SPEECH_SECONDS + 2 * FRAME_SECONDS) * self._rate)
        reached = min(self._sample(self._frames), self._first + len(self._samples))
        keep = self._given if self._begin is not None else reached - margin
        if keep > self._first:
            self._samples, self._first = self._samples[keep - self._first :], keep
