"""NeMo manifests."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

from recognizer.errors import InputError


def test_lines_with_their_speakers_and_what_else_they_say(tmp_path, read, write, sound):
    for name in ("a", "b"):
        sound(tmp_path / "wav" / f"{name}.wav")
    write(tmp_path / "b.txt", "from a\nfile\n")
    lines = [
        {"audio_filepath": "wav/a.wav", "duration": 0.1, "text": " cafe\u0301  au lait", "speaker": 12, "lang": "fr", "pnc": None},
        {"audio_filepath": str(tmp_path / "wav" / "b.wav"), "duration": None, "text_filepath": "b.txt"},
    ]
    reading = read("nemo", write(tmp_path / "train.json", "\n\n".join(map(json.dumps, lines))))
    assert reading.dropped == []
    assert [(i.id, i.text, i.group, i.meta) for i in reading.items] == [
        ("wav/a", "caf\u00e9  au lait", "12", {"lang": "fr"}), (str(tmp_path / "wav" / "b")[1:], "from a file", None, {})]
    assert reading.items[0].source == tmp_path / "wav" / "a.wav"
    moved = write(tmp_path / "elsewhere" / "train.json", (tmp_path / "train.json").read_bytes())
    assert read("nemo", moved, "--audio-root", str(tmp_path)).items == reading.items


def test_spans_are_cut_out(tmp_path, read, write):
    soundfile.write(tmp_path / "a.wav", np.arange(8000) / 1e5, 8000, subtype="PCM_16")
    spans = ((0, 0.25), (0.5, None), (0.5, 2))
    lines = [{"audio_filepath": "a.wav", "offset": offset, "duration": duration, "text": "x"} for offset, duration in spans]
    reading = read("nemo", write(tmp_path / "m.jsonl", "\n".join(map(json.dumps, lines))))
    assert [i.id for i in reading.items] == ["a-0.000", "a-0.500"]
    for item, (begin, end) in zip(reading.items, [(0, 2000), (4000, 8000)], strict=True):
        assert np.allclose(soundfile.read(item.source)[0], np.arange(begin, end) / 1e5, atol=1e-4)
    assert len(reading.dropped) == 1 and reading.dropped[0].startswith(f"{tmp_path / 'm.jsonl'}:3: {tmp_path / 'a.wav'}: has 1.00 s")


def test_each_bad_line_is_named(tmp_path, read, write, sound):
    sound(tmp_path / "a.wav")
    lines = ["{", "[1]", '{"text": "x"}', '{"audio_filepath": "none.wav", "text": "x"}', '{"audio_filepath": "a.wav", "text": ""}',
             '{"audio_filepath": "a.wav"}', '{"audio_filepath": "a.wav", "text": "x", "offset": 1e999}',
             '{"audio_filepath": "a.wav", "text": "\\ud800"}']
    reading = read("nemo", write(tmp_path / "m.json", "\n".join(lines)))
    assert reading.items == []
    reasons = ["not JSON", "JSON object", "no such recording", "no such recording", "the text is empty", "the text is None", "the offset is inf",
               "surrogate"]
    for number, (line, reason) in enumerate(zip(reading.dropped, reasons, strict=True), start=1):
        assert line.startswith(f"{tmp_path / 'm.json'}:{number}: ") and reason in line


def test_a_folder_is_no_manifest(tmp_path, read):
    with pytest.raises(InputError, match="the manifest itself"):
        read("nemo", tmp_path)
