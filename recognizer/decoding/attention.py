"""Beam search of an attention decoder, alone or in one pass with CTC: hypotheses of equal length grow label by label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path

import numpy as np
import torch

from recognizer.config import DecoderConfig
from recognizer.decoding.alignment import Alignment, viterbi_align
from recognizer.decoding.beam_arrays import ngram_arrays
from recognizer.decoding.ctc_prefix import CtcPrefixes
from recognizer.decoding.decoder import Models
from recognizer.decoding.hotwords import build_hotwords
from recognizer.decoding.hypothesis import Hypothesis, check_log_probs, check_sums
from recognizer.decoding.segments import SegmentDecoder, silence
from recognizer.errors import ConfigError, InputError
from recognizer.lm.ngram import query_many
from recognizer.models.attention_decoder import END, AttentionDecoder, Memory, Spelling, State
from recognizer.models.heads import Head
from recognizer.text.alphabet import Alphabet

MAX_FRAMES = 4000  # of attention alone, two minutes of speech: without CTC nothing tells where a longer recording may be cut


@dataclass
class Beam:
    """N prefixes of equal length, and all that scores them.

    Attributes:
        last: (N,) their last labels, ``END`` of the empty prefix.
        spelt, language, bonus: (N,) log probability by the attention decoder, weighted log probability by the n-gram model, bonuses.
        frames_needed: (N,) fewest frames in which they can be read.
        ngram, phrase: (N,) states of the n-gram model and of the hotwords.
        state: of the attention decoder; None: it has no weight.
        forward: (N, T + 1, 2) of :class:`~recognizer.decoding.ctc_prefix.CtcPrefixes`; None: CTC has no weight.
    """

    last: np.ndarray
    spelt: np.ndarray
    language: np.ndarray
    bonus: np.ndarray
    frames_needed: np.ndarray
    ngram: np.ndarray
    phrase: np.ndarray
    state: State | None
    forward: np.ndarray | None


@dataclass
class Found:
    """Prefixes step by step, to be traced back, and the whole hypotheses among them.

    Attributes:
        steps: for each length the rows of the prefixes that were extended, the labels appended and their frames, (N,) each.
        ends: length, row, acoustic score, language and bonus of each whole hypothesis.
    """

    steps: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=list)
    ends: list[tuple[int, int, float, float, float]] = field(default_factory=list)

    def best(self, count: int) -> list[Hypothesis]:
        """The likeliest whole hypotheses, best first."""
        ordered = sorted(self.ends, key=lambda end: -sum(end[2:]))[:count]
        return [Hypothesis(*self._trace(length, row), acoustic + language + bonus, acoustic, language, bonus)
                for length, row, acoustic, language, bonus in ordered]  # fmt: skip

    def _trace(self, length: int, row: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        labels, frames = [], []
        for rows, appended, places in reversed(self.steps[:length]):
            labels.append(int(appended[row]))
            frames.append(int(places[row]))
            row = int(rows[row])
        return tuple(labels[::-1]), tuple(frames[::-1])


class AttentionSearch(SegmentDecoder):
    """A beam search over labels, ready to be used from several threads.

    The acoustic score of a hypothesis is ``(1 - w)`` times the log probability that the attention decoder gives its labels and its end,
    plus ``w`` (``decoder.ctc_weight``, where there is CTC) times that of CTC: one-pass joint decoding (Watanabe et al. 2017, section
    III-B). Weighted log probs of an n-gram model and bonuses are added as in :class:`~recognizer.decoding.beam.BeamDecoder`. Prefixes of
    one length compete; a hypothesis that ends takes one of the ``beam_size`` places of its length. The search ends when nothing can
    overtake the best whole hypotheses, at the latest with a label a frame. ``beam_size_token``, ``token_threshold`` and
    ``blank_skip`` do nothing here. Labels of a long recording are read in segments, as by any beam, where CTC tells its pauses;
    attention alone refuses what is longer than ``MAX_FRAMES``.

    Args:
        head: the attention decoder; in evaluation mode.
        alphabet: of the labels.
        config: beam size, threshold below the best hypothesis, weights.
        models: an n-gram model of the symbols of the alphabet and hotwords, if any.

    Raises:
        ConfigError: models of words.
    """

    def __init__(self, head: AttentionDecoder, alphabet: Alphabet, config: DecoderConfig, models: Models | None = None) -> None:
        self.head, self.alphabet, self.config, self.models = head, alphabet, config, models or Models()
        if self.models.words is not None or self.models.trie is not None:
            key = "lm" if self.models.words is not None else "lexicon"
            raise ConfigError(f"decoder.{key}: an attention decoder writes symbols and knows no words; name a model of symbols, or set it to null")
        self.separator = alphabet.encode(" ")[0] if alphabet.level == "characters" and " " in alphabet.symbols else 0
        self.ctc_weight = config.ctc_weight if head.joint else 0.0
        self._ngram = ngram_arrays(self.models.tokens, config.lm_weight, ("", *alphabet.symbols))
        if not head.joint:
            self.whole_frames = None

    def with_config(self, config: DecoderConfig) -> AttentionSearch:
        """The same models with other settings."""
        return AttentionSearch(self.head, self.alphabet, config, self.models)

    def align(self, inputs: np.ndarray, labels: Sequence[int], frames: Sequence[int] | None = None) -> Alignment:
        """Where in the frames the labels of a known text lie.

        With CTC by Viterbi alignment of its log-probs. Attention alone has no path: each label gets the frames about those that its
        attention lies on, more than if it lay on all alike, in an order that never goes back. That is a rough place: attention is
        trained to find what tells a label, not where it begins, and may lie beside it. The score is then that of the labels.

        Args:
            inputs: (T, C) as for :meth:`decode`.
            labels: (L,) what is written.
            frames: (L,) of a hypothesis with these labels, used by CTC in long recordings.

        Raises:
            InputError: as :func:`~recognizer.decoding.alignment.viterbi_align`; attention alone: more than ``MAX_FRAMES`` frames.
        """
        if self.head.joint:
            long = self.whole_frames is not None and len(inputs) > self.whole_frames
            return super().align(inputs[:, : self.head.labels], labels, frames if long else None)
        if not len(labels) or not len(inputs):
            return viterbi_align(np.zeros((len(inputs), self.head.labels)), labels)
        spelling = self._spell(inputs, labels)
        weights = spelling.weights[0, : len(labels)].numpy(force=True)
        table = np.log(np.maximum(np.vstack([np.full(len(inputs), 1 / len(inputs)), weights]).T, 1e-30))
        found = viterbi_align(table, np.arange(1, len(labels) + 1))
        score = float(spelling.log_probs.gather(2, spelling.targets[:, :, None]).sum())
        return replace(found, labels=tuple(int(label) for label in labels), score=score)

    def peaks(self, inputs: np.ndarray, alignment: Alignment) -> np.ndarray:
        """The highest probability (L,) that CTC gives each label within its run of frames; attention alone: that of each label after those before."""
        if self.head.joint:
            return super().peaks(inputs[:, : self.head.labels], alignment)
        if not alignment.labels:
            return np.zeros(0)
        spelling = self._spell(inputs, alignment.labels)
        probabilities: np.ndarray = spelling.log_probs.gather(2, spelling.targets[:, :, None])[0, :-1, 0].double().exp().numpy(force=True)
        return probabilities

    def _spell(self, inputs: np.ndarray, labels: Sequence[int]) -> Spelling:
        table, wanted = self._check(inputs), torch.tensor(labels)
        if not bool(((wanted > END) & (wanted < self.head.labels)).all()):
            raise InputError(f"labels to align lie between 1 and {self.head.labels - 1}; found {min(labels)} to {max(labels)}")
        with torch.inference_mode():
            frames = self._frames(table)
            return self.head.spell(frames, torch.tensor([len(table)], device=frames.device), wanted.to(frames.device), torch.tensor([len(labels)]))

    def _check(self, log_probs: np.ndarray) -> np.ndarray:
        table = np.asarray(log_probs)
        if table.ndim != 2 or table.shape[1] != self.head.dim:
            raise InputError(f"an attention decoder takes frames of {self.head.dim} numbers; found shape {table.shape}")
        if self.head.joint:
            check_sums(check_log_probs(table[:, : self.head.labels]))
        elif len(table) > MAX_FRAMES:
            advice = "cut the recording, or train with objective=joint, whose CTC tells where to cut"
            raise InputError(f"{len(table)} frames are more than the {MAX_FRAMES} that attention alone can read; {advice}")
        if not np.isfinite(table[:, self.head.dim - self.head.key.in_features :]).all():
            raise InputError("frames of the encoder are not finite")
        return table

    def _silence(self, log_probs: np.ndarray) -> np.ndarray:
        return silence(log_probs[:, : self.head.labels], self.separator)

    def _frames(self, table: np.ndarray) -> torch.Tensor:
        """The encoder's frames (1, T, H) where the head is."""
        weight = self.head.key.weight
        frames = np.array(table[:, self.head.dim - self.head.key.in_features :])
        return torch.from_numpy(frames).to(weight.device, weight.dtype)[None]

    @torch.inference_mode()
    def _decode_segment(self, log_probs: np.ndarray, n_best: int) -> list[Hypothesis]:
        if len(log_probs) == 0:
            return [Hypothesis((), (), 0.0)]
        frames = self._frames(log_probs)
        memory = self.head.remember(frames, torch.tensor([len(log_probs)], device=frames.device)) if self.ctc_weight < 1 else None
        prefixes = CtcPrefixes(log_probs[:, : self.head.labels]) if self.ctc_weight > 0 else None
        beam, found = self._begin(memory, prefixes), Found()
        while len(beam.last):
            beam = self._grow(beam, memory, prefixes, found, n_best, len(log_probs))
        if not found.ends:
            raise InputError("every labeling has a probability of zero")
        return found.best(n_best)

    def _begin(self, memory: Memory | None, prefixes: CtcPrefixes | None) -> Beam:
        integers, reals = np.zeros(1, np.int64), np.zeros(1)
        state = None if memory is None else self.head.initial(memory, 1)
        start = np.full(1, self._ngram.start)
        return Beam(integers, reals, reals, reals, integers, start, integers, state, None if prefixes is None else prefixes.initial())

    def _grow(self, beam: Beam, memory: Memory | None, prefixes: CtcPrefixes | None, found: Found, n_best: int, frames: int) -> Beam:
        """The best prefixes of one label more; hypotheses that end go to ``found``. No prefixes where the search is over."""
        size = self.head.labels
        spelt, state = np.repeat(beam.spelt[:, None], size, axis=1), None  # (N, V) of all candidates, and in column 0 of the end
        if memory is not None and beam.state is not None:
            log_probs, state = self.head.step(memory, beam.state, torch.from_numpy(beam.last).to(memory.frames.device))
            spelt += log_probs.double().numpy(force=True)
        acoustic = (1 - self.ctc_weight) * spelt
        if prefixes is not None and beam.forward is not None:
            acoustic += self.ctc_weight * prefixes.score(beam.forward, beam.last)
        language, ngram = self._add_language(beam)
        bonus, phrase = self._add_bonus(beam)
        needed = beam.frames_needed[:, None] + 1 + (self.head.joint & (np.arange(size) == beam.last[:, None]))
        needed[:, END] = 0
        total = np.where(needed <= frames, acoustic + language + bonus, -inf)
        finished = sorted((sum(end[2:]) for end in found.ends), reverse=True)
        best = max([float(total.max()), *finished[:1]])
        chosen = np.argsort(-total, axis=None, kind="stable")[: self.config.beam_size]
        chosen = chosen[total.flat[chosen] > max(best - self.config.beam_threshold, -np.finfo(np.float64).max)]
        rows, labels = np.divmod(chosen, size)
        for row in rows[labels == END].tolist():
            found.ends.append((len(found.steps), row, float(acoustic[row, END]), float(language[row, END]), float(bonus[row, END])))
            finished = sorted([*finished, float(total[row, END])], reverse=True)
        rows, labels = rows[labels != END], labels[labels != END]
        margin = self.config.beam_threshold if self._gains else 0.0  # otherwise scores only fall
        if not len(rows) or (len(finished) >= n_best and total[rows[0], labels[0]] + margin <= finished[n_best - 1]):
            rows, labels = rows[:0], labels[:0]
        forward, places = None, np.zeros(len(rows), np.int64)
        if prefixes is not None and beam.forward is not None:
            forward, places = prefixes.extend(beam.forward, beam.last, rows, labels)
        if state is not None:
            state = state.select(torch.from_numpy(rows).to(state.weights.device))
            places = places if prefixes is not None else state.weights.argmax(dim=1).numpy(force=True)
        found.steps.append((rows, labels, places))
        at = rows, labels
        return Beam(labels, spelt[at], language[at], bonus[at], needed[at], ngram[at], phrase[at], state, forward)

    @property
    def _gains(self) -> bool:
        """Whether a label may add to the score of a prefix."""
        return self.config.word_score > 0 or self.models.hotwords is not None

    def _add_language(self, beam: Beam) -> tuple[np.ndarray, np.ndarray]:
        """Language score and n-gram state (N, V) of all candidates."""
        before, model = np.repeat(beam.language[:, None], self.head.labels, axis=1), self._ngram
        states = np.repeat(beam.ngram, self.head.labels)
        if not len(model.ids):
            return before, states.reshape(before.shape)
        ids = np.concatenate([[model.end], model.ids[1:]])
        scores, after = query_many(*model[4:], states, np.tile(ids, len(before)))
        return before + model.weight * scores.reshape(before.shape), after.reshape(before.shape)

    def _add_bonus(self, beam: Beam) -> tuple[np.ndarray, np.ndarray]:
        """Bonus and hotword state (N, V) of all candidates."""
        bonus = np.repeat(beam.bonus[:, None], self.head.labels, axis=1)
        bonus[:, END + 1 :] += self.config.word_score
        automaton = self.models.hotwords
        if automaton is None:
            return bonus, np.zeros(bonus.shape, np.int64)
        gain = automaton.gain[beam.phrase]
        gain[:, END] = automaton.end[beam.phrase]
        return bonus + gain, automaton.target[beam.phrase].astype(np.int64)


def load_attention_decoder(
    head: Head, config: DecoderConfig, alphabet: Alphabet, folder: Path | None, hotwords: Mapping[str, float] | None, visual: bool
) -> AttentionSearch:
    """Read what ``config`` names and put the search together; ``decoder.kind=greedy`` is a beam of one without models.

    Arguments and errors are those of :func:`~recognizer.decoding.decoder.load_decoder`.
    """
    from recognizer.decoding.decoder import load_models

    assert isinstance(head, AttentionDecoder)
    if config.kind == "greedy":
        if hotwords:
            raise ConfigError("hotwords need a beam: add decoder.kind=beam")
        return AttentionSearch(head, alphabet, replace(config, beam_size=1, word_score=0.0))
    if config.closed:
        key = "vocabulary" if config.lexicon is None else "lexicon"
        raise ConfigError(f"decoder.{key}: an attention decoder writes symbols and knows no words; leave it at its default")
    words, tokens = load_models(config, folder, alphabet, False)
    automaton = build_hotwords(hotwords, alphabet) if hotwords else None
    return AttentionSearch(head, alphabet, config, Models(words, tokens, hotwords=automaton))
