from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from recognizer.errors import ConfigError
from recognizer.serve.settings import Limits, ServeSettings, is_loopback

TOKEN = "a-secret-token"


@pytest.fixture(scope="module")
def protected(start: Callable[..., Any]) -> Iterator[Any]:
    with start(Limits(bytes=1 << 20, seconds=2.0, pixels=10_000), token=TOKEN, hosts=("texts.example.org",)) as found:
        yield found


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000", "192.168.1.7", socket.gethostname(), "recognizer.localhost"])
def test_names_of_this_machine_are_answered(service: Any, host: str) -> None:
    with service.client() as client:
        assert client.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "", "[", "a@b"])
def test_other_names_are_refused(service: Any, host: str) -> None:
    with service.client() as client:
        answer = client.get("/v1/models", headers={"Host": host})
    assert answer.status_code in (400, 403)


def test_a_name_that_was_allowed_is_answered(protected: Any) -> None:
    with protected.client() as client:
        assert client.get("/healthz", headers={"Host": "texts.example.org"}).json()["status"] == "ok"


@pytest.mark.parametrize(("headers", "status"), [
    ({"Origin": "https://evil.example"}, 403), ({"Origin": "null"}, 403), ({"Origin": "http://localhost:1"}, 403),
    ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403), ({"Sec-Fetch-Site": "same-site"}, 403),
    ({"Sec-Fetch-Site": "same-origin"}, 200), ({"Sec-Fetch-Site": "none"}, 200), ({}, 200),
])  # fmt: skip
def test_requests_of_pages_elsewhere_are_refused(service: Any, headers: dict[str, str], status: int) -> None:
    with service.client() as client:
        assert client.get("/v1/models", headers=headers).status_code == status
        own = client.get("/v1/models", headers={"Origin": service.url})
    assert own.status_code == 200 and "access-control-allow-origin" not in own.headers


def test_a_link_from_elsewhere_may_open_the_page_and_nothing_else(service: Any) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    with service.client() as client:
        assert client.get("/", headers=headers).status_code in (200, 303)
        assert client.get("/v1/models", headers=headers).status_code == 403
        assert client.post("/", headers=headers).status_code == 403


def test_answers_tell_the_browser_to_be_careful(service: Any) -> None:
    with service.client() as client:
        headers = client.get("/docs").headers
    assert "default-src 'self'" in headers["content-security-policy"] and "frame-ancestors 'none'" in headers["content-security-policy"]
    assert (headers["x-content-type-options"], headers["cross-origin-resource-policy"]) == ("nosniff", "same-origin")
    assert "server" not in headers


def test_a_token_is_needed_where_there_is_one(protected: Any, wav: Callable[..., bytes]) -> None:
    with protected.client() as client:
        refused = client.get("/v1/models")
        assert refused.status_code == 401 and refused.headers["www-authenticate"] == "Bearer"
        for wrong in ("Bearer wrong", "Bearer", f"Basic {TOKEN}", f"Bearer {TOKEN}x"):
            assert client.get("/v1/models", headers={"Authorization": wrong}).status_code == 401
        for path in ("/metrics", "/docs", "/openapi.json", "/static/index.html", "/", "/nowhere"):
            assert client.get(path).status_code == 401
        assert client.get("/healthz").status_code == 200
        right = {"Authorization": f"Bearer {TOKEN}"}
        assert client.get("/v1/models", headers=right).status_code == 200
        answer = client.post("/v1/audio/transcriptions", headers=right, files={"file": ("a.wav", wav("abcd"))})
        assert answer.json()["text"] == "abcd"


def test_the_page_takes_the_token_out_of_the_address(protected: Any) -> None:
    with protected.client() as client:
        assert client.get("/?token=wrong-token").status_code == 401
        answer = client.get(f"/?token={TOKEN}")
        assert answer.status_code == 303 and answer.headers["location"] == "/"
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie and "samesite=strict" in cookie
        assert client.get("/v1/models").status_code == 200  # the client keeps the cookie


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "example.org"])
def test_an_address_that_others_reach_needs_a_token(host: str) -> None:
    with pytest.raises(ConfigError, match="--token"):
        ServeSettings(host=host)
    assert ServeSettings(host=host, token=TOKEN).token == TOKEN and not is_loopback(host)
    with pytest.raises(ConfigError, match="8 or more"):
        ServeSettings(token="short")


def test_what_is_too_large_or_too_long_is_refused(protected: Any, wav: Callable[..., bytes], png: Callable[..., bytes]) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with protected.client(headers=headers) as client:
        large = client.post("/v1/audio/transcriptions", files={"file": ("a.wav", bytes(3 << 20))})
        assert (large.status_code, large.json()["error"]["message"]) == (413, "the upload is too large: 2 MiB at most")

        def pieces() -> Iterator[bytes]:
            for _ in range(3 << 4):
                yield bytes(1 << 16)

        kind = {"content-type": "multipart/form-data; boundary=x"}
        assert client.post("/v1/audio/transcriptions", content=pieces(), headers=kind).status_code in (400, 413)
        long = client.post("/v1/audio/transcriptions", files={"file": ("a.wav", wav("abcd" * 10))})
        assert long.status_code == 422 and "2 s at most" in long.json()["error"]["message"]
        wide = client.post("/v1/images/transcriptions", files={"file": ("a.png", png("abcd" * 40))})
        assert wide.status_code == 422 and "10,000 at most" in wide.json()["error"]["message"]


def test_an_upload_that_does_not_come_to_its_end(start: Callable[..., Any]) -> None:
    with start(Limits(upload_seconds=0.3)) as found:
        port = int(found.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
                               b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n")  # fmt: skip
            assert b" 408 " in connection.recv(1000).split(b"\r\n")[0]


def test_metrics_count_and_logs_hold_no_content(service: Any, wav: Callable[..., bytes], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "recognizer.serve")
    with service.client() as client:
        client.post("/v1/audio/transcriptions?secret=1", files={"file": ("secret.wav", wav("abcd"))}, data={"prompt": "secret"})
        client.get("/v1/models/secret")
        counted = client.get("/metrics").text
        time.sleep(0.1)
    assert 'recognizer_requests_total{method="POST",route="/v1/audio/transcriptions",status="200"}' in counted
    assert "recognizer_queue_depth 0.0" in counted and "recognizer_batch_size_count" in counted
    lines = [json.loads(record.getMessage()) for record in caplog.records]
    assert [(line["route"], line["status"]) for line in lines[:2]] == [("/v1/audio/transcriptions", 200), ("/v1/models/{name}", 404)]
    assert "secret" not in caplog.text and "abcd" not in caplog.text
