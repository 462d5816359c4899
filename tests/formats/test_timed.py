"""ctm and TextGrid, worked by hand."""

from __future__ import annotations

from dataclasses import replace

from recognizer.formats.subtitles import Srt
from recognizer.formats.timed import Ctm, TextGrid
from recognizer.types import Token, Transcript, Word

TIMED = Transcript(
    "in/my talk.v2.wav", 'a "b" <c', tuple('a "b" <c'), -3.0, seconds=3661.5,
    tokens=(Token("a", 0.5, 0.52, 0.9), Token("b", 1.0, 1.1)),
    words=(Word("a", 0.48, 0.6, 0.9), Word('"b"', 0.6, 1.25, 0.123456), Word("<c", 3660.0, 3661.0004)),
)  # fmt: skip


def test_ctm_has_a_line_a_word_or_else_a_token() -> None:
    assert Ctm().render(TIMED).split("\n") == [
        "my_talk.v2 1 0.480 0.120 a 0.9000", 'my_talk.v2 1 0.600 0.650 "b" 0.1235', "my_talk.v2 1 3660.000 1.000 <c"]  # fmt: skip
    phones = replace(TIMED, words=())
    assert Ctm().render(phones).split("\n") == ["my_talk.v2 1 0.500 0.020 a 0.9000", "my_talk.v2 1 1.000 0.100 b"]
    assert Srt().render(phones).split("\n")[2] == "a b"


def test_ctm_names_the_channel_and_what_the_caller_wants() -> None:
    word = (Word("a", 0.48, 0.6),)
    assert Ctm().render(replace(TIMED, words=word, channel="right"), "in_my talk") == "in_my_talk 2 0.480 0.120 a"
    assert [Ctm().render(replace(TIMED, words=word, channel=channel)).split()[1] for channel in ("left", "mix", None)] == ["1", "1", "1"]
    assert Ctm().render(replace(TIMED, words=word, source="b\udcff.wav")).startswith("b\\udcff 1 ")


def test_a_text_grid_has_no_gaps() -> None:
    lines = [line.strip() for line in TextGrid().render(TIMED).split("\n")]
    assert lines[:3] == ['File type = "ooTextFile"', 'Object class = "TextGrid"', ""]
    assert lines[3:8] == ["xmin = 0", "xmax = 3661.500000", "tiers? <exists>", "size = 2", "item []:"]
    assert [line for line in lines if line.startswith("name")] == ['name = "words"', 'name = "tokens"']
    assert [line for line in lines if line.startswith("intervals: ")] == ["intervals: size = 6", "intervals: size = 5"]
    words = lines[: lines.index("item [2]:")]
    starts, ends = ([float(line.split()[-1]) for line in words[14:] if line.startswith(key)] for key in ("xmin", "xmax"))
    assert starts == [0.0, *ends[:-1]] and ends[-1] == 3661.5
    assert [line for line in words if line.startswith("text")] == [f"text = {t}" for t in ('""', '"a"', '"""b"""', '""', '"<c"', '""')]


def test_a_text_grid_of_nothing_is_one_empty_interval() -> None:
    lines = [line.strip() for line in TextGrid().render(Transcript("a.wav", seconds=2.0)).split("\n")]
    assert lines[-4:] == ["intervals [1]:", "xmin = 0.000000", "xmax = 2.000000", 'text = ""']
    crowded = Transcript("a.wav", "ab", seconds=1.0, tokens=(Token("a", 0.5, 1.0), Token("b", 1.0, 1.0)))
    assert "intervals: size = 2" in TextGrid().render(crowded)  # a token without length cannot be an interval
