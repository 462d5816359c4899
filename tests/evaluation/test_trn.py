"""Files for sclite: hand-worked, and counts that it prints for them."""

from __future__ import annotations

import re

import pytest

from recognizer.errors import InputError
from recognizer.evaluation.edits import Counts, align
from recognizer.evaluation.protocols import find_protocol
from recognizer.evaluation.score import Scored
from recognizer.evaluation.trn import to_trn


def test_words_and_characters():
    results = [Scored("a01-000u-00", "say (no)", "say no", "000"), Scored("2", "50% a/b", "", None)]
    assert to_trn(results, "characters") == (
        "say %28no%29 (000-a01+000u+00)\n50%25 a%2Fb (unknown-2)\n",
        "say no (000-a01+000u+00)\n(unknown-2)\n",
    )
    reference, hypothesis = to_trn(results[:1], "characters", rate="CER")
    assert reference == "s a y %20 %28 n o %29 (000-a01+000u+00)\n" and hypothesis == "s a y %20 n o (000-a01+000u+00)\n"


def test_tokens_are_those_of_the_protocol():
    results = [Scored("s_1", "h# q tcl t", "tcl t", "fadg0")]
    assert to_trn(results, "units", find_protocol("strict")) == ("sil sil t (fadg0-s+1)\n", "sil t (fadg0-s+1)\n")
    assert to_trn(results, "units", find_protocol("optional_silence")) == ("(sil) (sil) t (fadg0-s+1)\n", "sil t (fadg0-s+1)\n")
    assert to_trn(results, "units")[0] == "h# q tcl t (fadg0-s+1)\n"
    assert to_trn([Scored("1", "(a)", "a")], "characters", find_protocol("kaldi"))[0] == "%28 a %29 (unknown-1)\n"


def test_spelling_keeps_the_errors():
    reference, hypothesis = "a ( b ) %28 / {c} ;; d", "a b ) ( %2F {c ; d"
    lines = to_trn([Scored("1", reference, hypothesis)], "characters")
    spelt = [line.rsplit(" ", 1)[0].split() for line in lines]
    assert not any(re.search(r"[(){}/;]", token) for tokens in spelt for token in tokens)
    assert Counts.of(align(*spelt)) == Counts.of(align(reference.split(), hypothesis.split()))


def test_ids_that_sclite_would_confuse():
    with pytest.raises(InputError, match="a_1: sclite could not tell it from a-1"):
        to_trn([Scored("a-1", "x", "x", "g"), Scored("a_1", "x", "x", "g")], "characters")
    with pytest.raises(InputError, match="sclite could not tell"):  # it folds the case of ids
        to_trn([Scored("A", "x", "x", "g"), Scored("a", "x", "x", "g")], "characters")
    assert to_trn([Scored("a", "x", "x", "g"), Scored("a", "x", "x", "h")], "characters")[0] == "x (g-a)\nx (h-a)\n"


@pytest.mark.parametrize(("name", "counted"), [  # what sclite 2.4.10 printed for these files, with -D where silence is optional
    ("strict", Counts(matches=16, substitutions=2, deletions=3, insertions=1)),
    ("optional_silence", Counts(matches=19, substitutions=2, deletions=0, insertions=1)),
])
def test_sclite_counts_the_same(name, counted):
    pairs = [("h# dh ax q kcl k ae tcl t pau s ae tcl h#", "h# dh ah k ae t s ae t h#"), ("h# ao n pau ix tcl t h#", "h# aa n epi n ih t t h#")]
    results = [Scored(str(n), *pair, "s") for n, pair in enumerate(pairs)]
    protocol = find_protocol(name)
    assert sum((Counts.of(protocol.align(r.reference, r.hypothesis)) for r in results), Counts()) == counted
    files = (
        "sil dh ah sil k ae sil t sil s ae sil sil (s-0)\nsil aa n sil ih sil t sil (s-1)\n",
        "sil dh ah k ae t s ae t sil (s-0)\nsil aa n sil n ih t t sil (s-1)\n",
    )
    assert to_trn(results, "units", protocol) == (files[0].replace("sil", "(sil)") if protocol.optional else files[0], files[1])
