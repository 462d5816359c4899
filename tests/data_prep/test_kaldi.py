"""Kaldi data directories."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

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
    refused = f"{folder / 'wav.scp'}:1: commands in wav.scp are not run without --allow-commands"
    assert len(reading.dropped) == 1 and reading.dropped[0].startswith(refused)
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
    for age in ("old", "9" * 5000):
        write(folder / "spk2age", f"s1 {age}\n")
        reading = read("kaldi", folder)
        assert [i.id for i in reading.items] == ["c"] and f"spk2age:1: the age '{age[:9]}" in reading.dropped[0]


def ramp(path, seconds, rate=8000):
    """A recording whose samples tell the time: sample n is n / 100,000."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.arange(round(seconds * rate)) / 1e5, rate, subtype="PCM_16")


def test_segments_are_cut_out_of_their_recordings(folder, read, write):
    ramp(folder / "wav" / "long.wav", 2.0)
    write(folder / "wav.scp", "rec wav/long.wav\nother wav/none.wav\n")
    write(folder / "segments", "a rec 0 0.5\nb rec 0.25 1\nc/1 rec 1.5 -1\nd other 0 1\ne gone 0 1\nf rec 1\ng rec 1 0.5\nh rec 1 3\ni rec 0 nan\n")
    write(folder / "text", "".join(f"{id} T\n" for id in ["a", "b", "c/1", "d", "e", "f", "g", "h", "i", "j"]))
    write(folder / "utt2spk", "".join(f"{id} s\n" for id in ["a", "b", "c/1", "d", "e", "f", "g", "h", "i"]))
    reading = read("kaldi", folder)
    assert [(i.id, i.text, i.group, i.source.name) for i in reading.items] == [
        ("a", "T", "s", "a.flac"), ("b", "T", "s", "b.flac"), ("c/1", "T", "s", "c%2f1.flac")]
    for item, (begin, end) in zip(reading.items, [(0, 4000), (2000, 8000), (12000, 16000)], strict=True):
        samples, rate = soundfile.read(item.source)
        assert rate == 8000 and np.allclose(samples, np.arange(begin, end) / 1e5, atol=1e-4)
    expected = ["wav.scp:2: no such recording", "segments:5: the recording gone has no line in wav.scp", "segments:6: expected UTTERANCE RECORDING",
                "segments:7: 1 to 0.5 is no span", "segments:8: ", "segments:9: 0 to nan is no span", "text:10: j has no line in "]
    for line, part in zip(reading.dropped, expected, strict=True):
        assert line.startswith(f"{folder}/{part}")
    assert "has 2.00 s, not 1 s to 3 s" in reading.dropped[4] and reading.dropped[-1].endswith("segments")


def test_commands_are_run_where_they_are_allowed(folder, read, write):
    ramp(folder / "wav" / "long.wav", 1.0)
    write(folder / "wav.scp", "a cat wav/long.wav |\nb echo sorry >&2; false |\nc true |\n")
    reading = read("kaldi", folder, "--allow-commands")
    assert [i.id for i in reading.items] == ["a"] and reading.items[0].source.read_bytes() == (folder / "wav" / "long.wav").read_bytes()
    assert reading.dropped == [f"{folder / 'wav.scp'}:2: the command ended with code 1: sorry", f"{folder / 'wav.scp'}:3: the command wrote nothing"]
    assert [path.name for path in reading.items[0].source.parent.iterdir()] == ["a.wav"]
    write(folder / "segments", "a1 a 0.5 1\na2 a 0 0.5\n")
    write(folder / "text", "a1 ONE\na2 TWO\n")
    (folder / "utt2spk").unlink()
    write(folder / "wav.scp", "a echo x >> count; cat wav/long.wav |\n")
    items = read("kaldi", folder, "--allow-commands").items
    assert [len(soundfile.read(item.source)[0]) for item in items] == [4000, 4000] and (folder / "count").read_text() == "x\n"


def test_archives_are_named(folder, read, write):
    write(folder / "wav.scp", "a raw.ark:17\n")
    assert "archives are not read" in read("kaldi", folder).dropped[0]


@pytest.mark.parametrize("name", ["text", "wav.scp"])
def test_a_missing_table(folder, read, name):
    (folder / name).unlink()
    with pytest.raises(InputError, match=name):
        read("kaldi", folder)
