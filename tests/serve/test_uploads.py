from __future__ import annotations

import importlib.util
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module")
def hostile() -> Any:
    spec = importlib.util.spec_from_file_location("bench_hostile", SCRIPTS / "bench_hostile.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_hostile_uploads_get_one_sentence_each_and_leave_nothing(service: Any, hostile: Any, wav: Callable[..., bytes]) -> None:
    with service.client() as client:
        for kind, route, file in hostile.hostile_uploads(60, random.Random(5)):
            answer = client.post(route, files={"file": file})
            message = answer.json().get("error", {}).get("message", "")
            assert 400 <= answer.status_code < 500 and message, (kind, answer.text)
            assert "\n" not in message and tempfile.gettempdir() not in message and "Traceback" not in message, (kind, message)
        good = client.post("/v1/audio/transcriptions", files={"file": ("a.wav", wav("abcd"))})
    assert good.json()["text"] == "abcd" and list(service.service.folder.iterdir()) == []


def test_hostile_uploads_do_not_get_into_a_project(start: Callable[..., Any], tmp_path: Path, hostile: Any) -> None:
    with start(project=tmp_path / "p") as found, found.client() as client:
        for kind, _, (name, data) in hostile.hostile_uploads(24, random.Random(6)):
            answer = client.post("/api/items", files=[("files", (name, data))])
            if kind not in ("flipped", "noise", "wrong_type"):  # whose damage is found when they are read
                assert 400 <= answer.status_code < 500, (kind, answer.text)
                assert "<script>" not in answer.text and tempfile.gettempdir() not in answer.text
        assert list(found.service.folder.iterdir()) == []
        assert sorted(path.name for path in tmp_path.iterdir()) == ["p"]


@pytest.mark.skipif(os.name == "nt", reason="processes are looked up otherwise on Windows")
def test_what_a_killed_service_left_is_removed_at_the_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fastapi", reason="the service needs the extra 'serve'")
    from recognizer.serve.uploads import PREFIX, temporary_folder

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    old, alive, other = tmp_path / f"{PREFIX}{gone.pid}-x", tmp_path / f"{PREFIX}{os.getppid()}-y", tmp_path / f"{PREFIX}notes"
    for folder in (old, alive, other):
        folder.mkdir()
        (folder / "upload").write_text("x")
    with temporary_folder() as folder:
        assert folder.is_dir() and not old.exists() and alive.exists() and other.exists()
    assert not folder.exists()


def test_a_multi_page_file_is_read_whole_by_the_service(service: Any, png: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    from PIL import Image

    from recognizer.types import Line, Transcript

    pages = [Image.open(io.BytesIO(png(text))) for text in ("ab", "cd")]
    file = io.BytesIO()
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])

    class Reader:
        def __init__(self, recognizer: Any, segmenter: Any) -> None:
            pass

        def transcribe(self, source: Path, times: bool) -> Any:
            assert source.suffix == ".tif"
            for number, text in enumerate(("ab", "cd"), start=1):
                yield Transcript(str(source), text, lines=(Line("line_1", (), text=text),), width=9, height=9, page=number)

    monkeypatch.setattr("recognizer.serve.pages.PageReader", Reader)
    monkeypatch.setattr("recognizer.serve.pages.find_segmenter", lambda: None)
    with service.client() as client:
        answer = client.post("/v1/images/transcriptions", files={"file": ("scan.tif", file.getvalue())}, data={"response_format": "verbose_json"})
    assert answer.json()["text"] == "ab\n\ncd" and [line["id"] for line in answer.json()["lines"]] == ["line_1", "page_2_line_1"]
