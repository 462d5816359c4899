"""Right-to-left text: visual order is that of Unicode's algorithm, and what can be recovered from it is."""

from __future__ import annotations

import subprocess
import sys
import unicodedata

import pytest
from bidi import get_display
from bidi.mirror import MIRRORED
from hypothesis import given
from hypothesis import strategies as st

from recognizer.text.bidi import is_right_to_left, logical_order, to_logical, to_visual

PAIRS = [  # logical, visual; escapes where marks would turn the source around
    ("שלום", "םולש"),
    ("שלום עולם", "םלוע םולש"),
    ("אבג 123", "123 גבא"),
    ("מחיר: 12.50 שח", "חש 12.50 :ריחמ"),
    ("עמוד 12/5.", ".12/5 דומע"),
    ("אבג (דה) ו", "ו (הד) גבא"),  # a bracket that opens in reading is drawn as one that opens on the line
    ("[אב] «גד»!", "!«דג» [בא]"),
    ("אבג IBM דה", "הד IBM גבא"),
    ("אבג abc def", "abc def גבא"),
    ("אבג abc (def)", "abc (def) גבא"),
    ("abc אבג def", "abc גבא def"),
    ("abc (אבג) 12 def", "abc (גבא) 12 def"),
    ("أهلا وسهلا", "الهسو الهأ"),
    ("رقم 12", "12 مقر"),
    ("رقم ١٢٣", "١٢٣ مقر"),
    ("تاريخ 1-2", "2-1 خيرات"),  # after Arabic letters European digits do not join over a hyphen
    ("\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd", "\u05dd\u05d5\u05b9\u05dc\u05e9\u05b8\u05c1"),  # points stay behind their letters
    ("\u0645\u06cc\u200c\u0631\u0648\u0645", "\u0645\u0648\u0631\u06cc\u200c\u0645"),  # so does the non-joiner of Persian
]


@pytest.mark.parametrize(("logical", "visual"), PAIRS)
def test_visual_order_and_back(logical: str, visual: str) -> None:
    assert to_visual(logical) == visual
    assert to_logical(visual) == logical


@pytest.mark.parametrize(
    ("logical", "read"),
    [
        ("abc אבג", "אבג abc"),  # the paragraph's direction does not show
        ("אבג 12 abc", "אבג abc 12"),  # nor on which side of the number it was read
        ("abc אבג 12 def", "abc 12 אבג def"),
        ("א\u200fב abc", "אב abc"),  # marks leave no ink
    ],
)
def test_what_a_line_does_not_show_is_lost(logical: str, read: str) -> None:
    assert to_logical(to_visual(logical)) == read
    assert to_visual(read) == to_visual(logical)


def test_direction_marks_take_effect() -> None:
    assert to_visual("אב \u202dגד\u202c") == "גד בא"


@given(st.text(st.sampled_from("אבגדابجabcd0123٠١٢   ()[]-+,.:/$%!?«»<>\""), min_size=1, max_size=16))
def test_order_is_that_of_python_bidi(text: str) -> None:
    visual = to_visual(text)
    assert len(visual) == len(text)
    if not is_right_to_left(text):
        assert visual == text
        return
    mirrors = [(a, MIRRORED.get(a, a)) for a in get_display(text)]
    assert all(shown in pair for shown, pair in zip(visual, mirrors, strict=True))
    logical, order = logical_order(visual)
    assert sorted(order) == list(range(len(visual)))
    assert all(letter in (visual[k], MIRRORED.get(visual[k])) for letter, k in zip(logical, order, strict=True))


def test_the_quick_check_knows_every_right_to_left_character() -> None:
    turning = [c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.bidirectional(c) in ("R", "AL", "AN", "RLE", "RLO", "RLI")]
    assert len(turning) > 2000 and all(map(is_right_to_left, turning))
    assert not any(is_right_to_left(c) for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.bidirectional(c) in ("L", "LRE", "LRO", "LRI"))


def test_a_long_line() -> None:
    text = " ".join(["שלום עולם"] * 200)
    assert to_visual(text) == text[::-1] and to_logical(text[::-1]) == text
    assert logical_order(text[::-1])[1] == list(range(len(text)))[::-1]


def test_left_to_right_text_imports_nothing() -> None:
    calls = "from recognizer.text.bidi import to_visual, logical_order; to_visual('Äé (a) 漢字'); logical_order('Äé')"
    code = f"import sys; {calls}; assert 'bidi' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
