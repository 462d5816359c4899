from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from recognizer.data.project import read_corrections
from recognizer.pages.segmenter import PageLine


class Rows:
    """Finds two lines of a page: its upper and its lower half."""

    def find(self, picture: np.ndarray) -> list[PageLine]:
        height, width = picture.shape
        found = []
        for number, (top, bottom) in enumerate([(0, height // 2), (height // 2, height)], start=1):
            outline = ((0, top), (width, top), (width, bottom), (0, bottom))
            found.append(PageLine(f"line_{number}", outline, ((0, bottom - 3), (width, bottom - 3)), "region_1"))
        return found


@pytest.fixture
def page(draw: Callable[..., np.ndarray]) -> bytes:
    """A picture of two lines."""
    rows = [draw(text, np.random.default_rng(0)) for text in ("abcd", "dcba")]
    file = io.BytesIO()
    Image.fromarray(np.concatenate(rows)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def desk(start: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with start(project=tmp_path / "project") as found:
        monkeypatch.setattr("recognizer.serve.pages.find_segmenter", Rows)
        for place in ("desk", "transcriptions"):
            monkeypatch.setattr(f"recognizer.serve.{place}.looks_like_page", lambda picture: picture.shape[0] > 30)
        yield found


def test_lines_of_a_page_are_items_that_can_be_corrected_and_taught(desk: Any, page: bytes, png: Callable[..., bytes]) -> None:
    with desk.client() as client:
        files = [("files", ("page.png", page)), ("files", ("line.png", png("ab")))]
        client.post("/api/items", files=files, data={"paths": ["book/page.png", "line.png"]})
        limit = time.monotonic() + 20
        while client.get("/api/items?state=new").json()["total"]:
            assert time.monotonic() < limit
            time.sleep(0.05)
        (whole,) = client.get("/api/items?kind=page").json()["items"]
        assert (whole["text"], whole["kind"], whole["name"]) == ("abcd\ndcba", "page", "page.png")
        lines = client.get(f"/api/items?page={whole['id']}&sort=name").json()["items"]
        assert [(line["id"], line["text"], line["page"]) for line in lines] == [
            (f"{whole['id']}.line_1", "abcd", whole["id"]), (f"{whole['id']}.line_2", "dcba", whole["id"])]
        assert client.get("/api/project").json()["counts"]["read"] == 3  # lines, not pages
        assert Image.open(io.BytesIO(client.get(f"/api/items/{lines[1]['id']}/media").content)).size[0] == 56

        assert client.put(f"/api/items/{whole['id']}/correction", json={"text": "x"}).status_code == 409
        saved = client.put(f"/api/items/{lines[1]['id']}/correction", json={"text": "dc ba"}).json()
        assert (saved["state"], saved["read"]) == ("corrected", "dcba")
        full = client.get(f"/api/items/{whole['id']}").json()
        assert [line["text"] for line in full["lines"]] == ["abcd", "dc ba"] and full["height"] == 40
        line = client.get(f"/api/items/{lines[1]['id']}").json()
        assert [word["text"] for word in line["words"]] == ["dc", "ba"]
        assert client.get(f"/api/export?format=txt&id={whole['id']}").text == "abcd\ndc ba\n"
        assert client.get(f"/api/items/{lines[0]['id']}/spikes").json()["frames"] > 0
    (item,) = read_corrections(desk.service.project.folder)
    assert (item.text, item.id) == ("dc ba", lines[1]["id"]) and Image.open(item.source).size[0] == 56


def test_a_page_over_the_service(desk: Any, page: bytes, png: Callable[..., bytes]) -> None:
    with desk.client() as client:

        def ask(data: bytes, **fields: str) -> Any:
            return client.post("/v1/images/transcriptions", files={"file": ("page.png", data)}, data=fields)

        assert ask(page).json()["text"] == "abcd\ndcba"
        assert ask(page, layout="line").json()["text"] != "abcd\ndcba"
        answer = ask(page, response_format="verbose_json").json()
        assert [(line["id"], line["text"]) for line in answer["lines"]] == [("line_1", "abcd"), ("line_2", "dcba")]
        assert len(answer["lines"][1]["words"][0]["box"]) == 4 and (answer["width"], answer["height"]) == (56, 40)
        assert ask(png("ab")).json()["text"] == "ab"
