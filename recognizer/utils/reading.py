"""Text, JSON and YAML of unknown origin, read within bounds: a small file cannot take gigabytes, nor a deep one the stack.

The bounds are settings (:mod:`recognizer.utils.limits`). What breaks one, or is malformed, ends in one
:class:`~recognizer.errors.InputError` that says where.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, Any, cast

import yaml

from recognizer.errors import InputError
from recognizer.utils.limits import advice, limits

GZIP = b"\x1f\x8b"  # how a gzip file begins
MAX_RATIO = limits().unpack_ratio
FREE_BYTES = 16 << 20  # of content before the ratio counts
MAX_DEPTH = limits().nesting
MAX_NODES = limits().yaml_values
MAX_DIGITS = limits().digits


class BoundedFile(io.BufferedReader):
    """A binary file that reads no more than is there; for a length that a damaged header names Python would take that much memory at once."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(io.FileIO(path))
        self._length = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """As of other files."""
        return super().read(size if size is None or size < 0 else min(size, max(0, self._length - self.tell())))


@contextmanager
def open_text(path: str | Path) -> Iterator[Iterator[str]]:
    """Lines of a text file, plain or gzip by its content, a byte order mark removed; ``-`` is standard input.

    Raises:
        InputError: while lines are taken, too: the file cannot be read, is damaged, is not UTF-8, or unpacks to far more than text does.
    """
    name = "standard input" if str(path) == "-" else str(path)
    try:
        with sys.stdin.buffer if str(path) == "-" else Path(path).open("rb") as raw:
            file = raw if isinstance(raw, io.BufferedReader) else io.BufferedReader(cast(io.RawIOBase, raw))
            yield _decode(open_gzip(file, name) if file.peek(2)[:2] == GZIP else file, name)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{name}: the gzip file is damaged or cut short ({error})") from None
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror or error}") from None


def open_gzip(packed: IO[bytes], name: str) -> io.BufferedReader:
    """The content of a gzip file that is open, as far as it does not unpack to more than text does.

    Args:
        packed: the file; ``name``: for the error.

    Raises:
        InputError: while it is read: the bound is broken; gzip.BadGzipFile, EOFError, zlib.error: the file is damaged.
    """
    return io.BufferedReader(_Unpacked(packed, name), 1 << 16)


class _Counted:
    """The part of a file that :mod:`gzip` needs, with the number of bytes that were taken from it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.taken = 0

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.taken += len(data)
        return data


class _Unpacked(io.RawIOBase):
    """Unpacks a gzip file and compares what comes out with what goes in."""

    def __init__(self, packed: IO[bytes], name: str) -> None:
        self._packed, self._name, self._given = _Counted(packed), name, 0
        self._content = gzip.GzipFile(fileobj=cast(IO[bytes], self._packed))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        count = self._content.readinto(buffer)
        self._given += count
        if self._given > max(FREE_BYTES, MAX_RATIO * self._packed.taken):
            reason = f"unpacks to more than {MAX_RATIO} times its size, which is no text"
            raise InputError(f"{self._name}: {reason}; unpack it yourself if it is, or {advice('unpack_ratio')}")
        return count


def _decode(stream: IO[bytes], name: str) -> Iterator[str]:
    for number, line in enumerate(stream, start=1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{name}:{number}: not UTF-8 text ({error.reason} at byte {error.start} of the line)") from None


def parse_json(text: str | bytes, place: str) -> Any:
    """The value of a JSON text.

    Args:
        text: UTF-8 where it is bytes.
        place: the file, or file and line where a line is a text, for the error.

    Raises:
        InputError: not JSON, nested too deep, a number too long, or half of a surrogate pair, which no file can hold.
    """
    try:
        value = json.loads(text, parse_int=_parse_integer)
        if re.search(rb"\\u[dD][89a-fA-F]" if isinstance(text, bytes) else r"\\u[dD][89a-fA-F]", text):  # type: ignore[arg-type]
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except json.JSONDecodeError as error:
        where = f"{place}:{error.lineno}" if error.doc.rstrip("\r\n").count("\n") else place
        raise InputError(f"{where}: not JSON: {error.msg} at column {error.colno}") from None
    except UnicodeEncodeError:
        raise InputError(f"{place}: half of a surrogate pair (\\uD800 to \\uDFFF) stands alone, which is no character") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{place}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    except RecursionError:
        raise InputError(f"{place}: lists or objects are nested too deep") from None
    except ValueError as error:
        raise InputError(f"{place}: {error}") from None


def _parse_integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number of more than {MAX_DIGITS} digits")
    return int(digits)


def parse_yaml(text: str, place: str) -> Any:
    """The value of a YAML text with the plain types only.

    Args:
        text: the text.
        place: the file, for the error.

    Raises:
        InputError: not YAML, nested deeper than ``MAX_DEPTH``, larger than ``MAX_NODES`` with its aliases written out, a number of more
            than ``MAX_DIGITS``, a date that does not exist, a key that a mapping has twice, or half of a surrogate pair. The message begins
            with ``file:line``.
    """
    try:
        return yaml.load(text, _BoundedLoader)  # a subclass of SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = place if mark is None else f"{place}:{mark.line + 1}"
        raise InputError(f"{where}: not YAML that can be used: {error.problem or error.context}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise InputError(f"{place}:{line}: not YAML that can be used: the character {chr(int(error.character))!r} is not allowed") from None


class _BoundedLoader(yaml.SafeLoader):
    """Refuses what is nested too deep, what aliases make too large, and values that no plain type can hold."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0
        self._sizes: dict[int, int] = {}  # nodes in each finished node, by its id

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        self._depth += 1
        if self._depth > MAX_DEPTH:
            message = f"lists or mappings are nested more than {MAX_DEPTH} deep; {advice('nesting')}"
            raise yaml.composer.ComposerError(None, None, message, event.start_mark)
        node: Any = super().compose_node(parent, index)
        self._depth -= 1
        if isinstance(event, yaml.AliasEvent):
            size = self._sizes.get(id(node), MAX_NODES + 1)  # one within what it stands for would never end
        else:
            size = self._sizes[id(node)] = self._count(node)
        if size > MAX_NODES:
            message = f"has more than {MAX_NODES} values with its aliases written out; {advice('yaml_values')}"
            raise yaml.composer.ComposerError(None, None, message, event.start_mark)
        return node

    def _count(self, node: yaml.Node) -> int:
        if isinstance(node, yaml.ScalarNode):
            self._check_scalar(node)
            return 1
        if isinstance(node, yaml.MappingNode):
            self._check_keys(node)
        nodes = chain.from_iterable(node.value) if isinstance(node, yaml.MappingNode) else node.value
        return 1 + sum(self._sizes[id(each)] for each in nodes)

    def _check_keys(self, node: yaml.MappingNode) -> None:
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if (key.tag, key.value) in seen:
                    raise yaml.composer.ComposerError(None, None, f"the key {key.value[:40]!r} stands twice in one mapping", key.start_mark)
                seen.add((key.tag, key.value))

    def _check_scalar(self, node: yaml.ScalarNode) -> None:
        number = node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
        if number and len(node.value) > MAX_DIGITS:
            raise yaml.composer.ComposerError(None, None, f"a number of more than {MAX_DIGITS} digits", node.start_mark)
        if re.search("[\ud800-\udfff]", node.value):
            raise yaml.composer.ComposerError(None, None, "half of a surrogate pair stands alone, which is no character", node.start_mark)

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, OverflowError) as error:  # of dates and numbers
            raise yaml.constructor.ConstructorError(None, None, str(error), node.start_mark) from None
