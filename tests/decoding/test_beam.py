from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import groupby, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognizer.alphabet import Alphabet
from recognizer.config import DecoderConfig
from recognizer.decoding.beam import BeamDecoder, Models
from recognizer.decoding.greedy import greedy
from recognizer.decoding.hotwords import build_hotwords
from recognizer.decoding.ngram_estimate import estimate_ngram
from recognizer.decoding.path_sums import label_log_prob
from recognizer.decoding.word_tree import build_tree, spell_words
from recognizer.errors import ConfigError, InputError
from tests.decoding.brute import labelling_scores, normalised

ABC = Alphabet(("a", "b", "c"))
SPACED = Alphabet((" ", "a", "b"))
PHONES = Alphabet(("A", "B", "C"), "units")
WIDE = DecoderConfig(kind="beam", width=5000, labels=100, label_threshold=1e6, score_threshold=1e6, blank_skip=1.0)
EVERYTHING = 10**6
PRONUNCIATIONS = {"one": [("A",), ("B", "A")], "won": [("A",)], "two": [("A", "B")], "too": [("C", "C")]}


def emissions(seed: int, frames: int, size: int = 4, sharp: float = 2.0) -> np.ndarray:
    return normalised(np.random.default_rng(seed).normal(size=(frames, size)) * sharp)


@st.composite
def tables(draw: st.DrawFn, size: int = 4, most: int = 5) -> np.ndarray:
    value = st.floats(-8, 8) | st.sampled_from([-math.inf, 0.0, 0.0, -700.0])
    rows = draw(st.lists(st.lists(value, min_size=size, max_size=size), min_size=1, max_size=most))
    logits = np.array(rows)
    logits[np.isneginf(logits).all(axis=1)] = 0.0
    return normalised(logits)


def possible(table: np.ndarray) -> dict[tuple[int, ...], float]:
    return {labels: score for labels, score in labelling_scores(table).items() if score > -600}


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
        assert label_log_prob(table, np.array(labels, np.int32)) == pytest.approx(score, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(tables(most=12))
def test_width_one_without_models_is_greedy(table):
    assert BeamDecoder(ABC, DecoderConfig(kind="beam", width=1)).decode(table, 3) == [greedy(table)]


@pytest.mark.parametrize("width", [2, 5, 20])
def test_a_narrow_beam_never_claims_more_than_the_sum_over_all_paths(width):
    for seed in range(30):
        table = emissions(seed, 40)
        for h in BeamDecoder(ABC, DecoderConfig(kind="beam", width=width)).decode(table, width):
            assert h.score <= label_log_prob(table, np.array(h.labels, np.int32)) + 1e-9
            assert (h.acoustic, h.language, h.bonus) == (h.score, 0, 0)


def test_wider_beams_find_better_labellings():
    def mean(width: int) -> float:
        decoder = BeamDecoder(ABC, DecoderConfig(kind="beam", width=width))
        tables = [emissions(seed, 60, sharp=1.0) for seed in range(20)]
        return float(np.mean([label_log_prob(t, np.array(decoder.decode(t)[0].labels, np.int32)) for t in tables]))

    scores = [mean(width) for width in (1, 2, 4, 16, 64)]
    assert all(later >= earlier - 1e-9 for earlier, later in pairwise(scores)) and scores[-1] > scores[0]


def check_against(decoder: BeamDecoder, table: np.ndarray, total: Callable[[tuple[int, ...]], float | None]) -> None:
    """Compare a wide beam with acoustic brute force plus ``total``, which is None where a labelling is ruled out."""
    expected = {labels: score + extra for labels, score in possible(table).items() if (extra := total(labels)) is not None}
    found = decoder.decode(table, EVERYTHING)
    best: dict[tuple[int, ...], float] = {}
    for h in found:
        assert h.score == pytest.approx(h.acoustic + h.language + h.bonus, abs=1e-9)
        best[h.labels] = max(best.get(h.labels, -math.inf), h.score)
    for labels, score in expected.items():
        assert best[labels] == pytest.approx(score, abs=1e-5)
    assert found[0].score == pytest.approx(max(expected.values()), abs=1e-5)
    assert all(labels in expected or score < -500 for labels, score in best.items())


@pytest.mark.parametrize("seed", range(4))
def test_character_model_equals_exhaustive_search(letters, seed):
    decoder = BeamDecoder(SPACED, replace(WIDE, lm_weight=0.7, insertion=0.3), Models(letters=letters))
    check_against(decoder, emissions(seed, 5), lambda labels: 0.7 * letters.sentence_log_prob(SPACED.spell(labels)) + 0.3 * len(labels))


def open_score(labels: tuple[int, ...], model, known: set[str], weight: float, config: DecoderConfig) -> float:
    said = SPACED.decode(labels).split(" ")
    said = [word for word in said if word]
    language = weight * model.sentence_log_prob(said)
    return language + config.insertion * len(said) + config.symbol_insertion * len(labels) + config.unknown * sum(word not in known for word in said)


@pytest.mark.parametrize("seed", range(4))
def test_open_word_model_equals_exhaustive_search(words, seed):
    config = replace(WIDE, lm_weight=0.8, insertion=0.5, symbol_insertion=0.4, unknown=-1.5)
    tree = build_tree(spell_words(words.symbols[3:]), SPACED)
    decoder = BeamDecoder(SPACED, config, Models(words=words, tree=tree))
    check_against(decoder, emissions(seed, 6), lambda labels: open_score(labels, words, set(words.symbols[3:]), 0.8, config))


@pytest.mark.parametrize("seed", range(4))
def test_word_and_character_models_together_equal_exhaustive_search(words, letters, seed):
    config = replace(WIDE, lm_weight=0.5, char_lm_weight=0.4, insertion=-0.5, unknown=-2.0)
    tree = build_tree(spell_words(words.symbols[3:]), SPACED)
    decoder = BeamDecoder(SPACED, config, Models(words=words, letters=letters, tree=tree))
    check_against(decoder, emissions(seed, 5), lambda labels: open_score(labels, words, set(words.symbols[3:]), 0.5, config)
        + 0.4 * letters.sentence_log_prob(SPACED.spell(labels)))


@pytest.mark.parametrize("seed", range(4))
def test_closed_vocabulary_of_characters_equals_exhaustive_search(words, seed):
    config = replace(WIDE, lm_weight=0.8, insertion=0.5, vocabulary="closed", lexicon="named elsewhere")
    known = {"ab", "ba", "a"}
    decoder = BeamDecoder(SPACED, config, Models(words=words, tree=build_tree(spell_words(sorted(known)), SPACED)))

    def total(labels: tuple[int, ...]) -> float | None:
        said = SPACED.decode(labels)
        if said == "":
            return 0.8 * words.sentence_log_prob([])
        parts = said.removesuffix(" ").split(" ")
        return 0.8 * words.sentence_log_prob(parts) + 0.5 * len(parts) if set(parts) <= known else None

    check_against(decoder, emissions(seed, 6), total)


def segmentations(units: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Every way to cut units into words of PRONUNCIATIONS."""
    if not units:
        return [()]
    return [
        (word, *rest)
        for word, ways in PRONUNCIATIONS.items()
        for way in ways
        if units[: len(way)] == way
        for rest in segmentations(units[len(way) :])
    ]


@pytest.mark.parametrize("seed", range(4))
def test_pronouncing_lexicon_equals_exhaustive_search(numerals, seed):
    config = replace(WIDE, lm_weight=0.9, insertion=0.2, symbol_insertion=-0.3, lexicon="named elsewhere")
    decoder = BeamDecoder(PHONES, config, Models(words=numerals, tree=build_tree(PRONUNCIATIONS, PHONES)))
    table = emissions(seed, 5)

    def total(labels: tuple[int, ...]) -> float | None:
        ways = segmentations(tuple(PHONES.spell(labels)))
        return max((0.9 * numerals.sentence_log_prob(list(way)) + 0.2 * len(way) - 0.3 * len(labels) for way in ways), default=None)

    check_against(decoder, table, total)
    for h in decoder.decode(table, 50):
        assert [PHONES.spell(h.labels)[a:b] for a, b in h.spans] in [
            [list(way) for way in ways] for ways in _pronounced(h.words)
        ]
        assert h.language == pytest.approx(0.9 * numerals.sentence_log_prob(list(h.words)), abs=1e-5)


def _pronounced(said: tuple[str, ...]) -> list[list[tuple[str, ...]]]:
    ways: list[list[tuple[str, ...]]] = [[]]
    for word in said:
        ways = [[*way, spelt] for way in ways for spelt in PRONUNCIATIONS[word]]
    return ways


def test_words_know_their_places(words):
    config = replace(WIDE, vocabulary="open", unknown=-1.0)
    decoder = BeamDecoder(SPACED, config, Models(words=words, tree=build_tree(spell_words(words.symbols[3:]), SPACED)))
    for seed in range(5):
        for h in decoder.decode(emissions(seed, 8), 20):
            text = SPACED.decode(h.labels)
            assert list(h.words) == text.split()
            assert [text[a:b] for a, b in h.spans] == text.split()


def test_a_closed_lexicon_that_nothing_fits_is_cut_to_whole_words():
    alphabet = Alphabet((" ", "a", "b"))
    tree = build_tree(spell_words(["ab", "aaa"]), alphabet)
    config = DecoderConfig(kind="beam", width=4, score_threshold=10, symbol_insertion=0.25, vocabulary="closed", lexicon="x")
    decoder = BeamDecoder(alphabet, config, Models(tree=tree))
    spoken = [2, 3, 1, 2, 0, 2]  # "ab aa": no word is "aa", and nothing else is likely
    table = normalised(np.where(np.arange(4) == np.array(spoken)[:, None], 12.0, 0.0))
    best = decoder.decode(table)[0]
    assert best.words == ("ab",) and alphabet.decode(best.labels) == "ab"
    assert best.score == pytest.approx(label_log_prob(table, np.array([2, 3], np.int32)) + 0.5)


def test_weight_zero_is_no_model(words, letters):
    tree = build_tree(spell_words(words.symbols[3:]), SPACED)
    config = DecoderConfig(kind="beam", width=12, lm_weight=0.0, char_lm_weight=0.0, unknown=0.0)
    for seed in range(10):
        table = emissions(seed, 30)
        plain = BeamDecoder(SPACED, config).decode(table, 5)
        for models in (Models(letters=letters), Models(words=words, tree=tree), Models(words=words, tree=tree, letters=letters)):
            assert [(h.labels, h.score) for h in BeamDecoder(SPACED, config, models).decode(table, 5)] == [(h.labels, h.score) for h in plain]


def test_equal_scores_come_in_a_fixed_order():
    flat = normalised(np.zeros((6, 4)))
    first = BeamDecoder(ABC, DecoderConfig(kind="beam", width=10)).decode(flat, 10)
    assert all(BeamDecoder(ABC, DecoderConfig(kind="beam", width=10)).decode(flat, 10) == first for _ in range(3))


def test_single_and_double_precision_agree():
    for seed in range(10):
        table = emissions(seed, 50)
        double, single = (BeamDecoder(ABC, DecoderConfig(kind="beam")).decode(table.astype(kind))[0] for kind in (np.float64, np.float32))
        assert double.labels == single.labels and double.score == pytest.approx(single.score, abs=1e-4)


def test_the_number_of_threads_changes_nothing(letters):
    decoder = BeamDecoder(SPACED, DecoderConfig(kind="beam"), Models(letters=letters))
    many = [emissions(seed, 40) for seed in range(20)]
    assert list(decoder.decode_all(many, 3, threads=1)) == list(decoder.decode_all(many, 3, threads=4)) == [decoder.decode(t, 3) for t in many]


def test_pruning_and_blank_skipping_keep_the_best_of_peaked_emissions():
    for seed in range(20):
        table = emissions(seed, 60, sharp=6.0)
        exact = BeamDecoder(ABC, replace(WIDE, width=200)).decode(table)[0]
        assert BeamDecoder(ABC, DecoderConfig(kind="beam")).decode(table)[0].labels == exact.labels


def test_a_prefix_that_returns_is_not_counted_twice():
    for seed in range(60):  # narrow beams lose prefixes whose descendants live on, and meet them again
        found = BeamDecoder(ABC, DecoderConfig(kind="beam", width=6)).decode(emissions(seed, 25, sharp=1.0), 6)
        assert len({h.labels for h in found}) == len(found)


def hot_total(labels: tuple[int, ...], phrases: dict[str, float]) -> float:
    """Each phrase counts wherever it stands between word boundaries."""
    said = f" {SPACED.decode(labels)} "
    return sum(weight * sum(said[i:].startswith(f" {phrase} ") for i in range(len(said))) for phrase, weight in phrases.items())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("phrases", [{"ab": 3.0}, {"a": 1.5, "a b": 2.5, "ab": -2.0}, {"b a": 2.0, "a": 0.5}])
def test_hotwords_count_whole_words_and_are_refunded(seed, phrases):
    decoder = BeamDecoder(SPACED, WIDE, Models(hotwords=build_hotwords(phrases, SPACED)))
    check_against(decoder, emissions(seed, 6), lambda labels: hot_total(labels, phrases))


@pytest.mark.parametrize("seed", range(3))
def test_hotwords_of_units_count_wherever_they_stand(seed):
    phrases = {"A B": 2.0, "B": 0.5, "B A B": 1.0}
    decoder = BeamDecoder(PHONES, WIDE, Models(hotwords=build_hotwords(phrases, PHONES)))

    def total(labels: tuple[int, ...]) -> float:
        units = PHONES.spell(labels)
        return sum(w * sum(units[i : i + len(p.split())] == p.split() for i in range(len(units))) for p, w in phrases.items())

    check_against(decoder, emissions(seed, 5), total)


def test_a_hotword_wins_over_what_sounds_like_it():
    table = normalised(np.array([[0, 0, 9, 0], [0, 0, 5, 4.5], [0, 0, 0, 9]], float))
    alphabet = SPACED
    plain = BeamDecoder(alphabet, DecoderConfig(kind="beam")).decode(table)[0]
    hot = BeamDecoder(alphabet, DecoderConfig(kind="beam"), Models(hotwords=build_hotwords({"abab": 9.0, "a b": -9.0}, alphabet))).decode(table)[0]
    assert alphabet.decode(plain.labels) == "ab" == alphabet.decode(hot.labels)  # what was not said is not made up
    assert hot.bonus == 0.0


def test_frames_lie_where_the_labels_were_read():
    for seed in range(10):
        table = emissions(seed, 30, sharp=5.0)
        best = BeamDecoder(ABC, DecoderConfig(kind="beam")).decode(table)[0]
        assert len(best.frames) == len(best.labels) and all(0 <= f < 30 for f in best.frames)


@pytest.mark.parametrize(("table", "message"), [
    (np.full((3, 4), np.nan), "NaN"),
    (np.array([[0.0, -np.inf, -np.inf, np.inf]]), "NaN or \\+inf"),
    (np.array([[2.0, 1.0, 0.0, 3.0]]), "sum to .* log_softmax"),
    (emissions(0, 3, 5), "5 labels, the alphabet has 4"),
    (np.zeros(4), "two axes"),
])
def test_emissions_that_cannot_be_are_refused(table, message):
    with pytest.raises(InputError, match=message):
        BeamDecoder(ABC, DecoderConfig(kind="beam")).decode(table)


def test_no_frames_say_nothing_and_one_frame_says_one_symbol():
    decoder = BeamDecoder(ABC, DecoderConfig(kind="beam"))
    assert decoder.decode(np.empty((0, 4)))[0].labels == ()
    assert len(decoder.decode(emissions(1, 1))[0].labels) <= 1


def test_models_that_do_not_fit_are_refused(words):
    with pytest.raises(ConfigError, match=r"decoder\.lm"):
        BeamDecoder(SPACED, WIDE, Models(words=words))
    with pytest.raises(ConfigError, match=r"decoder\.vocabulary"):
        BeamDecoder(PHONES, WIDE, Models(tree=build_tree(PRONUNCIATIONS, PHONES)))


def test_repeats_need_a_blank():
    labels = [1, 1, 0, 1, 2, 2]
    table = normalised(np.where(np.arange(4) == np.array(labels)[:, None], 20.0, 0.0))
    assert BeamDecoder(ABC, DecoderConfig(kind="beam")).decode(table)[0].labels == tuple(k for k, _ in groupby(labels) if k)
