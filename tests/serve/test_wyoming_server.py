from __future__ import annotations

import asyncio
import io
import json
import wave
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from recognizer.errors import ConfigError
from recognizer.serve.failures import ApiError
from recognizer.serve.settings import Limits

pytest.importorskip("fastapi", reason="the service needs the extra 'serve'")
pytest.importorskip("wyoming", reason="the protocol needs the extra 'wyoming'")

from wyoming.asr import Transcribe
from wyoming.audio import AudioStart, AudioStop, wav_to_chunks
from wyoming.client import AsyncTcpClient
from wyoming.event import Event
from wyoming.info import Describe, Info

from recognizer.serve.wyoming_server import check_form, parse_address, to_samples


@pytest.fixture(scope="module")
def port(start: Callable[..., Any]) -> Iterator[int]:
    with start(Limits(seconds=2.0), wyoming="0") as found:
        yield found.app.wyoming.port


def _ask(port: int, *events: Event) -> Event | None:
    async def talk() -> Event | None:
        async with AsyncTcpClient("127.0.0.1", port) as client:
            for event in events:
                await client.write_event(event)
            return await client.read_event()

    return asyncio.run(asyncio.wait_for(talk(), 30))


def _utterance(data: bytes) -> list[Event]:
    with wave.open(io.BytesIO(data)) as file:
        form = {"rate": file.getframerate(), "width": file.getsampwidth(), "channels": file.getnchannels()}
        chunks = [chunk.event() for chunk in wav_to_chunks(file, 512)]
    return [AudioStart(**form).event(), *chunks, AudioStop().event()]


def test_an_utterance_becomes_text(port: int, wav: Callable[..., bytes]) -> None:
    answer = _ask(port, Transcribe(language="en").event(), *_utterance(wav("abcd")))
    assert answer is not None and (answer.type, answer.data["text"], answer.data["language"]) == ("transcript", "abcd", "en")


def test_the_service_describes_itself(port: int) -> None:
    answer = _ask(port, Describe().event())
    assert answer is not None
    (program,) = Info.from_event(answer).asr
    assert program.name == "recognizer" and [model.name for model in program.models] == ["bundle"]


@pytest.mark.parametrize(("events", "reason"), [
    ([AudioStop().event()], "has no sound"),
    ([AudioStart(16_000, 3, 1).event()], "cannot be used"),
    ([Event("audio-chunk", {"rate": "x"})], "needs whole numbers"),
    ([AudioStart(8000, 2, 1).event(), Event("audio-chunk", {"rate": 8000, "width": 2, "channels": 1}, bytes(40_000))], "too long"),
])  # fmt: skip
def test_what_cannot_be_used_is_said(port: int, events: list[Event], reason: str) -> None:
    answer = _ask(port, *events)
    assert answer is not None and answer.type == "error" and reason in answer.data["text"]


def test_nonsense_and_giants_end_the_conversation(port: int) -> None:
    async def send(data: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(data)
        answer = await reader.read()
        writer.close()
        return answer

    giant = json.dumps({"type": "audio-chunk", "payload_length": 10**12}).encode() + b"\n"
    for data in (b"GET / HTTP/1.1\n\n", b"[1]\n", b"[" * 50_000 + b"\n", giant):
        assert b'"type": "error"' in asyncio.run(asyncio.wait_for(send(data), 30))


def test_samples_and_addresses() -> None:
    assert to_samples(np.array([0, 16384, -32768, 0], "<i2").tobytes() + b"x", 2, 2).tolist() == [0.25, -0.5]
    assert to_samples(bytes([0, 128, 192]), 1, 1).tolist() == [-1.0, 0.0, 0.5]
    assert parse_address("10300") == ("127.0.0.1", 10300) and parse_address("[::1]:5") == ("::1", 5)
    with pytest.raises(ConfigError, match="expected PORT"):
        parse_address("host")
    with pytest.raises(ApiError):
        check_form(None)
