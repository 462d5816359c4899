"""Memory that is free within the process, and how it goes back to the system."""

from __future__ import annotations

import ctypes
import sys


def release_free_memory() -> None:
    """Give free memory back to the system, where the C library knows how.

    A process keeps what it has freed (:func:`~recognizer.utils.device.prepare_host`), and one thread does not get what another has
    freed: without this a large picture that two threads read one after the other takes its size twice.
    """
    if sys.platform == "linux":
        try:
            ctypes.CDLL("libc.so.6").malloc_trim(0)
        except (OSError, AttributeError):  # another C library
            return
