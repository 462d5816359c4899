"""The bundles that can be used by name, with what their model cards say: what they read, how often they err."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recognizer.bundle.io import CARD, CONFIG
from recognizer.bundle.registry import model_folders, own_bundles, shipped_bundles
from recognizer.config import Modality
from recognizer.errors import InputError
from recognizer.utils.reading import parse_yaml

MODALITIES: dict[str, Modality] = {"pixels": "line", "geometric": "line", "strokes": "strokes"}  # by features.kind; all others are of sound
_RATES = ("CER", "WER", "UER")  # as columns of the measured table are headed


@dataclass(frozen=True)
class CardFacts:
    """What a model card says in lines that are written alike in every card.

    Attributes:
        reads: after "Reads:", "Recognizes:" or "Task:", to the first semicolon.
        language: after "Language:"; the code where one stands in brackets.
        errors: error rates of the first measured set with their intervals, with the bundle's own decoder, by name:
            ``{"WER": "32.1 % [26.7, 38.0]"}``; of a card without measurements the validation error of training.
        measured_on: the set's name.
    """

    reads: str = ""
    language: str = ""
    errors: dict[str, str] = field(default_factory=dict)
    measured_on: str = ""


@dataclass(frozen=True)
class CatalogEntry:
    """A bundle that can be used by name.

    Attributes:
        name: after ``-m``.
        folder: where it lies.
        ships: whether it came with the package.
        kind: "audio", "line" or "strokes"; empty where its settings cannot be read.
        size: of all its files, bytes.
        card: what its card says.
    """

    name: str
    folder: Path
    ships: bool
    kind: str
    size: int
    card: CardFacts

    def to_json(self) -> dict[str, Any]:
        """Its parts as values that JSON can hold."""
        facts = {"reads": self.card.reads, "language": self.card.language, "errors": self.card.errors, "measured_on": self.card.measured_on}
        return {"name": self.name, "folder": str(self.folder), "ships": self.ships, "kind": self.kind, "bytes": self.size, **facts}


def list_models() -> list[CatalogEntry]:
    """Those that ship, then those in the user's folders (:func:`~recognizer.bundle.registry.model_folders`), each by name."""
    shipped = shipped_bundles()
    entries = [_read_entry(name, folder, True) for name, folder in shipped.items()]
    return entries + [_read_entry(name, folder, False) for name, folder in own_bundles().items() if name not in shipped]


def hidden_models() -> dict[str, Path]:
    """Bundles in the user's folders that have the name of another one, which is used in their place; by their folder's path they can be used."""
    used = {entry.folder for entry in list_models()}
    found = (path for folder in model_folders() for path in sorted(own_bundles([folder]).values()))
    return {path.name: path for path in found if path not in used}


def read_card_facts(text: str) -> CardFacts:
    """What a model card says; whatever is not there stays empty."""
    reads = re.search(r"^\* (?:Reads|Recognizes|Task): *([^;\n]*?)[.;]?\s*(?:;.*)?$", text, re.MULTILINE)
    language = re.search(r"^\* Language: *(.+?)\.?$", text, re.MULTILINE)
    code = re.search(r"\(([A-Za-z]{2,3}(?:-\w+)*)\)", language[1]) if language else None
    errors, measured_on = _measured(text)
    validation = re.search(r"^\* Validation error \((\w+).*?\): ([\d.]+ %)", text, re.MULTILINE)
    if not errors and validation:
        errors = {f"{'CER' if validation[1] == 'character' else 'UER'} in training": validation[2]}
    return CardFacts(reads[1].strip() if reads else "", code[1] if code else language[1] if language else "", errors, measured_on)


def _measured(text: str) -> tuple[dict[str, str], str]:
    """The error rates of the first set of the measured table, of its last decoder, and the set's name."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    start = next((n for n, row in enumerate(rows) if row[:3] == ["set", "decoder", "items"]), None)
    if start is None:
        return {}, ""
    head, body = rows[start], rows[start + 2 :]
    own = [row for row in body if len(row) == len(head) and row[0] == body[0][0]]
    last = dict(zip(head, own[-1], strict=True)) if own else {}
    return {name: last[name] for name in _RATES if name in last}, last.get("set", "")


def _read_entry(name: str, folder: Path, ships: bool) -> CatalogEntry:
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    try:
        card = (folder / CARD).read_text(encoding="utf-8", errors="replace")
    except OSError:
        card = ""
    return CatalogEntry(name, folder, ships, _read_kind(folder), size, read_card_facts(card))


def _read_kind(folder: Path) -> str:
    try:
        settings = parse_yaml((folder / CONFIG).read_text(encoding="utf-8"), CONFIG)
        return MODALITIES.get(str(settings["features"]["kind"]), "audio")
    except (OSError, UnicodeDecodeError, InputError, KeyError, TypeError):
        return ""
