"""The files of a manifest in a few tar archives, for corpora of more files than a file system likes, or on storage that opens files slowly.

The archives are laid out as WebDataset has it: the files of one item follow each other and share their name up to the first dot. Here these are the
recording or picture as it is, and a JSON object with what the manifest says of it. Any tar program reads them.
"""

from __future__ import annotations

import io
import json
import random
import re
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from recognizer.data.manifest import Item, describe_item
from recognizer.errors import InputError, OutputError
from recognizer.utils.archives import ARCHIVE, INDEX, as_file
from recognizer.utils.files import open_folder

MIB = 1 << 20


def write_shards(items: Sequence[Item], folder: Path, name: str, size: float, seed: int, drop: Callable[[InputError], None]) -> list[Item]:
    """Copy the files of items into archives ``NAME-000000.tar`` and so on, in a random order; the items as they are found there, in that order.

    Training reads from a few archives at a time, so what is near in them should not be of one speaker.

    Args:
        items: of one manifest.
        folder: of the archives, and of an index beside each.
        name: that the names of the archives begin with.
        size: of an archive, MiB; it ends with the item that reaches it.
        seed: of the order.
        drop: is told of every file that cannot be read; its item is left out.

    Raises:
        OutputError: an archive cannot be written.
    """
    open_folder(folder)
    placed: list[Item] = []
    with _ShardWriter(folder, name, size) as writer:
        for item in random.Random(seed).sample(items, len(items)):
            try:
                with as_file(item.source) as file:
                    data = file.read_bytes()
            except InputError as error:
                drop(error)
            except OSError as error:
                drop(InputError(f"{item.source}: cannot be read: {error.strerror or error}"))
            else:
                placed.append(writer.add(item, data))
    return placed


class _ShardWriter:
    """Writes one archive after the other."""

    def __init__(self, folder: Path, name: str, size: float) -> None:
        self._folder, self._name, self._size = folder, name, size
        self._number = 0
        self._archive: tarfile.TarFile | None = None
        self._places: dict[str, tuple[int, int]] = {}
        self._keys: set[str] = set()

    def __enter__(self) -> _ShardWriter:
        return self

    def __exit__(self, *failure: object) -> None:
        self._close()

    @property
    def path(self) -> Path:
        """The archive that is being written."""
        return self._folder / f"{self._name}-{self._number:06d}{ARCHIVE}"

    def add(self, item: Item, data: bytes) -> Item:
        """Write the file of an item and what is known of it; the item as it is found there."""
        path = self.path
        try:
            if self._archive is None:
                self._archive = tarfile.open(path, "w")  # noqa: SIM115  # it stays open for those that follow
            key = self._key(item.id)
            inside = f"{key}{item.source.suffix.lower()}"
            self._places[inside] = (self._write(self._archive, inside, data), len(data))
            record = {key: value for key, value in describe_item(item).items() if key != "source"}
            self._write(self._archive, f"{key}{INDEX}", json.dumps(record, ensure_ascii=False).encode())
            if self._archive.offset >= self._size * MIB:
                self._close()
                self._number += 1
        except OSError as error:
            raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from None
        return replace(item, source=path / inside)

    def _key(self, identity: str) -> str:
        """A name without dots or slashes that no other item of the split has."""
        plain = re.sub(r"[^\w-]", "_", identity)[:100]
        key = plain
        while key in self._keys:
            key = f"{plain}-{len(self._keys)}"
        self._keys.add(key)
        return key

    def _write(self, archive: tarfile.TarFile, name: str, data: bytes) -> int:
        """Write one file; returns where its content begins."""
        member = tarfile.TarInfo(name)  # of no date and no owner, so that the same items give the same archive
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
        return archive.offset - -(-len(data) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE

    def _close(self) -> None:
        if self._archive is not None:
            self._archive.close()
            self.path.with_suffix(INDEX).write_text(json.dumps({"members": self._places}), encoding="utf-8")
            self._archive, self._places = None, {}
