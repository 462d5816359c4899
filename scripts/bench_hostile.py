"""Uploads that are broken or lie, for `bench_serve.py --hostile`."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Iterator

import numpy as np
import soundfile
from PIL import Image

Upload = tuple[str, bytes]  # name and content

AUDIO, PICTURE = "/v1/audio/transcriptions", "/v1/images/transcriptions"
NAMES = ("../../etc/passwd", "..\\..\\boot.ini", "<script>alert(1)</script>.wav", "a\x00b.wav", "x" * 4000 + ".wav", "CON", "", "%00.png",
    "'; DROP TABLE items; --.png", "\u202egnp.exe", "/dev/zero", "file:///etc/passwd", "| sh", "$(reboot).wav")  # fmt: skip


def hostile_uploads(count: int, generator: random.Random) -> Iterator[tuple[str, str, Upload]]:
    """So many uploads: what is wrong with each, the route that it goes to, name and content."""
    kinds = (truncated, wrong_type, lying_wav, lying_flac, giant_png, giant_bmp, text_bomb, noise, hostile_name, flipped, empty, xml_bomb)
    for number in range(count):
        kind = kinds[number % len(kinds)]
        route, upload = kind(generator)
        yield kind.__name__, route, upload


def truncated(generator: random.Random) -> tuple[str, Upload]:
    """The beginning of a file, cut within what its header promises."""
    format = generator.choice(("WAV", "AIFF", "AU", "PNG"))
    if format == "PNG":
        data = _png(generator)
        return PICTURE, ("cut.png", data[: generator.randrange(1, len(data) // 2)])
    data = _sound(generator, format)
    return AUDIO, (f"cut.{format.lower()}", data[: generator.randrange(1, len(data) // 2)])


def wrong_type(generator: random.Random) -> tuple[str, Upload]:
    """A picture as a recording, a recording as a picture, or neither."""
    return generator.choice((
        (AUDIO, ("talk.wav", _png(generator))), (PICTURE, ("line.png", _sound(generator, "WAV"))), (AUDIO, ("talk.mp3", b"%PDF-1.4\n" + bytes(99))),
        (PICTURE, ("page.jpg", b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")),
        (PICTURE, ("page.png", b"GIF89a" + bytes(200))), (AUDIO, ("list.wav", b"#EXTM3U\nfile:///etc/passwd\n")),
        (AUDIO, ("concat.m4a", b"ffconcat version 1.0\nfile '/etc/passwd'\n")), (PICTURE, ("x.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n(x) run\n")),
    ))  # fmt: skip


def lying_wav(generator: random.Random) -> tuple[str, Upload]:
    """A WAV file whose header claims 100 hours."""
    claimed = 100 * 3600 * 5000  # bytes; what is near 2**31 is a placeholder of programs that wrote to a pipe
    head = b"RIFF" + struct.pack("<I", claimed) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 5000, 5000, 1, 8)
    return AUDIO, ("long.wav", head + b"data" + struct.pack("<I", claimed - 36) + generator.randbytes(64))


def lying_flac(generator: random.Random) -> tuple[str, Upload]:
    """A FLAC file whose header claims 100 hours."""
    data = bytearray(_sound(generator, "FLAC"))
    place = data.index(b"fLaC") + 8 + 10  # STREAMINFO: 20 bits rate, 3 channels, 5 bits, 36 samples
    word = int.from_bytes(data[place : place + 8], "big") & ~((1 << 36) - 1) | (100 * 3600 * 16_000)
    data[place : place + 8] = word.to_bytes(8, "big")
    return AUDIO, ("long.flac", bytes(data[: len(data) // 2]))


def giant_png(generator: random.Random) -> tuple[str, Upload]:
    """A PNG file that claims 50,000 x 50,000 pixels and has a few rows."""
    side = generator.choice((50_000, 65_000, 2**31 - 1))
    return PICTURE, ("giant.png", _png_of(side, side, zlib.compress(bytes(100_000))))


def giant_bmp(generator: random.Random) -> tuple[str, Upload]:
    """A BMP file that claims 50,000 x 50,000 pixels."""
    head = b"BM" + struct.pack("<IHHI", 100, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, 50_000, 50_000, 1, 24, 0, 0, 0, 0, 0, 0)
    return PICTURE, ("giant.bmp", head + generator.randbytes(64))


def text_bomb(generator: random.Random) -> tuple[str, Upload]:
    """A PNG file with compressed text that unpacks to 64 MiB, before a picture that is cut."""
    bomb = b"Comment\0\0" + zlib.compress(bytes(64 << 20), 9)
    kind = generator.choice((b"zTXt", b"iTXt", b"iCCP"))
    if kind == b"iTXt":
        bomb = b"Comment\0\1\0\0\0" + zlib.compress(bytes(64 << 20), 9)
    return PICTURE, ("bomb.png", _png_of(40, 40, b"", [(kind, bomb)] * 4))


def noise(generator: random.Random) -> tuple[str, Upload]:
    """Random bytes, behind the beginning of a real format."""
    start = generator.choice((b"", b"RIFF", b"OggS\0\2", b"fLaC", b"ID3\4", b"\xff\xfb\x90", b"\x1aE\xdf\xa3", b"\0\0\0 ftypM4A ",
        b"NIST_1A\n   1024\n", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"II*\0", b"MM\0*", b"BM",
        b"RIFF\0\0\0\0WEBP", b"%PDF-1.7\n", b"caff", b"FORM"))  # fmt: skip
    return generator.choice((AUDIO, PICTURE)), ("noise.bin", start + generator.randbytes(generator.randrange(1, 4000)))


def hostile_name(generator: random.Random) -> tuple[str, Upload]:
    """A name that leads elsewhere or holds script, around nothing of use."""
    return generator.choice((AUDIO, PICTURE)), (generator.choice(NAMES), generator.randbytes(100))


def flipped(generator: random.Random) -> tuple[str, Upload]:
    """A picture with damaged compressed rows, or sound that is not a number."""
    if generator.random() < 0.5:
        file = io.BytesIO()
        soundfile.write(file, np.full(8000, np.nan, np.float32), 16_000, format="WAV", subtype="FLOAT")
        return AUDIO, ("nan.wav", file.getvalue())
    return PICTURE, ("damaged.png", _png_of(60, 60, generator.randbytes(200)))


def empty(generator: random.Random) -> tuple[str, Upload]:
    """Nothing at all."""
    return generator.choice((AUDIO, PICTURE)), ("empty.wav", b"")


def xml_bomb(generator: random.Random) -> tuple[str, Upload]:
    """Entities that grow, or that name a file, as the layout of a page."""
    text = b"<!DOCTYPE a [<!ENTITY b 'bbbbbbbbbb'>" + b"".join(b"<!ENTITY %c '&%c;&%c;&%c;'>" % (99 + n, 98 + n, 98 + n, 98 + n) for n in range(20))
    return PICTURE, ("page.xml", text + b"<!ENTITY f SYSTEM 'file:///etc/passwd'>]><alto>&u;&f;</alto>")


def _sound(generator: random.Random, format: str) -> bytes:
    file = io.BytesIO()
    samples = np.random.default_rng(generator.randrange(2**32)).standard_normal(16_000).astype(np.float32) * 0.1
    soundfile.write(file, samples, 16_000, format=format)
    return file.getvalue()


def _png(generator: random.Random) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(generator.randrange(2**32)).integers(0, 255, (40, 200), np.uint8)).save(file, "PNG")
    return file.getvalue()


def _png_of(width: int, height: int, rows: bytes, before: list[tuple[bytes, bytes]] | None = None) -> bytes:
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)), *(before or []), (b"IDAT", rows), (b"IEND", b"")]
    parts = (struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


