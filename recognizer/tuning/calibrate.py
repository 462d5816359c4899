"""Confidence of a decoder fitted to how often it is right on development data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recognizer.config import Calibration, Features, TextConfig
from recognizer.data.manifest import Item, target_in_frames
from recognizer.decoding.calibration import Evidence, fit_calibration
from recognizer.decoding.confidence import DEPTH, find_words, label_posteriors, word_peaks, word_posteriors
from recognizer.decoding.decoder import Decoder, raise_failures
from recognizer.decoding.hypothesis import Hypothesis
from recognizer.evaluation.edits import align
from recognizer.text.alphabet import Alphabet, split
from recognizer.text.normalize import clean


@dataclass(frozen=True)
class Reference:
    """The symbols and the words of an utterance or line, either None where it is not known, and its speaker or writer."""

    symbols: Sequence[str] | None
    words: Sequence[str] | None
    group: str

    @classmethod
    def of(cls, item: Item, text: TextConfig, features: Features) -> Reference:
        """From a manifest, in the order of the frames; the words of units are those of its text, if it has one."""
        symbols, words = target_in_frames(item, text, features), item.text
        if text.level == "units" and words is not None:
            words = clean(words, TextConfig(case=text.case))
        elif isinstance(symbols, str):
            words = symbols
        return cls(None if symbols is None else split(symbols, text.level), None if words is None else words.split(), item.group or item.id)


def calibrate(
    decoder: Decoder, alphabet: Alphabet, tables: Sequence[np.ndarray], references: Sequence[Reference], n_best: int = DEPTH, threads: int = 0
) -> Calibration:
    """Fit confidence to how often the decoder is right on development data.

    Args:
        decoder: with the settings that it will be used with.
        alphabet: of the hypotheses.
        tables: log-probs of each utterance or line as the decoder takes them, (T, V) with the alphabet's labels first.
        references: what they say, in the same order.
        n_best: hypotheses that posteriors are taken over; use as many later on.
        threads: that decode, 0: one a processor.

    Raises:
        InputError: nothing was recognized, or no reference says what would have been right.
    """
    tokens: dict[str, list[Evidence]] = {}
    words: dict[str, list[Evidence]] = {}
    decoded = raise_failures(decoder.decode_all(tables, n_best, threads))
    for table, hypotheses, reference in zip(tables, decoded, references, strict=True):
        by_token, by_word = collect_evidence(decoder, alphabet, table, hypotheses, reference)
        tokens.setdefault(reference.group, []).append(by_token)
        words.setdefault(reference.group, []).append(by_word)
    return fit_calibration(*([Evidence.join(parts) for parts in found.values()] for found in (tokens, words)))


def collect_evidence(
    decoder: Decoder, alphabet: Alphabet, table: np.ndarray, hypotheses: Sequence[Hypothesis], reference: Reference
) -> tuple[Evidence, Evidence]:
    """What speaks for each symbol and each word of the best hypothesis, and whether it is right."""
    best = hypotheses[0]
    peak = decoder.peaks(table, decoder.align(table, best.labels, best.frames))
    words, spans = find_words(alphabet, best)
    return (
        _mark(label_posteriors(hypotheses), peak, reference.symbols, alphabet.spell(best.labels)),
        _mark(word_posteriors(alphabet, hypotheses), word_peaks(peak, spans), reference.words, words),
    )


def _mark(share: np.ndarray, peak: np.ndarray, reference: Sequence[str] | None, found: Sequence[str]) -> Evidence:
    if reference is None:
        return Evidence.join([])
    marks = [edit.kind == "match" for edit in align(reference, found) if edit.hypothesis is not None]
    return Evidence(share, peak, np.array(marks, bool))
