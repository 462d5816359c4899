"""Evaluation: recognize the items of a manifest and score them against their transcripts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recognizer.bundle.provenance import Provenance
from recognizer.config import TextConfig
from recognizer.data.manifest import Item, load_manifest, target
from recognizer.errors import ConfigError, ManifestError
from recognizer.evaluation.metrics import ScoredItem, Scores, score
from recognizer.evaluation.protocols import Protocol, find_protocol
from recognizer.evaluation.report_data import Extra
from recognizer.inference.recognizer import Recognizer
from recognizer.text.alphabet import Level
from recognizer.text.normalize import TEXT_FORM, clean
from recognizer.types import Transcript
from recognizer.utils.progress import Progress


@dataclass(frozen=True)
class Evaluation:
    """What recognizing and scoring a manifest gave.

    Attributes:
        scores: the error rates.
        items: references and hypotheses of the items that could be scored.
        transcripts: what was recognized, one for each of ``items``.
        failures: one line for every item that could not be scored, with its reason.
    """

    scores: Scores
    items: list[ScoredItem]
    transcripts: list[Transcript]
    failures: list[str]


def evaluate(
    recognizer: Recognizer | str | Path,
    items: Sequence[Item] | str | Path,
    progress: Progress | None = None,
    protocol: Protocol | str | None = None,
    n_best: int = 1,
    times: bool = False,
    allow_seen: bool = False,
) -> Evaluation:
    """Recognize items and score them against their transcripts (:func:`choose_references`).

    Args:
        recognizer: what recognizes; the name or folder of a bundle is loaded.
        items: what is recognized; those of a manifest's file, if its path is given, must be none that the recognizer was trained on.
        progress: told how far it is.
        protocol: a published way of counting, or its name.
        n_best: hypotheses in ``transcripts``; ``times``: whether these have times and confidences.
        allow_seen: score what it was trained on all the same.

    Raises:
        ManifestError: the manifest cannot be read, no item could be scored, or some are among those of training.
        ConfigError: a protocol that does not fit.
    """
    if not isinstance(recognizer, Recognizer):
        recognizer = Recognizer.load(recognizer)
    if isinstance(items, (str, Path)):
        manifest, items = items, load_manifest(items)
        check_unseen(recognizer, items, manifest, progress or Progress(quiet=True), allow_seen)
    if isinstance(protocol, str):
        protocol = find_protocol(protocol)
    text = recognizer.config.text
    level, references = choose_references(recognizer, items)
    if protocol is not None:
        protocol.require(level, [str(item.meta[TEXT_FORM]) for item in items if TEXT_FORM in item.meta])
        if text.case != "keep" or text.drop or text.spaces:
            raise ConfigError(f"protocol {protocol.name!r} keeps case and all characters, but this recognizer was trained with {text}")
    failures = [f"{item.id}: has no transcript {level!r}" for item, reference in zip(items, references, strict=True) if reference is None]
    usable = [(item, reference) for item, reference in zip(items, references, strict=True) if reference is not None]
    scored: list[ScoredItem] = []
    transcripts: list[Transcript] = []
    found = recognizer.transcribe((item.source for item, _ in usable), n_best, times)
    for (item, reference), transcript in zip(usable, found, strict=True):
        if transcript.error is not None:
            failures.append(f"{item.id}: {transcript.error}")
            continue
        scored.append(ScoredItem(item.id, reference, transcript.text, item.group, item.meta))
        transcripts.append(transcript)
        if progress is not None:
            progress.update(f"{len(scored)}/{len(usable)} items")
    if not scored:
        raise ManifestError(f"no item could be scored; the first reason: {failures[0]}")
    return Evaluation(score(scored, level, protocol), scored, transcripts, failures)


def choose_references(recognizer: Recognizer, items: Sequence[Item]) -> tuple[Level, list[str | None]]:
    """What transcripts of a recognizer are made of, and the reference of each item; None where it has none.

    Transcripts are cleaned as those of training were (case, dropped characters, white space). Where a lexicon makes words of
    units, the references are the texts of the items.
    """
    text = recognizer.config.text
    if text.level == "units" and recognizer.knows_words:
        return "characters", [None if item.text is None else clean(item.text, TextConfig()) for item in items]
    targets = (target(item, text) for item in items)
    return text.level, [found if found is None or isinstance(found, str) else " ".join(found) for found in targets]


def find_known(recognizer: Recognizer, items: Sequence[Item]) -> tuple[list[Item], list[Item]] | None:
    """The items that a recognizer was trained on, and those that chose its best epoch; None where one of its bundles does not say."""
    provenance = Provenance()
    for bundle in recognizer.bundles:
        own = Provenance.load(bundle.folder)
        if own is None:
            return None
        provenance |= own
    return provenance.trained_on(items), provenance.chosen_by(items)


def check_unseen(recognizer: Recognizer, items: Sequence[Item], manifest: str | Path, progress: Progress, allow: bool = False) -> None:
    """Refuse to score, or to tune on, what a recognizer was trained on; remark on what chose its best epoch.

    Raises:
        ManifestError: some items are among the training items, and this is not allowed.
    """
    known = find_known(recognizer, items)
    if known is None:
        progress.line("this bundle does not say what it was trained on: make sure that these items are not among it")
        return
    seen, chosen = known
    if seen and not allow:
        which = f"{len(seen)} items are among those the recognizer was trained on (first: {seen[0].id})"
        raise ManifestError(f"{manifest}: {which}; take others, or say --allow-seen")
    if chosen:
        progress.line(f"note: {len(chosen)} of these items chose the best epoch in training, which flatters the score a little")


def gather_extras(items: Sequence[Item], evaluation: Evaluation) -> dict[str, Extra]:
    """Source, length and confidences of each scored item, by its id."""
    sources = {item.id: item.source for item in items}
    pairs = zip(evaluation.items, evaluation.transcripts, strict=True)
    return {item.id: Extra(sources[item.id], t.seconds, t.width, t.tokens, t.words) for item, t in pairs}
