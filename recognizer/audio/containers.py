"""Where the sound lies within a file: recordings joined in one file, and headers that disagree with what follows them.

libsndfile reads the first recording of a file, as far as its header says, and no further. The parts found here are given to it one by one.
"""

from __future__ import annotations

import io
import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from recognizer.errors import InputError

Data = mmap.mmap | bytes

MP3_IN_WAVE = 0x55  # format tag
_PLACEHOLDER = 2**31 - 2**16  # sizes from here on were written by programs that could not go back to the header
_PART_BYTES = 1 << 30  # of sound in one part of a WAV file whose size does not fit its header
_LONGEST_OPUS_PACKET = 0.12  # seconds (RFC 6716)
_LONGEST_VORBIS_PACKET = 8192  # samples
_FLAC_HEADER = (b"fLaC\x00\x00\x00\x22", b"fLaC\x80\x00\x00\x22")
_FLAC_TAIL = 1 << 18  # bytes at the end in which the last frame's header is looked for
# MPEG layer III: bit rates, kbit/s, by index 1..14 of MPEG-1 (True) and MPEG-2 with 2.5; sample rates, Hz, by version bits
_BIT_RATES = {
    True: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_SAMPLE_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}


@dataclass(frozen=True)
class Part:
    """Bytes of a file that are one recording.

    Attributes:
        start, stop: its first byte and the one after its last.
        prefix: a header to be read in front of them.
        samples: of MP3, per channel in all its frames; 0: not counted.
        states_length: of MP3 and FLAC, whether it says how long it is.
        most_seconds, most_samples: more than the bytes can hold; None: not known.
    """

    start: int
    stop: int
    prefix: bytes = b""
    samples: int = 0
    states_length: bool = True
    most_seconds: float | None = None
    most_samples: int | None = None


@dataclass
class Layout:
    """The parts of a file in order, and what a user should know about them, one sentence each."""

    parts: list[Part]
    notes: list[str] = field(default_factory=list)


class RangeFile(io.RawIOBase):
    """A part of an open file as a file of its own, behind a prefix; closes the file when it is closed."""

    def __init__(self, path: str | Path, part: Part) -> None:
        self._file = open(path, "rb")  # noqa: SIM115  # lives as long as this object
        self._part, self._place = part, 0
        self._size = len(part.prefix) + part.stop - part.start

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move as files do."""
        self._place = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence])
        return self._place

    def tell(self) -> int:
        """The place from the beginning of the prefix."""
        return self._place

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer as far as the part reaches."""
        prefix = self._part.prefix
        if self._place < len(prefix):
            data = prefix[self._place : self._place + len(buffer)]
        else:
            self._file.seek(self._part.start + self._place - len(prefix))
            data = self._file.read(max(0, min(len(buffer), self._size - self._place)))
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)

    def close(self) -> None:
        """Close the file as well."""
        self._file.close()
        super().close()


def find_parts(path: str | Path, file_path: Path) -> Layout | None:
    """The parts of a file that messages call ``path``; None where libsndfile reads all of it by itself.

    Raises:
        InputError: the file is broken off.
    """
    with _map_file(file_path) as data:
        magic = bytes(data[:4])
        if magic == b"OggS":
            return _find_ogg(path, data)
        if magic == b"fLaC":
            return _find_flac(data)
        if magic in (b"RIFF", b"RIFX", b"RF64"):
            return _find_wave(path, data)
        if magic == b"FORM":
            return _find_aiff(data)
        if magic == b".snd":
            return _find_au(data)
        if data[:8] == b"NIST_1A\n":
            return _find_sphere(data)
        if magic[:3] == b"ID3" or parse_mp3_header(magic) is not None:
            return find_mp3(path, data, 0, len(data))
    return None


def find_mp3_parts(path: str | Path, file_path: Path) -> Layout | None:
    """As :func:`find_parts` of a file that is MP3 though it does not begin like one; None if no frame is found."""
    with _map_file(file_path) as data:
        return find_mp3(path, data, 0, len(data))


@contextmanager
def _map_file(path: Path) -> Iterator[mmap.mmap]:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data


def count_mp3_samples(path: Path) -> int:
    """Samples per channel in all Layer III frames of a file; what is not a frame (tags, garbage) is stepped over.

    Ours, as libsndfile estimates the length of a file without a length tag from its size and reads no further.
    """
    with _map_file(path) as data:
        return sum(samples for _, _, samples in _mp3_frames(data, 0, len(data)))


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
        if at + 12 <= start + size and data[at : at + 4] in (b"Xing", b"Info"):
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
    with _map_file(path) as data:
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


def _find_ogg(path: str | Path, data: Data) -> Layout:
    """The links of a chained Ogg file: each begins with first pages after others (RFC 3533)."""
    links: list[list[int]] = []  # start, stop, packets
    place, opening, whole = 0, False, False
    while place + 27 <= len(data):
        if data[place : place + 4] != b"OggS":
            found = data.find(b"OggS", place + 1)
            if found < 0:
                break
            place = found
            continue
        table = bytes(data[place + 27 : place + 27 + data[place + 26]])
        stop = place + 27 + data[place + 26] + sum(table)
        whole = stop <= len(data)
        begins = bool(data[place + 5] & 2)
        if (begins and not opening) or not links:
            links.append([place, place, 0])
        opening = begins
        links[-1][1] = min(stop, len(data))
        links[-1][2] += len(table) - table.count(b"\xff")
        place = stop
    if not whole or 0 < len(data) - place < 27:
        raise broken_off(path)
    parts = []
    for start, stop, packets in links:
        opus = b"OpusHead" in data[start : start + 128]
        most = {"most_seconds": _LONGEST_OPUS_PACKET * (packets + 1)} if opus else {"most_samples": _LONGEST_VORBIS_PACKET * (packets + 1)}
        parts.append(Part(start, stop, **most))
    if len(parts) == 1:
        return Layout([replace(parts[0], start=0, stop=len(data))])
    return Layout(parts, [f"{len(parts)} recordings follow each other in this file; all are read"])


def _find_flac(data: Data) -> Layout:
    """FLAC files behind each other, each with the most samples that its bytes can hold; a length that says too little is corrected."""
    starts = [0]
    for signature in _FLAC_HEADER:
        place = data.find(signature, 4)
        while place >= 0:
            starts.append(place)
            place = data.find(signature, place + 1)
    parts, notes = [], []
    starts.sort()
    for start, stop in zip(starts, [*starts[1:], len(data)], strict=True):
        head = bytes(data[start : start + 42])
        if len(head) < 42:
            continue
        block = int.from_bytes(head[10:12], "big")
        shortest = max(10, int.from_bytes(head[12:15], "big"))  # bytes of a frame; 0: not stated
        fields = int.from_bytes(head[18:26], "big")
        rate, stated = fields >> 44, fields & (1 << 36) - 1  # 0: the encoder did not know
        found = _count_flac_samples(data, start, stop, block, stated)
        if found <= stated or not rate or not stated:
            most = ((stop - start) // shortest + 1) * block if stated else None
            parts.append(Part(start, stop, states_length=stated > 0, most_samples=most))
        else:
            fields = fields >> 36 << 36 | found
            parts.append(Part(start + 42, stop, head[:18] + fields.to_bytes(8, "big") + bytes(16)))  # without the checksum of less
            notes.append(f"its header says {stated / rate:.1f} s; {found / rate:.1f} s are there and read")
    if len(parts) > 1:
        notes.insert(0, f"{len(parts)} recordings follow each other in this file; all are read")
    return Layout(parts, notes)


def _count_flac_samples(data: Data, start: int, stop: int, block: int, stated: int) -> int:
    """Samples up to the end of the last frame, by its header (RFC 9639, section 9.1); 0 where none is found.

    Where it agrees with the length stated, the checksum of the header is enough, else that of the frame is computed as well.
    """
    place = stop
    while (place := data.rfind(b"\xff", max(start + 42, stop - _FLAC_TAIL), place)) >= 0:
        head = bytes(data[place : place + 16])
        if len(head) < 8 or head[1] & 0xFE != 0xF8 or head[2] >> 4 == 0 or head[2] & 15 == 15 or head[3] & 1:
            continue
        extra = 0 if head[4] < 0x80 else next((n for n in range(1, 7) if not head[4] << n & 0x80), 7) - 1  # further bytes, as in UTF-8
        number = head[4] if extra == 0 else head[4] & (0x3F >> extra)
        for byte in head[5 : 5 + extra]:
            number = number << 6 | byte & 0x3F
        at, code = 5 + extra, head[2] >> 4
        sizes = {1: 192, 6: head[at] + 1, 7: int.from_bytes(head[at : at + 2], "big") + 1} if at + 2 <= len(head) else {}
        size = sizes.get(code, 576 << code - 2 if code <= 5 else 256 << max(0, code - 8))
        at += {6: 1, 7: 2}.get(code, 0) + {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
        if at < len(head) and head[at] == _crc8(head[:at]):
            found = (number if head[1] & 1 else number * block) + size
            if found == stated or _crc16(data[place : stop - 2]) == int.from_bytes(data[stop - 2 : stop], "big"):
                return found
    return 0


def _crc8(data: bytes) -> int:
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value << 1 & 0xFF ^ (0x07 if value & 0x80 else 0)
    return value


def _crc16(data: bytes) -> int:
    value = 0
    for byte in data:
        value = value << 8 & 0xFFFF ^ _CRC16_TABLE[value >> 8 ^ byte]
    return value


def _crc16_entry(value: int) -> int:
    value <<= 8
    for _ in range(8):
        value = value << 1 & 0xFFFF ^ (0x8005 if value & 0x8000 else 0)
    return value


_CRC16_TABLE = [_crc16_entry(value) for value in range(256)]


def _read_chunks(data: Data, place: int, order: str) -> Iterator[tuple[bytes, int, int]]:
    """Name, place and stated size of the chunks of a RIFF or AIFF file; the last may reach beyond the end."""
    while place + 8 <= len(data):
        (size,) = struct.unpack(f"{order}I", data[place + 4 : place + 8])
        yield bytes(data[place : place + 4]), place + 8, size
        place += 8 + size + size % 2


def _ends_in_chunks(data: Data, place: int, order: str) -> bool:
    """Whether the rest of a file is further chunks, or no more than padding."""
    place += place % 2
    while place + 8 <= len(data):
        name, (size,) = bytes(data[place : place + 4]), struct.unpack(f"{order}I", data[place + 4 : place + 8])
        if not (name.isascii() and all(32 <= byte < 127 for byte in name) and place + 8 + size <= len(data) + 1):
            return len(data) - place <= 65_536 and not any(data[place:])
        place += 8 + size + size % 2
    return True


def _find_wave(path: str | Path, data: Data) -> Layout | None:
    """A WAV file whose size of data is half, wrapped (files over 4 GiB) or a placeholder of 0, or WAV files behind each other."""
    layout, files = Layout([]), 0
    begin: int | None = 0
    while begin is not None:
        found, begin = _read_wave(path, data, begin)
        layout = Layout(layout.parts + found.parts, layout.notes + found.notes)
        files += 1
    if files > 1:
        layout.notes.insert(0, f"{files} recordings follow each other in this file; all are read")
    return layout if layout.notes or any(part.samples for part in layout.parts) else None


def _read_wave(path: str | Path, data: Data, begin: int) -> tuple[Layout, int | None]:
    """The sound of the WAV file that begins at a place, and where another one follows it."""
    order = ">" if data[begin : begin + 4] == b"RIFX" else "<"
    form, long_size = b"", None
    for name, place, size in _read_chunks(data, begin + 12, order):
        if name == b"fmt ":
            form = bytes(data[place : place + min(size, 1024)])
        elif name == b"ds64" and size >= 24:
            (long_size,) = struct.unpack("<Q", data[place + 8 : place + 16])
        elif name == b"data" and len(form) >= 16:
            break
    else:
        return Layout([Part(begin, len(data))]), None
    if long_size is not None and size == 0xFFFFFFFF:
        size = long_size
    tag, _, _, bytes_per_second, align, _ = struct.unpack(f"{order}HHIIHH", form[:16])
    bytes_per_second, align = max(1, bytes_per_second), max(1, align)
    stop, found = place + size, len(data) - place
    following = stop + size % 2 if size and data[stop + size % 2 : stop + size % 2 + 4] == data[:4] else None
    if tag == MP3_IN_WAVE:
        layout = find_mp3(path, data, place, stop if size and stop <= len(data) else len(data))
        return layout or Layout([Part(begin, len(data))]), following
    if following is not None:
        return Layout([Part(begin, following)]), following
    placeholder = size >= _PLACEHOLDER and long_size is None and found < 2**32  # libsndfile knows it
    if size >= found or placeholder or found - size < align + size % 2 or _ends_in_chunks(data, stop, order):
        return Layout([Part(begin, len(data))]), None
    parts = []
    step = _PART_BYTES // align * align
    for start in range(place, len(data), step):
        end = min(start + step, len(data))
        end -= (end - start) % align
        if end > start:
            sizes = [struct.pack(f"{order}I", number) for number in (20 + len(form) + len(form) % 2 + end - start, len(form), end - start)]
            header = (b"RIFX" if order == ">" else b"RIFF") + sizes[0] + b"WAVEfmt " + sizes[1] + form + bytes(len(form) % 2)
            parts.append(Part(start, end, header + b"data" + sizes[2]))
    stated = f"its header says {size / bytes_per_second:.1f} s; {found / bytes_per_second:.1f} s are there and read"
    return Layout(parts, [stated]), None


def _find_aiff(data: Data) -> Layout | None:
    common = b""
    for name, place, size in _read_chunks(data, 12, ">"):
        if name == b"COMM":
            common = bytes(data[place : place + size])
        elif name == b"SSND" and len(common) >= 18:
            break
    else:
        return None
    channels, _, bits = struct.unpack(">HIH", common[:8])
    align = channels * (bits + 7) // 8
    found = len(data) - place
    if data[8:12] != b"AIFF" or size > found or not align or found - size < align + 1 or _ends_in_chunks(data, place + size, ">"):
        return None
    frames = (found - 8) // align
    corrected = common[:2] + struct.pack(">I", frames) + common[6:]
    body = b"AIFFCOMM" + struct.pack(">I", len(common)) + corrected + bytes(len(common) % 2) + b"SSND" + struct.pack(">I", 8 + frames * align)
    header = b"FORM" + struct.pack(">I", min(len(body) + found, 2**32 - 1)) + body
    note = f"its header says {max(0, size - 8) // align} samples; {frames} are there and read"
    return Layout([Part(place, place + 8 + frames * align, header)], [note])


def _find_au(data: Data) -> Layout | None:
    if len(data) < 24:
        return None
    offset, size = struct.unpack(">II", data[4:12])
    found = len(data) - offset
    if size >= found or size >= _PLACEHOLDER or not any(data[offset + size : offset + size + 65_536]):
        return None
    header = bytes(data[:8]) + b"\xff\xff\xff\xff" + bytes(data[12:24]) + bytes(data[24:offset])
    return Layout([Part(offset, len(data), header)], [f"its header says {size} bytes of sound; {found} are there and read"])


def _find_sphere(data: Data) -> Layout | None:
    try:
        length = int(data[8:16])
        fields = dict(line.split(b" -")[0:2] for line in bytes(data[16:min(length, 65_536)]).split(b"\n") if b" -" in line)
        count, channels, width = (int(fields[name].split()[-1]) for name in (b"sample_count", b"channel_count", b"sample_n_bytes"))
    except (ValueError, KeyError, IndexError):
        return None
    if fields.get(b"sample_coding", b"s3 pcm").split()[-1] not in (b"pcm", b"ulaw", b"mu-law", b"alaw"):
        return None
    align = channels * width
    found = (len(data) - length) // align if align > 0 else 0
    if found <= count or not any(data[length + count * align : length + count * align + 65_536]):
        return None
    old = b"sample_count -i %d\n" % count
    head = bytes(data[16:length]).replace(old, b"sample_count -i %d\n" % found).rstrip(b"\0 ")
    header = b"NIST_1A\n   %d\n" % length
    head = head[: length - 16].ljust(length - 16)
    return Layout([Part(length, length + found * align, header + head)], [f"its header says {count} samples; {found} are there and read"])


def broken_off(path: str | Path) -> InputError:
    """The error of a recording that ends before its header says."""
    return InputError(f"{path}: the recording is broken off (shorter than its header says); copy it again")

