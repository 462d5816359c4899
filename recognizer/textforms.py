"""Forms of one text: a corpus may offer its transcripts spaced as they were written or cut into tokens."""

from __future__ import annotations

import re

TEXT_FORM = "text_form"  # key of an item's meta: the form its text was taken in


def join_contractions(text: str) -> str:
    """Set the endings that IAM's lines.txt splits off on again: ``I 'll`` becomes ``I'll`` (Puigcerver 2017)."""
    return re.sub(r" '(s|d|ll|m|ve|t|re|S|D|LL|M|VE|T|RE)\b", r"'\1", text)
