"""The LibriSpeech layout: subsets, speakers, and what lies there in vain."""

from __future__ import annotations

import pytest

from recognizer.errors import ConfigError, InputError

SPEAKERS = (
    ";ID  |SEX| SUBSET           |MINUTES| NAME\n14   | F | train-clean-360  | 25.03 | Somebody\n"
    "1272 | M | dev-clean        |  8.00 | John | Rust\n"
)


@pytest.fixture
def corpus(tmp_path, write, sound):
    root = tmp_path / "LibriSpeech"
    write(root / "SPEAKERS.TXT", SPEAKERS)
    for subset, speaker, chapter in (("train-clean-100", "14", "208"), ("train-other-500", "99", "1"), ("dev-clean", "1272", "128104")):
        folder = root / subset / speaker / chapter
        write(folder / f"{speaker}-{chapter}.trans.txt", f"{speaker}-{chapter}-0000 IT'S  A LINE\n{speaker}-{chapter}-0001 AND ANOTHER\n")
        for number in range(2):
            sound(folder / f"{speaker}-{chapter}-{number:04d}.flac")
    return root


def test_subsets_speakers_and_chapters(corpus, read) -> None:
    reading = read("librispeech", corpus)
    assert reading.dropped == [] and len(reading.items) == 6
    first, last = reading.items[0], reading.items[-1]
    assert (first.id, first.text, first.group) == ("1272-128104-0000", "IT'S  A LINE", "1272")
    assert first.meta == {"sex": "m", "subset": "dev-clean", "split": "dev-clean", "chapter": "128104"}
    assert last.meta == {"subset": "train-other-500", "split": "train", "chapter": "1"} and last.source.is_file()
    assert read("librispeech", corpus, "--case", "lower").items[0].text == "it's  a line"


def test_a_subset_alone_by_option_or_as_the_source(corpus, read) -> None:
    for reading in (read("librispeech", corpus, "--subset", "dev-clean"), read("librispeech", corpus / "dev-clean")):
        assert [item.meta["split"] for item in reading.items] == ["dev-clean"] * 2 and reading.items[0].meta["sex"] == "m"
    with pytest.raises(ConfigError, match=r"--subset dev-claen: not in .*; did you mean 'dev-clean'"):
        read("librispeech", corpus, "--subset", "dev-claen")


def test_what_has_no_partner_is_named(corpus, read, sound) -> None:
    folder = corpus / "dev-clean" / "1272" / "128104"
    (folder / "1272-128104-0001.flac").unlink()
    sound(folder / "1272-128104-0007.flac")
    reading = read("librispeech", corpus)
    assert len(reading.items) == 5
    assert "1272-128104.trans.txt:2: 1272-128104-0001 has no recording" in reading.dropped[0]
    assert "1272-128104-0007.flac: has no line in" in reading.dropped[1]


def test_a_folder_of_something_else_is_refused(tmp_path, read) -> None:
    with pytest.raises(InputError, match="no transcripts found"):
        read("librispeech", tmp_path)
