"""The measured part of a card: its numbers are those of the score, and the rest of a card is left alone."""

from __future__ import annotations

import pytest

from recognizer.decoding.timing import Token
from recognizer.errors import BundleError
from recognizer.evaluation.card import BEGIN, END, MeasuredSet, escape, render_measured, renew_card
from recognizer.evaluation.report_data import Extra
from recognizer.evaluation.score import Scored, score

RESULTS = [
    Scored("1", "abcd", "abcd", "anna", {"sex": "f", "age": 7}),
    Scored("2", "abcd", "abxd", "anna", {"sex": "f", "age": 7}),
    Scored("3", "ab|d", "ab", "bert", {"sex": "m", "age": 40}),
    Scored("4", "aaaa", "baaa", "carl", {"sex": "m", "age": 41}),
]
DISTORTED = [
    Scored("1/photo", "abcd", "ab", "anna", {"distortion": "photo"}),
    Scored("1/blank", "", "", None, {"distortion": "blank"}),
    Scored("2/blank", "", "xyz", None, {"distortion": "blank"}),
    Scored("3/blank", "", "", None, {"distortion": "blank"}),
]


def measured(name: str, results: list[Scored], **more: object) -> MeasuredSet:
    greedy = [Scored(r.id, r.reference, "", r.group, r.meta) for r in results]
    reports = {"greedy": score(greedy, "characters"), "beam 8": score(results, "characters")}
    return MeasuredSet(name, "0123456789ab", reports, results, **more)


@pytest.fixture
def lines() -> list[str]:
    trust = {"2": Extra(tokens=[Token(symbol, 0, 1, confidence=0.75) for symbol in "abxd"])}
    sets = [measured("test.jsonl", RESULTS, extras=trust), measured("distorted.jsonl", DISTORTED, remarks=["1 could not be scored"])]
    text = render_measured(sets, "recognizer evaluate B test.jsonl --card", {"Speed": "9 lines/s"}, "writer")
    return text.splitlines()


def cells(lines: list[str], *first: str) -> list[str]:
    """The table row that begins with some cells."""
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("|")]
    (found,) = [row for row in rows if row[: len(first)] == list(first)]
    return found


def test_rates_of_each_set_and_decoder(lines) -> None:
    assert cells(lines, "test.jsonl", "greedy")[2:4] == ["4", "100.0 % [100.0, 100.0]"]
    report = measured("test.jsonl", RESULTS).report
    own = report.rates["CER"]
    row = cells(lines, "test.jsonl", "beam 8")
    assert row[3] == f"25.0 % [{100 * own.low:.1f}, {100 * own.high:.1f}]" and own.counts.errors == 4
    assert row[-1].startswith("25.0 % [")
    assert any(line.startswith("* `test.jsonl`, SHA-256 0123456789ab: 4 items of 3 writers.") for line in lines)
    wanted = "4 items of 1 writer; 1 could not be scored; 3 of them hold nothing: 2 came out empty, 3 symbols were made up."
    assert any(line.endswith(wanted) for line in lines)


def test_case_set_aside(lines) -> None:
    assert not any("taken for the same" in line for line in lines)  # nothing is written in capitals
    results = [Scored("1", "ABcd", "abcx", "anna"), Scored("2", "abcd", "ABCD", "bert")]
    text = render_measured([measured("test.jsonl", results)], "", {}, "writer")
    assert "test.jsonl`, capitals and small letters taken for the same, as transcribers often do: CER 12.5 % [0.0, 25.0]; WER 50.0 % [" in text
    assert cells(text.splitlines(), "test.jsonl", "beam 8")[3].startswith("87.5 %")


def test_who_is_served_worse(lines) -> None:
    assert "3 writers: CER from 12.5 % to 50.0 %, median 25.0 %; WER from 50.0 % to 100.0 %, median 100.0 %. The worst 3:" in lines
    assert cells(lines, "bert")[1:3] == ["1", "50.0 %"] and cells(lines, "anna")[2].startswith("12.5 %")
    assert cells(lines, "f")[1] == "2" and cells(lines, "f")[2].startswith("12.5 %") and cells(lines, "m")[2].startswith("37.5 %")
    assert cells(lines, "7")[2].startswith("12.5 %") and cells(lines, "40")[2] == "50.0 %"


def test_what_is_made_up_where_there_is_nothing(lines) -> None:
    assert "### `distorted.jsonl` by distortion" in lines
    assert cells(lines, "photo") == ["photo", "1", "50.0 %", "100.0 %", "", ""]
    assert cells(lines, "blank") == ["blank", "3", "–", "–", "2 of 3", "3"]  # noqa: RUF001


def test_confidence_and_errors(lines) -> None:
    assert "Expected calibration error on `test.jsonl`: 0.0 % of 4 symbols." in lines
    assert cells(lines, "0.7 to 0.8")[1:] == ["4", "75.0 %"]
    assert "* Most frequent substitutions: b for a (1), x for c (1)." in lines
    assert "* Most frequent deletions: d (1), \\| (1)." in lines
    assert cells(lines, "worst", "3")[2:] == ["ab\\|d", "ab", "50.0 %"] and cells(lines, "drawn", "1")[2] == "abcd"
    assert lines[-1] == "* Speed: 9 lines/s."


def test_the_rest_of_a_card_stays_as_it_is() -> None:
    card = "# mine\n\nWritten by hand.  \n"
    once = renew_card(card, "first\n", "card.md")
    assert once.startswith("# mine\n\nWritten by hand.") and once.endswith(f"{BEGIN}\n\nfirst\n\n{END}\n")
    surrounded = once.replace("# mine", "# ours").rstrip("\n") + "\n\n## Limits\n\nNone known.\n\n"
    twice = renew_card(surrounded, "second", "card.md")
    assert twice == surrounded.replace("first", "second")
    assert renew_card(twice, "second", "card.md") == twice
    assert renew_card("", "x", "card.md") == f"{BEGIN}\n\nx\n\n{END}\n"


@pytest.mark.parametrize(
    ("card", "line"),
    [(f"a\n{BEGIN}\n", 2), (f"{END}\n", 1), (f"\n\n{END}\n{BEGIN}", 3), (f"{BEGIN}\n{END}\n{BEGIN}\n{END}\n", 1)],
)  # fmt: skip
def test_markers_that_do_not_pair_up_are_named(card: str, line: int) -> None:
    with pytest.raises(BundleError, match=f"card.md:{line}: the lines that mark the measured part do not pair up"):
        renew_card(card, "x", "card.md")


def test_marks_of_markdown_are_escaped() -> None:
    text = render_measured([measured("x", [Scored("1", "a b", "ab"), Scored("2", "", "")])], "c", {}, "writer")
    assert "* Most frequent deletions: \\<space\\> (1)." in text and "| worst | 1 | a b | ab |" in text and "| (nothing) | (nothing) |" in text
    assert escape("a|b *c* <!-- d\n`e`") == "a\\|b \\*c\\* \\<!-- d \\`e\\`"
