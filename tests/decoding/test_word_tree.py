from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognizer.alphabet import Alphabet
from recognizer.decoding.word_tree import build_letter_tree, build_tree, load_spellings, spell_words
from recognizer.errors import InputError

ALPHABET = Alphabet((" ", "'", *"abcde"))


def follow(tree, labels):
    """Node that labels lead to, or None."""
    node = 0
    for label in labels:
        row = slice(tree.first[node], tree.first[node + 1])
        found = tree.child[row][tree.label[row] == label]
        if not len(found):
            return None
        node = int(found[0])
    return node


def words_at(tree, node):
    return [tree.words[i] for i in tree.word[tree.word_first[node] : tree.word_first[node + 1]]]


@given(st.sets(st.text("abcde'", min_size=1, max_size=5), min_size=1, max_size=30), st.text("abcde'", max_size=5))
def test_the_tree_holds_exactly_the_words(words, other):
    tree = build_tree(spell_words(sorted(words)), ALPHABET)
    for word in words:
        assert words_at(tree, follow(tree, ALPHABET.encode(word))) == [word]
    node = follow(tree, ALPHABET.encode(other))
    prefixes = {word[:end] for word in words for end in range(len(word) + 1)}
    assert (node is not None) == (other in prefixes)
    assert len(tree) == len(prefixes)
    for node in range(len(tree)):
        labels = tree.label[tree.first[node] : tree.first[node + 1]].tolist()
        assert labels == sorted(set(labels))
        assert all(tree.parent[child] == node < child for child in tree.child[tree.first[node] : tree.first[node + 1]])


def test_several_pronunciations_and_homophones():
    phones = Alphabet(("A", "B"), "units")
    tree = build_tree({"one": [("A",), ("A", "B")], "won": [("A",)]}, phones)
    assert words_at(tree, follow(tree, [1])) == ["one", "won"] and words_at(tree, follow(tree, [1, 2])) == ["one"]


def test_the_outlook_is_the_best_word_below():
    tree = build_tree(spell_words(["ab", "abc", "b"]), ALPHABET)
    best = tree.outlook(np.array([-3.0, -1.0, -2.0]))
    for said, score in (("a", -1.0), ("ab", -1.0), ("abc", -1.0), ("b", -2.0), ("", 0.0)):
        assert best[follow(tree, ALPHABET.encode(said))] == score


@given(st.lists(st.text("abc", min_size=1, max_size=5), min_size=1, max_size=30, unique=True), st.randoms())
def test_the_outlook_is_the_best_word_below_whatever_the_words(words, random):
    tree = build_tree(spell_words(words), ALPHABET)
    scores = np.array([random.uniform(-9, 0) for _ in words])
    best = tree.outlook(scores)
    for prefix in {word[:end] for word in words for end in range(1, len(word) + 1)}:
        assert best[follow(tree, ALPHABET.encode(prefix))] == max(scores[i] for i, word in enumerate(words) if word.startswith(prefix))


def test_words_that_cannot_be_spelt_are_kept_apart_or_refused():
    tree = build_tree(spell_words(["ab", "xyz"]), ALPHABET)
    assert tree.words == ("ab",) and tree.unspelt == ("xyz",)
    with pytest.raises(InputError, match=r"none of the 1 words .*'xyz', for one, needs 'x', 'y', 'z'"):
        build_tree(spell_words(["xyz"]), ALPHABET)
    with pytest.raises(InputError, match="holds no words"):
        build_tree({}, ALPHABET)


@given(st.lists(st.text("abcde' xé\U0001f600", max_size=5), min_size=1, max_size=12))
def test_words_by_their_letters_are_those_spelt_one_by_one(words):
    """The error for words that cannot be spelt, too."""
    try:
        expected = build_tree(spell_words(words), ALPHABET)
    except InputError as error:
        with pytest.raises(InputError) as caught:
            build_letter_tree(words, ALPHABET)
        assert str(caught.value) == str(error)
        return
    tree = build_letter_tree(iter(words), ALPHABET)
    assert tree.words == expected.words and tree.unspelt == expected.unspelt
    for name in ("first", "label", "child", "word_first", "word", "parent"):
        got, wanted = getattr(tree, name), getattr(expected, name)
        assert got.dtype == wanted.dtype and got.tolist() == wanted.tolist()


def test_no_words_by_their_letters():
    with pytest.raises(InputError, match="holds no words"):
        build_letter_tree([], ALPHABET)


def test_lexicon_files(tmp_path):
    path = tmp_path / "lexicon.txt"
    path.write_text("abba\ncab\tc a b\ncab  k a b\n\n")
    assert load_spellings(path, ALPHABET) == {"abba": [tuple("abba")], "cab": [tuple("cab"), tuple("kab")]}
    path.write_text("ONE  W AH1 N\nONE(2)  HH W AH1 N\n")
    phones = Alphabet(("AH", "HH", "N", "W"), "units")
    assert load_spellings(path, phones) == {"ONE": [("W", "AH", "N"), ("HH", "W", "AH", "N")]}
    path.write_text("\n")
    with pytest.raises(InputError, match="holds no words"):
        load_spellings(path, ALPHABET)
    with pytest.raises(InputError, match="cannot be read"):
        load_spellings(tmp_path / "none.txt", ALPHABET)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        load_spellings(path, ALPHABET)
