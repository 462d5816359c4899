"""How much a file of unknown origin may ask for, and how a user raises that.

The defaults let through whatever was met in practice, and no small file can take gigabytes or minutes. The environment variable
``RECOGNIZER_LIMITS`` changes some: ``RECOGNIZER_LIMITS="picture_pixels=1e9 xml_bytes=2e8"``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from functools import cache

from recognizer.errors import ConfigError, nearest

VARIABLE = "RECOGNIZER_LIMITS"


@dataclass(frozen=True)
class Limits:
    """The largest that is read of each kind; all are whole numbers above 0."""

    picture_pixels: int = 300_000_000  # of a picture: a page of A3 at 1,000 dpi has 193 million
    line_pixels: int = 2**24  # of a prepared line: 262,144 columns at 64 rows
    trace_points: int = 1_000_000  # of a file of pen traces; a line of writing has some thousand
    xml_bytes: int = 64 << 20  # pages with an outline for every glyph have some ten million
    xml_elements: int = 2_000_000
    xml_nesting: int = 200  # elements within elements; PAGE and ALTO with nested regions stay below twenty
    nesting: int = 100  # lists and objects of JSON and YAML within each other
    yaml_values: int = 1_000_000  # of a file, its aliases written out
    digits: int = 300  # of a number in JSON and YAML, which a float can hold then
    unpack_ratio: int = 50  # how many times larger than a gzip file its content may be; text has 3 to 15
    align_cells: int = 1 << 34  # frames x labels that are aligned; about half a minute of one processor


@cache
def limits() -> Limits:
    """The limits that hold, read from the environment once.

    Raises:
        ConfigError: ``RECOGNIZER_LIMITS`` names a limit that there is not, or gives one that is no number above 0.
    """
    known = [field.name for field in fields(Limits)]
    changed: dict[str, int] = {}
    for word in os.environ.get(VARIABLE, "").replace(",", " ").split():
        name, _, value = word.partition("=")
        if name not in known:
            raise ConfigError(f"{VARIABLE}: {name[:80]!r} is no limit{nearest(name[:80], known)} (there are {', '.join(known)})")
        try:
            changed[name] = int(float(value))
        except (ValueError, OverflowError):
            changed[name] = 0
        if changed[name] < 1:
            raise ConfigError(f"{VARIABLE}: {name}: expected a number above 0, found {value[:80]!r}")
    return Limits(**changed)


def advice(name: str) -> str:
    """What a message says about raising a limit."""
    return f"set {VARIABLE}={name}=NUMBER to allow more"
