"""What was found in the stretches of a long recording, put together as one result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from recognizer.audio.io import note
from recognizer.inference.runner import Emission
from recognizer.text.alphabet import Alphabet
from recognizer.types import Alternative, Token, Transcript, Word

SPACE = " "


def merge_emissions(parts: Sequence[Emission], final: Emission, silent: np.ndarray) -> Emission:
    """One emission of those of the stretches of a recording; the frames between them are silent.

    Args:
        parts: of the stretches, in order.
        final: the one that ends them; its ``start`` is how many frames the recording has.
        silent: what the decoder takes of a frame between them (C,).
    """
    if final.error is not None or not parts:
        return final
    whole = np.tile(silent, (final.start, 1))
    for part in parts:
        assert part.decoder_input is not None
        place = whole[part.start : part.start + len(part.decoder_input)]
        place[:] = part.decoder_input[: len(place)]
    log_probs = None if final.log_probs is None else whole[:, : final.log_probs.shape[1]]
    return replace(final, log_probs=log_probs, decoder_input=whole, start=0)


def join_transcripts(parts: Sequence[Transcript], final: Transcript, alphabet: Alphabet, n_best: int = 1) -> Transcript:
    """One transcript of those of the stretches of a recording; its alternatives differ from it in one stretch each.

    Args:
        parts: of the stretches, in order.
        final: of the whole recording, without text: its source, duration, or ``error``.
        alphabet: says whether there is a space between words.
        n_best: how many texts.
    """
    said = [part for part in parts if part.units]
    failed = next((part.error for part in parts if part.error is not None), None)
    if final.error is not None or failed is not None or not said:
        return final if failed is None or final.error is not None else replace(final, error=failed)
    spaced = alphabet.level == "characters" and SPACE in alphabet.symbols
    between = " " if spaced or alphabet.level == "units" else ""
    texts = [part.text for part in said]
    units: list[str] = []
    words: list[Word] = []
    tokens: list[Token] = []
    for part in said:
        if spaced and units:
            units.append(SPACE)
            if tokens and part.tokens:
                tokens.append(Token(SPACE, tokens[-1].end, max(tokens[-1].end, part.tokens[0].start)))
        units += part.units
        words += _behind(words, part.words)
        tokens += part.tokens
    losses = sorted((part.score - other.score, n, other.text) for n, part in enumerate(said) for other in part.alternatives)
    score, acoustic, language, bonus = (sum(getattr(part, name) for part in parts) for name in ("score", "acoustic", "language", "bonus"))
    alternatives = [Alternative(between.join([*texts[:n], text, *texts[n + 1 :]]), score - loss) for loss, n, text in losses[: n_best - 1]]
    return replace(
        final, text=between.join(texts), units=tuple(units), score=score, acoustic=acoustic, language=language, bonus=bonus,
        words=tuple(words), tokens=tuple(tokens), alternatives=tuple(alternatives),
    )  # fmt: skip


def note_empty(transcript: Transcript, emission: Emission) -> None:
    """Say why a recording has no text, if it has none: it is silent, or nobody was found to speak.

    Args:
        transcript: of the whole recording.
        emission: of the whole recording, or the one that ends those of its stretches.
    """
    if transcript.error is None and not transcript.units and emission.seconds is not None and emission.decoder_input is not None:
        silent = len(emission.decoder_input) == 0 and emission.start == 0
        note(transcript.source, "is silent, so that it has no text" if silent else "no speech found, so that it has no text")


def _behind(before: Sequence[Word], words: Sequence[Word]) -> list[Word]:
    """Words that begin no earlier than those before them end."""
    end = before[-1].end if before else 0.0
    return [replace(word, start=max(word.start, end), end=max(word.end, end)) if word.start < end else word for word in words]
