"""Memory that is free within the process goes back to the system while there is nothing to do."""

from __future__ import annotations

import gc

from recognizer.utils.memory import release_free_memory


def release_memory() -> None:
    """Give free memory back, where the C library knows how.

    A process keeps what it has freed (:func:`~recognizer.utils.device.prepare_host`), which is faster while it works; a service that waits
    would hold what its largest request took.
    """
    gc.collect()
    release_free_memory()
