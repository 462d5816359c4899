"""ONNX files of recognizers: opened with onnxruntime, and read as bundles where they stand alone. Nothing here needs torch."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from recognizer import __version__
from recognizer.bundle.io import Bundle, dump_config
from recognizer.config import AudioFeatures, DecoderConfig, RecognizerConfig
from recognizer.config.schema import from_dict
from recognizer.errors import BundleError, ConfigError, InputError
from recognizer.text.alphabet import BLANK, Alphabet
from recognizer.utils.reading import parse_json, parse_yaml

ERRORS_ONLY = 3  # severity from which on onnxruntime writes to standard error


def open_session(path: Path, threads: int = 0) -> Any:
    """The ``InferenceSession`` of a file, on the CPU.

    Args:
        path: of the file.
        threads: of the CPU, 0: one for each core.

    Raises:
        ConfigError: onnxruntime is not installed.
        BundleError: the file is missing or damaged, or this onnxruntime has not all of its operators.
    """
    try:
        import onnxruntime
    except ImportError:
        raise ConfigError(f"{path}: needs the package onnxruntime; run `pip install onnxruntime`") from None
    if not path.is_file():
        raise BundleError(f"{path}: no such file; name an exported bundle")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, ERRORS_ONLY
    # threads that wait busily take half as much processor time again, from the decoder and whatever else runs
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # classes of its own, by kind of fault
        version = f"onnxruntime {onnxruntime.__version__}"
        raise BundleError(f"{path}: {version} cannot run it ({_first_line(error)}); export again or upgrade onnxruntime") from None


def read_metadata(path: Path) -> dict[str, str]:
    """What an ONNX file says of itself, as :func:`describe_model` wrote it; raises as :func:`open_session`."""
    metadata: dict[str, str] = open_session(path, 1).get_modelmeta().custom_metadata_map
    return metadata


def load_onnx_file(path: Path) -> Bundle:
    """A file that was exported to stand alone as a bundle that decodes greedily, since it carries no language model.

    Raises:
        ConfigError, BundleError: as :func:`open_session`, or no recognizer wrote this file.
    """
    metadata = read_metadata(path)
    try:
        config = from_dict(RecognizerConfig, parse_yaml(metadata["config"], f"{path}: config"))
        blank, *symbols = parse_json(metadata["alphabet"], f"{path}: alphabet")
        alphabet = Alphabet(tuple(symbols), config.text.level)
    except KeyError as error:
        raise BundleError(f"{path}: is no recognizer: its metadata have no {error.args[0]!r}; make one with `recognizer export`") from None
    except (ConfigError, InputError, ValueError, TypeError) as error:
        raise BundleError(f"{path}: its metadata are damaged ({_first_line(error)}); export again") from None
    if blank != BLANK:
        raise BundleError(f"{path}: its metadata are damaged (the first label is not {BLANK}); export again")
    return Bundle(path, replace(config, decoder=DecoderConfig()), alphabet, {}, graph=path, metadata=metadata)


def describe_model(bundle: Bundle, config: RecognizerConfig, files: dict[str, str], card: str, int8: bool) -> dict[str, str]:
    """What an ONNX file says of itself, for this package and for programs in other languages.

    Args:
        bundle: that is exported.
        config: its settings as they are exported.
        files: SHA-256 of the files that its decoder needs, by name.
        card: the model card.
        int8: whether matrices are.
    """
    network = bundle.network()
    facts = {
        "recognizer": __version__,
        "kind": config.modality,
        "config": dump_config(config),
        "alphabet": json.dumps([BLANK, *bundle.alphabet.symbols], ensure_ascii=False),
        "stride": str(network.stride * getattr(network.features, "hop", 1)),  # samples, or columns, that a frame of log-probs stands for
        "decoder_files": json.dumps(files),
        "matrices": "int8" if int8 else "float32",
        "card": card,
    }
    return facts | ({"sample_rate": str(config.features.sample_rate)} if isinstance(config.features, AudioFeatures) else {})


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
