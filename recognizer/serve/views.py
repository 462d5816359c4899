"""What a page shows of an item: its file in a form that browsers play, the outline of its sound, and what the network saw."""

from __future__ import annotations

import mimetypes
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image

from recognizer.audio.io import audio_seconds
from recognizer.audio.stream import stream_audio
from recognizer.errors import InputError
from recognizer.image.io import load_image
from recognizer.inference.runner import Emission
from recognizer.serve.failures import ApiError
from recognizer.strokes.io import STROKE_SUFFIXES, load_trace

PLAYED = {".wav": "audio/wav", ".flac": "audio/flac", ".mp3": "audio/mpeg", ".ogg": "audio/ogg", ".oga": "audio/ogg", ".opus": "audio/ogg",
          ".m4a": "audio/mp4", ".mp4": "audio/mp4", ".aac": "audio/aac", ".webm": "audio/webm"}  # fmt: skip
SHOWN = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp", ".bmp": "image/bmp"}
PEAK_RATE, PLAY_RATE = 8_000, 16_000  # Hz
MAX_PEAKS = 20_000
PEN_SIZE, PEN_MARGIN, PEN_WIDTH = 120.0, 12.0, 3.0  # pixels: height of the writing on a picture of a pen trace, paper around it, the pen
LEAST_SPIKE = 0.05  # probability
MAX_KEPT = 16  # converted files that are kept until the service ends


class Views:
    """Makes and keeps what is shown of items.

    Args:
        folder: for converted files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: OrderedDict[str, Path] = OrderedDict()
        self._peaks: OrderedDict[tuple[str, int], dict[str, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def media(self, id: str, path: Path) -> tuple[Path, str]:
        """A file that browsers can play or show, and its type: the item's own, or one that it is converted to.

        Raises:
            ApiError: the item's file cannot be read (422).
        """
        suffix = path.suffix.lower()
        own = PLAYED.get(suffix) or SHOWN.get(suffix)
        if own is not None and not (suffix == ".wav" and not _plays(path)):
            return path, own
        guessed = mimetypes.guess_type(path.name)[0] or ""
        convert, ending, kind = _to_wav, ".wav", "audio/wav"
        if suffix in STROKE_SUFFIXES:
            convert, ending, kind = _to_svg, ".svg", "image/svg+xml"
        elif guessed.startswith("image/") or suffix in (".tif", ".tiff"):
            convert, ending, kind = _to_png, ".png", "image/png"
        with self._lock:
            kept = self._files.get(id)
            if kept is None:
                kept = self._files[id] = self._convert(path, convert, ending)
                while len(self._files) > MAX_KEPT:
                    self._files.popitem(last=False)[1].unlink(missing_ok=True)
        return kept, kind

    def peaks(self, id: str, path: Path, count: int) -> dict[str, Any]:
        """The lowest and highest sample in each of ``count`` parts of a recording, -100 to 100.

        Raises:
            ApiError: it cannot be read (422).
        """
        key = (id, count)
        with self._lock:
            if key in self._peaks:
                return self._peaks[key]
        try:
            found = find_peaks(path, count)
        except InputError as error:
            raise ApiError(422, str(error).replace(str(path), "the recording")) from None
        with self._lock:
            self._peaks[key] = found
            while len(self._peaks) > 4 * MAX_KEPT:
                self._peaks.popitem(last=False)
        return found

    def _convert(self, path: Path, convert: Callable[[Path, Path], None], ending: str) -> Path:
        descriptor, name = tempfile.mkstemp(ending, "view-", self.folder)
        target = Path(name)
        with open(descriptor, "wb"):
            pass
        try:
            convert(path, target)
        except InputError as error:
            target.unlink(missing_ok=True)
            raise ApiError(422, str(error).replace(str(path), "the file of this item")) from None
        return target


def find_peaks(path: Path, count: int) -> dict[str, Any]:
    """The lowest and highest sample in each of ``count`` parts of a recording, -100 to 100, and its duration in seconds.

    Raises:
        InputError: it cannot be read.
    """
    count = max(1, min(count, MAX_PEAKS))
    seconds = audio_seconds(path)
    total = max(1, round(seconds * PEAK_RATE))
    low, high, place = np.zeros(count), np.zeros(count), 0
    for block in stream_audio(path, PEAK_RATE):
        if not len(block):
            continue
        parts = np.minimum((np.arange(place, place + len(block)) * count) // total, count - 1)
        np.minimum.at(low, parts, block)
        np.maximum.at(high, parts, block)
        place += len(block)
    pairs = np.rint(100 * np.stack([low, high], axis=1)).astype(int)
    return {"seconds": round(seconds, 3), "peaks": pairs.tolist()}


def find_spikes(emissions: list[Emission], symbols: list[str]) -> dict[str, Any]:
    """Where the network is sure of a symbol: ``[frame, symbol, probability]`` for each that is likely, and the probability of the blank.

    Args:
        emissions: of one input; of a long recording several.
        symbols: of the labels, label 0 being the blank.

    Raises:
        ApiError: the input cannot be used (422).
    """
    spikes: list[list[Any]] = []
    blank: list[float] = []
    step = offset = 0.0
    for emission in emissions:
        if emission.error is not None:
            raise ApiError(422, emission.error.replace(emission.source, "the item"))
        if emission.log_probs is None or not len(emission.log_probs):
            continue
        if emission.frame_times is not None and not step:
            step, offset = emission.frame_times.step, emission.frame_times.offset
        probs = np.exp(emission.log_probs)
        frames, labels = np.nonzero(probs >= LEAST_SPIKE)
        first = len(blank)
        spikes += [[first + int(f), symbols[label], round(float(probs[f, label]), 3)] for f, label in zip(frames, labels, strict=True) if label]
        blank += np.round(probs[:, 0], 3).tolist()
    return {"step": step, "offset": offset, "frames": len(blank), "spikes": spikes, "blank": blank}


def _plays(path: Path) -> bool:
    """Whether browsers play a WAV file: they know PCM and float."""
    try:
        return soundfile.info(str(path)).subtype in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT")
    except Exception:  # PyAV may read it
        return False


def _to_wav(path: Path, target: Path) -> None:
    with soundfile.SoundFile(str(target), "w", PLAY_RATE, 1, "PCM_16", format="WAV") as file:
        for block in stream_audio(path, PLAY_RATE):
            file.write(block)


def _to_png(path: Path, target: Path) -> None:
    Image.fromarray(load_image(path)).save(target, "PNG", compress_level=1)


def _to_svg(path: Path, target: Path) -> None:
    """The strokes of a pen trace as dark lines on white paper."""
    strokes = [stroke[:, :2] for stroke in load_trace(path).strokes]
    points = np.concatenate(strokes)
    corner, spread = points.min(axis=0), np.ptp(points, axis=0)
    scale = PEN_SIZE / max(float(spread[1]), float(spread[0]) / 40, 1e-12)  # what is flat, a dash say, is not blown up
    width, height = (round(float(size) * scale + 2 * PEN_MARGIN) for size in spread)
    lines = []
    for stroke in strokes:
        places = np.round((stroke - corner) * scale + PEN_MARGIN, 1).tolist()
        lines.append('<polyline points="' + " ".join(f"{x:g},{y:g}" for x, y in (*places, places[-1])) + '"/>')  # a dot has a length, too
    style = f'fill="none" stroke="#1c2430" stroke-width="{PEN_WIDTH:g}" stroke-linecap="round" stroke-linejoin="round"'
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    body = f'<rect width="100%" height="100%" fill="#fff"/><g {style}>{"".join(lines)}</g>'
    target.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{body}</svg>', encoding="utf-8")
