"""Attention and joint decoding against brute force over all labelings; prefix scores, ends, models, segments, alignment."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from recognizer.config import Attention, DecoderConfig, Joint
from recognizer.decoding.alignment import viterbi_align
from recognizer.decoding.attention import MAX_FRAMES, AttentionSearch, load_attention_decoder
from recognizer.decoding.beam import BeamDecoder
from recognizer.decoding.confidence import peaks
from recognizer.decoding.ctc_prefix import CtcPrefixes
from recognizer.decoding.ctc_score import label_log_prob
from recognizer.decoding.decoder import Models
from recognizer.decoding.hotwords import build_hotwords
from recognizer.decoding.lexicon_trie import build_trie, spell_words
from recognizer.errors import ConfigError, InputError
from recognizer.lm.binary import save_ngram
from recognizer.lm.kneser_ney import estimate_ngram
from recognizer.models.attention_decoder import AttentionDecoder
from recognizer.text.alphabet import Alphabet
from tests.decoding.brute import labeling_scores, normalized, random_log_probs

SPACED = Alphabet((" ", "a", "b"))
LABELS, DIM = 4, 3
WIDE = DecoderConfig(kind="beam", beam_size=5000, beam_threshold=1e6, ctc_weight=0.3)
SMALL = {"hidden_size": 4, "attention_size": 3, "filters": 2, "filter_width": 3}
EVERYTHING = 10**6

Labels = tuple[int, ...]


def make_head(joint: bool = True, scale: float = 1.0) -> AttentionDecoder:
    torch.manual_seed(1)
    head = AttentionDecoder((Joint if joint else Attention)(**SMALL), DIM, LABELS).double().eval()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.normal_(std=scale)
    return head


HEAD, ALONE = make_head(), make_head(joint=False)


def make_input(seed: int, frames: int = 4) -> np.ndarray:
    """Log-probs and frames side by side (T, V + H)."""
    return np.hstack([random_log_probs(seed, frames, LABELS), np.random.default_rng(seed).normal(size=(frames, DIM))])


def attended(frames: np.ndarray, labels: Labels) -> float:
    """Log probability of labels and end by the attention decoder."""
    counts = torch.tensor([len(frames)]), torch.tensor(labels, dtype=torch.long), torch.tensor([len(labels)])
    with torch.no_grad():
        spelling = ALONE.spell(torch.from_numpy(frames)[None], *counts)
    return float(spelling.log_probs[0].gather(1, spelling.targets[0, :, None]).sum())


def all_labelings(frames: int) -> list[Labels]:
    return [labels for length in range(frames + 1) for labels in itertools.product(range(1, LABELS), repeat=length)]


def check_against(decoder: AttentionSearch, table: np.ndarray, expected: dict[Labels, float]) -> None:
    found = decoder.decode(table, EVERYTHING)
    scores = {h.labels: h.score for h in found}
    assert len(scores) == len(found)
    assert [h.score for h in found] == sorted(scores.values(), reverse=True)
    assert scores.keys() == expected.keys()
    for h in found:
        assert h.score == pytest.approx(expected[h.labels], abs=1e-9)
        assert h.score == pytest.approx(h.acoustic + h.language + h.bonus, abs=1e-12)
        assert len(h.frames) == len(h.labels) and all(0 <= frame < len(table) for frame in h.frames)
    assert decoder.decode(table)[0] == found[0]  # the search that stops early finds the same
    assert decoder.decode(table, 7) == found[:7]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_a_joint_beam_as_wide_as_the_space_equals_brute_force(weight: float, seed: int) -> None:
    table = make_input(seed)
    by_ctc = labeling_scores(table[:, :LABELS])
    mixed = {labels: weight * score + (1 - weight) * attended(table[:, LABELS:], labels) for labels, score in by_ctc.items()}
    check_against(AttentionSearch(HEAD, SPACED, replace(WIDE, ctc_weight=weight)), table, mixed)


@pytest.mark.parametrize("seed", range(3))
def test_attention_alone_equals_brute_force_up_to_a_label_a_frame(seed: int) -> None:
    frames = make_input(seed)[:, LABELS:]
    check_against(AttentionSearch(ALONE, SPACED, WIDE), frames, {labels: attended(frames, labels) for labels in all_labelings(len(frames))})


@pytest.mark.parametrize("seed", range(5))
def test_with_all_the_weight_it_is_a_ctc_prefix_search(seed: int) -> None:
    table = make_input(seed, 7)
    other = BeamDecoder(SPACED, replace(WIDE, beam_size=50_000, beam_size_token=100, token_threshold=1e6, blank_skip=1.0))
    found = AttentionSearch(HEAD, SPACED, replace(WIDE, ctc_weight=1.0)).decode(table, 20)
    expected = other.decode(table[:, :LABELS], 20)
    assert [h.labels for h in found] == [h.labels for h in expected]
    assert [h.score for h in found] == pytest.approx([h.score for h in expected], abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_prefix_scores_are_the_sums_over_all_labelings_that_begin_so(seed: int) -> None:
    table = random_log_probs(seed, 5, LABELS)
    sums, scorer = labeling_scores(table), CtcPrefixes(table)
    prefixes: list[Labels] = [()]
    forward, last = scorer.initial(), np.zeros(1, np.int64)
    for length in range(4):
        scores = scorer.score(forward, last)
        for row, prefix in enumerate(prefixes):
            assert scores[row, 0] == pytest.approx(sums.get(prefix, -math.inf), abs=1e-9)
            for label in range(1, LABELS):
                total = sum(math.exp(score) for labels, score in sums.items() if labels[: length + 1] == (*prefix, label))
                assert scores[row, label] == pytest.approx(math.log(total) if total else -math.inf, abs=1e-9)
        rows, labels = (part.ravel() for part in np.mgrid[: len(prefixes), 1:LABELS])
        forward, _ = scorer.extend(forward, last, rows, labels)
        prefixes, last = [(*prefixes[row], int(label)) for row, label in zip(rows, labels, strict=True)], labels


def test_prefix_scores_survive_long_inputs_and_unlikely_labels() -> None:
    """A thousand frames which are sure of other labels, against the exact sum for a whole labeling."""
    table = random_log_probs(3, 1000, LABELS, sharpness=4.0)
    scorer = CtcPrefixes(table)
    forward, last, written = scorer.initial(), np.zeros(1, np.int64), np.random.default_rng(1).integers(1, LABELS, 60)
    before = 0.0
    for label in written:
        score = scorer.score(forward, last)[0, label]
        assert math.isfinite(score) and score <= before + 1e-9
        forward, _ = scorer.extend(forward, last, np.zeros(1, np.int64), np.array([label]))
        before, last = score, np.array([label])
    assert scorer.score(forward, last)[0, 0] == pytest.approx(label_log_prob(table, written), rel=1e-12)


@pytest.fixture(scope="module")
def letters():
    return estimate_ngram(["ab ba", "abba", "a b", "bab ab", "ab", "b a b"], order=3, level="characters")


def joint_scores(table: np.ndarray, extra: Callable[[Labels], float]) -> dict[Labels, float]:
    by_ctc = labeling_scores(table[:, :LABELS])
    return {labels: 0.3 * score + 0.7 * attended(table[:, LABELS:], labels) + extra(labels) for labels, score in by_ctc.items()}


@pytest.mark.parametrize("seed", range(2))
def test_a_character_model_and_a_score_per_symbol_equal_exhaustive_search(letters, seed: int) -> None:
    decoder = AttentionSearch(HEAD, SPACED, replace(WIDE, lm_weight=0.7, word_score=0.4), Models(tokens=letters))
    table = make_input(seed)
    check_against(decoder, table, joint_scores(table, lambda labels: 0.7 * letters.sentence_log_prob(SPACED.spell(labels)) + 0.4 * len(labels)))


@pytest.mark.parametrize("seed", range(2))
def test_hotwords_equal_exhaustive_search(seed: int) -> None:
    automaton = build_hotwords({"ab": 3.0, "b": -1.0, "a b": 2.0}, SPACED)
    decoder = AttentionSearch(HEAD, SPACED, WIDE, Models(hotwords=automaton))
    table = make_input(seed)
    check_against(decoder, table, joint_scores(table, automaton.score))


def test_weight_zero_is_no_model(letters) -> None:
    plain, table = AttentionSearch(HEAD, SPACED, replace(WIDE, beam_size=3)), make_input(5, 12)
    weightless = AttentionSearch(HEAD, SPACED, replace(WIDE, beam_size=3, lm_weight=0.0), Models(tokens=letters))
    assert plain.decode(table, 5) == weightless.decode(table, 5)
    assert plain.decode(table, 5) != weightless.with_config(replace(WIDE, beam_size=3, lm_weight=2.0)).decode(table, 5)


@pytest.mark.parametrize("head", [HEAD, ALONE])
def test_a_beam_of_one_takes_the_best_label_until_the_end_is_best(head: AttentionDecoder) -> None:
    decoder = load_attention_decoder(head, DecoderConfig(ctc_weight=0.0), SPACED, None, None, False)
    for seed in range(10):
        table = make_input(seed, 12)[:, -head.dim :]
        frames, wanted = torch.from_numpy(table[:, -DIM:])[None], list[int]()
        memory = head.remember(frames, torch.tensor([12]))
        state, label, room = head.initial(memory, 1), 0, 12
        while True:
            with torch.no_grad():
                log_probs, state = head.step(memory, state, torch.tensor([label]))
            needs = [1 + (head.joint and new == label) if new else 0 for new in range(LABELS)]
            label = max((new for new in range(LABELS) if needs[new] <= room), key=lambda new: float(log_probs[0, new]))
            room -= needs[label]
            if label == 0:
                break
            wanted.append(label)
        assert list(decoder.decode(table)[0].labels) == wanted


def test_larger_beams_find_better_labelings() -> None:
    tables = [make_input(seed, 20) for seed in range(8)]
    scores = [np.mean([AttentionSearch(HEAD, SPACED, DecoderConfig(kind="beam", beam_size=size)).decode(table)[0].score for table in tables])
              for size in (1, 3, 9, 30)]  # fmt: skip
    assert all(later >= earlier - 1e-9 for earlier, later in pairwise(scores)) and scores[-1] > scores[0]


def test_no_frames_are_an_empty_hypothesis() -> None:
    for head in (HEAD, ALONE):
        found = AttentionSearch(head, SPACED, WIDE).decode(np.zeros((0, head.dim)), 3)
        assert [(h.labels, h.frames, h.score) for h in found] == [((), (), 0.0)]


def test_joint_decoding_knows_the_frames_of_its_labels_by_ctc() -> None:
    path = [0, 2, 2, 0, 3, 0, 3, 3]
    table = np.hstack([normalized(np.where(np.arange(LABELS) == np.array(path)[:, None], 12.0, 0.0)), np.zeros((len(path), DIM))])
    decoder = AttentionSearch(HEAD, SPACED, replace(WIDE, ctc_weight=0.9))
    best = decoder.decode(table)[0]
    assert (best.labels, best.frames) == ((2, 3, 3), (1, 4, 6))
    alignment = decoder.align(table, best.labels, best.frames)
    assert alignment == viterbi_align(table[:, :LABELS], best.labels)
    assert decoder.peaks(table, alignment) == pytest.approx(peaks(table[:, :LABELS], alignment)) and decoder.peaks(table, alignment).min() > 0.99


def test_long_recordings_are_read_in_segments_by_ctc() -> None:
    path = ([0] * 10 + [2] * 5 + [0] * 5 + [3] * 5 + [1] * 5) * 40  # 1200 frames
    table = np.hstack([normalized(np.where(np.arange(LABELS) == np.array(path)[:, None], 14.0, 0.0)), np.zeros((len(path), DIM))])
    best = AttentionSearch(HEAD, SPACED, DecoderConfig(kind="beam", beam_size=4, ctc_weight=0.95)).decode(table, 3)[0]
    assert best.labels == (2, 3, 1) * 40 and len(best.segments) > 1
    assert best.frames[:3] == (10, 20, 25) and best.frames[-3:] == (1180, 1190, 1195)


def test_attention_alone_gives_each_label_frames_that_never_go_back() -> None:
    frames, decoder = make_input(2, 9)[:, LABELS:], AttentionSearch(ALONE, SPACED, WIDE)
    labels = (2, 2, 1, 3)
    found = decoder.align(frames, labels)
    assert found.labels == labels and found.score == pytest.approx(attended(frames, labels))
    assert all(start < stop for start, stop in zip(found.starts, found.stops, strict=True))
    assert all(stop <= start for stop, start in zip(found.stops, found.starts[1:], strict=False)) and found.stops[-1] <= 9
    with torch.no_grad():
        spelling = ALONE.spell(torch.from_numpy(frames)[None], torch.tensor([9]), torch.tensor(labels), torch.tensor([4]))
    weights, chances = spelling.weights[0, :4].numpy(), spelling.log_probs[0].exp()
    ways = [[weights[i, start] for i, start in enumerate(starts)] for starts in itertools.combinations(range(9), 4)]
    reached = [weights[i, start:stop].max() for i, (start, stop) in enumerate(zip(found.starts, found.stops, strict=True))]
    assert np.prod(reached) > 0.3 * max(np.prod(way) for way in ways)  # near the best order of single frames
    assert decoder.peaks(frames, found) == pytest.approx([float(chances[i, label]) for i, label in enumerate(labels)])
    empty = decoder.align(frames, ())
    assert empty.labels == () and len(decoder.peaks(frames, empty)) == 0
    for wrong in ((0,), (LABELS,), (1,) * 10):
        with pytest.raises(InputError):
            decoder.align(frames, wrong)


def test_what_cannot_be_decoded_is_refused() -> None:
    joint, alone = AttentionSearch(HEAD, SPACED, WIDE), AttentionSearch(ALONE, SPACED, WIDE)
    with pytest.raises(InputError, match="frames of 7 numbers; found shape"):
        joint.decode(np.zeros((3, 4)))
    with pytest.raises(InputError, match="sum to"):
        joint.decode(np.zeros((3, 7)))
    broken = make_input(0)
    broken[2, -1] = np.nan
    with pytest.raises(InputError, match="not finite"):
        joint.decode(broken)
    with pytest.raises(InputError, match=f"{MAX_FRAMES} that attention alone can read.*objective=joint"):
        alone.decode(np.zeros((MAX_FRAMES + 1, DIM)))


def test_settings_that_make_no_sense_are_refused_by_name(letters, tmp_path) -> None:
    words = estimate_ngram(["ab ba", "a ab"], order=2, level="words")
    save_ngram(words, tmp_path / "words.lm")
    save_ngram(letters, tmp_path / "letters.lm")
    with pytest.raises(ConfigError, match=r"decoder\.lm: .* knows no words"):
        load_attention_decoder(HEAD, DecoderConfig(kind="beam", lm=str(tmp_path / "words.lm")), SPACED, None, None, False)
    with pytest.raises(ConfigError, match=r"decoder\.lexicon: "):
        load_attention_decoder(HEAD, DecoderConfig(kind="beam", lexicon="words.txt"), SPACED, None, None, False)
    with pytest.raises(ConfigError, match=r"decoder\.lexicon: "):
        AttentionSearch(HEAD, SPACED, WIDE, Models(trie=build_trie(spell_words(["ab"]), SPACED)))
    with pytest.raises(ConfigError, match=r"add decoder\.kind=beam"):
        load_attention_decoder(HEAD, DecoderConfig(), SPACED, None, {"ab": 2.0}, False)
    loaded = load_attention_decoder(HEAD, DecoderConfig(kind="beam", lm="letters.lm"), SPACED, tmp_path, {"ab": 2.0}, False)
    assert loaded.models.tokens is not None and loaded.models.hotwords is not None


def test_threads_decode_as_one_does() -> None:
    decoder, tables = AttentionSearch(HEAD, SPACED, DecoderConfig(kind="beam", beam_size=5)), [make_input(seed, 15) for seed in range(6)]
    assert list(decoder.decode_all(tables, 2, threads=2)) == [decoder.decode(table, 2) for table in tables]
