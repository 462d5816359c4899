"""Output formats of transcripts: one class each, found by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol

from recognizer.errors import ConfigError, InputError, nearest
from recognizer.pipeline import Transcript


class Writer(Protocol):
    """Turns a transcript into what a file or a line of standard output holds."""

    suffix: str

    def render(self, transcript: Transcript) -> str:
        """The text for one transcript, without a final newline."""
        ...


class Txt:
    """The bare text."""

    suffix = ".txt"

    def render(self, transcript: Transcript) -> str:
        """The text."""
        return transcript.text


class Jsonl:
    """One JSON object a source: where it came from, the text, its symbols, duration or width, and score."""

    suffix = ".jsonl"

    def render(self, transcript: Transcript) -> str:
        """The JSON object on one line."""
        record = {"source": transcript.source, "text": transcript.text, "units": list(transcript.units), "score": round(transcript.score, 4)}
        if transcript.seconds is not None:
            record["seconds"] = round(transcript.seconds, 3)
        if transcript.width is not None:
            record["width"] = transcript.width
        # bytes of a file name that are not UTF-8 become escapes, which JSON can hold
        return json.dumps(record, ensure_ascii=False).encode("utf-8", "backslashreplace").decode("utf-8")


WRITERS: dict[str, Writer] = {"txt": Txt(), "jsonl": Jsonl()}


def choose_writers(names: str) -> list[Writer]:
    """The writers of a comma-separated list.

    Raises:
        ConfigError: an unknown format, named with the nearest known one.
    """
    chosen = []
    for name in names.split(","):
        if name not in WRITERS:
            raise ConfigError(f"--format: {name!r} is not one of {', '.join(WRITERS)}{nearest(name, WRITERS)}")
        chosen.append(WRITERS[name])
    return chosen


def write_file(transcript: Transcript, writer: Writer, folder: Path) -> Path:
    """Write a transcript to ``folder`` under the name of its source; the file appears whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    path = folder / (Path(transcript.source).name + writer.suffix)
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text(writer.render(transcript) + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None
    return path
