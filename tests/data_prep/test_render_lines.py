from __future__ import annotations

import argparse

import pytest
from PIL import Image

from recognizer.data.manifest import load_manifest
from recognizer.data.preparation import prepare
from recognizer.data_prep import render_lines
from recognizer.errors import ConfigError, InputError
from recognizer.features.image_file import load_image


def options(tmp_path, **changes):
    settings = {"font": None, "style": "printed", "hands": render_lines.HANDS, "lines": 30, "words": 3, "capitals": 0.0, "small_capitals": 0.0}
    return argparse.Namespace(**{"made": tmp_path / "out", "seed": 1, **settings, **changes})


def test_transcripts_are_stretches_of_the_text_and_images_hold_ink(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("the quick brown fox\njumps over a lazy dog")
    items = list(render_lines.read(text, options(tmp_path)))
    assert len(items) == 30
    for item in items:
        assert item.text in "the quick brown fox jumps over a lazy dog"
        assert 1 <= len(item.text.split()) <= 3
        grey = load_image(item.source)
        assert grey.shape[1] == item.width
        assert int(grey.max()) - int(grey.min()) > 80
    assert len({item.group for item in items}) == render_lines.HANDS


def test_same_seed_same_lines(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("one two three four five six seven")
    first, again, other = (
        list(render_lines.read(text, options(tmp_path, made=tmp_path / name, seed=seed))) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert [item.text for item in first] == [item.text for item in again] != [item.text for item in other]
    for one, two in zip(first, again, strict=True):
        assert Image.open(one.source).tobytes() == Image.open(two.source).tobytes()


def test_hands_are_never_split(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("alpha beta gamma delta epsilon")
    prepare("rendered", text, tmp_path / "out", dev=0.3, lines=60)
    groups = [{item.group for item in load_manifest(tmp_path / "out" / f"{name}.jsonl")} for name in ("train", "dev")]
    assert groups[0] and groups[1] and not groups[0] & groups[1]


def test_empty_text_and_bad_font_are_named(tmp_path):
    empty = tmp_path / "empty.txt"
    empty.write_text(" \n")
    with pytest.raises(InputError, match="holds no words"):
        list(render_lines.read(empty, options(tmp_path)))
    empty.write_text("words")
    with pytest.raises(InputError, match="nofont"):
        list(render_lines.read(empty, options(tmp_path, font=[tmp_path / "nofont.ttf"])))


def test_some_hands_write_capitals_only(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("it is said to be so in our town")
    items = list(render_lines.read(text, options(tmp_path, hands=40, lines=120, capitals=0.3, style="handwritten")))
    by_hand: dict[str, set[bool]] = {}
    for item in items:
        by_hand.setdefault(item.group, set()).add(item.text == item.text.upper())
    assert len(by_hand) == 40 and all(len(kinds) == 1 for kinds in by_hand.values())
    assert 4 <= sum(kinds == {True} for kinds in by_hand.values()) <= 22


def test_stretches_with_letters_that_the_font_lacks_are_left_out(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("plain 中文 words only")
    assert {word for item in render_lines.read(text, options(tmp_path)) for word in item.text.split()} == {"plain", "words", "only"}
    text.write_text("中文 中文")
    with pytest.raises(InputError, match="has no glyphs for most of the text"):
        list(render_lines.read(text, options(tmp_path)))


def test_a_folder_of_texts_and_one_of_fonts(tmp_path):
    texts = tmp_path / "texts"
    texts.mkdir()
    for name in ("one", "two"):
        (texts / f"{name}.txt").write_text(f"{name} {name} {name}")
    words = {word for item in render_lines.read(texts, options(tmp_path)) for word in item.text.split()}
    assert words == {"one", "two"}
    (tmp_path / "fonts").mkdir()
    with pytest.raises(InputError, match="fonts: holds no fonts"):
        list(render_lines.read(texts, options(tmp_path, font=[tmp_path / "fonts"])))


def test_some_hands_write_small_capitals_which_are_small_letters_in_the_transcript(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("the Quick brown Fox jumps Over a lazy Dog")
    items = list(render_lines.read(text, options(tmp_path, hands=40, lines=120, small_capitals=0.5, style="handwritten")))
    words = set(text.read_text().split())
    assert all(set(item.text.split()) <= words for item in items)
    usual = list(render_lines.read(text, options(tmp_path, made=tmp_path / "usual", hands=40, lines=120, style="handwritten")))
    lower = {item.group for item in usual if item.text.islower()}
    assert len(lower - {item.group for item in items if item.text.islower()}) > 8  # of hands that only a capital tells from capitals


def test_small_capitals_need_capitals_and_a_share(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("no word with one")
    with pytest.raises(InputError, match=r"text\.txt: holds no word like Word"):
        list(render_lines.read(text, options(tmp_path, small_capitals=1.0)))
    with pytest.raises(ConfigError, match="--small-capitals 2"):
        list(render_lines.read(text, options(tmp_path, small_capitals=2.0)))


def test_hands_of_small_letters_are_the_same_whoever_writes_capitals(tmp_path, monkeypatch):
    text = tmp_path / "text.txt"
    text.write_text("so be it")
    seen: list[list[tuple[float, float]]] = []
    for share in (0.0, 0.3):
        hands: list[render_lines.Hand] = []
        monkeypatch.setattr(render_lines.Hand, "draw", lambda hand, _, into=hands: into.append(hand) or Image.new("L", (9, 9)))
        list(render_lines.read(text, options(tmp_path, hands=20, lines=20, capitals=share, style="handwritten")))
        seen.append([(hand.spacing, hand.width) for hand in hands])
    changed = sum(one != two for one, two in zip(*seen, strict=True))
    assert 1 <= changed <= 12
