"""The report as a whole: of recognisers that were trained, of hostile text, of nothing, and of ten thousand lines."""

from __future__ import annotations

import os
import re
import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from recognizer.data.manifest import Item
from recognizer.decoding.timing import Token, Word
from recognizer.errors import InputError
from recognizer.evaluation import report as report_module
from recognizer.evaluation.protocols import find_protocol
from recognizer.evaluation.report import render_report, write_report
from recognizer.evaluation.report_data import Extra, Setup, name_settings
from recognizer.evaluation.score import Scored, score
from recognizer.pipeline import Recognizer

HOSTILE = "</p></script><script>alert('x')</script><img src=x onerror=alert(1)>\u202e\x00\"'&"


def recognise(bundle, items):
    """Results, their score, what came from where; every third reference is another text, so that there are errors."""
    recognizer = Recognizer.load(bundle, "cpu", threads=1)
    results, extras = [], {}
    for n, (item, transcript) in enumerate(zip(items, recognizer.transcribe([i.source for i in items], times=True), strict=True)):
        text = item.text[::-1] + "b" if n % 3 == 0 else item.text
        results.append(Scored(item.id, text, transcript.text, item.group, {"sex": "mf"[n % 2], "age": 20 + n}))
        extras[item.id] = Extra(item.source, transcript.seconds, transcript.width, transcript.tokens, transcript.words)
    recipe = recognizer.recipe
    setup = Setup("Test", {"Bundle": str(bundle)}, name_settings(recipe.decoder), recipe.modality, recognizer.alphabet.symbols)
    return results, score(results, recipe.text.level), setup, extras, recognizer.emissions


def check(page):
    """What holds of every page."""
    ids = [found["id"] for _, found in page.elements if "id" in found]
    assert len(ids) == len(set(ids)) and {a["href"] for a in page.all("a")} <= {f"#{name}" for name in ids}
    assert len(page.all("script")) == 1 and all(image.get("alt") for image in page.all("img"))
    assert all(svg.get("aria-label") or svg.get("aria-hidden") for svg in page.all("svg"))
    for _, attributes in page.elements:
        assert not any(key.startswith("on") for key in attributes)
        for key in ("src", "href"):
            assert key not in attributes or attributes[key].startswith(("data:", "#")), attributes
    levels = [int(name[1]) for name, _ in page.elements if re.fullmatch("h[1-6]", name)]
    assert levels[0] == 1 and levels.count(1) == 1 and all(b <= a + 1 for a, b in pairwise(levels))


@pytest.mark.parametrize(("run", "corpus", "media"), [("line_run", "glyphs", "img"), ("speech_run", "tones", "audio")])
def test_the_report_of_a_recogniser(run, corpus, media, request, tmp_path, take_apart):
    items: list[Item] = request.getfixturevalue(corpus).items()
    results, report, setup, extras, emit = recognise(request.getfixturevalue(run) / "bundle", items)
    path = write_report(tmp_path / "out", results, report, setup, extras, emit)
    assert path == tmp_path / "out" / "report.html" and [p.name for p in path.parent.iterdir()] == ["report.html"]
    page = take_apart(path.read_text(encoding="utf-8"))
    check(page)
    worst = [n for n, r in enumerate(results) if r.reference != r.hypothesis]
    shown = min(20, len(worst)) + min(10, len(items) - min(20, len(worst)))
    assert len(page.all("article")) == len(page.all(media)) == shown
    assert len(page.all("image")) == shown  # the map of log-probs in each
    for words in ("By speaker or writer", "By sex", "By age", "20\u201324", "Calibration", "symbols: ", "words: ", "Error against length"):
        assert words in page.text
    assert ("columns or points" if media == "img" else "seconds") in page.text
    assert "Decoderkind greedy" in page.text and str(request.getfixturevalue(run) / "bundle") in page.text
    assert write_report(tmp_path / "again.html", results, report, setup, extras, emit).read_bytes() == path.read_bytes()


def test_hostile_text_stays_text(take_apart):
    results = [Scored(f"{n}{HOSTILE}", f"a{HOSTILE} b", f"{HOSTILE}c", HOSTILE * (n % 2), {HOSTILE: HOSTILE * (n % 3 + 1)}) for n in range(9)]
    setup = Setup(HOSTILE, {HOSTILE: HOSTILE}, {HOSTILE: HOSTILE}, "audio", (HOSTILE,), [HOSTILE])
    extras = {r.id: Extra(words=(Word(HOSTILE, 0, 1, 0.5),), tokens=(Token(HOSTILE, 0, 1, 0.5),)) for r in results}
    text = render_report(results, score(results, "characters"), setup, extras)
    page = take_apart(text)
    check(page)
    assert not page.all("img") and "\u202e" not in text and "\x00" not in text and "alert('x')" in page.text


def test_nothing_known_but_the_texts(take_apart):
    for results, level in (([], "characters"), ([Scored("1", "", "")], "characters"), ([Scored("1", "", "a"), Scored("2", "", "")], "units"),
                           ([Scored("1", "a b", "a b")], "units")):  # fmt: skip
        check(take_apart(render_report(results, score(results, level), Setup("t"), {})))


def test_a_protocol_decides_what_is_counted(take_apart):
    results = [Scored("1", "h# q ix n tcl t ax-h pau h#", "h# ih en t ax h#", "g"), Scored("2", "aa", "ae", "h")]
    rules = find_protocol("optional_silence")
    page = take_apart(render_report(results, score(results, "units", rules), Setup("t"), {}, protocol=rules))
    check(page)
    assert "PER11.1" in page.text and "optional_silence" in page.text and "By speaker" in page.text


def test_many_groups_and_fields_are_cut(take_apart):
    results = [Scored(str(n), "ab", "ab" if n % 7 else "b", f"s{n}", {f"f{k}": (n + k) % 2 for k in range(30)} | {"n": n}) for n in range(100)]
    page = take_apart(render_report(results, score(results, "characters"), Setup("t"), {}))
    assert "By speaker or writer: the worst 30 of 100" in page.text
    assert len(page.all("caption")) < 40 and "comes after 20 others" in page.text


def test_confidences_are_held_against_the_truth(take_apart):
    words = (Word("a", 0, 1, 0.9), Word("x", 1, 2, 0.1))
    results = [Scored("1", "a b", "a x"), Scored("2", "a", "a")]
    phones = Extra(tokens=(Token("ey", 0, 1, 0.9),), words=(Word("other", 0, 1, 0.1),))  # of another hypothesis
    page = take_apart(render_report(results, score(results, "characters"), Setup("t"), {"1": Extra(words=words), "2": phones}))
    assert "2 words: 50.0\u00a0% right, mean confidence 50.0\u00a0%, calibration error 10.0\u00a0%" in page.text and "symbols:" not in page.text
    half = {"1": Extra(words=(words[0], replace(words[1], confidence=None)))}
    assert "Calibration" not in render_report(results, score(results, "characters"), Setup("t"), half)


def test_the_size_is_bounded(glyphs, line_run, monkeypatch):
    arguments = recognise(line_run / "bundle", glyphs.items())
    results, report, setup, extras, emit = arguments
    full = render_report(results, report, setup, extras, emit)
    monkeypatch.setattr(report_module, "SIZE", len(full) * 3 // 4)
    tight = render_report(results, report, setup, extras, emit)
    assert "too large" in tight and len(tight) < len(full) * 3 // 4 + 20_000 and 0 < tight.count("<img") < full.count("<img")
    monkeypatch.setattr(report_module, "SIZE", 0)
    assert "<img" not in render_report(results, report, setup, extras, emit)


def test_the_file_appears_whole_or_not_at_all(tmp_path, full_disk):
    results = [Scored("1", "a", "b")]
    target = tmp_path / "r.html"
    target.write_text("before")
    with full_disk(2000), pytest.raises(InputError, match=r"r\.html: cannot be written: "):
        write_report(target, results, score(results, "characters"), Setup("t"))
    assert target.read_text() == "before" and os.listdir(tmp_path) == ["r.html"]
    with pytest.raises(InputError, match="cannot be written"):
        write_report(target / "below", results, score(results, "characters"), Setup("t"))


def test_two_thousand_lines_take_two_seconds():
    generator = np.random.default_rng(0)
    results = []
    for n in range(2000):
        text = "".join(generator.choice(list("abcdef "), 50))
        results.append(Scored(str(n), text, text.replace("ab", "b"), f"s{n % 50}", {"sex": "mf"[n % 2], "age": n % 60}))
    report = score(results, "characters")
    start = time.process_time()
    render_report(results, report, Setup("t"), {})
    assert time.process_time() - start < 5
