"""Which items a recognizer was trained and chosen on, told by digests alone, so that it is not scored on them unawares."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import unicodedata
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from recognizer.data.manifest import Item
from recognizer.errors import BundleError, InputError
from recognizer.utils.files import write_bytes, write_text
from recognizer.utils.reading import open_gzip, parse_json

TRAINED_ON = "trained_on.txt.gz"  # within a bundle
ADAPTED = "adapted.json"  # within a bundle that was adapted from another
_PLAIN = "trained_on.txt"  # its name in bundles of format 1, not compressed
DIGITS = 12  # 48 bits: a chance of one in a million that one of 3,000 items looks like one of 100,000 others
_ROW = re.compile(rf"(train|dev) ([0-9a-f]{{{DIGITS}}})")


@dataclass(frozen=True)
class Provenance:
    """Digests of the items that weights were fitted to, and of those that training was stopped and compared by."""

    train: frozenset[str] = frozenset()
    dev: frozenset[str] = frozenset()

    @classmethod
    def of(cls, train: Iterable[Item], dev: Iterable[Item]) -> Provenance:
        """The provenance of a run."""
        return cls(frozenset(map(digest_item, train)), frozenset(map(digest_item, dev)))

    def __or__(self, other: Provenance) -> Provenance:
        """Both together, for a run that starts from the weights of another."""
        return Provenance(self.train | other.train, self.dev | other.dev)

    def trained_on(self, items: Sequence[Item]) -> list[Item]:
        """The items whose digest is that of a training item."""
        return [item for item in items if digest_item(item) in self.train]

    def chosen_by(self, items: Sequence[Item]) -> list[Item]:
        """The items whose digest is that of a development item."""
        return [item for item in items if digest_item(item) in self.dev]

    def save(self, path: Path) -> None:
        """Write the digests, one a line and sorted, gzipped without a date, so that the same data give the same file."""
        rows = [f"{part} {digest}" for part, digests in (("train", self.train), ("dev", self.dev)) for digest in sorted(digests)]
        write_bytes(path, gzip.compress("".join(f"{row}\n" for row in rows).encode(), mtime=0))

    @classmethod
    def load(cls, folder: Path) -> Provenance | None:
        """Read what the bundle in ``folder`` was trained on; None if it does not say.

        Raises:
            BundleError: the file is damaged; the line is named.
        """
        path = next((place for name in (TRAINED_ON, _PLAIN) if (place := folder / name).is_file()), None)
        if path is None:
            return None
        try:
            data = path.read_bytes()
            text = (open_gzip(BytesIO(data), str(path)).read() if path.suffix == ".gz" else data).decode()
        except InputError as error:
            raise BundleError(str(error)) from None
        except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
            raise BundleError(f"{path}: cannot be read: {error}") from None
        parts: dict[str, set[str]] = {"train": set(), "dev": set()}
        for number, row in enumerate(text.split("\n"), start=1):
            match = _ROW.fullmatch(row)
            if match:
                parts[match[1]].add(match[2])
            elif row:
                raise BundleError(f"{path}:{number}: expected 'train' or 'dev' and {DIGITS} hexadecimal digits, found {row!r}")
        return cls(frozenset(parts["train"]), frozenset(parts["dev"]))


@dataclass(frozen=True)
class Origin:
    """The bundle that an adapted one started from.

    Attributes:
        name: of its folder; ``path``: the way to it from the adapted one, or an absolute path.
        digest: SHA-256 of its ``bundle.json``, which lists the digests of its files.
        figures: what adapting brought, for people and programs to read.
    """

    name: str
    path: str
    digest: str
    figures: dict[str, Any] = field(default_factory=dict)

    @staticmethod
    def digest_of(folder: Path) -> str:
        """The digest of the bundle in ``folder``.

        Raises:
            BundleError: it cannot be read.
        """
        path = folder / "bundle.json"
        try:
            return hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise BundleError(f"{path}: cannot be read: {error.strerror}") from None

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        write_text(path, json.dumps(vars(self), indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Origin | None:
        """Read where the bundle in ``folder`` comes from; None if it was not adapted.

        Raises:
            BundleError: the file is damaged.
        """
        path = folder / ADAPTED
        try:
            record = parse_json(path.read_text(encoding="utf-8"), str(path))
            return cls(str(record["name"]), str(record["path"]), str(record["digest"]), dict(record["figures"]))
        except (FileNotFoundError, NotADirectoryError):  # the latter: an ONNX file that stands alone
            return None
        except (OSError, InputError, ValueError, KeyError, TypeError, AttributeError):
            raise BundleError(f"{path}: is damaged; copy the bundle anew") from None


def digest_item(item: Item) -> str:
    """Hexadecimal digits from the SHA-256 of an item's id and of the letters and figures of its text.

    Case, spaces and punctuation do not count, so that an item is known again in another form of its text; the units do
    only where there is no text, since one utterance may be given in finer or coarser phones.
    """
    said = item.text if item.text is not None else " ".join(item.units or ())
    letters = "".join(c for c in unicodedata.normalize("NFKC", said).casefold() if c.isalnum())
    return hashlib.sha256(f"{item.id}\n{letters}".encode()).hexdigest()[:DIGITS]
