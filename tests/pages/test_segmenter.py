"""Segmenters by name, the packages they need, and RapidOCR's detector on a page without a network."""

from __future__ import annotations

import socket
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from recognizer.errors import ConfigError
from recognizer.pages.rapidocr_lines import RapidOcrSegmenter, cut_bands
from recognizer.pages.segmenter import load_segmenter


@pytest.mark.parametrize(("name", "module", "advice"), [
    ("rapidocr", "rapidocr", "rapidocr is not installed; pip install 'recognizer[pages]'"),
    ("rapidocr", "onnxruntime", "onnxruntime is not installed; pip install 'recognizer[pages]'"),
    ("kraken", "kraken", "kraken is not installed; pip install 'kraken<8'"),
])
def test_a_missing_package_is_named(monkeypatch, name, module, advice) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr", ModuleType("rapidocr"))
    monkeypatch.setitem(sys.modules, "onnxruntime", ModuleType("onnxruntime"))
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError) as caught:
        load_segmenter(name)
    assert str(caught.value) == f"--segmenter {name}: {advice}"


def test_a_wheel_without_a_detector_is_refused(monkeypatch, tmp_path) -> None:
    """Rapidocr would look for one in the network."""
    package = ModuleType("rapidocr")
    package.__file__ = str(tmp_path / "__init__.py")
    monkeypatch.setitem(sys.modules, "rapidocr", package)
    monkeypatch.setitem(sys.modules, "onnxruntime", ModuleType("onnxruntime"))
    with pytest.raises(ConfigError, match=r"brings no detector; pip install 'rapidocr>=3\.10'"):
        load_segmenter("rapidocr")


def test_a_misspelt_segmenter_is_named() -> None:
    with pytest.raises(ConfigError, match="--segmenter: 'krakn' is not one of rapidocr, kraken; did you mean 'kraken'"):
        load_segmenter("krakn")


def test_lines_of_kraken(monkeypatch) -> None:
    """Its order is kept, its regions are numbered, lines without an outline are no lines."""
    seen = []

    def line(boundary, baseline, regions):
        return SimpleNamespace(boundary=boundary, baseline=baseline, regions=regions)

    def segment(picture):
        seen.append(picture)
        return SimpleNamespace(lines=[line([[0, 0], [9, 0], [9, 5]], [[0, 4], [9, 4]], ["_x"]), line(None, [[0, 4], [9, 4]], ["_x"]),
                                      line([[0, 9], [9, 9], [9, 15]], [[0, 14], [9, 14]], ["_y"]), line([[0, 19], [9, 19], [9, 25]], [], None)])

    package, blla = ModuleType("kraken"), ModuleType("kraken.blla")
    blla.segment = segment
    package.blla = blla
    monkeypatch.setitem(sys.modules, "kraken", package)
    monkeypatch.setitem(sys.modules, "kraken.blla", blla)
    lines = load_segmenter("kraken").find(np.full((30, 20), 200, np.uint8))
    assert seen[0].size == (20, 30) and seen[0].mode == "L"
    assert [(each.id, each.region) for each in lines] == [("line_1", "region_1"), ("line_2", "region_2"), ("line_3", "region_3")]
    assert lines[0].outline == ((0, 0), (9, 0), (9, 5)) and lines[0].baseline == ((0, 4), (9, 4)) and lines[2].baseline == ()


def test_long_pages_are_cut_between_lines() -> None:
    page = np.full((1000, 50), 255, dtype=np.uint8)
    page[:, ::2] = 100
    page[[180, 350, 540, 700]] = 255  # empty rows
    bands = cut_bands(page, 200)
    assert bands[0] == (0, 180) and bands[1] == (180, 350) and bands[2] == (350, 540) and bands[3] == (540, 700) and bands[-1][1] == 1000
    assert [top for top, _ in bands[1:]] == [bottom for _, bottom in bands[:-1]]
    assert cut_bands(page, 900) == [(0, 1000)]


@pytest.fixture
def printed() -> tuple[np.ndarray, list[tuple[float, float]]]:
    """A page with five lines, and the middles of these."""
    page, font = Image.new("L", (1000, 700), 245), ImageFont.load_default(36)
    middles = []
    texts = ["The quick brown fox jumps over the lazy dog", "and runs into the wood,", "where nobody finds it again before the evening;",
             "so the dog sleeps on", "and the story has come to its end."]
    for number, text in enumerate(texts):
        box = (80, 60 + 110 * number)
        ImageDraw.Draw(page).text(box, text, font=font, fill=30)
        left, top, right, bottom = ImageDraw.Draw(page).textbbox(box, text, font=font)
        middles.append(((left + right) / 2, (top + bottom) / 2))
    return np.asarray(page), middles


@pytest.mark.parametrize("light_on_dark", [False, True])
def test_rapidocr_finds_lines_without_a_network(printed, monkeypatch, light_on_dark) -> None:
    pytest.importorskip("rapidocr", reason="lines of pages are found with rapidocr")
    pytest.importorskip("onnxruntime", reason="rapidocr runs on onnxruntime")

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network here")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    page, middles = printed
    lines = RapidOcrSegmenter().find(255 - page if light_on_dark else page)
    assert len(lines) == 5
    for line, (x, y) in zip(lines, middles, strict=True):
        xs, ys = zip(*line.outline, strict=True)
        assert (min(xs) + max(xs)) / 2 == pytest.approx(x, abs=15) and min(ys) < y < max(ys) and max(ys) - min(ys) < 90
        assert min(ys) < line.baseline[0][1] < max(ys)


def test_rapidocr_finds_nothing_on_empty_paper_and_all_on_a_long_page(printed) -> None:
    pytest.importorskip("rapidocr", reason="lines of pages are found with rapidocr")
    pytest.importorskip("onnxruntime", reason="rapidocr runs on onnxruntime")
    segmenter = RapidOcrSegmenter()
    assert segmenter.find(np.full((400, 300), 250, np.uint8)) == []
    page, _ = printed
    lines = segmenter.find(np.concatenate([page] * 3))  # 2,100 rows, looked at in bands
    assert len(lines) == 15
    tops = [min(y for _, y in line.outline) for line in lines]
    assert tops == sorted(tops)


@pytest.mark.parametrize("shape", [(1, 1), (60, 1), (1, 5000), (100_000, 10), (50, 60)])
def test_rapidocr_takes_any_shape(monkeypatch, shape) -> None:
    """What it is given to look at stays within bounds, whatever the picture."""
    pytest.importorskip("rapidocr", reason="lines of pages are found with rapidocr")
    pytest.importorskip("onnxruntime", reason="rapidocr runs on onnxruntime")
    segmenter, seen = RapidOcrSegmenter(), []

    def look(picture: np.ndarray, **_: object) -> SimpleNamespace:
        seen.append(picture.shape)
        return SimpleNamespace(boxes=None)

    monkeypatch.setattr(segmenter, "detector", look)
    assert segmenter.find(np.full(shape, 255, np.uint8)) == []
    assert all(rows * columns <= 1.3 * 2000 * 1545 and min(rows, columns) >= 32 for rows, columns, _ in seen)
