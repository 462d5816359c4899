"""Pictures, recordings and archives that the preparation of a corpus makes: all of them get their places, or none."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from recognizer.data.manifest import Item
from recognizer.errors import InputError, OutputError
from recognizer.utils.archives import INDEX
from recognizer.utils.files import PARTIAL, check_target, open_folder, remove_files


class MadeFiles:
    """Pictures and recordings that a reader makes: they lie aside until the manifests that name them are complete.

    A preparation that fails or is killed leaves the files, and the manifests, of the one before as they were.

    Args:
        out: absolute folder of the manifests.
        name: of the folder in it that the files go to.

    Attributes:
        partial: the folder, of the same name, in which they are made.
    """

    def __init__(self, out: Path, name: str) -> None:
        self._final, self._aside = out / name, out / f"{name}{PARTIAL}"
        self.partial = self._aside / name
        self._stale: list[Path] = []

    def __enter__(self) -> MadeFiles:
        shutil.rmtree(self._aside, ignore_errors=True)  # left by a process that was killed
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        shutil.rmtree(self._aside, ignore_errors=True)
        if isinstance(error, InputError):
            self.name_places(error)

    def place(self) -> None:
        """Give the files their places, to be done while no manifest names those that they replace.

        Raises:
            OutputError: one of them cannot be moved there.
        """
        for path in sorted(path for path in self.partial.rglob("*") if not path.is_dir()):
            target = self._final / path.relative_to(self.partial)
            try:
                open_folder(target.parent)
                path.replace(check_target(target))
            except OSError as error:
                raise OutputError(f"{target}: cannot be written: {error.strerror or error}") from None
        remove_files(self._stale)

    def keep_only(self, archives: Collection[Path]) -> None:
        """Remove all that is not one of these archives or the index beside it, and, when these get their places, older ones of the same name."""
        kept = {*archives, *(path.with_suffix(INDEX) for path in archives)}
        for path in [path for path in self.partial.rglob("*") if path.is_file() and path not in kept]:
            path.unlink()
        names = {path.stem.rpartition("-")[0] for path in archives}
        older = (path for name in names for path in self._final.glob(f"{name}-[0-9]*"))
        self._stale = [path for path in older if self.partial / path.name not in kept]

    def place_item(self, item: Item) -> Item:
        """The item with the place that its file will have."""
        inside = item.source.is_relative_to(self.partial)
        return replace(item, source=self._final / item.source.relative_to(self.partial)) if inside else item

    def name_place(self, text: str) -> str:
        """A message with the place that a file will have."""
        return text.replace(str(self.partial), str(self._final))

    def name_places(self, error: InputError) -> InputError:
        """An error whose message names the place that a file will have."""
        error.args = tuple(self.name_place(text) if isinstance(text, str) else text for text in error.args)
        return error
