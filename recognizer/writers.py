"""Output formats of transcripts: one class each, found by name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from xml.sax.saxutils import escape

from recognizer.config import Modality
from recognizer.decoding.timing import Token, Word
from recognizer.errors import ConfigError, InputError, nearest
from recognizer.features.image_file import image_size
from recognizer.layout import render_alto, render_page
from recognizer.pipeline import Transcript
from recognizer.subtitles import cut_cues


class Writer(Protocol):
    """Turns a transcript into what a file or a line of standard output holds.

    Attributes:
        suffix: of the files.
        modality: what it can write about; None: everything.
        timed: whether it cannot do without times of words or tokens.
    """

    suffix: str
    modality: Modality | None = None
    timed: bool = False

    def render(self, transcript: Transcript) -> str:
        """The text for one transcript, without a final newline."""
        ...


class Txt(Writer):
    """The bare text."""

    suffix = ".txt"

    def render(self, transcript: Transcript) -> str:
        """The text."""
        return transcript.text


class Jsonl(Writer):
    """One JSON object a source: where it came from, the text, its symbols, duration or width, score, and times where there are any."""

    suffix = ".jsonl"
    indent: int | None = None

    def render(self, transcript: Transcript) -> str:
        """The JSON object."""
        return dump_json(transcript_record(transcript), self.indent)


class Json(Jsonl):
    """What :class:`Jsonl` has, laid out for people."""

    suffix = ".json"
    indent = 1


class Tsv(Writer):
    """A table with a line a word: start, end, text; seconds, pixels from the left of a line image, or points of a prepared pen trace."""

    suffix = ".tsv"
    timed = True

    def render(self, transcript: Transcript) -> str:
        """The table under its headings."""
        rows = [f"{entry.start:.3f}\t{entry.end:.3f}\t{_text(entry)}" for entry in timed_entries(transcript, "tsv")]
        return "\n".join(["start\tend\ttext", *rows])


class Srt(Writer):
    """SubRip subtitles."""

    suffix = ".srt"
    modality = "audio"
    timed = True

    def render(self, transcript: Transcript) -> str:
        """Numbered lines with their times, a blank line after each but the last."""
        cues = cut_cues(_words(transcript, "srt"), transcript.seconds)
        return "\n\n".join(f"{n}\n{_clock(c.start, ',')} --> {_clock(c.end, ',')}\n{c.text}" for n, c in enumerate(cues, start=1))


class Vtt(Writer):
    """WebVTT subtitles."""

    suffix = ".vtt"
    modality = "audio"
    timed = True

    def render(self, transcript: Transcript) -> str:
        """The heading, then lines with their times."""
        cues = cut_cues(_words(transcript, "vtt"), transcript.seconds)
        return "\n\n".join(["WEBVTT", *(f"{_clock(c.start, '.')} --> {_clock(c.end, '.')}\n{escape(c.text)}" for c in cues)])


class Ctm(Writer):
    """NIST time-marked words, as sclite reads them: file, channel, start, duration, word, confidence if there is one."""

    suffix = ".ctm"
    modality = "audio"
    timed = True

    def render(self, transcript: Transcript) -> str:
        """A line a word; white space in the name of the file becomes ``_``."""
        name = "_".join(Path(transcript.source).stem.split())
        lines = []
        for entry in timed_entries(transcript, "ctm"):
            trust = "" if entry.confidence is None else f" {entry.confidence:.4f}"
            lines.append(f"{name} 1 {entry.start:.3f} {entry.end - entry.start:.3f} {_text(entry)}{trust}")
        return "\n".join(lines)


class TextGrid(Writer):
    """Praat's text format: a tier of words, if any are known, and a tier of tokens."""

    suffix = ".TextGrid"
    modality = "audio"
    timed = True

    def render(self, transcript: Transcript) -> str:
        """The tiers, each without a gap: what lies between words or tokens is an interval without text."""
        timed_entries(transcript, "textgrid")
        tiers = [(name, entries) for name, entries in (("words", transcript.words), ("tokens", transcript.tokens)) if entries]
        tiers = tiers or [("words", ())]
        end = max([transcript.seconds or 0.0, *(entry.end for _, entries in tiers for entry in entries)])
        limits = ["xmin = 0", f"xmax = {end:.6f}"]
        lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", *limits, "tiers? <exists>", f"size = {len(tiers)}", "item []:"]
        for n, (name, entries) in enumerate(tiers, start=1):
            intervals = _without_gaps(entries, end)
            inner = ['class = "IntervalTier"', f'name = "{name}"', *limits, f"intervals: size = {len(intervals)}"]
            lines += [f"    item [{n}]:", *(f"        {line}" for line in inner)]
            for m, (first, last, text) in enumerate(intervals, start=1):
                doubled = text.replace('"', '""')
                lines += [f"        intervals [{m}]:", f"            xmin = {first:.6f}", f"            xmax = {last:.6f}"]
                lines.append(f'            text = "{doubled}"')
        return "\n".join(lines)


class Alto(Writer):
    """ALTO XML of a line image (:func:`~recognizer.layout.render_alto`); the picture is opened for its size."""

    suffix = ".alto.xml"
    modality = "line"
    timed = True

    def render(self, transcript: Transcript) -> str:
        """The document.

        Raises:
            InputError: no words, or the picture cannot be read.
        """
        words = _words(transcript, "alto")
        return render_alto(words, _printable(transcript.source), *image_size(transcript.source))


class Page(Writer):
    """PAGE XML of a line image (:func:`~recognizer.layout.render_page`); the picture is opened for its size."""

    suffix = ".page.xml"
    modality = "line"
    timed = True

    def render(self, transcript: Transcript) -> str:
        """The document; raises as :class:`Alto`."""
        words = _words(transcript, "page")
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return render_page(words, transcript.text, _printable(transcript.source), *image_size(transcript.source), now)


WRITERS: dict[str, Writer] = {
    "txt": Txt(), "jsonl": Jsonl(), "json": Json(), "tsv": Tsv(), "srt": Srt(), "vtt": Vtt(), "ctm": Ctm(), "textgrid": TextGrid(), "alto": Alto(),
    "page": Page(),
}  # fmt: skip


SUBJECTS: dict[Modality, str] = {"audio": "recordings", "line": "line images", "strokes": "pen traces"}


def choose_writers(names: str, modality: Modality | None = None) -> list[Writer]:
    """The writers of a comma-separated list.

    Raises:
        ConfigError: an unknown format, named with the nearest known one, or one that cannot write about what is recognised.
    """
    chosen = []
    for name in names.split(","):
        if name not in WRITERS:
            raise ConfigError(f"--format: {name!r} is not one of {', '.join(WRITERS)}{nearest(name, WRITERS)}")
        writer = WRITERS[name]
        if modality is not None and writer.modality not in (None, modality):
            subject, given = (SUBJECTS[reads] for reads in (writer.modality, modality))
            fitting = ", ".join(other for other, w in WRITERS.items() if w.modality in (None, modality))
            raise ConfigError(f"--format: {name} is for {subject}, the recogniser reads {given}; choose among {fitting}")
        chosen.append(writer)
    return chosen


def open_folder(name: str | None) -> Path | None:
    """The folder that results go to, made if need be; None where none was named.

    Raises:
        InputError: it cannot be made.
    """
    if not name:
        return None
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made: {error.strerror}") from None
    return folder


def write_file(transcript: Transcript, writer: Writer, folder: Path) -> Path:
    """Write a transcript to ``folder`` under the name of its source; the file appears whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    return save_text(writer.render(transcript), folder / (Path(transcript.source).name + writer.suffix))


def save_text(text: str, path: Path) -> Path:
    """Write text and a final newline; the file appears whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text(text + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None
    return path


def transcript_record(transcript: Transcript) -> dict[str, Any]:
    """A transcript as plain values: what JSON can hold, times and scores rounded, without what is not known."""
    record: dict[str, Any] = {
        "source": transcript.source, "text": transcript.text, "units": list(transcript.units), "score": round(transcript.score, 4),
    }  # fmt: skip
    if transcript.language or transcript.bonus:
        record |= {name: round(getattr(transcript, name), 4) for name in ("acoustic", "language", "bonus")}
    if transcript.seconds is not None:
        record["seconds"] = round(transcript.seconds, 3)
    if transcript.width is not None:
        record["width"] = transcript.width
    for name, entries in (("words", transcript.words), ("tokens", transcript.tokens)):
        if entries:
            record[name] = [_entry_record(entry) for entry in entries]
    if transcript.alternatives:
        record["alternatives"] = [{"text": other.text, "score": round(other.score, 4)} for other in transcript.alternatives]
    return record


def dump_json(record: dict[str, Any], indent: int | None = None) -> str:
    """JSON text; bytes of a file name that are not UTF-8 become escapes, which JSON can hold."""
    return _printable(json.dumps(record, ensure_ascii=False, indent=indent))


def timed_entries(transcript: Transcript, name: str) -> Sequence[Word | Token]:
    """The words of a transcript, or its tokens where no words are known, for the format ``name``.

    Raises:
        InputError: there is text but no times, or the format is for recordings and this is none.
    """
    if transcript.seconds is None and WRITERS[name].modality == "audio":
        raise InputError(f"{transcript.source}: {name} is for recordings; choose tsv, json or alto for a line image")
    entries: Sequence[Word | Token] = transcript.words or transcript.tokens
    if transcript.text and not entries:
        raise InputError(f"{transcript.source}: {name} needs the times of words, and the transcript has none")
    return entries


def _words(transcript: Transcript, name: str) -> list[Word]:
    return [Word(_text(entry), entry.start, entry.end, entry.confidence) for entry in timed_entries(transcript, name)]


def _text(entry: Word | Token) -> str:
    return entry.text if isinstance(entry, Word) else entry.symbol


def _entry_record(entry: Word | Token) -> dict[str, Any]:
    name = "text" if isinstance(entry, Word) else "symbol"
    record: dict[str, Any] = {name: _text(entry), "start": round(entry.start, 3), "end": round(entry.end, 3)}
    if entry.confidence is not None:
        record["confidence"] = round(entry.confidence, 4)
    return record


def _without_gaps(entries: Sequence[Word | Token], end: float) -> list[tuple[float, float, str]]:
    """Intervals from 0 to ``end`` that follow each other; entries shorter than a microsecond have no place in it."""
    intervals, reached = [], 0.0
    for entry in entries:
        if entry.end - max(entry.start, reached) < 1e-6:
            continue
        if entry.start - reached >= 1e-6:
            intervals.append((reached, entry.start, ""))
            reached = entry.start
        intervals.append((reached, entry.end, _text(entry)))
        reached = entry.end
    if end - reached >= 1e-6 or not intervals:
        intervals.append((reached, end, ""))
    return intervals


def _clock(seconds: float, point: str) -> str:
    """``hh:mm:ss.mmm`` with ``point`` before the milliseconds."""
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{milliseconds // 1000:02d}{point}{milliseconds % 1000:03d}"


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
