"""Scores of recognized items: error rates with their intervals, by group, and the most frequent errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from recognizer.errors import InputError
from recognizer.evaluation.bootstrap import SEED, Resampled, bootstrap
from recognizer.evaluation.edits import KINDS, Counts, Edit, Kind, characters, units, words
from recognizer.evaluation.protocols import AppliedProtocol, Protocol, describe_application
from recognizer.text.alphabet import SPACE, Level
from recognizer.text.normalize import TEXT_FORM

MAX_CONFUSIONS = 50  # kept of each kind of error

# What is counted without a published protocol.
PLAIN: dict[Level, Protocol] = {
    "characters": Protocol("plain", "characters, and words as spaces separate them", "characters", {"CER": characters, "WER": words}),
    "units": Protocol("plain", "units as they are", "units", {"UER": units}),
}


@dataclass(frozen=True)
class ScoredItem:
    """The reference and the hypothesis of an item; with level "units" both are units separated by spaces."""

    id: str
    reference: str
    hypothesis: str
    group: str | None = None  # speaker or writer
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RateCounts:
    """The edits that one error rate counts: how many in each item, and how often each occurred (matches too)."""

    name: str  # CER, WER, UER or PER
    items: tuple[Counts, ...]
    edits: Counter[Edit]


@dataclass(frozen=True)
class ErrorRate:
    """Errors per reference token and the ends of its 95 % interval, as shares; None where they are not defined."""

    name: str
    counts: Counts
    rate: float | None
    low: float | None
    high: float | None
    resampled: Resampled


@dataclass(frozen=True)
class Accuracy:
    """Share of the items (lines, utterances) without any error, and the ends of its 95 % interval."""

    correct: int
    items: int
    rate: float | None
    low: float | None
    high: float | None
    resampled: Resampled


@dataclass(frozen=True)
class GroupCounts:
    """Edits of one speaker or writer, by name of the error rate; ``group`` is None for items that name none."""

    group: str | None
    items: int
    counts: dict[str, Counts]


@dataclass(frozen=True)
class Confusion:
    """An error and how often it occurred."""

    kind: Kind
    reference: str | None
    hypothesis: str | None
    count: int


@dataclass(frozen=True)
class Scores:
    """What :func:`score` found.

    Attributes:
        level: what the transcripts are made of.
        items: how many were scored.
        empty_references: how many references have no token (blank paper, silence).
        left_empty: how many of these have an empty hypothesis; ``hallucinated``: tokens in the other hypotheses.
        accuracy: of whole items, by their finest tokens.
        rates: by name, the finest tokens first.
        groups: by name, items without a group last.
        confusions: of the finest tokens, the most frequent first.
        protocol: the published protocol that was asked for, as it was applied.
    """

    level: Level
    items: int
    empty_references: int
    left_empty: int
    hallucinated: int
    accuracy: Accuracy
    rates: dict[str, ErrorRate]
    groups: tuple[GroupCounts, ...]
    confusions: tuple[Confusion, ...]
    protocol: AppliedProtocol | None = None

    def to_json(self) -> dict[str, Any]:
        """Ready for ``json.dump``: keys always in the same order, undefined numbers None, "protocol" only if one was asked for."""

        def flatten(counts: Counts) -> dict[str, Any]:
            return {"rate": counts.rate, "errors": counts.errors, "reference": counts.reference, **asdict(counts)}

        numbers = ("level", "items", "empty_references", "left_empty", "hallucinated")
        record = {key: getattr(self, key) for key in numbers} | {
            "accuracy": asdict(self.accuracy),
            "rates": {name: {**flatten(r.counts), "low": r.low, "high": r.high, "resampled": r.resampled} for name, r in self.rates.items()},
            "groups": [{"group": g.group, "items": g.items, "rates": {n: flatten(c) for n, c in g.counts.items()}} for g in self.groups],
            "confusions": [asdict(c) for c in self.confusions],
        }
        if self.protocol is not None:
            record["protocol"] = {**asdict(self.protocol), "fingerprint": self.protocol.fingerprint}
        return record


def score(items: Sequence[ScoredItem], level: Level, protocol: Protocol | None = None, seed: int = SEED) -> Scores:
    """Score items: CER (spaces included) and WER with level "characters", UER with level "units", or the rates of a protocol.

    Rates are of the whole corpus: all errors by all reference tokens.

    Args:
        items: references and hypotheses.
        level: what both are made of.
        protocol: a published way of counting; the scores then bear its fingerprint.
        seed: of the intervals.

    Raises:
        ConfigError, ManifestError: the protocol is not defined for transcripts of this level or form.
        InputError: a transcript has a token that the protocol does not know; the item is named.
    """
    rules = protocol or PLAIN[level]
    forms = text_forms(items)
    rules.require(level, forms)
    counted = {rate.name: rate for rate in count_errors(items, rules)}
    finest = next(iter(counted.values()))
    groups = [item.group for item in items]
    members: dict[str | None, list[int]] = {}
    for n, group in enumerate(groups):
        members.setdefault(group, []).append(n)

    correct = [int(c.errors == 0) for c in finest.items]
    ends = bootstrap(correct, [1] * len(items), groups, seed=seed)
    accuracy = Accuracy(sum(correct), len(items), sum(correct) / len(items) if items else None, ends.low, ends.high, ends.resampled)
    rates = {}
    for name, rate in counted.items():
        ends = bootstrap([c.errors for c in rate.items], [c.reference for c in rate.items], groups, seed=seed)
        total = sum(rate.items, Counts())
        rates[name] = ErrorRate(name, total, total.rate, ends.low, ends.high, ends.resampled)
    hallucinated = [c.insertions for c in finest.items if c.reference == 0]
    return Scores(
        level=level,
        items=len(items),
        empty_references=len(hallucinated),
        left_empty=hallucinated.count(0),
        hallucinated=sum(hallucinated),
        accuracy=accuracy,
        rates=rates,
        groups=tuple(
            GroupCounts(group, len(own), {name: sum((rate.items[n] for n in own), Counts()) for name, rate in counted.items()})
            for group, own in sorted(members.items(), key=lambda entry: (entry[0] is None, entry[0] or ""))
        ),
        confusions=_rank_errors(finest.edits),
        protocol=None if protocol is None else describe_application(protocol, {name: rate.items for name, rate in counted.items()}, forms),
    )


def count_errors(items: Sequence[ScoredItem], rules: Protocol) -> list[RateCounts]:
    """Align all items for each rate of a protocol, the finest tokens first; raises as :func:`align_items`."""
    found = []
    for name in rules.rates:
        counts, edits = [], Counter[Edit]()
        for steps in align_items(items, rules, name):
            counts.append(Counts.of(steps))
            edits.update(steps)
        found.append(RateCounts(name, tuple(counts), edits))
    return found


def align_items(items: Sequence[ScoredItem], rules: Protocol, rate: str) -> Iterator[list[Edit]]:
    """The alignment of each item for one rate of a protocol.

    Raises:
        InputError: a transcript has a token that the protocol does not know; the item is named.
    """
    for item in items:
        try:
            yield rules.align(item.reference, item.hypothesis, rate)
        except InputError as error:
            raise InputError(f"{item.id}: {error}") from None


def text_forms(items: Sequence[ScoredItem]) -> list[str]:
    """The forms that the texts of items are in, as far as the manifest names any."""
    return [str(item.meta[TEXT_FORM]) for item in items if TEXT_FORM in item.meta]


def _rank_errors(edits: Counter[Edit]) -> tuple[Confusion, ...]:
    """The most frequent errors of each kind, all together in falling order; ties by kind and spelling."""

    def key(confusion: Confusion) -> tuple[int, int, str, str]:
        return -confusion.count, KINDS.index(confusion.kind), confusion.reference or "", confusion.hypothesis or ""

    ranked = sorted((Confusion(*edit, count) for edit, count in edits.items() if edit.kind != "match"), key=key)
    kept = [c for kind in KINDS for c in [r for r in ranked if r.kind == kind][:MAX_CONFUSIONS]]
    return tuple(sorted(kept, key=key))


def render_scores(scores: Scores, limit: int = 10) -> str:
    """The scores as plain text: rates, the ``limit`` worst groups and as many errors of each kind."""
    blocks = ["\n".join(_render_rates(scores))]
    if len(scores.groups) > 1:
        blocks.append("\n".join(_render_groups(scores, limit)))
    if scores.confusions:
        blocks.append("\n".join(_render_confusions(scores.confusions, limit)))
    return "\n\n".join(blocks)


def _render_rates(scores: Scores) -> Iterator[str]:
    for name, r in scores.rates.items():
        c = r.counts
        yield f"{name} {percent(r.rate)}{_render_ends(r)} ({c.errors}/{c.reference}; S {c.substitutions} D {c.deletions} I {c.insertions})"
    accuracy, applied = scores.accuracy, scores.protocol
    yield f"Items without error {percent(accuracy.rate)}{_render_ends(accuracy)} ({accuracy.correct}/{accuracy.items})"
    if accuracy.low is not None:
        yield f"[95 % intervals from resampling {describe_resampling(scores)}]"
    if scores.empty_references:
        yield describe_empty(scores)
    if applied is not None:
        yield f"Mean of the items: {', '.join(f'{name} {percent(mean)}' for name, mean in applied.per_item.items())}"
        yield from [f"Protocol {applied.fingerprint}", f"  {applied.rules}", *([f"  {applied.remark}"] if applied.remark else [])]


def describe_resampling(scores: Scores) -> str:
    """What the intervals were resampled from."""
    if scores.accuracy.resampled == "items":
        return f"{scores.items} items, for want of two groups"
    alone = sum(g.items for g in scores.groups if g.group is None)
    named = sum(g.group is not None for g in scores.groups)
    return f"{named} groups" + (f" and {alone} items without a group" if alone else "")


def describe_empty(scores: Scores) -> str:
    """What was recognized in the items whose reference is empty."""
    things = "units" if scores.level == "units" else "characters"
    counts = f"{scores.empty_references}, of which {scores.left_empty} gave an empty hypothesis"
    return f"Empty references: {counts}; {scores.hallucinated} {things} hallucinated"


def _render_groups(scores: Scores, limit: int) -> Iterator[str]:
    def error_rate(group: GroupCounts) -> float:
        rate = next(iter(group.counts.values())).rate
        return -1.0 if rate is None else rate

    worst = sorted(scores.groups, key=error_rate, reverse=True)[:limit]  # stable: equal rates stay in order of name
    yield f"Worst groups ({len(worst)} of {len(scores.groups)})"
    rows = [["group", "items", *(cell for name in scores.rates for cell in (name, "errors/tokens"))]]
    for g in worst:
        cells = [cell for c in g.counts.values() for cell in (percent(c.rate), f"{c.errors}/{c.reference}")]
        rows.append(["(none)" if g.group is None else escape_unprintable(g.group), str(g.items), *cells])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))])


def _render_confusions(confusions: Sequence[Confusion], limit: int) -> Iterator[str]:
    yield "Most frequent errors"
    for kind in KINDS:
        cells = []
        for c in [c for c in confusions if c.kind == kind][:limit]:
            tokens = [SPACE if token == " " else escape_unprintable(token) for token in (c.reference, c.hypothesis) if token is not None]
            cells.append(f"{' > '.join(tokens)} {c.count}")
        if cells:
            yield f"{kind + 's':<13}  {'   '.join(cells)}"


def percent(share: float | None, digits: int = 1) -> str:
    """``12.3 %``, or a dash where a share is not defined."""
    return "-" if share is None else f"{100 * share:.{digits}f} %"


def _render_ends(value: ErrorRate | Accuracy) -> str:
    return "" if value.low is None or value.high is None else f" [{100 * value.low:.1f}, {100 * value.high:.1f}]"


def escape_unprintable(text: str) -> str:
    """Text that a terminal cannot take for commands."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
