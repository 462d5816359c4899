"""Spliced lines: each word whole, on one base line, as far apart as its writer leaves words, on paper of one grey."""

from __future__ import annotations

import json
import random
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recognizer.data.manifest import Item, load_manifest, save_manifest
from recognizer.data.preparation import prepare
from recognizer.data_prep.splice_line import LineSplicer, Strip
from recognizer.decoding.timing import Token, split_words

BODY, TALL, PEN = 20, 36, 3
WIDTHS = {"a": 16, "c": 22, "e": 28, "o": 34, "h": 40, "l": 4}  # of the boxes, by which they are told apart; h and l are tall


def write_line(text: str, base: int, gap: int, paper: int, rule: bool = False) -> tuple[np.ndarray, list[Token]]:
    """Boxes that stand on row ``base``, 8 pixels apart, words ``gap``; and a spike in the middle of each."""
    picture, tokens, left = np.full((90, 1200), float(paper)), [], 30
    if rule:
        picture[base + 3 : base + 5] = paper - 60
    for letter in text:
        if letter == " ":
            tokens.append(Token(" ", left - 8 + gap / 2 - 2, left - 8 + gap / 2 + 2))
            left += gap - 8
            continue
        top, width = base - (TALL if letter in "hl" else BODY), WIDTHS[letter]
        picture[top:base, left : left + width] = 10
        picture[top + PEN : base - PEN, left + PEN : left + width - PEN] = paper
        tokens.append(Token(letter, left + width / 2 - 2, left + width / 2 + 2, 0.9))
        left += width + 8
    return picture[:, : left + 20].astype(np.uint8), tokens


def read_line(grey: np.ndarray) -> tuple[str, list[int]]:
    """The letters of the boxes, told by their widths, and the gaps that are wider than those between letters."""
    columns = (grey < 60).any(axis=0)
    text, gaps, run = "", [], 0
    for inked, group in groupby(columns[np.flatnonzero(columns)[0] : np.flatnonzero(columns)[-1] + 1]):
        run = len(list(group))
        if inked:
            text += next(letter for letter, width in WIDTHS.items() if width == run)
        elif run > 12:
            text += " "
            gaps.append(run)
    return text, gaps


def cut(tmp_path: Path, picture: np.ndarray, tokens: list[Token], spans: list[tuple[int, int]]) -> list[Strip | None]:
    Image.fromarray(picture).save(tmp_path / "line.png")
    words = [tokens[first:last] for first, last in split_words([token.symbol for token in tokens])]
    return LineSplicer().cut(tmp_path / "line.png", words, spans)


def test_a_phrase_is_cut_whole_with_the_paper_behind_it(tmp_path: Path) -> None:
    text = "cach oe a hoe"
    picture, tokens = write_line(text, 60, 30, 240)
    spans = [(0, 1), (1, 3), (3, 4), (0, 4)]
    strips = cut(tmp_path, picture, tokens, spans)
    for strip, (first, last) in zip(strips, spans, strict=True):
        assert strip is not None and read_line(strip.grey)[0] == " ".join(text.split()[first:last])
        assert (strip.base, strip.body, strip.gap, strip.paper) == (pytest.approx(60), pytest.approx(BODY), pytest.approx(30, abs=2), 240)
        assert (strip.grey[:, strip.ink - 1] < 60).any() and not (strip.grey[:, strip.ink :] < 60).any()
    assert strips[0].grey.shape[1] - strips[0].ink == pytest.approx(30, abs=2)  # up to the next word
    assert strips[2].grey.shape[1] - strips[2].ink == 28  # to the edge


@pytest.mark.parametrize("rule", [False, True])
def test_phrases_of_different_lines_come_to_stand_on_one(tmp_path: Path, rule: bool) -> None:
    first = cut(tmp_path, *write_line("cae hoc", 50, 30, 250, rule), [(0, 1), (1, 2)])
    second = cut(tmp_path, *write_line("ech ao", 70, 50, 200, rule), [(0, 2)])
    pieces = [strip for strip in (*first, *second) if strip is not None]
    assert len(pieces) == 3
    for seed in range(5):
        LineSplicer().write(pieces, tmp_path / "out.png", random.Random(seed))
        grey = np.asarray(Image.open(tmp_path / "out.png"))
        text, gaps = read_line(grey)
        assert text == "cae hoc ech ao"
        assert 0.7 * 29 <= gaps[0] <= 1.4 * 31 and 0.7 * 29 <= gaps[1] <= 1.4 * 31 and gaps[2] == pytest.approx(50, abs=2)
        feet = [int(rows[-1]) for rows in (np.flatnonzero(column < 60) for column in grey.T) if len(rows)]
        assert max(feet) - min(feet) <= 8  # the pen wobbles, but 20 rows lay between the two lines
        assert float(np.median(grey)) == pytest.approx(250, abs=1)
    assert not list(tmp_path.glob("*.partial"))


def test_without_ink_or_letters_that_stand_on_it_there_is_no_base_line(tmp_path: Path) -> None:
    blank = np.full((60, 200), 250, np.uint8)
    assert cut(tmp_path, blank, [Token("a", 20, 24), Token(" ", 60, 64), Token("c", 100, 104)], [(0, 1), (1, 2)]) == [None, None]
    picture, tokens = write_line("h l", 60, 40, 240)
    assert cut(tmp_path, picture, tokens, [(0, 1), (1, 2)]) == [None, None]


def test_lines_of_a_manifest_are_spliced_as_recordings_are(tmp_path: Path) -> None:
    items, records = [], []
    for number, (writer, text) in enumerate([("anna", "cae hoc"), ("anna", "ech ao ce"), ("bert", "oo ea ha"), ("bert", "ach oe")]):
        picture, tokens = write_line(text, 55 + 3 * number, 30, 235)
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
        items.append(Item(f"line{number}", tmp_path / f"{number}.png", text=text, group=writer))
        records.append(json.dumps({"id": f"line{number}", "tokens": [vars(token) for token in tokens]}))
    save_manifest(items, tmp_path / "train.jsonl")
    (tmp_path / "aligned.jsonl").write_text("\n".join(records))
    notes: list[str] = []
    prepare("spliced", tmp_path / "train.jsonl", tmp_path / "out", name="all", aligned=tmp_path / "aligned.jsonl", sentences=6, note=notes.append)
    spliced = load_manifest(tmp_path / "out" / "all.jsonl")
    assert len(spliced) == 12 and notes[0].endswith("phrases by 2 writers")
    written = {writer: {word for item in items if item.group == writer for word in item.text.split()} for writer in ("anna", "bert")}
    for item in spliced:
        grey = np.asarray(Image.open(item.source))
        assert item.source.suffix == ".png" and item.width == grey.shape[1]
        assert read_line(grey)[0] == item.text and {*item.text.split()} <= written[item.group]
