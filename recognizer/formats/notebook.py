"""HTML of a transcript, which notebooks show in place of its fields: the picture or the waveform with its words, and the text."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recognizer.errors import InputError, RecognizerError
from recognizer.formats.base import entry_text, printable
from recognizer.types import Token, Transcript, Word

if TYPE_CHECKING:
    import numpy as np

MAX_SECONDS = 300.0  # of a recording are drawn and can be played
ROW_SECONDS = 10.0  # of a waveform on one row
MAX_PIXELS = 2_000  # of the longer side of a picture as it is shown
RATE = 16_000  # Hz, of the sound that is played
_ROW, _WAVE, _FONT = 1000, 60, 13  # width of a row, height of its waveform, size of the words below, in pixels
_STYLE = "font-family:sans-serif;line-height:1.4"


def render_html(transcript: Transcript) -> str:
    """A ``<div>`` that needs no other file: of a line image or a page the picture with its words boxed, of a recording the sound, to be
    played, and its waveform with the words below, then the text. Every text is escaped.

    The input is read again where its file is still there; one given as bytes or an array is shown where it was recognized by itself.
    """
    parts = [f'<div style="color:#888;font-size:85%">{_text(transcript.source)}{_facts(transcript)}</div>']
    if transcript.error is not None:
        return _div([*parts, f'<div style="color:#b00">{_text(transcript.error)}</div>'])
    with suppress(RecognizerError, OSError):  # the file is gone, or no picture
        parts += _sound(transcript) if transcript.seconds is not None else _picture(transcript)
    parts += [f'<div style="font-size:120%">{_text(line)}</div>' for line in transcript.text.split("\n")]
    return _div(parts)


def _div(parts: Sequence[str]) -> str:
    return f'<div class="recognizer" style="{_STYLE}">{"".join(parts)}</div>'


def _text(text: str) -> str:
    return escape(printable(text))


def _facts(transcript: Transcript) -> str:
    facts = [] if transcript.seconds is None else [f"{transcript.seconds:.1f} s"]
    facts += [] if transcript.confidence is None else [f"confidence {transcript.confidence:.0%}"]
    return "".join(f" · {fact}" for fact in facts)


def _title(entry: Word | Token, unit: str) -> str:
    known = "" if entry.confidence is None else f", {entry.confidence:.0%}"
    return f"<title>{_text(entry_text(entry))} ({entry.start:.2f}-{entry.end:.2f} {unit}{known})</title>"


def _color(confidence: float | None) -> str:
    """From red for what is likely to be wrong to green; blue where that is not known."""
    return "hsl(215,80%,45%)" if confidence is None else f"hsl({round(120 * max(0.0, min(1.0, confidence)))},80%,38%)"


def _source(transcript: Transcript) -> Any:
    """The input itself, or the path that it was read from.

    Raises:
        InputError: it is not known any more.
    """
    if transcript.given is not None:
        return transcript.given[0]
    if not Path(transcript.source).is_file():
        raise InputError(f"{transcript.source}: no such file")
    return transcript.source


def _sound(transcript: Transcript) -> Iterator[str]:
    """The player and the rows of the waveform."""
    import soundfile

    samples = _samples(transcript)
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="FLAC", subtype="PCM_16")
    yield f'<audio controls preload="metadata" style="width:100%;max-width:{_ROW}px" src="{_data_uri(file.getvalue(), "audio/flac")}"></audio>'
    entries: Sequence[Word | Token] = transcript.words or transcript.tokens
    seconds, begin = len(samples) / RATE, 0.0
    while begin < seconds:
        stop = min(seconds, begin + ROW_SECONDS)
        yield _row(samples[round(begin * RATE) : round(stop * RATE)], [e for e in entries if begin <= e.start < stop], begin)
        begin = stop
    if transcript.seconds is not None and transcript.seconds > seconds + 1:
        yield f"<div>(the first {MAX_SECONDS / 60:g} minutes of {transcript.seconds / 60:.0f} are shown)</div>"


def _samples(transcript: Transcript) -> np.ndarray:
    """At most ``MAX_SECONDS`` of a recording at ``RATE``, (N,) float in [-1, 1]."""
    import numpy as np
    import soxr

    from recognizer.audio.io import load_audio
    from recognizer.inference.inputs import Recording

    source = _source(transcript)
    if isinstance(source, Recording):
        return load_audio(source.path, RATE, 0.0, MAX_SECONDS, source.channel)
    if not isinstance(source, np.ndarray):
        return load_audio(source, RATE, 0.0, MAX_SECONDS)
    rate = transcript.given[1]
    return np.clip(soxr.resample(source[: round(MAX_SECONDS * rate)].astype(np.float32), rate, RATE), -1.0, 1.0)


def _row(samples: np.ndarray, entries: Sequence[Word | Token], begin: float) -> str:
    """The waveform of up to ``ROW_SECONDS`` as a filled outline, and the words that begin there."""
    import numpy as np

    scale = _ROW / ROW_SECONDS  # pixels a second
    columns = max(1, round(len(samples) / RATE * scale))
    edges = np.linspace(0, len(samples), columns, endpoint=False).astype(int)
    middle = _WAVE / 2
    upper, lower = (middle - middle * ends.reduceat(samples, edges) for ends in (np.maximum, np.minimum))
    points = [f"{x},{y:.1f}" for x, y in enumerate(upper)] + [f"{x},{y + 0.5:.1f}" for x, y in reversed(list(enumerate(lower)))]
    drawn = [f'<polygon points="{" ".join(points)}" fill="#8ab"/>']
    for entry in entries:
        left, width = (entry.start - begin) * scale, max(1.0, (entry.end - entry.start) * scale)
        color, text = _color(entry.confidence), entry_text(entry)
        squeezed = f' textLength="{width:.0f}" lengthAdjust="spacingAndGlyphs"' if len(text) * _FONT * 0.6 > width else ""
        play = f"let a=this.closest('.recognizer').querySelector('audio');a.currentTime={entry.start:.2f};a.play()"
        drawn.append(
            f'<g onclick="{play}" style="cursor:pointer">{_title(entry, "s")}'
            f'<rect x="{left:.1f}" y="0" width="{width:.1f}" height="{_WAVE}" fill="{color}" fill-opacity="0.12"/>'
            f'<text x="{left:.1f}" y="{_WAVE + _FONT}" font-size="{_FONT}" fill="{color}"{squeezed}>{_text(text)}</text></g>'
        )
    height = _WAVE + 2 * _FONT
    return f'<svg viewBox="0 0 {_ROW} {height}" style="display:block;width:100%;max-width:{_ROW}px">{"".join(drawn)}</svg>'


def _picture(transcript: Transcript) -> Iterator[str]:
    """The picture, its words or the lines of a page in boxes."""
    from PIL import Image

    gray = _gray(transcript)
    height, width = gray.shape
    picture = Image.fromarray(gray)
    picture.thumbnail((MAX_PIXELS, MAX_PIXELS))
    file = io.BytesIO()
    picture.save(file, "PNG")
    drawn = [f'<image href="{_data_uri(file.getvalue(), "image/png")}" width="{width}" height="{height}"/>']
    stroke = f'stroke-width="{max(1.0, width / 800):.1f}" fill-opacity="0.08"'
    for line in transcript.lines:
        points = " ".join(f"{x:g},{y:g}" for x, y in line.outline)
        color = _color(line.confidence)
        drawn.append(f'<polygon points="{points}" fill="none" stroke="{color}" {stroke}><title>{_text(line.text)}</title></polygon>')
    for word in [*transcript.words, *(word for line in transcript.lines for word in line.words)]:
        left, top, right, bottom = word.box or (word.start, 1.0, word.end, height - 1.0)
        color = _color(word.confidence)
        drawn.append(
            f'<rect x="{left:g}" y="{top:g}" width="{max(1.0, right - left):g}" height="{max(1.0, bottom - top):g}" '
            f'fill="{color}" stroke="{color}" {stroke}>{_title(word, "px")}</rect>'
        )
    yield f'<svg viewBox="0 0 {width} {height}" style="display:block;width:100%;max-width:{min(width, _ROW)}px">{"".join(drawn)}</svg>'


def _gray(transcript: Transcript) -> np.ndarray:
    """The picture, uint8 (H, W).

    Raises:
        InputError: there is none, as of a pen trace, or it cannot be read any more.
    """
    import numpy as np

    from recognizer.image.io import load_image

    source = _source(transcript)
    if not isinstance(source, np.ndarray):
        return load_image(source, transcript.page)
    if source.dtype != np.uint8:
        raise InputError(f"{transcript.source}: is no picture")
    return source


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
