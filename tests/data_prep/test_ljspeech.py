"""The LJSpeech layout: three columns without a header, bars between them."""

from __future__ import annotations

import pytest

from recognizer.errors import InputError


@pytest.fixture
def corpus(tmp_path, write, sound):
    write(tmp_path / "metadata.csv", 'LJ001-0001|In 1455, "he said,|In fourteen fifty-five, "he said,\nLJ002-0001|Plain|\nsolo|Alone\n')
    for id in ("LJ001-0001", "LJ002-0001", "solo"):
        sound(tmp_path / "wavs" / f"{id}.wav")
    return tmp_path


def test_text_and_books(corpus, read) -> None:
    reading = read("ljspeech", corpus)
    assert [(i.id, i.text, i.group) for i in reading.items] == [
        ("LJ001-0001", 'In fourteen fifty-five, "he said,', "LJ001"), ("LJ002-0001", "Plain", "LJ002"), ("solo", "Alone", None)]
    assert read("ljspeech", corpus, "--text", "raw").items[0].text == 'In 1455, "he said,'
    assert reading.dropped == [] and reading.items[0].source == corpus / "wavs" / "LJ001-0001.wav"


def test_rows_that_cannot_be_used_are_named(corpus, read, write) -> None:
    write(corpus / "metadata.csv", "gone|a|b\nsolo||\nsolo\nsolo|x\n")
    reading = read("ljspeech", corpus)
    assert [i.text for i in reading.items] == ["x"]
    for said, expected in zip(reading.dropped, [":1: no such recording", ":2: the text of solo is empty", ":3: expected id|text"], strict=True):
        assert expected in said


def test_a_folder_without_the_table_is_refused(tmp_path, read) -> None:
    with pytest.raises(InputError, match=r"metadata\.csv: cannot be read"):
        read("ljspeech", tmp_path)
