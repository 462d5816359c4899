"""Error rates of a model on a manifest."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recognizer.cli.arguments import add_decoding, add_machine, open_recognizer
from recognizer.errors import ConfigError

if TYPE_CHECKING:
    from recognizer.data.manifest import Item
    from recognizer.evaluation.evaluate import Evaluation
    from recognizer.evaluation.protocols import Protocol
    from recognizer.inference.recognizer import Recognizer

EXAMPLE = "recognizer evaluate runs/mine/bundle data/mine/test.jsonl -o scores/ --report report.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("model", help="name or folder of the bundle")
    parser.add_argument("manifest", help="manifest with transcripts")
    files = "scores.json, summary.txt, hypotheses.jsonl, and ref.trn and hyp.trn for sclite"
    parser.add_argument("-o", "--output-dir", metavar="DIR", help=f"write {files} into DIR")
    parser.add_argument("--json", action="store_true", help="print the scores as JSON rather than as a summary")
    protocols = "strict, optional_silence, merged_silence (TIMIT), space, laia, kaldi, van (IAM)"
    parser.add_argument("--protocol", metavar="NAME", help=f"count as published: {protocols}")
    report = "write a report as one HTML file (default: report.html, in DIR of -o)"
    parser.add_argument("--report", nargs="?", const="", metavar="FILE", help=report)
    card = "write what is measured into a model card, between its marker lines (default: card.md of the bundle)"
    parser.add_argument("--card", nargs="?", const="", metavar="FILE", help=card)
    also = "a further manifest for the card, such as distorted or out-of-domain items; repeatable"
    parser.add_argument("--also", action="append", default=[], metavar="MANIFEST", help=also)
    parser.add_argument("--allow-seen", action="store_true", help="score items that the model was trained on")
    add_decoding(parser)
    add_machine(parser)


def run(options: argparse.Namespace) -> int:
    """Carry out the command; 1 if some item could not be scored."""
    from recognizer.config.schema import to_dict
    from recognizer.data.manifest import load_manifest
    from recognizer.evaluation.evaluate import check_unseen, evaluate
    from recognizer.evaluation.metrics import render_scores
    from recognizer.evaluation.model_card import describe_machine, measure_sets, render_measurements, write_card
    from recognizer.evaluation.protocols import find_protocol
    from recognizer.evaluation.results import save_results
    from recognizer.utils.files import open_folder
    from recognizer.utils.progress import Progress

    card = _open_card(options) if options.card is not None or options.also else None  # what is wrong with it is told before the work
    manifests = {Path(name): load_manifest(name) for name in (options.manifest, *options.also)}
    items = manifests[Path(options.manifest)]
    protocol = find_protocol(options.protocol) if options.protocol else None
    recognizer = open_recognizer(options, options.model)
    progress = Progress(options.quiet)
    for path, listed in manifests.items():
        check_unseen(recognizer, listed, path, progress, options.allow_seen)
    folder = open_folder(options.output_dir) if options.output_dir else None
    started = time.perf_counter()
    evaluation = evaluate(recognizer, items, progress, protocol, max(1, options.n_best), card is not None or options.report is not None)
    seconds = time.perf_counter() - started
    progress.close()
    for failure in evaluation.failures:
        print(f"recognizer: {failure}", file=sys.stderr)
    record = {
        "bundle": str(options.model),
        "manifest": str(options.manifest),
        "decoder": recognizer.decoding.kind,
        "decoding": to_dict(recognizer.decoding),
        "failed": evaluation.failures,
        **evaluation.scores.to_json(),
    }
    if folder is not None:
        save_results(folder, record, evaluation, protocol)
    if options.report is not None:
        progress.line(f"wrote {_write_report(options, recognizer, items, evaluation, protocol)}")
    print(json.dumps(record, ensure_ascii=False, indent=1) if options.json else render_scores(evaluation.scores))
    progress.line(f"{len(evaluation.items)} items in {seconds:.1f} s, {len(evaluation.items) / seconds:.1f} items/s")
    failed = bool(evaluation.failures)
    if card is not None:
        sets = measure_sets(recognizer, manifests, evaluation, protocol, progress)
        noun = "speaker" if recognizer.config.modality == "audio" else "writer"
        write_card(*card, render_measurements(sets, _spell_command(options), describe_machine(recognizer), noun, protocol))
        progress.line(f"wrote {card[0]}")
        failed |= any(measured.failed for measured in sets)
    return int(failed)


def _write_report(
    options: argparse.Namespace, recognizer: Recognizer, items: Sequence[Item], evaluation: Evaluation, protocol: Protocol | None
) -> Path:
    """The report, with the recordings or pictures of the items that it shows."""
    from recognizer.evaluation.evaluate import gather_extras
    from recognizer.evaluation.report import write_report
    from recognizer.evaluation.report_data import Setup, name_settings

    facts = {"Model": str(options.model), "Manifest": str(options.manifest)}
    title = f"{Path(options.model).absolute().name} on {Path(options.manifest).name}"
    setup = Setup(title, facts, name_settings(recognizer.decoding), recognizer.config.modality, recognizer.alphabet.symbols, evaluation.failures)
    path = options.report or options.output_dir or "."
    return write_report(path, evaluation.items, evaluation.scores, setup, gather_extras(items, evaluation), recognizer.emissions, protocol)


def _open_card(options: argparse.Namespace) -> tuple[Path, str]:
    """Where the model card is written, and its text so far.

    Raises:
        ConfigError: ``--also`` without ``--card``, or other settings of the decoder than the bundle's, which its card would not tell of.
        OutputError: what has its name is no file.
        BundleError: the card cannot be read, or its marker lines do not pair up.
    """
    from recognizer.bundle.io import CARD
    from recognizer.bundle.registry import find_bundle
    from recognizer.evaluation.model_card import read_card
    from recognizer.utils.files import check_target

    if options.card is None:
        raise ConfigError("--also names a further manifest for the card: say --card as well")
    if options.decoding or options.hotword:
        raise ConfigError("--card describes the bundle as it is: leave out decoder settings and hotwords")
    own = find_bundle(options.model) / CARD
    path = Path(options.card or own)
    check_target(path)
    return path, read_card(path, own)


def _spell_command(options: argparse.Namespace) -> str:
    """The command line that measures the same again."""
    words = ["recognizer", "evaluate", str(options.model), str(options.manifest), "--card", *([options.card] if options.card else [])]
    for manifest in options.also:
        words += ["--also", str(manifest)]
    words += ["--allow-seen"] if options.allow_seen else []
    for name, default in (("protocol", None), ("device", "auto"), ("precision", "float32"), ("threads", 0)):
        value = getattr(options, name)
        words += [f"--{name}", str(value)] if value != default else []
    return shlex.join(words)
