"""Sound from a pipe as it comes: WAV with a header, or bare samples; nothing waits for the end."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from recognizer.audio.io import MAX_RATE, MIN_RATE, check_samples
from recognizer.errors import InputError

READ = 65_536  # bytes taken at a time at most; fewer are taken if fewer are there
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE  # of the header's format tag
_TYPES = {(_PCM, 8): "u1", (_PCM, 16): "<i2", (_PCM, 24): "u1", (_PCM, 32): "<i4", (_FLOAT, 32): "<f4", (_FLOAT, 64): "<f8"}
_MOST = 2**31 - 2**16  # sizes from here on, and 0, stand for "until the end"


@dataclass(frozen=True)
class _Layout:
    """How bytes are samples; ``size``: of all of them, None: until the end."""

    sample_rate: int
    tag: int = _PCM
    bits: int = 16
    channels: int = 1
    size: int | None = None


def read_pipe(pipe: BinaryIO, name: str, raw_rate: int) -> tuple[int, Iterator[np.ndarray]]:
    """The sample rate in Hz, and samples (N,) float32 in [-1, 1] of one channel (the average of several), as they come.

    Args:
        pipe: buffered; WAV (PCM of 8 to 32 bits, or float) as ffmpeg and arecord write it, else little-endian samples of 16 bits, one channel.
        name: for messages.
        raw_rate: sample rate of bare samples, Hz.

    Raises:
        InputError: another container, or a header that makes no sense; from the iterator, samples that are none.
    """
    head = pipe.read(4)
    if head in (b"fLaC", b"OggS") or head[:3] == b"ID3":
        raise InputError(f"{name}: is neither WAV nor bare samples; convert it on its way (`ffmpeg -i IN -f wav - | recognizer listen --input -`)")
    if head not in (b"RIFF", b"RF64"):
        return raw_rate, _blocks(pipe, name, _Layout(raw_rate), head)
    layout = _read_header(pipe, name)
    return layout.sample_rate, _blocks(pipe, name, layout, b"")


def _read_header(pipe: BinaryIO, name: str) -> _Layout:
    """What the header says, read up to the first sample."""
    broken = InputError(f"{name}: the WAV header is broken off or not one; write it anew")
    if pipe.read(8)[4:] != b"WAVE":
        raise broken
    layout, large = None, 0
    while len(head := pipe.read(8)) == 8:
        kind, size = head[:4], struct.unpack("<I", head[4:])[0]
        if kind == b"data":
            if layout is None:
                raise broken
            size = large or (size if size < _MOST else 0)
            return _Layout(*layout, size=size or None)
        content = pipe.read(min(size + size % 2, 1 << 20))
        if kind == b"ds64" and len(content) >= 16:  # of RF64, where sizes have 64 bits
            large = struct.unpack("<Q", content[8:16])[0]
        if kind == b"fmt " and len(content) >= 16:
            tag, channels, rate, _, _, bits = struct.unpack("<HHIIHH", content[:16])
            tag = struct.unpack("<H", content[24:26])[0] if tag == _EXTENSIBLE and len(content) >= 26 else tag
            layout = (rate, tag, bits, channels)
            if (tag, bits) not in _TYPES or not 1 <= channels <= 64:
                raise InputError(f"{name}: WAV of format {tag} with {bits} bits; expected PCM or float (`ffmpeg -i IN -c:a pcm_s16le -f wav -`)")
            if not MIN_RATE <= rate <= MAX_RATE:
                raise InputError(f"{name}: its header says a sample rate of {rate} Hz; expected {MIN_RATE // 1000} to {MAX_RATE // 1000} kHz")
    raise broken


def _blocks(pipe: BinaryIO, name: str, layout: _Layout, rest: bytes) -> Iterator[np.ndarray]:
    """Samples of whatever has come, ``rest`` in front; half a sample at the end is dropped."""
    frame, left = layout.bits // 8 * layout.channels, layout.size
    while left is None or left > 0:
        read = pipe.read1(READ if left is None else min(READ, left))  # type: ignore[attr-defined]  # of buffered streams
        if not read and len(rest) < frame:
            return
        left = None if left is None else left - len(read)
        known = rest + read
        whole = len(known) // frame * frame
        rest = known[whole:]
        if whole:
            samples = _to_float(known[:whole], layout).reshape(-1, layout.channels).mean(axis=1)
            check_samples(samples, name)
            yield samples.clip(-1.0, 1.0)


def _to_float(content: bytes, layout: _Layout) -> np.ndarray:
    """(N,) float32 of bytes."""
    values = np.frombuffer(content, _TYPES[layout.tag, layout.bits])
    if layout.tag == _FLOAT:
        return values.astype(np.float32)
    if layout.bits == 8:
        return (values.astype(np.float32) - 128) / 128
    if layout.bits == 24:  # as the upper three bytes of 32 bits
        values = np.pad(values.reshape(-1, 3), ((0, 0), (1, 0))).reshape(-1).view("<i4")
    return (values / float(1 << (max(layout.bits, 32 if layout.bits == 24 else 0) - 1))).astype(np.float32)
