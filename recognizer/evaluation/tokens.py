"""Tokens: what an error rate counts in a transcript."""

from __future__ import annotations

from collections.abc import Sequence

from recognizer.alphabet import split


def characters(text: str) -> list[str]:
    """Characters of the NFC form, spaces included; a letter and its combining accent count as one where Unicode has the pair."""
    return split(text, "characters")


def words(text: str) -> list[str]:
    """What white space separates in the NFC form; punctuation stays with its word."""
    return "".join(characters(text)).split()


def units(transcript: str | Sequence[str]) -> list[str]:
    """The units (phones, say) of a spaced string or of a sequence, exactly as they are spelt."""
    return split(transcript, "units")
