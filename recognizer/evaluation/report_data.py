"""What a report is made from, beside the scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from recognizer.config import DecoderConfig, Modality
from recognizer.decoding.timing import Clock, Token, Word


@dataclass(frozen=True)
class Extra:
    """What is known of an item beside its transcripts.

    Attributes:
        source: its recording or picture, to be shown.
        seconds: duration of a recording; ``width``: columns of a line, or points of a trace, as the recogniser takes them.
        tokens, words: of the hypothesis; where they have confidences, these are held against what was right.
    """

    source: Path | None = None
    seconds: float | None = None
    width: int | None = None
    tokens: Sequence[Token] = ()
    words: Sequence[Word] = ()


@dataclass(frozen=True)
class Setup:
    """How the results came about.

    Attributes:
        title: of the page.
        facts: what stands at its head, by name (bundle, manifest ...), in order.
        decoder: settings of the decoder by name.
        modality: what the sources are; None: not shown.
        symbols: of the alphabet; label n writes ``symbols[n - 1]``.
        failed: one line for each item that could not be scored.
    """

    title: str
    facts: Mapping[str, str] = field(default_factory=dict)
    decoder: Mapping[str, object] = field(default_factory=dict)
    modality: Modality | None = None
    symbols: Sequence[str] = ()
    failed: Sequence[str] = ()


def name_settings(decoder: DecoderConfig) -> dict[str, object]:
    """The settings of a decoder that have a say in what it does."""
    return {"kind": decoder.kind} if decoder.kind == "greedy" else {key: value for key, value in asdict(decoder).items() if value is not None}


class Emitted(Protocol):
    """What the network says about one source: :class:`~recognizer.pipeline.Emission` is one."""

    @property
    def log_probs(self) -> np.ndarray | None:
        """(T, V); None where the source could not be used."""

    @property
    def clock(self) -> Clock | None:
        """What a frame is in seconds, or in pixels of the picture."""


Emit = Callable[[Sequence[Path]], Iterator[Emitted]]
