"""Which files are meant by file names, folders, glob patterns, lists, manifests and projects."""

from __future__ import annotations

import glob
import os
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from recognizer.audio.io import is_pipe
from recognizer.config import Modality
from recognizer.errors import RecognizerError
from recognizer.inference.inputs import SUFFIXES
from recognizer.pages.files import is_layout
from recognizer.utils.archives import is_member

STATE = ".recognizer"  # folder within a folder of results: what was done, and the lock
MANIFEST = ".jsonl"


@dataclass(frozen=True, slots=True)
class Found:
    """A file to recognize.

    Attributes:
        source: its path.
        root: the folder that it was found in; its results lie below the output folder as it lies below that one.
        modality: what it holds.
    """

    source: str
    root: str
    modality: Modality


class Finder:
    """Collects the files that sources stand for.

    A folder stands for the recordings, line images or pen traces anywhere below it, in sorted order; links to folders are followed, each
    folder once. Whatever is not taken is named or counted.

    Args:
        wanted: what the recognizer reads; None: each file's name decides.
        skip: a folder that is not searched.

    Attributes:
        found: the files; ``problems``: sources that cannot be used, each with one line that names it; ``notes``: lines about what is
            left out on purpose; ``passed_over``: files of other kinds in folders and patterns.
    """

    def __init__(self, wanted: Modality | None = None, skip: str | None = None) -> None:
        self.wanted = wanted
        self.found: list[Found] = []
        self.problems: list[tuple[str, str]] = []
        self.notes: list[str] = []
        self.passed_over: list[str] = []
        self._skip = None if skip is None else _identity(skip)

    def add(self, source: str) -> None:
        """Find what one source stands for."""
        from recognizer.data.manifest import load_manifest

        path = Path(source)
        if "\0" in source:
            self.problems.append((source, f"{source!r}: no such file"))
        elif path.is_dir():
            self._add_folder(source)
        elif not path.exists() and glob.has_magic(source):
            self._add_pattern(source)
        elif path.suffix.lower() == MANIFEST and path.is_file():
            try:
                self._add_items(source, [str(item.source) for item in load_manifest(path)])
            except RecognizerError as error:
                self.problems.append((source, str(error)))
        else:
            self._add_named(source, os.path.dirname(source))

    def _add_folder(self, folder: str) -> None:
        root = _project_sources(folder) or folder
        self._add_listed(self._list_files(root), root, folder)

    def _add_pattern(self, pattern: str) -> None:
        names = sorted(glob.glob(pattern, recursive=True))
        if not names:
            self.problems.append((pattern, f"{pattern}: no such file"))
            return
        files = [name for name in names if not os.path.isdir(name)]
        if "**" not in pattern:  # which gives what is below a folder, too
            files += [inner for name in names if os.path.isdir(name) for inner in self._list_files(name)]
        self._add_listed(files, _fixed_part(pattern), pattern)

    def _add_listed(self, names: Iterable[str], root: str, source: str) -> None:
        """Take the files of the wanted kind among those of a folder or a pattern, and count the others."""
        counts: Counter[str] = Counter()
        taken = 0
        for name in names:
            modality = self._modality(name)
            # an .xml among other files is more often the layout of a page than a pen trace
            if modality is None or (name.lower().endswith(".xml") and (self.wanted is None or modality == "line")):
                counts[os.path.splitext(name)[1].lower() or "without ending"] += 1
                self.passed_over.append(name)
            else:
                self.found.append(Found(name, root, modality))
                taken += 1
        total, kinds = counts.total(), ", ".join(f"{count} {suffix}" for suffix, count in counts.most_common())
        if not taken:
            self.problems.append((source, f"{source}: no {describe(self.wanted)} found{f' ({kinds})' * bool(total)}"))
        elif total:
            self.notes.append(f"{source}: {total} file{'s' * (total != 1)} of other kinds passed over ({kinds})")

    def _add_items(self, manifest: str, sources: Iterable[str]) -> None:
        folder = os.path.abspath(os.path.dirname(manifest))
        for name in dict.fromkeys(sources):  # several items may be of one file
            inside = os.path.abspath(name).startswith(os.path.join(folder, ""))
            self._add_named(name, folder if inside else os.path.dirname(name))

    def _add_named(self, source: str, root: str) -> None:
        modality = self.wanted or self._modality(source) or ("audio" if is_pipe(source) else None)
        if not os.path.lexists(source) and not is_member(source):
            self.problems.append((source, f"{source}: no such file"))
        elif modality is None:
            message = f"{source}: its name does not tell whether it is a recording or an image; name a model with -m"
            self.problems.append((source, message))
        elif modality != "audio" and is_pipe(source):
            self.problems.append((source, f"{source}: is a pipe, from which recordings only are read; write it to a file first"))
        else:
            self.found.append(Found(source, root, modality))

    def _modality(self, name: str) -> Modality | None:
        """What a file holds by its name; None for other kinds than what is wanted."""
        suffix = os.path.splitext(name)[1].lower()
        if self.wanted in (None, "line") and (suffix == ".pdf" or (suffix == ".xml" and is_layout(Path(name)))):
            return "line"
        for modality, suffixes in SUFFIXES.items():
            if suffix in suffixes and self.wanted in (None, modality):
                return modality
        return None

    def _list_files(self, folder: str) -> list[str]:
        """All files below a folder, sorted; linked folders come after the others, so that one that is in the tree itself is read there."""
        seen: set[tuple[int, int]] = set()
        names: list[str] = []
        ahead, linked = [folder], list[str]()
        while ahead or linked:
            here = ahead.pop() if ahead else linked.pop(0)
            try:
                identity = _identity(here)
                entries = list(os.scandir(here))
            except OSError as error:
                self.problems.append((here, f"{here}: cannot be read ({error.strerror or error})"))
                continue
            if identity in seen:
                self.notes.append(f"{here}: leads to a folder that is read already")
                continue
            seen.add(identity)
            for entry in entries:
                name = str(Path(entry.path))
                if not os.path.isdir(name):
                    names += self._usable(name)
                elif entry.name != STATE and (self._skip is None or _identity(name) != self._skip):
                    (linked if entry.is_symlink() else ahead).append(name)
        return sorted(names)

    def _usable(self, name: str) -> list[str]:
        """The file itself unless it is a pipe or a device; a link into nowhere is a file that is missing."""
        if os.path.isfile(name) or (os.path.islink(name) and not os.path.exists(name)):
            return [name]
        self.notes.append(f"{name}: is a pipe or a device, which is read only where it is named itself")
        return []


def read_list() -> list[str]:
    """The names in a list on standard input, one a line or separated by null characters; bytes that are not UTF-8 stay as they are."""
    data: str | bytes = getattr(sys.stdin, "buffer", sys.stdin).read()
    text = (data if isinstance(data, str) else os.fsdecode(data)).removeprefix("\ufeff")
    lines = text.split("\0") if "\0" in text else text.split("\n")
    return [line.rstrip("\r") for line in lines if line.strip()]


def describe(modality: Modality | None) -> str:
    """What is looked for, in words."""
    words: dict[Modality | None, str] = {"audio": "recordings", "line": "line images", "strokes": "pen traces", None: "recordings or images"}
    return words[modality]


def _identity(folder: str) -> tuple[int, int]:
    found = os.stat(folder)
    return found.st_dev, found.st_ino


def _fixed_part(pattern: str) -> str:
    """The folders of a pattern in front of its first wildcard."""
    head = os.path.dirname(pattern)
    while glob.has_magic(head):
        head = os.path.dirname(head)
    return head


def _project_sources(folder: str) -> str | None:
    """The folder of the files of a project; None if this is another folder."""
    if not os.path.isfile(os.path.join(folder, "project.json")):
        return None
    from recognizer.data.project import is_project

    return os.path.join(folder, "sources") if is_project(folder) else None
