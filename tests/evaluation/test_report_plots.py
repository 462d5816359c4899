"""Plots: where the marks are, and that they are well-formed and named."""

from __future__ import annotations

from collections import Counter
from xml.etree import ElementTree

import pytest

from recognizer.decoding.calibration import Bin
from recognizer.evaluation.edits import align
from recognizer.evaluation.report_plots import BOTTOM, HEIGHT, TOP, draw_calibration, draw_confusions, draw_interval, draw_rates


def parse(svg):
    return ElementTree.fromstring(svg.replace("&nbsp;", " "))


def titles(svg):
    return [node.text for node in parse(svg).iter("title")]


def test_interval_bars_are_to_scale():
    svg = parse(draw_interval(0.2, (0.1, 0.4), 0.3, top=0.5))
    assert svg.find("rect").get("width") == "60"
    assert [path.get("d") for path in svg.iter("path")] == ["M30.0 8H120.0M30.0 4v8M120.0 4v8", "M90.0 0v16"]
    assert draw_interval(None, (None, None), 0.1, 1) == "" and len(list(parse(draw_interval(0.1, (None, None), None, 1)))) == 1


def test_confusions_of_an_example():
    edits = Counter(align("abba c", "abxac"))  # b taken for x, a space deleted
    edits.update(align("aa", "aaa"))
    svg, symbols = draw_confusions(edits)
    assert symbols == [" ", "a", "b", "x"]  # those with errors
    nbsp = "\u00a0"
    assert sorted(titles(svg)) == sorted([
        f"␣ as nothing: 1, 100.0{nbsp}% of ␣", f"a as a: 4, 100.0{nbsp}% of a", f"b as b: 1, 50.0{nbsp}% of b", f"b as x: 1, 50.0{nbsp}% of b",
        "inserted a: 1",
    ])  # fmt: skip
    kinds = {node.find("title").text[:6]: node.get("class") for node in parse(svg).iter("rect")}
    assert kinds["a as a"] == "right" and kinds["b as x"] == "wrong"


def test_confusions_show_the_symbols_with_most_errors_and_none_without():
    edits = Counter(align([f"p{n}" for n in range(40)] + ["q", "q"], [f"r{n}" for n in range(40)] + ["s", "s"]))
    svg, symbols = draw_confusions(edits)
    assert len(symbols) == 30 and {"q", "s"} <= set(symbols)
    assert parse(svg).get("role") == "img" and "30 symbols" in parse(svg).get("aria-label")
    assert draw_confusions(Counter(align("ab", "ab")))[1] == []


def test_an_omitted_optional_token_is_no_error():
    edits = Counter(align("ab", "b", optional="a"))
    assert draw_confusions(edits)[1] == []
    edits.update(align("a", "c"))
    assert titles(draw_confusions(edits)[0]) == ["a as c: 1, 50.0\u00a0% of a"]


def test_rates_stand_at_their_height():
    svg = parse(draw_rates([("1-5", 0.1, (0.05, 0.2)), ("6", None, (None, None)), ("7-9", 0.2, (None, None))], "length", "CER"))
    top, bottom = TOP, HEIGHT - BOTTOM  # 20 % and 0 %
    assert [float(dot.get("cy")) for dot in svg.iter("circle")] == [(top + bottom) / 2, top]
    assert "CER against length. 1-5: 10.0\u00a0%; 6: \u2013; 7-9: 20.0\u00a0%" in svg.get("aria-label")
    assert {text.text for text in svg.iter("text")} >= {"0\u00a0%", "20\u00a0%", "1-5", "length", "CER"}
    assert parse(draw_rates([], "length", "CER")) is not None


@pytest.mark.parametrize(("rate", "top"), [(0.0003, "0.4"), (0.03, "4.0"), (0.5, "60"), (3.0, "200")])
def test_scales_end_at_round_numbers(rate, top):
    texts = [text.text for text in parse(draw_rates([("a", rate, (None, None))], "x", "y")).iter("text")]
    assert f"{top}\u00a0%" in texts


def test_calibration_points():
    svg = parse(draw_calibration([Bin(0.0, 0.1, 5, 0.0, 0.0), Bin(0.9, 1.0, 20, 1.0, 1.0)], "words"))
    low, high = svg.iter("circle")
    assert float(low.get("cy")) == HEIGHT - BOTTOM and float(high.get("cy")) == TOP and float(high.get("r")) > float(low.get("r"))
    assert "100.0\u00a0%: 100.0\u00a0% of 20" in svg.get("aria-label")
