"""Language models on disk: opened whatever their form, and written in binary form, to be mapped into memory or compact, or as ARPA.

A binary file is ``MAGIC``, the length of the header (8 bytes, little-endian), the header (JSON) and the data: the symbols (UTF-8, a
line feed after each) and the arrays of the model. In the plain format each array lies at an offset, counted from the end of the
header, so that it can be mapped. In the compact one all is compressed: logarithms in half precision and only what the rest does not
follow from. Numbers are then laid out byte by byte, the lowest bytes of all of them first: the highest are much alike and compress well.
The header holds the SHA-256 of header and data, taken with zeros in its place; files of older versions lack it.
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TextIO, cast

import numpy as np

from recognizer import __version__
from recognizer.errors import InputError
from recognizer.lm.arpa import load_arpa, write_arpa
from recognizer.lm.check import DIGEST, SMALL, UNSET, compute_digest, fits, has_disorder, has_faults, remember_checked, split_blocks, was_checked
from recognizer.lm.ngram import LOG_ZERO, NgramModel
from recognizer.lm.trie import leading_arcs, link
from recognizer.utils.files import new_file, open_folder
from recognizer.utils.reading import GZIP

MAGIC = b"\x89recognizer-ngram\n"  # not UTF-8, so that no text begins like this
PLAIN, COMPACT = 1, 2  # formats; a higher number is for what older code could not read
ALIGNMENT = 64  # bytes
DTYPES = {"first": "<i8", "symbol": "<i4", "log_prob": "<f4", "target": "<i4", "backoff": "<f4", "fallback": "<i4"}
MAX_HEADER = 1 << 20  # bytes
MAX_RATIO = 100  # how many times larger than the file what a compact one unpacks to may be, or else SMALL
MAX_HALF = 65504.0  # the largest number in half precision


class _CompactArrays(NamedTuple):
    """What a compact file holds of a model, in unsigned numbers."""

    counts: np.ndarray  # arcs of each state, (S,)
    symbol: np.ndarray  # id of each arc but those of state 0, (A - V,)
    log_prob: np.ndarray  # half precision, (A,)
    backoff: np.ndarray  # half precision, (S,)
    leads: np.ndarray  # whether an arc leads to a state of its own, eight a byte


def load_ngram(path: str | Path) -> NgramModel:
    """Open a model, whatever its name: binary, ARPA or gzipped ARPA.

    The arrays of a plain binary model are read-only and mapped into memory: pages are read when they are first asked for, and
    processes on one machine share them. The file must not be changed while it is open. A compact one is read at once.

    Raises:
        InputError: no such file, or neither a model nor an intact one; the message names the file.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) == MAGIC:
                return _open(path, file)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {os.strerror(error.errno or 0)}") from None
    return load_arpa(path)


def is_model(path: str | Path) -> bool:
    """Whether a file begins as a model does rather than as other text; damaged ones count as well."""
    try:
        with Path(path).open("rb") as file:
            begin = file.read(1 << 16)
        if begin.startswith(GZIP):
            begin = zlib.decompressobj(wbits=31).decompress(begin, 1 << 16)
    except (OSError, zlib.error):
        return False
    return begin.startswith(MAGIC) or any(line.strip() == b"\\data\\" for line in begin.split(b"\n"))


def save_ngram(model: NgramModel, path: str | Path, compact: bool = False) -> None:
    """Write a model: ARPA if the name ends in ``.arpa`` or ``.arpa.gz``, else binary. The file appears whole or not at all.

    Args:
        model: the model.
        path: the file.
        compact: for the binary form: a quarter as large, with logarithms in half precision, and read at once when it is opened.

    Raises:
        OutputError: it cannot be written.
    """
    path = Path(path)
    open_folder(path.parent)
    with new_file(path) as partial:
        if path.name.endswith((".arpa", ".arpa.gz")):
            opener = gzip.open if path.suffix == ".gz" else open
            with cast(TextIO, opener(partial, "wt", encoding="utf-8", newline="\n")) as text:
                write_arpa(model, text)
        else:
            with partial.open("wb") as file:
                _write(model, file, compact)


def _write(model: NgramModel, file: BinaryIO, compact: bool) -> None:
    if any("\n" in symbol for symbol in model.symbols):
        raise InputError("a symbol of the model holds a line feed, which no file of models can hold")
    symbols = "".join(symbol + "\n" for symbol in model.symbols).encode()
    entries, chunks = _pack(model, symbols) if compact else _lay_out(model, symbols)
    header: dict[str, Any] = {
        "format": COMPACT if compact else PLAIN,
        "recognizer": __version__,
        "order": model.order,
        "level": model.level,
        "start": model.start,
        "vocabulary": len(model.symbols),
        **entries,
        "symbol_bytes": len(symbols),
        "bytes": sum(map(len, chunks)),
        DIGEST: UNSET,
    }
    text = json.dumps(header).encode()
    text += b" " * (-(len(MAGIC) + 8 + len(text)) % ALIGNMENT)
    text = text.replace(UNSET.encode(), compute_digest(text, chunks).encode())
    file.write(MAGIC + len(text).to_bytes(8, "little") + text)
    for chunk in chunks:
        file.write(chunk)


def _open(path: Path, file: BinaryIO) -> NgramModel:
    damaged = InputError(f"{path}: is damaged or cut short; make the language model again or copy it anew")
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if length > min(size, MAX_HEADER):
        raise damaged
    try:
        text = file.read(length)
        header = json.loads(text)
        version = int(header["format"])
        if version > COMPACT:
            made = header.get("recognizer", "unknown")
            raise InputError(f"{path}: was made by a newer version ({made}, format {version}); this is {__version__}, format {COMPACT}: upgrade")
        base = len(MAGIC) + 8 + length
        if size != base + header["bytes"]:
            raise damaged
        data: Any = file.read() if version == COMPACT else np.memmap(path, dtype=np.uint8, mode="r")[base:]
        symbols, arrays = _unpack(header, data) if version == COMPACT else _map(data, header)
        names = tuple(symbols.decode().split("\n")[:-1])
        model = NgramModel(order=header["order"], level=header["level"], symbols=names, start=header["start"], **arrays)
        if not fits(model, header["vocabulary"]):
            raise damaged
        large = version == PLAIN and size > SMALL  # what is compact is read as a whole anyway
        if not (large and was_checked(path)):
            if not _has_digest(text, header, data) or has_faults(model):
                raise damaged
            if large:
                remember_checked(path)
    except (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError):
        raise damaged from None
    return model


def _has_digest(text: bytes, header: dict[str, Any], data: Any) -> bool:
    """Whether header and data are those that the digest was made of; files of old have none."""
    if DIGEST not in header:
        return True
    digest = header[DIGEST]
    return isinstance(digest, str) and compute_digest(text.replace(digest.encode(), UNSET.encode()), split_blocks(data)) == digest


def _lay_out(model: NgramModel, symbols: bytes) -> tuple[dict[str, Any], list[Any]]:
    """Entries of the header of a plain file, and what follows the header."""
    arrays = {name: np.ascontiguousarray(getattr(model, name), dtype=dtype) for name, dtype in DTYPES.items()}
    offsets, end = {}, 0
    chunks: list[Any] = []  # bytes, or arrays seen as such, which need no copy
    for name, data in [("symbols", symbols), *((name, each.view(np.uint8).data) for name, each in arrays.items())]:
        offsets[name] = end
        chunks += [data, bytes(-len(data) % ALIGNMENT)]
        end += len(data) + len(chunks[-1])
    return {"lengths": {name: len(each) for name, each in arrays.items()}, "offsets": offsets}, chunks


def _map(data: np.ndarray, header: dict[str, Any]) -> tuple[bytes, dict[str, np.ndarray]]:
    """The symbols, which are read, and the arrays, which are mapped, out of what follows the header.

    Raises:
        KeyError, TypeError, ValueError: the header lacks something or names places outside the file.
    """
    places = {name: (header["offsets"][name], header["lengths"][name] * np.dtype(dtype).itemsize) for name, dtype in DTYPES.items()}
    places["symbols"] = header["offsets"]["symbols"], header["symbol_bytes"]
    if not all(begin >= 0 and size >= 0 and begin + size <= len(data) for begin, size in places.values()):
        raise ValueError
    if any(begin % ALIGNMENT for begin, _ in places.values()):
        raise ValueError
    found = {name: np.asarray(data[begin : begin + size]) for name, (begin, size) in places.items()}
    return found.pop("symbols").tobytes(), {name: each.view(DTYPES[name]) for name, each in found.items()}


def _pack(model: NgramModel, symbols: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """Entries of the header of a compact file, and what follows the header.

    ``target`` and ``fallback`` are left out: an arc leads to a state of its own, which is its n-gram, or to where the same symbol
    leads from the next shorter context. Such states are numbered in the order of their arcs.

    Raises:
        InputError: the states are numbered otherwise.
    """
    leads, given = leading_arcs(model), (model.target, model.fallback)
    if leads.sum() != len(model.backoff) - 1 or not all(map(np.array_equal, link(model.first, model.symbol, leads), given)):
        raise InputError("the states of the model are not in the order of the arcs that lead to them, so it has no compact form")
    log_prob, backoff = (np.clip(logs, -MAX_HALF, MAX_HALF).astype("<f2").view("<u2") for logs in (model.log_prob, model.backoff))
    arrays = _CompactArrays(np.diff(model.first), model.symbol[len(model.symbols) :], log_prob, backoff, np.packbits(leads))
    widths = [max(1, -(-int(each.max(initial=0)).bit_length() // 8)) for each in arrays]  # bytes that the largest number takes
    header = {"states": len(model.backoff), "arcs": len(leads), "widths": dict(zip(arrays._fields, widths, strict=True))}
    data = [
        np.ascontiguousarray(each, dtype="<u4").view(np.uint8).reshape(-1, 4)[:, :width].T.tobytes()
        for each, width in zip(arrays, widths, strict=True)
    ]
    return header, [zlib.compress(symbols + b"".join(data))]


def _unpack(header: dict[str, Any], packed: bytes) -> tuple[bytes, dict[str, np.ndarray]]:
    """The symbols and the arrays of a compact file, which are read-only.

    Raises:
        KeyError, TypeError, ValueError: the header lacks something, or the data are damaged or do not fit it.
    """
    vocabulary, states, arcs = header["vocabulary"], header["states"], header["arcs"]
    lengths = [states, arcs - vocabulary, arcs, states, -(-arcs // 8)]
    widths = [header["widths"][name] for name in _CompactArrays._fields]
    if min(vocabulary, states) < 1 or min(lengths) < 0 or not set(widths) <= {1, 2, 3, 4}:
        raise ValueError
    sizes = [header["symbol_bytes"], *(length * width for length, width in zip(lengths, widths, strict=True))]
    if min(sizes) < 0 or sum(sizes) > max(SMALL, MAX_RATIO * len(packed)):
        raise ValueError
    data = _decompress(packed, sum(sizes))
    ends = list(accumulate(sizes))
    found = _CompactArrays(*(_read_numbers(data[begin:end], width) for begin, end, width in zip(ends, ends[1:], widths, strict=False)))
    first = np.concatenate([[0], np.cumsum(found.counts, dtype=np.int64)])
    symbol = np.concatenate([np.arange(vocabulary, dtype=np.int32), found.symbol.astype(np.int32)])
    leads = np.unpackbits(found.leads.astype(np.uint8), count=arcs).astype(bool)
    if (first[1], first[-1], leads.sum()) != (vocabulary, arcs, states - 1) or not 0 <= symbol.min() <= symbol.max() < vocabulary:
        raise ValueError
    if has_disorder(first, symbol):  # what is looked up by halving below
        raise ValueError
    target, fallback = link(first, symbol, leads)
    log_prob, backoff = (each.astype("<u2").view("<f2").astype(np.float32) for each in (found.log_prob, found.backoff))
    for logs in (log_prob, backoff):
        logs[logs == np.float16(LOG_ZERO)] = LOG_ZERO  # to the last bit, since it is compared with
    arrays = {"first": first, "symbol": symbol, "log_prob": log_prob, "target": target, "backoff": backoff, "fallback": fallback}
    for each in arrays.values():
        each.flags.writeable = False  # as where they are mapped: compiled code takes it for another type
    return data[: sizes[0]], arrays


def _read_numbers(data: bytes, width: int) -> np.ndarray:
    """Numbers that are laid out byte by byte, (N,) uint32."""
    rows = np.frombuffer(data, dtype=np.uint8).reshape(width, -1).astype(np.uint32)
    numbers = np.zeros(rows.shape[1], dtype=np.uint32)
    for place, row in enumerate(rows):
        numbers |= row << np.uint32(8 * place)
    return numbers


def _decompress(packed: bytes, size: int) -> bytes:
    """So many bytes, no more and no fewer, whose checksum is right."""
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(packed, size + 1)  # with room for one more it goes on to the checksum
    except (zlib.error, OverflowError, MemoryError):
        raise ValueError from None
    if len(data) != size or not stream.eof or stream.unused_data:
        raise ValueError
    return data
