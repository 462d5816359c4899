"""Lines drawn with fonts: what is drawn is what the transcript says, in styles that differ."""

from __future__ import annotations

import argparse
import random

import numpy as np
import pytest
from PIL import Image

from recognizer.data_prep import rendered
from recognizer.data_prep.rendered import WRITERS, HandwritingStyle
from recognizer.errors import ConfigError, InputError
from recognizer.image.io import load_image


@pytest.fixture
def draw(tmp_path, write):
    def call(text, *, out="out", seed=1, **changes):
        settings = {"font": None, "style": "printed", "writers": WRITERS, "lines": 30, "words": 3, "capitals": 0.0, **changes}
        source = text if not isinstance(text, str) else write(tmp_path / "text.txt", text)
        return list(rendered.read(source, argparse.Namespace(made=tmp_path / out, seed=seed, **settings)))

    return call


def ink(style: HandwritingStyle, text: str) -> np.ndarray:
    """Share of ink (H, W) of a drawn text, seen against the paper."""
    gray = np.asarray(style.draw(text), np.float32)
    return np.clip((style.paper - gray) / (style.paper - style.ink), 0, 1)


def test_transcripts_are_stretches_of_the_text_and_images_hold_ink(draw):
    items = draw("the quick brown fox\njumps over a lazy dog")
    assert len(items) == 30 and len({item.group for item in items}) == WRITERS
    for item in items:
        assert item.text in "the quick brown fox jumps over a lazy dog" and 1 <= len(item.text.split()) <= 3
        gray = load_image(item.source)
        assert gray.shape[1] == item.width and int(gray.max()) - int(gray.min()) > 80


def test_same_seed_same_lines(draw):
    text = "one two three four five six seven"
    first, again, other = (draw(text, out=name, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert [item.text for item in first] == [item.text for item in again] != [item.text for item in other]
    assert all(Image.open(one.source).tobytes() == Image.open(two.source).tobytes() for one, two in zip(first, again, strict=True))


def test_bad_sources_fonts_and_shares_are_named(draw, tmp_path):
    with pytest.raises(InputError, match="holds no words"):
        draw(" \n")
    with pytest.raises(InputError, match="nofont"):
        draw("words", font=[tmp_path / "nofont.ttf"])
    (tmp_path / "fonts").mkdir()
    with pytest.raises(InputError, match="fonts: holds no fonts"):
        draw("words", font=[tmp_path / "fonts"])
    with pytest.raises(ConfigError, match=r"--capitals 2: must lie in \[0, 1\]"):
        draw("words", capitals=2.0)


def test_texts_that_a_font_cannot_write_are_left_out(draw):
    assert {word for item in draw("plain 中文 words only") for word in item.text.split()} == {"plain", "words", "only"}
    with pytest.raises(InputError, match="has no glyphs for most of the text"):
        draw("中文 中文")


def test_a_folder_of_texts(draw, tmp_path, write):
    for name in ("one", "two"):
        write(tmp_path / "texts" / f"{name}.txt", f"{name} {name} {name}")
    assert {word for item in draw(tmp_path / "texts") for word in item.text.split()} == {"one", "two"}


def test_some_writers_write_capitals_only_and_the_others_do_not_change(draw, monkeypatch):
    items = draw("it is said to be so in our town", writers=40, lines=120, capitals=0.3, style="handwritten")
    capitals = {item.group: {other.text.isupper() for other in items if other.group == item.group} for item in items}
    assert all(len(kinds) == 1 for kinds in capitals.values()) and 5 <= sum(kinds == {True} for kinds in capitals.values()) <= 20
    seen: list[list[tuple[float, float]]] = []
    for share in (0.0, 0.3):
        styles: list[HandwritingStyle] = []
        monkeypatch.setattr(HandwritingStyle, "draw", lambda style, _, into=styles: into.append(style) or Image.new("L", (9, 9)))
        draw("so be it", writers=20, lines=20, capitals=share, style="handwritten")
        seen.append([(style.spacing, style.width) for style in styles])
    assert 1 <= sum(one != two for one, two in zip(*seen, strict=True)) <= 12


@pytest.mark.parametrize("seed", range(8))
def test_handwritten_lines_hold_all_of_the_writing(seed):
    style = HandwritingStyle(random.Random(seed), None, "handwritten")
    short, long = ink(style, "in"), ink(style, "in which a longer line of writing")
    assert (short > 0.5).any() and (long > 0.5).any() and long.shape[1] > 4 * short.shape[1] * 0.8
    assert (long[:, :2] > 0.6).mean() < 0.2 and (long[:, -2:] > 0.6).mean() < 0.2  # nothing cut off at the ends


def test_lines_of_one_style_differ_and_styles_differ_more():
    style = HandwritingStyle(random.Random(0), None, "handwritten")
    assert style.draw("same words here").tobytes() != style.draw("same words here").tobytes()
    slants = {round(HandwritingStyle(random.Random(seed), None, "handwritten").slant, 3) for seed in range(20)}
    assert len(slants) > 15 and min(slants) < -0.05 and max(slants) > 0.05


def test_people_who_write_capitals_set_letters_apart_low_and_wide():
    spaced, shapes = [], []
    for seed in range(12):
        plain, capital = (HandwritingStyle(random.Random(seed), None, "handwritten") for _ in range(2))
        capital.write_capitals(random.Random(seed))
        assert capital.rng.getstate() == plain.rng.getstate() and capital.slant == plain.slant and capital.pen == plain.pen
        if capital.spacing != plain.spacing:
            assert 0 < capital.spacing <= 0.6 * capital.font.size
            assert capital.gap * capital.font.getlength(" ") > capital.spacing  # words stay further apart than letters
            spaced.append(capital.spacing / capital.font.size)
            rows, columns = np.nonzero(ink(capital, "MOMENT") > 0.4)
            shapes.append(float(np.ptp(columns) / np.ptp(rows)))
    assert len(spaced) >= 6 and max(spaced) > 0.4 and max(shapes) > 1.5 * min(shapes)


@pytest.mark.parametrize("style", ["printed", "handwritten"])
def test_right_to_left_text_is_drawn_as_it_is_read(style) -> None:
    # Pillow's own font draws its box for a letter it lacks, for a Hebrew one as for U+E000, which runs from left to right
    hebrew, shown = (HandwritingStyle(random.Random(3), None, style).draw(text) for text in ("\u05d0\u05d1 (12) abc.", ".abc (12) \ue000\ue000"))
    assert np.array_equal(np.asarray(hebrew), np.asarray(shown))


def test_letters_that_join_need_raqm(draw, monkeypatch) -> None:
    monkeypatch.setattr(rendered.features, "check", lambda feature: False)
    with pytest.raises(InputError, match=r"text\.txt: has letters that join, as Arabic ones do; to draw them needs Pillow's Raqm.*libfribidi0"):
        draw("\u0645\u0631\u062d\u0628\u0627")
    with pytest.raises(InputError, match="letters that join"):
        HandwritingStyle(random.Random(0), None).draw("\u0645\u0631")
    HandwritingStyle(random.Random(0), None).draw("\u0661\u0662\u060c \u05d0")  # digits and marks of Arabic do not
