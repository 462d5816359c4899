"""Memory that is free within the process goes back to the system while there is nothing to do."""

from __future__ import annotations

import ctypes
import gc
import sys


def release_memory() -> None:
    """Give free memory back, where the C library knows how.

    A process keeps what it has freed (:func:`~recognizer.utils.device.prepare_host`), which is faster while it works; a service that waits
    would hold what its largest request took.
    """
    gc.collect()
    if sys.platform == "linux":
        try:
            ctypes.CDLL("libc.so.6").malloc_trim(0)
        except (OSError, AttributeError):  # another C library
            return
