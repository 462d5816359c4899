"""Files that clients send: taken within the limits, looked at, and removed as soon as they are answered."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from recognizer.audio.io import AUDIO_SUFFIXES, audio_seconds
from recognizer.data.project_files import safe_name
from recognizer.errors import InputError, RecognizerError
from recognizer.image.io import IMAGE_SUFFIXES, count_pages, image_size
from recognizer.pages.sources import open_pages
from recognizer.serve.failures import ApiError
from recognizer.serve.settings import Limits

PREFIX = "recognizer-serve-"  # of the folder of temporary files, with the id of the process behind it
MAX_FIELDS = 200
MAX_FIELD = 1 << 20  # bytes of a field that is no file
MAX_PAGES = 2000  # of a document
PDF = b"%PDF-"


@dataclass(frozen=True)
class Upload:
    """A file that a client sent.

    Attributes:
        path: where it lies for the time being.
        name: what messages call it: its own name, made safe.
        seconds: of a recording; ``pixels``: of a picture; 0 for the other.
        width: of a picture.
    """

    path: Path
    name: str
    seconds: float = 0.0
    pixels: int = 0
    width: int = 0

    def explain(self, error: BaseException | str) -> str:
        """A message about it, with its name in the place of that of the temporary file."""
        return str(error).replace(str(self.path), self.name)

    def remove(self) -> None:
        """Delete it, unless something still reads it (Windows): then it goes with the folder."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for uploads, gone at the end; what a process that was killed has left is removed as well."""
    for old in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if _is_left_over(old):
            shutil.rmtree(old, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def _is_left_over(folder: Path) -> bool:
    process = folder.name.removeprefix(PREFIX).partition("-")[0]
    if not process.isdecimal() or os.name == "nt":
        return False
    try:
        if folder.stat().st_uid != os.getuid():
            return False
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


async def read_form(request: Request, limits: Limits) -> FormData:
    """The fields and files of a multipart request.

    Raises:
        ApiError: it is none (415), is damaged (400), or does not come to its end in time (408).
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise ApiError(415, "expected a multipart/form-data request with the field 'file'")
    try:
        async with asyncio.timeout(limits.upload_seconds):
            return await request.form(max_files=10_000, max_fields=MAX_FIELDS + 10_000, max_part_size=MAX_FIELD)
    except TimeoutError:
        raise ApiError(408, f"the upload was not complete after {limits.upload_seconds:g} s") from None
    except ApiError:
        raise
    except Exception as error:  # of the parser, whatever it meets
        detail = getattr(error, "detail", None) or str(error)
        raise ApiError(400, f"the multipart request cannot be read: {' '.join(str(detail).split())[:200]}") from None


async def read_json(request: Request) -> dict[str, Any]:
    """The JSON object that a request holds, of at most 1 MiB.

    Raises:
        ApiError: it is none, or too large.
    """
    from recognizer.utils.reading import parse_json

    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_FIELD:
            raise ApiError(413, f"the request is too large: {MAX_FIELD >> 20} MiB of JSON at most")
    try:
        value = parse_json(body, "the request") if body else {}
    except InputError as error:
        raise ApiError(400, str(error)) from None
    if not isinstance(value, dict):
        raise ApiError(400, "the request: expected a JSON object")
    return value


def file_field(form: FormData, name: str = "file") -> UploadFile:
    """The file of a form; raises ApiError if there is none."""
    found = form.get(name)
    if not isinstance(found, UploadFile):
        raise ApiError(400, f"the field {name!r} must be a file", name)
    return found


def store_upload(file: UploadFile, folder: Path) -> Upload:
    """An uploaded file under a name of its own in a folder."""
    name = safe_name(file.filename or "upload")
    suffix = Path(name).suffix.lower()
    known = suffix if suffix in AUDIO_SUFFIXES | IMAGE_SUFFIXES | {".pdf"} else ""
    descriptor, place = tempfile.mkstemp(known, dir=folder)
    with open(descriptor, "wb") as target:
        file.file.seek(0)
        shutil.copyfileobj(file.file, target, 1 << 20)
    return Upload(Path(place), name)


def check_recording(upload: Upload, limits: Limits) -> Upload:
    """The upload with its duration.

    Raises:
        ApiError: it is no recording, damaged, or longer than allowed (422).
    """
    try:
        _check_header(upload, limits)
        seconds = audio_seconds(upload.path)
    except ApiError:
        raise
    except RecognizerError as error:
        raise ApiError(422, upload.explain(error), "file") from None
    except Exception:
        raise ApiError(422, f"{upload.name}: not a recording that can be read", "file") from None
    if seconds > limits.seconds:
        raise _too_long(upload, seconds, limits)
    return Upload(upload.path, upload.name, seconds=seconds)


def _check_header(upload: Upload, limits: Limits) -> None:
    """Refuse at once what says that it is too long: finding out whether that is true can mean decoding all of it."""
    import soundfile

    try:
        header = soundfile.info(str(upload.path))
        seconds = header.frames / header.samplerate
    except Exception:  # what soundfile cannot read is looked at more closely
        return
    if seconds > limits.seconds and header.format != "MP3":
        raise _too_long(upload, seconds, limits)


def _too_long(upload: Upload, seconds: float, limits: Limits) -> ApiError:
    return ApiError(422, f"{upload.name}: lasts {seconds:,.0f} s by its header; {limits.seconds:,.0f} s at most", "file")


def check_picture(upload: Upload, limits: Limits) -> Upload:
    """The upload with its size; a document of pages has none.

    Raises:
        ApiError: it is no picture, damaged, or larger than allowed (422).
    """
    try:
        if is_document(upload):
            return upload
        width, height = image_size(upload.path)
    except RecognizerError as error:
        raise ApiError(422, upload.explain(error), "file") from None
    except Exception:
        raise ApiError(422, f"{upload.name}: not a picture that can be read", "file") from None
    if width * height > limits.pixels:
        raise ApiError(422, f"{upload.name}: {width} x {height} pixels; {limits.pixels:,} at most", "file")
    return Upload(upload.path, upload.name, pixels=width * height, width=width)



def is_document(upload: Upload) -> bool:
    """Whether a file is a PDF document, or a TIFF file of several pages; raises InputError if it is a damaged TIFF file."""
    with upload.path.open("rb") as file:
        if file.read(len(PDF)) == PDF:
            return upload.path.suffix == ".pdf"
    return upload.path.suffix in (".tif", ".tiff") and count_pages(upload.path) > 1


def split_document(upload: Upload, name: str, limits: Limits) -> list[tuple[Path, str]]:
    """A picture for each page of a PDF document or of a TIFF file of several pages, beside the upload, with names; nothing for other files.

    Raises:
        ApiError: it cannot be opened, or a page is larger than allowed.
    """
    if not is_document(upload):
        return []
    found = []
    for number, page in enumerate(open_pages(upload.path), start=1):
        if number > MAX_PAGES:
            raise ApiError(422, f"{upload.name}: has more than {MAX_PAGES} pages; split it")
        picture = page.load().picture
        if picture.size > limits.pixels:
            raise ApiError(422, f"{upload.name}: page {number} has {picture.size:,} pixels; {limits.pixels:,} at most")
        path = upload.path.with_name(f"{upload.path.stem}-{number}.png")
        Image.fromarray(picture).save(path, "PNG")
        found.append((path, f"{name.rpartition('.')[0] or name} {number:04d}.png"))
    return found
