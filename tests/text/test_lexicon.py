"""Lexicons: their formats, what is wrong with them, and texts pronounced by them."""

from __future__ import annotations

import gzip

import pytest

from recognizer.errors import InputError
from recognizer.text.lexicon import bare_phone, keep_lines, load_lexicon, pronounce


def write(path, text):
    path.write_text(text)
    return path


def test_formats_of_kaldi_and_cmu(tmp_path):
    path = write(tmp_path / "lexicon", ";;; remark\nREAD  R EH1 D\nREAD(2)  R IY1_B D_E # past\nA AH0\nA AH0\n'BOUT B AW1 T\n")
    assert load_lexicon(path) == {"READ": [("R", "EH", "D"), ("R", "IY", "D")], "A": [("AH",)], "'BOUT": [("B", "AW", "T")]}
    assert load_lexicon(path, bare=False)["READ"][1] == ("R", "IY1_B", "D_E")


def test_texts_are_pronounced_whatever_their_case_and_punctuation():
    lexicon = {"READ": [("R", "EH", "D"), ("R", "IY", "D")], "DON'T": [("D", "OW", "N", "T")]}
    assert pronounce('"Don\'t read!"', lexicon) == ("D", "OW", "N", "T", "R", "EH", "D")
    with pytest.raises(InputError, match="'reed' is not in the lexicon; did you mean 'READ'"):
        pronounce("reed", lexicon)


def test_bare_phones():
    assert [bare_phone(p) for p in ("AH0", "T_E", "IY1_B", "sil")] == ["AH", "T", "IY", "sil"]


def test_what_is_wrong_is_named(tmp_path):
    with pytest.raises(InputError, match=r"lexicon:2: 'B' has no phones"):
        load_lexicon(write(tmp_path / "lexicon", "A AH\nB\n"))
    with pytest.raises(InputError, match="holds no words"):
        load_lexicon(write(tmp_path / "lexicon", "\n"))
    with pytest.raises(InputError, match="cannot be read"):
        load_lexicon(tmp_path / "none")


def test_lines_of_known_words_stay_as_they_are(tmp_path) -> None:
    text = ";;; of old\nTHE  DH AH0\nTHE(2)  DH IY0\n\nCAT  K AE1 T # an animal\nCATS  K AE1 T S\n(  P AH\n"
    (tmp_path / "lexicon.txt").write_text(text)
    assert keep_lines(tmp_path / "lexicon.txt", {"THE", "CAT", "("}) == "THE  DH AH0\nTHE(2)  DH IY0\nCAT  K AE1 T # an animal\n(  P AH\n"


def test_a_packed_lexicon_is_read_as_a_plain_one(tmp_path) -> None:
    packed = gzip.compress(b"THE  DH AH0\nTHE(2)  DH IY0\nCAT  K AE1 T\n")
    (tmp_path / "lexicon.txt.gz").write_bytes(packed)
    assert load_lexicon(tmp_path / "lexicon.txt.gz") == {"THE": [("DH", "AH"), ("DH", "IY")], "CAT": [("K", "AE", "T")]}
    assert keep_lines(tmp_path / "lexicon.txt.gz", {"CAT"}) == "CAT  K AE1 T\n"
    (tmp_path / "cut.txt.gz").write_bytes(packed[:-12])
    with pytest.raises(InputError, match=r"cut\.txt\.gz: the gzip file is damaged"):
        load_lexicon(tmp_path / "cut.txt.gz")


@pytest.mark.parametrize("columns", ["0.99", "1.0\t0.25 1.34 .88"])
def test_probabilities_are_no_phones(columns, tmp_path) -> None:
    """Of Kaldi (lexiconp.txt, lexiconp_silprob.txt) and the Montreal Forced Aligner."""
    path = write(tmp_path / "lexiconp.txt", f"read {columns} R EH1 D\nread\t1\tR IY1 D\na AH0\n")
    assert load_lexicon(path) == {"read": [("R", "EH", "D"), ("R", "IY", "D")], "a": [("AH",)]}
    with pytest.raises(InputError, match=r"lexiconp\.txt:2: 'b' has no phones"):
        load_lexicon(write(path, f"a {columns} AH\nb {columns}\n"))


def test_phones_may_be_figures_where_there_are_no_probabilities(tmp_path) -> None:
    assert load_lexicon(write(tmp_path / "lexicon", "one 1 2\ntwo 2\n"), bare=False) == {"one": [("1", "2")], "two": [("2",)]}


def test_a_gzip_bomb_is_refused(tmp_path) -> None:
    (tmp_path / "lexicon.gz").write_bytes(gzip.compress(b"A AH\n" * (5 << 20)))
    with pytest.raises(InputError, match=r"lexicon\.gz: unpacks to more than 50 times its size"):
        load_lexicon(tmp_path / "lexicon.gz")
