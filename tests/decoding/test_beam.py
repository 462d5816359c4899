"""The beam search against brute force over all paths, with and without models, and what must never change a result."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognizer.config import DecoderConfig
from recognizer.decoding.beam import BeamDecoder
from recognizer.decoding.ctc_score import label_log_prob
from recognizer.decoding.decoder import Models
from recognizer.decoding.greedy import greedy
from recognizer.decoding.hotwords import build_hotwords
from recognizer.decoding.lexicon_trie import build_trie, spell_words
from recognizer.errors import ConfigError, InputError
from recognizer.lm.kneser_ney import estimate_ngram
from recognizer.text.alphabet import Alphabet
from tests.decoding.brute import labeling_scores, normalized, peaked, random_log_probs

ABC = Alphabet(("a", "b", "c"))
SPACED = Alphabet((" ", "a", "b"))
PHONES = Alphabet(("A", "B", "C"), "units")
WIDE = DecoderConfig(kind="beam", beam_size=5000, beam_size_token=100, token_threshold=1e6, beam_threshold=1e6, blank_skip=1.0)
EVERYTHING = 10**6
PRONUNCIATIONS = {"one": [("A",), ("B", "A")], "won": [("A",)], "two": [("A", "B")], "too": [("C", "C")]}

Labels = tuple[int, ...]


@st.composite
def tables(draw: st.DrawFn, size: int = 4, most: int = 5) -> np.ndarray:
    value = st.floats(-8, 8) | st.sampled_from([-math.inf, 0.0, 0.0, -700.0])
    logits = np.array(draw(st.lists(st.lists(value, min_size=size, max_size=size), min_size=1, max_size=most)))
    logits[np.isneginf(logits).all(axis=1)] = 0.0
    return normalized(logits)


def possible(table: np.ndarray) -> dict[Labels, float]:
    return {labels: score for labels, score in labeling_scores(table).items() if score > -600}


def exact(table: np.ndarray, labels: Labels) -> float:
    return label_log_prob(table, np.array(labels, np.int32))


def beam(size: int = 50, **settings: object) -> BeamDecoder:
    return BeamDecoder(ABC, DecoderConfig(kind="beam", beam_size=size, **settings))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def letters():
    return estimate_ngram(["ab ba", "abba", "a b", "bab ab", "ab", "b a b"], order=3, level="characters")


@pytest.fixture(scope="module")
def words():
    return estimate_ngram(["ab ba", "a ab", "ab a ba", "ba", "a a", "b ab a"], order=2, level="words")


@pytest.fixture(scope="module")
def numerals():
    return estimate_ngram(["one two", "two too one", "won one", "too", "one one two"], order=3, level="words")


@settings(max_examples=60, deadline=None)
@given(tables())
def test_a_beam_as_wide_as_the_space_sums_over_all_paths(table):
    found = BeamDecoder(ABC, WIDE).decode(table, EVERYTHING)
    scores = {h.labels: h.score for h in found}
    assert len(scores) == len(found)
    assert [h.score for h in found] == sorted(scores.values(), reverse=True)
    for labels, score in possible(table).items():
        assert scores[labels] == pytest.approx(score, abs=1e-9)
        assert exact(table, labels) == pytest.approx(score, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(tables(most=12))
def test_beam_size_one_without_models_is_greedy(table):
    assert beam(1).decode(table, 3) == [greedy(table)]


@pytest.mark.parametrize("size", [2, 5, 20])
def test_a_small_beam_never_claims_more_than_the_sum_over_all_paths(size):
    for seed in range(30):
        table = random_log_probs(seed, 40)
        for h in beam(size).decode(table, size):
            assert h.score <= exact(table, h.labels) + 1e-9
            assert (h.acoustic, h.language, h.bonus) == (h.score, 0, 0)


def test_larger_beams_find_better_labelings():
    many = [random_log_probs(seed, 60, sharpness=1.0) for seed in range(20)]
    scores = [np.mean([exact(table, beam(size).decode(table)[0].labels) for table in many]) for size in (1, 2, 4, 16, 64)]
    assert all(later >= earlier - 1e-9 for earlier, later in pairwise(scores)) and scores[-1] > scores[0]


def check_against(decoder: BeamDecoder, table: np.ndarray, total: Callable[[Labels], float | None]) -> None:
    """Compare a wide beam with acoustic brute force plus ``total``, which is None where a labeling is ruled out."""
    expected = {labels: score + extra for labels, score in possible(table).items() if (extra := total(labels)) is not None}
    found = decoder.decode(table, EVERYTHING)
    best: dict[Labels, float] = {}
    for h in found:
        assert h.score == pytest.approx(h.acoustic + h.language + h.bonus, abs=1e-9)
        best[h.labels] = max(best.get(h.labels, -math.inf), h.score)
    for labels, score in expected.items():
        assert best[labels] == pytest.approx(score, abs=1e-5)
    assert found[0].score == pytest.approx(max(expected.values()), abs=1e-5)
    assert all(labels in expected or score < -500 for labels, score in best.items())


@pytest.mark.parametrize("seed", range(4))
def test_a_character_model_equals_exhaustive_search(letters, seed):
    decoder = BeamDecoder(SPACED, replace(WIDE, lm_weight=0.7, word_score=0.3), Models(tokens=letters))
    check_against(decoder, random_log_probs(seed, 5), lambda labels: 0.7 * letters.sentence_log_prob(SPACED.spell(labels)) + 0.3 * len(labels))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("characters", [False, True])
def test_an_open_word_model_equals_exhaustive_search(words, letters, characters, seed):
    config = replace(WIDE, lm_weight=0.8, char_lm_weight=0.4, word_score=0.5, token_score=0.4, unk_score=-1.5)
    known = set(words.symbols[3:])
    models = Models(words=words, tokens=letters if characters else None, trie=build_trie(spell_words(words.symbols[3:]), SPACED))

    def total(labels: Labels) -> float:
        found = SPACED.decode(labels).split()
        score = 0.8 * words.sentence_log_prob(found) + 0.5 * len(found) + 0.4 * len(labels) - 1.5 * sum(word not in known for word in found)
        return score + (0.4 * letters.sentence_log_prob(SPACED.spell(labels)) if characters else 0.0)

    check_against(BeamDecoder(SPACED, config, models), random_log_probs(seed, 5 if characters else 6), total)


@pytest.mark.parametrize("seed", range(4))
def test_a_closed_vocabulary_of_characters_equals_exhaustive_search(words, seed):
    config = replace(WIDE, lm_weight=0.8, word_score=0.5, vocabulary="closed", lexicon="named elsewhere")
    known = {"ab", "ba", "a"}
    decoder = BeamDecoder(SPACED, config, Models(words=words, trie=build_trie(spell_words(sorted(known)), SPACED)))

    def total(labels: Labels) -> float | None:
        text = SPACED.decode(labels)
        if text == "":
            return 0.8 * words.sentence_log_prob([])
        parts = text.removesuffix(" ").split(" ")
        return 0.8 * words.sentence_log_prob(parts) + 0.5 * len(parts) if set(parts) <= known else None

    check_against(decoder, random_log_probs(seed, 6), total)


def segmentations(units: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Every way to cut units into words of PRONUNCIATIONS."""
    if not units:
        return [()]
    starts = [(word, way) for word, ways in PRONUNCIATIONS.items() for way in ways if units[: len(way)] == way]
    return [(word, *rest) for word, way in starts for rest in segmentations(units[len(way) :])]


@pytest.mark.parametrize("seed", range(4))
def test_a_pronouncing_lexicon_equals_exhaustive_search(numerals, seed):
    """Written as words, each text comes once, with its likeliest pronunciation; written as phones, each labeling with its likeliest words."""
    config = replace(WIDE, lm_weight=0.9, word_score=0.2, token_score=-0.3, lexicon="named elsewhere")
    models = Models(words=numerals, trie=build_trie(PRONUNCIATIONS, PHONES))
    table = random_log_probs(seed, 5)
    by_words: dict[Labels | tuple[str, ...], float] = {}
    by_labels: dict[Labels | tuple[str, ...], float] = {}
    for labels, acoustic in possible(table).items():
        for words in segmentations(tuple(PHONES.spell(labels))):
            score = acoustic + 0.9 * numerals.sentence_log_prob(list(words)) + 0.2 * len(words) - 0.3 * len(labels)
            by_words[words] = max(by_words.get(words, -math.inf), score)
            by_labels[labels] = max(by_labels.get(labels, -math.inf), score)
    found = BeamDecoder(PHONES, config, models).decode(table, EVERYTHING)
    written = BeamDecoder(PHONES, replace(config, words=False), models).decode(table, EVERYTHING)
    for expected, got in ((by_words, [(h.words, h.score) for h in found]), (by_labels, [(h.labels, h.score) for h in written])):
        assert len(dict(got)) == len(got) and [score for _, score in got] == sorted(dict(got).values(), reverse=True)
        assert dict(got) == {text: pytest.approx(score, abs=1e-5) for text, score in expected.items()}
    for h in found[:50]:
        units = tuple(PHONES.spell(h.labels))
        assert all(units[begin:end] in PRONUNCIATIONS[word] for word, (begin, end) in zip(h.words, h.spans, strict=True))
        assert h.words in segmentations(units)
        assert h.score == pytest.approx(h.acoustic + h.language + h.bonus, abs=1e-9)
        assert h.language == pytest.approx(0.9 * numerals.sentence_log_prob(list(h.words)), abs=1e-5)
    assert BeamDecoder(PHONES, config, models).decode(table, 7) == found[:7]


def test_words_know_their_places(words):
    config = replace(WIDE, vocabulary="open", unk_score=-1.0)
    decoder = BeamDecoder(SPACED, config, Models(words=words, trie=build_trie(spell_words(words.symbols[3:]), SPACED)))
    for seed in range(5):
        for h in decoder.decode(random_log_probs(seed, 8), 20):
            text = SPACED.decode(h.labels)
            assert list(h.words) == text.split() == [text[begin:end] for begin, end in h.spans]


def test_a_closed_lexicon_that_nothing_fits_is_cut_to_whole_words():
    config = DecoderConfig(kind="beam", beam_size=4, beam_threshold=10, token_score=0.25, vocabulary="closed", lexicon="x")
    decoder = BeamDecoder(SPACED, config, Models(trie=build_trie(spell_words(["ab", "aaa"]), SPACED)))
    table = peaked([2, 3, 1, 2, 0, 2], 4)  # "ab aa": no word is "aa", and nothing else is likely
    best = decoder.decode(table)[0]
    assert best.words == ("ab",) and SPACED.decode(best.labels) == "ab"
    assert best.score == pytest.approx(exact(table, (2, 3)) + 0.5)


def test_weight_zero_is_no_model(words, letters):
    trie = build_trie(spell_words(words.symbols[3:]), SPACED)
    config = DecoderConfig(kind="beam", beam_size=12, lm_weight=0.0, char_lm_weight=0.0, unk_score=0.0)
    for seed in range(10):
        table = random_log_probs(seed, 30)
        plain = [(h.labels, h.score) for h in BeamDecoder(SPACED, config).decode(table, 5)]
        for models in (Models(tokens=letters), Models(words=words, trie=trie), Models(words=words, trie=trie, tokens=letters)):
            assert [(h.labels, h.score) for h in BeamDecoder(SPACED, config, models).decode(table, 5)] == plain


def test_equal_scores_come_in_a_fixed_order():
    flat = normalized(np.zeros((6, 4)))
    first = beam(10).decode(flat, 10)
    assert all(beam(10).decode(flat, 10) == first for _ in range(3))


def test_single_and_double_precision_agree():
    for seed in range(10):
        table = random_log_probs(seed, 50)
        double, single = (beam().decode(table.astype(kind))[0] for kind in (np.float64, np.float32))
        assert double.labels == single.labels and double.score == pytest.approx(single.score, abs=1e-4)


def test_the_number_of_threads_changes_nothing(letters):
    decoder = BeamDecoder(SPACED, DecoderConfig(kind="beam"), Models(tokens=letters))
    many = [random_log_probs(seed, 40) for seed in range(20)]
    assert list(decoder.decode_all(many, 3, threads=1)) == list(decoder.decode_all(many, 3, threads=4)) == [decoder.decode(t, 3) for t in many]


def test_pruning_and_blank_skipping_keep_the_best_of_peaked_log_probs():
    for seed in range(20):
        table = random_log_probs(seed, 60, sharpness=6.0)
        assert beam().decode(table)[0].labels == BeamDecoder(ABC, replace(WIDE, beam_size=200)).decode(table)[0].labels


def test_a_prefix_that_returns_is_not_counted_twice():
    for seed in range(60):  # small beams lose prefixes whose descendants live on, and meet them again
        found = beam(6).decode(random_log_probs(seed, 25, sharpness=1.0), 6)
        assert len({h.labels for h in found}) == len(found)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("phrases", [{"ab": 3.0}, {"a": 1.5, "a b": 2.5, "ab": -2.0}, {"b a": 2.0, "a": 0.5}])
def test_hotwords_count_wherever_they_stand_as_whole_words(seed, phrases):
    def total(labels: Labels) -> float:
        text = f" {SPACED.decode(labels)} "
        return sum(weight * sum(text[i:].startswith(f" {phrase} ") for i in range(len(text))) for phrase, weight in phrases.items())

    check_against(BeamDecoder(SPACED, WIDE, Models(hotwords=build_hotwords(phrases, SPACED))), random_log_probs(seed, 6), total)


@pytest.mark.parametrize("seed", range(3))
def test_hotwords_of_units_count_wherever_they_stand(seed):
    phrases = {"A B": 2.0, "B": 0.5, "B A B": 1.0}

    def total(labels: Labels) -> float:
        units = PHONES.spell(labels)
        return sum(w * sum(units[i : i + len(p.split())] == p.split() for i in range(len(units))) for p, w in phrases.items())

    check_against(BeamDecoder(PHONES, WIDE, Models(hotwords=build_hotwords(phrases, PHONES))), random_log_probs(seed, 5), total)


def test_a_hotword_that_nothing_speaks_for_is_not_hallucinated():
    table = normalized(np.array([[0, 0, 9, 0], [0, 0, 5, 4.5], [0, 0, 0, 9]], float))
    hotwords = build_hotwords({"abab": 9.0, "a b": -9.0}, SPACED)
    best = BeamDecoder(SPACED, DecoderConfig(kind="beam"), Models(hotwords=hotwords)).decode(table)[0]
    assert SPACED.decode(best.labels) == "ab" and best.bonus == 0.0


def test_every_label_has_a_frame():
    for seed in range(10):
        best = beam().decode(random_log_probs(seed, 30, sharpness=5.0))[0]
        assert len(best.frames) == len(best.labels) and all(0 <= frame < 30 for frame in best.frames)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.full((3, 4), np.nan), "NaN"),
        (np.array([[0.0, -np.inf, -np.inf, np.inf]]), "NaN or \\+inf"),
        (np.array([[2.0, 1.0, 0.0, 3.0]]), "sum to .* log_softmax"),
        (random_log_probs(0, 3, 5), "5 labels, the alphabet has 4"),
        (np.zeros(4), "two axes"),
    ],
)
def test_impossible_log_probs_are_refused(table, message):
    with pytest.raises(InputError, match=message):
        beam().decode(table)


def test_no_frames_give_nothing_and_one_frame_at_most_one_symbol():
    assert beam().decode(np.empty((0, 4)))[0].labels == ()
    assert len(beam().decode(random_log_probs(1, 1))[0].labels) <= 1


def test_models_that_do_not_fit_are_refused(words):
    with pytest.raises(ConfigError, match=r"decoder\.lm"):
        BeamDecoder(SPACED, WIDE, Models(words=words))
    with pytest.raises(ConfigError, match=r"decoder\.vocabulary"):
        BeamDecoder(PHONES, WIDE, Models(trie=build_trie(PRONUNCIATIONS, PHONES)))


def test_repeats_need_a_blank():
    assert beam().decode(peaked([1, 1, 0, 1, 2, 2], 4, 20.0))[0].labels == (1, 1, 2)
