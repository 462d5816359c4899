from __future__ import annotations

from recognizer.decoding.timing import Token, Word
from recognizer.evaluation.report_data import Extra
from recognizer.evaluation.score import Scored
from recognizer.evaluation.trust import judge


def extra(symbols: str, words: str, trust: float | None) -> Extra:
    tokens = [Token(symbol, 0.0, 1.0, confidence=trust) for symbol in symbols]
    return Extra(tokens=tokens, words=[Word(word, 0.0, 1.0, confidence=trust) for word in words.split()])


def test_what_an_alignment_matches_is_right() -> None:
    results = [Scored("1", "ab cd", "ab cx"), Scored("2", "", "a"), Scored("3", "b", "b"), Scored("4", "b", "")]
    extras = {"1": extra("ab cx", "ab cx", 0.5), "2": extra("a", "a", 0.25), "3": extra("b", "b", None)}
    judged = judge(results, "characters", extras)
    assert judged == [
        ("symbols", [0.5] * 5 + [0.25], [True, True, True, True, False, False]),
        ("words", [0.5, 0.5, 0.25], [True, False, False]),
    ]


def test_confidences_of_another_text_are_left_out() -> None:
    assert judge([Scored("1", "k ae t", "k ae")], "units", {"1": extra("", "cat", 0.5)}) == []
    units = Extra(tokens=[Token(unit, 0.0, 1.0, confidence=0.5) for unit in ("k", "eh")])
    assert judge([Scored("1", "k ae t", "k eh")], "units", {"1": units}) == [("symbols", [0.5, 0.5], [True, False])]
