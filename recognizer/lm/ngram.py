"""Backoff n-gram models as an automaton in flat arrays, and the compiled functions that ask it for probabilities."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from recognizer.utils.compiling import compiled

Level = Literal["characters", "words"]
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]
Sentence = str | Sequence[str]  # a string to be cut into symbols, or the symbols

UNKNOWN, START, END = 0, 1, 2  # ids
SPECIAL = ("<unk>", "<s>", "</s>")  # symbols of these ids
LOG_ZERO = -99 * math.log(10)  # natural log that stands for a probability of zero; ARPA files say -99

# The kernels have no signatures: memory-mapped arrays are read-only, which is another type to the compiler than arrays made in memory.


@compiled
def query(first, symbol, log_prob, target, backoff, fallback, state, id):  # type: ignore[no-untyped-def]
    """Natural log probability (float64) of a symbol in a state, and the state (int64) after it.

    The first six arguments are ``NgramModel.arrays``. ``id`` must be a symbol of the model, ``state`` one of its states.
    """
    here = np.int64(state)
    total = 0.0
    while here > 0:
        low = first[here]
        end = first[here + 1]
        high = end
        while low < high:
            middle = (low + high) >> 1
            if symbol[middle] < id:
                low = middle + 1
            else:
                high = middle
        if low < end and symbol[low] == id:
            return total + np.float64(log_prob[low]), np.int64(target[low])
        total += np.float64(backoff[here])
        here = np.int64(fallback[here])
    return total + np.float64(log_prob[id]), np.int64(target[id])


@compiled
def query_many(first, symbol, log_prob, target, backoff, fallback, states, ids):  # type: ignore[no-untyped-def]
    """``query`` for pairs of states and ids, (N,) each: log probs (N,) float64 and states (N,) int64."""
    log_probs = np.empty(len(ids), np.float64)
    after = np.empty(len(ids), np.int64)
    for i in range(len(ids)):
        log_probs[i], after[i] = query(first, symbol, log_prob, target, backoff, fallback, np.int64(states[i]), np.int64(ids[i]))
    return log_probs, after


@compiled
def score_text(first, symbol, log_prob, target, backoff, fallback, start, ids):  # type: ignore[no-untyped-def]
    """Natural log probability of each token, (N,) float64; the token after ``</s>`` (id 2) begins a sentence in ``start``."""
    log_probs = np.empty(len(ids), np.float64)
    state = np.int64(start)
    for i in range(len(ids)):
        log_probs[i], state = query(first, symbol, log_prob, target, backoff, fallback, state, np.int64(ids[i]))
        if ids[i] == 2:
            state = np.int64(start)
    return log_probs


@dataclass(frozen=True)
class NgramModel:
    """A backoff n-gram model as an automaton: states are contexts, arcs are listed n-grams (Katz 1987).

    The probability of a symbol is that of its arc in the state of the longest known context; where there is none, the
    state's backoff weight is added and the context without its oldest symbol is asked. S states, A arcs, V symbols.
    States are numbered by the length of their context and, within a length, in the order of the arcs that first lead to
    them; a context that nothing follows and that has no backoff weight is no state, as it would change no score.

    Attributes:
        order: the longest n-gram.
        level: what a symbol is: "characters" (one character, the space being ``" "``) or "words".
        symbols: symbol of each id, (V,): ``<unk>``, ``<s>``, ``</s>``, then the others, sorted.
        first: (S + 1,) int64; the arcs of state s are ``first[s]`` to ``first[s + 1]``, the latter excluded.
        symbol: id of each arc, (A,) int32, ascending within a state. State 0, the empty context, has an arc for every
            symbol, so that ``symbol[i] == i`` there; that of ``<s>`` has the log prob ``LOG_ZERO``.
        log_prob: natural log probability of each arc, (A,) float32.
        target: state after each arc, (A,) int32: the longest suffix of context and symbol that is a state.
        backoff: natural log of the backoff weight of each state, (S,) float32; 0 where there is none.
        fallback: (S,) int32: the longest state that is a proper suffix of the context; -1 for state 0.
        start: state at the beginning of a sentence, after ``<s>``.
    """

    order: int
    level: Level
    symbols: tuple[str, ...]
    first: np.ndarray
    symbol: np.ndarray
    log_prob: np.ndarray
    target: np.ndarray
    backoff: np.ndarray
    fallback: np.ndarray
    start: int

    @property
    def arrays(self) -> Arrays:
        """What the compiled functions take: first, symbol, log_prob, target, backoff, fallback."""
        return self.first, self.symbol, self.log_prob, self.target, self.backoff, self.fallback

    @cached_property
    def ids(self) -> dict[str, int]:
        """Id of each symbol."""
        return {symbol: number for number, symbol in enumerate(self.symbols)}

    def id(self, symbol: str) -> int:
        """Id of a symbol; 0, that of ``<unk>``, if the model does not know it."""
        return self.ids.get(symbol, UNKNOWN)

    def encode(self, sentence: Sentence) -> list[int]:
        """Ids of a sentence, without ``<s>`` and ``</s>``."""
        return [self.id(symbol) for symbol in split_sentence(sentence, self.level)]

    def score(self, state: int, id: int) -> tuple[float, int]:
        """Natural log probability of a symbol in a state, and the state after it; :func:`query` without compiled code."""
        total = 0.0
        while state:
            low, high = int(self.first[state]), int(self.first[state + 1])
            arc = low + int(np.searchsorted(self.symbol[low:high], id))
            if arc < high and self.symbol[arc] == id:
                return total + float(self.log_prob[arc]), int(self.target[arc])
            total += float(self.backoff[state])
            state = int(self.fallback[state])
        return total + float(self.log_prob[id]), int(self.target[id])

    def sentence_log_prob(self, symbols: Sentence) -> float:
        """Natural log probability of a sentence, its end included."""
        state, total = self.start, 0.0
        for id in [*self.encode(symbols), END]:
            log_prob, state = self.score(state, id)
            total += log_prob
        return total

    def token_log_probs(self, ids: np.ndarray) -> np.ndarray:
        """Natural log probability of every token of a text, (N,) float64.

        Args:
            ids: sentences one after the other, each ended by the id of ``</s>``, (N,).
        """
        log_probs: np.ndarray = score_text(*self.arrays, self.start, np.ascontiguousarray(ids, dtype=np.int32))
        return log_probs

    def perplexity(self, sentences: Iterable[Sentence]) -> Perplexity:
        """How well the model predicts a text: sentences as strings (words separated by white space) or as symbols."""
        total = Perplexity()
        for ids in encode_batches(self, sentences):
            log_probs, known = self.token_log_probs(ids), ids != UNKNOWN
            total = Perplexity(
                total.sentences + int((ids == END).sum()),
                total.tokens + len(ids),
                total.unknown + int((~known).sum()),
                total.log_prob + float(log_probs.sum()),
                total.known_log_prob + float(log_probs[known].sum()),
            )
        return total


class Perplexity(NamedTuple):
    """How well a model predicts a text."""

    sentences: int = 0
    tokens: int = 0  # symbols and ends of sentences
    unknown: int = 0  # tokens that the model does not know
    log_prob: float = 0.0  # natural log probability of all tokens
    known_log_prob: float = 0.0  # of those that the model knows

    @property
    def including_unknown(self) -> float:
        """Perplexity per token, ends of sentences included; NaN for no text."""
        return _perplexity(self.log_prob, self.tokens)

    @property
    def excluding_unknown(self) -> float:
        """Perplexity per known token: unknown ones are context but are not scored."""
        return _perplexity(self.known_log_prob, self.tokens - self.unknown)


def split_sentence(sentence: Sentence, level: Level) -> Sequence[str]:
    """Symbols of a sentence: a string is cut into words, or into characters with single spaces between words."""
    if not isinstance(sentence, str):
        return sentence
    return sentence.split() if level == "words" else " ".join(sentence.split())


def encode_batches(model: NgramModel, sentences: Iterable[Sentence], size: int = 1 << 20) -> Iterator[np.ndarray]:
    """Ids of sentences, each followed by that of ``</s>``, in arrays of about ``size`` tokens (int32)."""
    batch: list[int] = []
    for sentence in sentences:
        batch += [*model.encode(sentence), END]
        if len(batch) >= size:
            yield np.array(batch, dtype=np.int32)
            batch = []
    if batch:
        yield np.array(batch, dtype=np.int32)


def _perplexity(log_prob: float, tokens: int) -> float:
    return math.exp(min(-log_prob / tokens, 700.0)) if tokens else math.nan
