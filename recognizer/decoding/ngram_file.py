"""Language models on disk: the binary form, mapped into memory or compact, or ARPA."""

from __future__ import annotations

import json
import math
import os
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from recognizer import __version__
from recognizer.decoding.ngram import SPECIAL, NgramModel
from recognizer.decoding.ngram_arpa import load_arpa, save_arpa
from recognizer.decoding.ngram_compact import pack, unpack
from recognizer.decoding.ngram_sphinx import MAGIC as SPHINX
from recognizer.decoding.ngram_sphinx import load_sphinx
from recognizer.decoding.ngram_text import GZIP
from recognizer.errors import InputError

MAGIC = b"\x89recognizer-ngram\n"  # not UTF-8, so that no text begins like this
PLAIN, COMPACT = 1, 2  # formats; a higher number is for what older code could not read
ALIGNMENT = 64  # bytes
DTYPES = {"first": "<i8", "symbol": "<i4", "log_prob": "<f4", "target": "<i4", "backoff": "<f4", "fallback": "<i4"}


def load_ngram(path: str | Path) -> NgramModel:
    """Open a model, whatever its name: binary, ARPA, gzipped ARPA, or Sphinx's binary.

    The arrays of a binary model are read-only and mapped into memory: pages are read when they are first asked for, and
    processes on one machine share them. The file must not be changed while it is open. A compact one is read at once.

    Raises:
        InputError: no such file, or neither a model nor an intact one; the message names the file.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            begin = file.read(len(MAGIC))
            if begin == MAGIC:
                return _open(path, file)
            begin += file.read(len(SPHINX) - len(MAGIC))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {os.strerror(error.errno or 0)}") from None
    return load_sphinx(path) if begin == SPHINX else load_arpa(path)


def is_model(path: str | Path) -> bool:
    """Whether a file begins as a model does rather than as other text; damaged ones count as well."""
    try:
        with Path(path).open("rb") as file:
            begin = file.read(1 << 16)
        if begin.startswith(GZIP):
            begin = zlib.decompressobj(wbits=31).decompress(begin, 1 << 16)
    except (OSError, zlib.error):
        return False
    return begin.startswith((MAGIC, SPHINX)) or any(line.strip() == b"\\data\\" for line in begin.split(b"\n"))


def save_ngram(model: NgramModel, path: str | Path, compact: bool = False) -> None:
    """Write a model: ARPA if the name ends in ``.arpa`` or ``.arpa.gz``, else binary. The file appears whole or not at all.

    Args:
        model: the model.
        path: the file.
        compact: for the binary form: a quarter as large, with logarithms in half precision, and read at once when it is opened.

    Raises:
        InputError: it cannot be written.
    """
    path = Path(path)
    try:
        if path.name.endswith((".arpa", ".arpa.gz")):
            save_arpa(model, path)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        try:
            with partial.open("wb") as file:
                _write(model, file, compact)
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None


def _write(model: NgramModel, file: BinaryIO, compact: bool) -> None:
    """Magic, length of the header (8 bytes, little-endian), header (JSON), then symbols and arrays: at their offsets, or packed.

    Symbols are UTF-8 and end in a line feed each, which no symbol holds. Offsets are counted from the end of the header.
    """
    if any("\n" in symbol for symbol in model.symbols):
        raise InputError("a symbol of the model holds a line feed, which no file of models can hold")
    text_of_symbols = "".join(symbol + "\n" for symbol in model.symbols).encode()
    own, chunks = pack(model, text_of_symbols) if compact else _lay_out(model, text_of_symbols)
    header: dict[str, Any] = {
        "format": COMPACT if compact else PLAIN,
        "recognizer": __version__,
        "order": model.order,
        "level": model.level,
        "start": model.start,
        "vocabulary": len(model.symbols),
        **own,
        "symbol_bytes": len(text_of_symbols),
        "bytes": sum(map(len, chunks)),
    }
    text = json.dumps(header).encode()
    text += b" " * (-(len(MAGIC) + 8 + len(text)) % ALIGNMENT)
    file.write(MAGIC + len(text).to_bytes(8, "little") + text)
    for chunk in chunks:
        file.write(chunk)


def _lay_out(model: NgramModel, text_of_symbols: bytes) -> tuple[dict[str, Any], list[Any]]:
    """Entries of the header of a file that is to be mapped, and what follows the header."""
    arrays = {name: np.ascontiguousarray(getattr(model, name), dtype=dtype) for name, dtype in DTYPES.items()}
    offsets, end = {}, 0
    chunks: list[Any] = []  # bytes, or arrays seen as such, which need no copy
    for name, data in [("symbols", text_of_symbols), *((name, each.view(np.uint8).data) for name, each in arrays.items())]:
        offsets[name] = end
        chunks += [data, bytes(-len(data) % ALIGNMENT)]
        end += len(data) + len(chunks[-1])
    return {"lengths": {name: len(each) for name, each in arrays.items()}, "offsets": offsets}, chunks


def _open(path: Path, file: BinaryIO) -> NgramModel:
    damaged = InputError(f"{path}: is damaged or cut short; make the language model again or copy it anew")
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if length > size:
        raise damaged
    try:
        header = json.loads(file.read(length))
        version = int(header["format"])
    except (ValueError, KeyError, TypeError):
        raise damaged from None
    if version > COMPACT:
        made = header.get("recognizer", "unknown")
        raise InputError(f"{path}: was made by a newer version ({made}, format {version}); this is {__version__}, format {COMPACT}: upgrade")
    base = len(MAGIC) + 8 + length
    try:
        if size != base + header["bytes"]:
            raise damaged
        text, arrays = unpack(header, file.read()) if version == COMPACT else _map(path, file, header, base)
        symbols = tuple(text.decode().split("\n")[:-1])
        model = NgramModel(order=header["order"], level=header["level"], symbols=symbols, start=header["start"], **arrays)
    except (KeyError, TypeError, ValueError):
        raise damaged from None
    if not _fits(model, header["vocabulary"]):
        raise damaged
    return model


def _map(path: Path, file: BinaryIO, header: dict[str, Any], base: int) -> tuple[bytes, dict[str, np.ndarray]]:
    """The text of the symbols, which is read, and the arrays, which are not."""
    file.seek(base + header["offsets"]["symbols"])
    text = file.read(header["symbol_bytes"])
    whole = np.memmap(path, dtype=np.uint8, mode="r")
    arrays: dict[str, np.ndarray] = {}
    for name, dtype in DTYPES.items():
        begin = base + header["offsets"][name]
        arrays[name] = np.asarray(whole[begin : begin + header["lengths"][name] * np.dtype(dtype).itemsize]).view(dtype)
    return text, arrays


def _fits(model: NgramModel, vocabulary: int) -> bool:
    """Whether lengths and corners agree; looking at every number would read the whole file."""
    states, arcs = len(model.backoff), len(model.symbol)
    return (
        len(model.symbols) == vocabulary
        and model.symbols[:3] == SPECIAL
        and model.level in ("characters", "words")
        and isinstance(model.order, int)
        and len(model.first) == states + 1
        and len(model.fallback) == states > model.start >= 0
        and len(model.log_prob) == len(model.target) == arcs
        and (int(model.first[0]), int(model.first[1]), int(model.first[-1])) == (0, vocabulary, arcs)
        and math.isfinite(float(model.log_prob[0]))
    )
