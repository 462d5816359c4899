"""Files of pen traces: IAM-OnDB's stroke XML and W3C InkML."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from recognizer.errors import InputError
from recognizer.utils.limits import advice, limits
from recognizer.utils.xml import MAX_DIGITS, MAX_NUMBER, children, descend, local_name, parse_number, parse_xml, read_number, shorten

STROKE_SUFFIXES: frozenset[str] = frozenset({".inkml", ".xml"})

_SECONDS = {"s": 1.0, "ms": 1e-3, None: 1e-3}  # of a unit of time; InkML's own is the millisecond
_VALUE = re.compile(r"([!'\"]?) ?([-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|#[0-9a-fA-F]+|[*?TF]) ?")
MAX_CHANNELS = 100  # of a trace format
MAX_POINTS = limits().trace_points
_ID = "{http://www.w3.org/XML/1998/namespace}id"


@dataclass(frozen=True)
class Trace:
    """Strokes in the order of writing, each float64 (N, 3) with N >= 1.

    The columns are x (to the right), y (downwards), both in units of the device, and the time in seconds, NaN where it is
    not known.
    """

    strokes: tuple[np.ndarray, ...]

    @cached_property
    def seconds(self) -> float | None:
        """Time from the first point to the last; None if one of them has none."""
        span = float(self.strokes[-1][-1, 2] - self.strokes[0][0, 2]) if self.strokes else 0.0
        return span if np.isfinite(span) else None

    @classmethod
    def of_array(cls, points: np.ndarray, name: str) -> Trace:
        """A trace of points float (N, 4): x, y, seconds (NaN: not known) and the number of the stroke.

        Raises:
            InputError: another shape, no point, a coordinate that is not finite or beyond 1e20, or times that run backwards;
                ``name`` stands in the message.
        """
        if points.ndim != 2 or points.shape[1] != 4 or len(points) == 0 or points.dtype.kind != "f":
            raise InputError(f"{name}: expected pen points (N, 4) as float (x, y, seconds, stroke), found shape {points.shape} of {points.dtype}")
        if not np.isfinite(points[:, [0, 1, 3]]).all():
            raise InputError(f"{name}: holds coordinates that are not finite")
        breaks = np.flatnonzero(np.diff(points[:, 3])) + 1
        try:
            return cls(_check_strokes([np.array(stroke[:, :3], dtype=np.float64) for stroke in np.split(points, breaks)]))
        except ValueError as error:
            raise InputError(f"{name}: {error}") from None


def load_trace(path: str | Path) -> Trace:
    """Read a trace, the format told by the root element: ``WhiteboardCaptureSession`` (IAM-OnDB) or ``ink`` (InkML).

    Raises:
        InputError: the file cannot be read, is of neither format, holds no points, numbers beyond 1e20 or times that run backwards.
    """
    root = parse_xml(Path(path))
    readers = {"WhiteboardCaptureSession": parse_whiteboard, "ink": parse_ink}
    kind = local_name(root)
    if kind not in readers:
        raise InputError(f"{path}: not a pen trace: its root element is <{kind[:40]}>, neither <{'> nor <'.join(readers)}>")
    try:
        trace = readers[kind](root)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None
    if not trace.strokes:
        raise InputError(f"{path}: holds no strokes")
    return trace


def parse_whiteboard(root: Element) -> Trace:
    """The strokes of IAM-OnDB: ``StrokeSet/Stroke/Point`` with x, y and time in seconds; y grows downwards.

    Raises:
        ValueError: a coordinate is missing or no number, or times run backwards.
    """
    strokes = []
    found = descend(root, "StrokeSet")
    for number, stroke in enumerate(children(found, "Stroke") if found is not None else (), start=1):
        points = []
        for point in children(stroke, "Point"):
            x, y, time = (read_number(point, name) for name in ("x", "y", "time"))
            if x is None or y is None:
                raise ValueError(f"stroke {number}: a point without x or y")
            points.append((x, y, np.nan if time is None else time))
        if points:
            strokes.append(np.array(points, dtype=np.float64))
    return Trace(_check_strokes(strokes))


def _check_strokes(strokes: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    """The strokes as they are.

    A single time out of order is an error of the clock, which the speed makes nothing of; a stroke, or a trace, that ends before it
    begins is not in the order of writing.

    Raises:
        ValueError: a number is beyond 1e20, where differences and squares of it would no longer be numbers; or a stroke, or the trace,
            ends before it begins.
    """
    for number, stroke in enumerate(strokes, start=1):
        if np.abs(stroke[:, :2]).max() > MAX_NUMBER or (np.abs(stroke[:, 2]) > MAX_NUMBER).any():
            raise ValueError(f"stroke {number}: a number beyond {MAX_NUMBER:g}")
        if stroke[-1, 2] < stroke[0, 2]:
            raise ValueError(f"stroke {number}: its times run backwards, from {stroke[0, 2]:g} to {stroke[-1, 2]:g} s")
    if strokes and strokes[-1][-1, 2] < strokes[0][0, 2]:
        raise ValueError(f"its times run backwards: the first stroke begins at {strokes[0][0, 2]:g} s, the last ends at {strokes[-1][-1, 2]:g} s")
    return tuple(strokes)


@dataclass(frozen=True)
class _Channels:
    """What the numbers of a point mean: names of the channels, their signs and the unit of the channel T in seconds."""

    names: tuple[str, ...] = ("X", "Y")
    signs: tuple[int, ...] = (1, 1)
    seconds: float = _SECONDS[None]


def parse_ink(root: Element) -> Trace:
    """All InkML ``trace`` elements in document order, those of type penUp or indeterminate left out.

    X grows to the right and Y downwards, unless a channel has ``orientation="-ve"``. A channel T gives times (relative to
    ``timeOffset`` of the trace), else they are not known. Values are explicit, or first (') or second (") differences, or
    repeat the last one (*).

    Raises:
        ValueError: an unreadable point, a number beyond 1e20, times that run backwards, a format without X or Y, or a reference to a
            format that is not there.
    """
    formats = _find_formats(root)
    strokes, total = [], 0
    for number, trace in enumerate((element for element in root.iter() if local_name(element) == "trace"), start=1):
        if trace.get("type", "penDown") != "penDown":
            continue
        try:
            points = _parse_points(trace, _choose_format(trace, formats))
        except ValueError as error:
            raise ValueError(f"trace {(trace.get(_ID) or trace.get('id') or str(number))[:40]}: {error}") from None
        if len(points):
            strokes.append(points)
        total += len(points)
        if total > MAX_POINTS:
            raise ValueError(f"more than {MAX_POINTS} points; is this one line of text? If so, {advice('trace_points')}")
    return Trace(_check_strokes(strokes))


def read_annotations(root: Element) -> dict[str, str]:
    """The annotations of the document itself by type, the first of each; those of traces and groups are not looked at."""
    found: dict[str, str] = {}
    for element in children(root, "annotation"):
        text = (element.text or "").strip()
        if element.get("type") and text:
            found.setdefault(element.get("type", ""), text)
    return found


def _find_formats(root: Element) -> dict[str, _Channels]:
    """Trace formats by id, also under the id of the context that holds them; "" is that of the document's first one."""
    formats: dict[str, _Channels] = {}
    for element in root.iter():
        if local_name(element) not in ("context", "traceFormat", "inkSource"):
            continue
        own = next((e for e in element.iter() if local_name(e) == "traceFormat"), None)
        channels = formats.get((element.get("traceFormatRef") or "").lstrip("#")) if own is None else _parse_format(own)
        if channels is not None:
            formats.setdefault("", channels)
            if name := element.get(_ID) or element.get("id"):
                formats[name] = channels
    return formats


def _parse_format(element: Element) -> _Channels:
    channels = [e for e in element.iter() if local_name(e) == "channel"]
    names = tuple(channel.get("name", "") for channel in channels)
    if "X" not in names or "Y" not in names:
        raise ValueError(f"a traceFormat has the channels {', '.join(names)[:100] or 'none'}, and not both X and Y")
    if len(names) > MAX_CHANNELS:
        raise ValueError(f"a traceFormat has {len(names)} channels, more than {MAX_CHANNELS}")
    units = next((channel.get("units") for channel in channels if channel.get("name") == "T"), None)
    if units not in _SECONDS:
        raise ValueError(f"times in units of {shorten(units)} are not understood; known: s, ms")
    return _Channels(names, tuple(-1 if channel.get("orientation") == "-ve" else 1 for channel in channels), _SECONDS[units])


def _choose_format(trace: Element, formats: dict[str, _Channels]) -> _Channels:
    reference = (trace.get("contextRef") or "").lstrip("#")
    if reference and reference not in formats and reference != "DefaultContext":
        raise ValueError(f"its context {shorten(reference)} has no traceFormat")
    return formats.get(reference) or formats.get("") or _Channels()


def _parse_points(trace: Element, channels: _Channels) -> np.ndarray:
    """Points (N, 3): x, y, seconds."""
    points = [point for point in (trace.text or "").split(",") if point.strip()]
    if len(points) > MAX_POINTS:
        raise ValueError(f"{len(points)} points; is this one line of text? If so, {advice('trace_points')}")
    size = len(channels.names)
    values = np.full((len(points), size), np.nan)
    modes, states = ["!"] * size, [[0.0, 0.0, 0.0] for _ in range(size)]
    for row, point in enumerate(points):
        point = " ".join(point.split())
        words = _VALUE.findall(point)
        if "".join(mode + text for mode, text in words) != point.replace(" ", "") or len(words) < 2 or len(words) > size:
            raise ValueError(f"cannot read the point {shorten(point)} of {' '.join(channels.names)}")
        for column, (mode, text) in enumerate(words):
            modes[column] = mode or modes[column]
            values[row, column] = _decode_value(text, modes[column], states[column])
    x, y = (values[:, i] * channels.signs[i] for i in map(channels.names.index, ("X", "Y")))
    if not np.isfinite((x, y)).all():
        raise ValueError("a point has no X or no Y")
    times = np.full(len(points), np.nan)
    if "T" in channels.names:
        times = values[:, channels.names.index("T")] * channels.seconds + (read_number(trace, "timeOffset") or 0.0) * _SECONDS["ms"]
    return np.stack((x, y, times), axis=1)


def _decode_value(text: str, mode: str, state: list[float]) -> float:
    """The value of one channel; ``state`` is its last value, velocity and acceleration (per point), of which ``*`` repeats one."""
    if text in ("?", "T", "F"):
        return float("nan") if text == "?" else float(text == "T")
    order = {"!": 0, "'": 1, '"': 2}[mode]
    number = state[order] if text == "*" else _parse_value(text)
    value = number if order == 0 else state[0] + (number if order == 1 else state[1] + number)
    if abs(value) > MAX_NUMBER:
        raise ValueError(f"a number beyond {MAX_NUMBER:g}")
    velocity = value - state[0]
    state[:] = [value, velocity, velocity - state[1]]
    return value


def _parse_value(text: str) -> float:
    """A decimal number, or a hexadecimal one behind "#"."""
    number = parse_number(text) if text[0] != "#" else float(int(text[1:], 16)) if len(text) <= MAX_DIGITS else None
    if number is None:
        raise ValueError(f"a number beyond {MAX_NUMBER:g}: {shorten(text)}")
    return number
