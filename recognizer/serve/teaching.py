"""A model learns from the corrections of a project, in a process of its own: progress, estimated end, cancelling, and what it brought."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recognizer.config import Modality
from recognizer.data.manifest import Item, save_manifest
from recognizer.data.project import Project, now, read_corrections
from recognizer.errors import InputError, ManifestError, RecognizerError
from recognizer.serve.desk import Desk
from recognizer.serve.failures import ApiError

NICE = 10  # how much the process steps back behind the service
END_SECONDS = 20.0  # that a process which was told to end has for it
MAX_LINE = 1 << 20  # bytes of a line of its log
MINUTES = 10.0

COMMAND: tuple[str, ...] = (sys.executable, "-m", "recognizer", "adapt")


@dataclass
class Lesson:
    """A lesson that goes on, or the last one.

    Attributes:
        state: "idle" before the first one.
        modality: of the corrections; ``bundle``: the model that learns; ``name``: that of the new one.
        items: how many corrections.
        stage, fraction, seconds_left: how far it is.
        result: what the worker says at the end: "before", "after", "interval", "metric", "items", "held_back", "minutes", "gained".
        error: why it failed.
    """

    state: str = "idle"
    modality: Modality | None = None
    bundle: str = ""
    name: str = ""
    items: int = 0
    stage: str = ""
    fraction: float = 0.0
    seconds_left: float | None = None
    started: str = ""
    result: dict[str, Any] | None = None
    error: str | None = None

    def describe(self) -> dict[str, Any]:
        """As a page shows it."""
        return dict(vars(self))


@dataclass
class Teacher:
    """Runs lessons, one at a time.

    Attributes:
        desk: whose project is taught.
        command: that runs the worker; words are added behind it.
        lesson: that goes on, or the last one.
    """

    desk: Desk
    command: Sequence[str] = COMMAND
    lesson: Lesson = field(default_factory=Lesson)
    _process: asyncio.subprocess.Process | None = None
    _task: asyncio.Task[None] | None = None

    def start(self, modality: Modality | None = None, minutes: float = MINUTES) -> Lesson:
        """Begin a lesson.

        Args:
            modality: of the corrections to learn from; None: the kind of which most are new.
            minutes: that it may take.

        Raises:
            ApiError: one goes on already (409), or there is nothing to learn from (409).
        """
        if self.lesson.state == "running":
            raise ApiError(409, "a lesson goes on already; wait for its end, or cancel it")
        project = self.desk.project
        chosen = modality or self._most_corrected()
        try:
            items = read_corrections(project.folder, chosen)
        except (ManifestError, InputError) as error:
            raise ApiError(409, str(error)) from None
        model = self.desk.service.choose(chosen)
        name = next_name(project, model.name)
        self.lesson = Lesson("running", chosen, model.name, name, len(items), "starting", started=now())
        taught = {entry.id: entry.correction.time for entry in self.desk.library.leaves() if entry.correction is not None}
        learnt = {item.id: taught[item.id] for item in items if item.id in taught}
        self._task = asyncio.create_task(self._run(self.lesson, items, model.folder, minutes, learnt))
        self._tell()
        return self.lesson

    def finish(self) -> Lesson:
        """Let the lesson that goes on end with the best that it has so far."""
        process = self._process
        if process is None or self.lesson.state != "running" or os.name == "nt":
            raise ApiError(409, "no lesson goes on that could be ended early")
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        return self.lesson

    async def cancel(self) -> Lesson:
        """End the lesson that goes on; the model in use stays."""
        if self._task is not None and self.lesson.state == "running":
            self.lesson.state = "cancelled"
            await self._end_process()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._tell()
        return self.lesson

    def _most_corrected(self) -> Modality:
        counts: dict[Modality, int] = {}
        for entry in self.desk.library.leaves():
            if entry.correction is not None:
                counts[entry.source.modality] = counts.get(entry.source.modality, 0) + (1 if entry.learnt else 1000)
        return max(counts, key=lambda kind: counts[kind], default="line")

    async def _run(self, lesson: Lesson, items: list[Item], bundle: Path, minutes: float, learnt: dict[str, str]) -> None:
        target = self.desk.project.folder / "bundles" / lesson.name
        last: list[str] = []
        try:
            with tempfile.TemporaryDirectory(prefix="recognizer-teach-") as scratch:
                manifest = Path(scratch) / "corrections.jsonl"
                await asyncio.to_thread(save_manifest, items, manifest)
                words = [*self.command, str(bundle), str(manifest), "-o", str(target), "--minutes", f"{minutes:g}", "--json-log"]
                code = await self._follow(words, lesson, last)
            if lesson.state == "cancelled":
                return
            if lesson.result is None:
                raise InputError(last[-1] if last else f"the lesson ended with exit code {code} and said nothing")
            await self._finish(lesson, target, learnt)
        except (RecognizerError, OSError) as error:
            lesson.state, lesson.error = "failed", re.sub(r"^recognizer: ", "", str(error))
        finally:
            if lesson.state != "done":
                for folder in target.parent.glob(f"{target.name}*"):  # what was not finished, too
                    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            self._tell()

    async def _follow(self, words: list[str], lesson: Lesson, last: list[str]) -> int:
        """Run the worker and take what it says; returns its exit code."""
        options: dict[str, Any] = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP} if os.name == "nt" else {"start_new_session": True}  # type: ignore[attr-defined]
        process = self._process = await asyncio.create_subprocess_exec(
            *words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, limit=MAX_LINE, **options)  # fmt: skip
        if hasattr(os, "setpriority"):
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, process.pid, NICE)
        assert process.stderr is not None
        try:
            while line := await process.stderr.readline():
                text = line.decode("utf-8", "replace").strip()
                if not self._take(text, lesson) and text:
                    last[:] = [text[:500]]
        finally:
            if process.returncode is None and asyncio.current_task() and asyncio.current_task().cancelling():  # type: ignore[union-attr]
                await self._end_process()
            code = await process.wait()
            self._process = None
        return code

    def _take(self, text: str, lesson: Lesson) -> bool:
        """Take over a line of the worker's log; False if it is none of its events."""
        try:
            record = json.loads(text)
            kind = record["event"]
        except (ValueError, TypeError, KeyError):
            return False
        if kind == "progress":
            lesson.stage, lesson.fraction = str(record.get("stage", "")), float(record.get("fraction") or 0.0)
            left = record.get("seconds_left")
            lesson.seconds_left = None if left is None else float(left)
        elif kind == "result":
            lesson.result = {key: value for key, value in record.items() if key != "event"}
        self._tell()
        return True

    async def _finish(self, lesson: Lesson, target: Path, learnt: dict[str, str]) -> None:
        """Keep what the lesson brought; a model that got better is used from now on, and reads again what nobody has corrected."""
        assert lesson.result is not None and lesson.modality is not None
        project, desk = self.desk.project, self.desk
        used = bool(lesson.result.get("gained")) and target.is_dir()
        if used:
            await asyncio.to_thread(desk.service.use, lesson.name)
            await asyncio.to_thread(project.use_model, lesson.modality, lesson.name)
        record = {"time": now(), "modality": lesson.modality, "bundle": lesson.bundle, "name": lesson.name if used else None, "used": used}
        await asyncio.to_thread(project.add_lesson, record | lesson.result | {"bundle": lesson.bundle, "learnt": learnt})
        lesson.state, lesson.fraction, lesson.seconds_left = "done", 1.0, 0.0
        if used:
            desk.library.mark_learnt(learnt)
            desk.queue(desk.library.unread(lesson.modality, lesson.name))
        else:
            await asyncio.to_thread(shutil.rmtree, target, ignore_errors=True)
        desk.events.send("reload", {})

    async def _end_process(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), END_SECONDS)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                if hasattr(os, "killpg"):
                    os.killpg(process.pid, signal.SIGKILL)
                else:
                    process.kill()

    def _tell(self) -> None:
        self.desk.events.send("teach", self.lesson.describe())


def next_name(project: Project, name: str) -> str:
    """A name for the model that comes of another: ``NAME-2``, ``NAME-3`` and so on."""
    found = re.fullmatch(r"(.*)-(\d+)", name)
    stem, number = (found[1], int(found[2])) if found else (name, 1)
    while True:
        number += 1
        if not (project.folder / "bundles" / f"{stem}-{number}").exists():
            return f"{stem}-{number}"

