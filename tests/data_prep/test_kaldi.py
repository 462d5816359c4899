"""Kaldi data directories."""

from __future__ import annotations

import pytest

from recognizer.errors import InputError


@pytest.fixture
def folder(tmp_path, write, sound):
    root = tmp_path / "data"
    for name in ("a", "b", "c"):
        sound(root / "wav" / f"{name}.wav")
    write(root / "wav.scp", "a wav/a.wav\nb\twav/b.wav\nc wav/c.wav\n")
    write(root / "text", "a HELLO  WORLD\nb\tB\nc C\n")
    write(root / "utt2spk", "a s1\nb s1\nc s2\n")
    return root


def test_reads_speakers_and_what_is_known_of_them(folder, read, write):
    write(folder / "spk2gender", "s1 f\n")
    write(folder / "spk2age", "s1 8\ns2 30\n")
    reading = read("kaldi", folder)
    assert reading.dropped == []
    assert [(i.id, i.text, i.group, i.meta) for i in reading.items] == [
        ("a", "HELLO  WORLD", "s1", {"gender": "f", "age": 8}), ("b", "B", "s1", {"gender": "f", "age": 8}), ("c", "C", "s2", {"age": 30})]
    assert reading.items[0].source == folder / "wav" / "a.wav"


def test_without_utt2spk_nobody_is_a_group(folder, read):
    (folder / "utt2spk").unlink()
    assert {i.group for i in read("kaldi", folder).items} == {None}


def test_another_root_for_recordings(folder, read, write):
    write(folder / "wav.scp", "a a.wav\n")
    write(folder / "text", "a x\n")
    assert read("kaldi", folder, "--audio-root", str(folder / "wav")).items[0].source == folder / "wav" / "a.wav"


def test_commands_are_named_and_never_run(folder, read, write, tmp_path):
    write(folder / "wav.scp", f"a touch {tmp_path / 'ran'} |\nb wav/b.wav\nc wav/c.wav\n")
    reading = read("kaldi", folder)
    assert [i.id for i in reading.items] == ["b", "c"]
    assert len(reading.dropped) == 1 and reading.dropped[0].startswith(f"{folder / 'wav.scp'}:1: commands in wav.scp are not run")
    assert not (tmp_path / "ran").exists()


def test_each_bad_line_is_named(folder, read, write):
    write(folder / "wav.scp", "a wav/a.wav\nb wav/b.wav\nb wav/c.wav\nc wav/none.wav\nd wav/a.wav\ne wav/a.wav\nf\n")
    write(folder / "text", "a A\nb\nc C\nd D\nf F\ng G\n")
    reading = read("kaldi", folder)
    assert [i.id for i in reading.items] == ["a"]
    expected = ["wav.scp:3: b already stands in", "text:2: the text of b is empty", "wav.scp:4: no such recording", "utt2spk: has no line for d",
                "wav.scp:6: e has no line in", "wav.scp:7: no such recording", "text:6: g has no line in"]
    assert len(reading.dropped) == len(expected)
    for line, part in zip(reading.dropped, expected, strict=True):
        assert line.startswith(f"{folder}/{part}")


def test_an_age_that_is_no_number(folder, read, write):
    write(folder / "spk2age", "s1 old\n")
    reading = read("kaldi", folder)
    assert [i.id for i in reading.items] == ["c"] and "spk2age:1: the age 'old'" in reading.dropped[0]


def test_segments_are_refused(folder, read, write):
    write(folder / "segments", "a1 a 0 1\n")
    with pytest.raises(InputError, match="cut the recordings first"):
        read("kaldi", folder)


@pytest.mark.parametrize("name", ["text", "wav.scp"])
def test_a_missing_table(folder, read, name):
    (folder / name).unlink()
    with pytest.raises(InputError, match=name):
        read("kaldi", folder)
