"""Calibration of a recognizer: marks come from the reference, and what is fitted can be used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recognizer.config import AudioFeatures, TextConfig
from recognizer.data.manifest import Item
from recognizer.decoding.decoder import GreedyDecoder
from recognizer.decoding.hypothesis import Hypothesis
from recognizer.errors import InputError
from recognizer.inference.recognizer import Recognizer
from recognizer.text.alphabet import Alphabet
from recognizer.tuning.calibrate import Reference, calibrate, collect_evidence


def test_references_of_a_manifest() -> None:
    item = Item("a", Path("a.wav"), text="The  Cat", units=("dh", "ah"), group="s1")
    assert Reference.of(item, TextConfig(case="lower"), AudioFeatures()) == Reference(list("the cat"), ["the", "cat"], "s1")
    assert Reference.of(item, TextConfig("units", "upper"), AudioFeatures()) == Reference(["DH", "AH"], ["THE", "CAT"], "s1")
    assert Reference.of(replace(item, text=None, group=None), TextConfig("units"), AudioFeatures()) == Reference(["dh", "ah"], None, "a")
    assert Reference.of(replace(item, text=None), TextConfig(), AudioFeatures()) == Reference(None, None, "s1")


def test_marks_come_from_the_reference() -> None:
    alphabet = Alphabet((" ", "a", "b", "c"))
    table = np.full((7, 5), np.log(0.05))
    for frame, label in enumerate((2, 3, 0, 1, 4, 0, 2)):  # ab ca
        table[frame, label] = np.log(0.8)
    hypotheses = [Hypothesis((2, 3, 1, 4, 2), (0, 1, 3, 4, 6), -1.0), Hypothesis((2, 3, 1, 4), (0, 1, 3, 4), -1.0)]
    tokens, words = collect_evidence(GreedyDecoder(), alphabet, table, hypotheses, Reference(list("ab cc"), ["ab", "cc"], "g"))
    assert tokens.correct.tolist() == [True, True, True, True, False]
    assert tokens.posteriors.tolist() == pytest.approx([1, 1, 1, 1, 0.5]) and tokens.peaks.tolist() == pytest.approx([0.8] * 5)
    assert words.correct.tolist() == [True, False] and words.posteriors.tolist() == pytest.approx([1, 0.5])
    tokens, words = collect_evidence(GreedyDecoder(), alphabet, table, hypotheses, Reference(None, ["ab"], "g"))
    assert len(tokens.correct) == 0 and words.correct.tolist() == [True, False]


def test_a_recognizer_is_calibrated(speech_run: Path, tones) -> None:
    recognizer = Recognizer.load(speech_run / "bundle", "cpu", threads=1)
    items = [replace(item, text=item.text[::-1]) if n % 3 == 0 else item for n, item in enumerate(tones.items())]
    tables = list(recognizer.log_probs(item.source for item in items))
    references = [Reference.of(item, recognizer.config.text, recognizer.config.features) for item in items]
    calibration = calibrate(recognizer.decoder, recognizer.alphabet, tables, references, threads=1)
    assert 0 <= calibration.token_error < 0.5 and 0 <= calibration.word_error < 0.5
    with pytest.raises(InputError, match="needs development data"):
        calibrate(recognizer.decoder, recognizer.alphabet, tables, [Reference(None, None, "g")] * len(tables), threads=1)
