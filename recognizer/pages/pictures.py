"""The picture that an ALTO or PAGE file describes: only where the file says, or where the layout of the folders has pictures."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from recognizer.errors import InputError
from recognizer.utils.xml import shorten

# Names of folders, without figures, signs and case. Descriptions lie beside their pictures, or in a folder called like one of the
# first beside one of the second or below the pictures (Transkribus: page/0001.xml and 0001.jpg; eScriptorium, READ, RIMES, ICDAR ...).
DESCRIPTIONS = frozenset({
    "page", "pages", "pagexml", "alto", "altoxml", "xml", "gt", "groundtruth", "truth", "ocr", "transcription", "transcriptions",
    "transcript", "transcripts", "annotation", "annotations", "label", "labels", "segmentation"})
PICTURES = frozenset({
    "image", "images", "img", "imgs", "picture", "pictures", "scan", "scans", "photo", "photos", "facsimile", "facsimiles",
    "jpg", "jpgs", "jpeg", "png", "tif", "tiff", "bmp", "webp"})
UNSUPPORTED = frozenset({
    ".jp2", ".j2k", ".jpf", ".jpx", ".jxl", ".gif", ".pdf", ".heic", ".heif", ".avif", ".djvu", ".svg", ".eps", ".ps", ".psd", ".pnm", ".pgm",
    ".ppm", ".pbm", ".dng", ".cr2", ".nef"})


class PictureFinder:
    """Finds pictures for the XML files below ``base``; folders are listed once."""

    def __init__(self, base: Path) -> None:
        from recognizer.image.io import IMAGE_SUFFIXES

        # the corpus may be given as its folder of descriptions, and its pictures lie beside that
        self.base, self.root = base, base.parent if _plain(base.name) in DESCRIPTIONS else base
        self.supported = IMAGE_SUFFIXES
        self._names: dict[tuple[Path, bool], list[str]] = {}

    def find(self, file: Path, named: str | None) -> Path:
        """The picture of a page.

        Looked for, in this order: the path that the file names, below the corpus; by the bare name in ``file``'s folder and those
        that its layout has; by the name without its suffixes there; by the name of ``file`` there. Case, percent-encoding, a ``?query``
        and doubled suffixes make no difference.

        Args:
            file: the XML file; ``named``: what it says of its picture.

        Raises:
            InputError: there is none, several may be meant, or it is of a kind that is not read.
        """
        named = (named or "").strip()
        bare = re.split(r"[/\\]", named.split("?")[0].split("#")[0] or named)[-1] or re.split(r"[/\\]", named)[-1]
        followed = self._follow(file, named)
        if followed is not None and followed.suffix.lower() in self.supported:
            return followed
        folders = list(self.folders(file))
        exact = {re.split(r"[/\\]", named)[-1], bare, unquote(bare)} - {""}
        keys = dict.fromkeys(_key(name) for name in (bare, file.name) if name)
        tests = [
            lambda name: name in exact,
            lambda name: bool(bare) and _fold(name) == _fold(bare),
            *(lambda name, key=key: _key(name) == key for key in keys),
        ]
        for test in tests:
            for folder in folders:
                found = sorted(name for name in self._list(folder) if test(name) and Path(name).suffix.lower() in self.supported)
                if len({_fold(name) for name in found}) < len(found):
                    raise InputError(f"{file}: its image may be any of {', '.join(found)} in {folder}, whose names differ in case only")
                if found:
                    return folder / found[0]
        others = (folder / name for folder in folders for name in self._list(folder)
                  if name in exact or (Path(name).suffix.lower() in UNSUPPORTED and _key(name) in keys))
        other = followed or next(others, None)
        if other is not None:
            kinds = ", ".join(sorted(suffix.lstrip(".") for suffix in self.supported))
            raise InputError(f"{file}: its image {other} is of a kind that is not read; convert it to one of {kinds}")
        wanted = shorten(named).strip("'") if named else file.stem + ".*"
        raise InputError(f"{file}: its image is not there ({wanted}; looked for in {', '.join(map(str, folders))})")

    def _follow(self, file: Path, named: str) -> Path | None:
        """The file at the path that the XML names, if it is there; never one outside the corpus, however the path gets there."""
        for spelling in dict.fromkeys((named, named.split("?")[0], unquote(named.split("?")[0]))):
            if not spelling or "\0" in spelling or len(spelling) > 4096:
                continue
            path = Path(os.path.normpath(file.parent / spelling.replace("\\", "/")))
            if path.is_relative_to(os.path.normpath(self.root)) and os.path.isfile(path) and path != file:
                return path
        return None

    def folders(self, file: Path) -> Iterator[Path]:
        """Where pictures of a file may lie: beside it, in a folder of pictures there, and instead of a folder of descriptions above it.

        For ``book/page/a/0001.xml`` these are ``book/page/a``, ``book/page/a/images``, ``book/a`` and ``book/images/a``.
        """
        seen: dict[Path, None] = {}
        parts = file.parent.relative_to(self.root).parts
        places: list[tuple[Path, tuple[str, ...]]] = [(file.parent, ())]  # a folder that may hold folders of pictures, and what follows below them
        seen[file.parent] = None
        for depth in reversed(range(len(parts))):
            if _plain(parts[depth]) in DESCRIPTIONS:
                above, below = self.root.joinpath(*parts[:depth]), parts[depth + 1:]
                seen[above.joinpath(*below)] = None
                places.append((above, below))
        for above, below in places:
            for name in self._list(above, folders=True):
                if _plain(name) in PICTURES:
                    seen[above.joinpath(name, *below)] = None
        return iter(seen)

    def _list(self, folder: Path, folders: bool = False) -> list[str]:
        """Names of the files, or folders, in a folder that may not be there."""
        place = folder, folders
        if place not in self._names:
            try:
                with os.scandir(folder) as entries:
                    self._names[place] = sorted(entry.name for entry in entries if (entry.is_dir() if folders else entry.is_file()))
            except OSError:
                self._names[place] = []
        return self._names[place]

    def identity(self, picture: Path) -> tuple[str, ...]:
        """What copies of one picture have in common: the book they belong to, their name and their content.

        The same picture may lie beside each of its descriptions (``page/0001.png``, ``alto/0001.png``).
        """
        path, root = Path(os.path.normpath(picture)), Path(os.path.normpath(self.root))
        folder = path.parent.relative_to(root).parts if path.is_relative_to(root) else path.parent.parts
        book = "/".join(part for part in folder if _plain(part) not in DESCRIPTIONS | PICTURES)
        digest = hashlib.sha256()
        try:
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from None
        return book, _key(path.name), digest.hexdigest()


def _plain(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def _fold(name: str) -> str:
    return unquote(name).casefold()


def _key(name: str) -> str:
    """A name without the suffixes of pictures and XML, however many: "0001" of "0001.JPG.xml"."""
    from recognizer.image.io import IMAGE_SUFFIXES

    name = _fold(name)
    while True:
        stem, suffix = os.path.splitext(name)
        if not stem or suffix not in IMAGE_SUFFIXES | UNSUPPORTED | {".xml"}:
            return name
        name = stem
