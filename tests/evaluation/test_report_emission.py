"""The picture of log-probs: spikes named where they are, the map to scale, the waveform beneath."""

from __future__ import annotations

import base64
import io
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from recognizer.decoding.timing import Clock
from recognizer.evaluation.report_emission import CURVES, FLOOR, GUTTER, NAMES, Scale, draw_emission


@pytest.fixture
def log_probs():
    """Blank but for a in frame 2, b in frames 5 and 6 (likelier in 6); c is never likely."""
    probs = np.full((10, 4), 0.001)
    for frame, (label, share) in {2: (1, 0.8), 5: (2, 0.6), 6: (2, 0.9)}.items():
        probs[frame, label] = share
    probs[:, 0] = 1 - probs[:, 1:].sum(axis=1)
    return np.log(probs).astype(np.float32)


def draw(log_probs, clock=None, scale=None, samples=None, symbols=("a", " ", "c")):
    return ElementTree.fromstring(draw_emission(log_probs, clock or Clock(0.1, 0.0), symbols, scale or Scale(100.0, 100.0), samples))


def names(svg):
    return [(text.text, float(text.get("x"))) for text in svg.iter("text") if text.get("class") == "spike"]


def test_spikes_are_named_where_they_are(log_probs):
    assert names(draw(log_probs)) == [("a", GUTTER + 25.0), ("␣", GUTTER + 65.0)]  # the middles of frames 2 and 6, ten pixels each
    moved = draw(log_probs, Clock(4.0, 0.0, offset=8.0), Scale(0.5, 40.0))
    assert names(moved) == [("a", GUTTER + 9.0), ("␣", GUTTER + 17.0)]


def test_curves_reach_their_probabilities(log_probs):
    curves = [path.get("d") for path in draw(log_probs).iter("path") if path.get("class") == "curve"]
    assert len(curves) == 2  # c has none
    peaks = [min(float(point.split()[1]) for point in curve[1:].split("L")) for curve in curves]
    assert peaks == [pytest.approx(NAMES + CURVES * (1 - share), abs=0.1) for share in (0.8, 0.9)]


def test_the_map_holds_every_frame_of_the_labels_that_spike(log_probs):
    image = next(draw(log_probs).iter("image"))
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(image.get("href").split(",")[1]))))
    assert pixels.shape == (2, 10, 4) and float(image.get("x")) == GUTTER and float(image.get("width")) == 100
    assert pixels[..., 3] == pytest.approx(255 * np.clip(1 - log_probs[:, 1:3].T / FLOOR, 0, 1), abs=1)
    assert [text.text for text in draw(log_probs).iter("text") if text.get("class") == "row"] == ["a", "␣"]


def test_frames_beyond_the_picture_are_left_out(log_probs):
    assert [name for name, _ in names(draw(log_probs, scale=Scale(100.0, 45.0)))] == ["a"]
    nothing = draw(np.empty((0, 4), np.float32))
    assert names(nothing) == [] and next(nothing.iter("image"), None) is None


def test_names_that_would_overlap_stand_in_two_rows():
    probs = np.full((8, 3), 0.01)
    for frame in range(8):
        probs[frame, 1 + frame % 2] = 0.9
    svg = draw(np.log(probs), scale=Scale(60.0, 48.0), symbols=("aa", "bb"))
    places = [(float(t.get("y")), float(t.get("x"))) for t in svg.iter("text") if t.get("class") == "spike"]
    assert len({y for y, _ in places}) == 2
    for row in {y for y, _ in places}:
        xs = [x for y, x in places if y == row]
        assert all(b - a >= 2 * 3.6 * 2 for a, b in pairwise(xs))


def test_recordings_have_a_waveform_and_seconds(log_probs):
    samples = np.zeros(16_000, np.float32)
    samples[8_000:8_100] = 0.5
    svg = draw(log_probs, samples=samples)
    wave = next(path.get("d") for path in svg.iter("path") if path.get("class") == "wave")
    points = [tuple(map(float, point.split())) for point in wave[1:-1].split("L")]
    assert min(points, key=lambda p: p[1])[0] == pytest.approx(GUTTER + 50, abs=2)
    assert "0.5\u00a0s" in [text.text for text in svg.iter("text")]
    assert not [path for path in draw(log_probs).iter("path") if path.get("class") == "wave"]


def test_it_says_in_words_what_it_shows(log_probs):
    assert draw(log_probs).get("aria-label") == "Probability of each label over time, 2 spikes: a ␣"


def test_hostile_symbols_stay_text(log_probs):
    assert names(draw(log_probs, symbols=("<b>", "\u202e", "c")))[0][0] == "<b>"
