"""Prompts of a telephone exchange: a list of names and texts, a folder of recordings."""

from __future__ import annotations

import pytest

from recognizer.data_prep.asterisk import spell_keys
from recognizer.errors import InputError

LIST = """; Core sounds

agent-pass: Please enter your password,  then press 1.
digits/1: one
beep: [a simple beep tone]
vm-intro: Leave your message (tone sound plays)
gone: Gone.
spy-h323: H.323
no colon here
"""


@pytest.fixture
def corpus(tmp_path, write, sound):
    folder = tmp_path / "en_US_f_Someone"
    write(folder / "core-sounds-en.txt", LIST)
    for name in ("agent-pass", "digits/1", "beep", "vm-intro", "spy-h323"):
        sound(folder / f"{name}.wav")
    return folder


def test_texts_without_notes_and_with_keys_spelt(corpus, read) -> None:
    reading = read("asterisk", corpus)
    assert [(i.id, i.text, i.group) for i in reading.items] == [
        ("agent-pass", "Please enter your password, then press one.", "en_US_f_Someone"), ("digits/1", "one", "en_US_f_Someone"),
        ("vm-intro", "Leave your message", "en_US_f_Someone")]
    assert reading.items[1].source == corpus / "digits" / "1.wav"


def test_what_cannot_be_used_is_named_with_its_line(corpus, read) -> None:
    expected = [":5: beep says no word", f":7: no recording {corpus / 'gone'}", ":8: how the number in 'H.323' is said", ":9: expected name: text"]
    for said, part in zip(read("asterisk", corpus).dropped, expected, strict=True):
        assert said.startswith(str(corpus / "core-sounds-en.txt")) and part in said


def test_a_list_elsewhere(corpus, read, tmp_path, write) -> None:
    (corpus / "core-sounds-en.txt").unlink()
    with pytest.raises(InputError, match=r"core-sounds-en\.txt: cannot be read"):
        read("asterisk", corpus)
    texts = write(tmp_path / "other.txt", "beep: Beep\n")
    assert [i.text for i in read("asterisk", corpus, "--texts", str(texts)).items] == ["Beep"]
    with pytest.raises(InputError, match="not a folder"):
        read("asterisk", corpus / "none")


@pytest.mark.parametrize(("text", "spelt"), [
    ("press 1, 2 or #.", "press one, two or pound."), ("* to exit", "star to exit"), ("folder 5", "folder five"),
    ("dial 500 or 28.8", "dial 500 or 28.8"), ("H.3", "H.3"), ("3D", "3D"), ("press 7.", "press seven."),
])
def test_only_single_keys_are_spelt(text, spelt) -> None:
    assert spell_keys(text) == spelt
