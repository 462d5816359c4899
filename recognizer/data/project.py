"""Projects: a folder of plain files with sources, what was recognized in them, what people corrected, and the models that learnt from that.

::

    PROJECT/project.json          format, version, and the name of the model in use for each kind of source
    PROJECT/sources/...           files as they came, NAME.ID.ENDING; folders below it are speakers, writers or books
    PROJECT/lines/ID/LINE.png     lines cut out of a page
    PROJECT/transcripts/ID.json   {"id", "source", "model", "time", "transcript"}
    PROJECT/corrections/ID.json   {"id", "source", "text", "time", "read", "model", "earlier"}
    PROJECT/bundles/NAME/         models that learnt from corrections
    PROJECT/history.json          what each lesson brought

An id is the beginning of the SHA-256 of the source, for a line of a page followed by ``.LINE``. Files that someone copies into ``sources``
belong to the project whatever their names. Nothing else is needed to read a project, and every file appears whole or not at all.
"""

from __future__ import annotations

import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from recognizer.config import Modality
from recognizer.config.schema import from_dict, to_dict
from recognizer.data.manifest import Item
from recognizer.data.project_files import ID_LENGTH, content_id, load_record, remove_record, safe_folders, safe_name, save_record, sync_folder
from recognizer.data.project_records import (
    FORMAT,
    SETTINGS,
    SUFFIXES,
    VERSION,
    Correction,
    Reading,
    Source,
    load_correction,
    load_corrections,
    load_settings,
    now,
)
from recognizer.errors import ConfigError, InputError, ManifestError, OutputError, RecognizerWarning
from recognizer.types import Transcript
from recognizer.utils.files import PARTIAL, open_folder

HISTORY = "history.json"
DETAILS = ("tokens", "units", "alternatives")  # of a reading, which lists do without
MAX_EARLIER = 50  # versions of a correction that can be taken back

_NAMED = re.compile(rf"(.*)\.([0-9a-f]{{{ID_LENGTH}}})")  # the stem of a file that has its id in its name
_ID = re.compile(rf"[0-9a-f]{{{ID_LENGTH}}}(\.[\w-]{{1,80}})?")


class Project:
    """A folder of plain files; see the module.

    Attributes:
        folder: where it lies.
    """

    def __init__(self, folder: str | Path) -> None:
        """Open a project.

        Raises:
            InputError: the folder is no project, or one of a newer version.
        """
        self.folder = Path(folder).absolute()
        self._settings = load_settings(self.folder)
        self._ids: dict[Path, tuple[int, int, str]] = {}  # of files without an id in their names: time, size, id

    @classmethod
    def create(cls, folder: str | Path) -> Project:
        """Open a project; where there is none, one is made in a folder that is empty or does not exist yet.

        Raises:
            InputError: the folder holds something else.
        """
        path = open_folder(folder)
        if not is_project(path):
            if any(path.iterdir()):
                raise InputError(f"{path}: holds files and is no project; name a new folder, and drop these files on its page")
            for name in ("sources", "transcripts", "corrections", "bundles"):
                open_folder(path / name)
            save_record(path / SETTINGS, {"format": FORMAT, "version": VERSION, "models": {}})
        return cls(path)

    @property
    def models(self) -> dict[Modality, str]:
        """The model in use for each kind of source: the name of a folder in ``bundles``, or of a model that ships."""
        return dict(self._settings["models"])

    def find_model(self, name: str) -> str | Path:
        """The folder of a model among those of the project, else the name itself."""
        own = self.folder / "bundles" / name
        return own if Path(name).name == name and own.is_dir() else name

    def use_model(self, modality: Modality, name: str) -> None:
        """Note which model is in use; raises OutputError if that cannot be written."""
        settings = {**self._settings, "models": {**self._settings["models"], modality: name}}
        save_record(self.folder / SETTINGS, settings)
        self._settings = settings

    @staticmethod
    def modality_of(name: str | Path) -> Modality | None:
        """What the ending of a file's name says that it holds; None: nothing that is known."""
        suffix = Path(name).suffix.lower()
        return next((kind for kind, suffixes in SUFFIXES.items() if suffix in suffixes), None)

    def sources(self) -> Iterator[Source]:
        """The files in ``sources`` in the order of their names; of those with the same content only the first."""
        seen: set[str] = set()
        root = self.folder / "sources"
        for path in sorted(root.rglob("*")):
            modality = self.modality_of(path)
            if modality is None or path.name.startswith(".") or not path.is_file():
                continue
            found = _NAMED.fullmatch(path.stem)
            name, source_id = (found[1] + path.suffix, found[2]) if found else (path.name, self._id_of(path))
            if source_id in seen:
                continue
            seen.add(source_id)
            group = path.parent.relative_to(root).as_posix()
            yield Source(source_id, name, path, modality, None if group == "." else group)

    def add_source(
        self, file: Path, name: str | None = None, find: Callable[[str], Source | None] | None = None, move: bool = False
    ) -> tuple[Source, bool]:
        """Copy a file into the project, under a safe form of its name and the folders in front of it.

        Args:
            file: on any file system; it stays where it is.
            name: under which it is kept, folders in front of it included; None: that of the file.
            find: the source of an id, if the project has it; None: the files are looked through.
            move: take the file itself rather than a copy of it: it is gone afterwards.

        Returns:
            The source, and whether it is new: the same content is kept once.

        Raises:
            InputError: its ending does not say what it holds; OutputError: it cannot be written.
        """
        name = file.name if name is None else name
        safe, source_id = safe_name(name), content_id(file)
        suffix, modality = Path(safe).suffix.lower(), self.modality_of(safe)
        if modality is None:
            raise InputError(f"{safe}: its ending does not tell whether it is a recording, a picture or a pen trace")
        known = find(source_id) if find is not None else next((source for source in self.sources() if source.id == source_id), None)
        if known is not None:
            if move:
                file.unlink(missing_ok=True)
            return known, False
        folders = safe_folders(name)
        folder = open_folder(self.folder.joinpath("sources", *folders))
        target = folder / f"{Path(safe).stem}.{source_id}{suffix}"
        partial = target.with_name("." + source_id + PARTIAL)
        try:
            (shutil.move if move else shutil.copyfile)(file, partial)
            with partial.open("r+b") as written:
                os.fsync(written.fileno())
            partial.replace(target)
        except OSError as error:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise OutputError(f"{target}: cannot be written: {error.strerror or error}") from None
        sync_folder(folder)
        return Source(source_id, safe, target, modality, "/".join(folders) or None), True

    def reading(self, source_id: str, brief: bool = False) -> Reading | None:
        """What was recognized in a source; None if nothing yet, or if the file is damaged: then it is to be read again.

        Args:
            source_id: of the source.
            brief: leave tokens, units and alternatives out, which takes much less time.
        """
        path = self._path("transcripts", source_id)
        if not path.is_file():
            return None
        try:
            record = load_record(path)
            if brief and isinstance(record.get("transcript"), dict):
                record["transcript"] = {key: value for key, value in record["transcript"].items() if key not in DETAILS}
            return Reading(source_id, str(record["model"]), str(record["time"]), from_dict(Transcript, record["transcript"]))
        except (InputError, ConfigError, KeyError) as error:
            warnings.warn(f"{path}: is damaged and left out ({error})", RecognizerWarning, stacklevel=2)
            return None

    def save_reading(self, source_id: str, source: Path, model: str, transcript: Transcript) -> Reading:
        """Write what a model recognized; raises OutputError if that cannot be written."""
        reading = Reading(source_id, model, now(), transcript)
        place = self._relative(source)
        values = to_dict(replace(transcript, source=place, given=None))
        del values["given"]
        record = {"id": source_id, "source": place, "model": model, "time": reading.time, "transcript": values}
        save_record(self._path("transcripts", source_id), record)
        return reading

    def correction(self, source_id: str) -> Correction | None:
        """What was written about a source; None if nothing.

        Raises:
            InputError: the file is damaged, or names a source outside the project.
        """
        path = self._path("corrections", source_id)
        return load_correction(self.folder, path) if path.is_file() else None

    def corrections(self) -> list[Correction]:
        """All corrections, oldest first; a damaged file is noted and left out."""
        return list(load_corrections(self.folder))

    def correct(self, source_id: str, source: Path, text: str, read: str | None = None, model: str | None = None) -> Correction:
        """Write what is said or written in a source; when this returns, it is on the disk.

        Args:
            source_id, source: of which.
            text: what is there, line breaks and runs of spaces as they are; empty: nothing.
            read, model: what had been recognized, by which model.

        Raises:
            OutputError: it cannot be written; the earlier correction is as it was.
        """
        try:
            before = self.correction(source_id)
        except InputError:
            before = None
        earlier = () if before is None else (*before.earlier, {"text": before.text, "time": before.time})[-MAX_EARLIER:]
        if before is not None and before.text == text:
            return before
        first_read = read if before is None or before.read is None else before.read  # what the first correction was made of
        first_model = model if before is None or before.model is None else before.model
        return self._save_correction(Correction(source_id, source, text, now(), first_read, first_model, earlier))

    def undo(self, source_id: str) -> Correction | None:
        """Take the last correction of a source back; returns the one before it, or None if there was none."""
        last = self.correction(source_id)
        if last is None or not last.earlier:
            remove_record(self._path("corrections", source_id))
            return None
        before = last.earlier[-1]
        return self._save_correction(
            Correction(source_id, last.source, before["text"], before["time"], last.read, last.model, last.earlier[:-1])
        )

    def history(self) -> list[dict[str, Any]]:
        """What each lesson brought, oldest first."""
        path = self.folder / HISTORY
        lessons = load_record(path).get("lessons") if path.is_file() else []
        return [lesson for lesson in lessons if isinstance(lesson, dict)] if isinstance(lessons, list) else []

    def add_lesson(self, lesson: dict[str, Any]) -> None:
        """Note what a lesson brought; raises OutputError if that cannot be written."""
        save_record(self.folder / HISTORY, {"lessons": [*self.history(), lesson]})

    def _save_correction(self, correction: Correction) -> Correction:
        record = {**to_dict(correction), "source": self._relative(correction.source)}
        save_record(self._path("corrections", correction.id), record)
        return correction

    def _path(self, folder: str, source_id: str) -> Path:
        if not _ID.fullmatch(source_id):
            raise InputError(f"{source_id[:80]!r}: is no id of a source")
        return self.folder / folder / f"{source_id}.json"

    def _relative(self, source: Path) -> str:
        return source.relative_to(self.folder).as_posix()

    def _id_of(self, path: Path) -> str:
        state = path.stat()
        known = self._ids.get(path)
        if known is None or known[:2] != (state.st_mtime_ns, state.st_size):
            known = self._ids[path] = (state.st_mtime_ns, state.st_size, content_id(path))
        return known[2]


def is_project(folder: str | Path) -> bool:
    """Whether a folder is a project."""
    try:
        return load_record(Path(folder) / SETTINGS).get("format") == FORMAT
    except InputError:
        return False


def model_in_use(sources: Sequence[str | Path], modality: Modality) -> str | Path | None:
    """The model with which a project reads a kind of source, where ``sources`` are one project; None where they are anything else.

    Raises:
        InputError: the project cannot be read.
    """
    if len(sources) != 1 or not is_project(sources[0]):
        return None
    project = Project(sources[0])
    name = project.models.get(modality)
    return None if name is None else project.find_model(name)


def read_corrections(folder: str | Path, modality: Modality | None = None) -> list[Item]:
    """The corrections of a project as items of a manifest, oldest first; each folder of sources is a group.

    Args:
        folder: the project.
        modality: only those of recordings, or of pictures; None: all.

    Raises:
        InputError: no project; ManifestError: nothing has been corrected yet.
    """
    project = Project(folder)
    items = []
    for correction in project.corrections():
        suffix = correction.source.suffix.lower()
        if modality is not None and suffix not in SUFFIXES[modality]:
            continue
        group = correction.source.parent.relative_to(project.folder).as_posix()  # sources/GROUP, lines/ID
        meta = {} if correction.text.strip() else {"empty": True}
        text = correction.text if correction.text.strip() else ""
        items.append(Item(correction.id, correction.source, text=text, group=group.partition("/")[2] or None, meta=meta))
    if not items:
        raise ManifestError(f"{folder}: nothing has been corrected in this project yet; `recognizer serve {folder}` opens its page")
    return items
