"""`recognizer align`: where in a recording or line image the words and symbols of a known text lie."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from recognizer.config import DecoderConfig
from recognizer.data.manifest import Item, load_manifest
from recognizer.data.transcripts import target
from recognizer.decoding.alignment import viterbi_align
from recognizer.decoding.confidence import peaks, word_peaks
from recognizer.decoding.timing import split_words, time_tokens, time_words
from recognizer.errors import InputError
from recognizer.pipeline import Emission, Recognizer, Transcript
from recognizer.progress import Progress
from recognizer.writers import Ctm, Json, Jsonl, Writer, choose_writers, dump_json, open_folder, save_text, transcript_record


@dataclass(frozen=True)
class Aligned:
    """An item and its transcript with times, or with ``error`` set where it could not be aligned."""

    id: str
    transcript: Transcript


def align(recognizer: Recognizer, items: Sequence[Item]) -> Iterator[Aligned]:
    """Align the transcripts of items, cleaned as those of training were, with what the network hears or sees.

    Yields one result an item, in order. A transcript's score is the log probability of the best path that reads it. The
    confidence of a token is the highest probability the network gave it where it was aligned, that of a word the lowest among
    its tokens: a low one points to a text that is not what was said. Words are told apart by spaces; units have none, and
    give tokens only.
    """
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


def _encode(recognizer: Recognizer, item: Item) -> list[int] | str:
    """The labels of an item's transcript, or why there are none."""
    text = target(item, recognizer.recipe.text)
    if text is None:
        return f"has no transcript {recognizer.recipe.text.level!r}"
    try:
        return recognizer.alphabet.encode(text)
    except InputError as error:
        return str(error)


def _align(recognizer: Recognizer, emission: Emission, labels: list[int]) -> Transcript:
    if emission.log_probs is None or emission.clock is None:
        raise InputError(emission.error)
    alignment = viterbi_align(emission.log_probs, labels)
    symbols, peak = recognizer.alphabet.spell(labels), peaks(emission.log_probs, alignment)
    tokens = time_tokens(symbols, alignment.starts, alignment.stops, emission.clock, peak.tolist())
    spans = split_words(symbols) if recognizer.alphabet.level == "characters" else []
    return Transcript(
        emission.source,
        recognizer.alphabet.decode(labels),
        tuple(symbols),
        alignment.score,
        seconds=emission.seconds,
        width=emission.width,
        tokens=tokens,
        words=time_words(tokens, spans, emission.clock, confidences=word_peaks(peak, spans).tolist()),
    )


def align_bundle(options: argparse.Namespace) -> int:
    """Carry out the command; 1 if some item could not be aligned."""
    items = load_manifest(options.manifest)
    # the text is known: no need to read the language model of the bundle's decoder
    recognizer = Recognizer.load(options.bundle, options.device, options.precision, options.threads, DecoderConfig())
    writers = choose_writers(options.format, recognizer.recipe.modality)
    folder = open_folder(options.output)
    progress = Progress(options.quiet)
    started, failed = time.perf_counter(), 0
    names: dict[str, str] = {}  # ids by the name their files have
    for done, aligned in enumerate(align(recognizer, items), start=1):
        try:
            _emit(aligned, writers, folder, names)
        except InputError as error:
            failed += 1
            print(f"recognizer: {aligned.id}: {error}", file=sys.stderr)
        if folder is not None:
            progress.update(f"{done}/{len(items)} items")
    seconds = time.perf_counter() - started
    progress.line(f"{len(items)} items{f', {failed} failed' if failed else ''}, {seconds:.1f} s, {len(items) / max(seconds, 1e-9):.1f} items/s")
    return 1 if failed else 0


def _emit(aligned: Aligned, writers: Sequence[Writer], folder: Path | None, names: dict[str, str]) -> None:
    if aligned.transcript.error is not None:
        raise InputError(aligned.transcript.error)
    name = aligned.id.replace("/", "_")
    if names.setdefault(name, aligned.id) != aligned.id:
        raise InputError(f"its files would have the names of those of {names[name]}; rename one of the two")
    for writer in writers:
        text = _render(aligned, name, writer)
        if folder is None:
            print(text, flush=True)
        else:
            save_text(text, folder / (name + writer.suffix))


def _render(aligned: Aligned, name: str, writer: Writer) -> str:
    """What a writer makes of a result, by the item's id where it would go by the source: many corpora have one ``sa1.wav`` a speaker."""
    if isinstance(writer, (Jsonl, Json)):
        return dump_json({"id": aligned.id, **transcript_record(aligned.transcript)}, writer.indent)
    if isinstance(writer, Ctm):
        return writer.render(replace(aligned.transcript, source=f"{name}.wav"))
    return writer.render(aligned.transcript)
