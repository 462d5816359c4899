from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recognizer.data.project import Project

WORKER = """
import json, shutil, signal, sys, time
bundle, manifest, output = sys.argv[2], sys.argv[3], sys.argv[5]
def say(**record): print(json.dumps(record), file=sys.stderr, flush=True)
say(event="progress", stage="training", fraction=0.25, seconds_left=30.0)
mode = sys.argv[1]
if mode == "fails":
    print("recognizer: 3 corrections are too few; correct ten", file=sys.stderr)
    sys.exit(2)
if mode == "hangs":
    time.sleep(60)
items = [json.loads(line) for line in open(manifest, encoding="utf-8")]
shutil.copytree(bundle, output)
say(event="result", bundle=output, before=0.142, after=0.068, interval=[-0.1, -0.05], metric="CER", items=len(items), held_back=1, minutes=0.1,
    gained=mode == "gains")
"""


@pytest.fixture
def worker(tmp_path: Path) -> Callable[[Any, str], None]:
    """Let lessons be given by a script instead of `recognizer adapt`."""
    script = tmp_path / "worker.py"
    script.write_text(WORKER, encoding="utf-8")

    def use(desk: Any, mode: str) -> None:
        desk.app.teacher.command = (sys.executable, str(script), mode)

    return use


def _correct(client: Any, png: Callable[..., bytes], count: int) -> None:
    """Add so many lines and one more, and correct all but the last."""
    texts = ["".join("abcd"[(number >> 2 * place) % 4] for place in range(4)) for number in range(count + 1)]
    client.post("/api/items", files=[("files", (f"{text}.png", png(text, seed))) for seed, text in enumerate(texts)])
    while client.get("/api/project").json()["counts"]["new"]:
        time.sleep(0.05)
    items = client.get("/api/items?sort=name").json()["items"]
    for item in items[:-1]:
        assert client.put(f"/api/items/{item['id']}/correction", json={"text": item["name"][:4]}).status_code == 200


def _end(client: Any, seconds: float = 30.0) -> dict[str, Any]:
    limit = time.monotonic() + seconds
    while (lesson := client.get("/api/teach").json())["state"] == "running":
        assert time.monotonic() < limit, lesson
        time.sleep(0.05)
    return dict(lesson)


def test_a_lesson_that_gains_changes_the_model_and_reads_again(desk: Any, worker: Any, png: Callable[..., bytes]) -> None:
    with desk.client() as client:
        _correct(client, png, 3)
        worker(desk, "gains")
        begun = client.post("/api/teach", json={"minutes": 1}).json()
        assert (begun["state"], begun["modality"], begun["bundle"], begun["name"], begun["items"]) == ("running", "line", "bundle", "bundle-2", 3)
        lesson = _end(client)
        assert lesson["state"] == "done" and (lesson["result"]["before"], lesson["result"]["after"]) == (0.142, 0.068)
        assert client.get("/api/project").json()["models"]["line"] == "bundle-2"
        assert client.get("/api/project").json()["counts"] == {"new": 0, "read": 1, "corrected": 0, "learnt": 3}
        limit = time.monotonic() + 10
        while client.get("/api/items?state=read").json()["items"][0]["model"] != "bundle-2":
            assert time.monotonic() < limit
            time.sleep(0.05)
        assert all(item["model"] == "bundle" for item in client.get("/api/items?state=learnt").json()["items"])
        (noted,) = client.get("/api/history").json()["lessons"]
        assert (noted["name"], noted["used"], noted["items"], "learnt" in noted) == ("bundle-2", True, 3, False)
        item = client.get("/api/items?state=learnt").json()["items"][0]
        assert client.put(f"/api/items/{item['id']}/correction", json={"text": "other"}).json()["state"] == "corrected"
    project = Project(desk.service.project.folder)
    assert project.models == {"line": "bundle-2"} and (project.folder / "bundles" / "bundle-2").is_dir()


def test_a_lesson_without_gain_leaves_the_model(desk: Any, worker: Any, png: Callable[..., bytes]) -> None:
    with desk.client() as client:
        _correct(client, png, 2)
        worker(desk, "loses")
        client.post("/api/teach", json={})
        assert _end(client)["result"]["gained"] is False
        assert client.get("/api/project").json()["models"]["line"] == "bundle"
        assert client.get("/api/project").json()["counts"]["corrected"] == 2
        assert client.get("/api/history").json()["lessons"][0]["used"] is False
    assert list((desk.service.project.folder / "bundles").iterdir()) == []


def test_a_lesson_that_fails_says_why(desk: Any, worker: Any, png: Callable[..., bytes]) -> None:
    with desk.client() as client:
        nothing = client.post("/api/teach", json={})
        assert nothing.status_code == 409 and "nothing has been corrected" in nothing.json()["error"]["message"]
        _correct(client, png, 1)
        worker(desk, "fails")
        client.post("/api/teach", json={"modality": "line"})
        lesson = _end(client)
        assert (lesson["state"], lesson["error"]) == ("failed", "3 corrections are too few; correct ten")
        assert client.post("/api/teach", json={"minutes": -1}).status_code == 422
        assert client.post("/api/teach", json={"modality": "music"}).status_code == 422


def test_a_lesson_can_be_cancelled_and_the_page_stays_quick(desk: Any, worker: Any, png: Callable[..., bytes]) -> None:
    with desk.client() as client:
        _correct(client, png, 1)
        worker(desk, "hangs")
        client.post("/api/teach", json={})
        limit = time.monotonic() + 10
        while client.get("/api/teach").json()["fraction"] != 0.25:
            assert time.monotonic() < limit
            time.sleep(0.05)
        assert client.get("/api/teach").json()["seconds_left"] == 30.0
        assert client.post("/api/teach", json={}).status_code == 409
        assert client.delete("/api/teach").json()["state"] == "cancelled"
        assert client.get("/api/project").json()["models"]["line"] == "bundle"
        worker(desk, "gains")
        client.post("/api/teach", json={})
        assert _end(client)["state"] == "done"


@pytest.mark.slow
def test_a_real_lesson_on_a_tiny_model(desk: Any, png: Callable[..., bytes]) -> None:
    with desk.client() as client:
        _correct(client, png, 12)
        client.post("/api/teach", json={"minutes": 1})
        lesson = _end(client, 120)
    assert lesson["error"] is None and lesson["state"] == "done"
    assert lesson["result"]["metric"] == "CER" and lesson["result"]["items"] == 12 and 0 <= lesson["result"]["after"] <= 1
