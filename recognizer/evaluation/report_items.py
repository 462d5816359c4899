"""Items of a report: reference and hypothesis aligned and coloured, with the recording or picture and the log-probs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from recognizer.errors import RecognizerError
from recognizer.evaluation.edits import Counts, Edit
from recognizer.evaluation.protocols import Protocol
from recognizer.evaluation.report_data import Emit, Emitted, Extra, Setup
from recognizer.evaluation.report_emission import GUTTER, Scale, draw_emission
from recognizer.evaluation.report_markup import SPACE, Html, element, join, percent, shorten
from recognizer.evaluation.report_media import RATE, SECONDS, Picture, Sound, draw_trace, embed_audio, embed_image
from recognizer.evaluation.score import Scored

MOST_STEPS = 1500  # of an alignment that are shown
FRAME = 7.0  # pixels of a frame of a recording, so that neighbouring spikes can be told apart
WIDEST = 4_000.0  # pixels of the picture of a recording
NOTHING = "\u00a0"

Chosen = Sequence[tuple[Scored, Extra]]


def choose_items(counts: Sequence[Counts], worst: int, others: int, seed: int) -> tuple[list[int], list[int]]:
    """Positions of the items with the highest error rates (then the most errors), and of others drawn at random."""

    def badness(n: int) -> tuple[float, int, int]:
        rate = counts[n].rate
        return (-1e9 if rate is None and counts[n].errors else -(rate or 0.0)), -counts[n].errors, n

    bad = [n for n in sorted(range(len(counts)), key=badness)[:worst] if counts[n].errors]
    rest = sorted(set(range(len(counts))) - set(bad))
    drawn = np.random.default_rng(seed).permutation(len(rest))[:others]
    return bad, sorted(rest[n] for n in drawn)


def render_items(chosen: Chosen, rules: Protocol, setup: Setup, emit: Emit | None, room: int) -> Iterator[Html]:
    """A card for each item, with its media while these fit into ``room`` characters.

    Recordings, pictures and log-probs are held one at a time.
    """
    shown = [extra.source for _, extra in chosen if extra.source is not None and setup.modality is not None]
    emitted = emit(shown) if emit is not None and setup.symbols and shown else None
    for result, extra in chosen:
        head, media = join(_head(result, rules)), Html()
        room -= len(head)
        if extra.source is not None and setup.modality is not None:
            media = _render_media(extra, setup, next(emitted) if emitted is not None else None)
            if len(media) > room:
                media = element("p", "Not shown: the page would become too large.", class_="note")
            room -= len(media)
        yield element("article", head, media, class_="item")


def _head(result: Scored, rules: Protocol) -> list[Html]:
    edits = rules.align(result.reference, result.hypothesis)
    counts = Counts.of(edits)
    facts = [f"{next(iter(rules.rates))} {percent(counts.rate)} ({counts.errors} of {counts.reference})"]
    facts += [result.group] if result.group is not None else []
    facts += [f"{key} {shorten(str(value), 40)}" for key, value in result.meta.items() if isinstance(value, (str, int, float))][:6]
    said = "nothing" if not result.reference else shorten(result.reference, 2000)
    found = "nothing" if not result.hypothesis else shorten(result.hypothesis, 2000)
    return [
        element("h3", shorten(result.id, 120)),
        element("p", " \u00b7 ".join(facts), class_="facts"),
        element("p", f"Reference: {said}. Hypothesis: {found}.", class_="unseen", dir="auto"),
        render_alignment(edits, "" if rules.level == "characters" else " "),
    ]


def render_alignment(edits: Sequence[Edit], between: str = "") -> Html:
    """The reference above the hypothesis, step under step; what is right is joined word by word."""
    cells: list[Html] = []
    run: list[str] = []

    def close() -> None:
        if run:
            text = between.join(run)
            cells.append(_cell("m", text, text))
            run.clear()

    for edit in edits[:MOST_STEPS]:
        if edit.kind == "match" and edit.reference == edit.hypothesis:
            run.append(edit.reference or "")
            if between or edit.reference == " ":
                close()
            continue
        close()
        cells.append(_cell(edit.kind[0], _mark(edit.reference), _mark(edit.hypothesis)))
    close()
    rest = len(edits) - MOST_STEPS
    note = element("span", f" \u2026 and {rest} more steps", class_="note") if rest > 0 else Html()
    return element("div", *cells, note, class_="aligned spaced" if between else "aligned", dir="auto", aria_hidden="true")


def _cell(kind: str, reference: str, hypothesis: str) -> Html:
    return element("span", element("span", reference), element("span", hypothesis), class_=f"c {kind}")


def _mark(token: str | None) -> str:
    return NOTHING if token is None else SPACE if token == " " else token


def _render_media(extra: Extra, setup: Setup, emitted: Emitted | None) -> Html:
    assert extra.source is not None
    try:
        if setup.modality == "audio":
            return _render_sound(embed_audio(extra.source), setup, emitted)
        if setup.modality == "strokes":
            return _render_trace(draw_trace(extra.source), setup, emitted)
        return _render_picture(embed_image(extra.source), setup, emitted)
    except (RecognizerError, OSError) as error:
        return element("p", f"Cannot be shown: {error}", class_="note")


def _render_sound(sound: Sound, setup: Setup, emitted: Emitted | None) -> Html:
    player = element("audio", src=sound.uri, controls="", preload="metadata", aria_label="The recording")
    cut = element("p", f"The first {SECONDS:g} of {sound.whole:.0f} seconds.", class_="note") if sound.whole > SECONDS else Html()
    if emitted is None or emitted.log_probs is None or emitted.clock is None:
        return join((player, cut))
    seconds = len(sound.samples) / RATE
    factor = min(FRAME / emitted.clock.step, WIDEST / seconds)
    drawn = draw_emission(emitted.log_probs, emitted.clock, setup.symbols, Scale(factor, factor * seconds), sound.samples)
    picture = _scroll(drawn, data_left=GUTTER, data_second=f"{factor:.3f}")
    return element("div", player, cut, picture, class_="sound")


def _render_picture(picture: Picture, setup: Setup, emitted: Emitted | None) -> Html:
    image = element("img", src=picture.uri, width=picture.width, height=picture.height, alt="The line as it was read", loading="lazy")
    if emitted is None or emitted.log_probs is None or emitted.clock is None:
        return _scroll(image)
    drawn = draw_emission(emitted.log_probs, emitted.clock, setup.symbols, Scale(picture.scale, picture.width))
    return _scroll(image, drawn)


def _render_trace(trace: Html, setup: Setup, emitted: Emitted | None) -> Html:
    if emitted is None or emitted.log_probs is None or emitted.clock is None:
        return _scroll(trace)
    factor = FRAME / emitted.clock.step
    width = factor * emitted.clock.step * len(emitted.log_probs)
    note = element("p", "Below, from left to right: the way of the pen in the order of writing.", class_="note")
    return _scroll(trace, note, draw_emission(emitted.log_probs, emitted.clock, setup.symbols, Scale(factor, width)))


def _scroll(*children: Html, **attributes: object) -> Html:
    return element("div", *children, class_="scroll strip", tabindex=0, role="region", aria_label="What was heard or seen over time", **attributes)
