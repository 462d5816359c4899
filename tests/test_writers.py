"""Output formats, and files that appear whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recognizer.errors import ConfigError, InputError
from recognizer.pipeline import Transcript
from recognizer.writers import WRITERS, Jsonl, Txt, choose_writers, write_file

SPOKEN = Transcript("in/h\u00e9.wav", "d\u00e9j\u00e0 vu", ("d", "\u00e9", "j"), -1.23456789, seconds=2.34567)
DRAWN = Transcript("in/l.png", "ab", ("a", "b"), -0.5, width=77)


def test_txt_is_the_text() -> None:
    assert Txt().render(SPOKEN) == "d\u00e9j\u00e0 vu"


def test_jsonl_is_one_object_on_one_line() -> None:
    assert json.loads(Jsonl().render(SPOKEN)) == {
        "source": "in/h\u00e9.wav", "text": "d\u00e9j\u00e0 vu", "units": ["d", "\u00e9", "j"], "score": -1.2346, "seconds": 2.346,
    }  # fmt: skip
    assert json.loads(Jsonl().render(DRAWN)) == {"source": "in/l.png", "text": "ab", "units": ["a", "b"], "score": -0.5, "width": 77}
    strange = Transcript("two\nlines.wav", 'quo"te\n\u2028')
    assert "\n" not in Jsonl().render(strange) and json.loads(Jsonl().render(strange))["text"] == strange.text


def test_a_name_that_is_not_utf8_can_be_written(tmp_path: Path) -> None:
    name = b"caf\xe9.wav".decode("utf-8", "surrogateescape")
    path = write_file(Transcript(str(tmp_path / name), "ab"), Jsonl(), tmp_path)
    assert json.loads(path.read_text(encoding="utf-8"))["source"] == str(tmp_path / name)


def test_formats_are_chosen_by_name() -> None:
    assert [writer.suffix for writer in choose_writers("jsonl,txt")] == [".jsonl", ".txt"]
    assert all(writer.suffix == f".{name}" for name, writer in WRITERS.items())


@pytest.mark.parametrize(
    ("names", "words"), [("jsnl", "'jsnl' is not one of .*did you mean 'jsonl'"), ("txt,", "'' is not"), ("TXT", "'TXT'")]
)
def test_unknown_formats_are_refused(names: str, words: str) -> None:
    with pytest.raises(ConfigError, match=f"--format: {words}"):
        choose_writers(names)


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


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written: No such file or directory"):
        write_file(SPOKEN, Txt(), tmp_path / "none")
