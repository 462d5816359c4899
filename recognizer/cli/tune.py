"""Weights of a model's decoder, found on development data."""

from __future__ import annotations

import argparse
import json
import time

from recognizer.cli.arguments import accept_decoder_settings, add_machine, count

EXAMPLE = "recognizer tune runs/mine/bundle data/mine/dev.jsonl decoder.lm=letters.ngram -o tuned/"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("model", help="name or folder of the bundle")
    parser.add_argument("manifest", help="development items with transcripts; score others")
    metric = "what to lower (default: WER with words, else that of the symbols)"
    parser.add_argument("--metric", choices=("CER", "WER", "UER"), help=metric)
    parser.add_argument("-o", "--output-dir", metavar="DIR", help="write the tuned bundle to DIR (default: NAME-tuned beside the bundle)")
    parser.add_argument("--in-place", action="store_true", help="write into the bundle itself; not for models that ship with the package")
    folds = "also part the speakers or writers into so many folds and score each with weights tuned on the others (default: no scoring)"
    parser.add_argument("--folds", type=count, default=0, metavar="K", help=folds)
    parser.add_argument("--seed", type=count, default=1, metavar="N", help="of the folds (default: 1)")
    parser.add_argument("--allow-seen", action="store_true", help="tune on items that the model was trained on")
    parser.add_argument("--json", action="store_true", help="print what was tried as JSON")
    accept_decoder_settings(parser)
    add_machine(parser)


def run(options: argparse.Namespace) -> int:
    """Carry out the command."""
    from recognizer.bundle.io import load_bundle
    from recognizer.bundle.registry import find_bundle
    from recognizer.config.overrides import override_decoder
    from recognizer.data.manifest import load_manifest
    from recognizer.evaluation.evaluate import check_unseen
    from recognizer.inference.recognizer import Recognizer
    from recognizer.tuning.data import TuningData
    from recognizer.tuning.folds import render_folds, score_folds, split_folds
    from recognizer.tuning.tune import choose_output, render_trials, save_tuned, tune
    from recognizer.utils.device import prepare_host
    from recognizer.utils.progress import Progress

    items = load_manifest(options.manifest)
    if options.folds:
        split_folds(items, options.folds, options.seed)  # too few groups are told before anything is recognized
    bundle = load_bundle(find_bundle(options.model))
    decoder = override_decoder(bundle.config.decoder, options.decoding)
    prepare_host(options.threads)
    recognizer = Recognizer(bundle, options.device, options.precision, decoder=decoder, threads=options.threads)
    folder = choose_output(recognizer, options.output_dir, options.in_place)
    progress = Progress(options.quiet)
    check_unseen(recognizer, items, options.manifest, progress, options.allow_seen)
    started = time.perf_counter()
    data = TuningData(recognizer, items, options.metric, progress)
    folds = score_folds(data, options.folds, options.seed, progress) if options.folds else None
    result = tune(data, progress)
    progress.close()
    save_tuned(bundle, result.config, folder)
    if options.json:
        print(json.dumps(result.to_json() | ({"folds": folds.to_json()} if folds else {}), ensure_ascii=False, indent=1))
    else:
        print(render_trials(result) + (f"\n\n{render_folds(folds)}" if folds else ""))
    progress.line(f"{len(result.trials)} settings on {len(items)} items in {time.perf_counter() - started:.1f} s; wrote {folder}")
    return 0
