"""Counts of a report: errors by token, and rates of parts of the items (speakers, sexes, ages, lengths)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recognizer.evaluation.bootstrap import bootstrap
from recognizer.evaluation.edits import Counts, Edit
from recognizer.evaluation.protocols import Protocol
from recognizer.evaluation.score import Scored

DRAWS = 2000  # of each interval in a table: a tenth of the headline's precision is enough to tell rows apart
MOST_VALUES = 20  # distinct values up to which a field of the manifest makes a table
FEW_NUMBERS = 8  # distinct numbers up to which each is a row of its own
BANDS = 6  # about so many where there are more


@dataclass(frozen=True)
class Tally:
    """Errors of one rate: of each item, and by what was taken for what (matches too)."""

    name: str
    items: tuple[Counts, ...]
    edits: Counter[Edit]


@dataclass(frozen=True)
class Row:
    """Some of the items: their error rate, its 95 % interval, and from how many groups they come."""

    label: str
    items: int
    groups: int
    counts: dict[str, Counts]  # by name of the error rate
    ends: dict[str, tuple[float | None, float | None]]


@dataclass(frozen=True)
class Symbol:
    """A token: how often it stands in the references and what became of it; ``inserted`` counts it where nothing was said."""

    token: str
    reference: int
    substituted: int
    deleted: int
    inserted: int

    @property
    def errors(self) -> int:
        """Of all kinds."""
        return self.substituted + self.deleted + self.inserted


def tally(results: Sequence[Scored], rules: Protocol) -> list[Tally]:
    """Align all items for each rate of the protocol, the finest tokens first."""
    found = []
    for name in rules.rates:
        items, edits = [], Counter[Edit]()
        for result in results:
            steps = rules.align(result.reference, result.hypothesis, name)
            items.append(Counts.of(steps))
            edits.update(steps)
        found.append(Tally(name, tuple(items), edits))
    return found


def count_symbols(edits: Mapping[Edit, int]) -> list[Symbol]:
    """Every token of the references and hypotheses, those with the most errors first."""
    found: dict[str, Counter[str]] = {}
    for edit, count in edits.items():
        token = edit.reference if edit.reference is not None else edit.hypothesis
        found.setdefault(token or "", Counter())[edit.kind] += count
    symbols = [
        Symbol(token, kinds["match"] + kinds["substitution"] + kinds["deletion"], kinds["substitution"], kinds["deletion"], kinds["insertion"])
        for token, kinds in found.items()
    ]
    return sorted(symbols, key=lambda s: (-s.errors, -s.reference, s.token))


def measure_row(label: str, members: Sequence[int], tallies: Sequence[Tally], groups: Sequence[str | None], seed: int) -> Row:
    """The rates of some items, by their positions."""
    own = [groups[n] for n in members]
    counts: dict[str, Counts] = {}
    ends: dict[str, tuple[float | None, float | None]] = {}
    for t in tallies:
        chosen = [t.items[n] for n in members]
        counts[t.name] = sum(chosen, Counts())
        found = bootstrap([c.errors for c in chosen], [c.reference for c in chosen], own, DRAWS, seed)
        ends[t.name] = found.low, found.high
    return Row(label, len(members), len({g for g in own if g is not None}), counts, ends)


def part_by_field(results: Sequence[Scored]) -> tuple[dict[str, dict[str, list[int]]], dict[str, str]]:
    """Parts of the items by every field of ``meta`` that has few values, or numbers, which are cut into bands.

    Returns:
        For each field its parts in order, each with the positions of its items; and for each other field why it has none.
    """
    fields: dict[str, None] = {}
    for result in results:
        fields.update(dict.fromkeys(result.meta))
    parts: dict[str, dict[str, list[int]]] = {}
    left_out: dict[str, str] = {}
    for name in fields:
        values = [result.meta.get(name) for result in results]
        found = _part_values(values)
        if isinstance(found, str):
            left_out[name] = found
        else:
            parts[name] = found
    return parts, left_out


def _part_values(values: Sequence[Any]) -> dict[str, list[int]] | str:
    """Positions by value or band, those without a value last; or why there are no parts."""
    if any(isinstance(value, (list, dict)) for value in values):
        return "is a list or an object"
    numbers = [_number(value) for value in values]
    known = [value is not None and value != "" and not (isinstance(value, float) and math.isnan(value)) for value in values]
    distinct = {str(value) for value, there in zip(values, known, strict=True) if there}
    if not distinct or (len(distinct) == 1 and all(known)):
        return f"is {next(iter(distinct))!r} in all items" if distinct else "has no value"
    numeric = all(number is not None for number, there in zip(numbers, known, strict=True) if there)
    if numeric and len(distinct) > FEW_NUMBERS:
        there = [n for n, k in enumerate(known) if k]
        found = cut_bands([number for n in there if (number := numbers[n]) is not None])
        parts = {label: [there[n] for n in members] for label, members in found.items()}
    elif len(distinct) > MOST_VALUES:
        return f"has {len(distinct)} different values"
    else:
        order: Callable[[str], Any] = float if numeric else str
        parts = {label: [n for n, value in enumerate(values) if known[n] and str(value) == label] for label in sorted(distinct, key=order)}
    missing = [n for n, k in enumerate(known) if not k]
    return parts | ({"(none)": missing} if missing else {})


def _number(value: Any) -> float | None:
    """A number or a string that spells one; codes such as ``0036`` are names."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str) and (value.strip() != value or (value[:1] == "0" and value[1:2].isdigit())):
        return None
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def cut_bands(values: Sequence[float]) -> dict[str, list[int]]:
    """Positions of the values in bands of equal, round width: ``10-19``, ``20-29`` of whole numbers."""
    low, high = min(values), max(values)
    whole = all(value == int(value) for value in values)
    width = _round_width((high - low) / BANDS)
    width = max(1.0, width) if whole else width
    first = math.floor(low / width)
    parts: dict[int, list[int]] = {}
    for n, value in enumerate(values):
        parts.setdefault(min(math.floor(value / width), math.floor(high / width)) - first, []).append(n)
    labels: dict[str, list[int]] = {}
    for band in sorted(parts):
        start = (first + band) * width
        label = f"{start:.7g} to {start + width:.7g}"
        if whole:
            label = f"{start:.0f}" if width == 1 else f"{start:.0f}\u2013{start + width - 1:.0f}"
        labels[label] = labels.get(label, []) + parts[band]  # bands that look alike once rounded are one
    return labels


def _round_width(width: float) -> float:
    """The next of 1, 2, 5, 10 ... (times a power of ten)."""
    power = 10.0 ** math.floor(math.log10(max(width, 1e-300)))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= width * 0.999)


def cut_quantiles(values: Sequence[float], count: int = 8) -> dict[str, list[int]]:
    """Positions of the values in at most ``count`` bands of about as many values each."""
    array = np.asarray(values, float)
    edges = np.unique(np.quantile(array, np.linspace(0, 1, count + 1), method="nearest"))
    digits = 0 if (array == np.round(array)).all() else 1
    if edges.size == 1:
        return {f"{edges[0]:.{digits}f}": list(range(array.size))}
    places = np.clip(np.searchsorted(edges, array, side="right") - 1, 0, edges.size - 2)
    parts: dict[str, list[int]] = {}
    for n in range(edges.size - 1):
        members = np.flatnonzero(places == n).tolist()
        inside = array[places == n]
        if members:
            low, high = (f"{value:.{digits}f}" for value in (inside.min(), inside.max()))
            label = low if low == high else f"{low}\u2013{high}"
            parts[label] = parts.get(label, []) + members
    return parts


def gather(keys: Iterable[str | None]) -> dict[str | None, list[int]]:
    """Positions by key, in order of first appearance."""
    found: dict[str | None, list[int]] = {}
    for n, key in enumerate(keys):
        found.setdefault(key, []).append(n)
    return found
