"""The page of a report: its sections in order, and the frame around them that lets nothing in or out."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources

import numpy as np

from recognizer import __version__
from recognizer.decoding.calibration import expected_calibration_error, reliability
from recognizer.evaluation.edits import KINDS, Edit
from recognizer.evaluation.report_counts import Row, Tally, count_symbols
from recognizer.evaluation.report_data import Setup
from recognizer.evaluation.report_markup import Html, element, interval, join, name_token, open_tag, paragraphs, percent, section, shorten, table
from recognizer.evaluation.report_plots import draw_calibration, draw_confusions, draw_interval, draw_rates
from recognizer.evaluation.score import Report, describe_empty, describe_resampling

ERRORS = 12  # rows of a table of errors
FAILURES = 50  # listed


def render_head(report: Report, setup: Setup) -> Html:
    """The error rates with their intervals, how they were counted, and where they come from."""
    cards = []
    for name, rate in report.rates.items():
        c = rate.counts
        detail = f"{c.errors:,} errors in {c.reference:,}: {c.substitutions:,} substituted, {c.deletions:,} deleted, {c.insertions:,} inserted"
        cards.append(_card(name, percent(rate.rate), interval(rate.low, rate.high), detail))
    accuracy = report.accuracy
    ends = interval(accuracy.low, accuracy.high)
    cards.append(_card("Items without error", percent(accuracy.rate), ends, f"{accuracy.correct:,} of {accuracy.items:,}"))
    notes = []
    if accuracy.low is not None:
        notes.append(f"In brackets: 95 % intervals in per cent, from resampling {describe_resampling(report)}.")
    if report.empty_references:
        notes.append(f"{describe_empty(report)}, which are insertions.")
    facts = [*setup.facts.items(), ("Decoder", ", ".join(f"{key} {value}" for key, value in setup.decoder.items()))]
    if report.protocol is not None:
        applied = report.protocol
        means = ", ".join(f"{name} {percent(mean)}" for name, mean in applied.per_item.items())
        facts += [("Protocol", applied.fingerprint), ("Rules", applied.rules), ("Mean of the items", means)]
        facts += [("Published set", applied.remark)] if applied.remark else []
    else:
        tokens = "; ".join(f"{name} tokens {rate.counts.reference}" for name, rate in report.rates.items())
        facts.append(("Protocol", f"plain; {report.items} items; {tokens}"))
    rows = [part for name, value in facts if value for part in (element("dt", name), element("dd", value))]
    return join((element("div", *cards, class_="cards"), paragraphs(notes), element("dl", *rows), _render_failures(setup.failed)))


def _card(name: str, value: str, ends: str, detail: str) -> Html:
    parts = [element("p", name, class_="name"), element("p", value, " ", element("small", ends), class_="value"), element("p", detail, class_="note")]
    return element("div", *parts, class_="card")


def _render_failures(failed: Sequence[str]) -> Html:
    if not failed:
        return Html()
    more = [element("li", f"\u2026 and {len(failed) - FAILURES} more")] if len(failed) > FAILURES else []
    summary = element("summary", f"{len(failed)} {'item' if len(failed) == 1 else 'items'} could not be scored")
    return element("details", summary, element("ul", *(element("li", shorten(line, 300)) for line in failed[:FAILURES]), *more))


def render_rows(caption: str, head: str, rows: Sequence[Row], report: Report) -> Html:
    """Error rates of parts of the items beside that of all; a part is marked where its interval leaves that out."""
    names = list(report.rates)
    tops = {name: _scale_end([row.counts[name].rate for row in rows], [row.ends[name][1] for row in rows]) for name in names}
    grouped = any(row.groups > 1 for row in rows)
    heads = [head, "items", *(["groups"] if grouped else [])]
    for name in names:
        heads += [name, "95 % interval", "", "against all"]
    cells: list[list[object]] = []
    for row in rows:
        cells.append([shorten(row.label), f"{row.items:,}", *([row.groups] if grouped else [])])
        for name in names:
            rate, (low, high), overall = row.counts[name].rate, row.ends[name], report.rates[name].rate
            bar = draw_interval(rate, (low, high), overall, tops[name])
            cells[-1] += [percent(rate), interval(low, high), bar, _compare(rate, low, high, overall)]
    return table(caption, heads, cells)


def _scale_end(rates: Sequence[float | None], ends: Sequence[float | None]) -> float:
    highest = max([r for r in rates if r is not None], default=0.0)
    return max(min(max([e for e in ends if e is not None], default=0.0), 1.5 * highest), highest, 1e-3)


def _compare(rate: float | None, low: float | None, high: float | None, overall: float | None) -> Html | str:
    if rate is None or overall is None:
        return ""
    points = f"{100 * (rate - overall):+.1f}".replace("-", "\u2212")
    if low is not None and high is not None and not low <= overall <= high:
        return join((f"{points} ", element("strong", "worse" if low > overall else "better", class_="worse" if low > overall else "better")))
    return points


def render_confusions(tallies: Sequence[Tally]) -> Html:
    """The matrix of the finest tokens, then errors by symbol and by word."""
    matrix, symbols = draw_confusions(tallies[0].edits)
    parts: list[object] = []
    if symbols:
        note = (
            "Rows: what was said; columns: what was recognised; \u2205: nothing. "
            "The shade is the share of the row's symbol, three times as dark for errors."
        )
        inner = element("div", matrix, class_="scroll", tabindex=0, role="region", aria_label="Confusion matrix")
        parts += [element("p", note, class_="note"), inner]
    for t in tallies:
        parts.append(element("h3", f"{t.name}: most frequent errors"))
        parts.append(element("div", *(_render_errors(t, kind) for kind in KINDS if kind != "match"), _render_symbols(t), class_="tables"))
    return section("confusions", "Confusions", *parts)


def _render_errors(t: Tally, kind: str) -> Html:
    found = sorted(((count, edit) for edit, count in t.edits.items() if edit.kind == kind), key=lambda e: (-e[0], _order(e[1])))
    if not found:
        return Html()
    total = sum(count for count, _ in found)
    heads = {"substitution": ["reference", "hypothesis"], "deletion": ["reference"], "insertion": ["hypothesis"]}[kind]
    rows = [[*(name_token(token) for token in edit[1:] if token is not None), f"{count:,}", percent(count / total)] for count, edit in found[:ERRORS]]
    return table(f"{kind.capitalize()}s: {total:,}", [*heads, "count", "share"], rows, len(heads))


def _order(edit: Edit) -> tuple[str, str]:
    return edit.reference or "", edit.hypothesis or ""


def _render_symbols(t: Tally) -> Html:
    symbols = [symbol for symbol in count_symbols(t.edits) if symbol.errors][:ERRORS]
    heads = ["token", "in references", "substituted", "deleted", "inserted", "wrong"]
    rows = []
    for s in symbols:
        share = percent((s.substituted + s.deleted) / s.reference if s.reference else None)
        rows.append([name_token(s.token), f"{s.reference:,}", f"{s.substituted:,}", f"{s.deleted:,}", f"{s.inserted:,}", share])
    return table("Tokens with the most errors", heads, rows) if rows else Html()


def render_lengths(plots: Sequence[tuple[str, Sequence[Row]]], rate: str) -> Html:
    """Error rate against length, one plot for each measure of it."""
    drawn = [draw_rates([(row.label, row.counts[rate].rate, row.ends[rate]) for row in rows], axis, rate) for axis, rows in plots]
    note = "Bands hold about as many items each; bars are 95 % intervals."
    return section("length", "Error against length", element("p", note, class_="note"), element("div", *drawn, class_="plots"))


def render_calibration(judged: Sequence[tuple[str, Sequence[float], Sequence[bool]]]) -> Html:
    """Confidence against what was right; for each kind of token its name, the confidences and the truth, (N,) each."""
    parts = []
    for name, trusts, marks in judged:
        values, right = np.clip(np.asarray(trusts, float), 0, 1), np.asarray(marks, bool)
        bins = reliability(values, right)
        error = percent(expected_calibration_error(values, right))
        shares = f"{percent(float(right.mean()))} right, mean confidence {percent(float(values.mean()))}"
        text = f"{len(values):,} {name}: {shares}, calibration error {error}."
        parts.append(element("figure", draw_calibration(bins, name), element("figcaption", text)))
    note = "A confidence is well calibrated where its points lie on the diagonal. Larger points stand for more tokens."
    return section("calibration", "Calibration of confidence", element("p", note, class_="note"), element("div", *parts, class_="plots"))


def render_page(title: str, parts: Sequence[tuple[str, str, Html]]) -> str:
    """The whole document.

    Args:
        title: of the page.
        parts: anchor and name for the list of contents, and markup of each section; one without a name is not listed.
    """
    style, script = (resources.files(__package__).joinpath(f"report.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # nothing is loaded from anywhere, and no script runs but the one whose digest this is
    sources = f"img-src data:; media-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    policy = f"default-src 'none'; {sources}; base-uri 'none'; form-action 'none'"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name_="color-scheme", content="light dark"),
        element("meta", name_="generator", content=f"recognizer {__version__}"),
        element("link", rel="icon", href="data:,"),
        element("title", title),
        element("style", Html(style)),
    )
    links = element("nav", *(element("a", name, href=f"#{anchor}") for anchor, name, _ in parts if name), aria_label="Contents")
    main = element("main", *(content for _, _, content in parts))
    body = element("body", element("header", element("h1", title), links), main, element("script", Html(script)))
    return f"<!DOCTYPE html>\n{open_tag('html', lang='en')}{head}\n{body}</html>\n"
