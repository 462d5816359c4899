"""Files of pen traces: IAM-OnDB's stroke XML and W3C InkML."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from recognizer.errors import InputError
from recognizer.features.inkml import parse_ink
from recognizer.features.trace import Trace
from recognizer.xml_tree import children, descend, local_name, parse_xml, read_number

STROKE_SUFFIXES: frozenset[str] = frozenset({".inkml", ".xml"})


def load_trace(path: str | Path) -> Trace:
    """Read a trace, the format told by the root element: ``WhiteboardCaptureSession`` (IAM-OnDB) or ``ink`` (InkML).

    Raises:
        InputError: the file cannot be read, is of neither format, or holds no points.
    """
    path = Path(path)
    root = parse_xml(path)
    readers = {"WhiteboardCaptureSession": parse_whiteboard, "ink": parse_ink}
    kind = local_name(root)
    if kind not in readers:
        raise InputError(f"{path}: not a pen trace: its root element is <{kind}>, neither <{'> nor <'.join(readers)}>")
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
        ValueError: a coordinate is missing or no number.
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
    return Trace(tuple(strokes))
