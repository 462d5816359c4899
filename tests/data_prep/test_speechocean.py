"""speechocean762."""

from __future__ import annotations

import pytest

from recognizer.errors import InputError


@pytest.fixture
def corpus(tmp_path, write, sound):
    root = tmp_path / "so"
    for half, ids in (("train", "12"), ("test", "3")):
        write(root / half / "wav.scp", "".join(f"{id}\tWAVE/S{id}/{id}.WAV\n" for id in ids))
        write(root / half / "text", "".join(f"{id}\tIT'S ME\n" for id in ids))
        write(root / half / "utt2spk", "".join(f"{id} s{id}\n" for id in ids))
        write(root / half / "spk2gender", "".join(f"s{id} m\n" for id in ids))
        write(root / half / "spk2age", "".join(f"s{id} 6\n" for id in ids))
        for id in ids:
            sound(root / "WAVE" / f"S{id}" / f"{id}.WAV")
    write(root / "resource" / "text-phone", "".join(f"{id}.0\tIH0_B T_I S_E\n{id}.1\tM_B IY1_E\n" for id in "13"))
    write(root / "resource" / "lexicon.txt", "IT'S\tIH1 T S\nIT'S IH0 S\nME M IY1\n")
    return root


def test_both_halves_with_words_and_phones(corpus, read):
    reading = read("speechocean", corpus)
    assert reading.dropped == [] and reading.notes == []
    phones = ("IH", "T", "S", "M", "IY")
    assert [(i.id, i.text, i.units, i.group, i.meta) for i in reading.items] == [
        (id, "IT'S ME", phones, f"s{id}", {"gender": "m", "age": 6, "split": half}) for id, half in (("1", "train"), ("2", "train"), ("3", "test"))]
    assert {i.text for i in read("speechocean", corpus, "--case", "lower").items} == {"it's me"}


def test_lexicon_alone(corpus, read):
    (corpus / "resource" / "text-phone").unlink()
    reading = read("speechocean", corpus)
    assert {i.units for i in reading.items} == {("IH", "T", "S", "M", "IY")} and len(reading.notes) == 1


def test_one_letter_words_are_single(corpus, read, write):
    write(corpus / "train" / "text", "1 A\n2 ME\n")
    write(corpus / "resource" / "text-phone", "1.0 AH0_S\n2.0 M_B IY_E\n")
    assert [i.units for i in read("speechocean", corpus).items][:2] == [("AH",), ("M", "IY")]


@pytest.mark.parametrize(("file", "content", "message"), [
    ("resource/text-phone", "1.0 IH0_B T_E\n", "1 has 2 words in"),
    ("resource/text-phone", "1.0 IH0_B QQ_E\n1.1 M\n", "'QQ_E' is not an ARPAbet phone"),
    ("resource/text-phone", "1.0 SPN_S\n1.1 M\n", "'SPN_S' is not an ARPAbet phone"),
    ("resource/lexicon.txt", "ME M IY1\n", "no pronunciation of \"IT'S\""),
    ("resource/text-phone", "1 IH0_B\n", "expected 'utterance.word'"),
    ("train/text", "1 IT'S ME\n", "2 has no line in"),
    ("train/text", "1 IT'S ME\n2\n", "the text of 2 is empty"),
    ("train/text", "1 IT'S ME\n2 IT'S ME\n9 ME\n", "9 has no line in"),
    ("train/utt2spk", "1 s1\n", "no line for 2"),
    ("train/wav.scp", "1 WAVE/S1/1.WAV\n2 WAVE/none.WAV\n", "no such recording"),
    ("train/wav.scp", "1 WAVE/S1/1.WAV\n2 sox x |\n", "are not run"),
])
def test_each_fault_is_named_and_costs_one_utterance(corpus, read, write, file, content, message):
    path = write(corpus / file, content)
    reading = read("speechocean", corpus)
    assert len(reading.dropped) == 1 and message in reading.dropped[0] and str(path.parent.parent) in reading.dropped[0]
    assert len(reading.items) >= 2 - (file == "resource/lexicon.txt") and reading.items[-1].id == "3"


def test_another_folder(tmp_path, read):
    with pytest.raises(InputError, match="neither train/"):
        read("speechocean", tmp_path)
