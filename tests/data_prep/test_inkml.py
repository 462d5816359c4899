"""Folders of InkML files with their text as an annotation."""

from __future__ import annotations

import numpy as np
import pytest

from recognizer.errors import ConfigError, InputError

STROKES = [np.array([[0, 0, 0.5], [1, 5, 0.75]]), np.array([[3, 3, 2.5]])]


def test_text_writer_split_and_the_rest(tmp_path, read, write, ink) -> None:
    write(tmp_path / "b" / "2.inkml", ink(STROKES, truth=" deux  mots ", writer="w2", fold="dev"))
    write(tmp_path / "a" / "1.inkml", ink(STROKES, truth="un", writer="w1", fold="train", age="33"))
    write(tmp_path / "a" / "other.xml", "<ink/>")
    reading = read("inkml", tmp_path)
    assert [(i.id, i.text, i.group, i.seconds, i.meta) for i in reading.items] == [
        ("a/1", "un", "w1", 2.0, {"fold": "train", "age": "33"}), ("b/2", "deux  mots", "w2", 2.0, {"fold": "dev"})]
    assert reading.dropped == [] and all(item.source.is_file() for item in reading.items)
    assert [i.meta["split"] for i in read("inkml", tmp_path, "--split", "fold").items] == ["train", "dev"]
    assert [i.group for i in read("inkml", tmp_path, "--group-by", "folder").items] == ["a", "b"]
    assert [i.group for i in read("inkml", tmp_path, "--group-by", r"(\d)\.inkml").items] == ["1", "2"]
    assert read("inkml", tmp_path, "--text", "fold").items[0].text == "train"


def test_files_without_text_strokes_or_sense_are_named(tmp_path, read, write, ink) -> None:
    write(tmp_path / "1.inkml", ink(STROKES, thruth="x"))
    write(tmp_path / "2.inkml", ink([], truth="x"))
    write(tmp_path / "3.inkml", "<other/>")
    write(tmp_path / "4.inkml", '<ink><annotation type="truth">x</annotation><trace>1</trace></ink>')
    write(tmp_path / "4b.inkml", f'<ink><annotation type="truth">x</annotation><trace>1 #{"F" * 400}</trace></ink>')
    write(tmp_path / "4c.inkml", ink([np.array([[0, 0, 2.0], [1, 1, 1.0]])], truth="x"))
    write(tmp_path / "5.inkml", ink(STROKES, truth="kept"))
    reading = read("inkml", tmp_path)
    assert [(i.text, i.group) for i in reading.items] == [("kept", None)]
    reasons = ["'truth'; did you mean 'thruth'", "no strokes", "<other>", "trace 1: cannot read", "a number beyond 1e+20", "times run backwards"]
    for said, expected in zip(reading.dropped, reasons, strict=True):
        assert expected in said


def test_sources_and_rules_that_make_no_sense(tmp_path, read, write) -> None:
    with pytest.raises(InputError, match="not a folder"):
        read("inkml", write(tmp_path / "a.inkml", "<ink/>"))
    with pytest.raises(ConfigError, match="did you mean 'writer'"):
        read("inkml", tmp_path, "--group-by", "writr")
