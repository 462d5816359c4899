"""Models of lists of words: forms as the words of a text have them, probabilities that add up, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognizer.decoding.ngram_file import load_ngram
from recognizer.decoding.word_forms import find_manners, load_frequencies, model_words
from recognizer.errors import InputError

LIST = {"ami": 40.0, "arbre": 10.0, "chat": 30.0, "aujourd'hui": 20.0}


def find_forms(model):
    """Probability of each symbol."""
    return dict(zip(model.symbols, np.exp(model.log_prob.astype(float)), strict=True))


def test_a_hand_worked_example():
    """Of ten tokens eight are words of the list; of those six are small, one begins with a capital, one has capitals only."""
    text = ["l'ami Chat l'ami CHAT chat,", "xyz ami chat l'arbre 12"]
    manners = find_manners({"ami": 0.4, "arbre": 0.1, "chat": 0.5}, text)
    assert manners.marks == {"a": {("l'", ""): 3 / 4, ("", ""): 1 / 4}, "c": {("", ""): 3 / 4, ("", ","): 1 / 4}}
    assert manners.unknown == 2 / 12 and manners.ends == 2 / 12  # the ends of two sentences count, too
    assert [one.tolist() for one in manners.cases.values()] == [[6 / 8, 1 / 8, 1 / 8]]  # too few to tell frequent words from rare ones
    forms = find_forms(model_words({"ami": 4, "arbre": 1, "chat": 5}, text))
    assert forms["l'ami"] == pytest.approx(8 / 12 * 0.4 * 3 / 4 * 6 / 8) and forms["Arbre"] == pytest.approx(8 / 12 * 0.1 * 1 / 4 * 1 / 8)
    assert forms["CHAT,"] == pytest.approx(8 / 12 * 0.5 * 1 / 4 * 1 / 8)
    assert forms["<unk>"] == forms["</s>"] == pytest.approx(2 / 12)
    before_vowels = {before + word for before in ("", "l'") for word in ("ami", "Ami", "AMI", "arbre", "Arbre", "ARBRE")}
    assert {*forms} == {"<unk>", "<s>", "</s>"} | before_vowels | {word + behind for behind in ("", ",") for word in ("chat", "Chat", "CHAT")}


def test_a_word_with_an_apostrophe_is_one_word_where_the_list_has_it():
    manners = find_manners({"aujourd'hui": 0.5, "hui": 0.5}, ["(aujourd'hui)", "qu'hui", "L\u2019hui"])
    assert manners.marks == {"a": {("(", ")"): 1.0}, "h": {("qu'", ""): 0.5, ("L\u2019", ""): 0.5}}


def test_rare_words_have_the_capitals_of_rare_words():
    text = ["chat " * 40 + "Zoé " * 30 + "zoé " * 10]
    forms = find_forms(model_words({"chat": 1000, "zoé": 1, "noé": 1}, text))
    assert "Chat" not in forms and forms["Noé"] / forms["noé"] == pytest.approx(3)


def test_words_with_an_initial_that_the_text_lacks_stand_alone():
    forms = find_forms(model_words({"chat": 1, "élan": 1}, ["(chat)"]))
    assert "(chat)" in forms and "chat" not in forms and "élan" in forms


def test_a_text_of_one_word():
    forms = find_forms(model_words({"chat": 3, "coq": 1}, ["chat"]))
    assert [forms[one] for one in ("chat", "coq", "<unk>", "</s>")] == pytest.approx([1 / 4, 1 / 12, 1 / 3, 1 / 3])


def test_an_accent_makes_no_other_initial():
    forms = find_forms(model_words({"été": 1, "elle": 1}, ["l'été"]))
    assert {"l'été", "l'elle"} <= {*forms}


def test_the_likeliest_forms_are_kept():
    text = ["l'ami chat, chat Chat ami"] * 10
    every, some = (find_forms(model_words(LIST, text, most)) for most in (1000, 5))
    kept = {form for form in some if not form.startswith("<")}
    assert len(kept) == 5 and min(every[form] for form in kept) >= max(every[form] for form in every if form not in {*some})


@given(st.dictionaries(st.text("aeéstz'", min_size=1, max_size=5), st.floats(1e-6, 1e6), min_size=1, max_size=8), st.data())
def test_probabilities_add_up(frequencies, data):
    frequencies = {word.lower(): value for word, value in frequencies.items()}
    words = st.sampled_from(sorted(frequencies))
    marks = st.sampled_from(["", "l'", "(", "«"]), words, st.sampled_from(["", ",", ".", ")"])
    text = data.draw(st.lists(st.tuples(*marks).map("".join), min_size=1, max_size=10))
    try:
        model = model_words(frequencies, [" ".join(text)])
    except InputError:
        return  # words of apostrophes only, which are marks
    assert math.fsum(np.exp(model.log_prob.astype(float))) == pytest.approx(1, abs=1e-5)


def test_lists_are_read(tmp_path):
    path = tmp_path / "list.tsv"
    path.write_text("de\t0.04\nDe 0.01\n\nla 1e-2\n")
    assert load_frequencies(path) == {"de": 0.05, "la": 0.01}


@pytest.mark.parametrize("line", ["de", "de la 3", "de 0", "de -1", "de nan", "de inf", "0.04 de"])
def test_other_lines_are_named(tmp_path, line):
    path = tmp_path / "list.tsv"
    path.write_text(f"la 1\n{line}\n")
    with pytest.raises(InputError, match=r"list\.tsv:2: '.*' is not a word and its frequency"):
        load_frequencies(path)
    path.write_text("\n")
    with pytest.raises(InputError, match="holds no words"):
        load_frequencies(path)


def test_a_text_without_any_of_the_words():
    with pytest.raises(InputError, match="no sentence has a word of the list"):
        model_words(LIST, ["12 xyz"])


def test_the_command(cli, tmp_path):
    (tmp_path / "text.txt").write_text("l'ami chat,\nun arbre\n")
    (tmp_path / "list.tsv").write_text("ami 4\narbre 1\nchat 5\n")
    out = tmp_path / "words.ngram"
    assert cli("lm", tmp_path / "text.txt", "--frequencies", tmp_path / "list.tsv", "-o", out).code == 0
    model, expected = load_ngram(out), model_words({"ami": 4, "arbre": 1, "chat": 5}, ["l'ami chat,", "un arbre"])
    assert model.order == 1 and model.symbols == expected.symbols and model.log_prob.tolist() == expected.log_prob.tolist()
    for option in (("--level", "characters"), ("--order", 2), ("--prune", "0,1")):
        outcome = cli("lm", tmp_path / "text.txt", "--frequencies", tmp_path / "list.tsv", "-o", out, *option)
        assert outcome.code == 2 and "--frequencies: makes 1-grams of words" in outcome.err[0]
    outcome = cli("lm", out, "--frequencies", tmp_path / "list.tsv", "-o", tmp_path / "b.ngram")
    assert outcome.code == 2 and "needs texts in which words stand" in outcome.err[0]
    outcome = cli("lm", tmp_path / "text.txt", "--frequencies", tmp_path / "list.tsv", "--perplexity", out)
    assert outcome.code == 2 and "--frequencies: makes a model" in outcome.err[0]
