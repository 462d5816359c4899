"""The measured part of a card: its numbers are those of the score, and the rest of a card is left alone."""

from __future__ import annotations

import pytest

from recognizer.errors import BundleError
from recognizer.evaluation.metrics import ScoredItem, score
from recognizer.evaluation.model_card import BEGIN, END, MeasuredSet, escape, render_measurements, update_card
from recognizer.evaluation.report_data import Extra
from recognizer.types import Token

ITEMS = [
    ScoredItem("1", "abcd", "abcd", "anna", {"sex": "f", "age": 7}),
    ScoredItem("2", "abcd", "abxd", "anna", {"sex": "f", "age": 7}),
    ScoredItem("3", "ab|d", "ab", "bert", {"sex": "m", "age": 40}),
    ScoredItem("4", "aaaa", "baaa", "carl", {"sex": "m", "age": 41}),
]
DISTORTED = [
    ScoredItem("1/photo", "abcd", "ab", "anna", {"distortion": "photo"}),
    ScoredItem("1/blank", "", "", None, {"distortion": "blank"}),
    ScoredItem("2/blank", "", "xyz", None, {"distortion": "blank"}),
    ScoredItem("3/blank", "", "", None, {"distortion": "blank"}),
]


def measured(name: str, items: list[ScoredItem], **more: object) -> MeasuredSet:
    greedy = [ScoredItem(r.id, r.reference, "", r.group, r.meta) for r in items]
    scores = {"greedy": score(greedy, "characters"), "beam 8": score(items, "characters")}
    return MeasuredSet(name, "0123456789ab", scores, items, **more)


@pytest.fixture
def lines() -> list[str]:
    confidences = {"2": Extra(tokens=[Token(symbol, 0, 1, confidence=0.75) for symbol in "abxd"])}
    sets = [measured("test.jsonl", ITEMS, extras=confidences), measured("distorted.jsonl", DISTORTED, remarks=["1 could not be scored"])]
    text = render_measurements(sets, "recognizer evaluate B test.jsonl --card", {"Size": "9 MiB"}, "writer")
    return text.splitlines()


def cells(lines: list[str], *first: str) -> list[str]:
    """The table row that begins with some cells."""
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("|")]
    (found,) = [row for row in rows if row[: len(first)] == list(first)]
    return found


def test_rates_of_each_set_and_decoder(lines) -> None:
    assert cells(lines, "test.jsonl", "greedy")[2:4] == ["4", "100.0 % [100.0, 100.0]"]
    scores = measured("test.jsonl", ITEMS).own
    own = scores.rates["CER"]
    row = cells(lines, "test.jsonl", "beam 8")
    assert row[3] == f"25.0 % [{100 * own.low:.1f}, {100 * own.high:.1f}]" and own.counts.errors == 4
    assert row[-1].startswith("25.0 % [")
    assert any(line.startswith("* `test.jsonl`, SHA-256 0123456789ab: 4 items of 3 writers.") for line in lines)
    wanted = "4 items of 1 writer; 1 could not be scored; empty references: 3, of which 2 gave an empty hypothesis; 3 characters hallucinated."
    assert any(line.endswith(wanted) for line in lines)


def test_case_set_aside(lines) -> None:
    assert not any("taken for the same" in line for line in lines)  # nothing is written in capitals
    items = [ScoredItem("1", "ABcd", "abcx", "anna"), ScoredItem("2", "abcd", "ABCD", "bert")]
    text = render_measurements([measured("test.jsonl", items)], "", {}, "writer")
    assert "test.jsonl`, capitals and small letters taken for the same, as transcribers often do: CER 12.5 % [0.0, 25.0]; WER 50.0 % [" in text
    assert cells(text.splitlines(), "test.jsonl", "beam 8")[3].startswith("87.5 %")


def test_tables_by_group_and_by_field(lines) -> None:
    assert "3 writers: CER from 12.5 % to 50.0 %, median 25.0 %; WER from 50.0 % to 100.0 %, median 100.0 %. The worst 3:" in lines
    assert cells(lines, "bert")[1:3] == ["1", "50.0 %"] and cells(lines, "anna")[2].startswith("12.5 %")
    assert cells(lines, "f")[1] == "2" and cells(lines, "f")[2].startswith("12.5 %") and cells(lines, "m")[2].startswith("37.5 %")
    assert cells(lines, "7")[2].startswith("12.5 %") and cells(lines, "40")[2] == "50.0 %"


def test_what_is_hallucinated_where_references_are_empty(lines) -> None:
    assert "### `distorted.jsonl` by distortion" in lines
    assert cells(lines, "photo") == ["photo", "1", "50.0 %", "100.0 %", "", ""]
    assert cells(lines, "blank") == ["blank", "3", "–", "–", "2 of 3", "3"]  # noqa: RUF001


def test_confidence_and_errors(lines) -> None:
    assert "Expected calibration error on `test.jsonl`: 0.0 % of 4 symbols." in lines
    assert "* Most frequent substitutions: b for a (1), x for c (1)." in lines
    assert "* Most frequent deletions: d (1), \\| (1)." in lines
    assert cells(lines, "worst", "3")[2:] == ["ab\\|d", "ab", "50.0 %"] and cells(lines, "drawn", "1")[2] == "abcd"
    assert lines[-1] == "* Size: 9 MiB."


def test_the_rest_of_a_card_stays_as_it_is() -> None:
    card = "# mine\n\nWritten by hand.  \n"
    once = update_card(card, "first\n", "card.md")
    assert once.startswith("# mine\n\nWritten by hand.") and once.endswith(f"{BEGIN}\n\nfirst\n\n{END}\n")
    surrounded = once.replace("# mine", "# ours").rstrip("\n") + "\n\n## Limits\n\nNone known.\n\n"
    twice = update_card(surrounded, "second", "card.md")
    assert twice == surrounded.replace("first", "second")
    assert update_card(twice, "second", "card.md") == twice
    assert update_card("", "x", "card.md") == f"{BEGIN}\n\nx\n\n{END}\n"


@pytest.mark.parametrize(
    ("card", "line"),
    [(f"a\n{BEGIN}\n", 2), (f"{END}\n", 1), (f"\n\n{END}\n{BEGIN}", 3), (f"{BEGIN}\n{END}\n{BEGIN}\n{END}\n", 1)],
)  # fmt: skip
def test_markers_that_do_not_pair_up_are_named(card: str, line: int) -> None:
    with pytest.raises(BundleError, match=f"card.md:{line}: the lines that mark the measured part do not pair up"):
        update_card(card, "x", "card.md")


def test_marks_of_markdown_are_escaped() -> None:
    text = render_measurements([measured("x", [ScoredItem("1", "a b", "ab"), ScoredItem("2", "", "")])], "c", {}, "writer")
    assert "* Most frequent deletions: \\<space\\> (1)." in text and "| worst | 1 | a b | ab |" in text and "| (nothing) | (nothing) |" in text
    assert escape("a|b *c* <!-- d\n`e`") == "a\\|b \\*c\\* \\<!-- d \\`e\\`"
