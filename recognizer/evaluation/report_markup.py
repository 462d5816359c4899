"""Markup: HTML and SVG put together so that no text of a corpus can become part of it."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import chain

JOINERS = "\u200c\u200d"  # letters of Persian and Indic scripts change shape by them
SPACE = "\u2423"
VOID = frozenset({"meta", "link", "img", "br"})


class Html(str):
    """Markup. Every other string is text, and is escaped wherever it is put into markup."""


Content = object  # Html, text or a number


def element(name: str, *children: Content, **attributes: object) -> Html:
    """An element with its children; an attribute of None or False is left out, ``_`` in its name stands for ``-``."""
    return Html(open_tag(name, **attributes) + ("" if name in VOID else f"{join(children)}</{name}>"))


def open_tag(name: str, **attributes: object) -> str:
    """The start of an element."""
    parts = [name]
    for key, value in attributes.items():
        if value is not None and value is not False:
            quoted = html.escape(spell(number(value) if isinstance(value, float) else str(value)))
            parts.append(f'{key.rstrip("_").replace("_", "-")}="{quoted}"')
    return f"<{' '.join(parts)}>"


def join(children: Iterable[Content]) -> Html:
    """Children one after the other."""
    return Html("".join(child if isinstance(child, Html) else html.escape(spell(str(child))) for child in children))


def spell(text: str) -> str:
    """Text that cannot reorder or hide what stands beside it: control and bidirectional formatting characters are written out."""
    return text if text.isprintable() else "".join(c if _is_harmless(c) else f"\u27e8U+{ord(c):04X}\u27e9" for c in text)


def _is_harmless(character: str) -> bool:
    # private use characters are letters in the fonts of medievalists
    return character.isprintable() or character in JOINERS or unicodedata.category(character) in ("Co", "Zs")


def name_token(token: str, most: int = 40) -> str:
    """A token as tables and plots name it: the space can be seen."""
    return SPACE if token == " " else shorten(token, most)


def shorten(text: str, most: int = 60) -> str:
    """Text of at most so many characters."""
    return text if len(text) <= most else text[: most - 1] + "\u2026"


def number(value: float) -> str:
    """A coordinate, to a tenth."""
    return f"{value:.1f}".removesuffix(".0")


def percent(share: float | None, digits: int = 1) -> str:
    """``12.3 %``, or a dash."""
    return "\u2013" if share is None else f"{100 * share:.{digits}f}\u00a0%"


def interval(low: float | None, high: float | None) -> str:
    """``[11.9, 12.8]`` in per cent; empty where it is not known."""
    return "" if low is None or high is None else f"[{100 * low:.1f}, {100 * high:.1f}]"


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[Content]], text_columns: int = 1) -> Html:
    """A table that scrolls by itself where the page is narrow; the first cell of each row names it.

    Args:
        caption: what it shows.
        heads: of the columns.
        rows: cells.
        text_columns: how many columns from the left hold words; the others hold numbers.
    """
    aligned = [None] * text_columns + ["n"] * (len(heads) - text_columns)
    head = element("tr", *(element("th", text, scope="col", class_=kind) for text, kind in zip(heads, aligned, strict=True)))
    body = []
    for row in rows:
        cells = [element("td", cell, class_=kind) for cell, kind in zip(row[1:], aligned[1:], strict=True)]
        body.append(element("tr", element("th", row[0], scope="row"), *cells))
    inner = element("table", element("caption", caption), element("thead", head), element("tbody", *body))
    return element("div", inner, class_="scroll", tabindex=0, role="region", aria_label=caption)


def section(identity: str, title: str, *children: Content) -> Html:
    """A part of the page under a heading."""
    return element("section", element("h2", title, id=identity), *children)


def paragraphs(texts: Iterable[str]) -> Html:
    """Each text as a paragraph of remarks."""
    return join(chain.from_iterable((element("p", text, class_="note"),) for text in texts))
