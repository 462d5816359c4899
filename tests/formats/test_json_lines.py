"""Text, tables and JSON of transcripts, worked by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from recognizer.formats.base import write_file
from recognizer.formats.json_lines import Json, Jsonl
from recognizer.formats.text import Tsv, Txt
from recognizer.types import Alternative, Token, Transcript, Word

SPOKEN = Transcript("in/h\u00e9.wav", "d\u00e9j\u00e0 vu", ("d", "\u00e9", "j"), -1.23456789, seconds=2.34567)
LINE = Transcript("in/l.png", "ab", ("a", "b"), -0.5, width=77)
TIMED = replace(
    SPOKEN, tokens=(Token("a", 0.5, 0.52, 0.9), Token("b", 1.0, 1.1)), words=(Word("a", 0.48, 0.6), Word('"b"', 0.6, 1.25, 0.123456))
)


def test_txt_is_the_text_and_tsv_a_table_of_words() -> None:
    assert Txt().render(SPOKEN) == "d\u00e9j\u00e0 vu"
    assert Tsv().render(TIMED) == 'start\tend\ttext\n0.480\t0.600\ta\n0.600\t1.250\t"b"'
    assert Tsv().render(replace(LINE, words=(Word("ab", 3.25, 70.0),))) == "start\tend\ttext\n3.250\t70.000\tab"


def test_jsonl_is_one_object_on_one_line() -> None:
    assert json.loads(Jsonl().render(SPOKEN)) == {
        "source": "in/h\u00e9.wav", "text": "d\u00e9j\u00e0 vu", "units": ["d", "\u00e9", "j"], "score": -1.2346, "seconds": 2.346,
    }  # fmt: skip
    assert json.loads(Jsonl().render(LINE)) == {"source": "in/l.png", "text": "ab", "units": ["a", "b"], "score": -0.5, "width": 77}
    strange = Transcript("two\nlines.wav", 'quo"te\n\u2028')
    assert "\n" not in Jsonl().render(strange) and json.loads(Jsonl().render(strange))["text"] == strange.text


def test_times_parts_of_the_score_and_alternatives_where_there_are_any() -> None:
    record = json.loads(Jsonl().render(TIMED))
    assert record["tokens"] == [{"symbol": "a", "start": 0.5, "end": 0.52, "confidence": 0.9}, {"symbol": "b", "start": 1.0, "end": 1.1}]
    assert record["words"][1] == {"text": '"b"', "start": 0.6, "end": 1.25, "confidence": 0.1235}
    assert json.loads(Json().render(TIMED)) == record and Json().render(TIMED).count("\n") > 9
    whole = Transcript("a.wav", "ab", ("a", "b"), -5.0, -3.0, -2.5, 0.5, 1.0, alternatives=(Alternative("ac", -6.0),))
    assert json.loads(Jsonl().render(whole)) == {
        "source": "a.wav", "text": "ab", "units": ["a", "b"], "score": -5.0, "acoustic": -3.0, "language": -2.5, "bonus": 0.5,
        "seconds": 1.0, "alternatives": [{"text": "ac", "score": -6.0}],
    }  # fmt: skip


def test_a_name_that_is_not_utf8_can_be_written(tmp_path: Path) -> None:
    name = b"caf\xe9.wav".decode("utf-8", "surrogateescape")
    path = write_file(Transcript(str(tmp_path / name), "ab"), Jsonl(), tmp_path)
    assert json.loads(path.read_text(encoding="utf-8"))["source"] == str(tmp_path / name)
