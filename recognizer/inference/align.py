"""Where in a recording or line image the words and symbols of a known text lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from recognizer.config import DecoderConfig
from recognizer.data.manifest import Item, load_manifest, target_in_frames
from recognizer.decoding.confidence import word_peaks
from recognizer.decoding.timing import split_words, time_tokens, time_words
from recognizer.errors import InputError
from recognizer.inference.reading_order import order_tokens
from recognizer.inference.recognizer import One, Recognizer
from recognizer.inference.runner import Emission
from recognizer.types import Transcript


@dataclass(frozen=True)
class Aligned:
    """An item and its transcript with times, or with ``error`` set where it could not be aligned."""

    id: str
    transcript: Transcript


def align(recognizer: Recognizer | str | Path, items: Sequence[Item] | str | Path) -> Iterator[Aligned]:
    """Align the transcripts of items, cleaned as those of training were, with what the network says of their frames.

    Yields one result for each item, in order. A transcript's score is the log probability of the best path that reads it. The
    confidence of a token is the highest probability the network gave it where it was aligned, that of a word the lowest among
    its tokens: a low one points to a text that is not what was said. Words are separated by spaces; units have none, and
    give tokens only.

    Args:
        recognizer: the name or folder of a bundle is loaded.
        items: or the path of their manifest.

    Raises:
        BundleError, ManifestError: what was named cannot be read.
    """
    if not isinstance(recognizer, Recognizer):
        recognizer = Recognizer.load(recognizer, decoder=DecoderConfig())  # the text is known: no need to read a language model
    if isinstance(items, (str, Path)):
        items = load_manifest(items)
    prepared = [(item, _encode(recognizer, item)) for item in items]
    emissions = recognizer.emissions(item.source for item, labels in prepared if isinstance(labels, list))
    for item, labels in prepared:
        if isinstance(labels, str):
            yield Aligned(item.id, Transcript(str(item.source), error=labels))
            continue
        emission = next(emissions)
        try:
            yield Aligned(item.id, _align(recognizer, emission, labels))
        except InputError as error:
            yield Aligned(item.id, Transcript(emission.source, error=str(error)))


def align_one(recognizer: Recognizer, source: One, text: str | Sequence[str], sample_rate: int | None = None) -> Transcript:
    """Align the transcript of one input; see :meth:`~recognizer.inference.recognizer.Recognizer.align`."""
    units = text.split() if isinstance(text, str) else text
    (emission,) = recognizer.emissions([source], sample_rate)
    if emission.error is not None:
        raise InputError(emission.error)
    labels = _encode(recognizer, Item(emission.source, Path(emission.source), text if isinstance(text, str) else None, tuple(units)))
    try:
        if isinstance(labels, str):
            raise InputError(labels)
        return _align(recognizer, emission, labels)
    except InputError as error:
        raise InputError(f"{emission.source}: {error}") from None


def _encode(recognizer: Recognizer, item: Item) -> list[int] | str:
    """The labels of an item's transcript, or why there are none."""
    text = target_in_frames(item, recognizer.config.text, recognizer.config.features)
    if text is None:
        return f"has no transcript {recognizer.config.text.level!r}"
    try:
        return recognizer.alphabet.encode(text)
    except InputError as error:
        return str(error)


def _align(recognizer: Recognizer, emission: Emission, labels: list[int]) -> Transcript:
    if emission.decoder_input is None or emission.frame_times is None:
        raise InputError(emission.error)
    alignment = recognizer.decoder.align(emission.decoder_input, labels)
    symbols, peak = recognizer.alphabet.spell(labels), recognizer.decoder.peaks(emission.decoder_input, alignment)
    tokens = time_tokens(symbols, alignment.starts, alignment.stops, emission.frame_times, peak.tolist())
    spans = split_words(symbols) if recognizer.alphabet.level == "characters" else []
    words = time_words(tokens, spans, emission.frame_times, confidences=word_peaks(peak, spans).tolist())
    if recognizer.config.visual_order:
        tokens, words = order_tokens(tokens, words, spans, emission.frame_times)
    read = [token.symbol for token in tokens]
    return Transcript(
        emission.source,
        ("" if recognizer.alphabet.level == "characters" else " ").join(read),
        tuple(read),
        alignment.score,
        seconds=emission.seconds,
        width=emission.width,
        tokens=tokens,
        words=words,
    )
