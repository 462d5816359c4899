"""The Wyoming protocol, by which Home Assistant sends what somebody said and gets the text."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event, async_write_event
from wyoming.info import AsrModel, AsrProgram, Attribution, Describe, Info
from wyoming.ping import Ping, Pong

from recognizer import __version__
from recognizer.audio.io import MAX_RATE, MIN_RATE
from recognizer.errors import ConfigError
from recognizer.serve.answers import guess_language
from recognizer.serve.batcher import Job, Options
from recognizer.serve.failures import ApiError
from recognizer.serve.service import Service

MAX_HEADER, MAX_PAYLOAD = 1 << 16, 1 << 22  # bytes of an event's JSON, and of the sound in it
MAX_CHANNELS = 8
SOURCE = Attribution("recognizer", "https://pypi.org/project/recognizer/")
SCALES: dict[int, tuple[np.dtype[Any], float]] = {1: (np.dtype(np.uint8), 128.0), 2: (np.dtype("<i2"), 32768.0), 4: (np.dtype("<i4"), 2147483648.0)}


class WyomingServer:
    """Listens beside the other interface of a service.

    Args:
        service: whose recognizer reads.
        host, port: where.
    """

    def __init__(self, service: Service, host: str, port: int) -> None:
        self.service, self.host, self.port = service, host, port
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; raises ConfigError if the address cannot be had."""
        try:
            self._server = await asyncio.start_server(self._converse, self.host, self.port, limit=MAX_HEADER)
        except OSError as error:
            raise ConfigError(f"--wyoming {self.host}:{self.port}: cannot listen there ({error.strerror or error})") from None
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = Conversation(self.service, lambda event: async_write_event(event, writer))
        try:
            while True:
                async with asyncio.timeout(self.service.limits.upload_seconds):
                    event = await read_event(reader)
                if event is None or not await conversation.take(event):
                    return
        except (ApiError, TimeoutError) as error:
            await async_write_event(Error(str(error) or "nothing came in time", "invalid").event(), writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()


class Conversation:
    """What one client says, and the sound that it has sent so far."""

    def __init__(self, service: Service, send: Callable[[Event], Awaitable[None]]) -> None:
        self.service, self.send = service, send
        self._language: str | None = None
        self._hotwords: tuple[tuple[str, float], ...] = ()
        self._form: tuple[int, int, int] | None = None
        self._pieces: list[bytes] = []
        self._bytes = 0

    async def take(self, event: Event) -> bool:
        """Answer an event; False ends the conversation.

        Raises:
            ApiError: the sound cannot be used.
        """
        if Describe.is_type(event.type):
            await self.send(describe(self.service).event())
        elif Ping.is_type(event.type):
            await self.send(Pong(text=Ping.from_event(event).text).event())
        elif Transcribe.is_type(event.type):
            wish = Transcribe.from_event(event)
            self._language = wish.language
        elif AudioStart.is_type(event.type):
            self._form, self._pieces, self._bytes = check_form(event.data), [], 0
        elif AudioChunk.is_type(event.type):
            self._add(event)
        elif AudioStop.is_type(event.type):
            await self.send(await self._transcribe())
            return False  # as the reference servers do: a client opens a connection for each utterance
        return True

    def _add(self, event: Event) -> None:
        form = check_form(event.data)
        if self._form is None:
            self._form = form
        if form != self._form:
            raise ApiError(422, "the form of the sound changed within an utterance")
        payload = event.payload or b""
        self._bytes += len(payload)
        rate, width, channels = form
        limits = self.service.limits
        if self._bytes > limits.bytes or self._bytes > limits.seconds * rate * width * channels:
            raise ApiError(413, f"the utterance is too long: {limits.seconds:,.0f} s or {limits.bytes >> 20} MiB at most")
        self._pieces.append(payload)

    async def _transcribe(self) -> Event:
        if self._form is None or not self._bytes:
            raise ApiError(422, "the utterance has no sound")
        rate, width, channels = self._form
        samples = to_samples(b"".join(self._pieces), width, channels)
        self._pieces = []
        model = self.service.choose("audio")
        job = Job(samples, Options("audio", False, 1, self._hotwords), len(samples) / rate, rate)
        transcript = await self.service.recognize(job)
        return Transcript(transcript.text, language=guess_language(self._language, model.name)).event()


def check_form(data: Any) -> tuple[int, int, int]:
    """Rate in Hz, bytes of a sample, and channels of the sound that an event describes; raises ApiError where they cannot be."""
    values = [data.get(key) for key in ("rate", "width", "channels")] if isinstance(data, dict) else []
    rate, width, channels = (value if isinstance(value, int) and not isinstance(value, bool) else 0 for value in values or (0, 0, 0))
    if not (rate and width and channels):
        raise ApiError(422, "an audio event needs whole numbers for rate, width and channels")
    if not (MIN_RATE <= rate <= MAX_RATE and width in SCALES and 1 <= channels <= MAX_CHANNELS):
        raise ApiError(422, f"sound of {rate} Hz, {width} bytes and {channels} channels cannot be used")
    return rate, width, channels


def to_samples(data: bytes, width: int, channels: int) -> np.ndarray:
    """Samples (N,) float32 in [-1, 1] of PCM bytes, channels averaged."""
    kind, scale = SCALES[width]
    size = width * channels
    array = np.frombuffer(data[: len(data) // size * size], kind).astype(np.float32)
    return ((array - 128.0 if width == 1 else array) / scale).reshape(-1, channels).mean(axis=1)


async def read_event(reader: asyncio.StreamReader) -> Event | None:
    """The next event of a client, within bounds; None at the end.

    Raises:
        ApiError: it is none, or larger than allowed.
    """
    try:
        line = await reader.readline()
        if not line:
            return None
        header = json.loads(line)
        sizes = [header.get(key) or 0 for key in ("data_length", "payload_length")]
        if not isinstance(header["type"], str) or not all(isinstance(size, int) and size >= 0 for size in sizes):
            raise ValueError
        if sizes[0] > MAX_HEADER or sizes[1] > MAX_PAYLOAD:
            raise ApiError(413, "an event is too large")
        data = header.get("data") or {}
        if sizes[0]:
            data = {**data, **json.loads(await reader.readexactly(sizes[0]))}
        payload = await reader.readexactly(sizes[1]) if sizes[1] else None
        return Event(header["type"], data, payload)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ApiError(400, "not an event of the Wyoming protocol") from None


def describe(service: Service) -> Info:
    """What the service offers."""
    models = [model for model in service.models.all() if model.recognizer.config.modality == "audio"]
    about = [AsrModel(model.name, SOURCE, True, model.name, __version__, [guess_language(None, model.name)]) for model in models]
    program = AsrProgram("recognizer", SOURCE, True, "speech recognition with CTC", __version__, about)
    return Info(asr=[program])


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of ``[HOST:]PORT``; the host is this machine's own where none is said.

    Raises:
        ConfigError: no port.
    """
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65_535:
        raise ConfigError(f"--wyoming {text}: expected PORT or HOST:PORT")
    return host.strip("[]") or "127.0.0.1", int(port)
