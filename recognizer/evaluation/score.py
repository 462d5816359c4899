"""Scores: error rates of a set of results, each with its interval, its groups and what was confused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from recognizer.alphabet import SPACE, Level
from recognizer.errors import InputError
from recognizer.evaluation.bootstrap import SEED, Resampled, bootstrap
from recognizer.evaluation.edits import KINDS, Counts, Edit, Kind
from recognizer.evaluation.protocols import Applied, Protocol, describe_application
from recognizer.evaluation.tokens import characters, units, words
from recognizer.textforms import TEXT_FORM

CONFUSIONS = 50  # kept in a report, of each kind of error

# What is counted without a published protocol.
PLAIN: dict[Level, Protocol] = {
    "characters": Protocol("plain", "characters, and words as spaces separate them", "characters", {"CER": characters, "WER": words}),
    "units": Protocol("plain", "units as they are", "units", {"UER": units}),
}


@dataclass(frozen=True)
class Scored:
    """A recognised item beside what it says; with level "units" both transcripts are units separated by spaces."""

    id: str
    reference: str
    hypothesis: str
    group: str | None = None  # speaker or writer
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ErrorRate:
    """Errors per reference token and the ends of its 95 % interval, as shares; None where they are not defined."""

    name: str  # CER, WER, UER or PER
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
    """What one speaker or writer contributes; ``group`` None gathers the items that name none."""

    group: str | None
    items: int
    counts: dict[str, Counts]  # by name of the error rate


@dataclass(frozen=True)
class Confusion:
    """An error and how often it occurred."""

    kind: Kind
    reference: str | None
    hypothesis: str | None
    count: int


@dataclass(frozen=True)
class Report:
    """All that :func:`score` found.

    Attributes:
        level: what the transcripts are made of.
        items: how many were scored.
        empty_references: how many references have no (finest) token (blank paper, silence); each token recognised there is an insertion.
        left_empty: how many of these came out empty; ``made_up``: tokens recognised in the others.
        accuracy: of whole items, compared by their finest tokens.
        rates: by name, the finest tokens first.
        groups: by name, items without a group last.
        confusions: of the finest tokens, the most frequent first.
        protocol: the published protocol that was asked for, as it was applied.
    """

    level: Level
    items: int
    empty_references: int
    left_empty: int
    made_up: int
    accuracy: Accuracy
    rates: dict[str, ErrorRate]
    groups: tuple[GroupCounts, ...]
    confusions: tuple[Confusion, ...]
    protocol: Applied | None = None

    def to_json(self) -> dict[str, Any]:
        """Ready for ``json.dump``; keys always come in the same order, undefined numbers are None; "protocol" is there if one was asked for."""
        record = {
            "level": self.level,
            "items": self.items,
            "empty_references": self.empty_references,
            "left_empty": self.left_empty,
            "made_up": self.made_up,
            "accuracy": asdict(self.accuracy),
            "rates": {name: {**_flatten(r.counts), "low": r.low, "high": r.high, "resampled": r.resampled} for name, r in self.rates.items()},
            "groups": [{"group": g.group, "items": g.items, "rates": {n: _flatten(c) for n, c in g.counts.items()}} for g in self.groups],
            "confusions": [asdict(c) for c in self.confusions],
        }
        if self.protocol is not None:
            record["protocol"] = {**asdict(self.protocol), "fingerprint": self.protocol.fingerprint}
        return record


def score(results: Sequence[Scored], level: Level, protocol: Protocol | None = None, seed: int = SEED) -> Report:
    """Score results: CER (spaces included) and WER with level "characters", UER with level "units", or as a protocol has it.

    Rates are of the whole corpus: all errors by all reference tokens.

    Args:
        results: recognised items beside what they say.
        level: of their transcripts.
        protocol: one of :data:`~recognizer.evaluation.protocols.PROTOCOLS`; its fingerprint is part of the report.
        seed: of the intervals.

    Raises:
        ConfigError, ManifestError: the protocol is not defined for transcripts of this level or form.
        InputError: a transcript has a token that the protocol does not know; the item is named.
    """
    rules = protocol or PLAIN[level]
    forms = [str(result.meta[TEXT_FORM]) for result in results if TEXT_FORM in result.meta]
    rules.require(level, forms)
    groups = [result.group for result in results]
    counts: dict[str, list[Counts]] = {}
    confusions: Counter[Edit] = Counter()
    for number, name in enumerate(rules.rates):
        counts[name] = []
        for result in results:
            try:
                edits = rules.align(result.reference, result.hypothesis, name)
            except InputError as error:
                raise InputError(f"{result.id}: {error}") from None
            counts[name].append(Counts.of(edits))
            if number == 0:
                confusions.update(edit for edit in edits if edit.kind != "match")

    finest = next(iter(counts.values()))
    made_up = [c.insertions for c in finest if c.reference == 0]
    return Report(
        level=level,
        items=len(results),
        empty_references=len(made_up),
        left_empty=made_up.count(0),
        made_up=sum(made_up),
        accuracy=_measure_accuracy(finest, groups, seed),
        rates={name: _measure_rate(name, items, groups, seed) for name, items in counts.items()},
        groups=_gather(counts, groups),
        confusions=_rank(confusions),
        protocol=None if protocol is None else _apply(protocol, counts, forms),
    )


def _apply(protocol: Protocol, counts: dict[str, list[Counts]], forms: Sequence[str]) -> Applied:
    tokens = {name: sum(c.reference for c in items) for name, items in counts.items()}
    rates = {name: [rate for c in items if (rate := c.rate) is not None] for name, items in counts.items()}
    means = {name: sum(of_items) / len(of_items) if of_items else None for name, of_items in rates.items()}
    return describe_application(protocol, len(next(iter(counts.values()))), tokens, forms, means)


def _measure_rate(name: str, items: Sequence[Counts], groups: Sequence[str | None], seed: int) -> ErrorRate:
    total = sum(items, Counts())
    interval = bootstrap([c.errors for c in items], [c.reference for c in items], groups, seed=seed)
    return ErrorRate(name, total, total.rate, interval.low, interval.high, interval.resampled)


def _measure_accuracy(items: Sequence[Counts], groups: Sequence[str | None], seed: int) -> Accuracy:
    correct = [int(c.errors == 0) for c in items]
    interval = bootstrap(correct, [1] * len(items), groups, seed=seed)
    rate = sum(correct) / len(items) if items else None
    return Accuracy(sum(correct), len(items), rate, interval.low, interval.high, interval.resampled)


def _gather(counts: dict[str, list[Counts]], groups: Sequence[str | None]) -> tuple[GroupCounts, ...]:
    members: dict[str | None, list[int]] = {}
    for item, group in enumerate(groups):
        members.setdefault(group, []).append(item)
    return tuple(
        GroupCounts(group, len(members[group]), {name: sum((items[i] for i in members[group]), Counts()) for name, items in counts.items()})
        for group in sorted(members, key=lambda g: (g is None, g or ""))
    )


def _rank(confusions: Counter[Edit]) -> tuple[Confusion, ...]:
    """The most frequent of each kind, all together in falling order; ties by kind and spelling."""

    def key(confusion: Confusion) -> tuple[int, int, str, str]:
        return -confusion.count, KINDS.index(confusion.kind), confusion.reference or "", confusion.hypothesis or ""

    ranked = sorted((Confusion(*edit, count) for edit, count in confusions.items()), key=key)
    kept = [c for kind in KINDS for c in [r for r in ranked if r.kind == kind][:CONFUSIONS]]
    return tuple(sorted(kept, key=key))


def _flatten(counts: Counts) -> dict[str, Any]:
    return {"rate": counts.rate, "errors": counts.errors, "reference": counts.reference, **asdict(counts)}


def render(report: Report, limit: int = 10) -> str:
    """The report as plain text: headlines, the ``limit`` worst groups and as many confusions of each kind."""
    blocks = [_render_headlines(report)]
    if len(report.groups) > 1:
        blocks.append(_render_groups(report, limit))
    if report.confusions:
        blocks.append(_render_confusions(report.confusions, limit))
    return "\n\n".join(blocks)


def _render_headlines(report: Report) -> str:
    lines = []
    for name, r in report.rates.items():
        c = r.counts
        steps = f"S {c.substitutions} D {c.deletions} I {c.insertions}"
        lines.append(f"{name} {_percent(r.rate)}{_ends(r)} ({c.errors}/{c.reference}; {steps})")
    accuracy = report.accuracy
    lines.append(f"Items without error {_percent(accuracy.rate)}{_ends(accuracy)} ({accuracy.correct}/{accuracy.items})")
    if accuracy.low is not None:
        lines.append(f"[95 % intervals from resampling {describe_resampling(report)}]")
    if report.empty_references:
        lines.append(describe_empty(report))
    if report.protocol is not None:
        applied = report.protocol
        means = ", ".join(f"{name} {_percent(mean)}" for name, mean in applied.per_item.items())
        lines += [f"Mean of the items: {means}", f"Protocol {applied.fingerprint}", f"  {applied.rules}"]
        lines += [f"  {applied.remark}"] if applied.remark else []
    return "\n".join(lines)


def describe_resampling(report: Report) -> str:
    """What the intervals were resampled from."""
    if report.accuracy.resampled == "items":
        return f"{report.items} items, for want of two groups"
    alone = sum(g.items for g in report.groups if g.group is None)
    named = sum(g.group is not None for g in report.groups)
    return f"{named} groups" + (f" and {alone} items without a group" if alone else "")


def describe_empty(report: Report) -> str:
    """What became of the items in which there is nothing to be recognised."""
    things = "units" if report.level == "units" else "characters"
    return f"Empty references: {report.empty_references}, of which {report.left_empty} came out empty; {report.made_up} {things} were made up"


def _render_groups(report: Report, limit: int) -> str:
    first = next(iter(report.rates))

    def badness(group: GroupCounts) -> float:
        rate = group.counts[first].rate
        return -1.0 if rate is None else rate

    worst = sorted(report.groups, key=badness, reverse=True)[:limit]  # stable: equal rates stay in order of name
    rows = [["group", "items", *(cell for name in report.rates for cell in (name, "errors/tokens"))]]
    for g in worst:
        cells = [cell for c in g.counts.values() for cell in (_percent(c.rate), f"{c.errors}/{c.reference}")]
        rows.append(["(none)" if g.group is None else _spell(g.group), str(g.items), *cells])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = ["  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]) for row in rows]
    return "\n".join([f"Worst groups ({len(worst)} of {len(report.groups)})", *table])


def _render_confusions(confusions: Sequence[Confusion], limit: int) -> str:
    lines = ["Most frequent errors"]
    for kind in KINDS:
        chosen = [c for c in confusions if c.kind == kind][:limit]
        if chosen:
            spelt = (" > ".join(_spell(t) for t in (c.reference, c.hypothesis) if t is not None) + f" {c.count}" for c in chosen)
            lines.append(f"{kind + 's':<13}  " + "   ".join(spelt))
    return "\n".join(lines)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _ends(value: ErrorRate | Accuracy) -> str:
    return "" if value.low is None or value.high is None else f" [{100 * value.low:.1f}, {100 * value.high:.1f}]"


def _spell(token: str) -> str:
    """A token that can be seen, and that a terminal cannot take for a command."""
    if token == " ":
        return SPACE
    return token if token.isprintable() else token.encode("unicode_escape").decode("ascii")
