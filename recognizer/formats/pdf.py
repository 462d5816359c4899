"""Searchable PDF: the picture of a page with its text under it, which is not seen but found, selected and copied."""

from __future__ import annotations

import io
import shutil
import tempfile
from functools import cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

from PIL import Image

from recognizer.errors import ConfigError, InputError
from recognizer.formats.layout import LayoutWriter
from recognizer.formats.sheet import Sheet, box_of, surround
from recognizer.image.io import EXIF_ORIENTATION, FORMATS, UPRIGHT, load_image
from recognizer.pages.sources import open_pages
from recognizer.text.bidi import to_visual
from recognizer.types import Transcript, Word
from recognizer.utils.files import named_failures, new_file

DPI = 300  # of the page, as pages of PDF documents are drawn
MISSING = "needs pikepdf and fontTools; pip install 'recognizer[pages]'"
PARTS = "pages-"  # beginning of the names of folders that pages are kept in
_EPOCH = 2_082_844_800  # 1970, as fonts count seconds
_ADVANCE = 0.5  # width of each character of the font, in parts of its height


class Pdf(LayoutWriter):
    """A PDF document with the picture of the page and its words, unseen, at their places.

    A page of a PDF document keeps its content and gets the words; a JPEG picture is taken over as it is. A transcript is one page;
    the pages of a source make one document.
    """

    name, suffix = "pdf", ".pdf"

    def render(self, transcript: Transcript) -> str:
        """None: the format is no text.

        Raises:
            InputError: always.
        """
        raise InputError(f"{transcript.source}: pdf is no text; write it into a folder with -o")

    def render_bytes(self, transcript: Transcript) -> bytes:
        """The document.

        Raises:
            InputError: the picture cannot be read.
            ConfigError: pikepdf or fontTools is not installed.
        """
        sheet = self.sheet(transcript)
        pikepdf = _pikepdf()
        with pikepdf.Pdf.new() as document:
            if _is_document(transcript):
                with _open(pikepdf, transcript.source) as given:
                    document.pages.append(_find_page(given, transcript, sheet))
                page, matrix = document.pages[0], _wrap(document.pages[0], sheet)
            else:
                page, matrix = _draw_page(pikepdf, document, transcript, sheet)
            _add_text(pikepdf, document, page, sheet, matrix)
            return _save(document)

    def collect(self, folder: Path) -> PdfCollector:
        """All pages of a source as one document."""
        return PdfCollector(self, folder)

    def missing(self) -> str | None:
        """What must be installed and is not."""
        return None if all(map(find_spec, ("pikepdf", "fontTools"))) else MISSING


class PdfCollector:
    """One document of the pages of a source: a PDF document as it is with the words put in, or the pictures of a TIFF file.

    Args:
        writer: of a page.
        folder: where pages that have been made are kept until all are there.
    """

    def __init__(self, writer: Pdf, folder: Path) -> None:
        self._writer = writer
        self._pikepdf = _pikepdf()
        self._document: Any = None
        self._parts: list[str] = []
        with named_failures(folder):
            self._folder = Path(tempfile.mkdtemp(prefix=PARTS, dir=folder))

    def add(self, transcript: Transcript) -> None:
        """Take the next page."""
        if _is_document(transcript):
            sheet = self._writer.sheet(transcript)
            if self._document is None:
                self._document = _open(self._pikepdf, transcript.source)
            page = _find_page(self._document, transcript, sheet)
            _add_text(self._pikepdf, self._document, page, sheet, _wrap(page, sheet))
            return
        content = self._writer.render_bytes(transcript)
        with named_failures(self._folder):
            part = self._folder / f"{len(self._parts)}.pdf"
            part.write_bytes(content)
        self._parts.append(str(part))

    def save(self, target: Path) -> None:
        """Write the file, whole or not at all."""
        with new_file(target) as partial:
            if self._document is not None:
                with partial.open("wb") as file:
                    self._document.save(file, deterministic_id=True)
            else:  # a few files at a time are open, and no more than a picture is in memory
                whole = self._folder / "whole.pdf"
                self._pikepdf.Job(["qpdf", "--empty", "--deterministic-id", "--pages", *self._parts, "--", str(whole)]).run()
                shutil.copyfile(whole, partial)

    def close(self) -> None:
        """Remove what was kept on disk."""
        if self._document is not None:
            self._document.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _pikepdf() -> ModuleType:
    try:
        import fontTools.fontBuilder  # noqa: F401
        import pikepdf
    except ImportError:
        raise ConfigError(f"pdf: {MISSING}") from None
    return pikepdf


def _save(document: Any) -> bytes:
    content = io.BytesIO()
    document.save(content, deterministic_id=True)
    return content.getvalue()


def _is_document(transcript: Transcript) -> bool:
    return Path(transcript.source).suffix.lower() == ".pdf"


def _open(pikepdf: ModuleType, source: str) -> Any:
    try:
        return pikepdf.Pdf.open(source)
    except (OSError, pikepdf.PdfError) as error:
        raise InputError(f"{source}: the PDF document cannot be read: {error}") from None


def _find_page(document: Any, transcript: Transcript, sheet: Sheet) -> Any:
    try:
        return document.pages[sheet.number - 1]
    except IndexError:
        raise InputError(f"{transcript.source}: the PDF document has no page {sheet.number}") from None


def _wrap(page: Any, sheet: Sheet) -> tuple[float, ...]:
    """Close off what a page of a PDF document does to its space; returns the matrix from pixels as the page is seen to that space."""
    left, bottom, right, top = (float(value) for value in page.cropbox)
    turn = int(_find_value(page.obj, "/Rotate") or 0) % 360
    across, down = (top - bottom, right - left) if turn in (90, 270) else (right - left, top - bottom)
    x, y = across / sheet.width, down / sheet.height
    matrices = {  # what one pixel to the right and one upwards from the lower edge are, and where the lower left corner is
        0: (x, 0.0, 0.0, y, left, bottom), 90: (0.0, x, -y, 0.0, right, bottom),
        180: (-x, 0.0, 0.0, -y, right, top), 270: (0.0, -x, y, 0.0, left, top),
    }  # fmt: skip
    if "/Resources" not in page.obj and (shared := _find_value(page.obj, "/Resources")) is not None:
        page.obj["/Resources"] = shared  # own ones would hide those of its groups
    page.contents_add(b"q", prepend=True)
    page.contents_add(b"Q")
    return matrices.get(turn, matrices[0])


def _find_value(node: Any, key: str) -> Any:
    """What a page says, or else the groups that it is in; None where nothing does."""
    for _ in range(100):  # groups that hold each other are a fault
        if key in node:
            return node[key]
        if "/Parent" not in node:
            break
        node = node["/Parent"]
    return None


def _draw_page(pikepdf: ModuleType, document: Any, transcript: Transcript, sheet: Sheet) -> tuple[Any, tuple[float, ...]]:
    """A page that is filled by its picture."""
    scale = 72 / DPI
    page = document.add_blank_page(page_size=(max(3.0, sheet.width * scale), max(3.0, sheet.height * scale)))
    name = page.add_resource(_embed(pikepdf, document, transcript), pikepdf.Name.XObject, pikepdf.Name.Picture)
    page.contents_add(f"q {sheet.width * scale:.4f} 0 0 {sheet.height * scale:.4f} 0 0 cm {name} Do Q".encode())
    return page, (scale, 0.0, 0.0, scale, 0.0, 0.0)


def _embed(pikepdf: ModuleType, document: Any, transcript: Transcript) -> Any:
    """The picture as an object of the document: a JPEG file as it is, another without loss."""
    path = _picture_of(transcript)
    load_image(path, transcript.page)  # says what is wrong with it
    with Path(path).open("rb") as file, Image.open(file, formats=FORMATS) as opened:  # given a name, Pillow garbles some TIFF that lie on their side
        if transcript.page is not None:
            opened.seek(transcript.page - 1)
        opened.load()  # turns TIFF upright and forgets the turn, unless it was asked for before
        turn = UPRIGHT.get(opened.getexif().get(EXIF_ORIENTATION, 1))
        is_jpeg = opened.format == "JPEG" and turn is None and opened.mode in ("L", "RGB")
        picture = opened if turn is None else opened.transpose(turn)
        if not is_jpeg and picture.mode not in ("L", "RGB"):
            picture = Image.fromarray(load_image(path, transcript.page)) if picture.mode[0] in "1IFL" else _on_white(picture)
        content = Path(path).read_bytes() if is_jpeg else picture.tobytes()
        stream = pikepdf.Stream(document, content)
        if is_jpeg:
            stream.Filter = pikepdf.Name.DCTDecode
        stream.Type, stream.Subtype = pikepdf.Name.XObject, pikepdf.Name.Image
        stream.Width, stream.Height, stream.BitsPerComponent = picture.width, picture.height, 8
        stream.ColorSpace = pikepdf.Name.DeviceGray if picture.mode == "L" else pikepdf.Name.DeviceRGB
        return stream


def _on_white(picture: Image.Image) -> Image.Image:
    colored = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", colored.size, "white"), colored).convert("RGB")


def _picture_of(transcript: Transcript) -> str:
    """The file of the picture: the source, or what a layout names."""
    if Path(transcript.source).suffix.lower() != ".xml":
        return transcript.source
    file = next(open_pages(transcript.source)).load().file
    if file is None:
        raise InputError(f"{transcript.source}: names no picture")
    return str(file)


def _add_text(pikepdf: ModuleType, document: Any, page: Any, sheet: Sheet, matrix: tuple[float, ...]) -> None:
    codes: dict[str, int] = {}
    parts = ["q", " ".join(f"{value:.6f}" for value in matrix), "cm BT 3 Tr"]
    font = "/F"  # replaced below, when all characters are known
    for region in sheet.regions:
        for line in region.lines:
            words = line.words or ((Word(line.text, 0, 0, box=surround(line.outline)),) if line.text else ())
            for n, word in enumerate(words):
                left, top, right, bottom = box_of(word)
                if not word.text:
                    continue
                text = to_visual(word.text)  # as PDF documents hold it; viewers turn Hebrew and Arabic back
                if n + 1 < len(words) and text == word.text:  # of text from right to left viewers tell the space by the gap
                    text += " "
                shown = "".join(f"{codes.setdefault(character, len(codes) + 1):04X}" for character in text)
                size = bottom - top
                stretch = 100 * (right - left) / (len(word.text) * _ADVANCE * size)
                parts.append(f"{font} {size} Tf {stretch:.3f} Tz 1 0 0 1 {left} {sheet.height - bottom} Tm <{shown}> Tj")
    if not codes:
        return
    taken = (page.obj.get("/Resources") or {}).get("/Font") or {}
    free = next(name for number in count(1) if (name := f"/Found{number}") not in taken)  # pikepdf's own names differ at each run
    name = str(page.add_resource(_font(pikepdf, document, codes), pikepdf.Name.Font, pikepdf.Name(free)))
    parts.append("ET Q")
    page.contents_add("\n".join(part.replace(font, name, 1) if part.startswith(font) else part for part in parts).encode())


def _font(pikepdf: ModuleType, document: Any, codes: dict[str, int]) -> Any:
    """A font whose characters are all the same box; what each stands for is said in its ToUnicode table."""
    name = pikepdf.Name
    file = pikepdf.Stream(document, _boxes())
    file.Length1 = len(_boxes())
    descriptor = pikepdf.Dictionary(
        Type=name.FontDescriptor, FontName=name.Boxes, Flags=4, FontBBox=[0, 0, 500, 1000], ItalicAngle=0, Ascent=1000,
        Descent=0, CapHeight=1000, StemV=80, FontFile2=document.make_indirect(file),
    )  # fmt: skip
    inner = pikepdf.Dictionary(
        Type=name.Font, Subtype=name.CIDFontType2, BaseFont=name.Boxes, DW=round(1000 * _ADVANCE),
        CIDSystemInfo=pikepdf.Dictionary(Registry=b"Adobe", Ordering=b"Identity", Supplement=0),
        FontDescriptor=document.make_indirect(descriptor), CIDToGIDMap=pikepdf.Stream(document, b"\x00\x01" * (len(codes) + 1)),
    )  # fmt: skip
    inner.CIDToGIDMap = document.make_indirect(inner.CIDToGIDMap)
    return document.make_indirect(pikepdf.Dictionary(
        Type=name.Font, Subtype=name.Type0, BaseFont=name.Boxes, Encoding=name("/Identity-H"),
        DescendantFonts=[document.make_indirect(inner)], ToUnicode=document.make_indirect(pikepdf.Stream(document, _to_unicode(codes))),
    ))  # fmt: skip


def _to_unicode(codes: dict[str, int]) -> bytes:
    rows = [f"<{code:04X}> <{character.encode('utf-16-be', 'replace').hex().upper()}>" for character, code in codes.items()]
    blocks = [rows[start : start + 100] for start in range(0, len(rows), 100)]  # as many as the format takes at a time
    tables = "\n".join(f"{len(block)} beginbfchar\n" + "\n".join(block) + "\nendbfchar" for block in blocks)
    return (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n"
        "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n/CMapName /Adobe-Identity-UCS def /CMapType 2 def\n"
        f"1 begincodespacerange <0000> <FFFF> endcodespacerange\n{tables}\nendcmap CMapName currentdict /CMap defineresource pop end end"
    ).encode()


@cache
def _boxes() -> bytes:
    """A TrueType font with one shape, a box as large as a character: viewers mark that where text is selected, and never draw it."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 1000), (500, 1000), (500, 0)):
        pen.lineTo(corner)
    pen.closePath()
    box = pen.glyph()

    builder = FontBuilder(1000, isTTF=True)
    builder.updateHead(created=_EPOCH, modified=_EPOCH)
    builder.font.recalcTimestamp = False  # the same document whenever it is made
    builder.setupGlyphOrder([".notdef", "any"])
    builder.setupCharacterMap({32: "any"})
    builder.setupGlyf({".notdef": box, "any": box})
    builder.setupHorizontalMetrics({".notdef": (500, 0), "any": (500, 0)})
    builder.setupHorizontalHeader(ascent=1000, descent=0)
    builder.setupNameTable({"familyName": "Boxes", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    content = io.BytesIO()
    builder.save(content)
    return content.getvalue()
