"""Items without texts, which an adapted recognizer reads for itself: those that it is sure of are learnt like corrected ones (Kahn et al. 2020)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from recognizer.config import Modality
from recognizer.data.manifest import Item, load_manifest
from recognizer.data.project import SUFFIXES
from recognizer.errors import ManifestError
from recognizer.inference.recognizer import Recognizer

SURE = 0.9  # share of the words of an item that are likely to be right, from which on it counts as read rightly
MOST = 4  # times as many as there are corrected items


def find_unlabelled(places: Iterable[Path], modality: Modality, known: Iterable[Path]) -> list[Path]:
    """Files to read: those named, those in folders, the sources of manifests; none of the corrected ones.

    Raises:
        ManifestError: one is not there, or there are none of the kind that the recognizer reads.
    """
    found: dict[Path, None] = {}
    listed = list(places)
    for place in listed:
        if place.is_dir():
            found |= dict.fromkeys(path.absolute() for path in sorted(place.rglob("*")) if path.suffix.lower() in SUFFIXES[modality])
        elif place.suffix == ".jsonl":
            found |= dict.fromkeys(item.source for item in load_manifest(place))
        elif place.is_file():
            found[place.absolute()] = None
        else:
            raise ManifestError(f"--unlabelled: {place}: no such file or folder")
    corrected = {path.resolve() for path in known}
    files = [path for path in found if path.suffix.lower() in SUFFIXES[modality] and path.resolve() not in corrected]
    if listed and not files:
        raise ManifestError(f"--unlabelled: {listed[0]}: holds no further files that this model reads")
    return files


def read_unlabelled(recognizer: Recognizer, files: Sequence[Path], corrected: int) -> list[Item]:
    """Items with the texts that a recognizer is sure of, the surest first, at most four times as many as were corrected."""
    sure: list[tuple[float, Item]] = []
    for path, transcript in zip(files, recognizer.transcribe(files, times=True), strict=True):
        confidence = transcript.confidence
        if confidence is not None and confidence >= SURE and transcript.text.strip():
            units = transcript.units if recognizer.alphabet.level == "units" else None
            sure.append((confidence, Item(f"unlabelled:{path}", path, text=transcript.text, units=units)))
    sure.sort(key=lambda entry: (-entry[0], entry[1].id))
    return [item for _, item in sure[: MOST * corrected]]
