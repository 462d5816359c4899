"""Drawings of log-probs (spikes named where they are, the map to scale, the waveform below), and media that decode to what was there."""

from __future__ import annotations

import base64
import io
from html import unescape
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from recognizer.decoding.timing import FrameTimes
from recognizer.errors import InputError
from recognizer.evaluation import report_plots
from recognizer.evaluation.report_data import spell
from recognizer.evaluation.report_plots import (
    CURVES_HEIGHT,
    GUTTER,
    LOG_PROB_FLOOR,
    NAMES_HEIGHT,
    SAMPLE_RATE,
    Html,
    Scale,
    draw_log_probs,
    draw_trace,
    element,
    embed_audio,
    embed_image,
)

HOSTILE = '</td><script>alert(1)</script>" onload="x" \'&amp; <!-- \u202eabc\u2066 \x00\x1b[2J\ud800'


def test_text_is_escaped_and_markup_is_not(take_apart):
    assert element("p", "a<b", Html("<br>"), 3, class_="x y", data_left=1.25) == '<p class="x y" data-left="1.2">a&lt;b<br>3</p>'
    page = take_apart(element("a", HOSTILE, element("b", HOSTILE), title=HOSTILE))
    assert [name for name, _ in page.elements] == ["a", "b"] and page.all("a") == [{"title": spell(HOSTILE)}]
    page.text.encode("utf-8")  # the half of a surrogate pair is spelled out


@given(st.text())
def test_any_text_comes_back_from_the_parser(text):
    markup = element("p", text)
    assert unescape(markup[3:-4]) == spell(text) and "<" not in markup[3:-4]


@pytest.fixture
def log_probs():
    """Blank but for a in frame 2, b in frames 5 and 6 (likelier in 6); c is never likely."""
    probs = np.full((10, 4), 0.001)
    for frame, (label, share) in {2: (1, 0.8), 5: (2, 0.6), 6: (2, 0.9)}.items():
        probs[frame, label] = share
    probs[:, 0] = 1 - probs[:, 1:].sum(axis=1)
    return np.log(probs).astype(np.float32)


def draw(log_probs, times=None, scale=None, samples=None, symbols=("a", " ", "c")):
    return ElementTree.fromstring(draw_log_probs(log_probs, times or FrameTimes(0.1, 0.0), symbols, scale or Scale(100.0, 100.0), samples))


def texts(svg, kind="spike"):
    return [(text.text, float(text.get("x"))) for text in svg.iter("text") if text.get("class") == kind]


def paths(svg, kind):
    return [path.get("d") for path in svg.iter("path") if path.get("class") == kind]


def test_spikes_are_named_where_they_are(log_probs):
    svg = draw(log_probs)
    assert texts(svg) == [("a", GUTTER + 25.0), ("␣", GUTTER + 65.0)]  # the middles of frames 2 and 6, ten pixels each
    assert svg.get("aria-label") == "Probability of each label over time, 2 spikes: a ␣"
    moved = draw(log_probs, FrameTimes(4.0, 0.0, offset=8.0), Scale(0.5, 40.0))
    assert texts(moved) == [("a", GUTTER + 9.0), ("␣", GUTTER + 17.0)]
    assert texts(draw(log_probs, symbols=("<b>", "\u202e", "c")))[0][0] == "<b>"


def test_curves_reach_their_probabilities(log_probs):
    curves = paths(draw(log_probs), "curve")
    assert len(curves) == 2  # c has none
    peaks = [min(float(point.split()[1]) for point in curve[1:].split("L")) for curve in curves]
    assert peaks == [pytest.approx(NAMES_HEIGHT + CURVES_HEIGHT * (1 - share), abs=0.1) for share in (0.8, 0.9)]


def test_the_map_holds_every_frame_of_the_labels_that_spike(log_probs):
    svg = draw(log_probs)
    image = next(svg.iter("image"))
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(image.get("href").split(",")[1]))))
    assert pixels.shape == (2, 10, 4) and float(image.get("x")) == GUTTER and float(image.get("width")) == 100
    assert pixels[..., 3] == pytest.approx(255 * np.clip(1 - log_probs[:, 1:3].T / LOG_PROB_FLOOR, 0, 1), abs=1)
    assert [name for name, _ in texts(svg, "row")] == ["a", "␣"]


def test_frames_beyond_the_picture_are_left_out(log_probs):
    assert [name for name, _ in texts(draw(log_probs, scale=Scale(100.0, 45.0)))] == ["a"]
    nothing = draw(np.empty((0, 4), np.float32))
    assert texts(nothing) == [] and next(nothing.iter("image"), None) is None


def test_names_that_would_overlap_stand_in_two_rows():
    probs = np.full((8, 3), 0.01)
    for frame in range(8):
        probs[frame, 1 + frame % 2] = 0.9
    svg = draw(np.log(probs), scale=Scale(60.0, 48.0), symbols=("aa", "bb"))
    places = [(float(t.get("y")), float(t.get("x"))) for t in svg.iter("text") if t.get("class") == "spike"]
    assert len({y for y, _ in places}) == 2
    for row in {y for y, _ in places}:
        assert all(b - a >= 2 * 3.6 * 2 for a, b in pairwise(x for y, x in places if y == row))


def test_recordings_have_a_waveform_and_seconds(log_probs):
    samples = np.zeros(16_000, np.float32)
    samples[8_000:8_100] = 0.5
    svg = draw(log_probs, samples=samples)
    points = [tuple(map(float, point.split())) for point in paths(svg, "wave")[0][1:-1].split("L")]
    assert min(points, key=lambda p: p[1])[0] == pytest.approx(GUTTER + 50, abs=2)
    assert "0.5\u00a0s" in [name for name, _ in texts(svg, "tick")]
    assert not paths(draw(log_probs), "wave")


def decode(uri, kind):
    head, body = uri.split(",")
    assert head == f"data:{kind};base64"
    return io.BytesIO(base64.b64decode(body))


def test_recordings_become_small_mp3(tmp_path, monkeypatch):
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * 44_100) / 44_100)
    soundfile.write(tmp_path / "a.wav", np.column_stack([tone, tone]), 44_100)
    uri, samples, seconds = embed_audio(tmp_path / "a.wav")
    decoded, rate = soundfile.read(decode(uri, "audio/mpeg"))
    assert rate == SAMPLE_RATE and len(decoded) / rate == pytest.approx(2, abs=0.1) and seconds == 2 and len(samples) == 2 * rate
    assert np.abs(np.fft.rfft(decoded)).argmax() * rate / len(decoded) == pytest.approx(440, abs=2)
    assert len(uri) < 20_000
    monkeypatch.setattr(report_plots, "MAX_SECONDS", 0.5)  # longer ones are cut
    _, samples, seconds = embed_audio(tmp_path / "a.wav")
    assert len(samples) == SAMPLE_RATE / 2 and seconds == 2


@pytest.mark.parametrize(("size", "shown"), [((300, 60), (300, 60)), ((900, 240), (450, 120)), ((8000, 80), (2000, 20)), ((1, 500), (1, 120))])
def test_images_are_scaled_down(tmp_path, size, shown):
    Image.fromarray(np.tile(np.linspace(0, 255, size[0], dtype=np.uint8), (size[1], 1))).save(tmp_path / "a.png")
    uri, *found, scale = embed_image(tmp_path / "a.png")
    picture = Image.open(decode(uri, "image/webp"))
    assert tuple(found) == shown == picture.size and scale == shown[0] / size[0]
    if shown[0] > 100:
        gray = np.asarray(picture.convert("L"), float)
        assert gray[:, -1].mean() > 240 and gray[:, 0].mean() < 15


def test_traces_are_drawn(tmp_path):
    (tmp_path / "a.inkml").write_text('<ink xmlns="http://www.w3.org/2003/InkML"><trace>10 20, 30 60</trace><trace>50 20, 50 20</trace></ink>')
    svg = ElementTree.fromstring(draw_trace(tmp_path / "a.inkml"))
    assert (svg.get("width"), svg.get("height")) == ("128", "128")
    assert svg[0].get("d") == "M4.0 4.0L64.0 124.0M124.0 4.0L124.0 4.0"


@pytest.mark.parametrize("embed", [embed_audio, embed_image, draw_trace])
def test_files_that_cannot_be_read_are_named(tmp_path, embed):
    (tmp_path / "bad").write_bytes(b"nothing of the kind")
    for name in ("bad", "gone"):
        with pytest.raises(InputError, match=name):
            embed(tmp_path / name)
