"""How long an MP3 file really is, counted frame by frame (ISO/IEC 11172-3, section 2.4.2.3; 13818-3 for the lower rates)."""

from __future__ import annotations

from pathlib import Path

# Layer III bit rates, kbit/s, by index 1..14: MPEG-1, and MPEG-2 with 2.5
_BIT_RATES = {
    True: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_SAMPLE_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}  # by version bits, Hz


def count_samples(path: Path) -> int:
    """Samples per channel in all Layer III frames of a file; what is not a frame (tags, rubbish) is stepped over."""
    data = path.read_bytes()
    place, samples = _skip_id3(data), 0
    while 0 <= place <= len(data) - 4:
        frame = _parse(data[place : place + 4])
        if frame is None:
            place = data.find(b"\xff", place + 1)
        else:
            samples += frame[1]
            place += frame[0]
    return samples


def _skip_id3(data: bytes) -> int:
    if data[:3] != b"ID3" or len(data) < 10:
        return 0
    size = 0
    for byte in data[6:10]:  # seven bits a byte
        size = size << 7 | byte & 0x7F
    return 10 + size


def _parse(header: bytes) -> tuple[int, int] | None:
    """Bytes and samples of the frame that begins with four bytes; None if none begins there."""
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    bit_rate, rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if header[0] != 0xFF or header[1] & 0xE0 != 0xE0 or version == 1 or layer != 1 or bit_rate in (0, 15) or rate == 3:
        return None
    first = version == 3
    samples = 1152 if first else 576
    size = samples // 8 * _BIT_RATES[first][bit_rate - 1] * 1000 // _SAMPLE_RATES[version][rate] + padding
    return size, samples
