"""The server: an application behind a socket, with the log of a service."""

from __future__ import annotations

import json
import logging
import socket
import sys
import time

import uvicorn

from recognizer.data.project_files import lock_folder
from recognizer.errors import ConfigError
from recognizer.serve.app import Application
from recognizer.serve.settings import ServeSettings, is_loopback

MAX_CONNECTIONS = 1000
KEEP_ALIVE_SECONDS, END_SECONDS = 30, 5


class JsonLines(logging.Formatter):
    """A JSON object a line; what is no object of its own becomes its ``message``."""

    def format(self, record: logging.LogRecord) -> str:
        """The line for one record."""
        text = record.getMessage()
        fields = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)), "level": record.levelname.lower()}
        try:
            return json.dumps(fields | json.loads(text))
        except (TypeError, ValueError):
            return json.dumps(fields | {"message": text})


def serve(settings: ServeSettings, quiet: bool = False) -> None:
    """Serve until a signal ends it.

    Raises:
        RecognizerError: the address is taken, a model cannot be used, or another process serves the project.
    """
    with bind(settings.host, settings.port) as listener:
        app = Application(settings)
        try:
            project = app.service.project
            if project is None:
                _run(app, listener, settings, quiet)
            else:
                with lock_folder(project.folder):
                    _run(app, listener, settings, quiet)
        finally:
            app.close()


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens at an address; raises ConfigError if that cannot be."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family, kind, protocol)
        if sys.platform != "win32":  # there it would let two programs listen at one address
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"--host {host} --port {port}: cannot listen there ({reason}); name another port") from None
    return listener


def make_server(app: Application) -> uvicorn.Server:
    """The server of an application, not started yet."""
    config = uvicorn.Config(
        app.guard, log_config=None, access_log=False, server_header=False, date_header=True, ws="none", lifespan="on",
        limit_concurrency=MAX_CONNECTIONS, timeout_keep_alive=KEEP_ALIVE_SECONDS, timeout_graceful_shutdown=END_SECONDS,
    )  # fmt: skip
    return uvicorn.Server(config)


def _run(app: Application, listener: socket.socket, settings: ServeSettings, quiet: bool) -> None:
    _start_log(quiet)
    port = listener.getsockname()[1]
    shown = "localhost" if is_loopback(settings.host) else settings.host
    if not quiet:
        models = ", ".join(model.name for model in app.service.models.all())
        address = f"http://{shown}:{port}/{'?token=TOKEN' if settings.token else ''}"
        print(f"recognizer: {address} with {models}; Ctrl-C ends it", file=sys.stderr, flush=True)
    make_server(app).run(sockets=[listener])


def _start_log(quiet: bool) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    for name in ("recognizer.serve", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.WARNING if quiet or name == "uvicorn" else logging.INFO)
