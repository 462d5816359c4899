"""`recognizer tune`: weights of the decoder found on development data and kept in the bundle."""

from __future__ import annotations

import argparse
import gzip
import json
import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from recognizer.bundle import Bundle, load_bundle, save_bundle
from recognizer.bundles import find_bundle
from recognizer.calibrating import calibrate
from recognizer.config import DecoderConfig
from recognizer.data.manifest import Item, load_manifest
from recognizer.decoding.decoder import FILES, find_file
from recognizer.decoding.ngram_file import load_ngram
from recognizer.host import prepare_host
from recognizer.lexicon import keep_lines
from recognizer.overrides import override_decoder
from recognizer.pipeline import Recognizer
from recognizer.progress import Progress
from recognizer.scoring import check_unseen
from recognizer.tuning_data import TuningData
from recognizer.tuning_folds import render_folds, score_folds, split_folds
from recognizer.weight_search import Trial, find_weights, spell_settings


@dataclass(frozen=True)
class Tuned:
    """What tuning found.

    Attributes:
        config: the best settings.
        metric: CER, WER or UER.
        greedy: its rate without a beam, NaN where words cannot be had without one; ``error``: with ``config``, on the development data.
        trials: in the order they were made.
    """

    config: DecoderConfig
    metric: str
    greedy: float
    error: float
    trials: tuple[Trial, ...]


def tune(recognizer: Recognizer, items: Sequence[Item], metric: str | None = None, progress: Progress | None = None) -> Tuned:
    """Find the decoder's weights on development items and calibrate its confidence; the log-probs are computed once.

    Args:
        recognizer: with a beam decoder; its settings are where the search begins.
        items: with transcripts; not those that will be scored.
        metric: CER, WER or UER; by default WER where the decoder knows words, else the rate of the alphabet's symbols.
        progress: told how far it is.

    Raises:
        ConfigError: a greedy decoder, or a metric that does not fit.
        ManifestError: no item can be used.
    """
    return tune_on(TuningData(recognizer, items, metric, progress), progress)


def tune_on(data: TuningData, progress: Progress | None = None) -> Tuned:
    """:func:`tune` on items that have been through the network."""
    found, greedy, everything = find_weights(data, progress=progress), data.read_greedily(), range(len(data))
    plain = math.nan if greedy is None else data.rate(data.count_errors(greedy, everything), everything)
    recognizer = data.recognizer
    calibration = calibrate(data.decoder.with_config(found.config), recognizer.alphabet, data.tables, data.sayings(), threads=recognizer.threads)
    return Tuned(replace(found.config, calibration=calibration), data.metric, plain, found.error, found.trials)


def store(bundle: Bundle, config: DecoderConfig, folder: Path | None = None) -> None:
    """Write the settings into the bundle, and the files they name beside them, so that it needs no others but a second recogniser.

    Where there is one, only those words of a lexicon count that the model of words knows, and only they are kept.
    """
    with TemporaryDirectory() as room:
        _store(bundle, config, folder or bundle.folder, Path(room))


def _store(bundle: Bundle, config: DecoderConfig, folder: Path, room: Path) -> None:
    names: dict[str, Any] = {}
    paired = config.second is not None and (config.lexicon is not None or config.second_lexicon is not None)
    words = load_ngram(find_file(config, "lm", bundle.folder)).ids if paired else None
    models = {getattr(bundle.recipe.decoder, key) for key in FILES}  # old ones go
    files: dict[str, Path] = {name: bundle.folder / name for name in bundle.others if name not in models}
    for key in FILES:
        if getattr(config, key) is None:
            continue
        path = find_file(config, key, bundle.folder)
        name = f"{key}{''.join(path.suffixes[-2:]) if path.suffix == '.gz' else path.suffix}"
        if key.endswith("lexicon") and words is not None:
            name = f"{key}.txt.gz"
            (room / name).write_bytes(gzip.compress(keep_lines(path, words).encode(), mtime=0))
            path = room / name
        files[name], names[key] = path, name
    if config.second is not None and (bundle.folder / config.second).is_dir():
        names["second"] = os.path.relpath(bundle.folder / config.second, folder)
    recipe = replace(bundle.recipe, decoder=replace(config, **names))
    save_bundle(folder, recipe, bundle.alphabet, bundle.weights, bundle.card(), files)


def render_curve(tuned: Tuned) -> str:
    """The error by weight and insertion bonus, and what was chosen, as a table."""
    lines = [f"{tuned.metric} without a beam: {100 * tuned.greedy:.2f} %"] if tuned.greedy == tuned.greedy else []
    lines.append("lm_weight  char_lm_weight  symbol_insertion  insertion  unknown  width  labels  " + tuned.metric)
    for trial in tuned.trials:
        s = trial.settings
        mark = "  *" if all(value == getattr(tuned.config, key) for key, value in s.items()) else ""
        weights = f"{s['lm_weight']:9.3g}  {s['char_lm_weight']:14.3g}  {s['symbol_insertion']:16.3g}  {s['insertion']:9.3g}  {s['unknown']:7.3g}"
        lines.append(f"{weights}  {s['width']:5.0f}  {s['label_threshold']:6.3g}  {100 * trial.error:6.2f} %{mark}")
    lines.append(f"chosen: {spell_settings(tuned.config)}: {tuned.metric} {100 * tuned.error:.2f} %")
    calibration = tuned.config.calibration
    if calibration is not None:
        errors = f"symbols {100 * calibration.token_error:.1f} %, words {100 * calibration.word_error:.1f} %"
        lines.append(f"expected calibration error of confidence: {errors}")
    return "\n".join(lines)


def tune_bundle(options: argparse.Namespace) -> int:
    """Carry out the command."""
    items = load_manifest(options.manifest)
    if options.folds:
        split_folds(items, options.folds, options.seed)  # too few groups are told before anything is recognised
    bundle = load_bundle(find_bundle(options.bundle) if options.output else options.bundle)  # what is in the box is not written over
    config = override_decoder(bundle.recipe.decoder, options.decoding)
    prepare_host(options.threads)
    recognizer = Recognizer(bundle, options.device, options.precision, decoder=config, threads=options.threads)
    progress = Progress(options.quiet)
    check_unseen(recognizer, items, options.manifest, progress, options.allow_seen)
    started = time.perf_counter()
    data = TuningData(recognizer, items, options.metric, progress)
    folds = score_folds(data, options.folds, options.seed, progress) if options.folds else None
    tuned = tune_on(data, progress)
    store(bundle, tuned.config, Path(options.output) if options.output else None)
    if options.json:
        greedy = None if math.isnan(tuned.greedy) else tuned.greedy
        trials = [{**trial.settings, "error": trial.error} for trial in tuned.trials]
        record = {"metric": tuned.metric, "greedy": greedy, "error": tuned.error, "trials": trials}
        print(json.dumps({**record, **({"folds": folds.to_json()} if folds else {})}, ensure_ascii=False, indent=1))
    else:
        print(render_curve(tuned) + (f"\n\n{render_folds(folds)}" if folds else ""))
    progress.line(f"{len(tuned.trials)} settings on {len(items)} items in {time.perf_counter() - started:.1f} s")
    return 0
