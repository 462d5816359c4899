"""What is done in an output folder: a line of JSON for each file, so that a run that was stopped can go on."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from recognizer.bundle.registry import locate_file
from recognizer.config import DECODER_FILES
from recognizer.errors import InputError, OutputError
from recognizer.inference.recognizer import Recognizer
from recognizer.utils.archives import as_file, is_member
from recognizer.utils.files import append_bytes

LEDGER = "done.jsonl"
_LONGEST = 1 << 20  # bytes of a line


class Ledger:
    """The list of files that are done; each line is added whole, after the results are there.

    Args:
        path: of the list; it is made with the first line.
        read: whether what stands in it counts; without it lines are only added.
        others: lists of other runs into the same folder, which count as well.
        wanted: of which names lines are kept in memory; None: of all.
    """

    def __init__(self, path: Path, read: bool = False, others: Iterable[Path] = (), wanted: Callable[[str], bool] | None = None) -> None:
        self.path, self._wanted = path, wanted
        self._done: dict[str, tuple[float, str, str, list[str]]] = {}
        if path.exists():
            self._mend()
        if read:
            for each in (path, *others):
                self._read(each)

    def files(self, output: str, content: str, settings: str) -> list[str] | None:
        """The files that a source's results are in, if the same content was done with the same settings; None if not."""
        done = self._done.get(output)
        return done[3] if done is not None and done[1:3] == (content, settings) else None

    def knows(self, output: str) -> bool:
        """Whether there is a line for this name, whatever the content was."""
        return output in self._done

    def add(self, output: str, source: str, content: str, settings: str, files: Sequence[str]) -> None:
        """Say that a source is done.

        Raises:
            OutputError: the list cannot be written.
        """
        record = {"output": output, "source": source, "content": content, "settings": settings, "files": list(files), "time": time.time()}
        append_bytes(self.path, (json.dumps(record) + "\n").encode("ascii"))

    def _mend(self) -> None:
        """Take away half a line at the end, which is what a full disk or a power cut may leave."""
        with suppress(OSError), self.path.open("rb+") as file:
            begin = max(0, file.seek(0, os.SEEK_END) - _LONGEST)
            file.seek(begin)
            data = file.read()
            if data and not data.endswith(b"\n"):
                file.truncate(begin + data.rfind(b"\n") + 1)

    def _read(self, path: Path) -> None:
        """Take what a list says; of lines about the same file the latest counts, whichever list it is in."""
        try:
            with path.open("rb") as file:
                for line in file:
                    with suppress(ValueError, KeyError, TypeError):  # a line that is damaged: its file is done again
                        record: dict[str, Any] = json.loads(line)
                        output, when = record["output"], float(record.get("time", 0))
                        if (self._wanted is None or self._wanted(output)) and when >= self._done.get(output, (0,))[0]:
                            files = [str(name) for name in record["files"]]
                            self._done[output] = (when, record["content"], sys.intern(record["settings"]), files)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise OutputError(f"{path}: cannot be read: {error.strerror or error}") from None


def digest_file(path: str | Path) -> str | None:
    """SHA-256 of a file's content; None where it cannot be read, or only once as a pipe."""
    try:
        if not os.path.isfile(path) and not is_member(path):
            return None
        with as_file(path) as place, place.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError, InputError):
        return None


def digest_settings(recognizer: Recognizer, options: Mapping[str, object]) -> str:
    """SHA-256 of all that a result depends on besides its source: the bundles, how they decode, and what the user asked for."""
    digest = hashlib.sha256()
    for bundle in recognizer.bundles:
        digest.update(bundle.identity())  # which holds the digests of the other files
    digest.update(repr(recognizer.decoding).encode())
    for key in DECODER_FILES:
        name = getattr(recognizer.decoding, key)
        path = None if name is None else locate_file(name, recognizer.bundle.folder) or Path(name)
        digest.update(str(None if path is None else digest_file(path)).encode())
    digest.update(repr(sorted((key, repr(value)) for key, value in options.items())).encode("utf-8", "backslashreplace"))
    return digest.hexdigest()
