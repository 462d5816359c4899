"""The report of a score: one HTML file that says how good a recogniser is, for whom, and what goes wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

from recognizer.errors import InputError
from recognizer.evaluation.bootstrap import SEED
from recognizer.evaluation.protocols import Protocol
from recognizer.evaluation.report_counts import Row, Tally, cut_quantiles, gather, measure_row, part_by_field, tally
from recognizer.evaluation.report_data import Emit, Extra, Setup
from recognizer.evaluation.report_items import choose_items, render_items
from recognizer.evaluation.report_markup import Html, element, join, paragraphs, section, shorten
from recognizer.evaluation.report_page import (
    render_calibration,
    render_confusions,
    render_head,
    render_lengths,
    render_page,
    render_rows,
)
from recognizer.evaluation.score import PLAIN, Report, Scored
from recognizer.evaluation.trust import judge

SIZE = 14_000_000  # characters that a page has at most, media included
WORST, DRAWN = 20, 10  # items shown: the worst, and others drawn at random
GROUPS = 30  # speakers or writers in the table
FIELDS = 20  # of the manifest that have a table
NAME = "report.html"


def write_report(
    path: str | Path,
    results: Sequence[Scored],
    report: Report,
    setup: Setup,
    extras: Mapping[str, Extra] | None = None,
    emit: Emit | None = None,
    protocol: Protocol | None = None,
    seed: int = SEED,
) -> Path:
    """Write the report as one HTML file that needs nothing else: it opens without a network, from a stick or an e-mail.

    Only the items shown are read and recognised again, one at a time.

    Args:
        path: a file that ends in ``.html``, or a folder for a ``report.html``.
        results: as they were scored.
        report: their score.
        setup: what they came from.
        extras: sources, lengths and confidences by id.
        emit: gives the log-probs of some sources, in order (:meth:`~recognizer.pipeline.Recognizer.emissions`); None: not shown.
        protocol: by which they were scored.
        seed: of intervals and of the random items.

    Returns:
        The file; it appears whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    path = Path(path)
    path = path if path.suffix.lower() in (".html", ".htm") else path / NAME
    partial = path.with_name(path.name + ".partial")
    text = render_report(results, report, setup, extras or {}, emit, protocol, seed)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        if path.parent.is_dir():
            partial.unlink(missing_ok=True)
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None
    return path


def render_report(
    results: Sequence[Scored],
    report: Report,
    setup: Setup,
    extras: Mapping[str, Extra],
    emit: Emit | None = None,
    protocol: Protocol | None = None,
    seed: int = SEED,
) -> str:
    """The text of the page; arguments as for :func:`write_report`."""
    rules = protocol or PLAIN[report.level]
    tallies = tally(results, rules)
    parts = [("top", "", section("top", "Error rates", render_head(report, setup)))]
    if results:
        parts += [("who", "Who is served worse", _render_parts(results, report, tallies, seed))]
        parts += [("confusions", "Confusions", render_confusions(tallies))]
        parts += [("length", "Length", _render_lengths(results, tallies, extras, seed))]
        judged = judge(results, report.level, extras)
        if judged:
            parts += [("calibration", "Calibration", render_calibration(judged))]
        room = SIZE - sum(len(content) for _, _, content in parts)
        parts += _render_items(results, tallies[0], rules, setup, extras, emit, room, seed)
    return render_page(setup.title, parts)


def _render_parts(results: Sequence[Scored], report: Report, tallies: Sequence[Tally], seed: int) -> Html:
    """Tables by group and by every field of the manifest that parts the items."""
    groups = [result.group for result in results]
    by_group = gather(groups)
    rate = tallies[0].name
    parts: list[Html] = []
    if len(by_group) > 1:
        # the rates are known; intervals cost more, and only the rows shown get them
        worst = sorted(report.groups, key=lambda g: (-(g.counts[rate].rate or 0.0), g.group is None, g.group or ""))[:GROUPS]
        rows = [measure_row("(none)" if g.group is None else g.group, by_group[g.group], tallies, groups, seed) for g in worst]
        title = f"By speaker or writer: the worst {len(rows)} of {len(by_group)}" if len(rows) < len(by_group) else "By speaker or writer"
        parts.append(render_rows(title, "group", rows, report))
    fields, left_out = part_by_field(results)
    left_out |= dict.fromkeys(list(fields)[FIELDS:], f"comes after {FIELDS} others")
    for name, values in islice(fields.items(), FIELDS):
        rows = [measure_row(label, members, tallies, groups, seed) for label, members in values.items()]
        parts.append(render_rows(f"By {shorten(name)}", shorten(name), rows, report))
    notes = [
        "\u201cworse\u201d and \u201cbetter\u201d: the 95 % interval leaves out the rate of all items (the upright line). "
        "Of many rows one in twenty does so by chance."
    ]
    notes += [f"Field {shorten(name)!r} of the manifest makes no table: it {shorten(reason)}." for name, reason in islice(left_out.items(), FIELDS)]
    if not parts:
        notes = ["The manifest names neither groups nor fields that part the items.", *notes[1:]]
    return section("who", "Who is served worse", *parts, paragraphs(notes))


def _render_lengths(results: Sequence[Scored], tallies: Sequence[Tally], extras: Mapping[str, Extra], seed: int) -> Html:
    groups = [result.group for result in results]
    known = [extras.get(result.id, Extra()) for result in results]
    measures: list[tuple[str, list[float | None]]] = [
        (f"reference tokens ({tallies[0].name})", [float(counts.reference) for counts in tallies[0].items]),
        ("seconds", [extra.seconds for extra in known]),
        ("columns or points of the line", [None if extra.width is None else float(extra.width) for extra in known]),
    ]
    plots: list[tuple[str, list[Row]]] = []
    for name, values in measures:
        there = [n for n, value in enumerate(values) if value is not None]
        if there:
            bands = cut_quantiles([value for value in values if value is not None])
            rows = [measure_row(label, [there[n] for n in members], tallies[:1], groups, seed) for label, members in bands.items()]
            plots.append((name, rows))
    return render_lengths(plots, tallies[0].name)


def _render_items(
    results: Sequence[Scored], finest: Tally, rules: Protocol, setup: Setup, extras: Mapping[str, Extra], emit: Emit | None, room: int, seed: int
) -> list[tuple[str, str, Html]]:
    worst, drawn = choose_items(finest.items, WORST, DRAWN, seed)
    chosen = [(results[n], extras.get(results[n].id, Extra())) for n in [*worst, *drawn]]
    cards = render_items(chosen, rules, setup, emit, room)
    kinds = [element("span", element("span", name), class_=f"c {name[0]}") for name in ("substituted", "deleted", "inserted")]
    legend = element("p", "Above the reference, below the hypothesis: ", *(part for kind in kinds for part in (kind, " ")), class_="note legend")
    picture = element("p", "In the pictures: curves are the probabilities of labels over time (dashed: the blank), with the name where one is the "
        "likeliest; below them the same on a logarithmic scale, a row a label.", class_="note")  # fmt: skip
    note = join((legend, *([picture] if emit is not None else [])))
    found = []
    for anchor, title, count in (("worst", f"The worst {len(worst)} items", len(worst)), ("random", f"{len(drawn)} items at random", len(drawn))):
        shown = list(islice(cards, count))
        if shown:
            found.append((anchor, title, section(anchor, title, note, *shown)))
    return found
