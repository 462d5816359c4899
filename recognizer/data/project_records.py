"""What the files of a project say: its sources, corrections and readings as values."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recognizer.audio.io import AUDIO_SUFFIXES
from recognizer.config import Modality
from recognizer.data.project_files import load_record
from recognizer.errors import InputError, RecognizerWarning
from recognizer.image.io import IMAGE_SUFFIXES
from recognizer.strokes.io import STROKE_SUFFIXES
from recognizer.types import Transcript

SETTINGS = "project.json"
FORMAT, VERSION = "recognizer project", 1
SUFFIXES: dict[Modality, frozenset[str]] = {"audio": AUDIO_SUFFIXES, "line": IMAGE_SUFFIXES, "strokes": STROKE_SUFFIXES}


@dataclass(frozen=True)
class Source:
    """A file of a project.

    Attributes:
        id: by which everything about it is found.
        name: as it was before it came here.
        path: where it lies.
        modality: what its ending says that it holds.
        group: the folder that it lies in, as speaker or writer; None: directly in ``sources``.
    """

    id: str
    name: str
    path: Path
    modality: Modality
    group: str | None = None


@dataclass(frozen=True)
class Correction:
    """What somebody wrote about a source.

    Attributes:
        id: of the source.
        source: the file, absolute.
        text: what is said or written there; empty: nothing.
        time: when, ISO 8601 in UTC.
        read: what had been recognized; ``model``: by which model.
        earlier: what had been written before, oldest first.
    """

    id: str
    source: Path
    text: str
    time: str
    read: str | None = None
    model: str | None = None
    earlier: tuple[dict[str, str], ...] = ()


@dataclass(frozen=True)
class Reading:
    """What a model recognized in a source, and when (ISO 8601 in UTC)."""

    id: str
    model: str
    time: str
    transcript: Transcript


def now() -> str:
    """The time, ISO 8601 in UTC, to the microsecond."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def load_settings(folder: Path) -> dict[str, Any]:
    """What ``project.json`` says; raises InputError if the folder is no project, or one of a newer version."""
    record = load_record(folder / SETTINGS)
    if record.get("format") != FORMAT:
        raise InputError(f"{folder}: is no project; `recognizer serve {folder}` makes one of a new folder")
    version = record.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise InputError(f"{folder / SETTINGS}: a project of version {version!s:.20}, made by a newer program; this one knows version {VERSION}")
    models = record.get("models")
    if not isinstance(models, dict) or not all(kind in SUFFIXES and isinstance(name, str) for kind, name in models.items()):
        raise InputError(f"{folder / SETTINGS}: the key 'models' must give names of models for {', '.join(SUFFIXES)}")
    return record


def load_corrections(folder: Path) -> list[Correction]:
    """All corrections of a project, oldest first; a damaged file is noted and left out."""
    found = []
    for path in sorted((folder / "corrections").glob("*.json")):
        try:
            found.append(load_correction(folder, path))
        except InputError as error:
            warnings.warn(f"{error}; this correction is left out", RecognizerWarning, stacklevel=2)
    return sorted(found, key=lambda correction: (correction.time, correction.id))


def load_correction(folder: Path, path: Path) -> Correction:
    """One correction; raises InputError if the file is damaged, or names a source outside the project."""
    record = load_record(path)
    for key in ("source", "text", "time"):
        if not isinstance(record.get(key), str):
            raise InputError(f"{path}: the key {key!r} must be a string")
    source = folder / record["source"]
    parts = Path(record["source"]).parts
    if len(parts) < 2 or parts[0] not in ("sources", "lines") or ".." in parts:
        raise InputError(f"{path}: its source {record['source']!r:.100} lies outside the project")
    earlier = record.get("earlier") or []
    texts = [each.get(key) for each in earlier if isinstance(each, dict) for key in ("text", "time")] if isinstance(earlier, list) else [None]
    if not all(isinstance(text, str) for text in texts) or len(texts) != 2 * len(earlier):
        raise InputError(f"{path}: the key 'earlier' must be a list of texts with times")
    read, model = (value if isinstance(value := record.get(key), str) else None for key in ("read", "model"))
    return Correction(path.stem, source, record["text"], record["time"], read, model, tuple(earlier))
