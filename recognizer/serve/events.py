"""News for pages that are open: what was read, corrected or learnt, as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from recognizer.serve.answers import event

MAX_WAITING = 1000  # events that a page has not taken; one that is slower is told to load everything again
BEAT_SECONDS = 15.0  # between comments that keep a quiet connection open


class Events:
    """A channel to all pages that are open."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[tuple[str, dict[str, Any]]]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Remember the loop in which events are handed out."""
        self._loop = asyncio.get_running_loop()

    def send(self, name: str, record: dict[str, Any]) -> None:
        """Tell all pages; may be called from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._spread, name, record)

    def _spread(self, name: str, record: dict[str, Any]) -> None:
        for queue in self._queues:
            if queue.qsize() >= MAX_WAITING:
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(("reload", {}))
            else:
                queue.put_nowait((name, record))

    async def listen(self) -> AsyncIterator[str]:
        """Events for one page, until it goes."""
        queue: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()
        self._queues.add(queue)
        try:
            yield ": open\n\n"
            while True:
                try:
                    name, record = await asyncio.wait_for(queue.get(), BEAT_SECONDS)
                    yield event(record, name)
                except TimeoutError:
                    yield ": quiet\n\n"
        finally:
            self._queues.discard(queue)
