"""A service with the tiny recognizers, in a thread with a real socket, and files to send to it."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from recognizer.serve.settings import Limits, ServeSettings

RATE = 8000


class Running:
    """A service that answers at ``url``."""

    def __init__(self, app: Any, url: str) -> None:
        self.app, self.url = app, url
        self.service = app.service

    def client(self, **options: Any) -> Any:
        import httpx

        return httpx.Client(base_url=self.url, timeout=60, **options)


@contextmanager
def running(settings: ServeSettings) -> Iterator[Running]:
    from recognizer.serve.app import Application
    from recognizer.serve.server import bind, make_server

    with bind(settings.host, 0) as listener:
        app = Application(settings)
        server = make_server(app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        try:
            yield Running(app, f"http://127.0.0.1:{listener.getsockname()[1]}")
        finally:
            server.should_exit = True
            thread.join(timeout=20)


@pytest.fixture(scope="session")
def models(speech_run: Path, line_run: Path) -> tuple[str, str]:
    return str(speech_run / "bundle"), str(line_run / "bundle")


@pytest.fixture(scope="session")
def start(models: tuple[str, str]) -> Callable[..., Any]:
    """Run a service with the tiny recognizers; arguments are settings."""
    for package in ("fastapi", "uvicorn", "python_multipart", "prometheus_client", "httpx"):
        pytest.importorskip(package, reason="the service needs the extra 'serve', its tests httpx")

    def begin(limits: Limits | None = None, **settings: Any) -> Any:
        return running(ServeSettings(**{"models": models, "device": "cpu", "threads": 1, "limits": limits or Limits(), **settings}))

    return begin


@pytest.fixture(scope="session")
def service(start: Callable[..., Any]) -> Iterator[Running]:
    """A service without a project that several tests share."""
    with start() as found:
        yield found


@pytest.fixture
def desk(start: Callable[..., Any], tmp_path: Path) -> Iterator[Running]:
    """A service with a project of its own."""
    with start(project=tmp_path / "project") as found:
        yield found


@pytest.fixture
def fill(desk: Running, png: Callable[..., bytes], wav: Callable[..., bytes]) -> Callable[..., list[dict[str, Any]]]:
    """Put lines and recordings of the given texts into the project and wait until they are read; gives the items by name."""

    def add(*texts: str, sound: bool = False, paths: list[str] | None = None) -> list[dict[str, Any]]:
        make, ending = (wav, "wav") if sound else (png, "png")
        files = [("files", (f"{text}.{ending}", make(text, seed))) for seed, text in enumerate(texts)]
        with desk.client() as client:
            assert client.post("/api/items", files=files, data={} if paths is None else {"paths": paths}).status_code == 200
            end = time.monotonic() + 60
            while client.get("/api/project").json()["counts"]["new"]:
                assert time.monotonic() < end
                time.sleep(0.02)
            return list(client.get("/api/items?sort=name").json()["items"])

    return add


@pytest.fixture(scope="session")
def wav(speak: Callable[[str, np.random.Generator], np.ndarray]) -> Callable[..., bytes]:
    """A recording of letters, as the bytes of a WAV file."""

    def make(text: str, seed: int = 0, format: str = "WAV", rate: int = RATE) -> bytes:
        file = io.BytesIO()
        soundfile.write(file, speak(text, np.random.default_rng(seed)), rate, format=format)
        return file.getvalue()

    return make


@pytest.fixture(scope="session")
def png(draw: Callable[[str, np.random.Generator], np.ndarray]) -> Callable[..., bytes]:
    """A drawn line, as the bytes of a PNG file."""

    def make(text: str, seed: int = 0) -> bytes:
        file = io.BytesIO()
        Image.fromarray(draw(text, np.random.default_rng(seed))).save(file, "PNG")
        return file.getvalue()

    return make
