from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recognizer.cli.main import parse
from recognizer.cli.serve import read_settings
from recognizer.errors import ConfigError
from recognizer.serve.batcher import Batcher, Job
from recognizer.serve.settings import Limits, ServeSettings
from recognizer.types import Transcript


def test_options_become_settings() -> None:
    words = ["serve", "letters", "--host", "0.0.0.0", "--port", "9", "--token", "long-enough", "-m", "a", "-m", "b", "--allow-host", "x.org",
             "--wyoming", "10300",
             "--max-bytes", "5", "--max-seconds", "6", "--max-pixels", "7", "--queue", "8", "--timeout", "9", "--batch", "1"]  # fmt: skip
    settings = read_settings(parse(words))
    assert (settings.project, settings.host, settings.port, settings.token) == (Path("letters"), "0.0.0.0", 9, "long-enough")
    assert (settings.models, settings.hosts, settings.wyoming) == (("a", "b"), ("x.org",), "10300")
    limits = settings.limits
    assert (limits.bytes, limits.seconds, limits.pixels, limits.queue, limits.answer_seconds, limits.batch) == (5, 6, 7, 8, 9, 1)


def test_an_open_address_without_a_token_is_refused_at_once(cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fastapi", reason="the service needs the extra 'serve'")
    outcome = cli("serve", "--host", "0.0.0.0")
    assert outcome.code == 2 and "protect it with --token" in outcome.err[-1]
    assert cli("serve", "--queue", "0").err == ["recognizer: --queue: must be 1 or more"]


def test_a_missing_package_is_named(cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fastapi", None)
    outcome = cli("serve")
    assert outcome.code == 2 and outcome.err == ["recognizer: serve: fastapi is not installed; pip install 'recognizer[serve]'"]


def test_an_address_that_is_taken() -> None:
    pytest.importorskip("uvicorn", reason="the service needs the extra 'serve'")
    from recognizer.serve.server import bind

    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(ConfigError, match="cannot listen there"):
        bind("127.0.0.1", other.getsockname()[1])
    with pytest.raises(ConfigError, match="up to 65535"):
        ServeSettings(port=99_999)


def test_log_lines_are_json() -> None:
    pytest.importorskip("uvicorn", reason="the service needs the extra 'serve'")
    from recognizer.serve.server import JsonLines

    def line(message: str) -> dict[str, Any]:
        return dict(json.loads(JsonLines().format(logging.LogRecord("x", logging.INFO, "", 0, message, None, None))))

    assert line('{"event": "request"}')["event"] == "request" and line("hello\n")["message"] == "hello\n" and "time" in line("[1]")


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_the_command_serves_a_project_refuses_a_second_one_and_ends_with_a_signal(tmp_path: Path, models: tuple[str, str], wav: Any) -> None:
    httpx = pytest.importorskip("httpx", reason="asks the service")
    pytest.importorskip("fastapi", reason="the service needs the extra 'serve'")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "recognizer", "serve", str(tmp_path / "p"), "-m", models[0], "-m", models[1], "--device", "cpu", "--port"]
    with subprocess.Popen([*words, str(port)], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        assert first == f"recognizer: http://localhost:{port}/ with bundle, bundle; Ctrl-C ends it\n"
        limit = time.monotonic() + 30
        while True:
            try:
                answer = httpx.post(f"http://127.0.0.1:{port}/v1/audio/transcriptions", files={"file": ("a.wav", wav("abcd"))}, timeout=60)
                break
            except httpx.TransportError:
                assert time.monotonic() < limit
                time.sleep(0.1)
        assert answer.json()["text"] == "abcd"
        second = subprocess.run([*words, "0"], capture_output=True, text=True, timeout=120)
        assert second.returncode == 2 and f"process {process.pid} serves this project" in second.stderr
        process.send_signal(signal.SIGINT)
        logged = [json.loads(line) for line in process.stderr.read().splitlines() if line.startswith("{")]  # among them may be notes
        assert process.wait(30) == 0
    assert [(line["event"], line["status"]) for line in logged] == [("request", 200)]


def test_a_client_that_goes_ends_its_work(service: Any, wav: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()
    jobs: list[Job] = []

    def read(some: Any, done: Any) -> None:
        jobs.extend(some)
        begun.set()
        assert go_on.wait(20)
        for job in some:
            done(job, Transcript("x", "x"))

    slow = Batcher(read, window=0.0)
    monkeypatch.setattr(service.service, "quick", slow)
    port = int(service.url.rpartition(":")[2])
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + wav("abcd") + b"\r\n--x--\r\n"
    head = f"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head.encode() + b"Content-Type: multipart/form-data; boundary=x\r\n\r\n" + body)
        assert begun.wait(10)
    limit = time.monotonic() + 10
    while not jobs[0].future.cancelled():
        assert time.monotonic() < limit
        time.sleep(0.02)
    go_on.set()
    slow.close()
    while list(service.service.folder.iterdir()):
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_a_full_queue_is_answered_with_the_time_to_come_again(start: Callable[..., Any], wav: Callable[..., bytes]) -> None:
    go_on = threading.Event()

    def read(some: Any, done: Any) -> None:
        assert go_on.wait(20)
        for job in some:
            done(job, Transcript("x", "x", seconds=1.0))

    with start(Limits(answer_seconds=0.5)) as found, found.client() as client:
        found.service.quick.close()
        found.service.quick = Batcher(read, window=0.0, queue=1)
        late = client.post("/v1/audio/transcriptions", files={"file": ("a.wav", wav("abcd"))})
        assert late.status_code == 504 and "0.5 s" in late.json()["error"]["message"]
        busy = client.post("/v1/audio/transcriptions", files={"file": ("a.wav", wav("abcd"))})
        assert busy.status_code == 429 and int(busy.headers["retry-after"]) >= 1 and busy.json()["error"]["type"] == "rate_limit_error"
        go_on.set()
