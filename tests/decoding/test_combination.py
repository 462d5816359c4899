"""Two recognizers that decide together, by words and by tokens, against a search through all word sequences or labelings."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from recognizer.config import DecoderConfig
from recognizer.decoding import combination
from recognizer.decoding.combination import SystemCombination, TokenCombination, WordCombination
from recognizer.decoding.ctc_score import choose_ways, label_log_prob
from recognizer.decoding.decoder import load_decoder
from recognizer.errors import ConfigError, InputError
from recognizer.lm.binary import load_ngram, save_ngram
from recognizer.lm.kneser_ney import estimate_ngram
from recognizer.text.alphabet import Alphabet
from tests.decoding.brute import normalized, peaked, random_log_probs

LETTERS, PHONES = Alphabet((" ", "a", "b")), Alphabet(("A", "B", "C"), "units")
OTHERS = Alphabet(("b", "c", " ", "a"))  # the letters in another order, with a symbol of its own
LEXICON = {"ab": ("A", "B"), "a": ("A",), "ba": ("C", "A")}
TEXTS = ["ab ba", "a ab", "ab a ba", "ba", "a a", "ba ab a", "b"]
WIDE = {"beam_size": 5000, "beam_size_token": 100, "token_threshold": 1e6, "beam_threshold": 1e6, "blank_skip": 1.0}
WEIGHTS = {"lm_weight": 0.8, "char_lm_weight": 0.6, "word_score": 0.4, "token_score": 0.3, "unk_score": -2.0, "combine_weight": 0.35}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    for name, level in (("lm", "words"), ("char_lm", "characters")):
        save_ngram(estimate_ngram(TEXTS, order=2, level=level), folder / f"{name}.ngram")  # type: ignore[arg-type]
    (folder / "lexicon.txt").write_text("".join(f"{word} {' '.join(phones)}\n" for word, phones in LEXICON.items()) + "zz A A\n")
    return {"lm": str(folder / "lm.ngram"), "char_lm": str(folder / "char_lm.ngram"), "lexicon": str(folder / "lexicon.txt")}


@pytest.fixture(autouse=True)
def all_hypotheses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that a short table can say is left out."""
    monkeypatch.setattr(combination, "TOKEN_PROPOSALS", 100)


def settings(**changes: object) -> DecoderConfig:
    return DecoderConfig(kind="beam", **{**WIDE, **WEIGHTS, "combine_with": "other", **changes})  # type: ignore[arg-type]


def letters_first(files: dict[str, str], **changes: object) -> SystemCombination:
    words = {"lm": files["lm"], "combine_lexicon": files["lexicon"], "vocabulary": "closed"}
    decoder = load_decoder(settings(**{**words, **changes}), LETTERS, second=PHONES)
    assert isinstance(decoder, WordCombination)
    return decoder


def phones_first(files: dict[str, str], **changes: object) -> SystemCombination:
    words = {"lm": files["lm"], "lexicon": files["lexicon"], "vocabulary": "closed"}
    decoder = load_decoder(settings(**{**words, **changes}), PHONES, second=LETTERS)
    assert isinstance(decoder, WordCombination)
    return decoder


def by_tokens(files: dict[str, str] | None = None, **changes: object) -> SystemCombination:
    models = {} if files is None else {"lm": files["lm"], "char_lm": files["char_lm"]}
    decoder = load_decoder(settings(**{**models, "vocabulary": "open", **changes}), LETTERS, second=OTHERS)
    assert isinstance(decoder, TokenCombination)
    return decoder


def two_tables(seed: int, frames: int = 6, sizes: tuple[int, int] = (4, 4)) -> tuple[np.ndarray, np.ndarray]:
    """Log-probs of two recognizers."""
    return random_log_probs(2 * seed, frames, sizes[0]), random_log_probs(2 * seed + 1, frames, sizes[1])


def reordered(table: np.ndarray) -> np.ndarray:
    """Log-probs over ``OTHERS`` in the order of ``LETTERS``, without what those cannot write."""
    part = table[:, [0, 3, 4, 1]]
    return part - np.log(np.exp(part).sum(axis=1, keepdims=True))


def check_order(found: list) -> None:
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)
    assert all(h.score == pytest.approx(h.acoustic + h.language + h.bonus, abs=1e-9) for h in found)
    assert all(len(h.frames) == len(h.labels) and list(h.frames) == sorted(h.frames) for h in found)


def word_scores(files: dict[str, str], letters: np.ndarray, phones: np.ndarray, share: float, symbols: str) -> dict[tuple[str, ...], float]:
    """The score of every sequence of up to four words; ``share`` is that of the phones."""
    model, scores = load_ngram(files["lm"]), {}
    for count in range(5):
        for words in product(LEXICON, repeat=count):
            spelt = LETTERS.encode(" ".join(words))
            spoken = PHONES.encode([phone for word in words for phone in LEXICON[word]])
            one, other = (label_log_prob(table, np.array(labels, np.int64)) for table, labels in ((letters, spelt), (phones, spoken)))
            bonus = 0.4 * count + 0.3 * len(spelt if symbols == "letters" else spoken)
            scores[words] = (1 - share) * one + share * other + 0.8 * model.sentence_log_prob(words) + bonus
    return {words: score for words, score in scores.items() if math.isfinite(score)}


@pytest.mark.parametrize("seed", range(8))
def test_words_are_scored_by_all_paths_of_both(files, seed: int) -> None:
    letters, phones = two_tables(seed)
    for found, expected in (
        (letters_first(files).decode(np.hstack([letters, phones]), 20), word_scores(files, letters, phones, 0.35, "letters")),
        (phones_first(files).decode(np.hstack([phones, letters]), 20), word_scores(files, letters, phones, 0.65, "phones")),
    ):
        check_order(found)
        assert len({h.words for h in found}) == len(found) > 1
        assert all(h.score == pytest.approx(expected[h.words], abs=1e-5) for h in found)
        assert found[0].words == max(expected, key=lambda words: expected[words])


@pytest.mark.parametrize("seed", range(6))
def test_tokens_are_scored_by_all_paths_of_both(files, seed: int) -> None:
    (own, other), model = two_tables(seed, 3, (4, 5)), load_ngram(files["char_lm"])
    expected = {}
    for count in range(4):
        for text in map("".join, product(" ab", repeat=count)):
            labels = np.array(LETTERS.encode(text), np.int64)
            acoustic = 0.65 * label_log_prob(own, labels) + 0.35 * label_log_prob(reordered(other), labels)
            expected[text] = acoustic + 0.8 * model.sentence_log_prob(list(text)) + 0.4 * count
    found = by_tokens(lm=files["char_lm"]).decode(np.hstack([own, other]), 100)
    check_order(found)
    assert {LETTERS.decode(h.labels) for h in found} == {text for text, score in expected.items() if math.isfinite(score)}
    assert all(h.score == pytest.approx(expected[LETTERS.decode(h.labels)], abs=1e-6) for h in found)


def test_models_count_once_and_as_they_do_alone(files) -> None:
    alone = load_decoder(settings(combine_with=None, vocabulary="open", lm=files["lm"], char_lm=files["char_lm"]), LETTERS)
    for seed in range(5):
        own, other = two_tables(seed, 5, (4, 5))
        known = {h.labels: h for h in alone.decode(own, 60)}
        shared = [h for h in by_tokens(files).decode(np.hstack([own, other]), 60) if h.labels in known]
        assert len(shared) > 10 and any(h.words for h in shared)
        for h in shared:
            one = known[h.labels]
            assert (h.words, h.spans, h.frames) == (one.words, one.spans, one.frames)
            assert (h.language, h.bonus) == pytest.approx((one.language, one.bonus), abs=1e-9)


def test_every_pronunciation_is_tried_of_what_only_the_other_has_found(files, tmp_path: Path) -> None:
    (tmp_path / "lexicon.txt").write_text("ab A B\nab B A\nab C\na A\nba C A\n")
    letters = peaked([2, 3], 4, 18.0)  # surely "ab"
    for way, phones in (((1, 2), [1, 2]), ((2, 1), [2, 1]), ((3,), [3, 3])):
        table = peaked(phones, 4, 5.0)
        best = phones_first(files, lexicon=str(tmp_path / "lexicon.txt"), beam_size=1).decode(np.hstack([table, letters]))[0]
        assert best.words == ("ab",) and best.labels == way
        expected = 0.65 * label_log_prob(table, np.array(way)) + 0.35 * label_log_prob(letters, np.array(LETTERS.encode("ab")))
        assert best.acoustic == pytest.approx(expected, abs=1e-9)


def test_labels_and_spans_are_those_of_the_first(files) -> None:
    for seed in range(10):
        letters, phones = two_tables(seed)
        for h in letters_first(files).decode(np.hstack([letters, phones]), 10):
            assert LETTERS.decode(h.labels) == " ".join(h.words)
            assert ["".join(LETTERS.spell(h.labels[begin:end])) for begin, end in h.spans] == list(h.words)
        found = phones_first(files).decode(np.hstack([phones, letters]), 10)
        for h in found:
            assert [tuple(PHONES.spell(h.labels[begin:end])) for begin, end in h.spans] == [LEXICON[word] for word in h.words]
        without = phones_first(files, words=False).decode(np.hstack([phones, letters]), 10)
        assert [replace(h, words=(), spans=()) for h in found] == without and any(h.words for h in found)


def test_what_only_the_second_has_found_gets_frames_of_the_first(files) -> None:
    again = [1, 0, 2, 0] * 7 + [0, 0]
    own = random_log_probs(3, 30)
    by_words = letters_first(files, beam_size=2, combine_weight=0.9).decode(np.hstack([own, peaked(again, 4)]), 50)
    assert by_words[0].words == ("ab",) * 7
    found = by_tokens(beam_size=2, combine_weight=0.95).decode(np.hstack([own, peaked([{1: 4, 2: 1}.get(n, 0) for n in again], 5)]), 50)
    assert LETTERS.decode(found[0].labels) == "ab" * 7
    for hypotheses in (by_words, found):
        check_order(hypotheses)
        assert all(0 <= frame < 30 for h in hypotheses for frame in h.frames)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_with_all_the_weight_one_of_them_decides_alone(files, share: float) -> None:
    open_words = {"vocabulary": "open", "lm": files["lm"], "char_lm": files["char_lm"]}
    for seed in range(6):
        own, other = two_tables(seed, 9, (4, 5))
        alone = load_decoder(settings(combine_with=None, **open_words), LETTERS).decode(reordered(other) if share else own)[0]
        best = by_tokens(files, combine_weight=share).decode(np.hstack([own, other]))[0]
        assert best.labels == alone.labels and best.score == pytest.approx(alone.score, abs=1e-6)
        letters, phones = two_tables(seed, 9)
        closed = {"lm": files["lm"], "lexicon": files["lexicon"], "vocabulary": "closed", "token_score": 0.0}
        spoken = load_decoder(settings(combine_with=None, **closed), PHONES).decode(phones)[0]
        if share:
            assert letters_first(files, combine_weight=1.0, token_score=0.0).decode(np.hstack([letters, phones]))[0].words == spoken.words
        else:
            both = phones_first(files, combine_weight=0.0, token_score=0.0).decode(np.hstack([phones, letters]))[0]
            assert (both.words, both.labels) == (spoken.words, spoken.labels) and both.score == pytest.approx(spoken.score, abs=1e-9)


def test_no_frames_and_silence_give_nothing(files) -> None:
    for decoder, columns in ((letters_first(files), 8), (by_tokens(files), 9)):
        (found,) = decoder.decode(np.zeros((0, columns)))
        assert (found.labels, found.words, found.frames) == ((), (), ())
    silence = peaked([0] * 15, 4, 20.0)
    assert letters_first(files).decode(np.hstack([silence, silence]))[0].words == ()


def test_what_one_cannot_read_in_so_few_frames_does_not_count(files) -> None:
    def certain(labels: list[int], size: int) -> np.ndarray:
        return np.where(np.eye(size)[labels] > 0, 0.0, -np.inf)

    letters, phones = normalized(np.array([[0.0, -9.0, 9.0, -9.0]])), normalized(np.array([[-9.0, 9.0, -9.0, -9.0]]))
    found = letters_first(files).decode(np.hstack([letters, phones]), 50)  # surely "a", in one frame
    assert found[0].words == ("a",) and {h.words for h in found} == {(), ("a",)}
    assert all(math.isfinite(h.score) for h in found)
    # where neither can write what the other reads, the first decides: "ab", or C, which alone is no word, or "b"
    assert letters_first(files).decode(np.hstack([peaked([2, 3], 4, 39.0), certain([3, 3], 4)]))[0].words == ("ab",)
    (alone,) = by_tokens().decode(np.hstack([certain([2, 3], 4), certain([1, 1], 5)]))
    assert LETTERS.decode(alone.labels) == "ab" and math.isfinite(alone.score)


def test_the_best_does_not_depend_on_how_many_are_asked_for(files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(combination, "TOKEN_PROPOSALS", 2)
    for seed in range(20):
        table = np.hstack(two_tables(seed, 9, (4, 5)))
        one, more = (by_tokens(files).decode(table, n_best) for n_best in (1, 50))
        assert one == more[:1] and len(more) <= 4


@pytest.mark.parametrize(("build", "columns", "key"), [(letters_first, 4, "word_score"), (by_tokens, 5, "token_score")])
def test_threads_change_nothing_and_other_settings_what_they_should(files, build: Callable[..., SystemCombination], columns: int, key: str) -> None:
    tables = [np.hstack(two_tables(seed, 12, (4, columns))) for seed in range(6)]
    decoder = build(files)
    assert list(decoder.decode_all(tables, 3, threads=3)) == [decoder.decode(table, 3) for table in tables]
    fewer = decoder.with_config(replace(decoder.config, **{key: -6.0}))
    assert sum(len(fewer.decode(table)[0].labels) for table in tables) < sum(len(decoder.decode(table)[0].labels) for table in tables)
    assert build(files, **{key: -6.0}).decode(tables[0]) == fewer.decode(tables[0])


def test_hotwords_count_for_both(files) -> None:
    tables = [np.hstack(two_tables(seed, 12)) for seed in range(10)]
    plain = letters_first(files)
    preferring = load_decoder(plain.config, LETTERS, hotwords={"ba": 4.0}, second=PHONES)
    count = [sum(decoder.decode(table)[0].words.count("ba") for table in tables) for decoder in (plain, preferring)]
    assert count[1] > count[0]


def test_words_that_only_one_can_spell_are_unknown(files) -> None:
    trie = letters_first(files).models.trie
    assert trie is not None and set(trie.words) == set(LEXICON)  # neither zz nor b


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lm": None}, "decoder.combine_with: needs decoder.lm"),
        ({"vocabulary": "open"}, "a closed vocabulary"),
        ({"char_lm": "char_lm"}, "without decoder.char_lm"),
        ({"combine_lexicon": None}, "decoder.combine_lexicon: is needed"),
        ({"combine_lexicon": "nowhere.txt"}, "nowhere.txt: no such file"),
        ({"combine_lexicon": "other.txt"}, r"no word of decoder\.lm and the lexicon"),
    ],
)
def test_what_does_not_fit_together_is_told(files, tmp_path: Path, monkeypatch, changes: dict[str, object], message: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.txt").write_text("zz A A\n")
    changes = {key: files["char_lm"] if value == "char_lm" else value for key, value in changes.items()}
    with pytest.raises(ConfigError, match=message):
        letters_first(files, **changes)


def test_a_second_that_cannot_write_everything_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"decoder\.combine_with: cannot write 'b', which the recognizer itself can"):
        load_decoder(settings(vocabulary="open"), LETTERS, second=Alphabet((" ", "a")))


def test_log_probs_of_one_recognizer_alone_are_refused(files) -> None:
    for decoder, columns in ((letters_first(files), 8), (by_tokens(files), 9)):
        with pytest.raises(InputError, match=f"log-probs have 4 columns, both recognizers together {columns}"):
            decoder.decode(random_log_probs(1, 5))


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"vocabulary": "open"}, TokenCombination),
        ({"vocabulary": "open", "lm": True}, TokenCombination),
        ({"vocabulary": "auto", "lm": True}, TokenCombination),
        ({"vocabulary": "closed", "lm": True, "char_lm": True}, TokenCombination),
        ({"vocabulary": "closed", "lm": True}, WordCombination),
    ],
)
def test_hypotheses_are_pooled_by_words_where_only_those_of_a_list_count(files, changes: dict[str, object], kind: type) -> None:
    changes = {key: files[key] if value is True else value for key, value in changes.items()}
    assert type(load_decoder(settings(**changes), LETTERS, second=OTHERS)) is kind


def test_a_lexicon_beside_an_open_vocabulary_is_refused(files, tmp_path: Path) -> None:
    (tmp_path / "lexicon.txt").write_text("ab a b\n")
    with pytest.raises(ConfigError, match="closed vocabulary"):
        load_decoder(settings(lm=files["lm"], lexicon=str(tmp_path / "lexicon.txt"), vocabulary="open"), LETTERS, second=OTHERS)


def test_the_ways_of_words_are_chosen_as_by_scoring_each_anew() -> None:
    """Word by word, each way with those chosen before it and the first ways after it, by a sum over all paths."""
    rng = np.random.default_rng(5)
    changed = 0
    for seed in range(60):
        table = random_log_probs(seed, int(rng.integers(12, 40)), 6, sharpness=1.5)
        separator = [5] if seed % 2 else []
        ways = [[rng.integers(1, 5, rng.integers(1, 4)).tolist() for _ in range(rng.integers(1, 4))] for _ in range(rng.integers(1, 4))]

        def score(spelt: list[list[int]], separator: list[int] = separator, table: np.ndarray = table) -> float:
            labels = [label for place, way in enumerate(spelt) for label in ((separator if place else []) + way)]
            return label_log_prob(table, np.array(labels, np.int64))

        best = [each[0] for each in ways]
        if score(best) == -math.inf:
            continue
        for place, each in enumerate(ways):
            best[place] = max(each, key=lambda way, place=place: score([*best[:place], way, *best[place + 1 :]]))
        flat = [(separator if place else []) + way for place, each in enumerate(ways) for way in each]
        stops, words = np.cumsum([len(way) for way in flat]), np.cumsum([len(each) for each in ways])
        chosen = choose_ways(np.exp(table), np.array([label for way in flat for label in way], np.int64), stops, words)
        assert [each[number] for each, number in zip(ways, chosen, strict=True)] == best
        changed += bool(chosen.any())
    assert changed > 20


def test_ways_that_nothing_can_be_compared_with_are_told() -> None:
    table = np.exp(random_log_probs(1, 2))
    assert choose_ways(table, np.array([1, 2, 3, 1], np.int64), np.array([3, 4]), np.array([2])).size == 0  # three labels in two frames


def spoken(files: dict[str, str], tables: list[tuple[np.ndarray, np.ndarray]], pause: int) -> np.ndarray:
    """Log-probs of several utterances with pauses between."""
    silence = np.hstack([peaked([0] * pause, 4, 9.0), peaked([0] * pause, 4, 9.0)])
    return np.concatenate([part for pair in tables for part in (np.hstack(pair), silence)][:-1])


@pytest.mark.parametrize("build", [letters_first, phones_first])
def test_a_recording_says_what_its_parts_say(files, build: Callable[..., SystemCombination]) -> None:
    decoder = build(files, beam_size=200)
    tables = [two_tables(seed, 20) for seed in range(8)]
    whole = spoken(files, tables, 10)
    decoder.whole_frames = 45
    pieces: list[int] = []
    decode_segment = decoder._decode_segment
    decoder._decode_segment = lambda table, n: pieces.append(len(table)) or decode_segment(table, n)  # type: ignore[method-assign, func-returns-value]
    found = decoder.decode(whole, 6)
    assert sum(pieces) == len(whole) and max(pieces) <= 45 and len(pieces) == len(found[0].segments) == 8
    begins = np.cumsum([0, *pieces[:-1]])
    alone = [decode_segment(whole[begin : begin + size], 6) for begin, size in zip(begins, pieces, strict=True)]
    assert found[0].words == tuple(word for best, *_ in alone for word in best.words)
    for name in ("score", "acoustic", "language", "bonus"):
        assert getattr(found[0], name) == pytest.approx(sum(getattr(best, name) for best, *_ in alone))
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)
    second = found[0].score - min(best.score - other.score for best, other, *_ in alone)  # one segment replaced by its nearest alternative
    assert found[1].score == pytest.approx(second) and len({h.words for h in found}) == len(found) == 6
    for h in found:
        assert all(0 <= frame < len(whole) for frame in h.frames)
        spelt = [decoder.first.alphabet.spell(h.labels[begin:end]) for begin, end in h.spans]
        if build is letters_first:
            assert LETTERS.decode(h.labels) == " ".join(h.words) and ["".join(way) for way in spelt] == list(h.words)
        else:
            assert [tuple(way) for way in spelt] == [LEXICON[word] for word in h.words]
    frames = [frame for begin, (best, *_) in zip(begins, alone, strict=True) for frame in (begin + f for f in best.frames)]
    assert set(frames) <= set(found[0].frames)


def test_no_more_than_the_limit_is_decoded_whole(files) -> None:
    decoder = letters_first(files)
    table = np.hstack(two_tables(3, 40))
    whole = decoder.decode(table, 5)
    decoder.whole_frames = 40
    assert decoder.decode(table, 5) == whole and whole[0].segments == ()
    decoder.whole_frames = 39
    assert len(decoder.decode(table, 5)[0].segments) == 2


def test_the_cost_grows_with_the_length_and_no_faster(files, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in frames times labels that are scored, which is what takes the time."""
    cells = [0]
    quick, choose = combination.quick_label_log_prob, combination.choose_ways

    def count(table: np.ndarray, labels: np.ndarray) -> float:
        cells[0] += len(table) * len(labels)
        return quick(table, labels)

    def count_ways(table: np.ndarray, labels: np.ndarray, *stops: np.ndarray) -> np.ndarray:
        cells[0] += len(table) * len(labels)
        return choose(table, labels, *stops)

    monkeypatch.setattr(combination, "quick_label_log_prob", count)
    monkeypatch.setattr(combination, "choose_ways", count_ways)
    decoder = phones_first(files, beam_size=30)
    decoder.whole_frames = 60
    costs = []
    for parts in (5, 10, 20, 40):
        cells[0] = 0
        decoder.decode(spoken(files, [two_tables(seed % 5, 25)[::-1] for seed in range(parts)], 10))
        costs.append(cells[0] / parts)
    assert max(costs) < 1.5 * min(costs)
