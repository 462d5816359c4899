"""Pages that clients send: the lines are found and read, all pages of a file as one transcript."""

from __future__ import annotations

from concurrent.futures import CancelledError
from dataclasses import replace
from functools import cache

from recognizer.errors import InputError
from recognizer.inference.pages import PageReader
from recognizer.inference.recognizer import Recognizer
from recognizer.pages.segmenter import Segmenter, load_segmenter
from recognizer.serve.batcher import Job
from recognizer.types import Line, Transcript

SEGMENTER = "rapidocr"


@cache
def find_segmenter() -> Segmenter:
    """What finds the lines, loaded once; raises ConfigError if its package is not installed."""
    return load_segmenter(SEGMENTER)


def read_page(recognizer: Recognizer, job: Job) -> Transcript:
    """The transcript of a page, or of all pages of a file: their lines follow each other, ids of the second page on begin with its number.

    Raises:
        InputError: a page cannot be read; ConfigError: a package that is needed is not installed.
    """
    pages: list[Transcript] = []
    for page in PageReader(recognizer, find_segmenter()).transcribe(job.source, job.options.times):
        if page.error is not None:
            raise InputError(page.error)
        if job.future.cancelled():
            raise CancelledError
        pages.append(page)
        job.hand_on(page)
    if len(pages) == 1:
        return pages[0]
    lines: list[Line] = []
    for number, page in enumerate(pages, start=1):
        lines += page.lines if number == 1 else (replace(line, id=f"page_{number}_{line.id}") for line in page.lines)
    text = "\n\n".join(page.text for page in pages)
    first = pages[0]
    return Transcript(first.source, text, lines=tuple(lines), width=first.width, height=first.height)
