"""`recognizer tune`: weights of the decoder found on development data and kept in the bundle."""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import editdistance
import numpy as np

from recognizer.bundle import Bundle, load_bundle, save_bundle
from recognizer.calibrating import Reference, calibrate
from recognizer.config import DecoderConfig
from recognizer.data.manifest import Item, load_manifest
from recognizer.data.transcripts import target
from recognizer.decoding.beam import BeamDecoder
from recognizer.decoding.decoder import FILES, find_file, load_decoder
from recognizer.errors import ConfigError, ManifestError
from recognizer.evaluation.tokens import characters, units, words
from recognizer.host import prepare_host
from recognizer.overrides import override_decoder
from recognizer.pipeline import Recognizer
from recognizer.progress import Progress
from recognizer.scoring import check_unseen

LM_WEIGHTS = (0.0, 0.3, 0.6, 1.0, 1.5)  # of the grid
INSERTIONS = (-1.0, 0.0, 1.0, 2.0)  # nats
STEPS = {"lm_weight": 0.2, "char_lm_weight": 0.2, "symbol_insertion": 0.5, "insertion": 0.5, "unknown": 2.0}  # of the local search, halved twice
SEARCH_WIDTH = 16  # of the beam while weights are looked for: theirs hardly depend on it
WIDTHS = (8, 16, 32, 64)  # tried for the pruning, narrowest first
LABEL_THRESHOLDS = (5.0, 6.0)  # nats, likewise
TOLERANCE = 0.002  # pruning may cost so much of the error rate, relatively


@dataclass(frozen=True)
class Trial:
    """Settings tried and the error rate they gave."""

    settings: dict[str, float]
    error: float


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


class _Judge:
    """Error rates of settings on cached log-probs."""

    def __init__(
        self, recognizer: Recognizer, log_probs: Sequence[np.ndarray], references: Sequence[list[str]], tokens: Callable[[str], list[str]]
    ) -> None:
        self.recognizer, self.log_probs, self.references, self.tokens = recognizer, log_probs, references, tokens
        self.total = max(1, sum(map(len, references)))
        decoder = recognizer.decoder
        assert isinstance(decoder, BeamDecoder)
        self.models = decoder.models
        self.seen: dict[DecoderConfig, float] = {}
        self.trials: list[Trial] = []

    def error(self, config: DecoderConfig) -> float:
        """Errors per reference token, remembered."""
        if config not in self.seen:
            decoder = BeamDecoder(self.recognizer.alphabet, config, self.models)
            self.seen[config] = self.rate(best for best, *_ in decoder.decode_all(self.log_probs, threads=self.recognizer.threads))
            settings = {key: getattr(config, key) for key in (*STEPS, "width", "label_threshold")}
            self.trials.append(Trial(settings, self.seen[config]))
        return self.seen[config]

    def rate(self, hypotheses: Any) -> float:
        """Errors per reference token of hypotheses in order."""
        found = (self.tokens(self.recognizer.text(hypothesis)) for hypothesis in hypotheses)
        return sum(editdistance.eval(r, h) for r, h in zip(self.references, found, strict=True)) / self.total


def tune(recognizer: Recognizer, items: Sequence[Item], metric: str | None = None, progress: Progress | None = None) -> Tuned:
    """Find LM weights, insertion bonus, unknown-word score and beam width on development items.

    A grid over the weight of the model and the bonus for a symbol, then a search along one setting at a time with steps that
    are halved twice, then the strongest pruning that costs next to nothing. The log-probs are computed once.

    Args:
        recognizer: with a beam decoder; its settings are where the search begins.
        items: with transcripts; not those that will be scored.
        metric: CER, WER or UER; by default WER where the decoder knows words, else the rate of the alphabet's symbols.

    Raises:
        ConfigError: a greedy decoder, or a metric that does not fit.
        ManifestError: no item can be used.
    """
    if not isinstance(recognizer.decoder, BeamDecoder):
        raise ConfigError("tune: the bundle decodes greedily, which has nothing to tune; name a model with decoder.lm=FILE, or decoder=beam")
    progress = progress or Progress(quiet=True)
    models, start = recognizer.decoder.models, recognizer.decoder.config
    level = recognizer.alphabet.level
    by_words = models.tree is not None
    metric = metric or ("WER" if by_words else "CER" if level == "characters" else "UER")
    tokens = {"CER": characters, "WER": words, "UER": units}.get(metric)
    if tokens is None or (metric == "UER") != (level == "units" and not by_words):
        raise ConfigError(f"--metric {metric}: does not fit an alphabet of {level}" + (" and a lexicon" if by_words else ""))
    log_probs, references, sayings = _emit(recognizer, items, by_words and level == "units", tokens, progress)
    judge = _Judge(recognizer, log_probs, references, tokens)
    spoken = by_words and level == "units"  # without a beam there are no words to compare with
    greedy = math.nan if spoken else judge.rate(load_decoder(DecoderConfig(), recognizer.alphabet).decode(table)[0] for table in log_probs)
    keys = ["insertion"]
    keys += ["lm_weight"] if models.words is not None or models.letters is not None else []
    keys += ["char_lm_weight"] if models.words is not None and models.letters is not None else []
    keys += ["symbol_insertion"] if by_words else []
    keys += ["unknown"] if models.tree is not None and not recognizer.decoder.closed else []
    best = first = replace(start, width=min(start.width, SEARCH_WIDTH))
    weights = LM_WEIGHTS if "lm_weight" in keys else (first.lm_weight,)
    bonus = "symbol_insertion" if by_words else "insertion"
    points: list[dict[str, Any]] = [{"lm_weight": weight, bonus: value} for weight in weights for value in INSERTIONS]
    grid = [replace(first, **point) for point in points]
    for number, config in enumerate([first, *grid]):
        progress.update(f"grid {number}/{len(grid)}, best {metric} {100 * min(judge.seen.values(), default=1.0):.2f} %")
        best = min(best, config, key=judge.error)
    for shrink in (1.0, 0.5, 0.25):
        best = _climb(best, {key: STEPS[key] * shrink for key in keys}, judge, progress, metric)
    best = _prune(replace(best, width=max(start.width, WIDTHS[-1])), judge)
    chosen = BeamDecoder(recognizer.alphabet, best, models)
    best = replace(best, calibration=calibrate(chosen, recognizer.alphabet, log_probs, sayings, threads=recognizer.threads))
    return Tuned(best, metric, greedy, judge.error(replace(best, calibration=start.calibration)), tuple(judge.trials))


def _climb(best: DecoderConfig, steps: dict[str, float], judge: _Judge, progress: Progress, metric: str) -> DecoderConfig:
    """Move along one setting at a time for as long as the error falls."""
    moved = True
    while moved:
        moved = False
        for key, step in steps.items():
            for direction in (step, -step):
                value = round(getattr(best, key) + direction, 6)
                if key.endswith("weight") and value < 0:
                    continue
                candidate = replace(best, **{key: value})
                progress.update(f"{len(judge.trials)} settings tried, best {metric} {100 * judge.error(best):.2f} %")
                if judge.error(candidate) < judge.error(best):
                    best, moved = candidate, True
                    break
    return best


def _prune(widest: DecoderConfig, judge: _Judge) -> DecoderConfig:
    """The narrowest beam, and then the fewest labels a frame, whose error is as low as that of the widest, nearly."""
    limit = judge.error(widest) * (1 + TOLERANCE)
    widths = (replace(widest, width=width) for width in WIDTHS)
    narrow = next((config for config in widths if judge.error(config) <= limit), widest)
    fewer = (replace(narrow, label_threshold=threshold) for threshold in LABEL_THRESHOLDS if threshold < narrow.label_threshold)
    return next((config for config in fewer if judge.error(config) <= limit), narrow)


def _emit(
    recognizer: Recognizer, items: Sequence[Item], wordy: bool, tokens: Callable[[str], list[str]], progress: Progress
) -> tuple[list[np.ndarray], list[list[str]], list[Reference]]:
    """Log-probs and reference tokens of the items that can be used, and what calibration needs of them."""
    text = recognizer.recipe.text
    log_probs, references, sayings = [], [], []
    for item, emission in zip(items, recognizer.emissions(item.source for item in items), strict=True):
        reference = item.text if wordy else target(item, text)
        if reference is None or emission.log_probs is None:
            progress.line(f"left out: {item.id}: {emission.error or 'has no transcript'}")
            continue
        log_probs.append(emission.log_probs)
        references.append(tokens(reference if isinstance(reference, str) else " ".join(reference)))
        sayings.append(Reference.of(item, text))
        progress.update(f"log-probs: {len(log_probs)}/{len(items)}")
    if not log_probs:
        raise ManifestError("no item could be used for tuning")
    return log_probs, references, sayings


def store(bundle: Bundle, config: DecoderConfig, folder: Path | None = None) -> None:
    """Write the settings into the bundle, and the files they name beside them, so that it needs no others."""
    names: dict[str, Any] = {}
    models = {getattr(bundle.recipe.decoder, key) for key in FILES}  # old ones go
    files: dict[str, Path] = {name: bundle.folder / name for name in bundle.others if name not in models}
    for key in FILES:
        if getattr(config, key) is None:
            continue
        path = find_file(config, key, bundle.folder)
        name = f"{key}{''.join(path.suffixes[-2:]) if path.suffix == '.gz' else path.suffix}"
        files[name], names[key] = path, name
    recipe = replace(bundle.recipe, decoder=replace(config, **names))
    save_bundle(folder or bundle.folder, recipe, bundle.alphabet, bundle.weights, bundle.card(), files)


def render_curve(tuned: Tuned) -> str:
    """The error by weight and insertion bonus, and what was chosen, as a table."""
    lines = [f"{tuned.metric} without a beam: {100 * tuned.greedy:.2f} %"] if tuned.greedy == tuned.greedy else []
    lines.append("lm_weight  char_lm_weight  symbol_insertion  insertion  unknown  width  labels  " + tuned.metric)
    for trial in tuned.trials:
        s = trial.settings
        mark = "  *" if all(value == getattr(tuned.config, key) for key, value in s.items()) else ""
        weights = f"{s['lm_weight']:9.3g}  {s['char_lm_weight']:14.3g}  {s['symbol_insertion']:16.3g}  {s['insertion']:9.3g}  {s['unknown']:7.3g}"
        lines.append(f"{weights}  {s['width']:5.0f}  {s['label_threshold']:6.3g}  {100 * trial.error:6.2f} %{mark}")
    chosen = tuned.config
    settings = " ".join(f"decoder.{key}={getattr(chosen, key):g}" for key in (*STEPS, "width", "label_threshold"))
    lines.append(f"chosen: {settings}: {tuned.metric} {100 * tuned.error:.2f} %")
    calibration = chosen.calibration
    if calibration is not None:
        errors = f"symbols {100 * calibration.token_error:.1f} %, words {100 * calibration.word_error:.1f} %"
        lines.append(f"expected calibration error of confidence: {errors}")
    return "\n".join(lines)


def tune_bundle(options: argparse.Namespace) -> int:
    """Carry out the command."""
    items = load_manifest(options.manifest)
    bundle = load_bundle(options.bundle)
    config = override_decoder(bundle.recipe.decoder, options.decoding)
    prepare_host(options.threads)
    recognizer = Recognizer(bundle, options.device, options.precision, decoder=config, threads=options.threads)
    progress = Progress(options.quiet)
    check_unseen(recognizer, items, options.manifest, progress, options.allow_seen)
    started = time.perf_counter()
    tuned = tune(recognizer, items, options.metric, progress)
    store(bundle, tuned.config, Path(options.output) if options.output else None)
    if options.json:
        greedy = None if math.isnan(tuned.greedy) else tuned.greedy
        trials = [{**trial.settings, "error": trial.error} for trial in tuned.trials]
        print(json.dumps({"metric": tuned.metric, "greedy": greedy, "error": tuned.error, "trials": trials}, indent=1))
    else:
        print(render_curve(tuned))
    progress.line(f"{len(tuned.trials)} settings on {len(items)} items in {time.perf_counter() - started:.1f} s")
    return 0
