"""MPEG layer III: where its frames are, how much sound they hold, and a length tag that says so."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from recognizer.audio.parts import Data, Layout, Part, broken_off, map_file

# MPEG layer III: bit rates, kbit/s, by index 1..14 of MPEG-1 (True) and MPEG-2 with 2.5; sample rates, Hz, by version bits
_BIT_RATES = {
    True: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_SAMPLE_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}


def find_mp3_parts(path: str | Path, file_path: Path) -> Layout | None:
    """The parts of a file that is MP3 though it does not begin like one; None if no frame is found."""
    with map_file(file_path) as data:
        return find_mp3(path, data, 0, len(data))


def parse_mp3_header(header: bytes) -> tuple[int, int] | None:
    """Bytes and samples of the frame that begins with four bytes; None if none begins there."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    bit_rate, rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer != 1 or bit_rate in (0, 15) or rate == 3:
        return None
    samples = 1152 if version == 3 else 576
    size = samples // 8 * _BIT_RATES[version == 3][bit_rate - 1] * 1000 // _SAMPLE_RATES[version][rate] + padding
    return size, samples


def _skip_id3(data: Data, place: int) -> int:
    """The place after the ID3v2 tags that begin at a place, each with its size in seven bits a byte."""
    while data[place : place + 3] == b"ID3" and place + 10 <= len(data):
        size = 0
        for byte in data[place + 6 : place + 10]:
            size = size << 7 | byte & 0x7F
        place += 10 + size + (10 if data[place + 5] & 0x10 else 0)  # some have a footer
    return place


def _mp3_frames(data: Data, place: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """Start, bytes and samples of each Layer III frame; the last may reach beyond the end.

    After what is not a frame, one is believed only if another of its kind, the end or a tag follows it.
    """
    joined, kind = False, b""
    place = _skip_id3(data, place)
    while place + 4 <= stop:
        header = bytes(data[place : place + 4])
        frame = parse_mp3_header(header)
        if frame is not None and not (joined and _same_mp3(header, kind)):
            after = place + frame[0]
            following = bytes(data[after : after + 4])
            if not (after >= stop or following[:3] in (b"ID3", b"TAG", b"APE") or (parse_mp3_header(following) and _same_mp3(following, header))):
                frame = None
        if frame is None:
            if data[place : place + 3] == b"ID3" and (after := _skip_id3(data, place)) <= stop:
                place = after
            else:
                candidates = [data.find(sync, place + 1, stop) for sync in ((b"\xff", b"ID3") if joined else (b"\xff",))]
                place = min((found for found in candidates if found >= 0), default=stop)
            joined = False
            continue
        yield place, *frame
        joined, kind = True, header
        place += frame[0]


def _same_mp3(one: bytes, other: bytes) -> bool:
    """Whether frames have the same version, sample rate and number of channels: those of one stream do."""
    return one[1] & 0x1E == other[1] & 0x1E and one[2] & 0x0C == other[2] & 0x0C and (one[3] >> 6 == 3) == (other[3] >> 6 == 3)


def _length_tag(data: Data, start: int, size: int) -> tuple[int, int | None] | None:
    """Of a frame that is a Xing or Info tag: the place of its count of frames, and the count (None: not stated)."""
    header = data[start : start + 4]
    mpeg1, mono = header[1] >> 3 & 3 == 3, header[3] >> 6 == 3
    place = start + 4 + ((17 if mono else 32) if mpeg1 else (9 if mono else 17))
    for at in (place, place + 2):  # a checksum may lie between
        if at + 12 <= min(start + size, len(data)) and data[at : at + 4] in (b"Xing", b"Info"):
            flags, count = struct.unpack(">II", data[at + 4 : at + 12])
            return at + 8, count if flags & 1 else None
    return None


@dataclass
class _Mp3Stream:
    start: int
    header: bytes
    tag: tuple[int, int | None] | None  # see _length_tag
    stop: int = 0
    tag_bytes: int = 0
    frames: int = 0  # without the tag
    samples: int = 0


def find_mp3(path: str | Path, data: Data, start: int, stop: int) -> Layout | None:
    """The streams of an MP3 file: each begins with a length tag, or where rate or channels change.

    A tag that says too little is corrected. Where the whole file is one right stream behind no large tag, libsndfile reads it by itself.

    Raises:
        InputError: there are fewer frames than a tag says.
    """
    streams: list[_Mp3Stream] = []
    for place, size, samples in _mp3_frames(data, start, stop):
        header = bytes(data[place : place + 4])
        tag = _length_tag(data, place, size)
        if not streams or tag is not None or not _same_mp3(header, streams[-1].header):
            streams.append(_Mp3Stream(place, header, tag, tag_bytes=size if tag else 0))
        stream = streams[-1]
        if tag is None:
            stream.frames += 1
            stream.samples += samples
        stream.stop = place + size
    streams = [stream for stream in streams if stream.frames]
    if not streams:
        return None
    notes, parts = [], []
    if streams[-1].stop > stop:
        if streams[-1].tag is not None:
            raise broken_off(path)
        notes.append("its last frame is incomplete: the recording is broken off there")
        last = streams[-1]
        last.stop, last.frames, last.samples = stop, last.frames - 1, last.samples - samples
    for stream in (stream for stream in streams if stream.frames):
        seconds = stream.samples / stream.frames / _mp3_rate(stream.header)  # of one frame
        part = Part(stream.start, stream.stop, samples=stream.samples, states_length=stream.tag is not None)
        if stream.tag is not None:
            place, stated = stream.tag
            if stated is not None and stream.frames < stated - 1:
                raise broken_off(path)
            if stated is None or stream.frames > stated + 1:
                said = "no length" if stated is None else f"{stated * seconds:.1f} s"
                notes.append(f"its header says {said}; {stream.frames * seconds:.1f} s are there and read")
                part = _correct_length(data, part)
        parts.append(part)
    if len(parts) > 1:
        notes.append(f"{len(parts)} recordings follow each other in this file; all are read")
    if len(parts) == 1 and not notes and parts[0].start - start <= 1024 and start == 0:
        return Layout([Part(0, stop, samples=parts[0].samples, states_length=parts[0].states_length)])
    return Layout(parts, notes)


def correct_mp3_length(path: Path, part: Part) -> Part:
    """The same part behind a length tag that says how many frames there are; a wrong one is left out."""
    with map_file(path) as data:
        first = next(place for place, _, _ in _mp3_frames(data, part.start, part.stop))
        return _correct_length(data, replace(part, start=first))


def _correct_length(data: Data, part: Part) -> Part:
    size, samples = parse_mp3_header(bytes(data[part.start : part.start + 4]))  # type: ignore[misc]  # it is a frame
    first = bytes(data[part.start : part.start + 4])
    start = part.start + size if _length_tag(data, part.start, size) else part.start
    # a frame of the same kind with the largest bit rate, so that the tag has room, and without checksum
    header = bytes((first[0], first[1] | 1, first[2] & 0x0C | 0xE0, first[3]))
    length = parse_mp3_header(header)[0]  # type: ignore[index]
    mpeg1, mono = header[1] >> 3 & 3 == 3, header[3] >> 6 == 3
    side = (17 if mono else 32) if mpeg1 else (9 if mono else 17)
    tag = header + bytes(side) + b"Xing" + struct.pack(">II", 1, part.samples // samples)
    return Part(start, part.stop, tag.ljust(length, b"\0"), part.samples, states_length=False)


def _mp3_rate(header: bytes) -> int:
    return _SAMPLE_RATES[header[1] >> 3 & 3][header[2] >> 2 & 3]
