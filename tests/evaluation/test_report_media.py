"""Media: what is embedded decodes to what was there, only smaller."""

from __future__ import annotations

import base64
import io
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile
from PIL import Image

from recognizer.errors import InputError
from recognizer.evaluation import report_media
from recognizer.evaluation.report_media import RATE, draw_trace, embed_audio, embed_image


def decode(uri, kind):
    head, body = uri.split(",")
    assert head == f"data:{kind};base64"
    return io.BytesIO(base64.b64decode(body))


def test_recordings_become_small_mp3(tmp_path):
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * 44_100) / 44_100)
    soundfile.write(tmp_path / "a.wav", np.column_stack([tone, tone]), 44_100)
    sound = embed_audio(tmp_path / "a.wav")
    heard, rate = soundfile.read(decode(sound.uri, "audio/mpeg"))
    assert rate == RATE and len(heard) / rate == pytest.approx(2, abs=0.1) and sound.whole == 2 and len(sound.samples) == 2 * RATE
    spectrum = np.abs(np.fft.rfft(heard))
    assert spectrum.argmax() * rate / len(heard) == pytest.approx(440, abs=2)
    assert len(sound.uri) < 20_000


def test_long_recordings_are_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(report_media, "SECONDS", 0.5)
    soundfile.write(tmp_path / "a.wav", np.zeros(8000), 8000)
    sound = embed_audio(tmp_path / "a.wav")
    assert len(sound.samples) == RATE / 2 and sound.whole == 1


@pytest.mark.parametrize(("size", "shown"), [((300, 60), (300, 60)), ((900, 240), (450, 120)), ((8000, 80), (2000, 20)), ((1, 500), (1, 120))])
def test_pictures_are_scaled_down(tmp_path, size, shown):
    Image.fromarray(np.tile(np.linspace(0, 255, size[0], dtype=np.uint8), (size[1], 1))).save(tmp_path / "a.png")
    picture = embed_image(tmp_path / "a.png")
    assert (picture.width, picture.height) == shown == Image.open(decode(picture.uri, "image/webp")).size
    assert picture.scale == shown[0] / size[0]
    if shown[0] > 100:
        grey = np.asarray(Image.open(decode(picture.uri, "image/webp")).convert("L"), float)
        assert grey[:, -1].mean() > 240 and grey[:, 0].mean() < 15


def test_traces_are_drawn(tmp_path):
    (tmp_path / "a.inkml").write_text('<ink xmlns="http://www.w3.org/2003/InkML"><trace>10 20, 30 60</trace><trace>50 20, 50 20</trace></ink>')
    svg = ElementTree.fromstring(draw_trace(tmp_path / "a.inkml"))
    assert (svg.get("width"), svg.get("height")) == ("128", "128")
    assert svg[0].get("d") == "M4.0 4.0L64.0 124.0M124.0 4.0L124.0 4.0"


@pytest.mark.parametrize("embed", [embed_audio, embed_image, draw_trace])
def test_what_cannot_be_read_is_named(tmp_path, embed):
    (tmp_path / "bad").write_bytes(b"nothing of the kind")
    for name in ("bad", "gone"):
        with pytest.raises(InputError, match=name):
            embed(tmp_path / name)
