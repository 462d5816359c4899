"""Decoded and prepared sources on disk, so that every epoch after the first reads without decoding."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from recognizer.config import AudioFeatures, Features
from recognizer.config.schema import to_dict
from recognizer.errors import OutputError, TrainingError
from recognizer.utils.archives import find_archive
from recognizer.utils.files import append_bytes, write_text

_AUDIO_KEYS = {"sample_rate"}  # all that a stored recording depends on; a stored line or pen trace depends on every setting of its own


class ArrayCache:
    """Arrays appended to one file, found again by source path, size and time of change.

    Args:
        folder: created if need be; holds ``arrays.bin`` and ``index.json``.
        features: settings the arrays depend on; a cache made with others is discarded.

    Nothing stays in memory but the index: memory does not grow with the corpus.
    """

    def __init__(self, folder: Path, features: Features) -> None:
        self._data = folder / "arrays.bin"
        self._index_file = folder / "index.json"
        settings = {k: v for k, v in to_dict(features).items() if not isinstance(features, AudioFeatures) or k in _AUDIO_KEYS}
        self._fingerprint = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
        with _cache_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._entries = self._load_index()
            self._end = self._data.stat().st_size if self._data.exists() else 0

    def get(self, path: Path) -> np.ndarray | None:
        """The array kept for a source, or None if there is none or the source has changed since."""
        entry = self._entries.get(str(path))
        if entry is None or entry["stamp"] != _stamp(path):
            return None
        count = int(np.prod(entry["shape"]))
        return np.fromfile(self._data, dtype=entry["dtype"], count=count, offset=entry["offset"]).reshape(entry["shape"])

    def add(self, path: Path, array: np.ndarray) -> None:
        """Keep an array; it counts once :meth:`save` has been called."""
        with _cache_errors(self._data):
            append_bytes(self._data, array.tobytes())
        self._entries[str(path)] = {"stamp": _stamp(path), "dtype": array.dtype.str, "shape": list(array.shape), "offset": self._end}
        self._end += array.nbytes

    def save(self) -> None:
        """Write the index, whole or not at all."""
        with _cache_errors(self._index_file):
            write_text(self._index_file, json.dumps({"fingerprint": self._fingerprint, "bytes": self._end, "entries": self._entries}))

    def _load_index(self) -> dict[str, Any]:
        try:
            index = json.loads(self._index_file.read_text())
            size = self._data.stat().st_size
        except (OSError, ValueError):
            index, size = {}, 0
        if not isinstance(index, dict) or index.get("fingerprint") != self._fingerprint or size < index["bytes"]:
            self._data.unlink(missing_ok=True)
            return {}
        entries: dict[str, Any] = index["entries"]
        return entries


@contextmanager
def _cache_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TrainingError(f"{path}: cannot use the cache: {error.strerror}; make room, or train without it (trainer.cache=false)") from None
    except OutputError as error:
        raise TrainingError(f"{error}; make room, or train without the cache (trainer.cache=false)") from None


def _stamp(path: Path) -> list[int] | None:
    try:
        status = (find_archive(path) or path).stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]
