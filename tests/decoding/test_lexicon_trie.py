"""The lexicon trie: it holds exactly the words, knows the best below each node, and is built in two ways alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognizer.decoding.lexicon_trie import build_character_trie, build_trie, load_spellings, spell_words
from recognizer.errors import InputError
from recognizer.text.alphabet import Alphabet

ALPHABET = Alphabet((" ", "'", *"abcde"))


def follow(trie, labels):
    """Node that labels lead to, or None."""
    node = 0
    for label in labels:
        row = slice(trie.first[node], trie.first[node + 1])
        found = trie.child[row][trie.label[row] == label]
        if not len(found):
            return None
        node = int(found[0])
    return node


def words_at(trie, node):
    return [trie.words[i] for i in trie.word[trie.word_first[node] : trie.word_first[node + 1]]]


@given(st.sets(st.text("abcde'", min_size=1, max_size=5), min_size=1, max_size=30), st.text("abcde'", max_size=5))
def test_the_trie_holds_exactly_the_words(words, other):
    trie = build_trie(spell_words(sorted(words)), ALPHABET)
    for word in words:
        assert words_at(trie, follow(trie, ALPHABET.encode(word))) == [word]
    prefixes = {word[:end] for word in words for end in range(len(word) + 1)}
    assert (follow(trie, ALPHABET.encode(other)) is not None) == (other in prefixes)
    assert len(trie) == len(prefixes)
    for node in range(len(trie)):
        labels = trie.label[trie.first[node] : trie.first[node + 1]].tolist()
        assert labels == sorted(set(labels))
        assert all(trie.parent[child] == node < child for child in trie.child[trie.first[node] : trie.first[node + 1]])


def test_several_pronunciations_and_homophones():
    trie = build_trie({"one": [("A",), ("A", "B")], "won": [("A",)]}, Alphabet(("A", "B"), "units"))
    assert words_at(trie, follow(trie, [1])) == ["one", "won"] and words_at(trie, follow(trie, [1, 2])) == ["one"]


@given(st.lists(st.text("abc", min_size=1, max_size=5), min_size=1, max_size=30, unique=True), st.randoms())
def test_the_lookahead_score_is_that_of_the_best_word_below(words, random):
    trie = build_trie(spell_words(words), ALPHABET)
    scores = np.array([random.uniform(-9, 0) for _ in words])
    best = trie.lookahead_scores(scores)
    assert best[0] == 0.0
    for prefix in {word[:end] for word in words for end in range(1, len(word) + 1)}:
        assert best[follow(trie, ALPHABET.encode(prefix))] == max(scores[i] for i, word in enumerate(words) if word.startswith(prefix))


def test_words_that_cannot_be_spelt_are_kept_apart_or_refused():
    trie = build_trie(spell_words(["ab", "xyz"]), ALPHABET)
    assert trie.words == ("ab",) and trie.unspelt == ("xyz",)
    trie = build_trie({"ab": [("a", "b")], "b": []}, ALPHABET)
    assert trie.words == ("ab",) and trie.unspelt == ("b",)
    with pytest.raises(InputError, match=r"none of the 1 words .*'xyz', for one, needs 'x', 'y', 'z'"):
        build_trie(spell_words(["xyz"]), ALPHABET)
    for build, none in ((build_trie, {}), (build_character_trie, [])):
        with pytest.raises(InputError, match="holds no words"):
            build(none, ALPHABET)


@given(st.lists(st.text("abcde' xé\U0001f600", max_size=5), min_size=1, max_size=12))
def test_words_by_their_characters_are_those_spelt_one_by_one(words):
    """The error for words that cannot be spelt, too."""
    try:
        expected = build_trie(spell_words(words), ALPHABET)
    except InputError as error:
        with pytest.raises(InputError) as caught:
            build_character_trie(words, ALPHABET)
        assert str(caught.value) == str(error)
        return
    trie = build_character_trie(iter(words), ALPHABET)
    assert trie.words == expected.words and trie.unspelt == expected.unspelt
    for name in ("first", "label", "child", "word_first", "word", "parent"):
        got, wanted = getattr(trie, name), getattr(expected, name)
        assert got.dtype == wanted.dtype and got.tolist() == wanted.tolist()


def test_lexicon_files(tmp_path):
    path = tmp_path / "lexicon.txt"
    path.write_text("abba\ncab\tc a b\ncab  k a b\n\n")
    assert load_spellings(path, ALPHABET) == {"abba": [tuple("abba")], "cab": [tuple("cab"), tuple("kab")]}
    path.write_text("cab 0.9 c a b\nab 1 a b\n")
    assert load_spellings(path, ALPHABET) == {"cab": [tuple("cab")], "ab": [tuple("ab")]}
    path.write_text("ONE  W AH1 N\nONE(2)  HH W AH1 N\n")
    assert load_spellings(path, Alphabet(("AH", "HH", "N", "W"), "units")) == {"ONE": [("W", "AH", "N"), ("HH", "W", "AH", "N")]}
    path.write_text(";;; as the CMU dictionary has it\ncab\n")
    assert load_spellings(path, ALPHABET) == {"cab": [tuple("cab")]}
    for content, message in ((b"\n", "holds no words"), (b"\xff\xfe\x00", "not UTF-8")):
        path.write_bytes(content)
        with pytest.raises(InputError, match=message):
            load_spellings(path, ALPHABET)
    with pytest.raises(InputError, match="cannot be read"):
        load_spellings(tmp_path / "none.txt", ALPHABET)
