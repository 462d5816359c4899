"""What the routes of a service share: its lanes of recognition, its limits, and how an upload becomes a transcript."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import numpy as np
from starlette.requests import Request

from recognizer.config import Modality
from recognizer.data.project import Project
from recognizer.errors import RecognizerError
from recognizer.inference.inputs import describe_failure
from recognizer.serve.batcher import Batcher, Busy, Job, Options
from recognizer.serve.failures import ApiError, busy
from recognizer.serve.memory import release_memory
from recognizer.serve.metrics import Metrics
from recognizer.serve.models import Model, Models
from recognizer.serve.settings import ServeSettings
from recognizer.serve.uploads import Upload
from recognizer.types import Transcript

LONG_SECONDS = 30.0  # from here on a recording goes to the lane of long ones
WARM_UP_SECONDS = 1.0


class Service:
    """The recognizers of a service and the queues in front of them.

    There are two lanes, each with a thread and recognizers of its own: one for what is read in a moment, together with others that come at
    the same time, and one for long recordings and pages, which would keep the others waiting.

    Args:
        settings: of the service.
        folder: for uploads while they are read.

    Raises:
        RecognizerError: a model cannot be used.
    """

    def __init__(self, settings: ServeSettings, folder: Path) -> None:
        self.settings, self.folder = settings, folder
        self.limits = settings.limits
        self.metrics = Metrics()
        self.project = None if settings.project is None else Project.create(settings.project)
        self.models = Models(settings, self._chosen())
        self._slow_models: Models | None = None
        self._slow_lock = threading.Lock()
        limits = self.limits
        self.quick = Batcher(self.models.read, limits.batch, limits.window, limits.queue, self._count_batch, release_memory)
        self.slow = Batcher(lambda jobs, done: self._slow().read(jobs, done), 1, 0.0, max(1, limits.queue // 4), self._count_batch, release_memory)
        self.metrics.watch_queue(lambda: self.quick.depth + self.slow.depth)

    def close(self) -> None:
        """End both lanes."""
        self.quick.close()
        self.slow.close()

    def warm_up(self) -> None:
        """Read something short with each model, so that the first client does not wait for compiling."""
        noise = np.random.default_rng(0)
        for model in self.models.all():
            modality, features = model.recognizer.config.modality, model.recognizer.config.features
            if modality == "audio":
                source = (0.01 * noise.standard_normal(int(WARM_UP_SECONDS * features.sample_rate))).astype(np.float32)  # type: ignore[union-attr]
            elif modality == "line":
                source = np.full((64, 256), 255, np.uint8)
                source[20:44, 20:236:7] = 0
            else:
                continue
            try:
                self.quick.submit(Job(source, Options(modality, n_best=2))).result()
            except RecognizerError:
                continue

    def use(self, name: str) -> Model:
        """Load a bundle and read with it from now on."""
        model = self.models.open(name if self.project is None else self.project.find_model(name))
        self.models.use(model)
        with self._slow_lock:
            self._slow_models = None  # loaded again when it is needed
        return model

    def choose(self, modality: Modality) -> Model:
        """The model for a kind of source; raises ApiError if there is none."""
        model = self.models.get(modality)
        if model is None:
            subject = {"audio": "recordings", "line": "pictures", "strokes": "pen traces"}[modality]
            raise ApiError(404, f"no model here reads {subject}; start the service with -m NAME", "model")
        return model

    def submit(self, job: Job) -> asyncio.Future[Any]:
        """Queue a job in the lane that it belongs to.

        Raises:
            ApiError: too many wait already (429).
        """
        slow = job.options.page or (job.options.modality == "audio" and job.length > LONG_SECONDS)
        try:
            return asyncio.wrap_future((self.slow if slow else self.quick).submit(job))
        except Busy as error:
            raise busy(error.seconds) from None

    async def recognize(self, job: Job, request: Request | None = None, upload: Upload | None = None) -> Transcript:
        """The transcript of a job.

        Args:
            job: what to read.
            request: whose client is waiting; when it goes, the job is given up.
            upload: named in messages.

        Raises:
            ApiError: the input cannot be used (422), took too long (504), or too many wait already (429).
        """
        return self.check_transcript(await self.wait(job, request, upload), upload)

    async def wait(self, job: Job, request: Request | None = None, upload: Upload | None = None) -> Any:
        """What a job gives; arguments and errors are those of :meth:`recognize`."""
        future = self.submit(job)
        gone = None if request is None else asyncio.create_task(wait_for_end(request))
        try:
            waiting: set[asyncio.Future[Any]] = {future} if gone is None else {future, gone}
            await asyncio.wait(waiting, timeout=self.limits.answer_seconds, return_when=asyncio.FIRST_COMPLETED)
            if not future.done():
                if gone is not None and gone.done():
                    raise ApiError(499, "the client has gone")
                raise ApiError(504, f"not recognized within {self.limits.answer_seconds:g} s; send shorter parts")
            return await self.result_of(future, upload)
        finally:
            future.cancel()
            if gone is not None:
                gone.cancel()

    async def result_of(self, future: asyncio.Future[Any], upload: Upload | None = None) -> Any:
        """What a job that was submitted gave; raises ApiError if its input cannot be used (422)."""
        name = "the input" if upload is None else upload.name
        try:
            return await future
        except RecognizerError as error:
            reason = str(error)
        except Exception as error:
            reason = describe_failure(name, error)
        self.metrics.failures.inc()
        raise ApiError(422, reason if upload is None else upload.explain(reason), "file")

    def check_transcript(self, transcript: Transcript, upload: Upload | None = None) -> Transcript:
        """A transcript, counted; raises ApiError if it tells of a failure (422)."""
        if transcript.error is not None:
            self.metrics.failures.inc()
            raise ApiError(422, transcript.error if upload is None else upload.explain(transcript.error), "file")
        if transcript.seconds is not None:
            self.metrics.audio.inc(transcript.seconds)
        else:
            self.metrics.pictures.inc()
        return transcript

    def _chosen(self) -> dict[Modality, str | Path]:
        project = self.project
        return {} if project is None else {modality: project.find_model(name) for modality, name in project.models.items()}

    def _slow(self) -> Models:
        with self._slow_lock:
            if self._slow_models is None:
                self._slow_models = Models.of(self.settings, self.models)
            return self._slow_models

    def _count_batch(self, size: int) -> None:
        self.metrics.batches.observe(size)


async def wait_for_end(request: Request) -> None:
    """Return when the client of a request whose body has been read goes away."""
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            return
