"""JSON: one object for each input, on one line (jsonl) or indented (json)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from recognizer.formats.base import Writer, entry_text, printable
from recognizer.formats.collect import TextCollector
from recognizer.types import Line, Token, Transcript, Word


class Jsonl(Writer):
    """One JSON object on one line: the source, its text, tokens, duration or width, score, and times where there are any."""

    name, suffix = "jsonl", ".jsonl"
    indent: ClassVar[int | None] = None

    def render(self, transcript: Transcript) -> str:
        """The JSON object."""
        return dump_json(transcript_record(transcript), self.indent)

    def collect(self, folder: Path) -> TextCollector | None:
        """A line for each page of a source."""
        return TextCollector(self, folder) if self.indent is None else None


class Json(Jsonl):
    """The same object as :class:`Jsonl`, indented."""

    name, suffix = "json", ".json"
    indent = 1


def transcript_record(transcript: Transcript) -> dict[str, Any]:
    """A transcript as values that JSON can hold: times and scores rounded, what is unknown left out."""
    record: dict[str, Any] = {
        "source": transcript.source, "text": transcript.text, "units": list(transcript.units), "score": round(transcript.score, 4),
    }  # fmt: skip
    if transcript.language or transcript.bonus:
        record |= {name: round(getattr(transcript, name), 4) for name in ("acoustic", "language", "bonus")}
    if transcript.channel is not None:
        record["channel"] = transcript.channel
    if transcript.seconds is not None:
        record["seconds"] = round(transcript.seconds, 3)
    if transcript.width is not None:
        record["width"] = transcript.width
    for name in ("height", "page"):
        if getattr(transcript, name) is not None:
            record[name] = getattr(transcript, name)
    if transcript.lines or transcript.height is not None:
        record["lines"] = [_line_record(line) for line in transcript.lines]
    for name, entries in (("words", transcript.words), ("tokens", transcript.tokens)):
        if entries:
            record[name] = [_entry_record(entry) for entry in entries]
    if transcript.alternatives:
        record["alternatives"] = [{"text": other.text, "score": round(other.score, 4)} for other in transcript.alternatives]
    return record


def dump_json(record: dict[str, Any], indent: int | None = None) -> str:
    """JSON text in UTF-8; bytes of a file name that are not UTF-8 become escapes."""
    return printable(json.dumps(record, ensure_ascii=False, indent=indent))


def _entry_record(entry: Word | Token) -> dict[str, Any]:
    name = "text" if isinstance(entry, Word) else "symbol"
    record: dict[str, Any] = {name: entry_text(entry), "start": round(entry.start, 3), "end": round(entry.end, 3)}
    if entry.confidence is not None:
        record["confidence"] = round(entry.confidence, 4)
    if isinstance(entry, Word) and entry.box is not None:
        record["box"] = [round(value, 1) for value in entry.box]
    return record


def _line_record(line: Line) -> dict[str, Any]:
    record: dict[str, Any] = {"id": line.id, "text": line.text, "outline": _round_points(line.outline)}
    if line.region:
        record["region"] = line.region
    if line.baseline:
        record["baseline"] = _round_points(line.baseline)
    if line.confidence is not None:
        record["confidence"] = round(line.confidence, 4)
    if line.words:
        record["words"] = [_entry_record(word) for word in line.words]
    if line.error is not None:
        record["error"] = line.error
    return record


def _round_points(points: Sequence[tuple[float, float]]) -> list[list[float]]:
    return [[round(x, 1), round(y, 1)] for x, y in points]
