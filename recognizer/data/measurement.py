"""Lengths of recordings, images and pen traces."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from recognizer.data.manifest import Item
from recognizer.errors import InputError


def measure(items: Sequence[Item], drop: Callable[[InputError], None], threads: int = 8) -> list[Item]:
    """Fill ``seconds`` of recordings and pen traces and ``width`` of images that lack it, leaving other kinds of files alone.

    Recordings and images are measured by their headers; a trace is read, and may state no times.

    Args:
        items: their order is kept.
        drop: told of every file that cannot be read; its item is left out.
        threads: how many files are read at a time.
    """
    from recognizer.features.audio_file import AUDIO_SUFFIXES, audio_seconds
    from recognizer.features.image_file import IMAGE_SUFFIXES, image_size
    from recognizer.features.stroke_file import STROKE_SUFFIXES, load_trace

    def fill(item: Item) -> Item | InputError:
        suffix = item.source.suffix.lower()
        try:
            if item.seconds is None and suffix in AUDIO_SUFFIXES:
                return dataclasses.replace(item, seconds=round(audio_seconds(item.source), 4))
            if item.width is None and suffix in IMAGE_SUFFIXES:
                return dataclasses.replace(item, width=image_size(item.source)[0])
            if item.seconds is None and suffix in STROKE_SUFFIXES:
                seconds = load_trace(item.source).seconds
                return item if seconds is None else dataclasses.replace(item, seconds=round(seconds, 4))
        except InputError as error:
            return error
        return item

    measured: list[Item] = []
    with ThreadPoolExecutor(threads) as pool:
        for result in pool.map(fill, items):
            if isinstance(result, InputError):
                drop(result)
            else:
                measured.append(result)
    return measured
