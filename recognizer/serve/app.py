"""The application: routes, what is said where something fails, and what happens at the start and the end."""

from __future__ import annotations

import asyncio
import html
import json
import logging
import warnings
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from recognizer import __version__
from recognizer.errors import ConfigError, InputError, RecognizerError, RecognizerWarning
from recognizer.serve.desk import Desk
from recognizer.serve.failures import ApiError, error_response
from recognizer.serve.guard import COOKIE, Guard
from recognizer.serve.service import Service
from recognizer.serve.settings import ServeSettings
from recognizer.serve.teaching import Teacher
from recognizer.serve.transcriptions import make_router
from recognizer.serve.uploads import temporary_folder
from recognizer.serve.workbench import make_workbench

if TYPE_CHECKING:
    from recognizer.serve.wyoming_server import WyomingServer

STATIC = Path(__file__).parent / "static"

log = logging.getLogger("recognizer.serve")


class Application:
    """A service as an ASGI application.

    Args:
        settings: of the service.

    Attributes:
        service: its recognizers, loaded.
        guard: the application to serve.
        desk, teacher: of the project; None without one.
        wyoming: the server of that protocol, if it is spoken.

    Raises:
        RecognizerError: a model or the project cannot be used.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self.settings = settings
        self._held = ExitStack()
        warnings.filterwarnings("ignore", category=RecognizerWarning)  # notes name files, which no log of a service should
        self.service = Service(settings, self._held.enter_context(temporary_folder()))
        self.fast = FastAPI(
            title="recognizer", version=__version__, docs_url=None, redoc_url=None, lifespan=self._lifespan,
            description="Text of recordings and of handwriting, with the requests that OpenAI's clients send.",
        )  # fmt: skip
        self.desk = None if self.service.project is None else Desk(self.service)
        self.teacher = None if self.desk is None else Teacher(self.desk)
        self.wyoming = None if settings.wyoming is None else make_wyoming(self.service, settings.wyoming)
        self.guard = Guard(self.fast, settings, self.service.metrics)
        self._add_failures()
        self._add_routes()

    def close(self) -> None:
        """End what the service has begun; its folder of uploads goes."""
        self.service.close()
        self._held.close()

    @asynccontextmanager
    async def _lifespan(self, fast: FastAPI) -> AsyncIterator[None]:
        warming = asyncio.create_task(asyncio.to_thread(self.service.warm_up))
        try:
            if self.desk is not None:
                await self.desk.start()
            if self.wyoming is not None:
                await self.wyoming.start()
            yield
        finally:
            warming.cancel()
            if self.wyoming is not None:
                await self.wyoming.stop()
            if self.desk is not None and self.teacher is not None:
                await self.teacher.cancel()
                await self.desk.stop()
            self.close()

    def _add_failures(self) -> None:
        @self.fast.exception_handler(ApiError)
        async def answer_api_error(request: Request, error: ApiError) -> Response:
            return error_response(error)

        @self.fast.exception_handler(RecognizerError)
        async def answer_known(request: Request, error: RecognizerError) -> Response:
            return error_response(ApiError(422 if isinstance(error, InputError) else 500, str(error)))

        @self.fast.exception_handler(RequestValidationError)
        async def answer_validation(request: Request, error: RequestValidationError) -> Response:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first.get("loc", ())[1:])
            return error_response(ApiError(422, f"{place or 'the request'}: {first.get('msg', 'is not valid')}", place or None))

        @self.fast.exception_handler(HTTPException)
        async def answer_http(request: Request, error: HTTPException) -> Response:
            return error_response(ApiError(error.status_code, str(error.detail), headers=error.headers))

        @self.fast.exception_handler(Exception)
        async def answer_unknown(request: Request, error: Exception) -> Response:
            log.error(json.dumps({"event": "failure", "type": type(error).__name__}))
            return error_response(ApiError(500, "something went wrong in the service; its log names the kind of failure"))

    def _add_routes(self) -> None:
        fast, service, guard = self.fast, self.service, self.guard

        @fast.get("/healthz", tags=["service"], summary="Whether the service answers")
        async def health() -> dict[str, str]:
            return {"status": "ok", "version": __version__}

        @fast.get("/metrics", tags=["service"], summary="Counters for Prometheus", response_class=PlainTextResponse)
        async def metrics() -> Response:
            return Response(service.metrics.render(), media_type=CONTENT_TYPE_LATEST)

        @fast.get("/docs", include_in_schema=False)
        async def documentation() -> Response:
            return HTMLResponse(describe_interface(fast.openapi()))

        fast.include_router(make_router(service))
        if self.desk is not None and self.teacher is not None:
            fast.include_router(make_workbench(service, self.desk, self.teacher))

        @fast.get("/", include_in_schema=False)
        async def page(request: Request, token: str | None = None) -> Response:
            known = guard.knows_token({**request.headers, "authorization": f"Bearer {token}"} if token else dict(request.headers))
            if not known:
                return error_response(ApiError(401, "open the address with ?token=TOKEN behind it"))
            if token:  # out of the address, into a cookie that only this service sees
                answer: Response = RedirectResponse("/", 303)
                answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=request.url.scheme == "https")
                return answer
            index = STATIC / "index.html"
            if service.project is None or not index.is_file():
                return RedirectResponse("/docs", 303)
            return HTMLResponse(index.read_text(encoding="utf-8"), headers={"Cache-Control": "no-cache"})

        fast.mount("/static", StaticFiles(directory=STATIC), name="static")


def make_wyoming(service: Service, address: str) -> WyomingServer:
    """The server of the Wyoming protocol; raises ConfigError where its package is missing or the address cannot be."""
    try:
        from recognizer.serve.wyoming_server import WyomingServer, parse_address
    except ImportError:
        raise ConfigError("--wyoming: the package wyoming is not installed; pip install 'recognizer[wyoming]'") from None
    return WyomingServer(service, *parse_address(address))


def describe_interface(schema: dict[str, Any]) -> str:
    """A plain page about the interface; it needs nothing from elsewhere."""
    parts = []
    for path, methods in schema["paths"].items():
        for method, route in methods.items():
            forms = list(route.get("requestBody", {}).get("content", {}).values())
            fields = forms[0].get("schema", {}).get("properties", {}) if forms else {}
            rows = "".join(f"<li><code>{html.escape(name)}</code> {html.escape(_describe_field(field))}</li>" for name, field in fields.items())
            summary = html.escape(route.get("summary", ""))
            parts.append(f"<h2><code>{method.upper()} {html.escape(path)}</code></h2><p>{summary}</p>{f'<ul>{rows}</ul>' if rows else ''}")
    head = f"<title>{html.escape(schema['info']['title'])}</title><meta name='viewport' content='width=device-width'>"
    about = html.escape(schema["info"]["description"])
    machine = "<p>For programs: <a href='/openapi.json'>openapi.json</a></p>"
    return f"<!DOCTYPE html><html lang='en'><meta charset='utf-8'>{head}<h1>recognizer</h1><p>{about}</p>{machine}{''.join(parts)}</html>"


def _describe_field(field: dict[str, Any]) -> str:
    choices = field.get("enum") or field.get("items", {}).get("enum")
    return " ".join([field.get("description", ""), f"({', '.join(choices)})" if choices else ""]).strip()
