"""Bundles: a folder that is a whole recognizer, checked file by file when it is opened."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from recognizer import __version__
from recognizer.bundle.migrate import migrate_settings, multiply_factors
from recognizer.config import DECODER_FILES, RecognizerConfig
from recognizer.config.schema import from_dict, to_dict
from recognizer.errors import BundleError, ConfigError, InputError
from recognizer.text.alphabet import Alphabet
from recognizer.utils.reading import parse_yaml

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 2  # raised when older code could not read a new bundle; 1: other names of settings (bundle/migrate)

CONTENTS = "bundle.json"
WEIGHTS = "model.safetensors"
CONFIG = "config.yaml"
ALPHABET = "alphabet.txt"
CARD = "card.md"


@dataclass(frozen=True)
class Bundle:
    """A recognizer on disk, opened: settings, alphabet and tensors by name (weights and feature statistics)."""

    folder: Path
    config: RecognizerConfig
    alphabet: Alphabet
    weights: Mapping[str, Tensor]
    others: tuple[str, ...] = ()  # names of further files: models of the decoder, what the weights were trained on

    def card(self) -> str:
        """The text of the model card; empty where there is none."""
        try:
            return (self.folder / CARD).read_text(encoding="utf-8")
        except OSError:
            return ""


def save_bundle(
    folder: Path, config: RecognizerConfig, alphabet: Alphabet, weights: Mapping[str, Tensor], card: str, files: Mapping[str, Path] | None = None
) -> None:
    """Write a bundle; whatever stood at ``folder`` stays until the new one is complete.

    Args:
        folder: where; an older bundle there is replaced.
        config, alphabet, weights: what :func:`load_bundle` gives back.
        card: text of the model card.
        files: further files by the name that the decoder's settings give them; they are copied.

    Raises:
        BundleError: the disk is full or not writable, ``folder`` holds something that is not a bundle, or the decoder's settings name a
            file that is not among ``files``.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    _check_decoder_files(config, files or {}, folder)
    folder = folder.resolve()  # a link leads on to the bundle to replace
    if folder.exists() and not folder.is_dir():
        raise BundleError(f"{folder}: is a file, not a folder; name another folder")
    if folder.exists() and not (folder / CONTENTS).exists() and any(folder.iterdir()):
        raise BundleError(f"{folder}: is not empty and not a bundle; name another folder")
    partial, old = folder.with_name(folder.name + ".partial"), _replaced(folder)
    try:
        _recover(folder)
        for leftover in (partial, old):
            shutil.rmtree(leftover, ignore_errors=True)
        partial.mkdir(parents=True)
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}, partial / WEIGHTS)
        (partial / CONFIG).write_text(yaml.safe_dump(to_dict(config), sort_keys=False, allow_unicode=True), encoding="utf-8")
        shutil.copymode(partial / CONFIG, partial / WEIGHTS)  # safetensors lets nobody else read its files
        alphabet.save(partial / ALPHABET)
        (partial / CARD).write_text(card, encoding="utf-8")
        for name, path in (files or {}).items():
            shutil.copyfile(path, partial / name)
        _write_contents(partial, files or {})
        if folder.exists():
            folder.rename(old)
        partial.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    except (OSError, SafetensorError) as error:  # the latter is what save_file makes of a full disk
        raise BundleError(f"{folder}: cannot write the bundle: {getattr(error, 'strerror', None) or error}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        with suppress(OSError):
            _recover(folder)


def load_bundle(folder: str | Path) -> Bundle:
    """Open a bundle.

    Raises:
        BundleError: not a bundle, made by a newer version, a file missing or altered, or one named that is none of the bundle's; the message
            names it.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    folder = Path(folder)
    _recover(folder)
    names, version = _check_contents(folder)
    try:
        settings = parse_yaml((folder / CONFIG).read_text(encoding="utf-8"), CONFIG)
        config = from_dict(RecognizerConfig, migrate_settings(settings) if version == 1 else settings)
        weights = multiply_factors(load_file(folder / WEIGHTS))
    except (ConfigError, InputError, SafetensorError, OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{folder}: {' '.join(str(error).split())}") from None
    others = tuple(name for name in names if name not in (WEIGHTS, CONFIG, ALPHABET))
    _check_decoder_files(config, others, folder)
    return Bundle(folder, config, Alphabet.load(folder / ALPHABET, config.text.level), weights, others)


def is_bundle(folder: Path) -> bool:
    """Whether a bundle lies here, also one whose replacement was killed half-way and which :func:`load_bundle` brings back."""
    return (folder / CONTENTS).is_file() or (not folder.exists() and (_replaced(folder) / CONTENTS).is_file())


def is_plain(name: str) -> bool:
    """Whether a file of this name lies in the folder that it is looked for in, on every system."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return Path(name).name == name and name not in ("", "..") and not {"/", "\\", "\0"} & set(name)


def _replaced(folder: Path) -> Path:
    """Where the bundle of a folder lies while a new one takes its place."""
    return folder.with_name(folder.name + ".replaced")  # and not ".old", which people call their own copies


def _recover(folder: Path) -> None:
    """Bring back the bundle whose replacement was killed between the two renames of :func:`save_bundle`."""
    if not folder.exists() and is_bundle(folder):
        _replaced(folder).rename(folder)


def _write_contents(folder: Path, others: Iterable[str]) -> None:
    """List the files of a bundle with their SHA-256; the card is left out, since people may edit it."""
    files = {name: _digest(folder / name) for name in (WEIGHTS, CONFIG, ALPHABET, *others)}
    contents = {"format": FORMAT, "recognizer": __version__, "sha256": files}
    (folder / CONTENTS).write_text(json.dumps(contents, indent=1) + "\n")


def _check_contents(folder: Path) -> tuple[list[str], int]:
    """Names of the files listed, each found to be as it was written, and the bundle's format."""
    if not folder.is_dir():
        raise BundleError(f"{folder}: no such bundle")
    try:
        contents = json.loads((folder / CONTENTS).read_text())
        version, digests = int(contents["format"]), contents["sha256"]
        files = {name: digests[name] for name in (WEIGHTS, CONFIG, ALPHABET, *digests)}
    except FileNotFoundError:
        raise BundleError(f"{folder}: is not a bundle ({CONTENTS} is missing)") from None
    except OSError as error:
        raise BundleError(f"{folder / CONTENTS}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise BundleError(f"{folder / CONTENTS}: is damaged; train again or copy the bundle anew") from None
    if version > FORMAT:
        made = contents.get("recognizer", "unknown")
        raise BundleError(f"{folder}: was made by a newer version ({made}, format {version}); this is {__version__}, format {FORMAT}: upgrade")
    for name in files:
        if not is_plain(name) or (folder / name).resolve().parent != folder.resolve():
            raise BundleError(f"{folder / CONTENTS}: {name!r} does not lie in the bundle's own folder; do not use a bundle of this origin")
        if not (folder / name).is_file():
            raise BundleError(f"{folder / name}: is missing; copy the bundle anew")
        if _digest(folder / name) != files[name]:
            raise BundleError(f"{folder / name}: was altered since the bundle was made (its SHA-256 differs); copy the bundle anew")
    return list(files), version


def _check_decoder_files(config: RecognizerConfig, others: Collection[str], folder: Path) -> None:
    """Models and lexicons are files of the bundle or, as ``PARTNER:FILE``, of one beside it: a bundle opens no others by itself."""
    for key in DECODER_FILES:
        name = getattr(config.decoder, key)
        partner, colon, file = (name or "").partition(":")
        if name is not None and name not in others and not (colon and is_plain(partner) and is_plain(file)):
            advice = f"a file from elsewhere is named on the command line, decoder.{key}=FILE"
            raise BundleError(f"{folder / CONFIG}: decoder.{key}: {name!r} is no file of this bundle; {advice}")


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {os.strerror(error.errno or 0)}") from None
