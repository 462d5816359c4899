"""Two recognisers that decide together, against a search through all word sequences."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from recognizer.alphabet import Alphabet
from recognizer.config import DecoderConfig
from recognizer.decoding.decoder import load_decoder
from recognizer.decoding.hypothesis import Hypothesis
from recognizer.decoding.ngram_estimate import estimate_ngram
from recognizer.decoding.ngram_file import load_ngram, save_ngram
from recognizer.decoding.pair import PairDecoder
from recognizer.decoding.path_sums import label_log_prob
from recognizer.errors import ConfigError, InputError
from tests.decoding.brute import normalised

LETTERS, PHONES = Alphabet((" ", "a", "b")), Alphabet(("A", "B", "C"), "units")
LEXICON = {"ab": ("A", "B"), "a": ("A",), "ba": ("C", "A")}
FRAMES = 6


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("pair")
    save_ngram(estimate_ngram(["ab ba", "a ab", "ab a ba", "ba", "a a", "ba ab a", "b"], order=2, level="words"), folder / "lm.ngram")
    (folder / "lexicon.txt").write_text("".join(f"{word} {' '.join(phones)}\n" for word, phones in LEXICON.items()) + "zz A A\n")
    return {"lm": str(folder / "lm.ngram"), "lexicon": str(folder / "lexicon.txt")}


def wide(files: dict[str, str], **changes: object) -> DecoderConfig:
    everything = {"width": 5000, "labels": 100, "label_threshold": 1e6, "score_threshold": 1e6, "blank_skip": 1.0}
    weights = {"lm_weight": 0.8, "insertion": 0.4, "symbol_insertion": 0.3, "second": "other", "second_weight": 0.35}
    known = {"lm": files["lm"], "second_lexicon": files["lexicon"], "vocabulary": "closed"}
    return DecoderConfig(kind="beam", **{**everything, **weights, **known, **changes})  # type: ignore[arg-type]


def letters_first(files: dict[str, str], **changes: object) -> PairDecoder:
    decoder = load_decoder(wide(files, **changes), LETTERS, second=PHONES)
    assert isinstance(decoder, PairDecoder)
    return decoder


def phones_first(files: dict[str, str], **changes: object) -> PairDecoder:
    decoder = load_decoder(wide(files, lexicon=files["lexicon"], second_lexicon=None, **changes), PHONES, second=LETTERS)
    assert isinstance(decoder, PairDecoder)
    return decoder


def emissions(seed: int, frames: int = FRAMES) -> tuple[np.ndarray, np.ndarray]:
    """Of letters and of phones."""
    generator = np.random.default_rng(seed)
    return normalised(generator.normal(size=(frames, 4)) * 2), normalised(generator.normal(size=(frames, 4)) * 2)


def by_hand(files: dict[str, str], letters: np.ndarray, phones: np.ndarray, share: float, symbols: str) -> dict[tuple[str, ...], float]:
    """The score of every sequence of up to four words; ``share`` is that of the phones."""
    model = load_ngram(files["lm"])
    scores: dict[tuple[str, ...], float] = {}
    for count in range(5):
        for words in product(LEXICON, repeat=count):
            spelt = LETTERS.encode(" ".join(words))
            spoken = PHONES.encode([phone for word in words for phone in LEXICON[word]])
            acoustic = [label_log_prob(table, np.array(labels, np.int64)) for table, labels in ((letters, spelt), (phones, spoken))]
            bonus = 0.4 * count + 0.3 * len(spelt if symbols == "letters" else spoken)
            total = (1 - share) * acoustic[0] + share * acoustic[1] + 0.8 * model.sentence_log_prob(words) + bonus
            if math.isfinite(total):
                scores[words] = total
    return scores


def check(found: list[Hypothesis], expected: dict[tuple[str, ...], float]) -> None:
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)
    assert len({h.words for h in found}) == len(found) > 1
    for h in found:
        assert h.score == pytest.approx(expected[h.words], abs=1e-5)
        assert h.score == pytest.approx(h.acoustic + h.language + h.bonus, abs=1e-9)
    best = max(expected, key=lambda words: expected[words])
    assert found[0].words == best


@pytest.mark.parametrize("seed", range(8))
def test_both_judge_every_reading_with_all_their_paths(files, seed: int) -> None:
    letters, phones = emissions(seed)
    check(letters_first(files).decode(np.hstack([letters, phones]), 20), by_hand(files, letters, phones, 0.35, "letters"))
    check(phones_first(files).decode(np.hstack([phones, letters]), 20), by_hand(files, letters, phones, 0.65, "phones"))


def test_every_pronunciation_is_tried_of_what_only_the_other_has_found(files, tmp_path: Path) -> None:
    (tmp_path / "lexicon.txt").write_text("ab A B\nab B A\nab C\na A\nba C A\n")
    letters = normalised(np.array([[-9.0, -9.0, 9.0, -9.0], [-9.0, -9.0, -9.0, 9.0]]))  # surely "ab"
    for way, phones in (((1, 2), [[0.0, 5, 0, 0], [0, 0, 5, 0]]), ((2, 1), [[0.0, 0, 5, 0], [0, 5, 0, 0]]), ((3,), [[0.0, 0, 0, 5], [0, 0, 0, 5]])):
        said = normalised(np.array(phones))
        decoder = load_decoder(wide(files, lexicon=str(tmp_path / "lexicon.txt"), second_lexicon=None, width=1), PHONES, second=LETTERS)
        best = decoder.decode(np.hstack([said, letters]))[0]
        assert best.words == ("ab",) and best.labels == way
        expected = 0.65 * label_log_prob(said, np.array(way)) + 0.35 * label_log_prob(letters, np.array(LETTERS.encode("ab")))
        assert best.acoustic == pytest.approx(expected, abs=1e-9)


def test_labels_and_spans_are_those_of_the_first(files) -> None:
    for seed in range(10):
        letters, phones = emissions(seed)
        for h in letters_first(files).decode(np.hstack([letters, phones]), 10):
            assert LETTERS.decode(h.labels) == " ".join(h.words)
            assert ["".join(LETTERS.spell(h.labels[begin:end])) for begin, end in h.spans] == list(h.words)
        for h in phones_first(files).decode(np.hstack([phones, letters]), 10):
            assert [tuple(PHONES.spell(h.labels[begin:end])) for begin, end in h.spans] == [LEXICON[word] for word in h.words]


def test_words_may_stay_unsaid(files) -> None:
    for seed in range(4):
        table = np.hstack(emissions(seed)[::-1])
        told, silent = (phones_first(files, words=words).decode(table, 5) for words in (True, False))
        assert [replace(h, words=(), spans=()) for h in told] == silent and any(h.words for h in told)


def test_what_only_the_second_has_found_gets_frames_too(files) -> None:
    letters, phones = emissions(3, 30)
    phones = normalised(np.eye(4)[[1, 0, 2, 0] * 7 + [0, 0]] * 12.0)  # certain of "ab", again and again
    found = letters_first(files, width=2, second_weight=0.9).decode(np.hstack([letters, phones]), 50)
    assert found[0].words == ("ab",) * 7
    for h in found:
        assert len(h.frames) == len(h.labels) and list(h.frames) == sorted(h.frames)
        assert all(0 <= frame < 30 for frame in h.frames)


def test_with_all_the_weight_one_of_them_decides_alone(files) -> None:
    for seed in range(6):
        letters, phones = emissions(seed, 9)
        alone = load_decoder(wide(files, second=None, second_lexicon=None, lexicon=files["lexicon"]), PHONES).decode(phones)[0]
        pair = phones_first(files, second_weight=0.0).decode(np.hstack([phones, letters]))[0]
        assert (pair.words, pair.labels) == (alone.words, alone.labels) and pair.score == pytest.approx(alone.score, abs=1e-9)
        swapped = letters_first(files, second_weight=1.0, symbol_insertion=0.0).decode(np.hstack([letters, phones]))[0]
        other = load_decoder(wide(files, second=None, second_lexicon=None, lexicon=files["lexicon"], symbol_insertion=0.0), PHONES)
        assert swapped.words == other.decode(phones)[0].words


def test_nothing_was_said(files) -> None:
    (found,) = letters_first(files).decode(np.zeros((0, 8)))
    assert (found.labels, found.words, found.frames) == ((), (), ())
    silence = normalised(np.tile([20.0, 0.0, 0.0, 0.0], (15, 1)))
    assert letters_first(files).decode(np.hstack([silence, silence]))[0].words == ()


def test_what_one_cannot_read_in_so_few_frames_does_not_count(files) -> None:
    letters = normalised(np.array([[0.0, -9.0, 9.0, -9.0]]))  # surely "a", in one frame
    phones = normalised(np.array([[-9.0, 9.0, -9.0, -9.0]]))
    found = letters_first(files).decode(np.hstack([letters, phones]), 50)
    assert found[0].words == ("a",) and {h.words for h in found} == {(), ("a",)}
    assert all(math.isfinite(h.score) for h in found)
    two = normalised(np.array([[-9.0, -9.0, 30.0, -9.0], [-9.0, -9.0, -9.0, 30.0]]))  # "ab", or impossible
    none = normalised(np.array([[-np.inf, -np.inf, -np.inf, 0.0]] * 2))  # C, which alone is no word
    assert letters_first(files).decode(np.hstack([two, none]))[0].words == ("ab",)


def test_threads_and_other_settings_change_only_what_they_should(files) -> None:
    tables = [np.hstack(emissions(seed, 12)) for seed in range(6)]
    decoder = letters_first(files)
    assert list(decoder.decode_all(tables, 3, threads=3)) == [decoder.decode(table, 3) for table in tables]
    fewer = decoder.with_config(replace(decoder.config, insertion=-6.0))
    assert sum(len(fewer.decode(table)[0].words) for table in tables) < sum(len(decoder.decode(table)[0].words) for table in tables)
    assert letters_first(files, insertion=-6.0).decode(tables[0]) == fewer.decode(tables[0])


def test_hotwords_count_for_both(files) -> None:
    tables = [np.hstack(emissions(seed, 12)) for seed in range(10)]
    plain, loaded = letters_first(files), load_decoder(wide(files), LETTERS, hotwords={"ba": 4.0}, second=PHONES)
    count = [sum(decoder.decode(table)[0].words.count("ba") for table in tables) for decoder in (plain, loaded)]
    assert count[1] > count[0]


def test_words_that_only_one_can_spell_are_unknown(files) -> None:
    decoder = letters_first(files)
    assert decoder.models.tree is not None and set(decoder.models.tree.words) == set(LEXICON)  # neither zz nor b


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lm": None}, "decoder.second: needs decoder.lm"),
        ({"vocabulary": "open"}, "a closed vocabulary"),
        ({"char_lm": "letters"}, "without decoder.char_lm"),
        ({"second_lexicon": None}, "decoder.second_lexicon: is needed"),
        ({"second_lexicon": "nowhere.txt"}, "nowhere.txt: no such file"),
    ],
)
def test_what_does_not_fit_together_is_said(files, tmp_path: Path, changes: dict[str, object], message: str) -> None:
    if changes.get("char_lm"):
        save_ngram(estimate_ngram(["ab ba", "a b"], order=2, level="characters"), tmp_path / "letters.ngram")
        changes = {"char_lm": str(tmp_path / "letters.ngram")}
    with pytest.raises(ConfigError, match=message):
        letters_first(files, **changes)


def test_no_word_in_common_is_said(files, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("zz A A\n")
    with pytest.raises(ConfigError, match=r"no word of decoder\.lm and the lexicon"):
        letters_first(files, second_lexicon=str(tmp_path / "other.txt"))


def test_tables_of_one_recogniser_alone_are_refused(files) -> None:
    with pytest.raises(InputError):
        letters_first(files).decode(emissions(1)[0])
