"""What every request passes first: who may ask, from where, how much may come, and what is written down about it."""

from __future__ import annotations

import ipaddress
import json
import logging
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from recognizer.serve.failures import ApiError, error_response
from recognizer.serve.metrics import Metrics
from recognizer.serve.settings import ServeSettings

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE = "recognizer_token"
OPEN_ROUTES = ("/healthz",)  # that need no token
DRAIN_BYTES, DRAIN_SECONDS = 64 << 20, 10.0  # of an upload that is too large, so that the client comes to read the answer
HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}

log = logging.getLogger("recognizer.serve")


class Guard:
    """Checks requests before the application sees them, and writes a line about each: never content, names of files or addresses.

    A page elsewhere could send requests to a service on this machine, with a name of its own that leads to 127.0.0.1, or from a form. So the
    name must be one that this machine has (an address, its own name, or one that was allowed), and what a browser says of the page that asks
    must name this service itself.

    Args:
        app: the application.
        settings: of the service.
        metrics: where requests are counted.
    """

    def __init__(self, app: App, settings: ServeSettings, metrics: Metrics) -> None:
        self.app, self.settings, self.metrics = app, settings, metrics
        own = socket.gethostname().lower()
        self.hosts = {"localhost", own, f"{own}.local", settings.host.lower(), *(host.lower() for host in settings.hosts)} - {""}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; other protocols than HTTP are refused."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        started, status = time.perf_counter(), 500
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        limited = _Limited(receive, self.settings.limits.bytes + (1 << 20), headers.get("content-length", ""))

        async def respond(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                present = {name.lower() for name, _ in message["headers"]}
                added = [(n.encode(), v.encode()) for n, v in HEADERS.items() if n.encode() not in present]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        try:
            self.check(scope["method"], scope["path"], headers)
            await limited.check()
            await self.app(scope, limited, respond)
        except ApiError as error:
            if error.status == 413:
                await limited.drain()
            await error_response(error)(scope, receive, respond)
        finally:
            route = getattr(scope.get("route"), "path", None) or "other"
            took = time.perf_counter() - started
            self.metrics.requests.labels(scope["method"] if len(scope["method"]) < 8 else "other", route, status).inc()
            self.metrics.seconds.labels(route).observe(took)
            line = {"event": "request", "method": scope["method"][:8], "route": route, "status": status, "seconds": round(took, 4)}
            log.info(json.dumps(line | {"bytes": limited.taken}))

    def check(self, method: str, path: str, headers: MutableMapping[str, str]) -> None:
        """Raise :class:`ApiError` unless a request may be answered."""
        host = headers.get("host", "")
        if not self._is_own(host):
            raise ApiError(403, "the service is not known under this name; use its address, or start it with --allow-host NAME")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            raise ApiError(403, "requests from pages of other sites are refused")
        site = headers.get("sec-fetch-site", "none")
        followed_link = method in ("GET", "HEAD") and headers.get("sec-fetch-mode") == "navigate" and path == "/"
        if site not in ("none", "same-origin") and not followed_link:
            raise ApiError(403, "requests from pages of other sites are refused")
        if self.settings.token is not None and path not in OPEN_ROUTES and path != "/" and not self.knows_token(headers):
            raise ApiError(401, "a token is needed: send it as `Authorization: Bearer TOKEN`", headers={"WWW-Authenticate": "Bearer"})

    def knows_token(self, headers: MutableMapping[str, str]) -> bool:
        """Whether a request shows the token, as a header or in the cookie that the page has."""
        token = self.settings.token
        if token is None:
            return True
        kind, _, shown = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and secrets.compare_digest(shown.strip().encode(), token.encode()):
            return True
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return cookie is not None and secrets.compare_digest(cookie.value.encode(), token.encode())

    def _is_own(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name.lower() in self.hosts or name.lower().endswith(".localhost"):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


class _Limited:
    """The body of a request, refused as soon as it is larger than allowed."""

    def __init__(self, receive: Receive, most: int, stated: str) -> None:
        self.receive, self.most, self.stated = receive, most, stated
        self.taken = 0
        self.ended = False

    async def check(self) -> None:
        """Refuse what says in advance that it is too large."""
        if self.stated and not (self.stated.isdecimal() and len(self.stated) < 20):
            raise ApiError(400, "the header Content-Length is no number")
        if self.stated and int(self.stated) > self.most:
            raise self._too_large()

    async def __call__(self) -> Message:
        message = await self.receive()
        if message["type"] == "http.request":
            self.taken += len(message.get("body", b""))
            self.ended = not message.get("more_body", False)
            if self.taken > self.most:
                raise self._too_large()
        else:
            self.ended = True
        return message

    async def drain(self) -> None:
        """Take some more of what is too large and throw it away."""
        deadline, most = time.monotonic() + DRAIN_SECONDS, self.taken + DRAIN_BYTES
        while not self.ended and self.taken < most and time.monotonic() < deadline:
            message = await self.receive()
            self.taken += len(message.get("body", b""))
            self.ended = message["type"] != "http.request" or not message.get("more_body", False)

    def _too_large(self) -> ApiError:
        return ApiError(413, f"the upload is too large: {self.most >> 20} MiB at most")
