"""The target of an item: which transcript is taken, and how it is cleaned."""

from __future__ import annotations

import unicodedata

from recognizer.config import TextConfig
from recognizer.data.manifest import Item


def target(item: Item, config: TextConfig) -> str | tuple[str, ...] | None:
    """The cleaned transcript of an item at the configured level; None where the manifest has none."""
    if config.level == "units":
        return None if item.units is None else tuple(_case(unit, config) for unit in item.units)
    return None if item.text is None else clean(item.text, config)


def clean(text: str, config: TextConfig) -> str:
    """NFC, dropped characters out, white space collapsed to single spaces, case folded as configured."""
    text = unicodedata.normalize("NFC", text)
    if config.drop or config.spaces:
        dropped: dict[int, str | None] = dict.fromkeys(map(ord, unicodedata.normalize("NFC", config.drop)))
        dropped |= dict.fromkeys(map(ord, unicodedata.normalize("NFC", config.spaces)), " ")
        text = unicodedata.normalize("NFC", text.translate(dropped))  # again: what stood on either side may combine
    return _case(" ".join(text.split()), config)


def _case(text: str, config: TextConfig) -> str:
    if config.case == "keep":
        return text
    return unicodedata.normalize("NFC", text.lower() if config.case == "lower" else text.upper())
