"""Transducer decoding against sums over all paths, with and without models, whole and in chunks; alignment against all placements of labels."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
import pytest
import torch

from recognizer.config import DecoderConfig, ModelConfig, Transducer
from recognizer.decoding.decoder import Models, load_decoder, raise_failures
from recognizer.decoding.hotwords import build_hotwords
from recognizer.decoding.hypothesis import Hypothesis
from recognizer.decoding.transducer import TransducerDecoder, head_arrays
from recognizer.errors import ConfigError, InputError
from recognizer.lm.binary import save_ngram
from recognizer.lm.kneser_ney import estimate_ngram
from recognizer.models.encoder import Encoder
from recognizer.models.transducer import TransducerHead
from recognizer.text.alphabet import Alphabet

AB = Alphabet((" ", "a", "b"))
WIDE = DecoderConfig(
    kind="beam", beam_size=5000, beam_size_token=100, token_threshold=1e6, beam_threshold=1e6, blank_skip=1.0, labels_per_frame=2, lm_weight=0.7
)
JOINTS = ("additive", "tanh")
EVERYTHING = 10**6
Labels = tuple[int, ...]


def make_head(joint: str, seed: int = 1, labels: int = len(AB), scale: float = 0.8) -> TransducerHead:
    generator = torch.Generator().manual_seed(seed)
    head = TransducerHead(Transducer(joint=joint, joint_size=5, embedding_size=3, prediction_size=4), 6, labels)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=scale, generator=generator)
    return head.eval()


def make_frames(head: TransducerHead, count: int, seed: int = 1) -> np.ndarray:
    outputs = torch.randn(1, count, 6, generator=torch.Generator().manual_seed(seed))
    return head.decoder_input(outputs)[0].detach().numpy()


def label_log_probs(head: TransducerHead, frames: np.ndarray, labels: Labels) -> np.ndarray:
    """(T, L + 1, V), by the network itself in float64."""
    with torch.no_grad():
        predicted = head.double().predict(torch.tensor([labels], dtype=torch.long))[0]
        table = head.join(torch.from_numpy(frames).double()[:, None], predicted).log_softmax(-1).numpy()
        head.float()
    return table


def path_sums(head: TransducerHead, frames: np.ndarray, most: int) -> dict[Labels, float]:
    """Log probability of every text, summed over all paths with at most so many labels a frame."""
    before: dict[Labels, float] = {(): 1.0}
    for t in range(len(frames)):
        after: dict[Labels, float] = defaultdict(float)
        active = before
        for depth in range(most + 1):
            longer: dict[Labels, float] = defaultdict(float)
            for labels, weight in active.items():
                row = np.exp(label_log_probs(head, frames[t : t + 1], labels)[0, -1])
                after[labels] += weight * row[0]
                if depth < most:
                    for label in range(1, len(row)):
                        longer[*labels, label] += weight * row[label]
            active = longer
        before = after
    return {labels: math.log(weight) for labels, weight in before.items()}


def check_against(found: list[Hypothesis], exact: dict[Labels, float], more: Callable[[Labels], float] = lambda labels: 0.0) -> None:
    """Every text, once, with its exact score, in order."""
    totals = {labels: score + more(labels) for labels, score in exact.items()}
    assert len(found) == len(totals) == len({hypothesis.labels for hypothesis in found})
    for hypothesis in found:
        assert hypothesis.acoustic == pytest.approx(exact[hypothesis.labels], abs=1e-4)
        assert hypothesis.score == pytest.approx(totals[hypothesis.labels], abs=1e-4)
        assert hypothesis.score == pytest.approx(hypothesis.acoustic + hypothesis.language + hypothesis.bonus, abs=1e-9)
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)


@pytest.fixture(scope="module")
def letters():
    return estimate_ngram(["ab ba", "abba", "a b", "bab ab", "ab", "b a b"], order=3, level="characters")


@pytest.mark.parametrize("joint", JOINTS)
@pytest.mark.parametrize(("frames", "most"), [(2, 2), (3, 1)])
def test_an_exhaustive_beam_is_the_sum_over_all_paths(joint: str, frames: int, most: int) -> None:
    head = make_head(joint)
    inputs = make_frames(head, frames)
    decoder = TransducerDecoder(AB, replace(WIDE, labels_per_frame=most), head_arrays(head))
    check_against(decoder.decode(inputs, EVERYTHING), path_sums(head, inputs, most))
    best = decoder.decode(inputs)
    assert len(best) == 1 and best[0] == decoder.decode(inputs, 5)[0]


@pytest.mark.parametrize("joint", JOINTS)
def test_models_hotwords_and_bonuses_are_added(joint: str, letters) -> None:
    head = make_head(joint, seed=2)
    inputs, automaton = make_frames(head, 3), build_hotwords({"ab": 3.0, "b": -1.0}, AB)
    decoder = TransducerDecoder(AB, replace(WIDE, labels_per_frame=1, word_score=0.3), head_arrays(head), Models(tokens=letters, hotwords=automaton))

    def more(labels: Labels) -> float:
        return 0.7 * letters.sentence_log_prob(AB.spell(labels)) + automaton.score(labels) + 0.3 * len(labels)

    check_against(decoder.decode(inputs, EVERYTHING), path_sums(head, inputs, 1), more)
    without = TransducerDecoder(AB, WIDE, head_arrays(head)).decode(inputs, 50)
    assert TransducerDecoder(AB, replace(WIDE, lm_weight=0.0), head_arrays(head), Models(tokens=letters)).decode(inputs, 50) == without


def test_without_a_prediction_network_labels_are_drawn_anew_each_time() -> None:
    """Frames alike and a prediction network that says nothing leave one distribution p for every step: P(text of L labels) in T frames is
    p(blank)^T * product of p(label) * (L + T - 1 choose L), whatever the order of the labels."""
    head = make_head("tanh")
    torch.nn.init.zeros_(head.label_layer.weight)
    inputs = make_frames(head, 1).repeat(3, axis=0)
    p = np.exp(label_log_probs(head, inputs[:1], ())[0, 0])
    for hypothesis in TransducerDecoder(AB, WIDE, head_arrays(head)).decode(inputs, EVERYTHING):
        count = len(hypothesis.labels)
        if count <= WIDE.labels_per_frame:  # longer ones have fewer ways, as a frame takes two labels at most
            expected = p[0] ** 3 * p[list(hypothesis.labels)].prod() * math.comb(count + 2, count)
            assert hypothesis.acoustic == pytest.approx(math.log(expected), abs=1e-4)


@pytest.mark.parametrize("joint", JOINTS)
def test_greedy_takes_the_likeliest_label_until_the_blank(joint: str) -> None:
    head = make_head(joint, seed=5)
    layer = head.label_layer if joint == "additive" else head.joint["output"]
    with torch.no_grad():
        layer.bias[0] += 2  # so that some frames say something and some do not
    inputs, labels, places, score = make_frames(head, 12, seed=3), [], [], 0.0
    for t in range(12):
        for depth in range(4):
            row = label_log_probs(head, inputs[t : t + 1], tuple(labels))[0, -1]
            best = 0 if depth == 3 else int(row.argmax())
            score += row[best]
            if best == 0:
                break
            labels.append(best)
            places.append(t)
    for settings in (DecoderConfig(labels_per_frame=3), DecoderConfig(kind="beam", beam_size=1, labels_per_frame=3)):
        (found,) = TransducerDecoder(AB, settings, head_arrays(head)).decode(inputs, 3)
        assert found.labels == tuple(labels) and found.frames == tuple(places) and found.score == pytest.approx(score, abs=1e-4)
    assert 0 < len(set(places)) < 12


@pytest.mark.parametrize("kind", ["greedy", "beam"])
def test_chunks_give_what_the_whole_gives(kind: str, letters) -> None:
    """A stream: an encoder of one direction says the same of a frame whatever comes behind it, and the search goes on from chunk to chunk."""
    torch.manual_seed(3)
    encoder, head = Encoder(5, ModelConfig(num_layers=2, hidden_size=6, bidirectional=False)).eval(), make_head("tanh", seed=4)
    signal = torch.randn(1, 40, 5)
    models = Models(tokens=letters, hotwords=build_hotwords({"ba": 2.0}, AB)) if kind == "beam" else None
    decoder = TransducerDecoder(AB, DecoderConfig(kind=kind, beam_size=8), head_arrays(head), models)  # type: ignore[arg-type]
    with torch.no_grad():
        whole = decoder.decode(head.decoder_input(encoder(signal, torch.tensor([40])))[0].numpy(), 5)
        search, done = decoder.search(), 0
        for arrived in (1, 2, 9, 30, 30, 40):
            heard = head.decoder_input(encoder(signal[:, :arrived], torch.tensor([arrived])))[0].numpy()
            search.feed(heard[done:])
            partial, done = search.finish(5), arrived
    assert [h.labels for h in partial] == [h.labels for h in whole] and [h.frames for h in partial] == [h.frames for h in whole]
    np.testing.assert_allclose([h.score for h in partial], [h.score for h in whole], atol=1e-4)
    assert len(whole) == (5 if kind == "beam" else 1) and whole[0].labels


def test_a_result_depends_on_its_own_frames_only() -> None:
    head = make_head("additive", seed=6)
    items = [make_frames(head, count, seed=count) for count in (7, 1, 30, 0, 12)]
    decoder = TransducerDecoder(AB, DecoderConfig(kind="beam", beam_size=6), head_arrays(head))
    alone = [decoder.decode(item, 3) for item in items]
    assert list(raise_failures(decoder.decode_all(items, 3, threads=2))) == alone
    assert alone[3] == [Hypothesis((), (), 0.0)]


def test_narrow_beams_lose_paths_and_never_add_any() -> None:
    head = make_head("tanh", seed=7, scale=0.6)
    inputs, bests = make_frames(head, 3), []
    exact = path_sums(head, inputs, 1)
    for size in (2, 8, 5000):
        found = TransducerDecoder(AB, replace(WIDE, beam_size=size, labels_per_frame=1), head_arrays(head)).decode(inputs, EVERYTHING)
        assert len(found) <= size and all(hypothesis.acoustic <= exact[hypothesis.labels] + 1e-4 for hypothesis in found)
        bests.append(found[0].score)
    assert bests[-1] >= max(bests) - 1e-4


def test_frames_of_zeros_are_passed_over() -> None:
    head = make_head("additive", seed=8)
    inputs = make_frames(head, 6)
    gapped = np.insert(inputs, [2, 2, 5], 0.0, axis=0)  # at 2, 3 and 7
    at = np.array([0, 1, 4, 5, 6, 8])
    for kind in ("greedy", "beam"):
        decoder = TransducerDecoder(AB, DecoderConfig(kind=kind), head_arrays(head))  # type: ignore[arg-type]
        (plain,), (found,) = decoder.decode(inputs), decoder.decode(gapped)
        assert found.labels == plain.labels and found.frames == tuple(at[list(plain.frames)]) and found.score == plain.score
        one, other = decoder.align(inputs, plain.labels), decoder.align(gapped, plain.labels)
        assert other.starts == tuple(at[list(one.starts)]) and other.score == one.score


@pytest.mark.parametrize("joint", JOINTS)
@pytest.mark.parametrize("labels", [(), (2,), (2, 2, 3), (1, 3, 2, 2, 1, 3)])
def test_alignment_is_the_best_of_all_placements(joint: str, labels: Labels) -> None:
    head = make_head(joint, seed=9)
    inputs = make_frames(head, 4)
    table, scores = label_log_probs(head, inputs, labels), {}
    for places in combinations_with_replacement(range(4), len(labels)):
        by_label = sum(table[t, u, label] for u, (t, label) in enumerate(zip(places, labels, strict=True)))
        scores[places] = by_label + sum(table[t, sum(place <= t for place in places), 0] for t in range(4))
    best = max(scores, key=scores.__getitem__)
    decoder = TransducerDecoder(AB, WIDE, head_arrays(head))
    for hints in (None, best):
        found = decoder.align(inputs, labels, hints)
        assert found.labels == labels and found.starts == best and found.score == pytest.approx(scores[best], abs=1e-4)
        assert all(start <= stop <= start + 1 for start, stop in zip(found.starts, found.stops, strict=True))
        assert all(stop <= after for stop, after in zip(found.stops, found.starts[1:], strict=False))
    expected = [math.exp(table[t, u, label]) for u, (t, label) in enumerate(zip(best, labels, strict=True))]
    np.testing.assert_allclose(decoder.peaks(inputs, found), expected, atol=1e-5)


def test_hints_bound_where_labels_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    head = make_head("additive", seed=10)
    inputs = make_frames(head, 30)
    decoder, labels = TransducerDecoder(AB, WIDE, head_arrays(head)), (1, 2, 3, 2)
    monkeypatch.setattr("recognizer.decoding.transducer.WINDOW", 2)
    found = decoder.align(inputs, labels, (4, 11, 11, 25))
    assert all(abs(start - hint) <= 2 for start, hint in zip(found.starts, (4, 11, 11, 25), strict=True))
    monkeypatch.setattr("recognizer.decoding.transducer.WINDOW", 30)
    assert decoder.align(inputs, labels, (4, 11, 11, 25)) == decoder.align(inputs, labels)


def test_what_cannot_be_decoded_or_aligned_is_refused() -> None:
    head = make_head("tanh")
    decoder, inputs = TransducerDecoder(AB, WIDE, head_arrays(head)), make_frames(head, 5)
    with pytest.raises(InputError, match=r"have 5 numbers; found shape \(5, 4\)"):
        decoder.decode(inputs[:, :4])
    broken = inputs.copy()
    broken[3, 1] = math.nan
    with pytest.raises(InputError, match="1 of 5 frames are not finite, the first is frame 3"):
        decoder.decode(broken)
    with pytest.raises(InputError, match=r"label 4 at position 1 is outside 1\.\.3"):
        decoder.align(inputs, (1, 4))
    with pytest.raises(InputError, match="1 labels need frames; there are none"):
        decoder.align(inputs[:0], (1,))
    assert decoder.align(inputs[:0], ()).score == 0


def test_settings_choose_the_decoder_or_are_refused(letters, tmp_path: Path) -> None:
    head = make_head("tanh")
    save_ngram(letters, tmp_path / "letters.ngram")
    save_ngram(estimate_ngram(["a b", "b a"], order=2, level="words"), tmp_path / "words.ngram")
    (tmp_path / "lexicon.txt").write_text("ab\ta b\n")
    inputs = make_frames(head, 6)

    def load(hotwords: dict[str, float] | None = None, **settings: object) -> TransducerDecoder:
        decoder = load_decoder(DecoderConfig(**settings), AB, tmp_path, hotwords, head=head)  # type: ignore[arg-type]
        assert isinstance(decoder, TransducerDecoder)
        return decoder

    fused = load({"ab": 3.0}, kind="beam", lm="letters.ngram").decode(inputs)[0]
    assert fused.language < 0 and load().is_greedy and not load(kind="beam").is_greedy
    assert load(kind="beam", char_lm="letters.ngram", lm_weight=0.5).decode(inputs)[0].language < 0
    for settings, message in [
        ({"lm": "words.ngram"}, r"decoder\.lm: a transducer takes a model of the symbols of its alphabet \(characters\)"),
        ({"lexicon": "lexicon.txt"}, r"decoder\.lexicon: a transducer"),
    ]:
        with pytest.raises(ConfigError, match=message):
            load(kind="beam", **settings)
    with pytest.raises(ConfigError, match="hotwords need a beam"):
        load({"ab": 3.0})
