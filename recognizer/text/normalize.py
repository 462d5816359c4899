"""How transcripts are normalized before training and scoring."""

from __future__ import annotations

import re
import unicodedata

from recognizer.config import TextConfig

TEXT_FORM = "text_form"  # key of an item's meta: which of the forms that a corpus gives its text is from


def join_contractions(text: str) -> str:
    """Join the endings that IAM's lines.txt splits off: ``I 'll`` becomes ``I'll`` (Puigcerver 2017)."""
    return re.sub(r" '(s|d|ll|m|ve|t|re|S|D|LL|M|VE|T|RE)\b", r"'\1", text)


def clean(text: str, config: TextConfig) -> str:
    """NFC, dropped characters out, white space collapsed to single spaces, case folded as configured."""
    text = unicodedata.normalize("NFC", text)
    if config.drop or config.spaces:
        dropped: dict[int, str | None] = dict.fromkeys(map(ord, unicodedata.normalize("NFC", config.drop)))
        dropped |= dict.fromkeys(map(ord, unicodedata.normalize("NFC", config.spaces)), " ")
        text = unicodedata.normalize("NFC", text.translate(dropped))  # again: what stood on either side may combine
    return fold_case(" ".join(text.split()), config)


def fold_case(text: str, config: TextConfig) -> str:
    """The text in the case that the settings ask for, in NFC."""
    if config.case == "keep":
        return text
    return unicodedata.normalize("NFC", text.lower() if config.case == "lower" else text.upper())
