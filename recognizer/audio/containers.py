"""Where the sound lies within a file: recordings joined in one file, and headers that disagree with what follows them.

libsndfile reads the first recording of a file, as far as its header says, and no further. The parts found here are given to it one by one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from recognizer.audio.mp3 import find_mp3, parse_mp3_header
from recognizer.audio.parts import Data, Layout, Part, broken_off, map_file

MP3_IN_WAVE = 0x55  # format tag
_PLACEHOLDER = 2**31 - 2**16  # sizes from here on were written by programs that could not go back to the header
_PART_BYTES = 1 << 30  # of sound in one part of a WAV file whose size does not fit its header
_LONGEST_OPUS_PACKET = 0.12  # seconds (RFC 6716)
_LONGEST_VORBIS_PACKET = 8192  # samples
_FLAC_HEADER = (b"fLaC\x00\x00\x00\x22", b"fLaC\x80\x00\x00\x22")
_FLAC_TAIL = 1 << 18  # bytes at the end in which the last frame's header is looked for


def find_parts(path: str | Path, file_path: Path) -> Layout | None:
    """The parts of a file that messages call ``path``; None where libsndfile reads all of it by itself.

    Raises:
        InputError: the file is broken off.
    """
    with map_file(file_path) as data:
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
        size = 192 if code == 1 else 144 << code if code <= 5 else 1 << code
        if code in (6, 7):
            size = int.from_bytes(head[at : at + code - 5], "big") + 1
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
