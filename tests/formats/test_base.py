"""Writers: found and chosen by name, refusals, and files that appear whole or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from recognizer.errors import ConfigError, InputError
from recognizer.formats.base import choose_writers, find_writers, write_file
from recognizer.formats.text import Txt
from recognizer.types import Transcript, Word

SPOKEN = Transcript("in/h\u00e9.wav", "d\u00e9j\u00e0 vu", ("d", "\u00e9", "j"), -1.23456789, seconds=2.34567)
LINE = Transcript("in/l.png", "ab", ("a", "b"), -0.5, width=77)


def test_every_class_of_the_package_is_found_under_its_name() -> None:
    writers = find_writers()
    assert list(writers) == ["alto", "ctm", "hocr", "json", "jsonl", "page", "pdf", "srt", "textgrid", "tsv", "txt", "vtt"]
    assert all(name == writer.name and writer.suffix.lower().startswith(f".{name}") for name, writer in writers.items())
    assert len({writer.suffix for writer in writers.values()}) == len(writers)


def test_formats_are_chosen_by_name() -> None:
    assert [writer.suffix for writer in choose_writers("jsonl,txt")] == [".jsonl", ".txt"]
    assert [writer.suffix for writer in choose_writers("alto,txt", "line")] == [".alto.xml", ".txt"]


@pytest.mark.parametrize(
    ("names", "words"), [("jsnl", "'jsnl' is not one of .*did you mean 'jsonl'"), ("txt,", "'' is not"), ("TXT", "'TXT'")]
)
def test_unknown_formats_are_refused(names: str, words: str) -> None:
    with pytest.raises(ConfigError, match=f"--format: {words}"):
        choose_writers(names)


@pytest.mark.parametrize("name", [name for name, writer in find_writers().items() if writer.timed])
def test_formats_that_need_times_say_so(name: str) -> None:
    writer = find_writers()[name]
    bare = LINE if writer.modality == "line" else SPOKEN
    with pytest.raises(InputError, match=rf"^{bare.source}: {name} needs the times of words, and the transcript has none"):
        writer.render_bytes(bare)


@pytest.mark.parametrize("name", ["srt", "vtt", "ctm", "textgrid"])
def test_formats_of_recordings_are_refused_for_images(name: str) -> None:
    refusal = f"--format: {name} is for recordings, the recognizer reads line images; choose among alto, hocr, json, jsonl, page, pdf, tsv, txt"
    with pytest.raises(ConfigError, match=refusal):
        choose_writers(f"txt,{name}", "line")
    with pytest.raises(InputError, match=rf"in/l.png: {name} is for recordings"):
        find_writers()[name].render(replace(LINE, words=(Word("ab", 1.0, 2.0),)))
    with pytest.raises(ConfigError, match="alto is for line images, the recognizer reads recordings"):
        choose_writers("alto", "audio")


def test_silence_is_written_in_every_format_of_recordings() -> None:
    silent = Transcript("a.wav", seconds=1.0)
    found = {name: writer.render(silent) for name, writer in find_writers().items() if writer.modality != "line"}
    assert found["srt"] == found["ctm"] == found["txt"] == "" and found["vtt"] == "WEBVTT" and found["tsv"] == "start\tend\ttext"


def test_files_bear_the_name_of_their_source(tmp_path: Path) -> None:
    for writer in choose_writers("txt,jsonl"):
        write_file(SPOKEN, writer, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["h\u00e9.wav.jsonl", "h\u00e9.wav.txt"]
    assert (tmp_path / "h\u00e9.wav.txt").read_text(encoding="utf-8") == "d\u00e9j\u00e0 vu\n"


def test_a_full_disk_keeps_the_old_file(tmp_path: Path, full_disk) -> None:
    path = write_file(SPOKEN, Txt(), tmp_path)
    with full_disk(5), pytest.raises(InputError, match=r"h\u00e9\.wav\.txt: cannot be written: File too large"):
        write_file(Transcript(SPOKEN.source, "new text"), Txt(), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name] and path.read_text(encoding="utf-8") == "d\u00e9j\u00e0 vu\n"
    with pytest.raises(InputError, match="cannot be written: No such file or directory"):
        write_file(SPOKEN, Txt(), tmp_path / "none")
