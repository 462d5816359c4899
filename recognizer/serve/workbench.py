"""The routes of the page: items and their corrections, what is shown of them, uploads, exports, and lessons."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.datastructures import FormData, UploadFile
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse

from recognizer import __version__
from recognizer.errors import RecognizerError
from recognizer.serve import exports
from recognizer.serve.answers import MEDIA_TYPES
from recognizer.serve.batcher import Job, Options
from recognizer.serve.curve import error_curve
from recognizer.serve.desk import Desk, describe_entry
from recognizer.serve.failures import ApiError, error_body
from recognizer.serve.library import STATES, Entry, picture_of
from recognizer.serve.service import Service
from recognizer.serve.teaching import MINUTES, Teacher
from recognizer.serve.uploads import Upload, check_picture, check_recording, read_form, read_json, split_document, store_upload
from recognizer.serve.views import Views, find_spikes
from recognizer.strokes.io import load_trace

MAX_TEXT = 200_000  # characters of a correction
MAX_LISTED = 1000
SORTS = ("confidence", "name", "time")
KINDS = ("audio", "line", "page", "strokes")


def make_workbench(service: Service, desk: Desk, teacher: Teacher) -> APIRouter:
    """The routes under ``/api``."""
    router = APIRouter(prefix="/api", tags=["workbench"])
    views = Views(service.folder)

    @router.get("/project", summary="The project: counts, models, limits, formats")
    async def get_project() -> dict[str, Any]:
        limits = service.limits
        return {
            "name": desk.project.folder.name, "version": __version__, "counts": desk.library.counts(), "waiting": desk.waiting,
            "models": {model.recognizer.config.modality: model.name for model in service.models.all()},
            "formats": exports.formats(), "teach": teacher.lesson.describe(),
            "limits": {"bytes": limits.bytes, "pixels": limits.pixels, "seconds": limits.seconds},
        }  # fmt: skip

    @router.get("/items", summary="The items, filtered and sorted")
    async def list_items(
        state: str = "", kind: str = "", q: str = "", sort: str = "confidence", page: str | None = None, offset: int = 0, limit: int = 200
    ) -> dict[str, Any]:
        states, kinds = _choices(state, STATES, "state"), _choices(kind, KINDS, "kind")
        if sort not in SORTS:
            raise ApiError(422, f"sort {sort[:40]!r} is not one of {', '.join(SORTS)}", "sort")
        found = await asyncio.to_thread(desk.library.find, states, q[:1000], kinds, sort, page)
        shown = found[max(0, offset) : max(0, offset) + max(0, min(limit, MAX_LISTED))]
        return {"total": len(found), "counts": desk.library.counts(), "items": [describe_entry(entry) for entry in shown]}

    @router.post("/items", summary="Add recordings and pictures")
    async def add_items(request: Request) -> Response:
        form = await read_form(request, service.limits)
        try:
            added, refused = await _add_files(form, service, desk)
        finally:
            await form.close()
        if not added:
            message = refused[0]["error"] if refused else "the field 'files' must hold files"
            return JSONResponse(error_body(422, message, "files") | {"refused": refused}, 422)
        desk.queue([entry.id for entry in added if entry.model is None])
        desk.events.send("counts", desk.library.counts() | {"waiting": desk.waiting})
        return JSONResponse({"added": [describe_entry(entry) for entry in added], "refused": refused})

    @router.get("/items/{id}", summary="An item in full")
    async def get_item(id: str) -> dict[str, Any]:
        return await asyncio.to_thread(desk.describe, desk.library.get(id))

    @router.put("/items/{id}/correction", summary="What is said or written in an item")
    async def correct(id: str, request: Request) -> dict[str, Any]:
        text = (await read_json(request)).get("text")
        if not isinstance(text, str) or len(text) > MAX_TEXT or "\0" in text:
            raise ApiError(422, f"the key 'text' must be a text of at most {MAX_TEXT:,} characters", "text")
        if desk.library.get(id).lines:
            raise ApiError(409, "a page is corrected line by line")
        return _tell(desk, await asyncio.to_thread(desk.library.correct, id, text))

    @router.delete("/items/{id}/correction", summary="Take the last correction back")
    async def undo(id: str) -> dict[str, Any]:
        return _tell(desk, await asyncio.to_thread(desk.library.undo, id))

    @router.post("/items/{id}/read", summary="Read an item again")
    async def read_again(id: str) -> dict[str, Any]:
        entry = desk.library.get(id)
        desk.queue([entry.page or entry.id])
        return describe_entry(entry)

    @router.get("/items/{id}/media", summary="The recording or picture, in a form that browsers know")
    async def media(id: str) -> Response:
        path, kind = await asyncio.to_thread(views.media, id, picture_of(desk.library.get(id)))
        return FileResponse(path, media_type=kind, headers={"Cache-Control": "private, max-age=3600"})

    @router.get("/items/{id}/peaks", summary="The outline of a recording")
    async def peaks(id: str, n: int = 1000) -> dict[str, Any]:
        entry = desk.library.get(id)
        if entry.kind != "audio":
            raise ApiError(422, "only recordings have an outline")
        return await asyncio.to_thread(views.peaks, id, picture_of(entry), n)

    @router.get("/items/{id}/spikes", summary="What the network sees: log-probs of an item")
    async def spikes(id: str, request: Request) -> dict[str, Any]:
        entry = desk.library.get(id)
        if entry.kind == "page":
            raise ApiError(422, "ask for the spikes of a line of the page")
        model, path = service.choose(entry.source.modality), picture_of(entry)
        job = Job(path, Options(entry.source.modality, log_probs=True), max(entry.seconds or 0.0, 0.01))
        emissions = await service.wait(job, request)
        symbols = ["", *model.recognizer.alphabet.symbols]
        return await asyncio.to_thread(find_spikes, emissions, symbols)

    @router.get("/export", summary="Texts as files")
    async def export(format: str = "txt", state: str = "", kind: str = "", q: str = "", id: str = "") -> Response:
        if format not in exports.formats():
            raise ApiError(422, f"format {format[:40]!r} is not one of {', '.join(exports.formats())}", "format")
        if id and format != exports.MANIFEST:
            name, text = await asyncio.to_thread(exports.render_entry, desk, desk.library.get(id), format)
            return Response(text, media_type=MEDIA_TYPES.get(format, "text/plain"), headers=_attachment(name))
        found = [desk.library.get(id)] if id else desk.library.find(_choices(state, STATES, "state"), q, _choices(kind, KINDS, "kind"), "name")
        entries = [entry for entry in found if (not entry.lines if format == exports.MANIFEST else entry.page is None or bool(id))]
        return await _archive(service, partial(exports.write_archive, desk, entries, format), f"{desk.project.folder.name}-{format}.zip")

    @router.get("/teach", summary="The lesson that goes on, or the last one")
    async def get_lesson() -> dict[str, Any]:
        return teacher.lesson.describe()

    @router.post("/teach", summary="Let the model learn from the corrections")
    async def teach(request: Request) -> dict[str, Any]:
        wanted = await read_json(request)
        modality, minutes = wanted.get("modality"), wanted.get("minutes", MINUTES)
        if modality not in (None, "audio", "line", "strokes"):
            raise ApiError(422, "the key 'modality' must be audio, line or strokes", "modality")
        if isinstance(minutes, bool) or not isinstance(minutes, (int, float)) or not 0 < minutes <= 24 * 60:
            raise ApiError(422, "the key 'minutes' must be a number of minutes, at most a day", "minutes")
        return teacher.start(modality, minutes).describe()

    @router.delete("/teach", summary="End the lesson that goes on")
    async def end_lesson(keep: bool = False) -> dict[str, Any]:
        return (teacher.finish() if keep else await teacher.cancel()).describe()

    @router.get("/history", summary="What the lessons brought, and error against corrections")
    async def history() -> dict[str, Any]:
        lessons = await asyncio.to_thread(desk.project.history)
        corrections = [entry.correction for entry in desk.library.leaves() if entry.correction is not None]
        shown = [{key: value for key, value in lesson.items() if key != "learnt"} for lesson in lessons]
        return {"lessons": shown, "corrections": await asyncio.to_thread(error_curve, corrections)}

    @router.get("/events", summary="News, as server-sent events")
    async def events() -> Response:
        return StreamingResponse(desk.events.listen(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    return router


async def _add_files(form: FormData, service: Service, desk: Desk) -> tuple[list[Entry], list[dict[str, str]]]:
    """Put the files of a form into the project; those that cannot be used cost the others nothing."""
    files = [file for file in form.getlist("files") if isinstance(file, UploadFile)]
    paths = [path for path in form.getlist("paths") if isinstance(path, str)]
    added: list[Entry] = []
    refused: list[dict[str, str]] = []
    for number, file in enumerate(files):
        name = paths[number] if len(paths) == len(files) else file.filename or "upload"
        upload = await asyncio.to_thread(store_upload, file, service.folder)
        try:
            added += await asyncio.to_thread(_add_one, upload, name, service, desk)
        except (ApiError, RecognizerError) as error:
            refused.append({"name": upload.name, "error": upload.explain(error)})
        finally:
            upload.remove()
            for page in upload.path.parent.glob(f"{upload.path.stem}-*.png"):  # of a document that could not be used whole
                page.unlink(missing_ok=True)
    return added, refused


def _add_one(upload: Upload, name: str, service: Service, desk: Desk) -> list[Entry]:
    """Add a file; a document of several pages becomes a picture for each.

    Raises:
        ApiError: it is none that a model here reads, or is damaged.
    """
    pages = split_document(upload, name, service.limits)
    added = []
    for path, page_name in pages or [(upload.path, name)]:
        checked = Upload(path, upload.name)
        ending = Path(page_name).suffix.lower()
        modality = desk.project.modality_of(page_name)
        if modality is None:
            raise ApiError(422, f"{upload.name}: its ending {ending!r} is none of a recording or picture")
        service.choose(modality)
        if modality == "audio":
            check_recording(checked, service.limits)
        elif modality == "line":
            check_picture(checked, service.limits)
        else:
            load_trace(path)
        source, _ = desk.project.add_source(path, page_name, desk.library.by_id, move=True)
        added.append(desk.library.add(source))
    return added


async def _archive(service: Service, write: Callable[[IO[bytes]], None], name: str) -> Response:
    """An archive as an answer; its file has no name, so that it is gone whatever becomes of the client."""
    file = tempfile.TemporaryFile(dir=service.folder)  # noqa: SIM115 (it is closed when it has been sent)
    try:
        await asyncio.to_thread(write, file)
    except BaseException:
        file.close()
        raise
    size = file.tell()
    file.seek(0)
    return StreamingResponse(_pieces(file), media_type="application/zip", headers=_attachment(name) | {"Content-Length": str(size)})


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(1 << 18):
            yield piece


def _tell(desk: Desk, entry: Entry) -> dict[str, Any]:
    record = describe_entry(entry)
    desk.events.send("item", record)
    desk.events.send("counts", desk.library.counts() | {"waiting": desk.waiting})
    return record


def _choices(text: str, allowed: tuple[str, ...], name: str) -> list[str]:
    chosen = [each for each in text.split(",") if each]
    for each in chosen:
        if each not in allowed:
            raise ApiError(422, f"{name} {each[:40]!r} is not one of {', '.join(allowed)}", name)
    return chosen


def _attachment(name: str) -> dict[str, str]:
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}

