"""Files that the page offers to take away: every format of every kind of source, many in an archive, and a training set."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest

Fill = Callable[..., list[dict[str, Any]]]


def _get(client: Any, format: str, id: str) -> Any:
    answer = client.get("/api/export", params={"format": format, "id": id})
    assert answer.status_code == 200, (format, answer.text)
    return answer


def _texts(document: str, path: str, attribute: str | None = None) -> list[str]:
    """Texts, or an attribute, of the elements at a path in any namespace, of those that have one."""
    found = ElementTree.fromstring(document).iterfind(path)
    return [text for each in found if (text := each.get(attribute) if attribute else each.text)]


def test_every_format_of_a_recording(desk: Any, fill: Fill) -> None:
    (item,) = fill("abcd", sound=True)
    with desk.client() as client:
        client.put(f"/api/items/{item['id']}/correction", json={"text": "ab cd"})
        words = client.get(f"/api/items/{item['id']}").json()["words"]
        offered = client.get("/api/project").json()["formats"]
        made = {name: _get(client, name, item["id"]).text for name, kind in offered.items() if kind in (None, "audio") and name != "manifest"}
        refused = client.get("/api/export", params={"format": "alto", "id": item["id"]})
    assert {"txt", "srt", "vtt", "textgrid", "ctm", "tsv", "json", "jsonl"} <= set(made)
    assert not any(str(desk.service.project.folder) in text for text in made.values())
    starts, ends = [word["start"] for word in words], [word["end"] for word in words]
    assert made["txt"] == "ab cd\n"
    assert re.fullmatch(r"1\n00:00:00,\d{3} --> 00:00:0\d,\d{3}\nab cd\n+", made["srt"])
    assert re.fullmatch(r"WEBVTT\n\n00:00:00\.\d{3} --> 00:00:0\d\.\d{3}\nab cd\n+", made["vtt"])
    times = [line.split() for line in made["ctm"].splitlines()]
    assert [line[4] for line in times] == ["ab", "cd"] and [float(line[2]) for line in times] == pytest.approx(starts, abs=0.011)
    assert [line.split("\t")[2] for line in made["tsv"].splitlines()] == ["text", "ab", "cd"]
    assert "IntervalTier" in made["textgrid"] and re.findall(r'text = "(\w+)"', made["textgrid"]) == ["ab", "cd"]
    for record in (json.loads(made["json"]), json.loads(made["jsonl"])):
        assert record["text"] == "ab cd" and [word["end"] for word in record["words"]] == pytest.approx(ends, abs=0.002)
    assert refused.status_code == 422 and refused.json()["error"]["message"] == "abcd.wav: alto is for line images"


def test_every_format_of_a_line(desk: Any, fill: Fill) -> None:
    (item,) = fill("abcd")
    with desk.client() as client:
        client.put(f"/api/items/{item['id']}/correction", json={"text": "ab cd"})
        offered = client.get("/api/project").json()["formats"]
        answers = {name: _get(client, name, item["id"]) for name, kind in offered.items() if kind in (None, "line") and name != "manifest"}
        refused = client.get("/api/export", params={"format": "srt", "id": item["id"]})
    made = {name: answer.text for name, answer in answers.items() if name != "pdf"}
    assert {"txt", "alto", "page", "hocr", "json", "jsonl", "tsv"} <= set(made)
    assert not any(str(desk.service.project.folder).encode() in answer.content for answer in answers.values())
    assert made["txt"] == "ab cd\n" and json.loads(made["json"])["text"] == json.loads(made["jsonl"])["text"] == "ab cd"
    assert _texts(made["alto"], ".//{*}String", "CONTENT") == ["ab", "cd"] and _texts(made["alto"], ".//{*}fileName") == ["abcd.png"]
    assert "ab cd" in _texts(made["page"], ".//{*}TextLine/{*}TextEquiv/{*}Unicode")
    assert ElementTree.fromstring(made["page"]).find("{*}Page").get("imageFilename") == "abcd.png"  # type: ignore[union-attr]
    hocr = ElementTree.fromstring(re.sub("<!DOCTYPE[^>]*>", "", made["hocr"])).iterfind(".//*[@class='ocrx_word']")
    assert ["".join(word.itertext()) for word in hocr] == ["ab", "cd"]
    assert [name for name, answer in answers.items() if "filename*=UTF-8''abcd." not in answer.headers["content-disposition"]] == []
    assert refused.status_code == 422 and refused.json()["error"]["message"] == "abcd.png: srt is for recordings"


def test_a_line_as_a_searchable_document(desk: Any, fill: Fill) -> None:
    for package in ("pikepdf", "fontTools", "pypdfium2"):
        pytest.importorskip(package, reason="needs the extra 'pages'")
    import pypdfium2

    (item,) = fill("abcd")
    with desk.client() as client:
        answer = _get(client, "pdf", item["id"])
        archive = zipfile.ZipFile(io.BytesIO(client.get("/api/export?format=pdf").content))
    assert answer.headers["content-type"] == "application/pdf" and archive.namelist() == ["abcd.pdf"]
    for content in (answer.content, archive.read("abcd.pdf")):
        with pypdfium2.PdfDocument(content) as document:
            assert document[0].get_textpage().get_text_bounded().strip() == "abcd"


def test_a_format_whose_packages_are_missing_is_not_offered(desk: Any, fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    from recognizer.formats.pdf import Pdf

    (item,) = fill("abcd")
    monkeypatch.setattr(Pdf, "missing", lambda self: "needs something")
    with desk.client() as client:
        assert "pdf" not in client.get("/api/project").json()["formats"]
        assert client.get("/api/export", params={"format": "pdf", "id": item["id"]}).status_code == 422


def test_archives_and_training_sets(desk: Any, fill: Fill, wav: Callable[..., bytes]) -> None:
    fill("abcd", sound=True, paths=["a.wav"])
    one, *_ = fill("dcba", "aa", paths=["x/b.png", "x/b.png"])
    with desk.client() as client:
        client.put(f"/api/items/{one['id']}/correction", json={"text": "ab cd"})
        archive = zipfile.ZipFile(io.BytesIO(client.get("/api/export?format=txt").content))
        assert sorted(archive.namelist())[0] == "a.txt" and len(archive.namelist()) == 3
        assert archive.read("a.txt").decode() == "ab cd\n" and archive.read("x/b.txt").decode().strip() in ("dcba", "aa")
        archive = zipfile.ZipFile(io.BytesIO(client.get("/api/export?format=srt").content))
        assert "a.srt" in archive.namelist() and len(archive.read("left-out.txt").splitlines()) == 2
        archive = zipfile.ZipFile(io.BytesIO(client.get("/api/export?format=manifest").content))
        assert json.loads(archive.read("manifest.jsonl")) == {"id": one["id"], "source": "sources/a.wav", "text": "ab cd"}
        assert archive.read("sources/a.wav") == wav("abcd")
        assert client.get("/api/export?format=docx").status_code == 422
        assert client.get("/api/export?format=manifest&state=read").json()["error"]["message"] == "nothing among these items has been corrected"
        assert list(desk.service.folder.iterdir()) == []
