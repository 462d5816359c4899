"""The list of what is done: by name, content and settings, whatever happened to its end."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from recognizer.inference.recognizer import Recognizer
from recognizer.jobs.ledger import Ledger, digest_file, digest_settings


def test_what_was_added_is_known_again(tmp_path: Path) -> None:
    path = tmp_path / "done.jsonl"
    name = "caf\udce9.wav"
    Ledger(path).add(name, "in/" + name, "c1", "s1", [name + ".txt"])
    Ledger(path).add("b.wav", "in/b.wav", "c2", "s1", ["b.wav.txt"])
    Ledger(path).add("b.wav", "in/b.wav", "c3", "s1", ["b.wav.json"])
    ledger = Ledger(path, read=True)
    assert ledger.files(name, "c1", "s1") == [name + ".txt"]
    assert ledger.files("b.wav", "c3", "s1") == ["b.wav.json"] and ledger.files("b.wav", "c2", "s1") is None  # the last line counts
    assert ledger.files(name, "c1", "s2") is None and ledger.files("c.wav", "c1", "s1") is None
    assert Ledger(path).files(name, "c1", "s1") is None  # not read


def test_half_a_line_at_the_end_costs_that_line_only(tmp_path: Path) -> None:
    path = tmp_path / "done.jsonl"
    for name in "abc":
        Ledger(path).add(name, name, "c", "s", [])
    whole = path.read_bytes()
    for cut in range(1, len(whole) // 3):
        path.write_bytes(whole[:-cut])
        Ledger(path).add("d", "d", "c", "s", [])
        ledger = Ledger(path, read=True)
        assert [ledger.files(name, "c", "s") for name in "abcd"] == [[], [], None, []]
    path.write_bytes(b"\x00\xff\n[]\n{}\n" + whole)
    assert Ledger(path, read=True).files("a", "c", "s") == []


def test_lists_of_several_runs_count_together_and_the_latest_line_of_a_file(tmp_path: Path, monkeypatch) -> None:
    paths = [tmp_path / name for name in ("all", "first", "second")]
    now = iter(range(100))
    monkeypatch.setattr("recognizer.jobs.ledger.time.time", lambda: next(now))
    for path, name, content in [(0, "a", "c1"), (1, "a", "c2"), (2, "b", "c1"), (0, "b", "c2"), (0, "a", "c3")]:
        Ledger(paths[path]).add(name, name, content, "s", [f"{name}.txt"])
    for own in paths:
        ledger = Ledger(own, read=True, others=[path for path in paths if path != own])
        assert [content for name in "ab" for content in ("c1", "c2", "c3") if ledger.files(name, content, "s")] == ["c3", "c2"]
    part = Ledger(paths[0], read=True, others=paths[1:], wanted=lambda name: name == "b")
    assert part.files("b", "c2", "s") == ["b.txt"] and part.files("a", "c3", "s") is None
    (tmp_path / "old").write_text('{"output": "z", "source": "z", "content": "c", "settings": "s", "files": []}\n')  # without a time
    assert Ledger(tmp_path / "old", read=True).files("z", "c", "s") == []


def test_digests(tmp_path: Path, speech_run: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert digest_file(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
    assert digest_file(tmp_path) is None and digest_file(tmp_path / "none") is None
    recognizer = Recognizer.load(speech_run / "bundle", "cpu", threads=1)
    digest = digest_settings(recognizer, {"n_best": 1, "formats": "txt"})
    assert digest == digest_settings(recognizer, {"formats": "txt", "n_best": 1}) != digest_settings(recognizer, {"formats": "txt", "n_best": 2})
    recognizer.decoding = replace(recognizer.decoding, beam_size=3)
    assert digest != digest_settings(recognizer, {"n_best": 1, "formats": "txt"})
