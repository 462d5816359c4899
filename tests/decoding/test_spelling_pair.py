"""Two recognisers of the same symbols that decide together, against a search through all labellings."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from recognizer.alphabet import Alphabet
from recognizer.config import DecoderConfig
from recognizer.decoding import spelling_pair
from recognizer.decoding.decoder import load_decoder
from recognizer.decoding.ngram_estimate import estimate_ngram
from recognizer.decoding.ngram_file import load_ngram, save_ngram
from recognizer.decoding.pair import PairDecoder
from recognizer.decoding.path_sums import label_log_prob
from recognizer.decoding.spelling_pair import SpellingPairDecoder
from recognizer.errors import ConfigError, InputError
from tests.decoding.brute import normalised

FIRST, SECOND = Alphabet((" ", "a", "b")), Alphabet(("b", "c", " ", "a"))  # in another order, with a symbol of its own
TEXTS = ["ab ba", "a ab", "ab a ba", "ba", "a a", "ba ab a", "b"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    for level in ("characters", "words"):
        save_ngram(estimate_ngram(TEXTS, order=2, level=level), folder / f"{level}.ngram")  # type: ignore[arg-type]
    return {"char_lm": str(folder / "characters.ngram"), "lm": str(folder / "words.ngram")}


@pytest.fixture(autouse=True)
def all_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that a short table can say is left out."""
    monkeypatch.setattr(spelling_pair, "POOL", 100)


def settings(**changes: object) -> DecoderConfig:
    everything = {"width": 5000, "labels": 100, "label_threshold": 1e6, "score_threshold": 1e6, "blank_skip": 1.0}
    weights = {"lm_weight": 0.8, "char_lm_weight": 0.6, "insertion": 0.4, "symbol_insertion": 0.3, "unknown": -2.0, "second_weight": 0.35}
    return DecoderConfig(kind="beam", **{**everything, **weights, "vocabulary": "open", "second": "other", **changes})  # type: ignore[arg-type]


def pair(**changes: object) -> SpellingPairDecoder:
    decoder = load_decoder(settings(**changes), FIRST, second=SECOND)
    assert isinstance(decoder, SpellingPairDecoder)
    return decoder


def emissions(seed: int, frames: int) -> np.ndarray:
    """Of both, side by side: (T, 4 + 5)."""
    generator = np.random.default_rng(seed)
    return np.hstack([normalised(generator.normal(size=(frames, size)) * 2) for size in (4, 5)])


def translated(table: np.ndarray) -> np.ndarray:
    """The second's part, in the first's order and without what the first cannot write."""
    part = table[:, 4:][:, [0, 3, 4, 1]]
    return part - np.log(np.exp(part).sum(axis=1, keepdims=True))


@pytest.mark.parametrize("seed", range(6))
def test_both_judge_every_reading_with_all_their_paths(models, seed: int) -> None:
    table, model = emissions(seed, 3), load_ngram(models["char_lm"])
    expected = {}
    for count in range(4):
        for text in map("".join, product(" ab", repeat=count)):
            labels = np.array(FIRST.encode(text), np.int64)
            acoustic = 0.65 * label_log_prob(table[:, :4], labels) + 0.35 * label_log_prob(translated(table), labels)
            expected[text] = acoustic + 0.8 * model.sentence_log_prob(list(text)) + 0.4 * count
    found = pair(lm=models["char_lm"]).decode(table, 100)
    assert {FIRST.decode(h.labels) for h in found} == {text for text, score in expected.items() if math.isfinite(score)}
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)
    for h in found:
        assert h.score == pytest.approx(expected[FIRST.decode(h.labels)], abs=1e-6)
        assert h.score == pytest.approx(h.acoustic + h.language + h.bonus, abs=1e-9)


def test_words_and_characters_count_once_and_as_they_do_alone(models) -> None:
    alone = load_decoder(settings(second=None, **models), FIRST)
    for seed in range(5):
        table = emissions(seed, 5)
        known = {h.labels: h for h in alone.decode(table[:, :4], 60)}
        both = pair(**models).decode(table, 60)
        shared = [h for h in both if h.labels in known]
        assert len(shared) > 10 and any(h.words for h in shared)
        for h in shared:
            one = known[h.labels]
            assert (h.words, h.spans, h.frames) == (one.words, one.spans, one.frames)
            assert (h.language, h.bonus) == pytest.approx((one.language, one.bonus), abs=1e-9)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_with_all_the_weight_one_of_them_decides_alone(models, share: float) -> None:
    for seed in range(6):
        table = emissions(seed, 9)
        part = translated(table) if share else table[:, :4]
        alone = load_decoder(settings(second=None, **models), FIRST).decode(part)[0]
        best = pair(second_weight=share, **models).decode(table)[0]
        assert best.labels == alone.labels and best.score == pytest.approx(alone.score, abs=1e-6)


def test_what_only_the_second_has_found_gets_frames_of_the_first(models) -> None:
    table = emissions(3, 30)
    sure = np.full((30, 5), -12.0)
    sure[np.arange(30), [4, 0, 1, 0] * 7 + [0, 0]] = 0.0  # "ab", again and again
    table[:, 4:] = normalised(sure)
    found = pair(width=2, second_weight=0.95, lm_weight=0.0, char_lm_weight=0.0).decode(table, 50)
    assert FIRST.decode(found[0].labels) == "ab" * 7
    for h in found:
        assert len(h.frames) == len(h.labels) and list(h.frames) == sorted(h.frames) and all(0 <= frame < 30 for frame in h.frames)


def test_where_neither_can_write_what_the_other_reads_the_first_decides() -> None:
    def certain(labels: list[int], size: int) -> np.ndarray:
        return np.where(np.eye(size)[labels] > 0, 0.0, -np.inf)

    table = np.hstack([certain([2, 3], 4), certain([1, 1], 5)])  # "ab", or "b"
    (found,) = pair().decode(table)
    assert FIRST.decode(found.labels) == "ab" and math.isfinite(found.score)


def test_the_best_does_not_depend_on_how_many_are_asked_for(models, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spelling_pair, "POOL", 2)
    for seed in range(20):
        table = emissions(seed, 9)
        one, more = (pair(**models).decode(table, n_best) for n_best in (1, 50))
        assert one == more[:1] and len(more) <= 4


def test_nothing_was_written(models) -> None:
    (found,) = pair(**models).decode(np.zeros((0, 9)))
    assert (found.labels, found.words, found.frames) == ((), (), ())


def test_threads_and_other_settings_change_only_what_they_should(models) -> None:
    tables = [emissions(seed, 12) for seed in range(6)]
    decoder = pair(**models)
    assert list(decoder.decode_all(tables, 3, threads=3)) == [decoder.decode(table, 3) for table in tables]
    fewer = decoder.with_config(replace(decoder.config, symbol_insertion=-6.0))
    assert sum(len(fewer.decode(table)[0].labels) for table in tables) < sum(len(decoder.decode(table)[0].labels) for table in tables)


def test_a_second_that_cannot_write_everything_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"decoder\.second: cannot write 'b', which the recogniser itself can"):
        load_decoder(settings(), FIRST, second=Alphabet((" ", "a")))


def test_tables_of_one_recogniser_alone_are_refused(models) -> None:
    with pytest.raises(InputError, match="log-probs have 4 columns, both recognisers together 9"):
        pair(**models).decode(emissions(1, 5)[:, :4])


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"vocabulary": "open"}, SpellingPairDecoder),
        ({"vocabulary": "open", "lm": True}, SpellingPairDecoder),
        ({"vocabulary": "auto", "lm": True}, SpellingPairDecoder),
        ({"vocabulary": "closed", "lm": True, "char_lm": True}, SpellingPairDecoder),
        ({"vocabulary": "closed", "lm": True}, PairDecoder),
    ],
)
def test_words_are_pooled_where_only_those_of_a_list_count(models, changes: dict[str, object], kind: type) -> None:
    changes = {key: models[key] if value is True else value for key, value in changes.items()}
    assert type(load_decoder(settings(**changes), FIRST, second=SECOND)) is kind


def test_a_lexicon_beside_an_open_vocabulary_is_refused(models, tmp_path: Path) -> None:
    (tmp_path / "lexicon.txt").write_text("ab a b\n")
    with pytest.raises(ConfigError, match="closed vocabulary"):
        load_decoder(settings(lm=models["lm"], lexicon=str(tmp_path / "lexicon.txt")), FIRST, second=SECOND)


def test_a_second_that_is_sure_decides_alone(models) -> None:
    alone = load_decoder(settings(second=None, **models), FIRST)
    decided = 0
    for seed in range(30):
        table = emissions(seed, 6)
        readings = alone.decode(translated(table), 100)
        scores = np.array([reading.score for reading in readings])
        share = math.exp(scores[0] - np.logaddexp.reduce(scores))
        for threshold in (0.3, 0.6):
            found = pair(second_alone=threshold, **models).decode(table, 5)
            expected = readings if share >= threshold else pair(**models).decode(table, 5)
            decided += share >= threshold
            assert [h.labels for h in found] == [h.labels for h in expected[:5]]
            assert [h.score for h in found] == pytest.approx([h.score for h in expected[:5]], abs=1e-6)
    assert 5 < decided < 55  # of 60: both cases were seen


def test_what_was_heard_before_need_not_be_heard_again(models) -> None:
    decoder = pair(second_alone=0.5, **models)
    for seed in range(10):
        table = emissions(seed, 6)
        assert decoder.decode(table, 4, decoder.listen(table[:, 4:])) == decoder.decode(table, 4)


def test_deciding_alone_needs_the_same_symbols(models, tmp_path: Path) -> None:
    lexicon = tmp_path / "words.txt"
    lexicon.write_text("ab a b\nba b a\n")
    with pytest.raises(ConfigError, match=r"decoder\.second_alone: only where both recognisers write the same symbols"):
        load_decoder(settings(lm=models["lm"], vocabulary="closed", second_lexicon=str(lexicon), second_alone=0.5), FIRST, second=SECOND)
