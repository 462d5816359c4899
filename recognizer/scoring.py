"""`recognizer evaluate`: a recogniser against the transcripts of a manifest."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from recognizer.data.manifest import Item, load_manifest
from recognizer.data.transcripts import target
from recognizer.errors import ManifestError
from recognizer.evaluation.score import Report, Scored, render, score
from recognizer.pipeline import Recognizer
from recognizer.progress import Progress


def evaluate(recognizer: Recognizer, items: Sequence[Item], progress: Progress | None = None) -> tuple[Report, list[Scored], list[str]]:
    """Recognise items and score them against their transcripts.

    Transcripts are cleaned as those of training were (case, dropped characters, white space).

    Returns:
        The report, each scored item, and one line for every item that could not be scored, with its reason.

    Raises:
        ManifestError: no item could be scored.
    """
    text = recognizer.recipe.text
    failures = [f"{item.id}: has no transcript {text.level!r}" for item in items if target(item, text) is None]
    usable = [item for item in items if target(item, text) is not None]
    scored: list[Scored] = []
    for item, transcript in zip(usable, recognizer.transcribe(item.source for item in usable), strict=True):
        if transcript.error is not None:
            failures.append(f"{item.id}: {transcript.error}")
            continue
        reference = target(item, text) or ""
        joined = reference if isinstance(reference, str) else " ".join(reference)
        scored.append(Scored(item.id, joined, transcript.text, item.group, item.meta))
        if progress is not None:
            progress.update(f"{len(scored)}/{len(usable)} items")
    if not scored:
        raise ManifestError(f"no item could be scored; the first reason: {failures[0]}")
    return score(scored, text.level), scored, failures


def evaluate_bundle(options: argparse.Namespace) -> int:
    """Carry out the command; 1 if some item could not be scored."""
    items = load_manifest(options.manifest)
    recognizer = Recognizer.load(options.bundle, options.device, options.precision, options.threads)
    progress = Progress(options.quiet)
    started = time.perf_counter()
    report, scored, failures = evaluate(recognizer, items, progress)
    seconds = time.perf_counter() - started
    for failure in failures:
        print(f"recognizer: {failure}", file=sys.stderr)
    record = {
        "bundle": str(options.bundle),
        "manifest": str(options.manifest),
        "decoder": recognizer.recipe.decoder.kind,
        "failed": failures,
        **report.to_json(),
    }
    if options.output:
        _save(Path(options.output), record, scored, render(report))
    print(json.dumps(record, ensure_ascii=False, indent=1) if options.json else render(report))
    progress.line(f"{len(scored)} items in {seconds:.1f} s, {len(scored) / seconds:.1f} items/s")
    return 1 if failures else 0


def _save(folder: Path, record: dict[str, Any], scored: Sequence[Scored], summary: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scores.json").write_text(json.dumps(record, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    (folder / "summary.txt").write_text(summary + "\n", encoding="utf-8")
    lines = (json.dumps(asdict(item), ensure_ascii=False) for item in scored)
    (folder / "hypotheses.jsonl").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
