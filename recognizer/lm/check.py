"""Whether a model that was read from a file is whole: every number that the compiled functions follow, and the digest of the file.

The compiled functions check nothing, so that an offset or an id beyond its array would read memory that is not theirs.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from recognizer.lm.ngram import SPECIAL, START, NgramModel

DIGEST = "sha256"  # key of the header
UNSET = "0" * 64  # what stands in the place of the digest while it is computed
SMALL = 64 << 20  # bytes of a file that is checked whenever it is opened; a larger one is checked once on a machine
BLOCK = 1 << 20  # numbers or bytes that are looked at in one go
VERSION = 2  # of what is checked here; another one makes files be checked again


def fits(model: NgramModel, vocabulary: int) -> bool:
    """Whether the lengths and the first and last numbers agree, which is known without reading the arrays."""
    states, arcs = len(model.backoff), len(model.symbol)
    return (
        len(model.symbols) == vocabulary
        and model.symbols[:3] == SPECIAL
        and model.level in ("characters", "words")
        and all(isinstance(number, int) for number in (model.order, model.start))
        and 1 <= model.order <= arcs
        and model.start >= 0
        and len(model.first) == states + 1
        and len(model.fallback) == states > model.start
        and len(model.log_prob) == len(model.target) == arcs >= vocabulary
        and (int(model.first[0]), int(model.first[1]), int(model.first[-1])) == (0, vocabulary, arcs)
        and int(model.target[START]) == model.start
    )


def has_faults(model: NgramModel) -> bool:
    """Whether any number of the arrays is out of place, so that a question could lead beyond one or go on for ever; their lengths must agree."""
    states, vocabulary = len(model.backoff), len(model.symbols)
    if int(model.fallback[0]) != -1 or not np.array_equal(model.symbol[:vocabulary], np.arange(vocabulary)):
        return True
    for part in _blocks(states):
        first = model.first[part.start : part.stop + 1]
        fallback = model.fallback[part]
        lower = np.arange(part.start, part.stop)
        lower[:1] += part.start == 0  # state 0 has none, which was looked at
        if not (np.all(first[1:] >= first[:-1]) and np.all(fallback < lower) and np.all(fallback[part.start == 0 :] >= 0)):
            return True
        if not np.isfinite(model.backoff[part]).all():
            return True
    if has_disorder(model.first, model.symbol):
        return True
    led = 0  # highest state that an arc so far leads to: arcs lead to each state of its own in their order
    for part in _blocks(len(model.symbol)):
        symbol, target = model.symbol[part], model.target[part]
        if symbol.min() < 0 or symbol.max() >= vocabulary or target.min() < 0 or target.max() >= states:
            return True
        if not np.isfinite(model.log_prob[part]).all():
            return True
        highest = np.maximum.accumulate(np.concatenate([[led], target]))
        if np.count_nonzero(target > highest[:-1]) != highest[-1] - led:
            return True
        led = int(highest[-1])
    return led != states - 1


def has_disorder(first: np.ndarray, symbol: np.ndarray) -> bool:
    """Whether the symbols of the arcs of a state do not ascend; ``first`` must ascend from 0 to the number of arcs."""
    for part in _blocks(len(symbol) - 1):
        falls = np.flatnonzero(symbol[part.start + 1 : part.stop + 1] <= symbol[part]) + part.start + 1
        begins = first[np.minimum(np.searchsorted(first, falls), len(first) - 1)]
        if not np.array_equal(begins, falls):  # symbols may fall where the arcs of another state begin
            return True
    return False


def compute_digest(header: bytes, chunks: Iterable[Any]) -> str:
    """SHA-256 of a header that has :data:`UNSET` in the place of the digest, and of the data."""
    digest = hashlib.sha256(header)
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def split_blocks(data: Any) -> Iterable[Any]:
    """Parts of a file that is mapped."""
    return (data[part] for part in _blocks(len(data)))


def was_checked(file: Path) -> bool:
    """Whether a large file was found whole on this machine before and has not changed since."""
    try:
        return _mark(file).is_file()
    except OSError:
        return False


def remember_checked(file: Path) -> None:
    """Note that a large file is whole, where there is a place for it; else it is checked again the next time."""
    try:
        mark = _mark(file)
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    except OSError:
        pass


def _mark(file: Path) -> Path:
    """A file whose name tells one state of another: path, size, times and place on the disk."""
    state = file.stat()
    told = f"{VERSION}\n{file.resolve()}\n{state.st_size}\n{state.st_mtime_ns}\n{state.st_ctime_ns}\n{state.st_ino}\n{state.st_dev}"
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(cache) / "recognizer" / "checked" / hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()


def _blocks(size: int) -> Iterable[slice]:
    return (slice(begin, end) for begin, end in pairwise([*range(0, size, BLOCK), size]))
