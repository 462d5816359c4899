from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from recognizer.bundle.io import save_bundle
from recognizer.config import ModelConfig, RecognizerConfig, StrokeFeatures
from recognizer.data.manifest import load_manifest
from recognizer.data.project import Project, read_corrections
from recognizer.models.network import Network
from recognizer.text.alphabet import Alphabet

Wav = Callable[..., bytes]


def _add(client: Any, *files: tuple[str, bytes], paths: list[str] | None = None) -> Any:
    return client.post("/api/items", files=[("files", file) for file in files], data={} if paths is None else {"paths": paths})


def _wait(client: Any, count: int = 0, seconds: float = 20.0) -> list[dict[str, Any]]:
    """The items, once none is new and there are at least so many."""
    end = time.monotonic() + seconds
    while True:
        items = client.get("/api/items?sort=name").json()["items"]
        if len(items) >= count and all(item["state"] != "new" for item in items):
            return list(items)
        assert time.monotonic() < end, items
        time.sleep(0.05)


def test_dropped_files_are_read_and_listed(desk: Any, wav: Wav, png: Wav) -> None:
    with desk.client() as client:
        answer = _add(client, ("a.wav", wav("abcd")), ("b.png", png("dcba")), ("c.txt", b"hello"), paths=["anna/a.wav", "book/b.png", "c.txt"])
        added, refused = answer.json()["added"], answer.json()["refused"]
        assert [(item["name"], item["group"], item["kind"], item["state"]) for item in added] == [
            ("a.wav", "anna", "audio", "new"), ("b.png", "book", "line", "new")]
        assert refused == [{"name": "c.txt", "error": "c.txt: its ending '.txt' is none of a recording or picture"}]
        items = _wait(client, 2)
        assert [(item["text"], item["state"], item["error"]) for item in items] == [("abcd", "read", None), ("dcba", "read", None)]
        project = client.get("/api/project").json()
        assert project["counts"] == {"new": 0, "read": 2, "corrected": 0, "learnt": 0} and project["formats"]["manifest"] is None
        full = client.get(f"/api/items/{items[0]['id']}").json()
    (word,) = full["words"]
    assert word["text"] == "abcd" and 0 <= word["start"] < word["end"] and 0 < word["confidence"] <= 1
    assert 0 < full["confidence"] <= 1 and full["can_undo"] is False


def test_the_same_file_is_kept_once_and_a_damaged_one_refused(desk: Any, wav: Wav) -> None:
    with desk.client() as client:
        first = _add(client, ("a.wav", wav("ab"))).json()["added"][0]
        assert _add(client, ("b.wav", wav("ab"))).json()["added"][0]["id"] == first["id"]
        answer = _add(client, ("x.wav", wav("ab")[:50]))
        assert answer.status_code == 422 and answer.json()["error"]["message"].startswith("x.wav: ") and "tmp" not in answer.text
        assert client.get("/api/items").json()["total"] == 1
        assert list(desk.service.folder.iterdir()) == []


def test_corrections_are_kept_shown_and_taken_back(desk: Any, wav: Wav) -> None:
    with desk.client() as client:
        _add(client, ("a.wav", wav("abcd")))
        (item,) = _wait(client, 1)
        place = f"/api/items/{item['id']}/correction"
        saved = client.put(place, json={"text": "ab cd"}).json()
        assert (saved["state"], saved["text"], saved["read"]) == ("corrected", "ab cd", "abcd")
        folder = desk.service.project.folder
        assert [each.text for each in load_manifest(folder)] == ["ab cd"]
        full = client.get(f"/api/items/{item['id']}").json()
        assert [word["text"] for word in full["words"]] == ["ab", "cd"] and full["words"][0]["end"] <= full["words"][1]["start"]
        client.put(place, json={"text": "ab cde"})
        assert client.get(f"/api/items/{item['id']}").json()["earlier"] == ["ab cd"]
        assert client.delete(place).json()["text"] == "ab cd"
        back = client.delete(place).json()
        assert (back["state"], back["text"]) == ("read", "abcd")
        assert client.put(place, json={"text": 5}).status_code == 422
        assert client.put(place, content=b"{").status_code == 400
        assert client.put("/api/items/nothing/correction", json={"text": "x"}).status_code == 404


def test_the_project_is_the_truth(start: Callable[..., Any], tmp_path: Path, wav: Wav, png: Wav) -> None:
    with start(project=tmp_path / "p") as first, first.client() as client:
        _add(client, ("a.wav", wav("abcd")), ("b.png", png("ab")))
        items = _wait(client, 2)
        client.put(f"/api/items/{items[0]['id']}/correction", json={"text": "abc"})
    (tmp_path / "p" / "sources" / "copied.png").write_bytes(png("cd"))
    with start(project=tmp_path / "p") as second, second.client() as client:
        items = _wait(client, 3)
    assert [(item["name"], item["text"], item["state"]) for item in items] == [
        ("a.wav", "abc", "corrected"), ("b.png", "ab", "read"), ("copied.png", "cd", "read")]
    assert [item.text for item in read_corrections(tmp_path / "p")] == ["abc"]


def test_lists_are_filtered_searched_and_sorted(desk: Any, png: Wav) -> None:
    with desk.client() as client:
        _add(client, ("one.png", png("abab")), ("two.png", png("cdcd")), ("three.png", png("aaaa")))
        items = _wait(client, 3)
        ids = {item["name"]: item["id"] for item in items}
        client.put(f"/api/items/{ids['two.png']}/correction", json={"text": "Éclair"})

        def names(query: str) -> list[str]:
            return [item["name"] for item in client.get(f"/api/items?{query}").json()["items"]]

        assert names("state=corrected") == ["two.png"] and names("q=ÉCLAIR two") == ["two.png"] and names("q=aaaa nothing") == []
        assert names("sort=name") == ["one.png", "three.png", "two.png"] and names("sort=name&offset=1&limit=1") == ["three.png"]
        assert names("sort=time")[0] == "two.png" and names("kind=audio") == []
        worst = client.get("/api/items?sort=confidence").json()["items"]
        assert worst[-1]["name"] == "two.png" and worst[0]["confidence"] <= worst[1]["confidence"]
        for wrong in ("state=bad", "kind=x", "sort=size"):
            assert client.get(f"/api/items?{wrong}").status_code == 422


def test_media_in_parts_and_converted(desk: Any, wav: Wav, png: Wav) -> None:
    tiff, aiff = io.BytesIO(), wav("abcd", format="AIFF")
    Image.open(io.BytesIO(png("abcd"))).save(tiff, "TIFF")
    with desk.client() as client:
        _add(client, ("a.wav", wav("abcd")), ("b.aiff", aiff), ("c.tif", tiff.getvalue()))
        one, two, three = _wait(client, 3)
        whole = client.get(f"/api/items/{one['id']}/media")
        assert (whole.content, whole.headers["content-type"], whole.headers["accept-ranges"]) == (wav("abcd"), "audio/wav", "bytes")
        part = client.get(f"/api/items/{one['id']}/media", headers={"Range": "bytes=4-11"})
        assert (part.status_code, part.content) == (206, wav("abcd")[4:12])
        assert client.get(f"/api/items/{two['id']}/media").content[:4] == b"RIFF"
        picture = client.get(f"/api/items/{three['id']}/media")
        assert picture.headers["content-type"] == "image/png" and Image.open(io.BytesIO(picture.content)).size == (56, 20)


def test_peaks_and_spikes(desk: Any, wav: Wav, png: Wav) -> None:
    with desk.client() as client:
        _add(client, ("a.wav", wav("abcd")), ("b.png", png("ab")))
        one, two = _wait(client, 2)
        peaks = client.get(f"/api/items/{one['id']}/peaks?n=40").json()
        assert len(peaks["peaks"]) == 40 and 0.2 < peaks["seconds"] < 1
        assert 30 < max(high for _, high in peaks["peaks"]) <= 41 and min(low for low, _ in peaks["peaks"]) >= -41
        spikes = client.get(f"/api/items/{one['id']}/spikes").json()
        assert len(spikes["blank"]) == spikes["frames"] and spikes["step"] == pytest.approx(0.03)
        sure = [symbol for _, symbol, probability in spikes["spikes"] if probability > 0.5]
        assert "".join(symbol for place, symbol in enumerate(sure) if place == 0 or sure[place - 1] != symbol) == "abcd"
        assert client.get(f"/api/items/{two['id']}/peaks").status_code == 422
        assert client.get(f"/api/items/{two['id']}/spikes").json()["frames"] > 0


def test_a_pen_trace_is_read_and_drawn(
    start: Callable[..., Any], models: tuple[str, ...], tmp_path: Path, pen: Callable[..., Any], ink: Callable[..., str]
) -> None:
    config = RecognizerConfig(StrokeFeatures(), ModelConfig(num_layers=1, hidden_size=4))  # which has learnt nothing
    save_bundle(tmp_path / "pens", config, Alphabet(tuple("abcd")), Network(config, 5).state_dict(), "")
    with start(project=tmp_path / "p", models=(*models, str(tmp_path / "pens"))) as desk, desk.client() as client:
        answer = _add(client, ("pen.inkml", ink(pen("abcd", np.random.default_rng(0))).encode()), ("other.xml", b"<alto/>"))
        assert answer.json()["refused"] == [{"name": "other.xml", "error": (
            "other.xml: not a pen trace: its root element is <alto>, neither <WhiteboardCaptureSession> nor <ink>")}]
        (item,) = _wait(client, 1)
        assert (item["kind"], item["state"], item["error"]) == ("strokes", "read", None)
        drawing = client.get(f"/api/items/{item['id']}/media")
        assert client.get(f"/api/items/{item['id']}/spikes").json()["frames"] > 0
        assert client.get("/api/export", params={"format": "txt", "id": item["id"]}).text == item["text"] + "\n"
    assert drawing.headers["content-type"] == "image/svg+xml"
    picture = ElementTree.fromstring(drawing.text)
    width, height = int(picture.get("width") or 0), int(picture.get("height") or 0)
    lines = [[tuple(map(float, point.split(","))) for point in (line.get("points") or "").split()] for line in picture.iterfind(".//{*}polyline")]
    assert len(lines) == 5 and width > height > 100  # d has two strokes
    xs, ys = zip(*(point for line in lines for point in line), strict=True)
    assert (min(xs), min(ys)) == (12, 12) and (max(xs), max(ys)) == pytest.approx((width - 12, height - 12), abs=1)
    starts = [line[0][0] for line in lines]
    assert starts == sorted(starts) and lines[0][0][1] < lines[0][-2][1]  # from left to right, the first one downwards


def test_a_document_of_several_pages_becomes_an_item_a_page(desk: Any, png: Wav) -> None:
    pages = [Image.open(io.BytesIO(png(text))) for text in ("abcd", "dcba")]
    file = io.BytesIO()
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])
    with desk.client() as client:
        _add(client, ("scan.tif", file.getvalue()))
        items = _wait(client, 2)
    assert [(item["name"], item["text"]) for item in items] == [("scan 0001.png", "abcd"), ("scan 0002.png", "dcba")]


def test_error_against_corrections(desk: Any, png: Wav) -> None:
    with desk.client() as client:
        _add(client, ("a.png", png("abcd")), ("b.png", png("aaaa")))
        one, two = _wait(client, 2)
        client.put(f"/api/items/{one['id']}/correction", json={"text": "abcc"})
        client.put(f"/api/items/{two['id']}/correction", json={"text": two["text"]})
        points = client.get("/api/history").json()["corrections"]
    assert [(point["n"], point["errors"], point["reference"], point["rate"]) for point in points] == [(1, 1, 4, 0.25), (2, 0, 4, 0.125)]


def test_news_reach_an_open_page(desk: Any, wav: Wav) -> None:
    with desk.client() as client, client.stream("GET", "/api/events") as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": open"
        _add(client, ("a.wav", wav("abcd")))
        names = []
        for line in lines:
            if line.startswith("event: "):
                names.append(line.removeprefix("event: "))
            if line.startswith("data: ") and names[-1] == "item":
                record = json.loads(line.removeprefix("data: "))
                break
    assert names[0] == "counts" and (record["text"], record["state"]) == ("abcd", "read")


def test_names_that_lead_elsewhere_stay_within_the_project(desk: Any, wav: Wav) -> None:
    with desk.client() as client:
        answer = _add(client, ("x.wav", wav("abcd")), paths=["../../../<img src=x onerror=alert(1)>/..\\evil.wav"])
        assert answer.status_code == 200
        (item,) = _wait(client, 1)
    root = desk.service.project.folder
    (path,) = [path for path in (root / "sources").rglob("*") if path.is_file()]
    assert path.name == f"evil.{item['id']}.wav" and "<" not in path.as_posix() and item["name"] == "evil.wav"
    assert [folder.name for folder in root.parent.iterdir()] == ["project"]
    assert len(list(Project(root).sources())) == 1
