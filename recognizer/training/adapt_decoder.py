"""What decides between weights, models and settings: errors on the items held back; and a decoder that learns from the corrected texts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import editdistance
import numpy as np

from recognizer.config import DecoderConfig
from recognizer.data.manifest import Item, target_in_frames
from recognizer.decoding.decoder import GreedyDecoder
from recognizer.errors import InputError, ManifestError
from recognizer.evaluation.bootstrap import bootstrap
from recognizer.evaluation.edits import characters, units, words
from recognizer.evaluation.evaluate import choose_references, evaluate
from recognizer.inference.recognizer import Recognizer
from recognizer.lm.binary import load_ngram, save_ngram
from recognizer.lm.interpolate import fit_weight, interpolate_ngrams
from recognizer.lm.kneser_ney import estimate_ngram
from recognizer.tuning.data import TuningData
from recognizer.tuning.folds import split_folds

Metric = Literal["CER", "WER", "UER"]

STEPS: dict[str, tuple[float, ...]] = {  # of each setting, in turn; what is tried is added to what stands
    "combine_weight": (-0.15, 0.15), "lm_weight": (-0.2, 0.2), "char_lm_weight": (-0.2, 0.2), "token_score": (-0.5, 0.5), "word_score": (-0.5, 0.5),
}  # fmt: skip
FEWEST_GROUPS = 10  # below which an interval over groups is too uncertain to decide by
FEWEST_TEXTS = 8  # for a model of their own
LARGEST_WEIGHT = 0.5  # of the corrected texts in a language model: hundreds of words say less than they seem to


@dataclass(frozen=True)
class Errors:
    """Errors and reference tokens of scored items by their ids, and the group of each."""

    metric: Metric
    rows: Mapping[str, tuple[int, int, str | None]]

    @property
    def rate(self) -> float:
        """Errors per reference token."""
        return sum(row[0] for row in self.rows.values()) / max(1, sum(row[1] for row in self.rows.values()))

    def __or__(self, other: Errors) -> Errors:
        """Both together."""
        return Errors(self.metric, {**self.rows, **other.rows})

    def only(self, ids: Iterable[str]) -> Errors:
        """Of these items."""
        return Errors(self.metric, {name: self.rows[name] for name in ids if name in self.rows})


def choose_metric(recognizer: Recognizer) -> Metric:
    """WER for speech in words, CER for handwriting, UER for units."""
    if recognizer.alphabet.level == "units" and not recognizer.knows_words:
        return "UER"
    return "WER" if recognizer.config.modality == "audio" else "CER"


def count_errors(recognizer: Recognizer, items: Sequence[Item], metric: Metric) -> Errors:
    """Recognize items and count the errors; those that cannot be scored are left out.

    Raises:
        ManifestError: not one can be scored.
    """
    evaluation = evaluate(recognizer, items)
    pairs = [(scored.id, scored.reference, scored.hypothesis, scored.group) for scored in evaluation.items]
    return Errors(metric, {name: (*_count(metric, reference, found), group) for name, reference, found, group in pairs})


def _count(metric: Metric, reference: str, hypothesis: str) -> tuple[int, int]:
    cut: Callable[[str], list[str]] = {"CER": characters, "WER": words, "UER": units}[metric]
    tokens = cut(reference)
    return int(editdistance.eval(tokens, cut(hypothesis))), len(tokens)


def compare_errors(before: Errors, after: Errors) -> tuple[float, float]:
    """The 95 % interval of the difference of two rates, after minus before, of the items that both have; infinite where there is none.

    Whole groups are resampled where there are ten or more, else items: three pages among the draws say nothing of further ones.
    """
    names = [name for name in before.rows if name in after.rows]
    differences = [after.rows[name][0] - before.rows[name][0] for name in names]
    groups = [before.rows[name][2] for name in names]
    by_group = len(set(groups) - {None}) >= FEWEST_GROUPS
    found = bootstrap(differences, [before.rows[name][1] for name in names], groups if by_group else [None] * len(names))
    if found.low is None or found.high is None:
        return float("-inf"), float("inf")
    return found.low, found.high


def learn_texts(decoder: DecoderConfig, files: Mapping[str, Path], texts: Sequence[str], folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Language models of a decoder, interpolated with models of the corrected texts.

    How much the texts count is found on their other half: what the models of a half and the old one together predict best.

    Args:
        decoder: whose models these are; ``files``: them, by their names.
        texts: of the corrected items, in the order of the frames.
        folder: for the new models.

    Returns:
        The files of the decoder with the new models, and a line for each of these.
    """
    changed, lines = dict(files), []
    for key in ("lm", "char_lm"):
        name = getattr(decoder, key)
        if name is None or name not in files or len(texts) < FEWEST_TEXTS:
            continue
        old = load_ngram(files[name])
        try:
            half = estimate_ngram(texts[::2], old.order, old.level)
            weight = min(LARGEST_WEIGHT, fit_weight(old, half, texts[1::2]))
            new = interpolate_ngrams(old, estimate_ngram(texts, old.order, old.level), weight)
        except InputError:  # texts without a word
            continue
        folder.mkdir(parents=True, exist_ok=True)
        changed[name] = folder / name
        save_ngram(new, changed[name], compact=True)
        lines.append(f"decoder.{key}: the corrected texts count {100 * weight:.0f} %")
    return changed, lines


def frame_texts(recognizer: Recognizer, items: Sequence[Item]) -> list[str]:
    """The texts of items as a language model of this recognizer takes them: cleaned, in the order of the frames."""
    config = recognizer.config
    if config.text.level == "units":
        return [text for text in choose_references(recognizer, items)[1] if text]
    found = (target_in_frames(item, config.text, config.features) for item in items)
    return [text for text in found if isinstance(text, str) and text]


@dataclass(frozen=True)
class Tuned:
    """Settings of a decoder found on items held back, and the errors of these items with settings found on the others."""

    config: DecoderConfig
    errors: Errors


def tune_decoder(recognizers: Sequence[Recognizer], held: Sequence[Sequence[Item]], metric: Metric, until: float, seed: int) -> Tuned | None:
    """Move the weights of a beam, one at a time, for as long as the errors on the items held back fall.

    Each half of the items is scored with what the other half gave, so that the errors say what the settings are worth on new items.

    Args:
        recognizers: one a fold, all with the same settings; ``held``: the items that each of them did not learn.
        metric: of the errors.
        until: when to stop, by ``time.monotonic``.
        seed: of the halves.

    Returns:
        None where there is nothing to tune, or too little time or too few items.
    """
    if isinstance(recognizers[0].decoder, GreedyDecoder) or sum(map(len, held)) < FEWEST_TEXTS:
        return None
    try:
        data = TuningData.pool([TuningData(each, items, metric) for each, items in zip(recognizers, held, strict=True) if items])
    except ManifestError:
        return None
    start = data.decoder.config
    keys = [key for key in STEPS if _counts(key, data)]
    halves = split_folds([replace(item, group=None) for item in data.items], 2, seed)
    errors = np.zeros(len(data), np.int64)
    for scored, tuned_on in (halves, halves[::-1]):
        found = _climb(data, tuned_on, start, keys, until)
        if found is None:
            return None
        errors[scored] = data.errors(found, scored)
    best = _climb(data, range(len(data)), start, keys, until)
    if best is None:
        return None
    rows = {item.id: (int(count), int(total), item.group) for item, count, total in zip(data.items, errors, data.totals, strict=True)}
    return Tuned(best, Errors(metric, rows))


def _counts(key: str, data: TuningData) -> bool:
    config, models = data.decoder.config, data.decoder.models
    return {
        "combine_weight": config.combine_with is not None,
        "lm_weight": models.words is not None or models.tokens is not None,
        "char_lm_weight": models.words is not None and models.tokens is not None,
        "token_score": models.trie is not None,
        "word_score": True,
    }[key]


def _climb(data: TuningData, members: Sequence[int], start: DecoderConfig, keys: Sequence[str], until: float) -> DecoderConfig | None:
    """The best settings on some of the items; None if the time ended first."""
    best, error = start, data.rate(data.errors(start, members), members)
    moved = True
    while moved:
        moved = False
        for key in keys:
            for step in STEPS[key]:
                if time.monotonic() > until:
                    return None
                value = round(getattr(best, key) + step, 6)
                if key.endswith("weight") and not 0 <= value <= (1 if key == "combine_weight" else 10):
                    continue
                changes: dict[str, Any] = {key: value}
                candidate = replace(best, **changes)
                rate = data.rate(data.errors(candidate, members), members)
                if rate < error:
                    best, error, moved = candidate, rate, True
                    break
    return best
