"""The compact form of language models: what cannot be worked out from the rest, rounded and compressed."""

from __future__ import annotations

import zlib
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from recognizer.decoding.ngram import NEVER, NgramModel
from recognizer.errors import InputError

LARGEST = 65504.0  # of half precision


class _Parts(NamedTuple):
    """What is written: arcs of each state (S,), id of each arc but those of state 0, whether an arc leads to a state of its own."""

    counts: np.ndarray
    symbol: np.ndarray
    log_prob: np.ndarray
    backoff: np.ndarray
    leads: np.ndarray


def pack(model: NgramModel, text: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """Entries of the header, and the text (of the symbols) and the arrays, compressed.

    Logarithms are kept in half precision. ``target`` and ``fallback`` are not kept: an arc leads to a state of its own, which
    is its n-gram, or to where the same symbol leads from the next shorter context. Such states are numbered in the order of their
    arcs. Numbers lie byte by byte, the lowest of all of them first: the highest are much alike and so compress well.

    Raises:
        InputError: the states are numbered otherwise.
    """
    target = np.asarray(model.target)
    leads = target > np.maximum.accumulate(np.concatenate([[0], target[:-1]]))
    given = (target, model.fallback)
    if leads.sum() != len(model.backoff) - 1 or not all(map(np.array_equal, link(model.first, model.symbol, leads), given)):
        raise InputError("the states of the model are not in the order of the arcs that lead to them, so it has no compact form")
    parts = _Parts(np.diff(model.first), model.symbol[len(model.symbols) :], _halve(model.log_prob), _halve(model.backoff), np.packbits(leads))
    widths = [_width(each) for each in parts]
    header = {"states": len(model.backoff), "arcs": len(target), "widths": dict(zip(_Parts._fields, widths, strict=True))}
    return header, [zlib.compress(text + b"".join(map(_to_bytes, parts, widths)))]


def unpack(header: dict[str, Any], packed: bytes) -> tuple[bytes, dict[str, np.ndarray]]:
    """The text and the arrays of a model, which are read-only.

    Raises:
        KeyError, TypeError, ValueError: the header lacks something, or the data are damaged or do not fit it.
    """
    vocabulary, states, arcs = header["vocabulary"], header["states"], header["arcs"]
    lengths = _Parts(states, arcs - vocabulary, arcs, states, -(-arcs // 8))
    widths = [header["widths"][name] for name in _Parts._fields]
    if min(vocabulary, states) < 1 or min(lengths) < 0 or not set(widths) <= {1, 2, 3, 4}:
        raise ValueError
    sizes = [header["symbol_bytes"], *(length * width for length, width in zip(lengths, widths, strict=True))]
    data = _decompress(packed, sum(sizes))
    ends = list(accumulate(sizes))
    parts = _Parts(*(_from_bytes(data[begin:end], width) for begin, end, width in zip(ends, ends[1:], widths, strict=False)))
    first = np.concatenate([[0], np.cumsum(parts.counts, dtype=np.int64)])
    symbol = np.concatenate([np.arange(vocabulary, dtype=np.int32), parts.symbol.astype(np.int32)])
    leads = np.unpackbits(parts.leads.astype(np.uint8), count=arcs).astype(bool)
    if (first[1], first[-1], leads.sum()) != (vocabulary, arcs, states - 1) or not 0 <= symbol.min() <= symbol.max() < vocabulary:
        raise ValueError
    target, fallback = link(first, symbol, leads)
    log_prob, backoff = _restore(parts.log_prob), _restore(parts.backoff)
    arrays = {"first": first, "symbol": symbol, "log_prob": log_prob, "target": target, "backoff": backoff, "fallback": fallback}
    for each in arrays.values():
        each.flags.writeable = False  # as where they are mapped: compiled code takes it for another type
    return data[: sizes[0]], arrays


def link(first: np.ndarray, symbol: np.ndarray, leads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``target`` and ``fallback`` of a model, of which it is known which arcs lead to a state of their own, (A,) bool, S - 1 in all."""
    states, size = len(first) - 1, int(first[1])
    counts = np.diff(first)
    keys = np.repeat(np.arange(states), counts) * size + symbol  # ascending
    target = np.zeros(len(symbol), dtype=np.int32)
    target[leads] = np.arange(1, states)
    fallback = np.zeros(states, dtype=np.int32)
    fallback[0] = -1
    begin, end = 1, 1 + int(leads[:size].sum())  # states of one length, whose fallbacks are shorter and known by then
    while begin < end:
        arcs = slice(int(first[begin]), int(first[end]))
        here = np.repeat(fallback[begin:end], counts[begin:end])
        shorter = target[_find(keys[: arcs.start], size, fallback, here, symbol[arcs])]
        own = leads[arcs]
        fallback[target[arcs][own]] = shorter[own]
        target[arcs] = np.where(own, target[arcs], shorter)
        begin, end = end, end + int(own.sum())
    return target, fallback


def _find(keys: np.ndarray, size: int, fallback: np.ndarray, states: np.ndarray, symbols: np.ndarray) -> np.ndarray:
    """Arcs of symbols in states or, where there is none, in their nearest fallbacks that have one; state 0 has them all.

    Fallbacks have lower numbers and keys of state 0 are the lowest, so that this ends even for damaged models.
    """
    arcs = np.zeros(len(states), dtype=np.int64)
    left = np.arange(len(states))
    while len(left):
        wanted = states * np.int64(size) + symbols[left]
        place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        found = keys[place] == wanted
        arcs[left[found]] = place[found]
        left, states = left[~found], fallback[states[~found]]
    return arcs


def _halve(logs: np.ndarray) -> np.ndarray:
    """In half precision, as the numbers with the same bits."""
    return np.clip(logs, -LARGEST, LARGEST).astype("<f2").view("<u2")


def _restore(halves: np.ndarray) -> np.ndarray:
    """In single precision; what stands for zero is what it was to the last bit, since it is compared with."""
    logs = halves.astype("<u2").view("<f2").astype(np.float32)
    logs[logs == np.float16(NEVER)] = NEVER
    return logs


def _width(numbers: np.ndarray) -> int:
    """Bytes that the largest number takes."""
    return max(1, -(-int(numbers.max(initial=0)).bit_length() // 8))


def _to_bytes(numbers: np.ndarray, width: int) -> bytes:
    """Unsigned numbers (N,) of so many bytes: the lowest byte of each, then the next of each."""
    return np.ascontiguousarray(numbers, dtype="<u4").view(np.uint8).reshape(-1, 4)[:, :width].T.tobytes()


def _from_bytes(data: bytes, width: int) -> np.ndarray:
    """Back to numbers, (N,) uint32."""
    rows = np.frombuffer(data, dtype=np.uint8).reshape(width, -1)
    numbers = np.zeros(rows.shape[1], dtype=np.uint32)
    for place, row in enumerate(rows):
        numbers |= row.astype(np.uint32) << np.uint32(8 * place)
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
