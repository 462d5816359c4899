"""Long recordings read piece by piece, so that memory does not grow with their length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soxr

from recognizer.audio.io import Channel, check_samples, choose_channel, open_audio, take_channel
from recognizer.audio.speech import FRAME_SECONDS, SpeechDetector, speech_detector
from recognizer.errors import InputError

MAX_SECONDS = 30.0  # longest window without its context
AIM_SECONDS = 12.0  # a stretch of speech is cut at its longest pause up to here
MIN_SECONDS = 3.0  # statistics of less are poor, so that a short pause does not end it
PAUSE_SECONDS = 0.5  # a pause that ends a stretch
LONG_PAUSE_SECONDS = 1.0  # a pause that ends even a short one
SHORT_PAUSE_SECONDS = 0.2  # anything shorter is no pause
PAD_SECONDS = 0.25  # of the pause that is kept on either side of a stretch
CONTEXT_SECONDS = 3.0  # of the recording beyond a cut that is not in a pause, since both directions of the network need a run-up
MAX_JOINED = 10  # windows without a pause between them that are put together
LEAST_SPEECH_SECONDS = 0.1  # shorter sounds are clicks
SPEECH, NO_SPEECH = 0.5, 0.35  # probabilities from which on, and below which, speech is found


@dataclass(frozen=True)
class Window:
    """A stretch of a recording in which somebody speaks, or a part of one that is too long.

    Attributes:
        samples: (N,), context included.
        start: sample of the recording at which the stretch begins.
        before: samples of context in front of it.
        inside: samples of the stretch itself.
        continues: whether it was cut where it is not silent: the next window goes on with it, and there is context behind it.
    """

    samples: np.ndarray
    start: int
    before: int
    inside: int
    continues: bool


def stream_audio(path: str | Path, sample_rate: int, channel: Channel = "auto") -> Iterator[np.ndarray]:
    """Blocks of a recording, one after the other, as float32 samples of one channel at ``sample_rate``.

    With several channels and "auto" the recording is decoded twice: once to choose.

    Raises:
        InputError: as :func:`~recognizer.audio.io.load_audio`; a fault further in is raised when it is reached.
    """
    with open_audio(path) as parts:
        for part in parts:
            chosen = choose_channel(part.blocks(), channel, path) if part.channels > 1 else None
            resampler = soxr.ResampleStream(part.samplerate, sample_rate, 1, dtype="float32", quality="HQ")
            for block, last in _mark_last(part.blocks()):
                samples = take_channel(block, chosen)
                check_samples(samples, path)
                if part.samplerate != sample_rate:
                    samples = resampler.resample_chunk(np.ascontiguousarray(samples), last=last)
                yield np.clip(samples, -1.0, 1.0)


def _mark_last(blocks: Iterator[np.ndarray]) -> Iterator[tuple[np.ndarray, bool]]:
    """Each block and whether it is the last; what is raised comes after the blocks before it."""
    held: np.ndarray | None = None
    while True:
        try:
            block = next(blocks, None)
        except InputError:
            if held is not None:
                yield held, False
            raise
        if held is not None:
            yield held, block is None
        if block is None:
            return
        held = block


class SpeechWindows:
    """The stretches of a recording in which somebody speaks, one after the other, in memory that its length does not change.

    A stretch ends at a pause, and is not much longer than ``AIM_SECONDS`` where it has any: features are normalized over each
    window by itself, as over the utterances of training, so that no speaker and no noise elsewhere has a say in it. Speech without
    a pause is cut after ``MAX_SECONDS`` at the latest, with context on both sides.

    Attributes:
        length: samples that have been read so far.
    """

    def __init__(self, blocks: Iterator[np.ndarray], sample_rate: int, step: int, detector: SpeechDetector | None = None) -> None:
        """Take samples block by block.

        Args:
            blocks: (N,) float32 each.
            sample_rate: Hz.
            step: windows begin and end at multiples of so many samples.
            detector: tells speech from the rest; None: the best one installed.
        """
        self.length = 0
        self._blocks, self._rate, self._step = blocks, sample_rate, step
        self._detector = detector
        self._samples = np.empty(0, dtype=np.float32)  # of the recording, from `_first` on
        self._first = 0
        self._probabilities = np.empty(0, dtype=np.float32)  # of all frames from `_first_frame` on
        self._first_frame = 0
        self._ended = False

    def __iter__(self) -> Iterator[Window]:
        """Each window as soon as what follows it is known."""
        look = _frames(MAX_SECONDS + LONG_PAUSE_SECONDS) + 1
        place, reached, joined = 0, 0, 0  # frame to go on from; sample at which the window before ends, and how many it continues
        while True:
            self._read(place + look)
            found = np.flatnonzero(self._speech(place, place + look))
            if joined and place < self._first_frame + len(self._probabilities):
                found = np.zeros(1, np.int64)  # what was cut goes on, whatever the frame says
            if not found.size:
                place = min(place + look, self._first_frame + len(self._probabilities))
                self._forget(place)
                if self._ended and not len(self._probabilities):
                    return
                continue
            begin = place + int(found[0])
            self._read(begin + look)
            stop, place = (begin + frame for frame in find_cut(self._speech(begin, begin + look), self._between(begin, begin + look), self._ended))
            if place > stop and not joined and stop - begin < _frames(LEAST_SPEECH_SECONDS):
                continue
            window = self._window(begin, stop, place, reached, joined > 0)
            joined = joined + 1 if window.continues else 0
            if joined == MAX_JOINED:
                window, joined = replace(window, samples=window.samples[: window.before + window.inside], continues=False), 0
            reached = window.start + window.inside
            yield window
            self._forget(place)

    def _window(self, begin: int, stop: int, following: int, reached: int, continued: bool) -> Window:
        """The window of the frames from ``begin`` to ``stop``; ``following``: where speech goes on."""
        pad, context = round(PAD_SECONDS * self._rate), round(CONTEXT_SECONDS * self._rate / self._step) * self._step
        continues = following == stop
        first = reached if continued else max(reached, self._sample(begin) - pad) // self._step * self._step
        last = self._sample(stop) + (0 if continues else min(pad, self._sample(following - stop) // 2))
        last = max(first + self._step, -(-last // self._step) * self._step)
        if not continues:
            last = min(last, self.length)
        low = max(self._first, first - context) if continued else first
        high = last + context if continues else last
        return Window(self._samples[low - self._first : high - self._first].copy(), first, first - low, last - first, continues)

    def _sample(self, frame: int) -> int:
        return round(frame * FRAME_SECONDS * self._rate)

    def _between(self, begin: int, stop: int) -> np.ndarray:
        return self._probabilities[begin - self._first_frame : stop - self._first_frame]

    def _speech(self, begin: int, stop: int) -> np.ndarray:
        """(F,) bool: from where speech is likely to where it is not."""
        known = self._between(begin, stop)
        sure = np.where((known >= SPEECH) | (known < NO_SPEECH), np.arange(len(known)), 0)
        latest: np.ndarray = known[np.maximum.accumulate(sure)] >= SPEECH
        return latest

    def _read(self, frames: int) -> None:
        """Read on until the probabilities of so many frames are known, and the samples that a window of them needs."""
        if self._detector is None:
            self._detector = speech_detector(self._rate)
        needed = self._sample(frames) + round(CONTEXT_SECONDS * self._rate) + 2 * self._step
        while not self._ended and (self._first_frame + len(self._probabilities) < frames or self.length < needed):
            block = next(self._blocks, None)
            self._ended = block is None
            block = np.empty(0, dtype=np.float32) if block is None else block
            self.length += len(block)
            self._samples = np.concatenate([self._samples, block])
            self._probabilities = np.concatenate([self._probabilities, self._detector.probabilities(block, self._ended)])

    def _forget(self, place: int) -> None:
        """Drop what no later window needs."""
        keep = max(0, min(self._sample(place), self.length) - round(CONTEXT_SECONDS * self._rate) - 2 * self._step) // self._step * self._step
        self._samples, self._first = self._samples[max(0, keep - self._first) :], max(self._first, keep)
        self._probabilities, self._first_frame = self._probabilities[place - self._first_frame :], place


def find_cut(speech: np.ndarray, probabilities: np.ndarray, ended: bool = True) -> tuple[int, int]:
    """Where a stretch that begins with the first of some frames ends, and where speech goes on; the same frame if not at a pause.

    Args:
        speech: (F,) bool, whether somebody speaks; true in the first frame.
        probabilities: (F,) of speech.
        ended: whether nothing follows the frames, so that the last pause has no end.
    """
    begins, stops = runs(~np.append(speech, not ended))
    lengths = stops - begins
    if ended:
        lengths[-1] = len(speech) + _frames(LONG_PAUSE_SECONDS)
    near = begins <= _frames(AIM_SECONDS)
    ending = (lengths >= _frames(LONG_PAUSE_SECONDS)) | ((lengths >= _frames(PAUSE_SECONDS)) & (begins >= _frames(MIN_SECONDS)))
    for chosen in (np.flatnonzero(near & ending)[:1], _longest(near, lengths), _longest(begins <= _frames(MAX_SECONDS), lengths)):
        if chosen.size:
            return int(begins[chosen[0]]), int(stops[chosen[0]])
    half, limit = _frames(MAX_SECONDS / 2), min(_frames(MAX_SECONDS), len(speech))
    cut = half + int(probabilities[half:limit].argmin())
    return cut, cut


def _longest(allowed: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The longest of the allowed pauses that is one, or none."""
    allowed = np.where(allowed & (lengths >= _frames(SHORT_PAUSE_SECONDS)), lengths, 0)
    return np.array([allowed.argmax()] if allowed.any() else [], np.int64)


def _frames(seconds: float) -> int:
    return round(seconds / FRAME_SECONDS)


def runs(marks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First entry of each run of true ones, and the one after its last."""
    changes = np.flatnonzero(np.diff(np.concatenate(([False], marks, [False]))))
    return changes[::2], changes[1::2]
