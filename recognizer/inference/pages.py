"""Whole pages to text: their lines are found, or taken from a layout, and read by a recognizer of lines."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from PIL import Image

from recognizer.errors import ConfigError, InputError, RecognizerWarning
from recognizer.inference.inputs import describe_failure
from recognizer.inference.recognizer import Recognizer
from recognizer.pages.cut import LineCut, cut_level
from recognizer.pages.detect import looks_like_page
from recognizer.pages.segmenter import Segmenter, load_segmenter
from recognizer.pages.sources import GivenLine, PageImage, PageSource, open_pages
from recognizer.types import Line, Transcript, Word
from recognizer.utils.xml import Point

__all__ = ["PageReader", "looks_like_page"]


class PageReader:
    """Reads pages line by line.

    Args:
        recognizer: of a bundle for line images.
        segmenter: what finds the lines of pages without a layout: a name (:data:`~recognizer.pages.segmenter.SEGMENTERS`), loaded when
            it is first needed, or one of your own.

    Raises:
        ConfigError: the recognizer does not read line images.
    """

    def __init__(self, recognizer: Recognizer, segmenter: str | Segmenter = "rapidocr") -> None:
        if recognizer.config.modality != "line":
            raise ConfigError(f"pages: {recognizer.bundle.folder} does not read line images; name a model that does")
        self.recognizer = recognizer
        self._segmenter = segmenter

    @property
    def segmenter(self) -> Segmenter:
        """What finds lines.

        Raises:
            ConfigError: there is none of the name that was given, or its package is not installed.
        """
        if isinstance(self._segmenter, str):
            self._segmenter = load_segmenter(self._segmenter)
        return self._segmenter

    def transcribe(
        self, source: str | os.PathLike[str] | np.ndarray, times: bool = True, only_empty: bool = False, name: str = "array 0"
    ) -> Iterator[Transcript]:
        """Read the pages of a file, and yield one transcript for each as soon as it is done.

        A page that cannot be read gives a transcript with ``error`` set and costs the others nothing; nor does a line, whose
        :attr:`~recognizer.types.Line.error` says why. Of a page without any text a :class:`~recognizer.errors.RecognizerWarning` is given.

        Args:
            source: a picture, a TIFF file or PDF document of any number of pages, an ALTO or PAGE file whose lines are to be read, or a
                page as gray uint8 (H, W).
            times: whether to place words on the page and to give words and lines confidences.
            only_empty: of an ALTO or PAGE file, keep the lines that have text as they are.
            name: of an array, for messages.

        Raises:
            ConfigError: a package that is needed is not installed.
        """
        pages: Iterator[PageSource]
        if isinstance(source, np.ndarray):
            if source.ndim != 2 or source.dtype != np.uint8 or not source.size:
                raise InputError(f"{name}: expected a gray page (H, W) uint8, found shape {source.shape} of {source.dtype}")
            picture, pages = source, iter((PageSource(None, lambda: PageImage(picture)),))
        else:
            name, pages = str(source), open_pages(source)
        try:
            for page in pages:
                yield self._read_page(name, page, times, only_empty)
        except InputError as error:
            yield Transcript(name, error=str(error))

    def _read_page(self, source: str, page: PageSource, times: bool, only_empty: bool) -> Transcript:
        name = source if page.number is None else f"{source}: page {page.number}"
        try:
            image = page.load()
            height, width = image.picture.shape
            lines = self._read_lines(name, image, times, only_empty)
        except InputError as error:
            return Transcript(source, error=str(error), page=page.number)
        except ConfigError:
            raise
        except Exception as error:  # whatever strikes one page costs the others nothing
            return Transcript(source, error=describe_failure(name, error), page=page.number)
        if not lines:
            what = "no text was found on the page" if image.lines is None else "describes no lines; to have them found, give the picture"
            warnings.warn(f"{name}: {what}", RecognizerWarning, stacklevel=2)
        text = "\n".join(line.text for line in lines if line.text)
        return Transcript(source, text, lines=lines, width=width, height=height, page=page.number)

    def _read_lines(self, name: str, image: PageImage, times: bool, only_empty: bool) -> tuple[Line, ...]:
        """The lines of a page, read in batches."""
        if image.lines is None:
            lines = [Line(line.id, line.outline, line.baseline, line.region) for line in self.segmenter.find(image.picture)]
        else:
            lines = [_given_line(name, line, number) for number, line in enumerate(image.lines, start=1)]
        picture = Image.fromarray(image.picture)
        cuts: dict[int, LineCut] = {}
        for number, line in enumerate(lines):
            if line.error is not None:
                continue
            if only_empty and line.text.strip():
                continue
            lines[number] = line = replace(line, text="")
            try:
                cuts[number] = cut_level(picture, line.outline, line.baseline)
            except ValueError as error:
                lines[number] = replace(line, error=f"{name}: line {line.id}: {error}")
        transcripts = self.recognizer.transcribe([np.asarray(cut.picture) for cut in cuts.values()], times=times) if cuts else iter(())
        for (number, cut), transcript in zip(cuts.items(), transcripts, strict=True):
            lines[number] = _fill(name, lines[number], cut, transcript)
        return tuple(lines)


def _given_line(name: str, line: GivenLine, number: int) -> Line:
    """A line of a layout with the text that it has; the corners of a box are made an outline."""
    described, outline = line.described, line.outline
    id = described.id or f"line_{number}"
    if len(outline) == 2:
        (left, top), (right, bottom) = outline
        outline = ((left, top), (right, top), (right, bottom), (left, bottom))
    problem = None if described.problem is None else f"{name}: line {id}: {described.problem}"
    return Line(id, outline, line.baseline, described.region, described.text, error=problem)


def _fill(name: str, line: Line, cut: LineCut, transcript: Transcript) -> Line:
    """A line with what was recognized in its cut."""
    if transcript.error is not None:
        return replace(line, error=f"{name}: line {line.id}: {transcript.error.removeprefix(f'{transcript.source}: ')}")
    words = tuple(_place_word(word, line.outline, cut) for word in transcript.words)
    known = [word.confidence for word in words if word.confidence is not None]
    return replace(line, text=transcript.text, words=words, confidence=math.prod(known) if known and len(known) == len(words) else None)


def _place_word(word: Word, outline: Sequence[Point], cut: LineCut) -> Word:
    """A word of a cut with its place on the page: as high as the outline is there."""
    left, right = word.start, max(word.end, word.start + 1)
    top, bottom = _span(cut.from_page(outline), left, right) or (0.0, float(cut.picture.height))
    xs, ys = zip(*cut.to_page([(left, top), (right, top), (right, bottom), (left, bottom)]), strict=True)
    return replace(word, start=min(xs), end=max(xs), box=(min(xs), min(ys), max(xs), max(ys)))


def _span(outline: Sequence[Point], left: float, right: float) -> tuple[float, float] | None:
    """Least and greatest y of a polygon between two columns; None if it does not reach between them."""
    found: list[float] = []
    for (x0, y0), (x1, y1) in pairwise([*outline, outline[0]]):
        if left <= x0 <= right:
            found.append(y0)
        found += [y0 + (y1 - y0) * (x - x0) / (x1 - x0) for x in (left, right) if min(x0, x1) <= x <= max(x0, x1) and x0 != x1]
    return (min(found), max(found)) if found else None
