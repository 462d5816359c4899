"""The report of a score: one HTML file that says how good a recognizer is, for whom, and what goes wrong."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jinja2
import numpy as np

from recognizer import __version__
from recognizer.decoding.calibration import expected_calibration_error, reliability
from recognizer.errors import RecognizerError
from recognizer.evaluation import report_data as data
from recognizer.evaluation.bootstrap import SEED
from recognizer.evaluation.edits import Counts, Edit
from recognizer.evaluation.metrics import PLAIN, RateCounts, ScoredItem, Scores, count_errors, describe_empty, describe_resampling
from recognizer.evaluation.protocols import Protocol
from recognizer.evaluation.report_data import Extra, Row, Setup, name_token, percent, shorten
from recognizer.evaluation.report_plots import GUTTER, Html, Media, embed_source
from recognizer.utils.files import open_folder, write_text

if TYPE_CHECKING:
    from recognizer.inference.runner import Emission

MAX_SIZE = 14_000_000  # characters of a page, media included
WORST_ITEMS, RANDOM_ITEMS = 20, 10
MAX_GROUPS = 30  # speakers or writers in the table
MAX_FIELDS = 20  # of the manifest that have a table
MAX_ERRORS = 12  # rows of a table of errors
MAX_STEPS = 1500  # of an alignment that are shown
SCALE_ENDS = (0.004, 0.01, 0.02, 0.04, 0.08, 0.12, 0.2, 0.4, 0.6, 0.8, 1.0)  # of plots of error rates
FILE_NAME = "report.html"

Emissions = Callable[[Sequence[Path]], "Iterator[Emission]"]


class Point(NamedTuple):
    """A point of a plot and its interval, as shares of the width and height; ``title`` says both in words."""

    x: float
    y: float | None
    title: str
    low: float | None = None
    high: float | None = None
    radius: float = 4


class Plot(NamedTuple):
    """Points over a grid from 0 to ``top``; ``ticks`` are below it: share of the width, text, and whether it stands in the lower row."""

    title: str
    x_name: str
    y_name: str
    top: float
    points: list[Point]
    ticks: list[tuple[float, str, bool]]
    diagonal: bool = False


def write_report(
    path: str | Path,
    items: Sequence[ScoredItem],
    scores: Scores,
    setup: Setup,
    extras: Mapping[str, Extra] | None = None,
    emissions: Emissions | None = None,
    protocol: Protocol | None = None,
    seed: int = SEED,
) -> Path:
    """Write the report as one HTML file that needs nothing else: it opens without a network.

    Only the items shown are read and recognized again, one at a time.

    Args:
        path: a file that ends in ``.html``, or a folder for a ``report.html``.
        items: scored items.
        scores: theirs.
        setup: how they were obtained.
        extras: sources, lengths and confidences by id.
        emissions: gives the log-probs of some sources, in order, as
            :meth:`~recognizer.inference.recognizer.Recognizer.emissions` does; None: they are not shown.
        protocol: by which the items were scored.
        seed: of intervals and of the random items.

    Returns:
        The file; it appears whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    path = Path(path)
    path = path if path.suffix.lower() in (".html", ".htm") else path / FILE_NAME
    text = render_report(items, scores, setup, extras or {}, emissions, protocol, seed)
    open_folder(path.parent)
    write_text(path, text)
    return path


def render_report(
    items: Sequence[ScoredItem],
    scores: Scores,
    setup: Setup,
    extras: Mapping[str, Extra],
    emissions: Emissions | None = None,
    protocol: Protocol | None = None,
    seed: int = SEED,
) -> str:
    """The text of the page; arguments as for :func:`write_report`."""
    rules = protocol or PLAIN[scores.level]
    counted = count_errors(items, rules) if items else []
    page: dict[str, Any] = {"scores": scores, "setup": setup, "counted": counted, "plotted": emissions is not None}
    page |= {"resampling": describe_resampling(scores), "empty": describe_empty(scores), "calibration": [], "worst": [], "drawn": []}
    chosen: list[int] = []
    if items:
        page["parts"], page["left_out"] = _measure_parts(items, scores, counted, seed)
        page["confused"], page["confusion_cells"] = data.confusion_matrix(counted[0].edits)
        page["lengths"] = list(_plot_lengths(items, counted, extras, seed))
        page["calibration"] = list(_plot_calibration(data.check_confidences(items, scores.level, extras)))
        worst, drawn = data.choose_items(counted[0].items, WORST_ITEMS, RANDOM_ITEMS, seed)
        chosen = [*worst, *drawn]
        cards = [_describe_item(items[n], rules) for n in chosen]
        page["worst"], page["drawn"] = cards[: len(worst)], cards[len(worst) :]
    room = MAX_SIZE - len(render_page(page))
    shown = [(card, s) for card, n in zip(page["worst"] + page["drawn"], chosen, strict=True) if (s := extras.get(items[n].id, Extra()).source)]
    for (card, _), media in zip(shown, load_media([source for _, source in shown], setup, emissions, room), strict=False):
        card["media"] = media
    return render_page(page)


def render_page(page: Mapping[str, Any]) -> str:
    """Fill the template. No text of ``page`` can become markup; the page can load nothing and run no script but its own."""
    files = {end: resources.files(__package__).joinpath(f"report.{end}").read_text(encoding="utf-8") for end in ("html.j2", "css", "js")}
    digest = base64.b64encode(hashlib.sha256(files["js"].encode()).digest()).decode()
    sources = f"img-src data:; media-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value if hasattr(value, "__html__") else data.spell(str(value)),
    )
    environment.filters |= {"percent": percent, "shorten": shorten, "thousands": "{:,}".format}
    environment.filters["token"] = lambda token, longest=40: "\u2205" if token is None else name_token(token, longest)
    environment.globals |= {"interval": data.interval, "tenth": lambda value: f"{value:.1f}".removesuffix(".0")}
    environment.globals |= {"rank_errors": _rank_errors, "rank_tokens": _rank_tokens, "gutter": GUTTER, "version": __version__}
    policy = f"default-src 'none'; {sources}; base-uri 'none'; form-action 'none'"
    return environment.from_string(files["html.j2"]).render(page, policy=policy, style=Html(files["css"]), script=Html(files["js"]))


def _measure_parts(
    items: Sequence[ScoredItem], scores: Scores, counted: Sequence[RateCounts], seed: int
) -> tuple[list[tuple[str, str, list[Row], dict[str, float]]], list[tuple[str, str]]]:
    """Error rates by speaker or writer and by every field of the manifest that parts the items.

    Returns:
        Caption, first head, rows and ends of the scales of each table; and the fields that make none, each with the reason.
    """
    groups = [item.group for item in items]
    by_group = data.group_positions(groups)
    tables: list[tuple[str, str, list[tuple[str, list[int]]]]] = []
    if len(by_group) > 1:
        # the rates are known; intervals cost more, and only the rows shown get them
        rate = counted[0].name
        worst = sorted(scores.groups, key=lambda g: (-(g.counts[rate].rate or 0.0), g.group is None, g.group or ""))[:MAX_GROUPS]
        cut = f": the worst {len(worst)} of {len(by_group)}" if len(worst) < len(by_group) else ""
        tables.append((f"By speaker or writer{cut}", "group", [("(none)" if g.group is None else g.group, by_group[g.group]) for g in worst]))
    fields, left_out = data.part_by_field(items)
    left_out |= dict.fromkeys(list(fields)[MAX_FIELDS:], f"comes after {MAX_FIELDS} others")
    tables += [(f"By {shorten(name)}", shorten(name), list(parts.items())) for name, parts in islice(fields.items(), MAX_FIELDS)]
    measured = []
    for caption, head, parts in tables:
        rows = [data.measure_row(label, members, counted, groups, seed) for label, members in parts]
        measured.append((caption, head, rows, {t.name: _scale_end(rows, t.name) for t in counted}))
    return measured, list(islice(left_out.items(), MAX_FIELDS))


def _scale_end(rows: Sequence[Row], name: str) -> float:
    """Where the scale of the bars of an error rate ends: an interval that is very wide leaves the others room."""
    highest = max(row.counts[name].rate or 0.0 for row in rows)
    widest = max(row.intervals[name][1] or 0.0 for row in rows)
    return max(min(widest, 1.5 * highest), highest, 1e-3)


def _rank_errors(edits: Mapping[Edit, int], kind: str) -> dict[str, Any]:
    """How many errors of a kind there are, and rows of the most frequent ones."""
    found = sorted(((e, n) for e, n in edits.items() if e.kind == kind), key=lambda f: (-f[1], f[0].reference or "", f[0].hypothesis or ""))
    total = sum(count for _, count in found)
    rows = [[*(name_token(token) for token in e[1:] if token is not None), f"{n:,}", percent(n / total)] for e, n in found[:MAX_ERRORS]]
    return {"total": total, "rows": rows} if rows else {}


def _rank_tokens(edits: Mapping[Edit, int]) -> list[list[str]]:
    """Rows of the tokens with the most errors: how often they were said, substituted, deleted, inserted, and how often wrong."""
    rows = []
    for token, kinds in data.count_token_errors(edits)[:MAX_ERRORS]:
        substituted, deleted, inserted = (kinds[kind] for kind in ("substitution", "deletion", "insertion"))
        said = kinds.total() - inserted
        if kinds.total() > kinds["match"]:
            wrong = percent((substituted + deleted) / said if said else None)
            rows.append([name_token(token), *(f"{n:,}" for n in (said, substituted, deleted, inserted)), wrong])
    return rows


def _plot_lengths(items: Sequence[ScoredItem], counted: Sequence[RateCounts], extras: Mapping[str, Extra], seed: int) -> Iterator[Plot]:
    """Error rate by length, one plot for each measure of it."""
    groups = [item.group for item in items]
    known = [extras.get(item.id, Extra()) for item in items]
    name = counted[0].name
    for axis, values in (
        (f"reference tokens ({name})", [counts.reference for counts in counted[0].items]),
        ("seconds", [extra.seconds for extra in known]),
        ("columns or points of the line", [extra.width for extra in known]),
    ):
        lengths = {n: float(value) for n, value in enumerate(values) if value is not None}
        if lengths:
            bands = {label: [list(lengths)[n] for n in part] for label, part in data.cut_quantiles(list(lengths.values())).items()}
            yield plot_rates([data.measure_row(label, part, counted[:1], groups, seed) for label, part in bands.items()], axis, name)


def plot_rates(rows: Sequence[Row], axis: str, name: str) -> Plot:
    """An error rate with its intervals, from left to right, over the bands it belongs to."""
    values = [value for row in rows for value in (row.counts[name].rate, row.intervals[name][1]) if value is not None]
    top = next((end for end in SCALE_ENDS if max(values, default=0.0) <= end), 2.0)
    staggered = 7 * max(len(row.label) for row in rows) * len(rows) > 350  # labels would overlap
    points, ticks = [], []
    for n, row in enumerate(rows):
        x, rate = (n + 0.5) / len(rows), row.counts[name].rate
        y, low, high = (None if value is None else value / top for value in (rate, *row.intervals[name]))
        points.append(Point(x, y, f"{row.label}: {percent(rate)}", low, high))
        ticks.append((x, row.label, staggered and n % 2 == 1))
    return Plot(f"{name} against {axis}", axis, name, top, points, ticks)


def _plot_calibration(checked: Sequence[data.CheckedConfidences]) -> Iterator[tuple[Plot, str]]:
    """Share of correct tokens against their confidence: well calibrated on the diagonal; and the numbers in words."""
    for name, confidences, correct in checked:
        values, right = np.clip(np.asarray(confidences, float), 0, 1), np.asarray(correct, bool)
        bins = reliability(values, right)
        points = []
        for b in bins:
            radius = 3 + 9 * math.sqrt(b.count / max(b.count for b in bins))
            points.append(Point(b.confidence, b.accuracy, f"{percent(b.confidence)}: {percent(b.accuracy)} of {b.count}", radius=radius))
        ticks = [(n / 5, percent(n / 5, 0), False) for n in range(6)]
        shares = f"{percent(float(right.mean()))} correct, mean confidence {percent(float(values.mean()))}"
        text = f"{len(values):,} {name}: {shares}, calibration error {percent(expected_calibration_error(values, right))}."
        yield Plot(f"Calibration of {name}: confidence, and share that is correct", "confidence", "correct", 1.0, points, ticks, diagonal=True), text


def _describe_item(item: ScoredItem, rules: Protocol) -> dict[str, Any]:
    """What the page says about an item."""
    edits = rules.align(item.reference, item.hypothesis)
    counts, spaced = Counts.of(edits), rules.level != "characters"
    facts = [f"{next(iter(rules.rates))} {percent(counts.rate)} ({counts.errors} of {counts.reference})"]
    facts += [item.group] if item.group is not None else []
    facts += [f"{key} {shorten(str(value), 40)}" for key, value in item.meta.items() if isinstance(value, (str, int, float))][:6]
    card = {"id": item.id, "reference": item.reference, "hypothesis": item.hypothesis, "facts": " \u00b7 ".join(facts), "media": None}
    return card | {"cells": align_cells(edits[:MAX_STEPS], spaced), "cut": max(0, len(edits) - MAX_STEPS), "spaced": spaced}


def align_cells(edits: Sequence[Edit], spaced: bool = False) -> list[tuple[str, str, str]]:
    """The reference above the hypothesis, step under step; what is right is joined word by word unless tokens are ``spaced``.

    Returns:
        First letter of the kind of edit, reference and hypothesis of each cell.
    """
    cells: list[tuple[str, str, str]] = []
    joins = False  # whether the last cell goes on
    for kind, reference, hypothesis in edits:
        if kind == "match" and reference is not None and reference == hypothesis:
            text = (cells.pop()[1] if joins else "") + reference
            cells.append(("m", text, text))
            joins = not spaced and reference != " "
        else:
            above, below = ("\u00a0" if token is None else name_token(token, len(token)) for token in (reference, hypothesis))
            cells.append((kind[0], above, below))
            joins = False
    return cells


def load_media(sources: Sequence[Path], setup: Setup, emissions: Emissions | None, room: int) -> Iterator[Media]:
    """The recording or image of each source with its log-probs, while these fit into ``room`` characters; nothing without a modality.

    Sources are read and put through the network one after the other.
    """
    if setup.modality is None or not sources:
        return
    found = emissions(sources) if emissions is not None and setup.symbols else None
    for source in sources:
        emission = next(found) if found is not None else None
        try:
            media = embed_source(source, setup.modality, setup.symbols, emission)
        except (RecognizerError, OSError) as error:
            media = Media(note=f"Cannot be shown: {error}")
        if media.size > room:
            media = Media(note="Not shown: the page would become too large.")
        room -= media.size
        yield media
