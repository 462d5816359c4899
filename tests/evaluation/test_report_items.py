"""Items: which are shown, how they are aligned, and that each gets its own media and log-probs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from recognizer.decoding.timing import Clock
from recognizer.evaluation.edits import Counts, align
from recognizer.evaluation.report_data import Extra, Setup
from recognizer.evaluation.report_items import MOST_STEPS, choose_items, render_alignment, render_items
from recognizer.evaluation.score import PLAIN, Scored

SETUP = Setup("t", modality="line", symbols=("a", "b"))


def test_the_worst_by_rate_then_by_errors_and_others_at_random():
    counts = [Counts(9, 1), Counts(1, 1), Counts(10), Counts(2, 2), Counts(0, 0, 0, 1), Counts(5), Counts(7)]
    worst, others = choose_items(counts, 4, 2, seed=1)
    assert worst == [4, 3, 1, 0]  # insertions where nothing was said, then a half of four, a half of two, a tenth
    assert len(others) == 2 and set(others) <= {2, 5, 6} and others == sorted(others)
    assert choose_items(counts, 4, 2, seed=1)[1] == others
    assert choose_items(counts, 20, 20, seed=1) == ([4, 3, 1, 0], [2, 5, 6])  # what is right is not among the worst
    assert choose_items([], 5, 5, 1) == ([], [])


def cells(markup, take_apart):
    page = take_apart(markup)
    return [found["class"] for found in page.all("span") if found.get("class")], page.words


def test_alignment_of_an_example(take_apart):
    kinds, words = cells(render_alignment(align("the cat", "teh ca ")), take_apart)
    assert kinds == ["c m", "c i", "c m", "c d", "c m", "c m", "c s"]
    assert words == ["t", "t", "\u00a0", "e", "h", "h", "e", "\u00a0", " ", " ", "ca", "ca", "t", "␣"]


def test_units_stand_apart(take_apart):
    kinds, words = cells(render_alignment(align(["ae", "t"], ["ae", "d"]), " "), take_apart)
    assert (kinds, words) == (["c m", "c s"], ["ae", "ae", "t", "d"])


def test_an_optional_token_left_out_is_shown(take_apart):
    kinds, words = cells(render_alignment(align(["sil", "t"], ["t"], optional={"sil"}), " "), take_apart)
    assert (kinds, words) == (["c m", "c m"], ["sil", "\u00a0", "t", "t"])


@given(st.text("ab <&\u202e", max_size=15), st.text("ab <&\u202e", max_size=15))
def test_alignment_spells_both_sides(reference, hypothesis):
    from html import unescape
    from re import findall

    markup = render_alignment(align(reference, hypothesis))
    rows = findall(r'<span class="c .">(?:<span>(.*?)</span>)(?:<span>(.*?)</span>)</span>', markup)
    for n, text in enumerate((reference, hypothesis)):
        spelt = "".join(unescape(row[n]) for row in rows).replace("\u00a0", "").replace("␣", " ").replace("⟨U+202E⟩", "\u202e")
        assert spelt == text


def test_long_alignments_are_cut(take_apart):
    page = take_apart(render_alignment(align("ab" * MOST_STEPS, "ba" * MOST_STEPS)))
    assert "more steps" in page.text and len(page.elements) < 4 * MOST_STEPS


@pytest.fixture
def chosen(tmp_path):
    """Pictures of 40, 60, ... columns, the second of which is not there."""
    found = []
    for n in range(4):
        path = tmp_path / f"{n}.png"
        if n != 1:
            Image.new("L", (40 + 20 * n, 20), 255).save(path)
        found.append((Scored(f"i{n}", "ab", "a", "w", {"sex": "f", "extent": [1]}), Extra(path)))
    return found


def emit(sources: list[Path]):
    for n, _ in enumerate(sources):
        yield SimpleNamespace(log_probs=np.log(np.full((10 + n, 3), 1 / 3)), clock=Clock(4.0, 0.0), error=None)


def test_every_item_has_its_own_picture(chosen, take_apart):
    cards = [take_apart(card) for card in render_items(chosen, PLAIN["characters"], SETUP, emit, 10**6)]
    assert [card.all("img")[0]["width"] if card.all("img") else None for card in cards] == ["40", None, "80", "100"]
    assert "no such file" in cards[1].text and not cards[1].all("svg")
    assert all(float(card.all("image")[0]["width"]) >= 40 for card in cards if card.all("image"))
    assert cards[0].text.startswith("i0CER 50.0\u00a0% (1 of 2) · w · sex fReference: ab. Hypothesis: a.")
    assert cards[0].all("img")[0]["alt"]


def test_what_is_asked_of_the_network_is_what_is_shown(chosen):
    asked = []

    def watch(sources):
        asked.extend(sources)
        return emit(sources)

    without = [(chosen[0][0], Extra()), *chosen[2:]]
    assert len(list(render_items(without, PLAIN["characters"], SETUP, watch, 10**6))) == 3
    assert asked == [extra.source for _, extra in chosen[2:]]


def test_without_a_network_or_a_modality(chosen, take_apart):
    cards = [take_apart(card) for card in render_items(chosen, PLAIN["characters"], SETUP, None, 10**6)]
    assert cards[0].all("img") and not cards[0].all("svg")
    assert not any(take_apart(c).all("img") for c in render_items(chosen, PLAIN["characters"], Setup("t"), emit, 10**6))


def test_media_stop_where_the_page_is_full(chosen):
    full = list(render_items(chosen, PLAIN["characters"], SETUP, emit, 10**6))
    tight = list(render_items(chosen, PLAIN["characters"], SETUP, emit, len(full[0])))
    assert tight[0] == full[0] and all("too large" in card and "<img" not in card for card in tight[2:])


def test_traces_and_recordings(tmp_path, take_apart):
    import soundfile

    (tmp_path / "a.inkml").write_text('<ink xmlns="http://www.w3.org/2003/InkML"><trace>1 2, 3 4</trace></ink>')
    soundfile.write(tmp_path / "a.wav", np.full(8000, 0.1), 8000)
    for name, modality in (("a.inkml", "strokes"), ("a.wav", "audio")):
        setup = Setup("t", modality=modality, symbols=("a", "b"))
        for network, count in ((emit, 1), (None, 0)):
            (card,) = render_items([(Scored("1", "a", "a"), Extra(tmp_path / name))], PLAIN["characters"], setup, network, 10**6)
            page = take_apart(card)
            assert len(page.all("svg")) == count + (modality == "strokes") and len(page.all("audio")) == (modality == "audio")
            assert len(page.all("div", class_="sound")) == (count if modality == "audio" else 0)
