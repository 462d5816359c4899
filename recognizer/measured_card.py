"""`recognizer evaluate --card`: what a recogniser achieves, written into its model card."""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import shlex
from collections.abc import Sequence
from pathlib import Path

import torch

from recognizer import __version__
from recognizer.bundle import CARD
from recognizer.bundles import find_bundle
from recognizer.config import DecoderConfig
from recognizer.data.manifest import Item, load_manifest
from recognizer.decoding.decoder import FILES
from recognizer.errors import BundleError, ConfigError
from recognizer.evaluation.card import MeasuredSet, render_measured, renew_card
from recognizer.host import name_processor, peak_memory
from recognizer.measured_pace import measure_speed, measure_start
from recognizer.pipeline import Recognizer
from recognizer.progress import Progress
from recognizer.scoring import Evaluation, check_unseen, evaluate, find_known, gather_extras, score_bundle

DIGITS = 12  # hexadecimal, of a manifest's fingerprint


def measure_bundle(options: argparse.Namespace) -> int:
    """Carry out the command: score as ever, then greedily and on further manifests, and renew the card; 1 if some item could not be scored.

    Raises:
        ConfigError: ``--also`` without ``--card``, or other settings of the decoder than the bundle's, which its card would not tell of.
        BundleError: the card cannot be read or written, or its marker lines do not pair up; told before anything is recognised.
    """
    if options.card is None:
        raise ConfigError("--also names a further manifest for the card: say --card as well")
    if options.decoding or options.hotword:
        raise ConfigError("--card tells of the bundle as it is: leave out decoder settings and hotwords")
    path = Path(options.card) if options.card else find_bundle(options.bundle) / CARD
    card = _read_card(path, find_bundle(options.bundle) / CARD)
    renew_card(card, "", str(path))
    further = [(Path(name), load_manifest(name)) for name in options.also]
    progress = Progress(options.quiet)

    run = score_bundle(options, times=True)
    own = run.recognizer
    for manifest, items in further:
        check_unseen(own, items, manifest, progress, options.allow_seen)
    decoders = {describe_decoder(own.decoding): own}
    if own.decoding.kind != "greedy":
        greedy = Recognizer(own.bundle, options.device, options.precision, decoder=DecoderConfig(), threads=options.threads)
        decoders = {"greedy": greedy, **decoders}

    sets: list[MeasuredSet] = []
    failed = bool(run.outcome.failures)
    for manifest, items in [(Path(options.manifest), run.items), *further]:
        outcomes = {}
        for name, recognizer in decoders.items():
            done = recognizer is own and not sets
            outcomes[name] = run.outcome if done else evaluate(recognizer, items, progress, run.protocol)
        failed = failed or any(outcome.failures for outcome in outcomes.values())
        sets.append(_gather_set(own, manifest, items, outcomes))
        progress.line(f"measured {manifest}")
    facts = {
        **{f"Speed, {name}": measure_speed(recognizer, run.items, options.threads) for name, recognizer in decoders.items()},
        "Cold start": measure_start(own, run.outcome.transcripts, options.threads),
        "Memory": f"{peak_memory() / 2**20:.0f} MiB at most in this process, recognising with confidences and further readings",
        "Size": describe_size(own.bundle.folder),
        "Machine": describe_machine(own),
        "Version": f"recognizer {__version__}",
    }
    noun = "speaker" if own.recipe.modality == "audio" else "writer"
    _write_card(path, renew_card(card, render_measured(sets, spell_command(options), facts, noun, run.protocol), str(path)))
    progress.line(f"wrote {path}")
    return int(failed)


def describe_decoder(config: DecoderConfig) -> str:
    """``greedy``, or ``beam 64 with lm.ngram, words.txt``, and beside whom."""
    if config.kind == "greedy":
        return "greedy"
    files = [Path(name).name for key in FILES if (name := getattr(config, key))]
    beside = f" beside {Path(config.second).name}" if config.second else ""
    return f"beam {config.width}" + (f" with {', '.join(files)}" if files else "") + beside


def describe_size(folder: Path) -> str:
    """MiB of a bundle and of its largest files."""
    sizes = {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file() and path.name != CARD}
    largest = sorted(sizes, key=lambda name: (-sizes[name], name))[:2]
    return f"{sum(sizes.values()) / 2**20:.1f} MiB ({', '.join(f'{name} {sizes[name] / 2**20:.1f}' for name in largest)})"


def describe_machine(recognizer: Recognizer) -> str:
    """Processor or GPU, cores, system and the versions that matter."""
    name = name_processor()
    if recognizer.device.type == "cuda":
        name = f"{torch.cuda.get_device_name(recognizer.device)}, {name}"
    return f"{name}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, torch {torch.__version__}"


def fingerprint_manifest(path: Path) -> str:
    """The first digits of the SHA-256 of a manifest's bytes, as `sha256sum` gives them."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:DIGITS]


def spell_command(options: argparse.Namespace) -> str:
    """The command line that measures the same again."""
    words = ["recognizer", "evaluate", str(options.bundle), str(options.manifest), "--card", *([options.card] if options.card else [])]
    for manifest in options.also:
        words += ["--also", str(manifest)]
    words += ["--protocol", options.protocol] if options.protocol else []
    words += ["--allow-seen"] if options.allow_seen else []
    words += ["--device", options.device] if options.device != "auto" else []
    words += ["--precision", options.precision] if options.precision != "float32" else []
    words += ["--threads", str(options.threads)] if options.threads else []
    return shlex.join(words)


def _gather_set(own: Recognizer, manifest: Path, items: Sequence[Item], outcomes: dict[str, Evaluation]) -> MeasuredSet:
    outcome = list(outcomes.values())[-1]
    remarks = [f"{len(outcome.failures)} could not be scored"] if outcome.failures else []
    known = find_known(own, items)
    if known is None:
        remarks.append("the bundle does not say whether it was trained on them")
    else:
        seen, chosen = known
        remarks += [f"{len(seen)} were **trained on**"] if seen else []
        remarks += [f"{len(chosen)} chose the best epoch in training"] if chosen else []
    reports = {name: outcome.report for name, outcome in outcomes.items()}
    name = "/".join(manifest.absolute().parts[-2:])  # a folder often holds but one all.jsonl
    return MeasuredSet(name, fingerprint_manifest(manifest), reports, outcome.scored, remarks, gather_extras(items, outcome))


def _read_card(path: Path, own: Path) -> str:
    """The card to be renewed: the one at ``path``, else the bundle's, else an empty one."""
    for place in (path, own):
        try:
            return place.read_text(encoding="utf-8")
        except FileNotFoundError:
            continue
        except UnicodeDecodeError:
            raise BundleError(f"{place}: not UTF-8 text; mend the card or name another file after --card") from None
        except OSError as error:
            raise BundleError(f"{place}: cannot be read: {error.strerror}") from None
    return ""


def _write_card(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        if path.parent.is_dir():
            partial.unlink(missing_ok=True)
        raise BundleError(f"{path}: cannot be written: {error.strerror}") from None
