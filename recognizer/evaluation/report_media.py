"""Media of a report: recordings and pictures made small and written into the page itself."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

from recognizer.evaluation.report_markup import Html, element
from recognizer.features.audio_file import audio_seconds, load_audio
from recognizer.features.image_file import load_image
from recognizer.features.stroke_file import load_trace

RATE = 16_000  # Hz, of embedded recordings
SECONDS = 30.0  # of a recording that are embedded at most
PICTURE_HEIGHT, PICTURE_WIDTH = 120, 2_000  # pixels of an embedded picture at most
QUALITY = 60  # WebP


@dataclass(frozen=True)
class Sound:
    """A recording for the page: ``uri`` holds it as MP3, ``samples`` (N,) are at ``RATE``; ``whole`` is its full length in seconds."""

    uri: str
    samples: np.ndarray
    whole: float


@dataclass(frozen=True)
class Picture:
    """A picture for the page: ``uri`` holds it as WebP of ``width`` x ``height`` pixels, ``scale`` times its own size."""

    uri: str
    width: int
    height: int
    scale: float


def embed_audio(path: Path) -> Sound:
    """Read a recording and encode its first ``SECONDS`` as MP3, which every browser plays.

    Raises:
        InputError: it cannot be read.
    """
    whole = audio_seconds(path)
    samples = load_audio(path, RATE, seconds=SECONDS)
    stream = io.BytesIO()
    with soundfile.SoundFile(stream, "w", RATE, 1, "MPEG_LAYER_III", format="MP3", compression_level=0.7, bitrate_mode="VARIABLE") as sound:
        sound.write(samples)
    return Sound(_encode("audio/mpeg", stream), samples, whole)


def embed_image(path: Path) -> Picture:
    """Read a picture as the recogniser does (grey, upright) and encode it as WebP, scaled down where it is large.

    Raises:
        InputError: it cannot be read.
    """
    grey = load_image(path)
    scale = min(1.0, PICTURE_HEIGHT / grey.shape[0], PICTURE_WIDTH / grey.shape[1])
    width, height = (max(1, round(size * scale)) for size in (grey.shape[1], grey.shape[0]))
    stream = io.BytesIO()
    Image.fromarray(grey).resize((width, height), Image.Resampling.LANCZOS).save(stream, "WEBP", quality=QUALITY, method=4)
    return Picture(_encode("image/webp", stream), width, height, width / grey.shape[1])


def draw_trace(path: Path) -> Html:
    """Read a pen trace and draw its strokes.

    Raises:
        InputError: it cannot be read.
    """
    strokes = load_trace(path).strokes
    points = np.concatenate(strokes)[:, :2]
    low, extent = points.min(axis=0), np.maximum(np.ptp(points, axis=0), 1e-9)
    scale = min(PICTURE_HEIGHT / extent[1], PICTURE_WIDTH / extent[0])
    placed = ((stroke[:, :2] - low) * scale + 4 for stroke in strokes)
    line = "".join("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in stroke.tolist()) for stroke in placed)
    width, height = (extent * scale + 8).tolist()
    drawn = element("path", d=line, class_="pen")
    size = {"viewBox": f"0 0 {width:.0f} {height:.0f}", "width": width, "height": height}
    return element("svg", drawn, **size, role="img", aria_label="The line as it was written")


def _encode(kind: str, stream: io.BytesIO) -> str:
    return f"data:{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"
