"""The routes that OpenAI's clients know: transcriptions of recordings, the same of pictures, and the models."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import JSONResponse, Response, StreamingResponse

from recognizer.decoding.hotwords import parse_hotword
from recognizer.errors import ConfigError, InputError
from recognizer.image.io import load_image
from recognizer.inference.pages import looks_like_page
from recognizer.serve import answers
from recognizer.serve.batcher import Job, Options
from recognizer.serve.failures import ApiError, error_body
from recognizer.serve.service import Service
from recognizer.serve.settings import Limits
from recognizer.serve.uploads import Upload, check_picture, check_recording, file_field, is_document, read_form, store_upload
from recognizer.types import Transcript

HOTWORD_WEIGHT = 5.0  # nats, where a request names none
MAX_HOTWORDS = 100
_FIELD: dict[str, Any] = {"type": "string"}
_FORM = {
    "file": {"type": "string", "format": "binary", "description": "the recording or picture"},
    "model": {**_FIELD, "description": "a name of /v1/models; any other name stands for the model that reads this kind of file"},
    "language": {**_FIELD, "description": "handed back in verbose_json; a model reads its own language"},
    "prompt": {**_FIELD, "description": "accepted, without effect"},
    "temperature": {"type": "number", "description": "accepted, without effect: a file always gives the same text"},
    "hotwords": {**_FIELD, "description": f"phrases to prefer, separated by commas, each with a weight in nats (PHRASE:{HOTWORD_WEIGHT:g})"},
    "stream": {"type": "boolean", "description": "answer with server-sent events"},
    "include[]": {"type": "array", "items": {"type": "string", "enum": ["logprobs"]}},
}


@dataclass(frozen=True)
class Wish:
    """What a client wants to have of a file."""

    response_format: str
    granularities: tuple[str, ...]
    log_probs: bool
    stream: bool
    language: str | None
    hotwords: tuple[tuple[str, float], ...]
    layout: str

    @classmethod
    def of(cls, form: FormData, formats: tuple[str, ...]) -> Wish:
        """Read the fields of a request; unknown ones are ignored.

        Raises:
            ApiError: a field has a value that is not allowed.
        """
        wanted = _text(form, "response_format") or "json"
        if wanted not in formats:
            raise ApiError(422, f"response_format {wanted[:40]!r} is not one of {', '.join(formats)}", "response_format")
        granularities = _list(form, "timestamp_granularities")
        for each in granularities:
            if each not in ("word", "segment"):
                raise ApiError(422, f"timestamp_granularities[] {each[:40]!r} is not word or segment", "timestamp_granularities[]")
        layout = _text(form, "layout") or "auto"
        if layout not in ("auto", "line", "page"):
            raise ApiError(422, f"layout {layout[:40]!r} is not auto, line or page", "layout")
        stream = (_text(form, "stream") or "").lower() in ("true", "1", "yes")
        log_probs = "logprobs" in _list(form, "include")
        return cls(wanted, granularities, log_probs, stream, _text(form, "language"), _hotwords(form), layout)

    @property
    def times(self) -> bool:
        """Whether words need times."""
        return answers.needs_times(self.response_format, self.granularities, self.log_probs)


def make_router(service: Service) -> APIRouter:
    """The routes under ``/v1``."""
    router = APIRouter(prefix="/v1", tags=["transcriptions"])

    @router.get("/models", summary="Models in use")
    async def list_models() -> dict[str, Any]:
        return {"object": "list", "data": [_describe_model(model.name) for model in service.models.all()]}

    @router.get("/models/{name}", summary="One model")
    async def get_model(name: str) -> dict[str, Any]:
        if name not in [model.name for model in service.models.all()]:
            raise ApiError(404, f"no model {name[:80]!r} is in use here", "model")
        return _describe_model(name)

    @router.post("/audio/transcriptions", summary="Text of a recording", openapi_extra=_body(answers.AUDIO_FORMATS, {
        "timestamp_granularities[]": {"type": "array", "items": {"type": "string", "enum": ["word", "segment"]}}}))  # fmt: skip
    async def transcribe_audio(request: Request) -> Response:
        form = await read_form(request, service.limits)
        wish = Wish.of(form, answers.AUDIO_FORMATS)
        model = service.choose("audio")
        upload = await take_upload(form, service, check_recording)
        job = Job(upload.path, Options("audio", wish.times, 1, wish.hotwords), max(upload.seconds, 0.01))
        if wish.stream:
            return stream_events(service, job, upload, wish.log_probs)
        try:
            transcript = await service.recognize(job, request, upload)
        finally:
            await drop_upload(upload)
        language = answers.guess_language(wish.language, model.name)
        return _answer(transcript, wish, lambda: answers.to_verbose_json(transcript, language, wish.granularities, wish.log_probs))

    @router.post("/images/transcriptions", summary="Text of a picture of a line, or of a page", openapi_extra=_body(answers.PICTURE_FORMATS, {
        "layout": {"type": "string", "enum": ["auto", "line", "page"], "description": "whether lines are to be found"}}))  # fmt: skip
    async def transcribe_image(request: Request) -> Response:
        form = await read_form(request, service.limits)
        wish = Wish.of(form, answers.PICTURE_FORMATS)
        service.choose("line")
        upload = await take_upload(form, service, check_picture)
        try:
            page = await asyncio.to_thread(_is_page, upload, wish.layout)
            job = Job(upload.path, Options("line", wish.times or page, 1, wish.hotwords, page), max(upload.width, 1))
            transcript = await service.recognize(job, request, upload)
            # some formats look at the picture again
            return await asyncio.to_thread(_answer, transcript, wish, lambda: answers.to_picture_json(transcript))
        finally:
            await drop_upload(upload)

    return router


async def take_upload(form: FormData, service: Service, check: Callable[[Upload, Limits], Upload]) -> Upload:
    """The file of a form, stored for the time being and looked at; :func:`drop_upload` removes it.

    Raises:
        ApiError: there is none, or ``check`` refuses it.
    """
    upload = await asyncio.to_thread(store_upload, file_field(form), service.folder)
    try:
        await form.close()
        return await asyncio.to_thread(check, upload, service.limits)
    except BaseException:
        await drop_upload(upload)
        raise


async def drop_upload(upload: Upload) -> None:
    """Remove an upload."""
    await asyncio.shield(asyncio.to_thread(upload.remove))


def stream_events(service: Service, job: Job, upload: Upload, log_probs: bool) -> StreamingResponse:
    """Server-sent events: the text of each stretch of a recording as soon as it is known, and all of it at the end.

    Raises:
        ApiError: too many requests wait already.
    """
    loop = asyncio.get_running_loop()
    parts: asyncio.Queue[Transcript | None] = asyncio.Queue()
    job.options = replace(job.options, times=job.options.times or log_probs)

    def hand_on(part: Transcript) -> None:
        loop.call_soon_threadsafe(parts.put_nowait, part)

    def end(done: asyncio.Future[Transcript]) -> None:
        upload.remove()
        parts.put_nowait(None)

    job.on_segment = hand_on
    try:
        future = service.submit(job)
    except ApiError:
        upload.remove()
        raise
    future.add_done_callback(end)
    events = _events(service, future, parts, upload, log_probs)
    return StreamingResponse(events, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def _events(
    service: Service, future: asyncio.Future[Transcript], parts: asyncio.Queue[Transcript | None], upload: Upload, log_probs: bool
) -> AsyncIterator[str]:
    try:
        said = ""
        while (part := await parts.get()) is not None:
            if part.text:
                delta = f" {part.text}" if said else part.text
                said += delta
                yield answers.event(answers.describe_delta(delta, part, log_probs))
        transcript = service.check_transcript(await service.result_of(future, upload), upload)
        if transcript.text and not said:
            yield answers.event(answers.describe_delta(transcript.text, transcript, log_probs))
        yield answers.event(answers.describe_done(transcript, log_probs))
        yield "data: [DONE]\n\n"
    except ApiError as error:
        yield answers.event({"type": "error", **error_body(error.status, error.message, error.param)})
    finally:
        future.cancel()


def _answer(transcript: Transcript, wish: Wish, verbose: Callable[[], dict[str, Any]]) -> Response:
    if wish.response_format == "json":
        return JSONResponse(answers.to_json(transcript, wish.log_probs))
    if wish.response_format == "verbose_json":
        return JSONResponse(verbose())
    return Response(answers.render(transcript, wish.response_format), media_type=answers.MEDIA_TYPES[wish.response_format])


def _is_page(upload: Upload, layout: str) -> bool:
    if is_document(upload):
        return True
    if layout != "auto":
        return layout == "page"
    try:
        return looks_like_page(load_image(upload.path))
    except InputError as error:
        raise ApiError(422, upload.explain(error), "file") from None


def _describe_model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "recognizer"}


def _body(formats: tuple[str, ...], more: dict[str, Any]) -> dict[str, Any]:
    """The form of a request, for the description of the interface."""
    properties = {**_FORM, **more, "response_format": {"type": "string", "enum": list(formats), "default": "json"}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {
        "schema": {"type": "object", "required": ["file"], "properties": properties}}}}}  # fmt: skip


def _text(form: FormData, name: str) -> str | None:
    value = form.get(name)
    return value if isinstance(value, str) and value else None


def _list(form: FormData, name: str) -> tuple[str, ...]:
    """The values of a field that can be given several times, with or without brackets in its name."""
    values = [*form.getlist(name), *form.getlist(f"{name}[]")]
    return tuple(value for value in values if isinstance(value, str) and value)


def _hotwords(form: FormData) -> tuple[tuple[str, float], ...]:
    """Phrases to prefer: those of `hotwords`, separated by commas or lines, and the `keywords` of OpenAI's clients."""
    phrases = [phrase.strip() for phrase in re.split(r"[,;\n]", _text(form, "hotwords") or "")]
    found: dict[str, float] = {}
    for phrase in (*phrases, *_list(form, "keywords")):
        if not phrase:
            continue
        try:
            name, weight = parse_hotword(phrase) if re.search(r":\s*-?[\d.]+$", phrase) else (phrase, HOTWORD_WEIGHT)
        except ConfigError as error:
            raise ApiError(422, str(error).removeprefix("--hotword "), "hotwords") from None
        found[name] = weight
    if len(found) > MAX_HOTWORDS:
        raise ApiError(422, f"{len(found)} hotwords; {MAX_HOTWORDS} at most", "hotwords")
    return tuple(sorted(found.items()))
