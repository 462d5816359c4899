"""Counts behind a report and a model card: errors by token, error rates of parts of a set, and confidences beside what was right."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from recognizer.config import DecoderConfig, Modality
from recognizer.evaluation.bootstrap import bootstrap
from recognizer.evaluation.edits import Counts, Edit, align
from recognizer.evaluation.metrics import RateCounts, ScoredItem
from recognizer.text.alphabet import Level, split
from recognizer.types import Token, Word

TABLE_DRAWS = 2000  # bootstrap samples of an interval in a table: a tenth of the headline's precision is enough to tell rows apart
MAX_FIELD_VALUES = 20  # distinct values up to which a field of the manifest makes a table
MAX_NUMBERS = 8  # distinct numbers up to which each has a row of its own
MAX_CONFUSED = 30  # symbols of a confusion matrix
NUMBER_BANDS = 6  # about so many rows where there are more
Key = TypeVar("Key", bound=Hashable)
SPACE_MARK = "\u2423"
JOINERS = "\u200c\u200d"  # letters of Persian and Indic scripts change shape by them


@dataclass(frozen=True)
class Extra:
    """What is known of an item beside its transcripts.

    Attributes:
        source: its recording, picture or pen trace.
        seconds: duration of a recording.
        width: columns of a prepared line, or points of a prepared pen trace.
        tokens, words: of the hypothesis, with their confidences if there are any.
    """

    source: Path | None = None
    seconds: float | None = None
    width: int | None = None
    tokens: Sequence[Token] = ()
    words: Sequence[Word] = ()


@dataclass(frozen=True)
class Setup:
    """How the items of a report were obtained.

    Attributes:
        title: of the page.
        facts: what stands at its head, by name (bundle, manifest ...), in order.
        decoder: settings of the decoder by name.
        modality: what the sources are; None: they are not shown.
        symbols: of the alphabet; label n writes ``symbols[n - 1]``.
        failed: one line for each item that could not be scored.
    """

    title: str
    facts: Mapping[str, str] = field(default_factory=dict)
    decoder: Mapping[str, object] = field(default_factory=dict)
    modality: Modality | None = None
    symbols: Sequence[str] = ()
    failed: Sequence[str] = ()


def name_settings(decoder: DecoderConfig) -> dict[str, object]:
    """The settings of a decoder that affect what it does."""
    return {"kind": decoder.kind} if decoder.kind == "greedy" else {key: value for key, value in asdict(decoder).items() if value is not None}


@dataclass(frozen=True)
class Row:
    """Error rates of some of the items, with 95 % intervals, and the number of speakers or writers they come from."""

    label: str
    items: int
    groups: int
    counts: dict[str, Counts]  # by name of the error rate
    intervals: dict[str, tuple[float | None, float | None]]


class CheckedConfidences(NamedTuple):
    """Confidences (N,) of the recognized symbols or words, and whether each is correct (N,)."""

    name: str
    confidences: list[float]
    correct: list[bool]


def count_token_errors(edits: Mapping[Edit, int]) -> list[tuple[str, Counter[str]]]:
    """Every token of the references and hypotheses with its edits by kind, those with the most errors first, then the most frequent."""
    found: dict[str, Counter[str]] = {}
    for edit, count in edits.items():
        token = edit.reference if edit.reference is not None else edit.hypothesis or ""
        found.setdefault(token, Counter())[edit.kind] += count
    return sorted(found.items(), key=lambda item: (item[1]["match"] - item[1].total(), item[1]["insertion"] - item[1].total(), item[0]))


def confusion_matrix(edits: Mapping[Edit, int]) -> tuple[list[str], dict[tuple[str | None, str | None], tuple[int, float]]]:
    """What became of the symbols with the most errors.

    Returns:
        These symbols in order; and of each pair of reference and hypothesis (None: nothing) that occurs its count, and its share of the reference.
    """
    involved: Counter[str] = Counter()
    for edit, count in edits.items():
        if edit.kind != "match":
            involved.update({token: count for token in edit[1:] if token is not None})
    symbols = sorted(sorted(involved, key=lambda s: (-involved[s], s))[:MAX_CONFUSED], key=lambda s: (s.casefold(), s))
    shown = {None, *symbols}
    cells: Counter[tuple[str | None, str | None]] = Counter()
    totals: Counter[str | None] = Counter()
    for (kind, reference, hypothesis), count in edits.items():
        totals[reference] += count
        if {reference, hypothesis} <= shown and (kind != "match" or hypothesis is not None):  # to leave out an optional token is no error
            cells[reference, hypothesis] += count
    return symbols, {pair: (count, count / totals[pair[0]]) for pair, count in cells.items()}


def measure_row(label: str, members: Sequence[int], counted: Sequence[RateCounts], groups: Sequence[str | None], seed: int) -> Row:
    """The error rates of the items at positions ``members``; ``groups`` are the speakers or writers of all items."""
    own = [groups[n] for n in members]
    counts: dict[str, Counts] = {}
    intervals: dict[str, tuple[float | None, float | None]] = {}
    for t in counted:
        chosen = [t.items[n] for n in members]
        counts[t.name] = sum(chosen, Counts())
        found = bootstrap([c.errors for c in chosen], [c.reference for c in chosen], own, TABLE_DRAWS, seed)
        intervals[t.name] = found.low, found.high
    return Row(label, len(members), len(set(own) - {None}), counts, intervals)


def part_by_field(items: Sequence[ScoredItem]) -> tuple[dict[str, dict[str, list[int]]], dict[str, str]]:
    """Part the items by every field of ``meta`` that has few values, or numbers, which are cut into bands.

    Returns:
        For each field its parts in order, each with the positions of its items; for each other field why it has none.
    """
    parts: dict[str, dict[str, list[int]]] = {}
    left_out: dict[str, str] = {}
    for name in dict.fromkeys(name for item in items for name in item.meta):
        found = _part_values([item.meta.get(name) for item in items])
        if isinstance(found, str):
            left_out[name] = found
        else:
            parts[name] = found
    return parts, left_out


def _part_values(values: Sequence[Any]) -> dict[str, list[int]] | str:
    """Positions by value or band, those without a value last; or why there are no parts."""
    if any(isinstance(value, (list, dict)) for value in values):
        return "is a list or an object"
    missing = [n for n, value in enumerate(values) if value is None or value == "" or (isinstance(value, float) and math.isnan(value))]
    known = sorted(set(range(len(values))) - set(missing))
    by_value = group_positions(str(values[n]) for n in known)
    if not by_value or (len(by_value) == 1 and not missing):
        return f"is {next(iter(by_value))!r} in all items" if by_value else "has no value"
    numbers = [number for n in known if (number := _number(values[n])) is not None]
    numeric = len(numbers) == len(known)
    if numeric and len(by_value) > MAX_NUMBERS:
        found = cut_bands(numbers)
    elif len(by_value) > MAX_FIELD_VALUES:
        return f"has {len(by_value)} different values"
    else:
        found = {label: by_value[label] for label in sorted(by_value, key=float if numeric else str)}
    parts = {label: [known[n] for n in members] for label, members in found.items()}
    return parts | ({"(none)": missing} if missing else {})


def _number(value: Any) -> float | None:
    """A number or a string that spells one; codes such as ``0036`` are names."""
    if isinstance(value, bool) or (isinstance(value, str) and (value.strip() != value or (value[:1] == "0" and value[1:2].isdigit()))):
        return None
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if abs(found) < 1e15 else None  # what is larger is a code or no number at all


def cut_bands(values: Sequence[float]) -> dict[str, list[int]]:
    """Positions of the values in bands of equal, round width: ``10-19``, ``20-29`` of whole numbers."""
    array = np.asarray(values, float)
    whole = bool((array == np.round(array)).all())
    least = max(float(np.ptp(array)) / NUMBER_BANDS, 1.0 if whole else 1e-300)
    power = 10.0 ** math.floor(math.log10(least))
    width = next(step * power for step in (1, 2, 5, 10) if step * power >= least * 0.999)
    places = np.floor(array / width)
    bands: dict[str, list[int]] = {}
    for place in np.unique(places):
        start = float(place * width)
        label = f"{start:.7g} to {start + width:.7g}"
        if whole:
            label = f"{start:.0f}" if width == 1 else f"{start:.0f}\u2013{start + width - 1:.0f}"
        bands.setdefault(label, []).extend(np.flatnonzero(places == place).tolist())  # bands that look alike once rounded are one
    return bands


def cut_quantiles(values: Sequence[float], count: int = 8) -> dict[str, list[int]]:
    """Positions of the values in at most ``count`` bands of about as many values each."""
    array = np.asarray(values, float)
    edges = np.unique(np.quantile(array, np.linspace(0, 1, count + 1), method="nearest"))
    digits = 0 if (array == np.round(array)).all() else 1
    places = np.clip(np.searchsorted(edges, array, side="right") - 1, 0, max(0, edges.size - 2))
    bands: dict[str, list[int]] = {}
    for place in np.unique(places):
        inside = array[places == place]
        low, high = f"{inside.min():.{digits}f}", f"{inside.max():.{digits}f}"
        label = low if low == high else f"{low}\u2013{high}"
        bands.setdefault(label, []).extend(np.flatnonzero(places == place).tolist())
    return bands


def group_positions(keys: Iterable[Key]) -> dict[Key, list[int]]:
    """Positions by key, in order of first appearance."""
    found: dict[Key, list[int]] = {}
    for n, key in enumerate(keys):
        found.setdefault(key, []).append(n)
    return found


def choose_items(counts: Sequence[Counts], worst: int, others: int, seed: int) -> tuple[list[int], list[int]]:
    """Positions of the items with the highest error rates (then the most errors), and of others drawn at random."""

    def badness(n: int) -> tuple[float, int, int]:
        rate = counts[n].rate
        return (-math.inf if rate is None and counts[n].errors else -(rate or 0.0)), -counts[n].errors, n

    bad = [n for n in sorted(range(len(counts)), key=badness)[:worst] if counts[n].errors]
    rest = sorted(set(range(len(counts))) - set(bad))
    drawn = np.random.default_rng(seed).permutation(len(rest))[:others]
    return bad, sorted(rest[n] for n in drawn)


def check_confidences(items: Sequence[ScoredItem], level: Level, extras: Mapping[str, Extra]) -> list[CheckedConfidences]:
    """Hold the confidences of symbols and words against the references: a token is correct where the alignment matches it.

    Items are left out whose tokens have no confidence, or are not those of the hypothesis: with a lexicon the hypothesis is made of words, and
    its symbols have no reference; without one, units have no words.
    """
    checked = [CheckedConfidences(name, [], []) for name in ("symbols", "words")]
    for item in items:
        extra = extras.get(item.id, Extra())
        reference_words, hypothesis_words = ((t.split() if level == "characters" else []) for t in (item.reference, item.hypothesis))
        for kind, found, reference, hypothesis in (
            (checked[0], [(t.symbol, t.confidence) for t in extra.tokens], split(item.reference, level), split(item.hypothesis, level)),
            (checked[1], [(w.text, w.confidence) for w in extra.words], reference_words, hypothesis_words),
        ):
            confidences = [confidence for _, confidence in found if confidence is not None]
            if len(confidences) == len(found) and [text for text, _ in found] == list(hypothesis):
                kind.confidences.extend(confidences)
                kind.correct.extend(step.kind == "match" for step in align(reference, hypothesis) if step.hypothesis is not None)
    return [kind for kind in checked if kind.confidences]


def spell(text: str) -> str:
    """Text that cannot reorder or hide what stands beside it: control and bidirectional formatting characters are written out."""

    def is_harmless(character: str) -> bool:  # private use characters are letters in the fonts of medievalists
        return character.isprintable() or character in JOINERS or unicodedata.category(character) in ("Co", "Zs")

    return text if text.isprintable() else "".join(c if is_harmless(c) else f"\u27e8U+{ord(c):04X}\u27e9" for c in text)


def name_token(token: str, longest: int = 40) -> str:
    """A token as tables and plots name it: the space can be seen."""
    return SPACE_MARK if token == " " else shorten(token, longest)


def shorten(text: str, longest: int = 60) -> str:
    """Text of at most so many characters."""
    return text if len(text) <= longest else text[: longest - 1] + "\u2026"


def percent(share: float | None, digits: int = 1) -> str:
    """``12.3 %``, or a dash."""
    return "\u2013" if share is None else f"{100 * share:.{digits}f}\u00a0%"


def interval(low: float | None, high: float | None) -> str:
    """``[11.9, 12.8]`` in percent; empty where it is not known."""
    return "" if low is None or high is None else f"[{100 * low:.1f}, {100 * high:.1f}]"
