"""Long log-probs are decoded in segments, cut where nothing is said, and the hypotheses of the segments joined.

What a decoder does over a whole utterance (rescoring, N-best lists, the tree of prefixes) would cost too much over a whole recording, and
one N-best list says nothing about most of it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice, pairwise
from math import log

import numpy as np

from recognizer.config import DecoderConfig
from recognizer.decoding.decoder import Decoder, raise_failures
from recognizer.decoding.hypothesis import Hypothesis, Segment
from recognizer.utils.parallel import in_threads

WHOLE_FRAMES = 1000  # most frames that are decoded in one piece: 30 s of the speech recognizers that ship
# Most frames of a segment of more: 9 s. Hypotheses of a whole segment compete, so that the N-best lists of two recognizers have less and less
# to choose from the longer it is: ten minutes of joined sentences have a WER of 35 % with 30 s, 30 % with 15 and 5 s, 28 % with 8 s.
SEGMENT_FRAMES = 300
SILENT = log(0.5)  # log prob of blank or separator from which on a frame says nothing


class SegmentDecoder(Decoder):
    """A decoder that cuts what has more than ``whole_frames`` frames into segments.

    Attributes:
        config: the settings.
        separator: label between words, 0 where there is none.
        writes_words: whether the text of a hypothesis is its words, not its symbols.
        whole_frames: most frames that are not cut; None: nothing is.
    """

    config: DecoderConfig
    separator = 0
    writes_words = False
    whole_frames: int | None = WHOLE_FRAMES

    @abstractmethod
    def _check(self, log_probs: np.ndarray) -> np.ndarray:
        """The log-probs as the decoder takes them; InputError where it cannot."""

    @abstractmethod
    def _silence(self, log_probs: np.ndarray) -> np.ndarray:
        """(T,) log prob that a frame says nothing."""

    @abstractmethod
    def _decode_segment(self, log_probs: np.ndarray, n_best: int) -> list[Hypothesis]:
        """The likeliest hypotheses of checked log-probs, best first, with their words; none twice."""

    def decode(self, log_probs: np.ndarray, n_best: int = 1) -> list[Hypothesis]:
        """The likeliest hypotheses, best first: at least one, at most ``n_best``, no text twice.

        More than ``whole_frames`` frames are cut at pauses (:func:`find_segments`). Then the first hypothesis is the best of each segment,
        and the others differ from it in one segment.

        Args:
            log_probs: natural log probabilities (T, V) as from the network, of two recognizers side by side; label 0 is the blank.
            n_best: how many.

        Raises:
            InputError: NaN or +inf, a frame whose probabilities do not sum to one, or another number of columns than there are labels.
        """
        return next(raise_failures(self.decode_all([log_probs], n_best, threads=1)))

    def decode_all(self, log_probs: Iterable[np.ndarray], n_best: int = 1, threads: int = 0) -> Iterator[list[Hypothesis] | Exception]:
        """As :meth:`Decoder.decode_all`; the segments of a long recording are decoded in parallel, too."""

        def attempt(piece: tuple[int, np.ndarray | Exception, bool]) -> tuple[int, list[Hypothesis] | Exception, bool]:
            begin, table, last = piece
            if isinstance(table, Exception):
                return begin, table, last
            try:
                return begin, self._decode_segment(table, n_best), last
            except Exception as error:
                return begin, error, last

        parts: list[tuple[int, list[Hypothesis]]] = []
        failure: Exception | None = None
        for begin, found, last in in_threads(attempt, self._cut(log_probs), threads):
            if isinstance(found, Exception):
                failure = failure or found
            else:
                parts.append((begin, found))
            if last:
                yield failure or self._join(parts, n_best)
                parts, failure = [], None

    def _cut(self, log_probs: Iterable[np.ndarray]) -> Iterator[tuple[int, np.ndarray | Exception, bool]]:
        """Segments of each table with the frame in which they begin, and whether they are its last; an error in place of a bad table."""
        for given in log_probs:
            try:
                table = self._check(given)
                limit = self.whole_frames
                if limit is None or len(table) <= limit:
                    bounds = [0, len(table)]
                else:
                    spaces = table[:, self.separator] > SILENT if self.separator else np.zeros(len(table), bool)
                    bounds = find_segments(self._silence(table), spaces, min(limit, SEGMENT_FRAMES))
            except Exception as error:
                yield 0, error, True
                continue
            for begin, stop in pairwise(bounds):
                yield begin, table[begin:stop], stop == bounds[-1]

    def _reading(self, hypothesis: Hypothesis) -> Hashable:
        """What tells the text of one hypothesis from that of another."""
        return hypothesis.words if self.writes_words else hypothesis.labels

    def _join(self, parts: Sequence[tuple[int, list[Hypothesis]]], n_best: int) -> list[Hypothesis]:
        found = parts[0][1] if len(parts) == 1 else join_n_best(parts, self.separator, n_best, self._reading)
        return found if self.config.words else [replace(hypothesis, words=(), spans=()) for hypothesis in found]


def silence(log_probs: np.ndarray, separator: int) -> np.ndarray:
    """(T,) log prob of the blank or the separator, if there is one, by log-probs (T, V)."""
    blank: np.ndarray = log_probs[:, 0]
    return np.logaddexp(blank, log_probs[:, separator]) if separator else blank


def find_segments(silence: np.ndarray, spaces: np.ndarray, limit: int) -> list[int]:
    """Bounds of segments of at most ``limit`` frames: 0, the frames at which to cut, and T.

    A cut lies within the longest run of silent frames of the second half of what a segment may hold, behind any space between words
    there; without such a run in the frame that is most nearly silent.

    Args:
        silence: (T,) log prob that a frame says nothing.
        spaces: (T,) bool, where a space between words is likely.
        limit: frames, at least 1.
    """
    bounds, frames = [0], len(silence)
    while frames - bounds[-1] > limit:
        low = bounds[-1] + max(1, limit // 2)
        high = max(low + 1, min(bounds[-1] + limit, frames - limit // 4) + 1)  # the last segment is not to be a short one
        begin, stop = _longest_run(silence[low:high] > SILENT)
        if begin == stop:
            bounds.append(low + int(silence[low:high].argmax()))
            continue
        behind = np.flatnonzero(spaces[low + begin : low + stop - 1])
        bounds.append(low + begin + max((stop - begin) // 2, int(behind[-1]) + 1 if behind.size else 0))
    return [*bounds, frames]


def _longest_run(marks: np.ndarray) -> tuple[int, int]:
    """First entry of the longest run of true ones, and the one after its last; the first of equal ones; (0, 0) without any."""
    changes = np.flatnonzero(np.diff(np.concatenate(([False], marks, [False]))))
    begins, stops = changes[::2], changes[1::2]
    if not begins.size:
        return 0, 0
    longest = int((stops - begins).argmax())
    return int(begins[longest]), int(stops[longest])


def take_distinct(hypotheses: Iterable[Hypothesis], reading: Callable[[Hypothesis], Hashable], count: int) -> list[Hypothesis]:
    """The first ``count`` with different readings; of those with the same, the first."""

    def first_of_each() -> Iterator[Hypothesis]:
        known = set()
        for hypothesis in hypotheses:
            if (key := reading(hypothesis)) not in known:
                known.add(key)
                yield hypothesis

    return list(islice(first_of_each(), count))


def join_n_best(
    parts: Sequence[tuple[int, list[Hypothesis]]], separator: int, n_best: int, reading: Callable[[Hypothesis], Hashable]
) -> list[Hypothesis]:
    """The best hypothesis of each segment joined, which knows the segments; then the likeliest that differ from it in one segment.

    Args:
        parts: the frame in which each segment begins, and its hypotheses, best first.
        separator: label between words, 0 where there is none.
        n_best: how many.
        reading: what no two are to have in common.
    """
    best = [(begin, found[0]) for begin, found in parts]
    losses = sorted((found[0].score - found[rank].score, n, rank) for n, (_, found) in enumerate(parts) for rank in range(1, len(found)))

    def in_order() -> Iterator[Hypothesis]:
        joined, places = join(best, separator)
        yield replace(joined, segments=tuple(Segment(place, tuple(found)) for place, (_, found) in zip(places, parts, strict=True)))
        for _, n, rank in losses:
            yield join([*best[:n], (parts[n][0], parts[n][1][rank]), *best[n + 1 :]], separator)[0]

    return take_distinct(in_order(), reading, n_best)


def join(parts: Sequence[tuple[int, Hypothesis]], separator: int) -> tuple[Hypothesis, list[int]]:
    """One hypothesis of those of segments that follow each other, and the place of each one's first label; the scores are added.

    Where two words would meet, the separator comes between them.

    Args:
        parts: the frame in which each segment begins, and its hypothesis.
        separator: label between words, 0 where there is none.
    """
    labels: list[int] = []
    frames: list[int] = []
    words: list[str] = []
    spans: list[tuple[int, int]] = []
    places: list[int] = []
    for begin, part in parts:
        if separator and spans and part.spans and spans[-1][1] == len(labels) and part.spans[0][0] == 0:
            labels.append(separator)
            frames.append(begin)
        place = len(labels)
        places.append(place)
        labels += part.labels
        frames += [begin + frame for frame in part.frames]
        words += part.words
        spans += [(first + place, stop + place) for first, stop in part.spans]
    acoustic, language, bonus = (sum(getattr(part, name) for _, part in parts) for name in ("acoustic", "language", "bonus"))
    score = sum(part.score for _, part in parts)
    return Hypothesis(tuple(labels), tuple(frames), score, acoustic, language, bonus, tuple(words), tuple(spans)), places
