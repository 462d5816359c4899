"""A project at work: what is read in the background, and how an item looks in full."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from typing import Any

from PIL import Image

from recognizer.errors import InputError, RecognizerError
from recognizer.image.io import load_image
from recognizer.inference.pages import looks_like_page
from recognizer.pages.cut import cut_level
from recognizer.serve.batcher import Job, Options
from recognizer.serve.events import Events
from recognizer.serve.failures import ApiError
from recognizer.serve.library import LINES, Entry, Library
from recognizer.serve.service import Service
from recognizer.serve.uploads import Upload, check_picture, check_recording
from recognizer.serve.wording import place_words, word_alternatives
from recognizer.types import Transcript, Word
from recognizer.utils.files import new_file, open_folder

AT_ONCE = 8  # items that are read in the background at a time; clients who wait come in between
N_BEST = 8
RETRY_SECONDS = 1.0  # after which an item is tried again that found the queue full

log = logging.getLogger("recognizer.serve")


class Desk:
    """Reads the new items of a project, one after the other, and tells the open pages.

    Args:
        service: whose recognizers read.

    Attributes:
        library: the items.
        events: the channel to the pages.
    """

    def __init__(self, service: Service) -> None:
        assert service.project is not None
        self.service, self.project = service, service.project
        self.library = Library(self.project)
        self.events = Events()
        self._waiting: deque[str] = deque()
        self._there = asyncio.Event()
        self._readers: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Load the project and begin to read what is new."""
        self.events.start()
        await asyncio.to_thread(self.library.load)
        self.queue(self.library.unread())
        self._readers = [asyncio.create_task(self._read_on()) for _ in range(AT_ONCE)]

    async def stop(self) -> None:
        """End reading; what is being read is left for the next start."""
        for task in self._readers:
            task.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)

    @property
    def waiting(self) -> int:
        """How many items are still to be read."""
        return len(self._waiting)

    def queue(self, ids: list[str]) -> None:
        """Have items read, after those that wait already."""
        known = set(self._waiting)
        self._waiting.extend(id for id in ids if id not in known)
        if self._waiting:
            self._there.set()

    async def _read_on(self) -> None:
        while True:
            while not self._waiting:
                self._there.clear()
                await self._there.wait()
            id = self._waiting.popleft()
            try:
                await self._read(id)
            except ApiError as error:
                if error.status == 429:
                    await asyncio.sleep(RETRY_SECONDS)
                    self.queue([id])
            except Exception as error:  # one item's failure is not to end the reading of all others
                log.error(json.dumps({"event": "failure", "type": type(error).__name__}))

    async def _read(self, id: str) -> None:
        entry = self.library.get(id)
        model = self.service.models.get(entry.source.modality)
        if model is None:
            return
        try:
            job = await asyncio.to_thread(self._prepare, entry)
            transcript = await self.service.recognize(job, None, Upload(entry.source.path, entry.source.name))
            await asyncio.to_thread(self._cut_lines, entry, transcript)
        except ApiError as error:
            if error.status == 429:
                raise
            transcript = Transcript(str(entry.source.path), error=error.message)
        try:
            entry = await asyncio.to_thread(self.library.read, id, model.name, transcript)
        except RecognizerError as error:  # a full disk: the next start reads it again
            self.events.send("failure", {"id": id, "error": str(error)})
            return
        self.events.send("item", describe_entry(entry))
        self.events.send("counts", self.library.counts() | {"waiting": self.waiting})

    def _prepare(self, entry: Entry) -> Job:
        """The job that reads an item, its file looked at."""
        path, limits, modality = entry.source.path, self.service.limits, entry.source.modality
        upload = Upload(path, entry.source.name)
        if modality == "audio":
            return Job(path, Options("audio", True, N_BEST), max(0.01, check_recording(upload, limits).seconds))
        if modality == "strokes":
            return Job(path, Options("strokes", True, N_BEST))
        width = check_picture(upload, limits).width
        try:
            page = looks_like_page(load_image(path))
        except InputError as error:
            raise ApiError(422, upload.explain(error)) from None
        return Job(path, Options("line", True, 1 if page else N_BEST, page=page), width)

    def _cut_lines(self, entry: Entry, transcript: Transcript) -> None:
        """Lines of a page as pictures of their own, by which they are shown, corrected and taught."""
        if not transcript.lines:
            return
        page = Image.fromarray(load_image(entry.source.path))
        folder = open_folder(self.project.folder / LINES / entry.id)
        for line in transcript.lines:
            path = folder / f"{line.id}.png"
            if line.error is not None or path.exists():
                continue
            try:
                picture = cut_level(page, line.outline, line.baseline).picture
                with new_file(path) as partial:
                    picture.save(partial, "PNG")
            except ValueError:
                continue

    def transcript(self, entry: Entry) -> Transcript | None:
        """What was read in an item, with its corrections and the words of these where they belong; None: not read yet."""
        if entry.page is not None:
            return self._line_transcript(entry)
        reading = self.project.reading(entry.id)
        if reading is None:
            return None
        return correct_transcript(entry, reading.transcript, self.library)

    def _line_transcript(self, entry: Entry) -> Transcript | None:
        reading = None if entry.page is None else self.project.reading(entry.page)
        line = next((line for line in reading.transcript.lines if f"{entry.page}.{line.id}" == entry.id), None) if reading else None
        if line is None:
            return None
        left = min((x for x, _ in line.outline), default=0.0)
        words = tuple(Word(word.text, word.start - left, word.end - left, word.confidence) for word in line.words)
        width = round(max((x for x, _ in line.outline), default=0.0) - left)
        found = Transcript(str(entry.source.path), line.text, words=words, width=width)
        return correct_transcript(entry, found, self.library)

    def describe(self, entry: Entry) -> dict[str, Any]:
        """An item in full."""
        record = describe_entry(entry)
        reading = self.project.reading(entry.page or entry.id)
        shown = self.transcript(entry)
        if shown is None or reading is None:
            return record | {"words": [], "alternatives": [], "lines": []}
        read = self._line_words(entry, reading.transcript) if entry.page else reading.transcript.words
        others = [] if entry.page else list(reading.transcript.alternatives)
        choices = word_alternatives(read, others) if entry.correction is None else []
        words = [_describe_word(word) for word in shown.words]
        for word, texts in zip(words, choices, strict=False):
            word["alternatives"] = texts
        correction = entry.correction
        return record | {
            "words": words,
            "alternatives": [other.text for other in others],
            "lines": [describe_entry(self.library.get(id)) | {"outline": line.outline} for id, line in zip(entry.lines, shown.lines, strict=False)],
            "height": shown.height,
            "can_undo": correction is not None,
            "earlier": [] if correction is None else [earlier["text"] for earlier in correction.earlier],
        }

    def _line_words(self, entry: Entry, page: Transcript) -> tuple[Word, ...]:
        line = next((line for line in page.lines if f"{entry.page}.{line.id}" == entry.id), None)
        return () if line is None else line.words


def correct_transcript(entry: Entry, transcript: Transcript, library: Library) -> Transcript:
    """A transcript with the corrections of an item, or of the lines of a page; changed words are put where they belong."""
    from dataclasses import replace

    if transcript.lines:
        lines = []
        for id, line in zip(entry.lines, transcript.lines, strict=False):
            correction = library.get(id).correction
            if correction is not None:
                left, right = (pick((x for x, _ in line.outline), default=0.0) for pick in (min, max))
                words = tuple(replace(word, box=_box(word, line.outline)) for word in place_words(correction.text, line.words, right) if right > left)
                line = replace(line, text=" ".join(correction.text.split()), words=words, confidence=None, error=None)
            lines.append(line)
        return replace(transcript, lines=tuple(lines), text="\n".join(line.text for line in lines if line.text))
    if entry.correction is None:
        return transcript
    end = transcript.seconds if transcript.seconds is not None else float(transcript.width or 0)
    words = place_words(entry.correction.text, transcript.words, end)
    return replace(transcript, text=entry.correction.text, words=words, tokens=(), alternatives=(), error=None)


def _box(word: Word, outline: tuple[tuple[float, float], ...]) -> tuple[float, float, float, float]:
    if word.box is not None:
        return word.box
    ys = [y for _, y in outline]
    return (word.start, min(ys), word.end, max(ys))


def describe_entry(entry: Entry) -> dict[str, Any]:
    """An item as a line of the list."""
    return {
        "id": entry.id, "name": entry.source.name, "group": entry.source.group, "kind": entry.kind, "state": entry.state,
        "text": entry.shown, "read": entry.text, "confidence": None if entry.confidence is None else round(entry.confidence, 4),
        "seconds": entry.seconds, "width": entry.width, "error": entry.error, "model": entry.model, "time": entry.time or None,
        "page": entry.page,
    }  # fmt: skip


def _describe_word(word: Word) -> dict[str, Any]:
    return {
        "text": word.text, "start": round(word.start, 3), "end": round(word.end, 3),
        "confidence": None if word.confidence is None else round(word.confidence, 4), "box": word.box, "alternatives": [],
    }  # fmt: skip
