"""Calibration of a recogniser's confidence on development data, as `recognizer tune` does it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from recognizer.alphabet import Alphabet, split
from recognizer.calibration import Calibration
from recognizer.config import TextConfig
from recognizer.data.manifest import Item
from recognizer.data.transcripts import clean, target
from recognizer.decoding.alignment import viterbi_align
from recognizer.decoding.calibration import Evidence, fit_calibration
from recognizer.decoding.confidence import DEPTH, find_words, peaks, posteriors, word_peaks
from recognizer.decoding.decoder import Decoder
from recognizer.decoding.hypothesis import Hypothesis
from recognizer.evaluation.edits import align


@dataclass(frozen=True)
class Reference:
    """What an utterance or line says: its symbols and its words, either None where it is not known, and speaker or writer."""

    symbols: Sequence[str] | None
    words: Sequence[str] | None
    group: str

    @classmethod
    def of(cls, item: Item, text: TextConfig) -> Reference:
        """From a manifest; the words of units are those of its text, if it has one."""
        symbols, words = target(item, text), item.text
        if text.level == "units" and words is not None:
            words = clean(words, TextConfig(case=text.case))
        elif isinstance(symbols, str):
            words = symbols
        return cls(None if symbols is None else split(symbols, text.level), None if words is None else words.split(), item.group or item.id)


def calibrate(
    decoder: Decoder, alphabet: Alphabet, log_probs: Iterable[np.ndarray], references: Sequence[Reference], n_best: int = DEPTH, threads: int = 0
) -> Calibration:
    """Fit confidence to how often the decoder is right on development data.

    Args:
        decoder: with the settings that it will be used with.
        alphabet: of the hypotheses.
        log_probs: what the decoder takes of each utterance or line, (T, V) with the alphabet's labels first, in the order of ``references``.
        references: what they say.
        n_best: hypotheses that posteriors are taken over; use as many later on.
        threads: that decode, 0: one a processor.

    Raises:
        InputError: nothing was recognised, or no reference says what would have been right.
    """
    tables = list(log_probs)
    tokens: dict[str, list[Evidence]] = {}
    words: dict[str, list[Evidence]] = {}
    for table, hypotheses, reference in zip(tables, decoder.decode_all(tables, n_best, threads), references, strict=True):
        by_token, by_word = _gather(alphabet, table, hypotheses, reference)
        tokens.setdefault(reference.group, []).append(by_token)
        words.setdefault(reference.group, []).append(by_word)
    return fit_calibration(*([Evidence.join(parts) for parts in found.values()] for found in (tokens, words)))


def _gather(alphabet: Alphabet, table: np.ndarray, hypotheses: Sequence[Hypothesis], reference: Reference) -> tuple[Evidence, Evidence]:
    """What speaks for each symbol and each word of the best hypothesis, and whether it is right."""
    best = hypotheses[0]
    table = table[:, : len(alphabet)]
    peak = peaks(table, viterbi_align(table, best.labels))
    readings = [find_words(alphabet, hypothesis) for hypothesis in hypotheses]
    scores = [hypothesis.score for hypothesis in hypotheses]
    labels = [(hypothesis.labels, hypothesis.score) for hypothesis in hypotheses]
    texts = [(words, score) for (words, _), score in zip(readings, scores, strict=True)]
    return (
        _mark(posteriors(labels), peak, reference.symbols, alphabet.spell(best.labels)),
        _mark(posteriors(texts), word_peaks(peak, readings[0][1]), reference.words, readings[0][0]),
    )


def _mark(share: np.ndarray, peak: np.ndarray, reference: Sequence[str] | None, found: Sequence[str]) -> Evidence:
    if reference is None:
        return Evidence.join([])
    marks = [edit.kind == "match" for edit in align(reference, found) if edit.hypothesis is not None]
    return Evidence(share, peak, np.array(marks, bool))
