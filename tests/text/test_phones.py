"""Folding TIMIT's labels: 61, 48, 39."""

from __future__ import annotations

import pytest

from recognizer.errors import InputError
from recognizer.text.phones import PHONES_39, PHONES_48, PHONES_61, cmu_phone, fold_phone, fold_phones

MERGED = {  # what falls into each of the 39 that merges anything
    "aa": "aa ao", "ah": "ah ax ax-h", "er": "axr er", "hh": "hh hv", "ih": "ih ix", "l": "el l", "m": "em m", "n": "en n nx",
    "ng": "eng ng", "sh": "sh zh", "sil": "bcl dcl epi gcl h# kcl pau pcl tcl", "uw": "uw ux",
}  # fmt: skip


def test_sizes_of_the_sets():
    assert (len(PHONES_61), len(PHONES_48), len(PHONES_39)) == (61, 48, 39)


def test_classes_of_the_39():
    classes = {label: {p for p in PHONES_61 if fold_phone(p, 39) == label} for label in PHONES_39}
    assert {label: members for label, members in classes.items() if members != {label}} == {k: set(v.split()) for k, v in MERGED.items()}
    assert set().union(*classes.values()) == PHONES_61 - {"q"}


def test_folding_in_two_steps_is_folding_at_once():
    assert {fold_phone(p, 48) for p in PHONES_61} == {*PHONES_48, None}
    for phone in PHONES_61 - {"q"}:
        assert fold_phone(fold_phone(phone, 48), 39) == fold_phone(phone, 39)
    assert all(fold_phone(p, 39) == p for p in PHONES_39) and all(fold_phone(p, 48) == p for p in PHONES_48)


def test_a_sentence():
    phones = ["h#", "q", "ix", "n", "tcl", "t", "ax-h", "kcl", "q", "pau", "h#"]
    assert fold_phones(phones, 61) == phones
    assert fold_phones(phones, 48) == ["sil", "ix", "n", "cl", "t", "ax", "cl", "sil", "sil"]
    assert fold_phones(phones, 39) == ["sil", "ih", "n", "sil", "t", "ah", "sil", "sil", "sil"]


@pytest.mark.parametrize(("phone", "size"), [("AA", 39), ("", 39), ("sil", 61), ("zz", 48)])
def test_other_labels_are_refused(phone, size):
    with pytest.raises(InputError, match=f"{phone!r} is not one of TIMIT's phone labels that fold to {size}"):
        fold_phone(phone, size)


def test_phones_of_the_cmu_dictionary():
    known = "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH"
    assert {cmu_phone(p) for p in PHONES_61} == {*known.split(" "), None} and known.count(" ") == 38
    for phone in PHONES_61:  # only what the set of 39 merges or has beside the dictionary differs
        found, coarse = cmu_phone(phone), fold_phone(phone, 39)
        assert found == {None: None, "sil": None, "dx": "T"}.get(coarse, str(coarse).upper()) or phone in ("ao", "zh")
    assert [cmu_phone(p) for p in ("ao", "zh", "nx", "el")] == ["AO", "ZH", "N", "L"]
    with pytest.raises(InputError, match="'AO' is not one of TIMIT's"):
        cmu_phone("AO")
