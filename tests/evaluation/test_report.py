"""The report as a whole: of trained recognizers, of hostile text, of nothing; its numbers by hand; and that the page loads nothing."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import time
from collections import Counter
from dataclasses import replace
from html import unescape
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from recognizer.data.manifest import Item
from recognizer.decoding.timing import FrameTimes
from recognizer.errors import InputError
from recognizer.evaluation import report as report_module
from recognizer.evaluation.edits import Counts, align
from recognizer.evaluation.metrics import ScoredItem, score
from recognizer.evaluation.protocols import find_protocol
from recognizer.evaluation.report import MAX_STEPS, align_cells, load_media, plot_rates, render_report, write_report
from recognizer.evaluation.report_data import Extra, Row, Setup, name_settings
from recognizer.inference.recognizer import Recognizer
from recognizer.types import Token, Word

HOSTILE = "</p></script><script>alert('x')</script><img src=x onerror=alert(1)>\u202e\x00\"'&"
ITEMS = [ScoredItem("1", "the cat", "the bat", "anna"), ScoredItem("2", "on mats", "on mat", "bert"), ScoredItem("3", "", "uh", "bert")]


def render(items, level="characters", setup=None, extras=None, protocol=None):
    return render_report(items, score(items, level, protocol), setup or Setup("t"), extras or {}, protocol=protocol)


def recognize(bundle, items):
    """Scored items, their scores, what came from where; every third reference is another text, so that there are errors."""
    recognizer = Recognizer.load(bundle, "cpu", threads=1)
    scored, extras = [], {}
    for n, (item, transcript) in enumerate(zip(items, recognizer.transcribe([i.source for i in items], times=True), strict=True)):
        text = item.text[::-1] + "b" if n % 3 == 0 else item.text
        scored.append(ScoredItem(item.id, text, transcript.text, item.group, {"sex": "mf"[n % 2], "age": 20 + n}))
        extras[item.id] = Extra(item.source, transcript.seconds, transcript.width, transcript.tokens, transcript.words)
    config = recognizer.config
    setup = Setup("Test", {"Bundle": str(bundle)}, name_settings(config.decoder), config.modality, recognizer.alphabet.symbols)
    return scored, score(scored, config.text.level), setup, extras, recognizer.emissions


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
def test_the_report_of_a_recognizer(run, corpus, media, request, tmp_path, take_apart):
    items: list[Item] = request.getfixturevalue(corpus).items()
    scored, scores, setup, extras, emissions = recognize(request.getfixturevalue(run) / "bundle", items)
    path = write_report(tmp_path / "out", scored, scores, setup, extras, emissions)
    assert path == tmp_path / "out" / "report.html" and [p.name for p in path.parent.iterdir()] == ["report.html"]
    page = take_apart(path.read_text(encoding="utf-8"))
    check(page)
    worst = [n for n, r in enumerate(scored) if r.reference != r.hypothesis]
    shown = min(20, len(worst)) + min(10, len(items) - min(20, len(worst)))
    assert len(page.all("article")) == len(page.all(media)) == shown
    assert len(page.all("image")) == shown  # the map of log-probs in each
    assert len(page.all("div", class_="sound")) == (shown if media == "audio" else 0)
    for words in ("By speaker or writer", "By sex", "By age", "20\u201324", "Calibration", "symbols: ", "words: ", "Error rate by length"):
        assert words in page.text
    assert ("columns or points" if media == "img" else "seconds") in page.text
    assert "kind greedy" in page.text and str(request.getfixturevalue(run) / "bundle") in page.text
    assert write_report(tmp_path / "again.html", scored, scores, setup, extras, emissions).read_bytes() == path.read_bytes()


def test_hostile_text_stays_text(take_apart):
    items = [ScoredItem(f"{n}{HOSTILE}", f"a{HOSTILE} b", f"{HOSTILE}c", HOSTILE * (n % 2), {HOSTILE: HOSTILE * (n % 3 + 1)}) for n in range(9)]
    setup = Setup(HOSTILE, {HOSTILE: HOSTILE}, {HOSTILE: HOSTILE}, "audio", (HOSTILE,), [HOSTILE])
    extras = {r.id: Extra(words=(Word(HOSTILE, 0, 1, 0.5),), tokens=(Token(HOSTILE, 0, 1, 0.5),)) for r in items}
    text = render(items, setup=setup, extras=extras)
    page = take_apart(text)
    check(page)
    assert not page.all("img") and "\u202e" not in text and "\x00" not in text and "alert('x')" in page.text


def test_the_page_loads_nothing_and_runs_no_other_script(take_apart):
    markup = render(ITEMS, setup=Setup("<t>"))
    page = take_apart(markup)
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    script = re.search(r"<script>(.*?)</script>", markup, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy and "unsafe-inline'; script" in policy
    assert page.all("title") and "<t>" in page.text and page.all("html")[0]["lang"] == "en"
    assert not re.search(r"https?:|//[a-z]", markup)


def test_little_known(take_apart):
    for items, level in (([], "characters"), ([ScoredItem("1", "", "")], "characters"), ([ScoredItem("1", "a b", "a b")], "units"),
                         ([ScoredItem("1", "", "a"), ScoredItem("2", "", "")], "units")):  # fmt: skip
        check(take_apart(render(items, level)))


def test_the_head_says_how_it_was_counted(take_apart):
    setup = Setup("t", {"Bundle": "b<1>", "Manifest": "m.jsonl"}, {"kind": "beam", "beam_size": 50}, failed=[f"x{n}: gone" for n in range(60)])
    page = take_apart(render(ITEMS, setup=setup))
    text = " ".join(page.text.split())
    for words in (
        "CER 28.6 % [14.3, 42.9] 4 errors in 14: 1 substituted, 1 deleted, 2 inserted",
        "resampling 2 groups",
        "Empty references: 1",
        "kind beam, beam_size 50",
        "plain; 3 items; CER tokens 14; WER tokens 4",
        "60 items could not be scored",
        "… and 10 more",
    ):
        assert words in text.replace("CER28.6", "CER 28.6")
    assert "b<1>" in page.text and len(page.all("li")) == 51


def test_a_protocol_decides_what_is_counted(take_apart):
    items = [ScoredItem("1", "h# q ix n tcl t ax-h pau h#", "h# ih en t ax h#", "g"), ScoredItem("2", "aa", "ae", "h")]
    rules = find_protocol("optional_silence")
    page = take_apart(render(items, "units", protocol=rules))
    check(page)
    assert "PER11.1" in page.text.replace("\n", "") and "By speaker" in page.text
    applied = score(items, "units", rules).protocol
    assert applied.fingerprint in page.text and applied.rules in page.text and "Mean of the items" in page.text
    strict = render([ScoredItem("1", "h# aa h#", "h# h#")], "units", protocol=find_protocol("strict"))
    assert "NOT the counts of a published set" in take_apart(strict).text


def test_parts_are_marked_where_their_interval_leaves_out_the_rate_of_all(take_apart):
    items = [ScoredItem(str(n), "a" * 10, "a" * (1 if n < 4 else 10), f"g{n}", {"sex": "mf"[n < 4]}) for n in range(10)]
    page = take_apart(render(items))
    assert Counter(found["class"] for found in page.all("strong")) == {"worse": 2, "better": 2}  # both rates by sex; a single group has no interval
    assert "+54.0 worse" in page.text and "\u221236.0 better" in page.text


def test_errors_and_confusions(take_apart):
    page = take_apart(render(ITEMS))
    for words in ("CER: most frequent errors", "WER: most frequent errors", "Substitutions: 1", "Substitutions: 2", "Insertions: 2"):
        assert words in page.text
    cells = [found["title"] for found in page.all("td") if found.get("title")]
    assert "c as b: 1, 100.0\u00a0% of c" in cells and "inserted u: 1" in cells and "s as ∅: 1, 100.0\u00a0% of s" in cells


def test_many_groups_and_fields_are_cut(take_apart):
    items = [ScoredItem(str(n), "ab", "ab" if n % 7 else "b", f"s{n}", {f"f{k}": (n + k) % 2 for k in range(30)} | {"n": n}) for n in range(100)]
    items += [ScoredItem("x", "ab", "", None), ScoredItem("y", "ab", "", "(none)")]  # not the same group
    page = take_apart(render(items))
    assert "By speaker or writer: the worst 30 of 102" in page.text
    assert len(page.all("caption")) < 40 and "comes after 20 others" in page.text


def test_confidences_are_checked(take_apart):
    words = (Word("a", 0, 1, 0.9), Word("x", 1, 2, 0.1))
    items = [ScoredItem("1", "a b", "a x"), ScoredItem("2", "a", "a")]
    phones = Extra(tokens=(Token("ey", 0, 1, 0.9),), words=(Word("other", 0, 1, 0.1),))  # of another hypothesis
    page = take_apart(render(items, extras={"1": Extra(words=words), "2": phones}))
    assert "2 words: 50.0\u00a0% correct, mean confidence 50.0\u00a0%, calibration error 10.0\u00a0%" in page.text
    assert "symbols:" not in page.text
    plot = next(svg for svg in page.all("svg", class_="plot") if svg["aria-label"].startswith("Calibration of words"))
    assert "90.0\u00a0%: 100.0\u00a0% of 1" in plot["aria-label"]
    half = {"1": Extra(words=(words[0], replace(words[1], confidence=None)))}
    assert "Calibration" not in render(items, extras=half)


def test_rates_stand_at_their_height() -> None:
    rows = [Row("1-5", 1, 1, {"CER": Counts(9, 1)}, {"CER": (0.05, 0.2)}), Row("6", 1, 1, {"CER": Counts()}, {"CER": (None, None)})]
    plot = plot_rates(rows, "length", "CER")
    assert plot.top == 0.2 and [(p.x, p.y, p.low, p.high) for p in plot.points] == [(0.25, 0.5, 0.25, 1.0), (0.75, None, None, None)]
    assert [p.title for p in plot.points] == ["1-5: 10.0\u00a0%", "6: \u2013"]
    for rate, top in ((Counts(9997, 3), 0.004), (Counts(97, 3), 0.04), (Counts(1, 1), 0.6), (Counts(0, 1, 0, 2), 2.0)):
        assert plot_rates([Row("a", 1, 1, {"CER": rate}, {"CER": (None, None)})], "x", "CER").top == top


def test_alignment_of_an_example() -> None:
    cells = align_cells(align("the cat", "teh ca "))
    assert "".join(kind for kind, _, _ in cells) == "mimdmms"
    assert [pair for _, *pair in cells] == [["t", "t"], ["\u00a0", "e"], ["h", "h"], ["e", "\u00a0"], [" ", " "], ["ca", "ca"], ["t", "␣"]]
    assert align_cells(align(["ae", "t"], ["ae", "d"]), spaced=True) == [("m", "ae", "ae"), ("s", "t", "d")]
    assert align_cells(align(["sil", "t"], ["t"], optional={"sil"}), spaced=True) == [("m", "sil", "\u00a0"), ("m", "t", "t")]


@given(st.text("ab <&", max_size=15), st.text("ab <&", max_size=15))
def test_alignment_holds_both_sides(reference, hypothesis):
    cells = align_cells(align(reference, hypothesis))
    for n, text in enumerate((reference, hypothesis), start=1):
        assert "".join(cell[n] for cell in cells).replace("\u00a0", "").replace("␣", " ") == text


def test_the_page_shows_alignments_as_they_are(take_apart):
    markup = render([ScoredItem("1", "a <\u202e", "a &b")])
    rows = re.findall(r'<span class="c .">(?:<span>(.*?)</span>)(?:<span>(.*?)</span>)</span>', markup)
    assert [unescape("".join(row[n] for row in rows)).replace("\u00a0", "") for n in (0, 1)] == ["a <⟨U+202E⟩", "a &b"]
    long = take_apart(render([ScoredItem("1", "ab" * MAX_STEPS, "ba" * MAX_STEPS)]))
    assert "more steps" in long.text and len(long.elements) < 5 * MAX_STEPS


@pytest.fixture
def sources(tmp_path):
    """Images of 40, 60, ... columns, the second of which is not there."""
    for n in (0, 2, 3):
        Image.new("L", (40 + 20 * n, 20), 255).save(tmp_path / f"{n}.png")
    return [tmp_path / f"{n}.png" for n in range(4)]


def emit(sources: list[Path]):
    for n, _ in enumerate(sources):
        yield SimpleNamespace(log_probs=np.log(np.full((10 + n, 3), 1 / 3)), frame_times=FrameTimes(4.0, 0.0))


def test_every_item_has_its_own_media(sources, take_apart):
    setup = Setup("t", modality="line", symbols=("a", "b"))
    media = list(load_media(sources, setup, emit, 10**6))
    assert [m.width for m in media] == [40, 0, 80, 100] and "no such file" in media[1].note
    assert [bool(m.log_probs) for m in media] == [True, False, True, True]
    tight = list(load_media(sources, setup, emit, media[0].size))
    assert tight[0] == media[0] and all("too large" in m.note and not m.image for m in tight[2:])
    assert not any(m.log_probs for m in load_media(sources, setup, None, 10**6))
    assert list(load_media(sources, replace(setup, modality=None), emit, 10**6)) == []


def test_only_the_items_shown_are_recognized_again(sources, take_apart):
    asked = []

    def emissions(paths):
        asked.extend(paths)
        return emit(paths)

    items = [ScoredItem(str(n), "ab", "a" * (n != 3)) for n in range(4)]
    extras = {str(n): Extra(source) for n, source in enumerate(sources) if n != 1}
    page = take_apart(render_report(items, score(items, "characters"), Setup("t", modality="line", symbols=("a", "b")), extras, emissions))
    assert asked == [sources[n] for n in (3, 0, 2)]  # the worst first; the second has no source
    assert [image["width"] for image in page.all("img")] == ["100", "40", "80"]


def test_traces_and_recordings(tmp_path, take_apart):
    (tmp_path / "a.inkml").write_text('<ink xmlns="http://www.w3.org/2003/InkML"><trace>1 2, 3 4</trace></ink>')
    soundfile.write(tmp_path / "a.wav", np.full(8000, 0.1), 8000)
    items = [ScoredItem("1", "a", "b")]
    for name, modality in (("a.inkml", "strokes"), ("a.wav", "audio")):
        setup = Setup("t", modality=modality, symbols=("a", "b"))
        for network, count in ((emit, 1), (None, 0)):
            page = take_apart(render_report(items, score(items, "characters"), setup, {"1": Extra(tmp_path / name)}, network))
            assert len(page.all("path", class_="pen")) == (modality == "strokes") and len(page.all("audio")) == (modality == "audio")
            assert len(page.all("path", class_="blank")) == count
            assert len(page.all("div", class_="sound")) == (count if modality == "audio" else 0)


def test_the_size_is_bounded(glyphs, line_run, monkeypatch):
    arguments = recognize(line_run / "bundle", glyphs.items())
    full = render_report(*arguments)
    monkeypatch.setattr(report_module, "MAX_SIZE", len(full) * 3 // 4)
    tight = render_report(*arguments)
    assert "too large" in tight and len(tight) < len(full) * 3 // 4 + 20_000 and 0 < tight.count("<img") < full.count("<img")
    monkeypatch.setattr(report_module, "MAX_SIZE", 0)
    assert "<img" not in render_report(*arguments)


def test_the_file_appears_whole_or_not_at_all(tmp_path, full_disk):
    items = [ScoredItem("1", "a", "b")]
    target = tmp_path / "r.html"
    target.write_text("before")
    with full_disk(2000), pytest.raises(InputError, match=r"r\.html: cannot be written: "):
        write_report(target, items, score(items, "characters"), Setup("t"))
    assert target.read_text() == "before" and os.listdir(tmp_path) == ["r.html"]
    with pytest.raises(InputError, match="cannot be"):
        write_report(target / "below", items, score(items, "characters"), Setup("t"))


def test_two_thousand_lines_take_a_few_seconds():
    generator = np.random.default_rng(0)
    items = []
    for n in range(2000):
        text = "".join(generator.choice(list("abcdef "), 50))
        items.append(ScoredItem(str(n), text, text.replace("ab", "b"), f"s{n % 50}", {"sex": "mf"[n % 2], "age": n % 60}))
    scores = score(items, "characters")
    start = time.process_time()
    render_report(items, scores, Setup("t"), {})
    assert time.process_time() - start < 5
