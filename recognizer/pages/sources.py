"""Pages of files: pictures, TIFF files of several pages, PDF documents, and the pictures that ALTO and PAGE files describe."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recognizer.errors import ConfigError, InputError
from recognizer.image.io import count_pages, load_image
from recognizer.pages.files import load_layout
from recognizer.pages.layout import TextLine
from recognizer.pages.pictures import PictureFinder
from recognizer.pages.placing import place_lines
from recognizer.utils.xml import Point

PDF_SUFFIX, LAYOUT_SUFFIX = ".pdf", ".xml"
DPI = 300  # at which pages of a PDF document are drawn
MAX_PDF_PIXELS = 60_000_000  # of a page drawn; a larger one is drawn at fewer dpi. A3 at 300 dpi has 17 million
PDF_PASSWORD = 4  # PDFium's code of an error
_PDFIUM = threading.Lock()  # PDFium must not be called by two threads at a time


@dataclass(frozen=True)
class GivenLine:
    """A line that a file describes, in pixels of the picture: empty where the file says nothing."""

    described: TextLine
    outline: tuple[Point, ...]
    baseline: tuple[Point, ...]


@dataclass(frozen=True)
class PageImage:
    """A page that can be looked at.

    Attributes:
        picture: gray uint8 (H, W), upright.
        lines: those of its layout, in reading order; None where its lines are to be found.
        file: of the picture.
    """

    picture: np.ndarray
    lines: tuple[GivenLine, ...] | None = None
    file: Path | None = None


@dataclass(frozen=True)
class PageSource:
    """A page of a file, not read yet.

    Attributes:
        number: from 1, where the file can hold several pages (PDF, TIFF of more than one); None for others.
        load: reads it, and raises InputError if that cannot be done.
    """

    number: int | None
    load: Callable[[], PageImage]


def open_pages(path: str | os.PathLike[str]) -> Iterator[PageSource]:
    """The pages of a file, one after the other; each is to be loaded before the next is taken.

    Args:
        path: a picture, a TIFF file, a PDF document, or an ALTO or PAGE file, whose picture is looked for as
            :class:`~recognizer.pages.pictures.PictureFinder` does.

    Raises:
        InputError: the file cannot be opened, or is a PDF document with a password.
        ConfigError: it is a PDF document and pypdfium2 is not installed.
    """
    file = Path(path)
    suffix = file.suffix.lower()
    if suffix == PDF_SUFFIX:
        yield from _open_pdf(file)
    elif suffix == LAYOUT_SUFFIX:
        yield PageSource(None, lambda: _load_described(file))
    else:
        pages = count_pages(file) if suffix in (".tif", ".tiff") else 1
        if pages == 1:
            yield PageSource(None, lambda: PageImage(load_image(file), file=file))
            return
        for number in range(1, pages + 1):
            yield PageSource(number, lambda number=number: PageImage(load_image(file, number), file=file))  # type: ignore[misc]


def _load_described(file: Path) -> PageImage:
    page = load_layout(file)
    if page is None:
        raise InputError(f"{file}: describes no page: its root element is neither <alto> nor <PcGts>")
    path = PictureFinder(file.absolute().parent).find(file.absolute(), page.image)
    placed = place_lines(file, page, path)
    rows = zip(page.lines, placed.outlines, placed.baselines, strict=True)
    return PageImage(np.asarray(placed.picture), tuple(GivenLine(line, tuple(o), tuple(b)) for line, o, b in rows), path)


def _open_pdf(file: Path) -> Iterator[PageSource]:
    try:
        import pypdfium2
    except ImportError:
        raise ConfigError(f"{file}: is a PDF document, which needs pypdfium2; pip install 'recognizer[pages]'") from None
    if not file.is_file():
        raise InputError(f"{file}: no such file")
    with _named(file), _PDFIUM:
        document = pypdfium2.PdfDocument(file)
        document.init_forms()
        count = len(document)
    try:
        if not count:
            raise InputError(f"{file}: the PDF document has no pages")
        for number in range(1, count + 1):
            yield PageSource(number, lambda number=number: PageImage(_draw(document, file, number), file=file))  # type: ignore[misc]
    finally:
        with _PDFIUM:
            document.close()


def _draw(document: Any, file: Path, number: int) -> np.ndarray:
    """A page at ``DPI``, gray uint8 (H, W), as it is to be seen."""
    with _named(file, f"page {number}: "), _PDFIUM:
        page = document[number - 1]
        try:
            width, height = page.get_size()
            scale = min(DPI / 72, math.sqrt(MAX_PDF_PIXELS / max(1.0, width * height)))
            return np.array(page.render(scale=scale, grayscale=True).to_numpy()).reshape(-1, math.ceil(width * scale))
        finally:
            page.close()


@contextmanager
def _named(file: Path, where: str = "") -> Iterator[None]:
    """Let errors of PDFium name the file."""
    try:
        yield
    except (InputError, ConfigError):
        raise
    except Exception as error:  # of damaged documents whatever their bytes lead to
        if getattr(error, "err_code", None) == PDF_PASSWORD or "assword" in str(error):
            raise InputError(f"{file}: the PDF document is locked with a password; save it without one (qpdf --decrypt)") from None
        raise InputError(f"{file}: {where}the PDF document cannot be read ({' '.join(str(error).split()) or type(error).__name__})") from None
