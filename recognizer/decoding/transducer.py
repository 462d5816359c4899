"""Reading with a transducer: greedy and beam search over prefixes, whole or chunk by chunk, and alignment of a known text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from math import inf, log
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from recognizer.config import DecoderConfig
from recognizer.decoding.alignment import Alignment
from recognizer.decoding.beam_arrays import hotword_arrays, ngram_arrays
from recognizer.decoding.decoder import Decoder, Models, load_models
from recognizer.decoding.hypothesis import Hypothesis
from recognizer.decoding.transducer_kernel import (
    HeadArrays,
    TransducerLimits,
    TransducerModels,
    begin,
    best_alignment,
    finish,
    follow_best,
    join,
    predict_all,
    search_frames,
    trace_prefix,
)
from recognizer.errors import ConfigError, InputError
from recognizer.models.transducer import TransducerHead
from recognizer.text.alphabet import Alphabet

MAX_BACK_POINTERS = 1 << 28  # bytes, one for each frame and label that are aligned
WINDOW = 500  # frames on either side of a hint in which a label is looked for


class TransducerDecoder(Decoder):
    """Greedy or beam search with a transducer, ready to be used from several threads.

    The beam search is that of Graves 2012 (algorithm 1), whose inner loop runs in rounds of one label for all prefixes at once (Saon et
    al. 2020, section 2): within a frame every prefix takes the blank, which ends the frame for it, and up to ``labels_per_frame`` labels.
    Paths that write the same are summed. The score of a prefix is the log probability of its paths plus weighted log probs of a model of
    the symbols (shallow fusion), plus bonuses. Without limits it is the sum over all alignments.

    A frame of zeros stands for one that the network did not see: nothing is written in it.

    Args:
        alphabet: of the labels.
        config: kind, sizes, thresholds and weights.
        head: the weights (:func:`head_arrays`).
        models: a model of the symbols, and hotwords; no words.
    """

    closed = False

    def __init__(self, alphabet: Alphabet, config: DecoderConfig, head: HeadArrays, models: Models | None = None) -> None:
        self.alphabet, self.config, self.head, self.models = alphabet, config, head, models or Models()
        tokens = ngram_arrays(self.models.tokens, config.lm_weight, ("", *alphabet.symbols))
        self.arrays = TransducerModels(tokens, hotword_arrays(self.models.hotwords, len(alphabet)), config.word_score)
        skip = log(config.blank_skip) if config.blank_skip < 1 else inf
        most = min(config.beam_size_token, len(alphabet))
        self.limits = TransducerLimits(config.beam_size, config.labels_per_frame, most, config.token_threshold, config.beam_threshold, skip)
        without = self.models == Models() and config.word_score == 0
        self.is_greedy = config.kind == "greedy" or (config.beam_size == 1 and without)

    def decode(self, inputs: np.ndarray, n_best: int = 1) -> list[Hypothesis]:
        """The likeliest hypotheses, best first: at least one, at most ``n_best``, none twice.

        Args:
            inputs: (T, C), what the head makes of each frame.
            n_best: how many.

        Raises:
            InputError: another number of columns, or a frame that is not finite.
        """
        search = self.search()
        search.feed(inputs)
        return search.finish(n_best)

    def search(self) -> TransducerSearch:
        """A search that is fed frames as they come."""
        return GreedySearch(self) if self.is_greedy else BeamSearch(self)

    def with_config(self, config: DecoderConfig) -> TransducerDecoder:
        """The same models with other settings."""
        return TransducerDecoder(self.alphabet, config, self.head, self.models)

    def check(self, inputs: np.ndarray) -> np.ndarray:
        """Inputs (T, C) as the loops take them.

        Raises:
            InputError: as :meth:`decode`.
        """
        frames, size = np.ascontiguousarray(inputs, np.float32), self.head.bias.size
        if frames.ndim != 2 or frames.shape[1] != size:
            raise InputError(f"a transducer's frames have {size} numbers; found shape {frames.shape}")
        bad = np.flatnonzero(~np.isfinite(frames).all(axis=1))
        if bad.size:
            raise InputError(f"{bad.size} of {len(frames)} frames are not finite, the first is frame {bad[0]}")
        return np.require(frames, requirements=["C", "W"])

    def align(self, inputs: np.ndarray, labels: Sequence[int], frames: Sequence[int] | None = None) -> Alignment:
        """Where on the best path the labels of a known text are written.

        A label is written in one frame, where it starts and behind which it stops; of several written in the same frame the last has it, and
        those before stop where they start.

        Args:
            inputs: (T, C) as for :meth:`decode`.
            labels: (L,) what is written.
            frames: (L,) of a hypothesis with these labels, within ``WINDOW`` frames of which they are looked for; None: anywhere.

        Raises:
            InputError: as :meth:`decode`; a label outside the alphabet; labels without frames; or more frames and labels than fit into
                ``MAX_BACK_POINTERS`` bytes.
        """
        table, wanted = self.check(inputs), self._check_labels(labels)
        if len(table) == 0:
            if wanted.size:
                raise InputError(f"{wanted.size} labels need frames; there are none")
            return Alignment((), (), (), 0.0)
        first, last = _find_band(len(table), wanted.size, None if frames is None else np.maximum.accumulate(np.asarray(frames, np.int64)))
        width = int((last - np.append(0, first[:-1])).max()) + 1
        if len(table) * width > MAX_BACK_POINTERS:
            size = f"{len(table)} frames and {wanted.size} labels need {len(table) * width:.1e} bytes, more than {MAX_BACK_POINTERS:.1e}"
            raise InputError(f"{size}; cut the recording")
        score, places = best_alignment(table, wanted, predict_all(np.append(0, wanted).astype(np.int32), self.head), first, last, self.head)
        if score == -math.inf:
            raise InputError("every path has a probability of zero")
        starts = places.tolist()
        stops = [start if start == after else start + 1 for start, after in zip(starts, [*starts[1:], None], strict=True)] if starts else []
        return Alignment(tuple(wanted.tolist()), tuple(starts), tuple(stops), float(score))

    def peaks(self, inputs: np.ndarray, alignment: Alignment) -> np.ndarray:
        """The probability (L,) of each label in the frame in which it is written, after the labels before it."""
        table = self.check(inputs)
        labels = self._check_labels(alignment.labels)
        predicted = predict_all(np.append(0, labels).astype(np.int32), self.head)
        rows = [join(table[start], predicted[u : u + 1], self.head)[0, labels[u]] for u, start in enumerate(alignment.starts)]
        return np.exp(np.array(rows, np.float64))

    def _check_labels(self, labels: Sequence[int]) -> np.ndarray:
        wanted = np.asarray(labels, np.int64)
        outside = np.flatnonzero((wanted < 1) | (wanted >= len(self.alphabet)))
        if outside.size:
            raise InputError(f"label {wanted[outside[0]]} at position {outside[0]} is outside 1..{len(self.alphabet) - 1}")
        return wanted.astype(np.int32)


class TransducerSearch:
    """A search that goes on with each chunk of frames; what comes out does not depend on how they are cut into chunks.

    With an encoder of one direction this reads a stream. Memory grows with the labels that were tried, not with the frames kept.
    """

    def __init__(self, decoder: TransducerDecoder) -> None:
        self.decoder = decoder

    def feed(self, inputs: np.ndarray) -> None:
        """Take in the next frames (T, C).

        Raises:
            InputError: as :meth:`TransducerDecoder.decode`.
        """
        raise NotImplementedError

    def finish(self, n_best: int = 1) -> list[Hypothesis]:
        """The likeliest hypotheses if the text ends here, best first; the search may go on all the same."""
        raise NotImplementedError


class GreedySearch(TransducerSearch):
    """The likeliest label again and again, until it is the blank, frame by frame; has one hypothesis for everything."""

    def __init__(self, decoder: TransducerDecoder) -> None:
        super().__init__(decoder)
        start = begin(decoder.head, decoder.arrays)
        self.state = (start.hidden, start.cells, start.predicted)
        self.labels: list[int] = []
        self.places: list[int] = []
        self.score, self.frames = 0.0, 0

    def feed(self, inputs: np.ndarray) -> None:
        """As :class:`TransducerSearch` says."""
        frames, most = self.decoder.check(inputs), self.decoder.limits.labels_per_frame
        labels, places, score = follow_best(frames, self.frames, most, self.decoder.head, *self.state)
        self.labels += labels.tolist()
        self.places += places.tolist()
        self.score, self.frames = self.score + score, self.frames + len(frames)

    def finish(self, n_best: int = 1) -> list[Hypothesis]:
        """As :class:`TransducerSearch` says."""
        return [Hypothesis(tuple(self.labels), tuple(self.places), self.score, self.score)]


class BeamSearch(TransducerSearch):
    """The prefixes of a beam, and all paths to each."""

    def __init__(self, decoder: TransducerDecoder) -> None:
        super().__init__(decoder)
        self.beam = begin(decoder.head, decoder.arrays)

    def feed(self, inputs: np.ndarray) -> None:
        """As :class:`TransducerSearch` says."""
        decoder = self.decoder
        self.beam = search_frames(decoder.check(inputs), decoder.limits, decoder.head, decoder.arrays, self.beam)

    def finish(self, n_best: int = 1) -> list[Hypothesis]:
        """As :class:`TransducerSearch` says."""
        models = self.decoder.arrays
        scores = finish(self.beam, models)
        order = np.argsort(-scores[:, 0], kind="stable")[:n_best]
        found = []
        for node, (score, acoustic, by_tokens, bonus) in zip(self.beam.entries[order], scores[order].tolist(), strict=True):
            labels, frames = trace_prefix(self.beam.nodes, node)
            found.append(Hypothesis(tuple(labels.tolist()), tuple(frames.tolist()), score, acoustic, models.tokens.weight * by_tokens, bonus))
        return found


def load_transducer_decoder(
    head: TransducerHead, config: DecoderConfig, alphabet: Alphabet, folder: Path | None = None, hotwords: Mapping[str, float] | None = None
) -> TransducerDecoder:
    """Read what ``config`` names and put the decoder together; a greedy one reads nothing.

    Args:
        head: of the network.
        config: the settings.
        alphabet: of the labels.
        folder: of the bundle, in which files are looked for first.
        hotwords: weights of phrases, in nats.

    Raises:
        ConfigError: a file that is not there; a model of words or a lexicon, since prefixes are told apart by their labels only; hotwords with
            a greedy decoder.
        InputError: a file that cannot be read; a hotword that the alphabet cannot spell.
    """
    from recognizer.decoding.hotwords import build_hotwords

    if config.kind == "greedy":
        if hotwords:
            raise ConfigError("hotwords need a beam: add decoder.kind=beam")
        return TransducerDecoder(alphabet, config, head_arrays(head))
    if config.lexicon is not None or config.vocabulary == "closed":
        key = "lexicon" if config.lexicon is not None else "vocabulary"
        raise ConfigError(f"decoder.{key}: a transducer writes its symbols without a list of words; set decoder.lexicon=null decoder.vocabulary=auto")
    words, tokens = load_models(config, folder, alphabet, False)
    if words is not None:
        raise ConfigError(f"decoder.lm: a transducer takes a model of the symbols of its alphabet ({alphabet.level}), not one of words")
    automaton = build_hotwords(hotwords, alphabet) if hotwords else None
    return TransducerDecoder(alphabet, config, head_arrays(head), Models(tokens=tokens, hotwords=automaton))


def head_arrays(head: TransducerHead) -> HeadArrays:
    """The weights of a head as the loops take them, on the CPU."""

    def array(tensor: Tensor) -> np.ndarray:
        return np.array(tensor.detach().cpu().float().numpy(), np.float32, order="C", copy=True)

    lstm, layer = dict(head.prediction.named_parameters()), head.label_layer
    assert isinstance(layer, nn.Linear)
    inputs = head.embedding.weight @ lstm["weight_ih_l0"].T + lstm["bias_ih_l0"] + lstm["bias_hh_l0"]
    output, bias = np.empty((0, head.labels), np.float32), np.empty(0, np.float32)
    if head.settings.joint == "tanh":
        last = head.joint["output"]
        assert isinstance(last, nn.Linear)
        output, bias = array(last.weight.T), array(last.bias)
    return HeadArrays(array(inputs), array(lstm["weight_hh_l0"].T), array(layer.weight.T), array(layer.bias), output, bias)


def _find_band(frames: int, count: int, hints: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """How many labels may be written when each frame is left, at least and at most, (T,) each."""
    first, last = np.zeros(frames, np.int64), np.full(frames, count, np.int64)
    if hints is not None:
        time = np.arange(frames)
        first = np.searchsorted(hints + WINDOW, time, side="right").astype(np.int64)
        last = np.searchsorted(hints - WINDOW, time, side="right").astype(np.int64)
    first[-1] = last[-1] = count
    return first, last
