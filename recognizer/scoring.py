"""`recognizer evaluate`: a recogniser against the transcripts of a manifest."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recognizer.alphabet import Level
from recognizer.config import TextConfig
from recognizer.data.manifest import Item, load_manifest
from recognizer.data.provenance import TRAINED_ON, Provenance
from recognizer.data.transcripts import clean, target
from recognizer.errors import ConfigError, ManifestError
from recognizer.evaluation.protocols import Protocol, find_protocol
from recognizer.evaluation.report import write_report
from recognizer.evaluation.report_data import Extra, Setup, name_settings
from recognizer.evaluation.score import Report, Scored, render, score
from recognizer.evaluation.trn import to_trn
from recognizer.pipeline import Recognizer, Transcript
from recognizer.progress import Progress
from recognizer.strict import plain
from recognizer.textforms import TEXT_FORM
from recognizer.transcription import open_recognizer


@dataclass(frozen=True)
class Evaluation:
    """What recognising and scoring a manifest gave.

    Attributes:
        report: the error rates.
        scored: each item that could be scored.
        transcripts: what was recognised, one for each of ``scored``.
        failures: one line for every item that could not be scored, with its reason.
    """

    report: Report
    scored: list[Scored]
    transcripts: list[Transcript]
    failures: list[str]


def evaluate(
    recognizer: Recognizer,
    items: Sequence[Item],
    progress: Progress | None = None,
    protocol: Protocol | None = None,
    n_best: int = 1,
    times: bool = False,
) -> Evaluation:
    """Recognise items and score them against their transcripts.

    Transcripts are cleaned as those of training were (case, dropped characters, white space). Where a lexicon makes words of
    units, words are scored against the text of the items.

    Args:
        recognizer: the recogniser, with its decoder.
        items: of a manifest.
        progress: told how far it is.
        protocol: a published way of counting.
        n_best: hypotheses in ``transcripts``.
        times: whether transcripts have times and confidences.

    Raises:
        ManifestError: no item could be scored.
        ConfigError: a protocol that does not fit.
    """
    text = recognizer.recipe.text
    level, references = choose_references(recognizer, items)
    if protocol is not None:
        protocol.require(level, [str(item.meta[TEXT_FORM]) for item in items if TEXT_FORM in item.meta])
        if text.case != "keep" or text.drop or text.spaces:
            raise ConfigError(f"protocol {protocol.name!r} keeps case and all characters, but this recogniser was trained with {text}")
    failures = [f"{item.id}: has no transcript {level!r}" for item, reference in zip(items, references, strict=True) if reference is None]
    usable = [(item, reference) for item, reference in zip(items, references, strict=True) if reference is not None]
    scored: list[Scored] = []
    transcripts: list[Transcript] = []
    found = recognizer.transcribe((item.source for item, _ in usable), n_best, times)
    for (item, reference), transcript in zip(usable, found, strict=True):
        if transcript.error is not None:
            failures.append(f"{item.id}: {transcript.error}")
            continue
        joined = reference if isinstance(reference, str) else " ".join(reference)
        scored.append(Scored(item.id, joined, transcript.text, item.group, item.meta))
        transcripts.append(transcript)
        if progress is not None:
            progress.update(f"{len(scored)}/{len(usable)} items")
    if not scored:
        raise ManifestError(f"no item could be scored; the first reason: {failures[0]}")
    return Evaluation(score(scored, level, protocol), scored, transcripts, failures)


def choose_references(recognizer: Recognizer, items: Sequence[Item]) -> tuple[Level, list[str | tuple[str, ...] | None]]:
    """What each item says, as a recogniser's transcripts are scored against it, None where it has no transcript; and what transcripts are made of.

    Transcripts are cleaned as those of training were; where a lexicon makes words of units, they are the texts of the items.
    """
    text = recognizer.recipe.text
    if text.level == "units" and recognizer.knows_words:
        return "characters", [None if item.text is None else clean(item.text, TextConfig()) for item in items]
    return text.level, [target(item, text) for item in items]


@dataclass(frozen=True)
class Scoring:
    """What the command has done: the recogniser that was opened, the items of the manifest, the protocol and the outcome."""

    recognizer: Recognizer
    items: list[Item]
    protocol: Protocol | None
    outcome: Evaluation


def evaluate_bundle(options: argparse.Namespace) -> int:
    """Carry out the command; 1 if some item could not be scored."""
    return 1 if score_bundle(options).outcome.failures else 0


def score_bundle(options: argparse.Namespace, times: bool = False) -> Scoring:
    """Score a bundle on a manifest, print and write what the options ask for; ``times``: with confidences in any case."""
    items = load_manifest(options.manifest)
    protocol = find_protocol(options.protocol) if options.protocol else None
    recognizer = open_recognizer(options)
    progress = Progress(options.quiet)
    check_unseen(recognizer, items, options.manifest, progress, options.allow_seen)
    started = time.perf_counter()
    outcome = evaluate(recognizer, items, progress, protocol, max(1, options.nbest), times or options.report is not None)
    seconds = time.perf_counter() - started
    for failure in outcome.failures:
        print(f"recognizer: {failure}", file=sys.stderr)
    record = {
        "bundle": str(options.bundle),
        "manifest": str(options.manifest),
        "decoder": recognizer.decoding.kind,
        "decoding": plain(recognizer.decoding),
        "failed": outcome.failures,
        **outcome.report.to_json(),
    }
    if options.output:
        _save(Path(options.output), record, outcome, protocol)
    if options.report is not None:
        progress.line(f"wrote {_write_report(options, recognizer, items, outcome, protocol)}")
    print(json.dumps(record, ensure_ascii=False, indent=1) if options.json else render(outcome.report))
    progress.line(f"{len(outcome.scored)} items in {seconds:.1f} s, {len(outcome.scored) / seconds:.1f} items/s")
    return Scoring(recognizer, items, protocol, outcome)


def check_unseen(recognizer: Recognizer, items: Sequence[Item], manifest: str | Path, progress: Progress, allow: bool = False) -> None:
    """Refuse to score, or to tune on, what a recogniser was trained on; remark on what its training was stopped by.

    Raises:
        ManifestError: some items are among the training items, and this is not allowed.
    """
    known = find_known(recognizer, items)
    if known is None:
        progress.line("this bundle does not say what it was trained on: make sure that these items are not among it")
        return
    seen, chosen = known
    if seen and not allow:
        which = f"{len(seen)} items are among those the recogniser was trained on (first: {seen[0].id})"
        raise ManifestError(f"{manifest}: {which}; take others, or say --allow-seen")
    if chosen:
        progress.line(f"note: {len(chosen)} of these items chose the best epoch in training, which flatters the score a little")


def find_known(recognizer: Recognizer, items: Sequence[Item]) -> tuple[list[Item], list[Item]] | None:
    """The items that a recogniser was trained on, and those that its training was stopped by; None where a bundle of it does not say."""
    provenance = Provenance()
    for bundle in recognizer.bundles:
        if TRAINED_ON not in bundle.others:
            return None
        provenance |= Provenance.parse((bundle.folder / TRAINED_ON).read_text(encoding="utf-8"))
    return provenance.trained_on(items), provenance.chosen_by(items)


def gather_extras(items: Sequence[Item], outcome: Evaluation) -> dict[str, Extra]:
    """Source, length and confidences of each scored item, by its id."""
    sources = {item.id: item.source for item in items}
    return {
        item.id: Extra(sources[item.id], t.seconds, t.width, t.tokens, t.words) for item, t in zip(outcome.scored, outcome.transcripts, strict=True)
    }


def _write_report(
    options: argparse.Namespace, recognizer: Recognizer, items: Sequence[Item], outcome: Evaluation, protocol: Protocol | None
) -> Path:
    """The report, with the recordings or pictures of the items that it shows."""
    extras = gather_extras(items, outcome)
    facts = {"Bundle": str(options.bundle), "Manifest": str(options.manifest)}
    title = f"{Path(options.bundle).absolute().name} on {Path(options.manifest).name}"
    setup = Setup(title, facts, name_settings(recognizer.decoding), recognizer.recipe.modality, recognizer.alphabet.symbols, outcome.failures)
    return write_report(options.report or options.output or ".", outcome.scored, outcome.report, setup, extras, recognizer.emissions, protocol)


def _save(folder: Path, record: dict[str, Any], outcome: Evaluation, protocol: Protocol | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    files = {"scores.json": json.dumps(record, ensure_ascii=False, indent=1) + "\n", "summary.txt": render(outcome.report) + "\n"}
    lines = []
    for item, transcript in zip(outcome.scored, outcome.transcripts, strict=True):
        scores = {key: round(getattr(transcript, key), 4) for key in ("score", "acoustic", "language", "bonus")}
        others = [asdict(other) for other in transcript.alternatives]
        lines.append(json.dumps({**asdict(item), **scores, **({"alternatives": others} if others else {})}, ensure_ascii=False))
    files["hypotheses.jsonl"] = "".join(line + "\n" for line in lines)
    files["ref.trn"], files["hyp.trn"] = to_trn(outcome.scored, outcome.report.level, protocol)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
