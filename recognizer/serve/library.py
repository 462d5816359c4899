"""The sources of a project with what is known about each, held in memory so that lists and searches are quick; the files are the truth."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from recognizer.config import Modality
from recognizer.data.project import Correction, Project, Reading, Source
from recognizer.serve.failures import ApiError
from recognizer.types import Transcript

State = Literal["new", "read", "corrected", "learnt"]
STATES: tuple[State, ...] = ("new", "read", "corrected", "learnt")
LINES = "lines"  # folder of a project for lines cut out of pages


@dataclass(frozen=True)
class Entry:
    """A source, or a line of a page, as the list shows it.

    Attributes:
        source: the file; of a line the picture that was cut out.
        reading: what was recognized, without its details; ``None``: not read yet.
        text, confidence: of that reading; the confidence is the mean of its words'.
        correction: what somebody wrote; None: nothing.
        learnt: whether the model in use was taught this correction.
        lines: of a page, the ids of its lines.
        page: of a line, the id of its page.
    """

    source: Source
    kind: Literal["audio", "line", "page", "strokes"]
    model: str | None = None
    time: str = ""
    text: str = ""
    confidence: float | None = None
    seconds: float | None = None
    width: int | None = None
    error: str | None = None
    correction: Correction | None = None
    learnt: bool = False
    lines: tuple[str, ...] = ()
    page: str | None = None

    @property
    def id(self) -> str:
        """Of the source."""
        return self.source.id

    @property
    def state(self) -> State:
        """How far it has come."""
        if self.correction is not None:
            return "learnt" if self.learnt else "corrected"
        return "new" if self.model is None else "read"

    @property
    def shown(self) -> str:
        """The text as it stands: the correction where there is one."""
        return self.text if self.correction is None else self.correction.text


@dataclass
class Library:
    """All sources of a project.

    Attributes:
        project: their folder.
    """

    project: Project
    _entries: dict[str, Entry] = field(default_factory=dict)
    _learnt: dict[str, str] = field(default_factory=dict)  # time of the correction that was taught, by id
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _writing: threading.Lock = field(default_factory=threading.Lock)  # held until a file is on the disk, which lists do not wait for

    def load(self) -> None:
        """Read the project's files."""
        learnt: dict[str, str] = {}
        for lesson in self.project.history():
            if lesson.get("used") and isinstance(lesson.get("learnt"), dict):
                learnt |= lesson["learnt"]
        corrections = {correction.id: correction for correction in self.project.corrections()}
        with self._lock:
            self._learnt = learnt
            self._entries.clear()
            for source in self.project.sources():
                self._put(self._blank(source, corrections.get(source.id)))
                reading = self.project.reading(source.id, brief=True)
                if reading is not None:
                    self._fill(reading, corrections)

    def _blank(self, source: Source, correction: Correction | None = None) -> Entry:
        return self._taught(Entry(source, source.modality, correction=correction, time="" if correction is None else correction.time))

    def _taught(self, entry: Entry) -> Entry:
        correction = entry.correction
        return replace(entry, learnt=correction is not None and self._learnt.get(entry.id) == correction.time)

    def _put(self, entry: Entry) -> Entry:
        self._entries[entry.id] = entry
        return entry

    def _fill(self, reading: Reading, corrections: dict[str, Correction] | None = None) -> None:
        """Take over what was read, for a page line by line."""
        entry, transcript = self._entries[reading.id], reading.transcript
        kind = "page" if transcript.lines else "line" if entry.kind == "page" else entry.kind
        lines = tuple(f"{reading.id}.{line.id}" for line in transcript.lines)
        for gone in set(entry.lines) - set(lines):
            self._entries.pop(gone, None)
        time = max(reading.time, "" if entry.correction is None else entry.correction.time)
        common: dict[str, Any] = {"model": reading.model, "time": time}
        self._put(replace(entry, kind=kind, text=transcript.text, confidence=confidence(transcript), seconds=transcript.seconds,
                          width=transcript.width, error=transcript.error, lines=lines, **common))  # fmt: skip
        for id, line in zip(lines, transcript.lines, strict=True):
            picture = self.project.folder / LINES / reading.id / f"{line.id}.png"
            known = self._entries.get(id)
            correction = known.correction if known is not None else (corrections or {}).get(id)
            source = Source(id, f"{entry.source.name} {line.id}", picture, "line", entry.source.group)
            sure = confidence(Transcript(id, words=line.words)) or line.confidence  # as of other items: the mean of the words
            part = Entry(source, "line", text=line.text, confidence=sure, error=line.error, page=reading.id, **common)
            part = replace(part, correction=correction, time=part.time if correction is None else max(part.time, correction.time))
            self._put(self._taught(part))

    def get(self, id: str) -> Entry:
        """One entry; raises ApiError (404) if there is none."""
        entry = self._entries.get(id)
        if entry is None:
            raise ApiError(404, "no such item in this project")
        return entry

    def add(self, source: Source) -> Entry:
        """A source that was just added."""
        with self._lock:
            return self._entries.get(source.id) or self._put(self._blank(source))

    def by_id(self, id: str) -> Source | None:
        """The source of an id, if it is known."""
        entry = self._entries.get(id)
        return None if entry is None else entry.source

    def read(self, id: str, model: str, transcript: Transcript) -> Entry:
        """Keep what was recognized, in the project and here; raises OutputError if it cannot be written."""
        entry = self.get(id)
        reading = self.project.save_reading(id, entry.source.path, model, transcript)
        with self._lock:
            self._fill(reading)
            return self._entries[id]

    def correct(self, id: str, text: str) -> Entry:
        """Keep what somebody wrote; on return it is on the disk."""
        with self._writing:
            entry = self.get(id)
            correction = self.project.correct(id, entry.source.path, text, entry.text if entry.model is not None else None, entry.model)
            with self._lock:
                return self._put(self._taught(replace(self.get(id), correction=correction, time=correction.time)))

    def undo(self, id: str) -> Entry:
        """Take the last correction back."""
        with self._writing:
            self.get(id)
            correction = self.project.undo(id)
            with self._lock:
                return self._put(self._taught(replace(self.get(id), correction=correction)))

    def mark_learnt(self, learnt: dict[str, str]) -> None:
        """Note which corrections, by id and time, the model in use was taught."""
        with self._lock:
            self._learnt |= learnt
            for entry in list(self._entries.values()):
                self._put(self._taught(entry))

    def counts(self) -> dict[str, int]:
        """How many items are in each state; a page counts by its lines."""
        counts: dict[str, int] = dict.fromkeys(STATES, 0)
        for entry in self.leaves():
            counts[entry.state] += 1
        return counts

    def leaves(self) -> list[Entry]:
        """What can be corrected: everything but pages, for which their lines stand."""
        with self._lock:
            return [entry for entry in self._entries.values() if not entry.lines]

    def unread(self, modality: Modality | None = None, other_than: str | None = None) -> list[str]:
        """Ids of sources that nobody has corrected and that are not read yet, or were read by another model than ``other_than``."""
        with self._lock:
            wanted = [entry for entry in self._entries.values() if entry.page is None and (modality is None or entry.source.modality == modality)]
            return [entry.id for entry in wanted if entry.model is None or (other_than is not None and self._rereads(entry, other_than))]

    def _rereads(self, entry: Entry, model: str) -> bool:
        parts = [self._entries[id] for id in entry.lines if id in self._entries] or [entry]
        return entry.model != model and all(part.correction is None for part in parts)

    def find(self, states: Sequence[str], words: str, kinds: Sequence[str], sort: str, page: str | None = None) -> list[Entry]:
        """Entries in order.

        Args:
            states: only these; none: all.
            words: all of which the name or the text holds.
            kinds: only these ("audio", "line", "page", "strokes"); none: sources, pages and the lines within them.
            sort: "confidence" (the worst first, what has none last), "name" or "time" (the newest first).
            page: only lines of the page of this id.
        """
        needles = words.casefold().split()
        with self._lock:
            entries: Iterable[Entry] = list(self._entries.values())
        found = []
        for entry in entries:
            if (states and entry.state not in states) or (kinds and entry.kind not in kinds) or (page is not None and entry.page != page):
                continue
            if needles:
                hay = f"{entry.source.group or ''} {entry.source.name} {entry.shown}".casefold()
                if not all(needle in hay for needle in needles):
                    continue
            found.append(entry)
        if sort == "confidence":
            return sorted(found, key=lambda e: (e.correction is not None, e.confidence is None, e.confidence or 0.0, e.source.name, e.id))
        if sort == "time":
            return sorted(found, key=lambda e: e.time, reverse=True)
        return sorted(found, key=lambda e: (e.source.group or "", e.source.name, e.id))


def confidence(transcript: Transcript) -> float | None:
    """The mean confidence of the words of a transcript, over all lines of a page; None where none is known."""
    words = transcript.words or [word for line in transcript.lines for word in line.words]
    known = [word.confidence for word in words if word.confidence is not None]
    return sum(known) / len(known) if known else None


def picture_of(entry: Entry) -> Path:
    """The file of an entry; raises ApiError (404) if it is gone."""
    if not entry.source.path.is_file():
        raise ApiError(404, "the file of this item is not in the project any more")
    return entry.source.path

