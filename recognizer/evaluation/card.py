"""The measured part of a model card, in Markdown: how good a recogniser is, for whom, how far it can be trusted, and what it fails at."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np

from recognizer.alphabet import SPACE
from recognizer.decoding.calibration import expected_calibration_error, reliability
from recognizer.errors import BundleError
from recognizer.evaluation.bootstrap import SEED
from recognizer.evaluation.edits import KINDS, Counts
from recognizer.evaluation.protocols import Protocol
from recognizer.evaluation.report_counts import Row, Tally, gather, measure_row, part_by_field, tally
from recognizer.evaluation.report_data import Extra
from recognizer.evaluation.report_items import choose_items
from recognizer.evaluation.report_markup import interval, percent, shorten
from recognizer.evaluation.score import PLAIN, ErrorRate, Report, Scored, describe_resampling, score
from recognizer.evaluation.trust import judge

BEGIN = "<!-- measured by `recognizer evaluate --card`: what stands between these two lines is written anew each time -->"
END = "<!-- end of what was measured -->"
CONDITION = "distortion"  # field of meta that parts a set made by `recognizer prepare distorted`

WORST_GROUPS = 5
FIELDS = 8  # of the manifest that have a table
CONFUSIONS = 8  # of each kind
EXAMPLES = 4  # the worst, and as many others
LONGEST = 120  # characters of an example


@dataclass(frozen=True)
class MeasuredSet:
    """A manifest and what a recogniser made of it.

    Attributes:
        name: of its file, with that of its folder; ``fingerprint``: of its content.
        remarks: what a reader must know of it (items seen in training, items that failed).
        reports: the scores by name of the decoder, the bundle's own last.
        results: of the bundle's own decoder.
        extras: confidences by id.
    """

    name: str
    fingerprint: str
    reports: Mapping[str, Report]
    results: Sequence[Scored]
    remarks: Sequence[str] = ()
    extras: Mapping[str, Extra] = field(default_factory=dict)

    @property
    def report(self) -> Report:
        """The score of the bundle's own decoder."""
        return list(self.reports.values())[-1]


def renew_card(card: str, measured: str, place: str) -> str:
    """A card with its measured part replaced, or added at the end where it has none; all else stays as it is.

    Args:
        card: the text of the card.
        measured: as :func:`render_measured` gives it.
        place: name of the card, for messages.

    Raises:
        BundleError: the marker lines do not pair up.
    """
    lines = card.split("\n")
    marks = {mark: [n for n, line in enumerate(lines) if line.strip() == mark] for mark in (BEGIN, END)}
    block = f"{BEGIN}\n\n{measured.strip()}\n\n{END}"
    if not marks[BEGIN] and not marks[END]:
        return f"{card.rstrip()}\n\n{block}\n".lstrip("\n")
    if len(marks[BEGIN]) != 1 or len(marks[END]) != 1 or marks[BEGIN][0] > marks[END][0]:
        first = min(marks[BEGIN] + marks[END]) + 1
        raise BundleError(f"{place}:{first}: the lines that mark the measured part do not pair up; remove them to have it added at the end")
    return "\n".join([*lines[: marks[BEGIN][0]], block, *lines[marks[END][0] + 1 :]])


def render_measured(
    sets: Sequence[MeasuredSet], command: str, facts: Mapping[str, str], noun: str, protocol: Protocol | None = None, seed: int = SEED
) -> str:
    """The measured part, without its marker lines.

    Args:
        sets: the first is what the recogniser is made for, and gets all tables; of further ones those of their distortions.
        command: that measures all this again.
        facts: speed, memory, size, machine ... by name.
        noun: what a group is, speaker or writer.
        protocol: by which all were scored.
        seed: of intervals and of the examples drawn.
    """
    main = sets[0]
    rules = protocol or PLAIN[main.report.level]
    tallies = tally(main.results, rules)
    blocks = ["## Measured", f"`{command}`", _render_rates(sets), "\n".join(_describe_sets(sets, noun))]
    blocks += _render_parts(main, tallies, noun, seed)
    for further in sets[1:]:
        blocks += _render_conditions(further, tally(further.results, rules), seed)
    blocks += [*_render_trust(main), *_render_errors(main, tallies[0], seed)]
    blocks += ["### Speed, memory, size", "\n".join(f"* {name}: {value}." for name, value in facts.items())]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _render_rates(sets: Sequence[MeasuredSet]) -> str:
    names = list(sets[0].report.rates)
    rows = []
    for measured in sets:
        for decoder, report in measured.reports.items():
            rates = [_rate(r.rate, r.low, r.high) for r in report.rates.values()]
            accuracy = report.accuracy
            rows.append([escape(measured.name), decoder, str(report.items), *rates, _rate(accuracy.rate, accuracy.low, accuracy.high)])
    return render_table(["set", "decoder", "items", *names, "without error"], rows)


def _describe_sets(sets: Sequence[MeasuredSet], noun: str) -> Iterator[str]:
    protocol = sets[0].report.protocol
    if protocol is not None:
        yield f"* Counted by protocol {protocol.fingerprint}: {protocol.rules}."
    yield f"* In brackets: 95 % intervals, of `{sets[0].name}` from resampling {describe_resampling(sets[0].report)}; a group is a {noun}."
    rates = "; ".join(f"{name} {_rate(r.rate, r.low, r.high)}" for name, r in _score_caseless(sets[0]).items())
    if rates:
        yield f"* `{sets[0].name}`, capitals and small letters taken for the same, as transcribers often do: {rates}."
    for measured in sets:
        report = measured.report
        groups = sum(g.group is not None for g in report.groups)
        whose = f" of {groups} {noun}{'s' * (groups != 1)}" if groups else ""
        known = [f"{report.items} items{whose}", *measured.remarks]
        if report.empty_references:
            known.append(f"{report.empty_references} of them hold nothing: {report.left_empty} came out empty, {report.made_up} symbols were made up")
        yield f"* `{measured.name}`, SHA-256 {measured.fingerprint}: {'; '.join(known)}."


def _score_caseless(measured: MeasuredSet) -> Mapping[str, ErrorRate]:
    """The bundle's own decoder scored without regard to case; nothing where transcripts have no case, or a protocol has its say."""
    report = measured.report
    if report.level != "characters" or report.protocol is not None or all(r.reference == r.reference.casefold() for r in measured.results):
        return {}
    folded = [replace(r, reference=r.reference.casefold(), hypothesis=r.hypothesis.casefold()) for r in measured.results]
    return score(folded, report.level).rates


def _render_parts(measured: MeasuredSet, tallies: Sequence[Tally], noun: str, seed: int) -> Iterator[str]:
    """Tables by speaker or writer and by every field that parts the items."""
    report = measured.report
    groups = [result.group for result in measured.results]
    by_group = gather(groups)
    named = [g for g in report.groups if g.group is not None]
    if len(named) > 1:
        yield f"### By {noun}"
        ranges = []
        for name in report.rates:
            rates = [rate for g in named if (rate := g.counts[name].rate) is not None]
            if rates:
                ranges.append(f"{name} from {_rate(min(rates))} to {_rate(max(rates))}, median {_rate(float(np.median(rates)))}")
        first = tallies[0].name
        worst = sorted(named, key=lambda g: (-(g.counts[first].rate or 0.0), g.group or ""))[:WORST_GROUPS]
        yield f"{len(named)} {noun}s: {'; '.join(ranges)}. The worst {len(worst)}:"
        yield _render_rows(noun, [(g.group or "", by_group[g.group]) for g in worst], tallies, groups, seed)
    for field_name, parts in islice(part_by_field(measured.results)[0].items(), FIELDS):
        yield f"### By {escape(shorten(field_name))}"
        yield _render_rows(field_name, list(parts.items()), tallies, groups, seed)


def _render_conditions(measured: MeasuredSet, tallies: Sequence[Tally], seed: int) -> Iterator[str]:
    """The table by distortion, in the order of the manifest, of a set that has any."""
    parts = {str(label): members for label, members in gather(result.meta.get(CONDITION) for result in measured.results).items() if label is not None}
    if len(parts) > 1:
        yield f"### `{measured.name}` by {CONDITION}"
        yield _render_rows(CONDITION, list(parts.items()), tallies, [result.group for result in measured.results], seed)


def _render_rows(
    head: str, parts: Sequence[tuple[str, Sequence[int]]], tallies: Sequence[Tally], groups: Sequence[str | None], seed: int
) -> str:
    """Rates of some parts of the items; where some have nothing in them, what became of these."""
    rows = [measure_row(label, members, tallies, groups, seed) for label, members in parts]
    empty = [[c for n in members if (c := tallies[0].items[n]).reference == 0] for _, members in parts]
    heads = [head, "items", *(t.name for t in tallies), *(["left empty", "made up"] if any(empty) else [])]
    return render_table([escape(shorten(text)) for text in heads], [_row(row, some, any(empty)) for row, some in zip(rows, empty, strict=True)])


def _row(row: Row, empty: Sequence[Counts], shown: bool) -> list[str]:
    # what is made up where there is nothing counts as insertions, but a rate of nothing is none
    rates = [_rate(counts.rate, *row.ends[name]) for name, counts in row.counts.items()]
    left = [f"{sum(c.insertions == 0 for c in empty)} of {len(empty)}", str(sum(c.insertions for c in empty))] if empty else ["", ""]
    return [escape(shorten(row.label)), str(row.items), *rates, *(left if shown else [])]


def _render_trust(measured: MeasuredSet) -> Iterator[str]:
    judged = judge(measured.results, measured.report.level, measured.extras)
    if not judged:
        return
    errors = [f"{percent(expected_calibration_error(np.array(t), np.array(m)))} of {len(t)} {name}" for name, t, m in judged]
    yield "### Confidence"
    yield plain_spaces(f"Expected calibration error on `{measured.name}`: {', '.join(errors)}.")
    tables = {name: {round(row.low, 3): row for row in reliability(np.array(t), np.array(m))} for name, t, m in judged}
    lows = sorted({low for rows in tables.values() for low in rows})
    body = []
    for low in lows:
        cells = [f"{low:.1f} to {low + 0.1:.1f}"]
        for rows in tables.values():
            cells += [str(rows[low].count), _rate(rows[low].accuracy)] if low in rows else ["0", ""]
        body.append(cells)
    yield render_table(["confidence", *(head for name in tables for head in (name, "right"))], body)


def _render_errors(measured: MeasuredSet, finest: Tally, seed: int) -> Iterator[str]:
    yield "### What goes wrong"
    lines = []
    for kind in KINDS:
        chosen = [c for c in measured.report.confusions if c.kind == kind][:CONFUSIONS]
        spelt = (" for ".join(_spell(t) for t in (c.hypothesis, c.reference) if t is not None) + f" ({c.count})" for c in chosen)
        if chosen:
            lines.append(f"* Most frequent {kind}s: {', '.join(spelt)}.")
    yield "\n".join(lines) or "Nothing."
    worst, drawn = choose_items(finest.items, EXAMPLES, EXAMPLES, seed)
    rows = []
    for choice, places in (("worst", worst), ("drawn", drawn)):
        for n in places:
            result = measured.results[n]
            said, found = (escape(shorten(text, LONGEST)) or "(nothing)" for text in (result.reference, result.hypothesis))
            rows.append([choice, escape(shorten(result.id)), said, found, _rate(finest.items[n].rate)])
    yield f"The worst items by {finest.name}, and others drawn at random:"
    yield render_table(["", "item", "reference", "recognised", finest.name], rows)


def render_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows))


def escape(text: str) -> str:
    """Text on one line whose marks Markdown leaves alone."""
    return re.sub(r"([\\`*_|<>\[\]])", r"\\\1", " ".join(text.split()))


def plain_spaces(text: str) -> str:
    """Non-breaking spaces as plain ones: the card is read and edited as text."""
    return text.replace("\u00a0", " ")


def _rate(share: float | None, low: float | None = None, high: float | None = None) -> str:
    return plain_spaces(f"{percent(share)} {interval(low, high)}").strip()


def _spell(token: str) -> str:
    return escape(SPACE if token == " " else token)
