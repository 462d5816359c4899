"""Comparison of two results on the same manifest: how far apart they are, and how far chance alone would put them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from recognizer.errors import ConfigError, InputError, ManifestError
from recognizer.evaluation.bootstrap import COVERAGE, DRAWS, SEED, Resampled, draw_rates, number_clusters
from recognizer.evaluation.edits import Counts, Edit
from recognizer.evaluation.matched_pairs import FEW, STRETCH, MatchedPairs, cut_segments, matched_pairs
from recognizer.evaluation.protocols import Protocol, find_protocol
from recognizer.evaluation.saved import Result, load_result
from recognizer.evaluation.score import PLAIN, Scored
from recognizer.evaluation.tokens import characters
from recognizer.textforms import TEXT_FORM

NAMED = 5  # ids that a refusal lists
FEW_CLUSTERS = 20  # groups below which percentiles of a bootstrap lie too close together
APART = 20  # items most different that are kept, of each sign


@dataclass(frozen=True)
class Bootstrapped:
    """A difference of rates under resampling of so many ``clusters``: its 95 % interval and two-sided p; None where there are too few."""

    low: float | None
    high: float | None
    p: float | None
    resampled: Resampled
    clusters: int


@dataclass(frozen=True)
class RateDifference:
    """One error rate of both results. Differences are second less first, as shares: below zero the second is better."""

    name: str
    reference: int  # tokens
    first: Counts
    second: Counts
    difference: float | None
    bootstrapped: Bootstrapped
    matched: MatchedPairs
    by_segments: bool  # whether the matched pairs are segments of items rather than whole items


@dataclass(frozen=True)
class GroupDifference:
    """Errors of one speaker or writer, of the finest tokens."""

    group: str | None
    items: int
    reference: int
    first: int
    second: int


@dataclass(frozen=True)
class ItemDifference:
    """An item that one result has better; errors of the finest tokens."""

    id: str
    group: str | None
    reference: str
    first_hypothesis: str
    second_hypothesis: str
    first: int
    second: int


@dataclass(frozen=True)
class Comparison:
    """All that :func:`compare` found.

    Attributes:
        first, second: names of the results.
        protocol: by which both were counted.
        items: in each.
        better, worse: items with fewer and with more errors (of the finest tokens) in the second.
        rates: by name, the finest tokens first.
        groups: those that differ most in errors first.
        improved, worsened: the items that differ most, for the better and for the worse.
    """

    first: str
    second: str
    protocol: str
    items: int
    better: int
    worse: int
    rates: dict[str, RateDifference]
    groups: tuple[GroupDifference, ...]
    improved: tuple[ItemDifference, ...]
    worsened: tuple[ItemDifference, ...]

    def to_json(self) -> dict[str, Any]:
        """Ready for ``json.dump``; undefined numbers are None."""
        record = asdict(self)
        for name, rate in self.rates.items():
            record["rates"][name] |= {"first_rate": rate.first.rate, "second_rate": rate.second.rate}
        return record


def compare(first: Result, second: Result, protocol: Protocol | None = None, seed: int = SEED) -> Comparison:
    """Test whether two results on the same manifest differ.

    Two tests with different faults: the matched-pairs test (:func:`~recognizer.evaluation.matched_pairs.matched_pairs`) sees
    every segment but takes those of one speaker for independent; the paired bootstrap (Bisani & Ney 2004) draws whole
    speakers or writers, and with few of them (below about 20) is too sure of itself. Segments are cut where tokens are
    words or units; characters next to each other err together, so there a whole item is one segment.

    Args:
        first, second: what is compared.
        protocol: None: the one both were scored by.
        seed: of the bootstrap.

    Raises:
        ConfigError: they were scored by different protocols, or have transcripts of different levels.
        ManifestError: they do not have the same items with the same references and groups.
        InputError: a token that the protocol does not know.
    """
    rules = protocol or _common_protocol(first, second)
    pairs = _pair(first, second)
    rules.require(first.level, [str(a.meta[TEXT_FORM]) for a, _ in pairs if TEXT_FORM in a.meta])
    groups = [a.group for a, _ in pairs]
    rates: dict[str, RateDifference] = {}
    finest: list[tuple[Counts, Counts]] = []
    for name, tokenise in rules.rates.items():
        segments = tokenise is not characters
        counts, pieces = _count(pairs, rules, name, segments)
        finest = finest or counts
        rates[name] = _measure(name, counts, pieces, groups, segments, seed)
    changes = [
        ItemDifference(a.id, a.group, a.reference, a.hypothesis, b.hypothesis, c.errors, d.errors)
        for (a, b), (c, d) in zip(pairs, finest, strict=True)
    ]
    ranked = sorted((c for c in changes if c.first != c.second), key=lambda c: (-abs(c.second - c.first), c.id))
    improved, worsened = ([c for c in ranked if (c.second < c.first) is fewer] for fewer in (True, False))
    return Comparison(
        first.name, second.name, rules.name, len(pairs), len(improved), len(worsened), rates,
        _gather(groups, finest), tuple(improved[:APART]), tuple(worsened[:APART]),
    )  # fmt: skip


def paired_bootstrap(
    differences: Sequence[int] | np.ndarray, tokens: Sequence[int] | np.ndarray, groups: Sequence[str | None], draws: int = DRAWS, seed: int = SEED
) -> Bootstrapped:
    """Interval and p of ``sum(differences) / sum(tokens)``, whole groups drawn as in :func:`~recognizer.evaluation.bootstrap.bootstrap`.

    Args:
        differences: in errors of each item, (N,), second less first.
        tokens: reference tokens of each item, (N,).
        groups: of each item.
        draws, seed: as there. p cannot fall below 2 / (``draws`` + 1).
    """
    clusters, resampled = number_clusters(groups)
    sums = [np.bincount(clusters, np.asarray(values, float)) for values in (differences, tokens)] if clusters.size else []
    if not sums or sums[0].size < 2 or not sums[1].any():
        return Bootstrapped(None, None, None, resampled, sums[0].size if sums else 0)
    drawn = draw_rates(sums[0], sums[1], draws, np.random.default_rng(seed))
    low, high = np.quantile(drawn, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    beyond = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    return Bootstrapped(float(low), float(high), min(1.0, 2 * (beyond + 1) / (drawn.size + 1)), resampled, sums[0].size)


def _common_protocol(first: Result, second: Result) -> Protocol:
    if first.level != second.level:
        raise ConfigError(f"{first.name} has transcripts of {first.level}, {second.name} of {second.level}: they cannot be compared")
    if first.protocol != second.protocol:
        names = " and ".join(f"{result.name} by {result.protocol or 'none'}" for result in (first, second))
        raise ConfigError(f"scored by different protocols ({names}); score one of them again, or name the protocol to count both by")
    return find_protocol(first.protocol) if first.protocol else PLAIN[first.level]


def _pair(first: Result, second: Result) -> list[tuple[Scored, Scored]]:
    """Items of both by id, in the order of the first."""
    for one, other in ((first, second), (second, first)):
        known = {item.id for item in other.items}
        missing = [item.id for item in one.items if item.id not in known]
        if missing:
            listed = ", ".join(missing[:NAMED]) + (", ..." if len(missing) > NAMED else "")
            raise ManifestError(f"{other.name}: lacks {len(missing)} of the {len(one.items)} items of {one.name}: {listed}")
    by_id = {item.id: item for item in second.items}
    pairs = [(item, by_id[item.id]) for item in first.items]
    for a, b in pairs:
        for what, ours, theirs in (("reference", a.reference, b.reference), ("group", a.group, b.group)):
            if ours != theirs:
                raise ManifestError(f"{a.id}: has the {what} {ours!r} in {first.name} and {theirs!r} in {second.name}; score both on one manifest")
    return pairs


def _count(
    pairs: Sequence[tuple[Scored, Scored]], rules: Protocol, rate: str, segments: bool
) -> tuple[list[tuple[Counts, Counts]], list[tuple[int, int]]]:
    """Counts of both for each item, and their errors for each segment with an error."""
    counts: list[tuple[Counts, Counts]] = []
    pieces: list[tuple[int, int]] = []
    for a, b in pairs:
        try:
            edits: tuple[list[Edit], list[Edit]] = rules.align(a.reference, a.hypothesis, rate), rules.align(b.reference, b.hypothesis, rate)
        except InputError as error:
            raise InputError(f"{a.id}: {error}") from None
        both = Counts.of(edits[0]), Counts.of(edits[1])
        counts.append(both)
        if segments:
            pieces += cut_segments(*edits)
        elif both[0].errors or both[1].errors:
            pieces.append((both[0].errors, both[1].errors))
    return counts, pieces


def _measure(
    name: str, counts: Sequence[tuple[Counts, Counts]], pieces: Sequence[tuple[int, int]], groups: Sequence[str | None], segments: bool, seed: int
) -> RateDifference:
    first, second = (sum((both[n] for both in counts), Counts()) for n in range(2))
    changes = [b.errors - a.errors for a, b in counts]
    difference = sum(changes) / first.reference if first.reference else None
    bootstrapped = paired_bootstrap(changes, [a.reference for a, _ in counts], groups, seed=seed)
    matched = matched_pairs([b - a for a, b in pieces])
    return RateDifference(name, first.reference, first, second, difference, bootstrapped, matched, segments)


def _gather(groups: Sequence[str | None], counts: Sequence[tuple[Counts, Counts]]) -> tuple[GroupDifference, ...]:
    members: dict[str | None, list[tuple[Counts, Counts]]] = {}
    for group, both in zip(groups, counts, strict=True):
        members.setdefault(group, []).append(both)
    found = [
        GroupDifference(group, len(both), sum(a.reference for a, _ in both), sum(a.errors for a, _ in both), sum(b.errors for _, b in both))
        for group, both in members.items()
    ]
    return tuple(sorted(found, key=lambda g: (-abs(g.second - g.first), g.group is None, g.group or "")))


def render_comparison(comparison: Comparison, limit: int = 5) -> str:
    """The comparison as plain text: each rate with both tests, then the ``limit`` groups and items that differ most."""
    lines = [f"A {comparison.first}", f"B {comparison.second}"]
    for rate in comparison.rates.values():
        lines += ["", *_render_rate(rate)]
    even = comparison.items - comparison.better - comparison.worse
    lines += ["", f"Items ({comparison.protocol}): B better in {comparison.better}, worse in {comparison.worse}, as many errors in {even}"]
    if len(comparison.groups) > 1:
        lines += ["", f"Groups that differ most in errors ({min(limit, len(comparison.groups))} of {len(comparison.groups)})"]
        lines += [f"  {g.group or '(none)'}  A {g.first}  B {g.second}  of {g.reference} tokens" for g in comparison.groups[:limit]]
    for title, items in (("improved", comparison.improved), ("worsened", comparison.worsened)):
        if items:
            lines += ["", f"Items most {title} by B"]
        for item in items[:limit]:
            lines.append(f"  {item.id}  A {item.first}  B {item.second} errors")
            lines += [f"    {label} {_show(text)}" for label, text in _texts(item)]
    return "\n".join(lines)


def _render_rate(rate: RateDifference) -> list[str]:
    values = [f"{name} {_percent(c.rate)} ({c.errors}/{c.reference})" for name, c in (("A", rate.first), ("B", rate.second))]
    lines = [f"{rate.name}  {'  '.join(values)}  B - A {_points(rate.difference)} points"]
    drawn, matched = rate.bootstrapped, rate.matched
    if drawn.p is not None:
        caution = "; so few make it too sure" if drawn.clusters < FEW_CLUSTERS else ""
        interval = f"[{_points(drawn.low)}, {_points(drawn.high)}]"
        lines.append(f"  paired bootstrap of {drawn.clusters} {drawn.resampled}: {interval}, p {_probability(drawn.p)}{caution}")
    if matched.p is not None:
        parts = f"segments with an error, parted by {STRETCH} agreed tokens" if rate.by_segments else "items with an error"
        caution = f"; fewer than {FEW}, so a rough guide" if matched.segments < FEW else ""
        lines.append(f"  matched pairs: {matched.segments} {parts}, p {_probability(matched.p)}{caution}")
    return lines


def _texts(item: ItemDifference) -> list[tuple[str, str]]:
    return [("ref", item.reference), ("  A", item.first_hypothesis), ("  B", item.second_hypothesis)]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f} %"


def _points(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:+.2f}"


def _probability(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _show(text: str) -> str:
    """Text that a terminal cannot take for commands."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def compare_results(options: argparse.Namespace) -> int:
    """Carry out the command."""
    name = getattr(options, "protocol", None)
    comparison = compare(load_result(options.first), load_result(options.second), find_protocol(name) if name else None)
    print(json.dumps(comparison.to_json(), ensure_ascii=False, indent=1) if options.json else render_comparison(comparison))
    return 0
