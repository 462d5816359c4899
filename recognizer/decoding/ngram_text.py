"""Text for language models: files in, cleaned sentences out."""

from __future__ import annotations

import gzip
import io
import re
import sys
import unicodedata
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import BinaryIO, cast

from recognizer.config import TextConfig
from recognizer.data.transcripts import clean
from recognizer.errors import InputError

GZIP = b"\x1f\x8b"
MANIFEST = ".jsonl"
LONGEST = 1 << 16  # characters of running text held before it is cut, even if no paragraph ends

# A full stop, question or exclamation mark with what closes quotations after it, white space, and a capital, a digit or
# an opening mark; no end is seen after a single capital (J. Smith) or a title.
_END = re.compile(r"(?<=[.!?…])[\"'\u2019”»)\]]*(?:\s»)?\s+(?=[\"'\u2018“«(\[¿¡—-]*\s?[^\W_a-zß-öø-ÿ])")
_NO_END = re.compile(r"(?:^|[\s\"'(\u2018“«])(?:[^\W\d_]|Mr|Mrs|Ms|Dr|St|Mme|Mlle|MM|Prof|Rev|Hon|Capt|Col|Gen|Sr|Jr|No|vol|cf|vs)\.$")
_EDGE_MARKS = re.compile(r"(?:(?<=\s)|^)['\u2019-]+|['\u2019-]+(?=\s|$)|--+")


def read_sentences(paths: Iterable[str | Path], config: TextConfig | None = None, running: bool = False, punctuation: bool = True) -> Iterator[str]:
    """Sentences of text files (UTF-8, plain or gzip; ``-`` is standard input), cleaned as transcripts are; empty ones are left out.

    Args:
        paths: read one after the other, text files never held as a whole. Of a manifest (``.jsonl``) its transcripts are the lines:
            the texts, of items without one the units with spaces between them.
        config: case, dropped characters, characters that become a space.
        running: the files are running text, to be cut where a sentence or paragraph ends; by default a line is a sentence.
        punctuation: False drops all punctuation and symbols but apostrophes and hyphens within words.

    Raises:
        InputError: a file cannot be read or is not UTF-8; the message names file and line.
        ManifestError: a manifest cannot be read.
    """
    config = config or TextConfig()
    for path in paths:
        with _open_transcripts(path) if str(path).endswith(MANIFEST) else open_text(path) as lines:
            for sentence in _cut_running(lines) if running else lines:
                if not punctuation:
                    sentence = _EDGE_MARKS.sub(" ", sentence.translate(_marks()))
                if cleaned := clean(sentence, config):
                    yield cleaned


def cut_sentences(text: str) -> list[str]:
    """Sentences of a paragraph: cut after ``.``, ``!``, ``?`` and what closes quotations, before a capital or a digit."""
    sentences, begin = [], 0
    for match in _END.finditer(text):
        if not _NO_END.search(text[max(begin, match.start() - 8) : match.start()]):
            sentences.append(text[begin : match.end()].strip())
            begin = match.end()
    return [*sentences, text[begin:].strip()] if text[begin:].strip() else sentences


@contextmanager
def open_text(path: str | Path) -> Iterator[Iterator[str]]:
    """Lines of a text file, plain or gzip by its content; ``-`` is standard input.

    Raises:
        InputError: while lines are taken, too: the file cannot be read, is damaged, or is not UTF-8.
    """
    name = "standard input" if str(path) == "-" else str(path)
    try:
        with sys.stdin.buffer if str(path) == "-" else Path(path).open("rb") as raw:
            buffered = cast(BinaryIO, raw if isinstance(raw, io.BufferedReader) else io.BufferedReader(raw))
            packed = cast(io.BufferedReader, buffered).peek(2)[:2] == GZIP
            stream = gzip.GzipFile(fileobj=buffered) if packed else buffered
            yield _lines(cast(BinaryIO, stream), name)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{name}: the gzip file is damaged or cut short ({error})") from None
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror or error}") from None


@contextmanager
def _open_transcripts(path: str | Path) -> Iterator[Iterator[str]]:
    from recognizer.data.manifest import load_manifest

    yield (item.text if item.text is not None else " ".join(item.units or ()) for item in load_manifest(path))


def _lines(stream: BinaryIO, name: str) -> Iterator[str]:
    for number, line in enumerate(stream, start=1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{name}:{number}: not UTF-8 text ({error.reason} at byte {error.start} of the line)") from None


def _cut_running(lines: Iterable[str]) -> Iterator[str]:
    held: list[str] = []
    size = 0
    for line in lines:
        if line.strip():
            held.append(line)
            size += len(line)
            if size < LONGEST:
                continue
            *done, last = cut_sentences(" ".join(held))
            yield from done
            held, size = ([], 0) if len(last) >= LONGEST else ([last], len(last))
            if not held:
                yield last
        else:
            yield from cut_sentences(" ".join(held))
            held, size = [], 0
    yield from cut_sentences(" ".join(held))


@cache
def _marks() -> dict[int, str]:
    """A space for every character of punctuation or symbol but apostrophes and the hyphen."""
    return {code: " " for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code))[0] in "PS" and chr(code) not in "'\u2019-"}
