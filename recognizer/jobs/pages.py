"""Jobs that are whole pages: which files are, and their transcripts, one for each page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from recognizer.errors import InputError, RecognizerError
from recognizer.inference.recognizer import Recognizer
from recognizer.jobs.job import Job
from recognizer.types import Transcript

if TYPE_CHECKING:
    from recognizer.inference.pages import PageReader


@dataclass(frozen=True, slots=True)
class PageChoice:
    """How pages are told and read.

    Attributes:
        page: whether pictures are pages; None: each picture's look decides. Documents of several pages and layouts always are.
        segmenter: what finds lines (:data:`~recognizer.pages.segmenter.SEGMENTERS`).
        overwrite_text: whether lines of layouts that have text are read, too.
    """

    page: bool | None = None
    segmenter: str = "rapidocr"
    overwrite_text: bool = False


BY_LOOK = PageChoice()


def is_page(path: str, choice: PageChoice) -> bool:
    """Whether a file is to be read as a page or several; one that cannot be opened is not."""
    from recognizer.image.io import IMAGE_SUFFIXES, count_pages, image_size, load_image
    from recognizer.pages.detect import looks_like_page, may_be_page

    suffix = Path(path).suffix.lower()
    if suffix not in IMAGE_SUFFIXES:
        return suffix in (".pdf", ".xml")
    try:
        if suffix in (".tif", ".tiff") and count_pages(path) > 1:
            return choice.page is not False
        if choice.page is not None:
            return choice.page
        return may_be_page(*image_size(path)) and looks_like_page(load_image(path))
    except InputError:
        return False


def recognize_pages(
    recognizer: Recognizer, jobs: Iterable[Job], times: bool, choice: PageChoice, begin: Callable[[Job], None] | None = None
) -> Iterator[tuple[Job, Transcript, bool]]:
    """Each job with the transcript of each of its pages, and whether that is its last one.

    Args:
        recognizer: of line images.
        jobs: files that :func:`is_page` is true of.
        times: whether to place words on the page.
        choice: how they are read.
        begin: called with each job when it is about to be read.
    """
    from recognizer.inference.pages import PageReader

    reader = PageReader(recognizer, choice.segmenter)
    for job in jobs:
        if begin is not None:
            begin(job)
        before: Transcript | None = None
        for transcript in _read(reader, job, times, choice):
            if before is not None:
                yield job, before, False
            before = transcript
        if before is not None:
            yield job, before, True


def check_lines(transcript: Transcript) -> None:
    """Say which lines of a page that was written are missing in it.

    Raises:
        InputError: some could not be read; the message is that of the first.
    """
    errors = [line.error for line in transcript.lines if line.error is not None]
    if errors:
        raise InputError(f"{errors[0]}; {len(errors)} of {len(transcript.lines)} lines are left out")


def _read(reader: PageReader, job: Job, times: bool, choice: PageChoice) -> Iterator[Transcript]:
    """The pages of a file; what is missing for reading it, a package, say, costs this file only."""
    try:
        for transcript in reader.transcribe(job.path, times, only_empty=not choice.overwrite_text):
            error = None if transcript.error is None else transcript.error.replace(job.path, job.source)
            lines = tuple(line if line.error is None else replace(line, error=line.error.replace(job.path, job.source)) for line in transcript.lines)
            yield replace(transcript, source=job.source, error=error, lines=lines)
    except RecognizerError as error:
        yield Transcript(job.source, error=f"{job.source}: {str(error).removeprefix(f'{job.path}: ')}")
