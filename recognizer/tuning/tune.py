"""Weights and calibration of a decoder, found on development data, and the bundle that keeps them."""

from __future__ import annotations

import gzip
import math
import os
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from recognizer.bundle.io import Bundle, save_bundle
from recognizer.bundle.registry import find_partner, name_within, shipped_bundles
from recognizer.config import DECODER_FILES, DecoderConfig
from recognizer.decoding.decoder import find_file
from recognizer.errors import BundleError, ConfigError
from recognizer.inference.recognizer import Recognizer
from recognizer.lm.binary import load_ngram
from recognizer.text.lexicon import keep_lines
from recognizer.tuning.calibrate import calibrate
from recognizer.tuning.data import TuningData
from recognizer.tuning.search import SETTINGS, Trial, find_weights, spell_settings
from recognizer.utils.progress import Progress


@dataclass(frozen=True)
class TuningResult:
    """What tuning found.

    Attributes:
        config: the best settings, with the calibration.
        metric: CER, WER or UER.
        greedy: its rate without a beam, NaN where words cannot be had without one; ``error``: with ``config``, on the development data.
        trials: in the order they were made.
    """

    config: DecoderConfig
    metric: str
    greedy: float
    error: float
    trials: tuple[Trial, ...]

    def to_json(self) -> dict[str, Any]:
        """Ready for ``json.dump``."""
        trials = [{**trial.settings, "error": trial.error} for trial in self.trials]
        return {"metric": self.metric, "greedy": None if math.isnan(self.greedy) else self.greedy, "error": self.error, "trials": trials}


def tune(data: TuningData, progress: Progress | None = None) -> TuningResult:
    """Find the decoder's weights on development items and calibrate its confidence.

    Args:
        data: log-probs of items that will not be scored; the settings of their recognizer are where the search begins.
        progress: told how far it is.
    """
    found, greedy, everything = find_weights(data, progress=progress), data.decode_greedily(), range(len(data))
    greedy_rate = math.nan if greedy is None else data.rate(data.count_errors(greedy, everything), everything)
    recognizer, decoder = data.recognizer, data.decoder.with_config(found.config)
    calibration = calibrate(decoder, recognizer.alphabet, data.tables, data.calibration_references(), threads=recognizer.threads)
    return TuningResult(replace(found.config, calibration=calibration), data.metric, greedy_rate, found.error, found.trials)


def choose_output(recognizer: Recognizer, output_dir: str | None = None, in_place: bool = False) -> Path:
    """The folder of the tuned bundle: the one named, or that of the bundle itself, or NAME-tuned beside it.

    A bundle that ships with the package stays as it is, and so does its folder: NAME-tuned goes into the working directory.

    Raises:
        ConfigError: the folder is that of a bundle which is read, and nobody said so.
        BundleError: it is among those that ship, or is there already.
    """
    own = recognizer.bundle.folder.resolve()
    shipped = [folder.resolve() for folder in shipped_bundles().values()]
    if output_dir is not None:
        folder = Path(output_dir).resolve()
        if in_place:
            raise ConfigError("--in-place writes into the bundle itself: leave out -o")
        if folder in [bundle.folder.resolve() for bundle in recognizer.bundles]:
            raise ConfigError(f"-o {output_dir}: is a bundle that is read; name another folder" + (", or say --in-place" if folder == own else ""))
    elif in_place:
        folder = own
    else:
        folder = (Path.cwd() if own in shipped else own.parent) / f"{own.name}-tuned"
        if folder.exists():
            raise BundleError(f"{folder}: is there already; name another folder with -o, or this one to replace it")
    if folder in shipped:
        raise BundleError(f"{folder}: ships with the package and stays as it is; name another folder with -o")
    return folder


def save_tuned(bundle: Bundle, config: DecoderConfig, folder: Path) -> None:
    """Write a bundle with other settings of the decoder to ``folder``, with the files they name, so that it needs no others but a second recognizer.

    Where there is one, only those words of a lexicon count that the model of words knows, and only they are kept.
    """
    names: dict[str, Any] = {}
    combined = config.combine_with is not None and (config.lexicon is not None or config.combine_lexicon is not None)
    words = load_ngram(find_file(config, "lm", bundle.folder)).ids if combined else None
    models = {getattr(bundle.config.decoder, key) for key in DECODER_FILES}  # old ones go
    files: dict[str, Path] = {name: bundle.folder / name for name in bundle.others if name not in models}
    with TemporaryDirectory() as temporary:
        for key in DECODER_FILES:
            if getattr(config, key) is None:
                continue
            path = find_file(config, key, bundle.folder)
            name = name_within(key, path)
            if key.endswith("lexicon") and words is not None:
                name = f"{key}.txt.gz"
                kept = Path(temporary) / name
                kept.write_bytes(gzip.compress(keep_lines(path, words).encode(), mtime=0))
                path = kept
            files[name], names[key] = path, name
        if config.partner is not None:
            names["combine_with"] = _name_partner(config.partner, bundle.folder, folder)
        save_bundle(folder, replace(bundle.config, decoder=replace(config, **names)), bundle.alphabet, bundle.model(), bundle.card(), files)


def _name_partner(name: str, bundle: Path, folder: Path) -> str:
    """How a bundle at ``folder`` names the partner of the one at ``bundle``: as it is if it ships, else by the way to it."""
    partner = find_partner(name, bundle)
    if shipped_bundles().get(name) == partner:
        return name
    try:
        return Path(os.path.relpath(partner, folder)).as_posix()
    except ValueError:  # another drive
        return str(partner.absolute())


def render_trials(result: TuningResult) -> str:
    """The error of each of the settings tried, and what was chosen, as a table."""
    lines = [] if math.isnan(result.greedy) else [f"{result.metric} without a beam: {100 * result.greedy:.2f} %"]
    lines.append("  ".join((*SETTINGS, result.metric)))
    for trial in result.trials:
        chosen = all(value == getattr(result.config, key) for key, value in trial.settings.items())
        values = [f"{trial.settings[key]:{len(key)}.4g}" for key in SETTINGS]
        lines.append("  ".join((*values, f"{100 * trial.error:.2f} %")) + ("  *" if chosen else ""))
    lines.append(f"chosen: {spell_settings(result.config)}: {result.metric} {100 * result.error:.2f} %")
    calibration = result.config.calibration
    if calibration is not None:
        errors = f"symbols {100 * calibration.token_error:.1f} %, words {100 * calibration.word_error:.1f} %"
        lines.append(f"expected calibration error of confidence: {errors}")
    return "\n".join(lines)
