"""Output formats, and files that appear whole or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from recognizer.decoding.timing import Token, Word
from recognizer.errors import ConfigError, InputError
from recognizer.pipeline import Alternative, Transcript
from recognizer.writers import WRITERS, Json, Jsonl, Txt, choose_writers, write_file

SPOKEN = Transcript("in/h\u00e9.wav", "d\u00e9j\u00e0 vu", ("d", "\u00e9", "j"), -1.23456789, seconds=2.34567)
DRAWN = Transcript("in/l.png", "ab", ("a", "b"), -0.5, width=77)
TIMED = Transcript(
    "in/my talk.v2.wav", 'a "b" <c', tuple('a "b" <c'), -3.0, seconds=3661.5,
    tokens=(Token("a", 0.5, 0.52, 0.9), Token("b", 1.0, 1.1)),
    words=(Word("a", 0.48, 0.6, 0.9), Word('"b"', 0.6, 1.25, 0.123456), Word("<c", 3660.0, 3661.0004)),
)  # fmt: skip


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
    assert all(writer.suffix.lower().startswith(f".{name}") for name, writer in WRITERS.items())
    assert len({writer.suffix for writer in WRITERS.values()}) == len(WRITERS)


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


def render(name: str, transcript: Transcript = TIMED) -> list[str]:
    return WRITERS[name].render(transcript).split("\n")


def test_json_lines_have_times_where_there_are_any() -> None:
    record = json.loads(Jsonl().render(TIMED))
    assert record["tokens"] == [{"symbol": "a", "start": 0.5, "end": 0.52, "confidence": 0.9}, {"symbol": "b", "start": 1.0, "end": 1.1}]
    assert record["words"][1] == {"text": '"b"', "start": 0.6, "end": 1.25, "confidence": 0.1235}
    assert json.loads(Json().render(TIMED)) == record and len(render("json")) > 10


def test_json_lines_have_parts_of_the_score_and_alternatives_where_there_are_any() -> None:
    whole = Transcript("a.wav", "ab", ("a", "b"), -5.0, -3.0, -2.5, 0.5, 1.0, alternatives=(Alternative("ac", -6.0),))
    assert json.loads(Jsonl().render(whole)) == {
        "source": "a.wav", "text": "ab", "units": ["a", "b"], "score": -5.0, "acoustic": -3.0, "language": -2.5, "bonus": 0.5,
        "seconds": 1.0, "alternatives": [{"text": "ac", "score": -6.0}],
    }  # fmt: skip


def test_a_table() -> None:
    assert render("tsv") == ["start\tend\ttext", "0.480\t0.600\ta", '0.600\t1.250\t"b"', "3660.000\t3661.000\t<c"]
    drawn = replace(DRAWN, words=(Word("ab", 3.25, 70.0),))
    assert render("tsv", drawn) == ["start\tend\ttext", "3.250\t70.000\tab"]


def test_subtitles() -> None:
    assert render("srt") == [
        "1", "00:00:00,480 --> 00:00:01,480", 'a "b"', "", "2", "01:01:00,000 --> 01:01:01,000", "<c",
    ]  # fmt: skip
    assert render("vtt") == [
        "WEBVTT", "", "00:00:00.480 --> 00:00:01.480", 'a "b"', "", "01:01:00.000 --> 01:01:01.000", "&lt;c",
    ]  # fmt: skip


def test_time_marked_words() -> None:
    assert render("ctm") == ["my_talk.v2 1 0.480 0.120 a 0.9000", 'my_talk.v2 1 0.600 0.650 "b" 0.1235', "my_talk.v2 1 3660.000 1.000 <c"]


def test_units_without_words_are_written_as_tokens() -> None:
    phones = replace(TIMED, words=())
    assert render("ctm", phones) == ["my_talk.v2 1 0.500 0.020 a 0.9000", "my_talk.v2 1 1.000 0.100 b"]
    assert render("srt", phones)[2] == "a b"


def test_a_text_grid_has_no_gaps() -> None:
    lines = [line.strip() for line in render("textgrid")]
    assert lines[:3] == ['File type = "ooTextFile"', 'Object class = "TextGrid"', ""]
    assert lines[3:8] == ["xmin = 0", "xmax = 3661.500000", "tiers? <exists>", "size = 2", "item []:"]
    assert [line for line in lines if line.startswith("name")] == ['name = "words"', 'name = "tokens"']
    assert [line for line in lines if line.startswith("intervals: ")] == ["intervals: size = 6", "intervals: size = 5"]
    words = lines[: lines.index("item [2]:")]
    starts, ends = ([float(line.split()[-1]) for line in words[14:] if line.startswith(key)] for key in ("xmin", "xmax"))
    assert starts == [0.0, *ends[:-1]] and ends[-1] == 3661.5
    assert [line for line in words if line.startswith("text")] == [f"text = {t}" for t in ('""', '"a"', '"""b"""', '""', '"<c"', '""')]


def test_a_text_grid_of_nothing_is_one_empty_interval() -> None:
    lines = [line.strip() for line in render("textgrid", Transcript("a.wav", seconds=2.0))]
    assert lines[-4:] == ["intervals [1]:", "xmin = 0.000000", "xmax = 2.000000", 'text = ""']
    crowded = Transcript("a.wav", "ab", seconds=1.0, tokens=(Token("a", 0.5, 1.0), Token("b", 1.0, 1.0)))
    assert "intervals: size = 2" in "".join(render("textgrid", crowded))  # what has no length cannot be an interval


def test_a_line_as_alto(tmp_path: Path) -> None:
    path = tmp_path / "l\u00e9 & co.png"
    Image.new("L", (400, 60), 255).save(path)
    drawn = Transcript(str(path), "a <b", width=90, words=(Word("a", 10.4, 50.0, 0.5), Word('<"b', 80.0, 120.7)))
    root = ElementTree.fromstring(WRITERS["alto"].render(drawn).encode())
    space = {"a": "http://www.loc.gov/standards/alto/ns-v4#"}
    (line,) = root.findall(".//a:TextLine", space)
    assert {key: line.get(key) for key in ("HPOS", "VPOS", "WIDTH", "HEIGHT")} == {"HPOS": "0", "VPOS": "0", "WIDTH": "400", "HEIGHT": "60"}
    strings = [{key: string.get(key) for key in ("CONTENT", "HPOS", "WIDTH", "WC")} for string in line.findall("a:String", space)]
    assert strings == [{"CONTENT": "a", "HPOS": "10", "WIDTH": "40", "WC": "0.5000"}, {"CONTENT": '<"b', "HPOS": "80", "WIDTH": "41", "WC": None}]
    assert root.findtext(".//a:fileName", None, space) == str(path)
    assert [gap.get("WIDTH") for gap in line.findall("a:SP", space)] == ["30"]


def test_a_line_as_page(tmp_path: Path) -> None:
    path = tmp_path / "l.png"
    Image.new("L", (400, 60), 255).save(path)
    drawn = Transcript(str(path), "a <b", width=90, words=(Word("a", 10.4, 50.0, 0.5), Word("<b", 399.9, 400.0)))
    root = ElementTree.fromstring(WRITERS["page"].render(drawn).encode())
    space = {"p": "http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"}
    page = root.find("p:Page", space)
    assert page.attrib == {"imageFilename": str(path), "imageWidth": "400", "imageHeight": "60"}
    assert root.findtext(".//p:TextLine/p:TextEquiv/p:Unicode", None, space) == "a <b"
    assert [word.findtext("p:TextEquiv/p:Unicode", None, space) for word in root.findall(".//p:Word", space)] == ["a", "<b"]
    boxes = [word.find("p:Coords", space).get("points") for word in root.findall(".//p:Word", space)]
    assert boxes == ["10,0 50,0 50,60 10,60", "399,0 400,0 400,60 399,60"]
    assert root.find(".//p:Word/p:TextEquiv", space).get("conf") == "0.5000"


@pytest.mark.parametrize("name", [name for name, writer in WRITERS.items() if writer.timed])
def test_formats_that_need_times_say_so(name: str) -> None:
    bare = DRAWN if WRITERS[name].modality == "line" else SPOKEN
    with pytest.raises(InputError, match=rf"^{bare.source}: {name} needs the times of words, and the transcript has none"):
        render(name, bare)


@pytest.mark.parametrize("name", ["srt", "vtt", "ctm", "textgrid"])
def test_formats_of_recordings_are_refused_for_images(name: str) -> None:
    refusal = f"--format: {name} is for recordings, the recogniser reads line images; choose among txt, jsonl, json, tsv, alto, page"
    with pytest.raises(ConfigError, match=refusal):
        choose_writers(f"txt,{name}", "line")
    with pytest.raises(InputError, match=rf"in/l.png: {name} is for recordings"):
        render(name, replace(DRAWN, words=(Word("ab", 1.0, 2.0),)))
    assert [writer.suffix for writer in choose_writers("alto,txt", "line")] == [".alto.xml", ".txt"]
    with pytest.raises(ConfigError, match="alto is for line images, the recogniser reads recordings"):
        choose_writers("alto", "audio")


def test_silence_is_written_in_every_format_of_recordings() -> None:
    silent = Transcript("a.wav", seconds=1.0)
    found = {name: writer.render(silent) for name, writer in WRITERS.items() if writer.modality != "line"}
    assert found["srt"] == found["ctm"] == found["txt"] == "" and found["vtt"] == "WEBVTT" and found["tsv"] == "start\tend\ttext"
