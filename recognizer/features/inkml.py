"""InkML (W3C recommendation of 2011): the traces of an ink document."""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np

from recognizer.features.trace import Trace
from recognizer.xml_tree import children, local_name

SECONDS = {"s": 1.0, "ms": 1e-3, None: 1e-3}  # of a unit of time; InkML's own is the millisecond
_VALUE = re.compile(r"([!'\"]?)\s*(-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|#[0-9a-fA-F]+|[*?TF])\s*")
_ID = "{http://www.w3.org/XML/1998/namespace}id"


@dataclass(frozen=True)
class Channels:
    """What the numbers of a point mean: names of the channels, their signs and the unit of time."""

    names: tuple[str, ...] = ("X", "Y")
    signs: tuple[int, ...] = (1, 1)
    seconds: float = SECONDS[None]  # of a unit of the channel T


def parse_ink(root: Element) -> Trace:
    """All ``trace`` elements in document order, those of type penUp or indeterminate left out.

    X grows to the right and Y downwards, unless a channel has ``orientation="-ve"``. A channel T gives times (relative to
    ``timeOffset`` of the trace), else they are not known. Values are explicit, or first (') or second (") differences, or
    repeat the last one (*).

    Raises:
        ValueError: an unreadable point, a format without X or Y, or a reference to a format that is not there.
    """
    formats = _find_formats(root)
    strokes = []
    for number, trace in enumerate((element for element in root.iter() if local_name(element) == "trace"), start=1):
        if trace.get("type", "penDown") != "penDown":
            continue
        try:
            points = _parse_trace(trace, _choose_format(trace, formats))
        except ValueError as error:
            raise ValueError(f"trace {trace.get(_ID) or trace.get('id') or number}: {error}") from None
        if len(points):
            strokes.append(points)
    return Trace(tuple(strokes))


def read_annotations(root: Element) -> dict[str, str]:
    """The annotations of the document itself by type, the first of each; those of traces and groups are not looked at."""
    found: dict[str, str] = {}
    for element in children(root, "annotation"):
        text = (element.text or "").strip()
        if element.get("type") and text:
            found.setdefault(element.get("type", ""), text)
    return found


def _find_formats(root: Element) -> dict[str, Channels]:
    """Trace formats by id, also under the id of the context that holds them; "" is that of the document's first one."""
    formats: dict[str, Channels] = {}
    for element in root.iter():
        if local_name(element) not in ("context", "traceFormat", "inkSource"):
            continue
        own = [element] if local_name(element) == "traceFormat" else [e for e in element.iter() if local_name(e) == "traceFormat"]
        channels = _parse_format(own[0]) if own else formats.get((element.get("traceFormatRef") or "").lstrip("#"))
        if channels is not None:
            formats.setdefault("", channels)
            if name := element.get(_ID) or element.get("id"):
                formats[name] = channels
    return formats


def _parse_format(element: Element) -> Channels:
    channels = [e for e in element.iter() if local_name(e) == "channel"]
    names = tuple(channel.get("name", "") for channel in channels)
    if "X" not in names or "Y" not in names:
        raise ValueError(f"a traceFormat has the channels {', '.join(names) or 'none'}, and not both X and Y")
    units = next((channel.get("units") for channel in channels if channel.get("name") == "T"), None)
    if units not in SECONDS:
        raise ValueError(f"times in units of {units!r} are not understood; known: s, ms")
    return Channels(names, tuple(-1 if channel.get("orientation") == "-ve" else 1 for channel in channels), SECONDS[units])


def _choose_format(trace: Element, formats: dict[str, Channels]) -> Channels:
    reference = (trace.get("contextRef") or "").lstrip("#")
    if reference and reference not in formats and reference != "DefaultContext":
        raise ValueError(f"its context {reference!r} has no traceFormat")
    return formats.get(reference) or formats.get("") or Channels()


def _parse_trace(trace: Element, channels: Channels) -> np.ndarray:
    """Points (N, 3): x, y, seconds."""
    points = [point for point in (trace.text or "").split(",") if point.strip()]
    size = len(channels.names)
    values = np.full((len(points), size), np.nan)
    modes, states = ["!"] * size, [[0.0, 0.0, 0.0] for _ in range(size)]
    for row, point in enumerate(points):
        words = _VALUE.findall(point)
        if "".join(mode + text for mode, text in words) != "".join(point.split()) or len(words) < 2 or len(words) > size:
            raise ValueError(f"cannot read the point {point.strip()!r} of {' '.join(channels.names)}")
        for column, (mode, text) in enumerate(words):
            modes[column] = mode or modes[column]
            values[row, column] = _decode(text, modes[column], states[column])
    wanted = [values[:, channels.names.index(name)] * channels.signs[channels.names.index(name)] for name in ("X", "Y")]
    if not np.isfinite(wanted).all():
        raise ValueError("a point has no X or no Y")
    times = np.full(len(points), np.nan)
    if "T" in channels.names:
        times = values[:, channels.names.index("T")] * channels.seconds + float(trace.get("timeOffset") or 0) * SECONDS["ms"]
    return np.stack([*wanted, times], axis=1)


def _decode(text: str, mode: str, state: list[float]) -> float:
    """The value of one channel; ``state`` is its last value, velocity and acceleration (per point), of which ``*`` repeats one."""
    if text in ("?", "T", "F"):
        return float("nan") if text == "?" else float(text == "T")
    order = {"!": 0, "'": 1, '"': 2}[mode]
    number = state[order] if text == "*" else float(int(text[1:], 16)) if text[0] == "#" else float(text)
    value = number if order == 0 else state[0] + (number if order == 1 else state[1] + number)
    velocity = value - state[0]
    state[:] = [value, velocity, velocity - state[1]]
    return value
