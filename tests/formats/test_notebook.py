"""What notebooks show: the picture or the waveform with its words, as HTML that is well formed and runs nothing of what was recognized."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from xml.etree.ElementTree import Element, fromstring

import numpy as np
import pytest
import soundfile
from PIL import Image

from recognizer.audio.io import load_audio
from recognizer.formats import notebook
from recognizer.formats.notebook import render_html
from recognizer.inference.recognizer import Recognizer
from recognizer.types import Line, Token, Transcript, Word

SVG = ".//svg"


def parse(html: str) -> Element:
    """The tree of HTML that is XML but for what browsers do without."""
    return fromstring(html.replace("<audio controls ", "<audio "))


def data(uri: str) -> bytes:
    return base64.b64decode(uri.partition("base64,")[2])


@pytest.fixture
def tone() -> np.ndarray:
    return (0.5 * np.sin(np.arange(16_000 * 12) / 5)).astype(np.float32)


def test_a_recording_is_drawn_and_can_be_played(tmp_path: Path, tone: np.ndarray) -> None:
    soundfile.write(tmp_path / "a.wav", tone, 16_000)
    words = (Word("eins", 1.0, 1.5, 0.9), Word("zwei & drei", 10.5, 11.0, 0.1))
    root = parse(render_html(Transcript(str(tmp_path / "a.wav"), "eins zwei & drei", seconds=12.0, words=words)))
    samples, rate = soundfile.read(io.BytesIO(data(root.find("audio").get("src"))))
    assert rate == 16_000 and np.abs(samples - tone).max() < 1e-3
    first, second = root.findall(SVG)  # ten seconds a row
    (drawn,) = first.findall("g")
    assert drawn.find("text").text == "eins" and drawn.find("title").text == "eins (1.00-1.50 s, 90%)" and "currentTime=1.00" in drawn.get("onclick")
    assert (float(drawn.find("rect").get("x")), float(drawn.find("rect").get("width"))) == (100, 50)
    assert second.find("g/text").text == "zwei & drei" and float(second.find("g/rect").get("x")) == 50
    points = np.array([point.split(",") for point in first.find("polygon").get("points").split()], float)
    assert len(points) == 2000 and points[:, 0].max() == 999 and points[:, 1].min() == pytest.approx(15, abs=1)
    assert "12.0 s · confidence 50%" in root[0].text


def test_the_beginning_of_a_long_recording_is_shown(tmp_path: Path, tone: np.ndarray, monkeypatch) -> None:
    monkeypatch.setattr(notebook, "MAX_SECONDS", 6.0)
    soundfile.write(tmp_path / "a.wav", tone, 16_000)
    html = render_html(Transcript(str(tmp_path / "a.wav"), "a", seconds=12.0, words=(Word("a", 1, 2), Word("b", 9, 10))))
    assert len(parse(html).findall(SVG)) == 1 and "(the first 0.1 minutes of 0 are shown)" in html and "<text" in html and ">b<" not in html


def test_a_line_has_its_words_boxed(tmp_path: Path) -> None:
    Image.new("L", (3000, 60), 200).save(tmp_path / "a.png")
    words = (Word("un", 10.0, 50.0, 1.0), Word("<b>", 60.0, 100.0))
    root = parse(render_html(Transcript(str(tmp_path / "a.png"), "un <b>", width=400, words=words)))
    (svg,) = root.findall(SVG)
    assert svg.get("viewBox") == "0 0 3000 60"
    picture = Image.open(io.BytesIO(data(svg.find("image").get("href"))))
    assert picture.size == (2000, 40) and picture.getpixel((5, 5)) == 200
    boxes = [tuple(float(rect.get(name)) for name in ("x", "y", "width", "height")) for rect in svg.findall("rect")]
    assert boxes == [(10, 1, 40, 58), (60, 1, 40, 58)]
    assert [rect.find("title").text for rect in svg.findall("rect")] == ["un (10.00-50.00 px, 100%)", "<b> (60.00-100.00 px)"]


def test_a_page_shows_lines_and_words(tmp_path: Path) -> None:
    Image.new("L", (300, 200), 255).save(tmp_path / "a.png")
    lines = (Line("l1", ((10, 10), (90, 12), (90, 30), (10, 30)), text="ein Wort", words=(Word("ein", 10, 40, box=(10, 10, 40, 30)),)),
        Line("l2", ((10, 50), (90, 50), (90, 70)), text="<i>"))  # fmt: skip
    root = parse(render_html(Transcript(str(tmp_path / "a.png"), "ein Wort\n<i>", width=300, height=200, lines=lines)))
    svg = root.find(SVG)
    assert [polygon.get("points") for polygon in svg.findall("polygon")] == ["10,10 90,12 90,30 10,30", "10,50 90,50 90,70"]
    assert svg.find("rect").get("y") == "10" and [div.text for div in root.findall("div")][1:] == ["ein Wort", "<i>"]


@pytest.mark.parametrize(
    "transcript",
    [
        Transcript("array 3", "<script>alert(1)</script>", seconds=1.0),
        Transcript("gone.png", "<script>alert(1)</script>", width=9),
        Transcript("<script>x.wav", error="<script>x.wav: no such file"),
        Transcript("\udcff.wav", "\ud800<script>", seconds=1.0, tokens=(Token("<script>", 0, 1),)),
    ],
)
def test_what_is_not_there_leaves_the_text_and_nothing_runs(transcript: Transcript) -> None:
    html = render_html(transcript)
    assert "<script" not in html and "&lt;script&gt;" in html and not parse(html).findall(SVG)
    html.encode()


def test_what_was_given_is_shown_without_a_file(speech_run: Path, line_run: Path, tones, glyphs) -> None:
    listener, reader = (Recognizer.load(run / "bundle", "cpu", threads=1) for run in (speech_run, line_run))
    path = tones.items()[0].source
    for given in (path, path.read_bytes(), load_audio(path, 8000)):
        transcript = listener.transcribe(given, times=True)
        root = parse(transcript._repr_html_())
        assert "".join(text.text for text in root.findall(".//text")) == transcript.text
        samples, _ = soundfile.read(io.BytesIO(data(root.find("audio").get("src"))))
        assert len(samples) / 16_000 == pytest.approx(transcript.seconds, abs=1e-3)
    picture = glyphs.items()[0].source
    for given in (picture, picture.read_bytes(), Image.open(picture)):
        transcript = reader.transcribe(given, times=True)
        assert len(parse(transcript._repr_html_()).findall(".//rect")) == len(transcript.words) == 1
    assert re.search("<rect", transcript._repr_html_())
