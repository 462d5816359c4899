"""Where the letters of a manifest's items lie, as a recogniser finds them or as `recognizer align` wrote it down."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from recognizer.config import Modality
from recognizer.data.manifest import Item
from recognizer.data_prep.texts import read_text
from recognizer.decoding.timing import Token
from recognizer.errors import ConfigError, InputError

MODALITIES: dict[Modality, str] = {"line": "line images", "audio": "recordings"}


def add_aligner_arguments(parser: argparse.ArgumentParser, what: str) -> None:
    """Add ``--bundle`` (by default the one in the box for such items) and, instead of it, ``--aligned``; ``what`` it finds is said in the help."""
    parser.add_argument("--bundle", help=f"recogniser that finds the {what}, name or folder (default: the one that transcribe takes)")
    parser.add_argument("--aligned", type=Path, metavar="FILE", help="what `recognizer align` wrote for the manifest as jsonl, instead of a bundle")


def get_tokens(options: argparse.Namespace, modality: Modality, items: Sequence[Item]) -> dict[str, list[Token]]:
    """The letters of each item, by id, from the file or the recogniser that the options name; items that cannot be aligned are dropped.

    Raises:
        ConfigError: the recogniser reads no characters of this modality.
        BundleError: no such recogniser.
        InputError: the file is not what it should be.
    """
    return _read(options.aligned) if options.aligned else _find(options, modality, items)


def _find(options: argparse.Namespace, modality: Modality, items: Sequence[Item]) -> dict[str, list[Token]]:
    from recognizer.aligning import align
    from recognizer.bundles import default_bundle
    from recognizer.config import DecoderConfig
    from recognizer.pipeline import Recognizer

    recognizer = Recognizer.load(options.bundle or default_bundle(modality), decoder=DecoderConfig())
    if recognizer.recipe.modality != modality or recognizer.alphabet.level != "characters":
        raise ConfigError(f"--bundle {options.bundle}: reads no characters from {MODALITIES[modality]}; take one that does")
    found = {}
    for aligned in align(recognizer, items):
        if aligned.transcript.error is None:
            found[aligned.id] = list(aligned.transcript.tokens)
        else:
            options.drop(InputError(f"{aligned.id}: {aligned.transcript.error}"))
    return found


def _read(path: Path) -> dict[str, list[Token]]:
    found = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        try:
            record = json.loads(line)
            entries = [(str(entry["symbol"]), float(entry["start"]), float(entry["end"]), entry.get("confidence")) for entry in record["tokens"]]
            found[str(record["id"])] = [Token(*entry) for entry in entries]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise InputError(f"{path}:{number}: not a line of `recognizer align -f jsonl` with id and tokens") from None
    return found
