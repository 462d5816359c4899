"""Sections of the page: what they say by hand-worked counts, and the frame that lets nothing in."""

from __future__ import annotations

import base64
import hashlib
import re

from recognizer.evaluation.edits import Counts
from recognizer.evaluation.protocols import find_protocol
from recognizer.evaluation.report_counts import Row, tally
from recognizer.evaluation.report_data import Setup
from recognizer.evaluation.report_markup import element
from recognizer.evaluation.report_page import render_calibration, render_confusions, render_head, render_page, render_rows
from recognizer.evaluation.score import PLAIN, Scored, score

RESULTS = [Scored("1", "the cat", "the bat", "anna"), Scored("2", "on mats", "on mat", "bert"), Scored("3", "", "uh", "bert")]
REPORT = score(RESULTS, "characters")


def test_the_head_says_how_it_was_counted(take_apart):
    setup = Setup("t", {"Bundle": "b<1>", "Manifest": "m.jsonl"}, {"kind": "beam", "width": 50}, failed=[f"x{n}: gone" for n in range(60)])
    page = take_apart(render_head(REPORT, setup))
    assert "CER28.6\u00a0% [14.3, 42.9]4 errors in 14: 1 substituted, 1 deleted, 2 inserted" in page.text
    assert "Bundleb<1>Manifestm.jsonlDecoderkind beam, width 50" in page.text and "Protocolplain; 3 items; CER tokens 14; WER tokens 4" in page.text
    assert "resampling 2 groups" in page.text and "Empty references: 1" in page.text
    assert "60 items could not be scored" in page.text and "… and 10 more" in page.text and len(page.all("li")) == 51


def test_the_head_has_the_fingerprint_of_a_protocol(take_apart):
    report = score(RESULTS, "characters", find_protocol("van"))
    page = take_apart(render_head(report, Setup("t")))
    assert report.protocol.fingerprint in page.text and report.protocol.rules in page.text and "Mean of the items" in page.text
    strict = score([Scored("1", "h# aa h#", "h# h#")], "units", find_protocol("strict"))
    assert "NOT the counts of a published set" in take_apart(render_head(strict, Setup("t"))).text


def test_parts_are_marked_where_their_interval_leaves_out_the_rate_of_all(take_apart):
    overall = {name: rate.rate for name, rate in REPORT.rates.items()}
    rows = [
        Row("high", 5, 2, {n: Counts(1, 9) for n in ("CER", "WER")}, {n: (overall[n] + 0.01, 0.95) for n in overall}),
        Row("low", 5, 2, {n: Counts(10) for n in ("CER", "WER")}, {n: (0.0, overall[n] - 0.01) for n in overall}),
        Row("like", 5, 2, {n: Counts(7, 3) for n in ("CER", "WER")}, {n: (0.0, 1.0) for n in ("CER", "WER")}),
        Row("none", 1, 0, {n: Counts(0, 0, 0, 2) for n in ("CER", "WER")}, {n: (None, None) for n in ("CER", "WER")}),
    ]
    page = take_apart(render_rows("By sex", "sex", rows, REPORT))
    assert [found["class"] for found in page.all("strong")] == ["worse", "worse", "better", "better"]
    assert "+61.4 worse" in page.text and "\u221228.6 better" in page.text and "+1.4" in page.text
    assert len(page.all("th", scope="row")) == 4 and page.text.count("\u2013") == 2


def test_errors_by_symbol_and_word(take_apart):
    page = take_apart(render_confusions(tally(RESULTS, PLAIN["characters"])))
    for words in ("CER: most frequent errors", "WER: most frequent errors", "Substitutions: 1", "Insertions: 2", "catbat150.0", "matsmat"):
        assert words in page.text
    assert "Substitutions: 2" in page.text and "c11" in page.text
    assert "most frequent errors" in take_apart(render_confusions(tally(RESULTS[:0], PLAIN["characters"]))).text


def test_calibration_in_words(take_apart):
    page = take_apart(render_calibration([("words", [0.95, 0.95, 0.15, 1.0], [True, True, False, True])]))
    assert "4 words: 75.0\u00a0% right, mean confidence 76.2\u00a0%, calibration error 6.2\u00a0%" in page.text


def test_nothing_is_loaded_and_no_other_script_runs(take_apart):
    markup = render_page("<t>", [("a", "Part", element("h2", "x", id="a")), ("b", "", element("p", "y"))])
    page = take_apart(markup)
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    script = re.search(r"<script>(.*?)</script>", markup, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy and "unsafe-inline'; script" in policy
    assert page.all("title") and "<t>" in page.text and page.all("html")[0]["lang"] == "en"
    assert [a["href"] for a in page.all("a")] == ["#a"]
    assert not re.search(r"https?:|//[a-z]", markup)
