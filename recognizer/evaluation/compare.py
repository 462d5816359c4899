"""Comparison of two recognizers on the same manifest: how far their error rates differ, and whether by more than chance."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from recognizer.errors import ConfigError, ManifestError
from recognizer.evaluation.bootstrap import SEED, Interval, bootstrap
from recognizer.evaluation.edits import INSERTION, KINDS, MATCH, Counts, Edit, characters
from recognizer.evaluation.metrics import PLAIN, ScoredItem, align_items, escape_unprintable, percent, text_forms
from recognizer.evaluation.protocols import Protocol, find_protocol
from recognizer.evaluation.results import SavedResults

AGREED_TOKENS = 2  # tokens that both have right and that separate two segments (Gillick & Cox 1989; sc_stats of NIST's SCTK)
FEW_SEGMENTS = 50  # below which the normal distribution is a rough guide
FEW_CLUSTERS = 20  # groups below which percentiles of a bootstrap lie too close together
MAX_IDS = 5  # that a refusal lists
MAX_ITEMS = 20  # that improved most, and that worsened most


@dataclass(frozen=True)
class MatchedPairs:
    """Outcome of the matched-pairs test.

    Attributes:
        segments: how many have an error; the test is about these.
        mean: difference in errors a segment, second less first; None without segments.
        statistic: mean by its standard error, about standard normal if the two are equally good; None without variance.
        p: two-sided probability of a difference as large if the two are equally good; None without segments.
    """

    segments: int
    mean: float | None
    statistic: float | None
    p: float | None


@dataclass(frozen=True)
class RateDifference:
    """One error rate of both. Differences are second less first, as shares: below zero the second is better."""

    name: str
    reference: int  # tokens
    first: Counts
    second: Counts
    difference: float | None
    bootstrapped: Interval
    matched: MatchedPairs
    by_segments: bool  # whether the matched pairs are segments of items rather than whole items


@dataclass(frozen=True)
class GroupDifference:
    """Errors of both on one speaker or writer, in the finest tokens."""

    group: str | None
    items: int
    reference: int
    first: int
    second: int


@dataclass(frozen=True)
class ItemDifference:
    """An item with fewer errors by one of the two, in the finest tokens."""

    id: str
    group: str | None
    reference: str
    first_hypothesis: str
    second_hypothesis: str
    first: int
    second: int


@dataclass(frozen=True)
class Comparison:
    """What :func:`compare` found.

    Attributes:
        first, second: names of the results; ``protocol``: by which both were counted.
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


def compare(first: SavedResults, second: SavedResults, protocol: Protocol | None = None, seed: int = SEED) -> Comparison:
    """Test whether two results on the same manifest differ.

    Two tests with different faults: :func:`matched_pairs` uses every segment but takes those of one speaker for independent;
    the paired bootstrap (Bisani & Ney 2004) draws whole speakers or writers, and with few of them (below about 20) finds
    differences too easily. Segments are cut where tokens are words or units; characters next to each other err together, so
    there a whole item is one segment.

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
    pairs = _pair_items(first, second)
    rules.require(first.level, text_forms([a for a, _ in pairs]))
    compared = [_compare_rate(name, pairs, rules, seed) for name in rules.rates]
    finest = compared[0][1]
    groups: dict[str | None, list[tuple[Counts, Counts]]] = {}
    for (a, _), both in zip(pairs, finest, strict=True):
        groups.setdefault(a.group, []).append(both)
    by_group = [
        GroupDifference(group, len(own), sum(c.reference for c, _ in own), sum(c.errors for c, _ in own), sum(d.errors for _, d in own))
        for group, own in groups.items()
    ]
    differing = [
        ItemDifference(a.id, a.group, a.reference, a.hypothesis, b.hypothesis, c.errors, d.errors)
        for (a, b), (c, d) in zip(pairs, finest, strict=True)
        if c.errors != d.errors
    ]
    differing.sort(key=lambda d: (-abs(d.second - d.first), d.id))
    improved, worsened = ([d for d in differing if (d.second < d.first) is fewer] for fewer in (True, False))
    by_group.sort(key=lambda g: (-abs(g.second - g.first), g.group is None, g.group or ""))
    rates = {rate.name: rate for rate, _ in compared}
    kept = tuple(improved[:MAX_ITEMS]), tuple(worsened[:MAX_ITEMS])
    return Comparison(first.name, second.name, rules.name, len(pairs), len(improved), len(worsened), rates, tuple(by_group), *kept)


def _common_protocol(first: SavedResults, second: SavedResults) -> Protocol:
    if first.level != second.level:
        raise ConfigError(f"{first.name} has transcripts of {first.level}, {second.name} of {second.level}: they cannot be compared")
    if first.protocol != second.protocol:
        names = " and ".join(f"{results.name} by {results.protocol or 'none'}" for results in (first, second))
        raise ConfigError(f"scored by different protocols ({names}); score one of them again, or name the protocol to count both by")
    return find_protocol(first.protocol) if first.protocol else PLAIN[first.level]


def _pair_items(first: SavedResults, second: SavedResults) -> list[tuple[ScoredItem, ScoredItem]]:
    """Items of both by id, in the order of the first."""
    for one, other in ((first, second), (second, first)):
        known = {item.id for item in other.items}
        missing = [item.id for item in one.items if item.id not in known]
        if missing:
            listed = ", ".join(missing[:MAX_IDS]) + (", ..." if len(missing) > MAX_IDS else "")
            raise ManifestError(f"{other.name}: lacks {len(missing)} of the {len(one.items)} items of {one.name}: {listed}")
    by_id = {item.id: item for item in second.items}
    pairs = [(item, by_id[item.id]) for item in first.items]
    for a, b in pairs:
        for what, ours, theirs in (("reference", a.reference, b.reference), ("group", a.group, b.group)):
            if ours != theirs:
                raise ManifestError(f"{a.id}: has the {what} {ours!r} in {first.name} and {theirs!r} in {second.name}; score both on one manifest")
    return pairs


def _compare_rate(
    name: str, pairs: Sequence[tuple[ScoredItem, ScoredItem]], rules: Protocol, seed: int
) -> tuple[RateDifference, list[tuple[Counts, Counts]]]:
    """One error rate of both, and the counts of both for each item."""
    by_segments = rules.rates[name] is not characters
    counts: list[tuple[Counts, Counts]] = []
    segments: list[tuple[int, int]] = []
    for edits in zip(*(align_items([pair[side] for pair in pairs], rules, name) for side in (0, 1)), strict=True):
        both = Counts.of(edits[0]), Counts.of(edits[1])
        counts.append(both)
        segments += cut_segments(*edits) if by_segments else [(both[0].errors, both[1].errors)]
    matched = matched_pairs([b - a for a, b in segments if a or b])
    first, second = (sum((both[side] for both in counts), Counts()) for side in (0, 1))
    changes = [b.errors - a.errors for a, b in counts]
    difference = sum(changes) / first.reference if first.reference else None
    bootstrapped = bootstrap(changes, [a.reference for a, _ in counts], [a.group for a, _ in pairs], seed=seed)
    return RateDifference(name, first.reference, first, second, difference, bootstrapped, matched, by_segments), counts


def matched_pairs(differences: Sequence[int] | np.ndarray) -> MatchedPairs:
    """The test of Gillick & Cox (1989, equations 6 to 9) on differences in errors (N,), one a segment.

    Segments are taken to err independently of each other, which those of one speaker or writer do only nearly. Where all
    segments differ alike there is no variance, and p is that of the sign test.
    """
    values = np.asarray(differences, np.float64)
    if values.size == 0:
        return MatchedPairs(0, None, None, None)
    mean = float(values.mean())
    if not values.any():
        return MatchedPairs(values.size, 0.0, 0.0, 1.0)
    if (values == values[0]).all():
        return MatchedPairs(values.size, mean, None, 0.5 ** (values.size - 1))
    statistic = mean / math.sqrt(values.var(ddof=1) / values.size)
    return MatchedPairs(values.size, mean, statistic, math.erfc(abs(statistic) / math.sqrt(2)))


def cut_segments(first: Sequence[Edit], second: Sequence[Edit], agreed: int = AGREED_TOKENS) -> list[tuple[int, int]]:
    """Errors of two alignments with one reference, (first, second) for each segment with an error.

    Segments are separated by at least ``agreed`` reference tokens in a row that both have right, with nothing inserted between
    them, and by the ends of the item: an error of the one is not due to an error of the other across such a gap.

    Raises:
        ValueError: the alignments are not with the same reference.
    """
    errors = [_place_errors(edits) for edits in (first, second)]
    if errors[0].shape != errors[1].shape:
        raise ValueError(f"alignments with {errors[0].size // 2} and {errors[1].size // 2} reference tokens")
    wrong = np.flatnonzero(errors[0] | errors[1])
    if wrong.size == 0:
        return []
    # reference tokens stand at odd places; so many lie between two places with an error
    between = wrong[1:] // 2 - (wrong[:-1] + 1) // 2
    cuts = np.flatnonzero(between >= agreed) + 1
    return [(int(errors[0][part].sum()), int(errors[1][part].sum())) for part in np.split(wrong, cuts)]


def _place_errors(edits: Sequence[Edit]) -> np.ndarray:
    """Errors at each place (2N + 1,) of a reference: gap, token, gap, token ... gap; gaps count insertions."""
    kinds = np.array([KINDS.index(edit.kind) for edit in edits], np.int64)
    tokens = np.cumsum(kinds != INSERTION)  # of the reference, up to and with this edit
    places = np.where(kinds == INSERTION, 2 * tokens, 2 * tokens - 1)
    return np.bincount(places[kinds != MATCH], minlength=2 * int(tokens[-1] if tokens.size else 0) + 1)


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
        lines += ["", f"Items most {title} by B"] if items else []
        for item in items[:limit]:
            lines.append(f"  {item.id}  A {item.first}  B {item.second} errors")
            texts = (("ref", item.reference), ("  A", item.first_hypothesis), ("  B", item.second_hypothesis))
            lines += [f"    {label} {escape_unprintable(text)}" for label, text in texts]
    return "\n".join(lines)


def _render_rate(rate: RateDifference) -> Iterator[str]:
    def points(share: float | None) -> str:
        return "-" if share is None else f"{100 * share:+.2f}"

    def probability(p: float) -> str:
        return "< 0.001" if p < 0.001 else f"{p:.3f}"

    values = [f"{name} {percent(c.rate, 2)} ({c.errors}/{c.reference})" for name, c in (("A", rate.first), ("B", rate.second))]
    yield f"{rate.name}  {'  '.join(values)}  B - A {points(rate.difference)} points"
    drawn, matched = rate.bootstrapped, rate.matched
    if drawn.p is not None:
        caution = "; with so few, p is too small" if drawn.clusters < FEW_CLUSTERS else ""
        interval = f"[{points(drawn.low)}, {points(drawn.high)}]"
        yield f"  paired bootstrap of {drawn.clusters} {drawn.resampled}: {interval}, p {probability(drawn.p)}{caution}"
    if matched.p is not None:
        parts = f"segments with an error, separated by {AGREED_TOKENS} agreed tokens" if rate.by_segments else "items with an error"
        caution = f"; fewer than {FEW_SEGMENTS}, so a rough guide" if matched.segments < FEW_SEGMENTS else ""
        yield f"  matched pairs: {matched.segments} {parts}, p {probability(matched.p)}{caution}"
