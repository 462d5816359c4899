"""Bundles: a folder that is a whole recognizer, checked file by file when it is opened."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
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

    from recognizer.models.network import Network

FORMAT = 3  # the newest; raised when older code could not read a new bundle; 1: other names of settings (bundle/migrate)
WEIGHTS_FORMAT = 2  # of bundles with weights, which older code reads; those with a graph in their place are of format 3

CONTENTS = "bundle.json"
WEIGHTS = "model.safetensors"
GRAPH = "model.onnx"
CONFIG = "config.yaml"
ALPHABET = "alphabet.txt"
CARD = "card.md"


@dataclass(frozen=True)
class Bundle:
    """A recognizer on disk, opened.

    Attributes:
        folder: where it lies; an ONNX file that stands alone (:mod:`recognizer.bundle.onnx_file`).
        config, alphabet: its settings and symbols.
        weights: tensors by name, with the statistics of features; none where it was exported.
        others: names of further files: models of the decoder, what the weights were trained on.
        graph: the ONNX file of one that was exported, else None.
        metadata: of an ONNX file that stands alone.
    """

    folder: Path
    config: RecognizerConfig
    alphabet: Alphabet
    weights: Mapping[str, Tensor]
    others: tuple[str, ...] = ()
    graph: Path | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    def network(self) -> Network:
        """The network with its weights, in evaluation mode on the CPU.

        Raises:
            BundleError: the weights do not fit the settings, or there are none, as it was exported.
        """
        from recognizer.models.network import Network

        self.require_weights()
        network = Network(self.config, len(self.alphabet))
        try:
            network.load_state_dict(dict(self.weights))
        except RuntimeError as error:
            raise BundleError(f"{self.folder}: the weights do not fit the settings ({str(error).splitlines()[-1].strip()})") from None
        return network.eval()

    def require_weights(self) -> None:
        """Refuse a bundle that was exported.

        Raises:
            BundleError: it has a graph in place of weights.
        """
        if self.graph is not None:
            raise BundleError(f"{self.graph}: was exported and has no weights, which this needs; name the bundle that it was exported from")

    def model(self) -> Mapping[str, Tensor] | bytes:
        """What :func:`save_bundle` takes of it: the weights, or the graph in their place."""
        return self.weights if self.graph is None else self.graph.read_bytes()

    def identity(self) -> bytes:
        """What tells it from every other: the list of its files with their digests."""
        return (self.folder if self.folder == self.graph else self.folder / CONTENTS).read_bytes()

    def card(self) -> str:
        """The text of the model card; empty where there is none."""
        if self.metadata:
            return self.metadata.get("card", "")
        try:
            return (self.folder / CARD).read_text(encoding="utf-8")
        except OSError:
            return ""


def save_bundle(
    folder: Path,
    config: RecognizerConfig,
    alphabet: Alphabet,
    weights: Mapping[str, Tensor] | bytes,
    card: str,
    files: Mapping[str, Path] | None = None,
    fill: Callable[[Path], None] | None = None,
) -> None:
    """Write a bundle; whatever stood at ``folder`` stays until the new one is complete.

    Args:
        folder: where; an older bundle there is replaced.
        config, alphabet, weights: what :func:`load_bundle` gives back; in place of weights an ONNX model's bytes.
        card: text of the model card.
        files: further files by the name that the decoder's settings give them; they are copied.
        fill: called with the folder before it gets its name, to put a second bundle into it.

    Raises:
        BundleError: the disk is full or not writable, ``folder`` holds something that is not a bundle, or the decoder's settings name a
            file that is not among ``files``.
    """
    from safetensors import SafetensorError

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
        (partial / CONFIG).write_text(dump_config(config), encoding="utf-8")
        _save_weights(partial, weights)
        alphabet.save(partial / ALPHABET)
        (partial / CARD).write_text(card, encoding="utf-8")
        for name, path in (files or {}).items():
            shutil.copyfile(path, partial / name)
        _write_contents(partial, GRAPH if isinstance(weights, bytes) else WEIGHTS, files or {})
        if fill is not None:
            fill(partial)
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


def dump_config(config: RecognizerConfig) -> str:
    """The settings as the text of ``config.yaml``."""
    text: str = yaml.safe_dump(to_dict(config), sort_keys=False, allow_unicode=True)
    return text


def _save_weights(folder: Path, weights: Mapping[str, Tensor] | bytes) -> None:
    if isinstance(weights, bytes):
        (folder / GRAPH).write_bytes(weights)
        return
    from safetensors.torch import save_file

    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}, folder / WEIGHTS)
    shutil.copymode(folder / CONFIG, folder / WEIGHTS)  # safetensors lets nobody else read its files


def load_bundle(folder: str | Path) -> Bundle:
    """Open a bundle, or an ONNX file that stands alone.

    Raises:
        BundleError: not a bundle, made by a newer version, a file missing or altered, or one named that is none of the bundle's; the message
            names it.
    """
    folder = Path(folder)
    if folder.suffix == ".onnx" and folder.is_file():
        from recognizer.bundle.onnx_file import load_onnx_file

        return load_onnx_file(folder)
    _recover(folder)
    names, version = _check_contents(folder)
    graph = folder / GRAPH if GRAPH in names else None
    try:
        settings = parse_yaml((folder / CONFIG).read_text(encoding="utf-8"), CONFIG)
        config = from_dict(RecognizerConfig, migrate_settings(settings) if version == 1 else settings)
    except (ConfigError, InputError, OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{folder}: {' '.join(str(error).split())}") from None
    weights = _load_weights(folder) if graph is None else {}
    others = tuple(name for name in names if name not in (WEIGHTS, GRAPH, CONFIG, ALPHABET))
    _check_decoder_files(config, others, folder)
    return Bundle(folder, config, Alphabet.load(folder / ALPHABET, config.text.level), weights, others, graph)


def _load_weights(folder: Path) -> dict[str, Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        missing = f"which needs the package {error.name}"
        raise BundleError(f"{folder}: holds weights, {missing}; install recognizer with all that it needs, or name an exported bundle") from None
    try:
        return multiply_factors(load_file(folder / WEIGHTS))
    except (SafetensorError, OSError, ValueError) as error:
        raise BundleError(f"{folder}: {' '.join(str(error).split())}") from None


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


def _write_contents(folder: Path, model: str, others: Iterable[str]) -> None:
    """List the files of a bundle with their SHA-256; the card is left out, since people may edit it."""
    files = {name: digest_of(folder / name) for name in (model, CONFIG, ALPHABET, *others)}
    contents = {"format": FORMAT if model == GRAPH else WEIGHTS_FORMAT, "recognizer": __version__, "sha256": files}
    (folder / CONTENTS).write_text(json.dumps(contents, indent=1) + "\n")


def _check_contents(folder: Path) -> tuple[list[str], int]:
    """Names of the files listed, each found to be as it was written, and the bundle's format."""
    if not folder.is_dir():
        raise BundleError(f"{folder}: no such bundle")
    try:
        contents = json.loads((folder / CONTENTS).read_text())
        version, digests = int(contents["format"]), contents["sha256"]
        model = GRAPH if GRAPH in digests else WEIGHTS
        files = {name: digests[name] for name in (model, CONFIG, ALPHABET, *digests)}
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
        if digest_of(folder / name) != files[name]:
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


def digest_of(path: Path) -> str:
    """The SHA-256 of a file.

    Raises:
        BundleError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {os.strerror(error.errno or 0)}") from None
