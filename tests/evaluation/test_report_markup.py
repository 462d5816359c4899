"""Markup: no text can become part of it or reorder it, whatever it holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognizer.evaluation.report_markup import Html, element, interval, join, name_token, percent, shorten, spell, table

HOSTILE = '</td><script>alert(1)</script>" onload="x" \'&amp; <!-- \u202eabc\u2066 \x00\x1b[2J\ud800'


def test_text_is_escaped_and_markup_is_not():
    assert element("p", "a<b", Html("<br>"), 3, class_="x y", hidden=None, open=False) == '<p class="x y">a&lt;b<br>3</p>'
    assert element("img", alt='"', data_left=1.25) == '<img alt="&quot;" data-left="1.2">'
    assert join(["<", element("b", ">")]) == "&lt;<b>&gt;</b>"


def test_hostile_text_stays_text(take_apart):
    page = take_apart(table(HOSTILE, [HOSTILE, "n"], [[HOSTILE, HOSTILE]]) + element("a", HOSTILE, title=HOSTILE))
    assert {name for name, _ in page.elements} == {"div", "table", "caption", "thead", "tbody", "tr", "th", "td", "a"}
    assert not any(key.startswith("on") for _, attributes in page.elements for key in attributes)
    assert page.all("a")[0]["title"] == spell(HOSTILE) and page.text.count("<script>alert(1)</script>") == 5
    page.text.encode("utf-8")  # the half of a surrogate pair is spelt out


def test_what_reorders_or_hides_is_spelt_out():
    assert spell("a\u202eb\u200fc\u2028\x07\ufeff") == "a⟨U+202E⟩b⟨U+200F⟩c⟨U+2028⟩⟨U+0007⟩⟨U+FEFF⟩"
    for kept in ("\u05e9\u05dc\u05d5\u05dd", "\u0645\u06cc\u200c\u062e", "e\u0301", "\ue8bf", "a\u00a0b", "🖋"):
        assert spell(kept) == kept


@given(st.text())
def test_any_text_comes_back_from_the_parser(text):
    from html import unescape

    markup = element("p", text)
    assert unescape(markup[3:-4]) == spell(text) and "<" not in markup[3:-4]


@pytest.mark.parametrize(("given", "shown"), [(0.1234, "12.3\u00a0%"), (None, "\u2013"), (0.0, "0.0\u00a0%")])
def test_shares(given, shown):
    assert percent(given) == shown


def test_small_things():
    assert (interval(0.1, 0.25), interval(None, 0.2)) == ("[10.0, 25.0]", "")
    assert (shorten("abcdef", 4), shorten("abcd", 4)) == ("abc\u2026", "abcd")
    assert (name_token(" "), name_token("ae")) == ("\u2423", "ae")


def test_tables_name_their_rows_and_columns(take_apart):
    page = take_apart(table("Errors", ["who", "count"], [["a", 1], ["b", 2]]))
    assert [h["scope"] for h in page.all("th")] == ["col", "col", "row", "row"] and len(page.all("td", class_="n")) == 2
    assert page.all("div")[0]["aria-label"] == "Errors" and page.all("div")[0]["tabindex"] == "0"
