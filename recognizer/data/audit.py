"""What would go wrong with the items of a manifest in training, found before training and named."""

from __future__ import annotations

import hashlib
import os
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from recognizer.config import AudioFeatures, Features, LineFeatures, Modality, StrokeFeatures, TextConfig
from recognizer.data.cache import ArrayCache
from recognizer.data.loading import is_clipped, is_empty, read_array
from recognizer.data.manifest import Item, target_in_frames
from recognizer.data.manifest_index import ManifestItems
from recognizer.data.project_records import SUFFIXES
from recognizer.errors import InputError
from recognizer.text.alphabet import Alphabet, split
from recognizer.utils.archives import as_file, file_size, find_archive

KINDS: tuple[tuple[type, Modality, str, str], ...] = (  # features, the kind of source that they read, what it is called and how it is asked for
    (AudioFeatures, "audio", "a recording", "features=fbank"), (LineFeatures, "line", "a picture", "features=pixels"),
    (StrokeFeatures, "strokes", "a pen trace", "features=strokes"))  # fmt: skip
KEPT = {"clipped"}  # findings that are worth a line but do not keep an item out of training
READ_AHEAD = 64  # items that are decoded at a time


@dataclass(frozen=True)
class Finding:
    """Something about one item; ``kind`` groups findings for counting, ``message`` stands alone."""

    item: Item
    kind: str
    message: str

    @property
    def excludes(self) -> bool:
        """Whether the item cannot be trained on."""
        return self.kind not in KEPT


@dataclass
class Audit:
    """The outcome: items that can be trained on with their feature frames, and findings about the others.

    Attributes:
        usable: items in manifest order; ``frames``: feature frames of each.
        labels: labels of each usable item; ``shortest``: least length of its stored array that leaves them enough frames.
        archives: the number of the archive that each usable item lies in; empty unless all lie in some.
        findings: every finding, in manifest order.
        symbols: how often each symbol occurs in the transcripts of readable items.
        groups: speakers or writers of usable items; ``empty``: how many of these are marked as holding nothing (:attr:`Item.empty`).
        total: items looked at.
    """

    usable: Sequence[Item] = ()
    frames: array[int] = field(default_factory=lambda: array("q"))
    labels: array[int] = field(default_factory=lambda: array("q"))
    shortest: array[int] = field(default_factory=lambda: array("q"))
    archives: array[int] = field(default_factory=lambda: array("q"))
    findings: list[Finding] = field(default_factory=list)
    symbols: Counter[str] = field(default_factory=Counter)
    groups: set[str] = field(default_factory=set)
    empty: int = 0
    total: int = 0

    @property
    def excluded(self) -> list[Finding]:
        """The findings that keep an item out of training, at most one an item."""
        return [finding for finding in self.findings if finding.excludes]


@dataclass(frozen=True)
class Auditor:
    """How items are judged.

    Args:
        features: how sources are read.
        text: which transcript is the target.
        frames: feature frames of a stored array, from its length (samples, columns or points).
        output_frames: frames left for CTC, from feature frames.
        alphabet: symbols that can be written; None accepts all (the alphabet is then made from the items).
        max_frames: most feature frames of one item; None for no limit.
        cache: where arrays are kept; None to decode again each time.
    """

    features: Features
    text: TextConfig
    frames: Callable[[int], int]
    output_frames: Callable[[int], int]
    alphabet: Alphabet | None = None
    max_frames: int | None = None
    cache: ArrayCache | None = None

    def audit(self, items: Sequence[Item], progress: Callable[[int], None] | None = None) -> Audit:
        """Read and judge every item; ``progress`` is called with the number done so far."""
        result, places, numbers = Audit(total=len(items)), array("q"), dict[Path | None, int]()
        for done, (item, content) in enumerate(self._read(items), start=1):
            finding = self._judge(item, content, result)
            if finding is not None:
                result.findings.append(finding)
            if len(result.frames) > len(places):
                places.append(done - 1)
                result.archives.append(numbers.setdefault(find_archive(item.source), len(numbers)))
            if progress is not None:
                progress(done)
        if None in numbers:
            del result.archives[:]
        result.usable = items.select(places) if isinstance(items, ManifestItems) else [items[place] for place in places]
        if self.cache is not None:
            self.cache.save()
        return result

    def _read(self, items: Sequence[Item]) -> Iterator[tuple[Item, np.ndarray | InputError]]:
        """Items with their arrays, in order; decoding runs in threads, a bounded number of items ahead."""

        def load(item: Item) -> tuple[np.ndarray | InputError, bool]:
            kept = self.cache.get(item.source) if self.cache is not None else None
            if kept is not None:
                return kept, False
            try:
                return read_array(item.source, self.features), True
            except InputError as error:
                return error, False

        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for start in range(0, len(items), READ_AHEAD):
                some = items[start : start + READ_AHEAD]
                for item, (array, decoded) in zip(some, pool.map(load, some), strict=True):
                    if decoded and isinstance(array, np.ndarray) and self.cache is not None:
                        self.cache.add(item.source, array)
                    yield item, array

    def _judge(self, item: Item, array: np.ndarray | InputError, result: Audit) -> Finding | None:
        """Add an item to the usable ones, or say why it is none; what is to be said of a usable one."""
        if isinstance(array, InputError):
            return Finding(item, "unreadable", f"{item.id}: {array}{_advise(item.source, self.features)}")
        transcript = target_in_frames(item, self.text, self.features)
        if transcript is None or (not transcript and not item.empty):
            missing = "is empty" if transcript is not None else "is not in the manifest"
            name = "text" if self.text.level == "characters" else "units"
            return Finding(item, "no transcript", f"{item.id}: the transcript ({name!r}) {missing}")
        symbols = split(transcript, self.text.level)
        result.symbols.update(symbols)
        if self.alphabet is not None and (unknown := self.alphabet.unknown(transcript)):
            return Finding(item, "unknown symbols", f"{item.id}: not in the alphabet: {', '.join(map(repr, unknown))}")
        if is_empty(array) and not item.empty:
            content = "only silence" if array.ndim == 1 else "a blank line"
            return Finding(item, "silent or blank", f"{item.id}: {item.source} holds {content}")
        frames = self.frames(len(array))
        if self.max_frames is not None and frames > self.max_frames:
            message = f"{item.id}: {frames} frames, more than a batch may have ({self.max_frames}): cut it, or raise trainer.batch_frames to {frames}"
            return Finding(item, "too long", message)
        needed, available = max(1, required_frames(symbols)), self.output_frames(frames)
        if needed > available:
            message = f"{item.id}: {len(symbols)} labels need {needed} frames, the encoder has {available}; {item.source}"
            return Finding(item, "more labels than frames", message)
        if item.group is not None:
            result.groups.add(item.group)
        result.empty += item.empty
        result.frames.append(frames)
        result.labels.append(len(symbols))
        result.shortest.append(bisect_left(range(len(array)), needed, key=lambda length: self.output_frames(self.frames(length))))
        return Finding(item, "clipped", f"{item.id}: {item.source} is clipped") if is_clipped(array) else None

    def report(self, result: Audit) -> dict[str, Any]:
        """The outcome as plain numbers and lists, ready for JSON."""
        figures: dict[str, Any] = {
            "items": result.total,
            "usable": len(result.usable),
            "empty": result.empty,
            "groups": len(result.groups),
            "findings": dict(Counter(f.kind for f in result.findings)),
            "symbols": dict(result.symbols.most_common()),
            "frames": quartiles(result.frames),
            "labels": quartiles(result.labels),
        }
        hop = getattr(self.features, "hop_ms", None)
        return figures if hop is None else figures | {"hours": round(sum(result.frames) * hop / 3_600_000, 4)}


def _advise(source: Path, features: Features) -> str:
    """What to set where the ending of a file says that these features do not read its kind; else nothing."""
    return next((f"; its ending is that of {name}: read it with {setting}" for kind, modality, name, setting in KINDS
                 if source.suffix.lower() in SUFFIXES[modality] and not isinstance(features, kind)), "")  # fmt: skip


def find_copies(items: Sequence[Item], others: Sequence[Item]) -> list[tuple[Item, Item]]:
    """Items whose file has the content, byte for byte, of a file of ``others``, each with the first such item.

    Files are compared by their size and then by their SHA-256; what cannot be read has no copies.
    """
    sizes = {size for item in items if (size := file_size(item.source))}
    known: dict[str, Item] = {}
    for other in others:
        if file_size(other.source) in sizes and (digest := _digest(other.source)):
            known.setdefault(digest, other)
    wanted = {file_size(other.source) for other in known.values()}
    pairs = ((item, known.get(_digest(item.source) or "")) for item in items if file_size(item.source) in wanted)
    return [(item, other) for item, other in pairs if other is not None]


def _digest(path: Path) -> str | None:
    try:
        with as_file(path) as place, place.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, InputError):
        return None


def required_frames(symbols: Sequence[object]) -> int:
    """Fewest frames that can emit a label sequence: one a label, and a blank between two equal neighbors."""
    return len(symbols) + sum(a == b for a, b in pairwise(symbols))


def quartiles(values: Sequence[int]) -> list[int]:
    """Minimum, lower quartile, median, upper quartile and maximum; empty for no values."""
    return [int(v) for v in np.percentile(values, [0, 25, 50, 75, 100])] if len(values) else []
