"""Recordings and images beside their transcripts."""

from __future__ import annotations

import pytest

from recognizer.errors import ConfigError, InputError


def test_nested_pairs_of_both_kinds(tmp_path, read, write, sound, picture):
    root = tmp_path / "corpus"
    sound(root / "anna" / "b1.wav")
    write(root / "anna" / "b1.txt", "\ufeffOne  two\r\nthree\n")
    picture(root / "bert" / "x.png")
    write(root / "bert" / "x.gt.txt", "cafe\u0301\n")
    write(root / "bert" / "x.txt", "an OCR guess")
    sound(root / "top.WAV")
    write(root / "top.txt", "top")
    reading = read("folder", root)
    assert reading.dropped == [] and reading.notes == []
    assert [(i.id, i.text, i.group) for i in reading.items] == [
        ("anna/b1", "One  two three", "anna"), ("bert/x", "caf\u00e9", "bert"), ("top", "top", "corpus")]
    assert all(item.source.is_absolute() and item.source.is_file() for item in reading.items)


def test_groups_by_expression_or_not_at_all(tmp_path, read, write, sound):
    for name in ("arctic_a0001_17", "arctic_a0001_18", "arctic_b0002_19"):
        sound(tmp_path / "c" / f"{name}.wav")
        write(tmp_path / "c" / f"{name}.txt", "x")
    items = read("folder", tmp_path / "c", "--group-by", r"(arctic_[ab]\d+)").items
    assert [i.group for i in items] == ["arctic_a0001", "arctic_a0001", "arctic_b0002"]
    assert {i.group for i in read("folder", tmp_path / "c", "--group-by", "none").items} == {None}
    reading = read("folder", tmp_path / "c", "--group-by", r"(arctic_a\d+)")
    assert len(reading.items) == 2 and len(reading.dropped) == 1 and f"{tmp_path / 'c' / 'arctic_b0002_19.wav'}: has no group" in reading.dropped[0]


@pytest.mark.parametrize(("rule", "message"), [("foldr", "did you mean 'folder'"), ("(", "not a regular expression"), ("a+", "capture group")])
def test_group_rules_that_make_no_sense(tmp_path, read, rule, message):
    with pytest.raises(ConfigError, match=message):
        read("folder", tmp_path, "--group-by", rule)


def test_each_broken_pair_is_named_and_the_others_are_read(tmp_path, read, write, sound):
    root = tmp_path / "c"
    for name in ("alone", "empty", "latin", "good"):
        sound(root / f"{name}.wav")
    write(root / "empty.txt", " \n ")
    write(root / "latin.txt", "caf\xe9".encode("latin-1"))
    write(root / "good.txt", "good")
    write(root / "lost.gt.txt", "nothing beside it")
    reading = read("folder", root)
    assert [item.id for item in reading.items] == ["good"]
    assert len(reading.dropped) == 4
    for path, reason in (("alone.wav", "no transcript"), ("empty.txt", "empty"), ("latin.txt", "UTF-8"), ("lost.gt.txt", "no recording or image")):
        assert any(line.startswith(f"{root / path}: ") and reason in line for line in reading.dropped)


def test_a_file_is_not_a_folder(tmp_path, read, write):
    with pytest.raises(InputError, match="not a folder"):
        read("folder", write(tmp_path / "x.txt", "x"))


def test_versions_of_a_line_image_are_one_item(tmp_path, read, write, picture):
    root = tmp_path / "book"
    for name in ("1.bin.png", "1.nrm.png", "2.bin.png", "3.bin.png", "3.png", "v1.bin.png"):
        picture(root / name)
    for name in ("1.gt.txt", "2.gt.txt", "3.gt.txt", "v1.bin.gt.txt"):
        write(root / name, name)
    reading = read("folder", root)
    assert [(i.id, i.source.name, i.text) for i in reading.items] == [
        ("1", "1.nrm.png", "1.gt.txt"), ("2", "2.bin.png", "2.gt.txt"), ("3", "3.png", "3.gt.txt"), ("v1.bin", "v1.bin.png", "v1.bin.gt.txt")]
    assert reading.dropped == [] and reading.notes == ["2 images are another version of a line (1.bin.png, for one) and left out"]


def test_transcripts_of_the_montreal_forced_aligner(tmp_path, read, write, sound):
    root = tmp_path / "c"
    for name in ("a", "b", "c"):
        sound(root / "speaker1" / f"{name}.wav")
    write(root / "speaker1" / "a.lab", "hello world\n")
    write(root / "speaker1" / "b.lab", "0 2500000 sil\n2500000 3000000 h\n")
    write(root / "speaker1" / "c.lab", "guess")
    write(root / "speaker1" / "c.txt", "20 30 forty")
    reading = read("folder", root)
    assert [(i.id, i.text, i.group) for i in reading.items] == [("speaker1/a", "hello world", "speaker1"), ("speaker1/c", "20 30 forty", "speaker1")]
    assert len(reading.dropped) == 1 and "b.lab: holds labels with their times" in reading.dropped[0]
