"""Common Voice tables: splits, what speakers say of themselves, votes, and clips that were converted."""

from __future__ import annotations

import pytest

from recognizer.errors import InputError

HEADER = "client_id\tpath\tsentence\tup_votes\tdown_votes\tage\tgender\taccents\tlocale\tsegment\n"


@pytest.fixture
def corpus(tmp_path, write, sound):
    root = tmp_path / "fr"
    rows = ['c1\ta.mp3\tIl a dit "oui".\t2\t0\ttwenties\tfemale\tde Metz\tfr\t', "c2\tb.mp3\tNon\t3\t2\t\t\t\tfr\t"]
    write(root / "train.tsv", HEADER + "\n".join(rows) + "\n")
    write(root / "dev.tsv", HEADER + "c3\tc.mp3\tPeut-être\t2\t0\t\t\t\tfr\t\n")
    write(root / "other.tsv", HEADER + "c9\td\tAutre\t0\t0\t\t\t\tfr\t\n")
    for name in ("a.mp3", "b.wav", "c.mp3", "d.mp3"):
        sound(root / "clips" / name)
    return root


def test_rows_of_the_splits_that_are_there(corpus, read) -> None:
    reading = read("common_voice", corpus)
    assert [(i.id, i.text, i.group, i.source.name, i.meta["split"]) for i in reading.items] == [
        ("a", 'Il a dit "oui".', "c1", "a.mp3", "train"), ("b", "Non", "c2", "b.wav", "train"), ("c", "Peut-être", "c3", "c.mp3", "dev")]
    assert reading.items[0].meta == {"age": "twenties", "sex": "female", "accent": "de Metz", "locale": "fr", "split": "train"}
    assert reading.items[1].meta == {"locale": "fr", "split": "train"} and reading.dropped == []


def test_other_tables_and_votes(corpus, read) -> None:
    assert [(i.id, i.meta["split"]) for i in read("common_voice", corpus, "--table", "other").items] == [("d", "other")]
    reading = read("common_voice", corpus, "--votes", "2")
    assert [i.id for i in reading.items] == ["a", "c"] and "1 clips left out" in reading.notes[0]


def test_rows_that_cannot_be_used_are_named(corpus, read, write) -> None:
    write(corpus / "dev.tsv", HEADER + "c3\tgone.mp3\tx\t2\t0\t\t\t\tfr\t\nc3\tc.mp3\t \t2\t0\t\t\t\tfr\t\nc3\tc.mp3\n")
    reading = read("common_voice", corpus)
    assert [i.id for i in reading.items] == ["a", "b"]
    for said, expected in zip(reading.dropped, [":2: no such recording", ":3: the sentence is empty", ":4: 2 columns where"], strict=True):
        assert expected in said


def test_folders_and_tables_of_another_kind_are_refused(tmp_path, corpus, read, write) -> None:
    with pytest.raises(InputError, match=r"none of train\.tsv, dev\.tsv, test\.tsv is there"):
        read("common_voice", tmp_path)
    write(corpus / "test.tsv", "id\tsentence\n")
    with pytest.raises(InputError, match=r"test\.tsv:1: has no column client_id, path"):
        read("common_voice", corpus)
