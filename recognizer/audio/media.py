"""Recordings that libsndfile cannot read (MP4, WebM, AAC, AMR and others), by PyAV where it is installed, or by the program ffmpeg."""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from recognizer.errors import InputError, RecognizerWarning

_LEAST_BYTES = 64  # per second of sound; a header that promises more than that is not believed
_BLOCK = 65_536  # frames read at a time
_SHORTER = 0.05  # seconds by which headers are often wrong: a packet of the codec
# of WAV files, by format tag
_READABLE_TAGS = {0x01, 0x02, 0x03, 0x06, 0x07, 0x11, 0x31, 0x40, 0x55, 0xFFFE}  # what libsndfile reads; damaged if it did not
_WAVE_CODECS = {0x45: "G.726", 0x64: "G.726", 0x65: "G.722", 0x83: "G.729", 0xFF: "AAC", 0x160: "WMA", 0x161: "WMA",
    0x162: "WMA", 0x1600: "AAC", 0x2000: "AC-3", 0x2001: "DTS"}


@dataclass(frozen=True)
class Kind:
    """A container or codec: what users call it, and the demuxer of FFmpeg that reads it."""

    name: str
    demuxer: str


def identify(head: bytes) -> Kind | None:
    """The kind of a file that libsndfile never reads, by its first bytes; None if it is none of those known here."""
    if head[4:8] == b"ftyp" or head[4:8] in (b"moov", b"mdat") or (head[4:8] in (b"wide", b"free", b"skip") and b"mdat" in head):
        return Kind("MP4 (AAC, ALAC or AMR)", "mov")
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return Kind("WebM or Matroska", "matroska")
    if head.startswith(b"#!AMR"):
        return Kind("AMR", "amr")
    if len(head) > 6 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0 and head[2] >> 2 & 15 < 13:
        return Kind("AAC (ADTS)", "aac")
    for start, name, demuxer in ((b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "Windows Media (ASF)", "asf"), (b"FLV\x01", "Flash video", "flv"),
                                 (b"wvpk", "WavPack", "wv"), (b"MAC ", "Monkey's Audio", "ape"), (b"TTA1", "True Audio", "tta"),
                                 (b"MPCK", "Musepack", "mpc8"), (b"\x0b\x77", "AC-3", "ac3"), (b".RMF", "RealMedia", "rm")):
        if head.startswith(start):
            return Kind(name, demuxer)
    return None


def identify_codec(head: bytes) -> Kind | None:
    """The kind of a file in a container that libsndfile knows, but whose codec it does not; None if neither is known here."""
    if head.startswith(b"OggS"):
        if b"OpusHead" in head[:512] or b"\x01vorbis" in head[:512]:
            return None  # damaged
        name = "FLAC" if b"\x7fFLAC" in head[:512] else "Speex" if b"Speex   " in head[:512] else "an unknown codec"
        return Kind(f"{name} in Ogg", "ogg")
    if head.startswith(b"caff"):
        codec = head[28:32].decode("ascii", "replace").strip()
        return None if codec == "lpcm" else Kind(f"{'ALAC' if codec == 'alac' else codec} in CAF", "caf")
    if head[:4] in (b"RIFF", b"RF64") and (place := head.find(b"fmt ")) >= 0 and len(head) >= place + 10:
        (tag,) = struct.unpack("<H", head[place + 8 : place + 10])
        return None if tag in _READABLE_TAGS else Kind(f"{_WAVE_CODECS.get(tag, f'codec 0x{tag:x}')} in WAV", "wav")
    if head.startswith(b"FORM") and head[8:12] == b"AIFC":
        return Kind("a compressed codec in AIFF-C", "aiff")
    return None


def media_available() -> bool:
    """Whether PyAV is installed."""
    return find_spec("av") is not None


def find_ffmpeg() -> str | None:
    """Where the program ffmpeg is, the second choice."""
    return shutil.which("ffmpeg")


def refuse_media(path: str | Path, kind: Kind) -> InputError:
    """The error of a file that only PyAV or ffmpeg could read."""
    name = Path(path)
    convert = f"`ffmpeg -i {name.name} {name.stem}.wav`"
    return InputError(f"{path}: {kind.name}, which needs PyAV or ffmpeg; `pip install 'recognizer[media]'`, or convert it: {convert}")


class MediaPart:
    """The sound of a file that FFmpeg's libraries or its program read, as one part; see :class:`~recognizer.audio.io.SoundPart`.

    Only the named demuxer is tried: others follow references to files and addresses elsewhere.

    Attributes:
        samplerate, channels: of the decoded sound.
        frames: by the header, or counted where it says nothing that can be believed.
    """

    def __init__(self, path: str | Path, file: Path, kind: Kind) -> None:
        """Decodes the first frame of a file that messages call ``path``; raises InputError if there is none."""
        if not media_available() and find_ffmpeg() is None:
            raise refuse_media(path, kind)
        self._stated: float | None = None
        self.path, self.file, self.kind = path, file, kind
        self.notes: list[str] = []
        first = next(self._decode(), None)
        if first is None:
            raise InputError(f"{path}: the recording has no samples")
        self.samplerate, self.channels = self._rate, first.shape[1]
        size = file.stat().st_size
        seconds = self._stated
        if seconds is None or seconds <= 0 or seconds * _LEAST_BYTES > size + 4096:
            self.stated, self.frames = False, sum(len(block) for block in self._decode())
        else:
            self.stated, self.frames = True, round(seconds * self.samplerate)

    def close(self) -> None:
        """Nothing stays open."""

    def blocks(self, first: int = 0, last: int | None = None) -> Iterator[np.ndarray]:
        """Blocks (N, C) float32 from one sample to another; raises InputError if the file is damaged or broken off."""
        done = 0
        for block in self._decode():
            begin, done = done, done + len(block)
            stop = len(block) if last is None else min(len(block), last - begin)
            if stop > max(0, first - begin):
                yield block[max(0, first - begin) : stop]
            if last is not None and done >= last:
                return
        if self.stated and done < 0.98 * self.frames - 0.3 * self.samplerate:
            raise InputError(f"{self.path}: the recording is broken off after {done / self.samplerate:.1f} s; copy it again")
        if self.stated and done < self.frames - _SHORTER * self.samplerate:
            said = f"its header says {self.frames / self.samplerate:.2f} s; {done / self.samplerate:.2f} s are there and read"
            warnings.warn(f"{self.path}: {said}", RecognizerWarning, stacklevel=2)

    def _decode(self) -> Iterator[np.ndarray]:
        return self._decode_by_av() if media_available() else self._decode_by_ffmpeg()

    def _decode_by_ffmpeg(self) -> Iterator[np.ndarray]:
        """Through a pipe, as Sun audio, whose header is the shortest; only this file is opened."""
        program = find_ffmpeg()
        assert program is not None
        given = ["-nostdin", "-v", "error", "-protocol_whitelist", "file", "-f", self.kind.demuxer, "-i", f"file:{self.file}"]
        command = [program, *given, "-map", "0:a:0", "-f", "au", "-c:a", "pcm_f32be", "-"]
        with tempfile.TemporaryFile() as said, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said) as process:
            assert process.stdout is not None
            try:
                header = process.stdout.read(24)
                if len(header) == 24:
                    _, offset, _, _, self._rate, channels = struct.unpack(">4s5I", header)
                    process.stdout.read(offset - 24)
                    while block := process.stdout.read(4 * channels * _BLOCK):
                        whole = len(block) // (4 * channels) * 4 * channels  # no more than the last may be cut
                        yield np.frombuffer(block[:whole], ">f4").astype(np.float32).reshape(-1, channels)
                code = process.wait()
            finally:
                process.kill()
            said.seek(0)
            lines = said.read(4096).decode(errors="replace").strip().splitlines()
        if any("matches no streams" in line for line in lines):
            raise InputError(f"{self.path}: holds no sound")
        if code:
            raise InputError(f"{self.path}: {self.kind.name} that cannot be read, or broken off ({lines[-1] if lines else f'exit code {code}'})")

    def _decode_by_av(self) -> Iterator[np.ndarray]:
        av = _import_av()
        try:
            with self.file.open("rb") as file, av.open(file, format=self.kind.demuxer, metadata_errors="replace") as container:
                if not container.streams.audio:
                    raise InputError(f"{self.path}: holds no sound")
                stream = container.streams.audio[0]
                if len(container.streams.audio) > 1:
                    self.notes = [f"holds {len(container.streams.audio)} sound tracks; the first is read"]
                self._rate, channels = 0, 0
                for frame in container.decode(stream):
                    samples = _to_float(frame)
                    if self._rate and (frame.sample_rate, samples.shape[1]) != (self._rate, channels):
                        raise InputError(f"{self.path}: its sample rate or number of channels changes; convert it to WAV")
                    self._rate, channels = frame.sample_rate, samples.shape[1]
                    duration = stream.duration * stream.time_base if stream.duration else None
                    whole = container.duration / 1_000_000 if container.duration and len(container.streams) == 1 else None
                    self._stated = float(duration) if duration else whole
                    yield samples
        except av.error.FFmpegError as error:
            reason = " ".join(str(error.strerror or error).split())
            raise InputError(f"{self.path}: {self.kind.name} that cannot be read, or broken off ({reason})") from None


def _import_av() -> ModuleType:
    import av
    import av.error

    return av


def _to_float(frame: Any) -> np.ndarray:
    """Samples (N, C) float32 of a frame of FFmpeg, planar or interleaved."""
    array = frame.to_ndarray()
    array = array.T if frame.format.is_planar else array.reshape(-1, len(frame.layout.channels))
    if array.dtype == np.uint8:
        return (array.astype(np.float32) - 128) / 128
    scale = 1.0 if array.dtype.kind == "f" else float(2 ** (8 * array.dtype.itemsize - 1))
    return np.ascontiguousarray(array / scale, dtype=np.float32)
