"""The start of a command: its libraries make some 300,000 objects that stay until the end, among which no garbage need be looked for."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import large libraries within the block, without the collector, which never looks at what they made again.

    Of the 2.9 s of one core that `recognizer transcribe` took on a short file, 0.3 s before the first line and 0.5 s at the exit
    were collections. Where torch is there already, nothing is changed.
    """
    if "torch" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
