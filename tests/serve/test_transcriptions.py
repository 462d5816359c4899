from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

Wav = Callable[..., bytes]


def _post(service: Any, kind: str, data: bytes, name: str = "a.wav", **fields: Any) -> Any:
    with service.client() as client:
        return client.post(f"/v1/{kind}/transcriptions", files={"file": (name, data)}, data={"model": "whisper-1", **fields})


def test_json_and_text(service: Any, wav: Wav) -> None:
    answer = _post(service, "audio", wav("abcd"), nonsense="x", temperature="0.2", prompt="hello", language="en")
    assert answer.status_code == 200
    assert answer.json() == {"text": "abcd", "usage": {"type": "duration", "seconds": 1}}
    plain = _post(service, "audio", wav("dcba"), response_format="text")
    assert (plain.text, plain.headers["content-type"]) == ("dcba\n", "text/plain; charset=utf-8")


def test_verbose_json_has_segments_and_words_where_asked_for(service: Any, wav: Wav) -> None:
    answer = _post(service, "audio", wav("abcd"), response_format="verbose_json").json()
    (segment,) = answer["segments"]
    assert (answer["task"], answer["language"], answer["text"], segment["text"], segment["id"]) == ("transcribe", "und", "abcd", "abcd", 0)
    assert 0 <= segment["start"] < segment["end"] <= answer["duration"] < 1 and segment["tokens"] == [97, 98, 99, 100]
    assert segment["avg_logprob"] <= 0 and "words" not in answer
    both = {"response_format": "verbose_json", "timestamp_granularities[]": ["word", "segment"], "language": "fr"}
    answer = _post(service, "audio", wav("abcd"), **both).json()
    (word,) = answer["words"]
    assert (word["word"], answer["language"], len(answer["segments"])) == ("abcd", "fr", 1) and word["start"] < word["end"]
    words = {"response_format": "verbose_json", "timestamp_granularities[]": "word"}
    assert "segments" not in _post(service, "audio", wav("abcd"), **words).json()


def test_subtitles(service: Any, wav: Wav) -> None:
    srt = _post(service, "audio", wav("abcd"), response_format="srt")
    assert srt.text.startswith("1\n00:00:00,") and srt.text.rstrip().endswith("abcd")
    vtt = _post(service, "audio", wav("abcd"), response_format="vtt")
    assert vtt.text.startswith("WEBVTT\n\n00:00:00.") and vtt.headers["content-type"] == "text/vtt; charset=utf-8"


def test_log_probs_of_each_symbol(service: Any, wav: Wav) -> None:
    answer = _post(service, "audio", wav("ab"), **{"include[]": "logprobs"}).json()
    assert [entry["token"] for entry in answer["logprobs"]] == ["a", "b"] and answer["logprobs"][0]["bytes"] == [97]
    assert all(math.log(0.3) < entry["logprob"] <= 0 for entry in answer["logprobs"])


def test_a_stream_ends_with_the_whole_text(service: Any, wav: Wav) -> None:
    answer = _post(service, "audio", wav("abcd"), stream="true", **{"include[]": "logprobs"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    events = [json.loads(line) for line in lines[:-1]]
    assert lines[-1] == "[DONE]" and [event["type"] for event in events] == ["transcript.text.delta", "transcript.text.done"]
    assert events[-1]["text"] == "".join(event["delta"] for event in events[:-1]) == "abcd"
    assert [entry["token"] for entry in events[-1]["logprobs"]] == list("abcd")


def test_a_stream_tells_of_a_failure_as_an_event(service: Any) -> None:
    import soundfile

    file = io.BytesIO()
    samples = np.full(8000, np.nan, np.float32)
    soundfile.write(file, samples, 8000, format="WAV", subtype="FLOAT")
    answer = _post(service, "audio", file.getvalue(), "nan.wav", stream="true")
    event = json.loads(answer.text.split("\n\n")[0].removeprefix("data: "))
    assert event["type"] == "error" and event["error"]["message"] == "nan.wav: the recording has NaN or infinite samples"


def test_pictures_of_lines(service: Any, png: Callable[..., bytes]) -> None:
    assert _post(service, "images", png("badc"), "line.png").json() == {"text": "badc"}
    answer = _post(service, "images", png("badc"), "line.png", response_format="verbose_json").json()
    assert answer["text"] == "badc" and [word["word"] for word in answer["words"]] == ["badc"]
    alto = _post(service, "images", png("badc"), "line.png", response_format="alto")
    assert alto.headers["content-type"] == "application/xml" and 'CONTENT="badc"' in alto.text


def test_models(service: Any, models: tuple[str, str]) -> None:
    with service.client() as client:
        listed = client.get("/v1/models").json()
        assert [model["object"] for model in listed["data"]] == ["model", "model"]
        assert client.get(f"/v1/models/{listed['data'][0]['id']}").json()["owned_by"] == "recognizer"
        missing = client.get("/v1/models/whisper-1")
    assert missing.status_code == 404 and missing.json()["error"]["type"] == "not_found_error"


def test_hotwords_are_preferred_and_refused_in_one_sentence_where_they_cannot_be_spelt(service: Any, wav: Wav) -> None:
    assert _post(service, "audio", wav("abcd"), hotwords="abcd, dd:2.5").json()["text"] == "abcd"
    assert _post(service, "audio", wav("abcd"), hotwords="aaaa:60").json()["text"] != "abcd"
    wrong = _post(service, "audio", wav("abcd"), hotwords="xyz")
    assert wrong.status_code == 422 and "xyz" in wrong.json()["error"]["message"]


@pytest.mark.parametrize(("fields", "param"), [
    ({"response_format": "docx"}, "response_format"), ({"timestamp_granularities[]": "letter"}, "timestamp_granularities[]"),
    ({"layout": "x"}, "layout"),
])  # fmt: skip
def test_values_that_are_not_allowed_are_named(service: Any, wav: Wav, fields: dict[str, str], param: str) -> None:
    answer = _post(service, "audio", wav("ab"), **fields)
    assert answer.status_code == 422 and answer.json()["error"]["param"] == param


def test_requests_of_another_form(service: Any) -> None:
    with service.client() as client:
        assert client.post("/v1/audio/transcriptions", json={"file": "x"}).status_code == 415
        missing = client.post("/v1/audio/transcriptions", files={"other": b"x"})
        assert (missing.status_code, missing.json()["error"]["message"]) == (400, "the field 'file' must be a file")
        damaged = client.post("/v1/audio/transcriptions", content=b"--x\r\nnothing", headers={"content-type": "multipart/form-data"})
        assert damaged.status_code == 400 and "multipart" in damaged.json()["error"]["message"]
        assert client.get("/v1/audio/transcriptions").status_code == 405
        assert client.get("/nowhere").json()["error"]["code"] == 404


def test_openai_client(service: Any, wav: Wav) -> None:
    openai = pytest.importorskip("openai", reason="the client that is imitated")
    client = openai.OpenAI(base_url=f"{service.url}/v1", api_key="any", max_retries=0)
    file = ("talk.flac", wav("dabc", format="FLAC"))
    assert client.audio.transcriptions.create(model="gpt-4o-transcribe", file=file).text == "dabc"
    assert client.audio.transcriptions.create(model="whisper-1", file=file, response_format="text") == "dabc\n"
    verbose = client.audio.transcriptions.create(
        model="whisper-1", file=file, response_format="verbose_json", timestamp_granularities=["word", "segment"])  # fmt: skip
    assert verbose.words[0].word == "dabc" and verbose.segments[0].text == "dabc" and verbose.duration > 0
    logged = client.audio.transcriptions.create(model="gpt-4o-transcribe", file=file, include=["logprobs"])
    assert [entry.token for entry in logged.logprobs] == list("dabc")
    events = list(client.audio.transcriptions.create(model="gpt-4o-transcribe", file=file, stream=True))
    assert [event.type for event in events] == ["transcript.text.delta", "transcript.text.done"] and events[-1].text == "dabc"
    with pytest.raises(openai.UnprocessableEntityError, match=r"page\.wav: "):
        client.audio.transcriptions.create(model="whisper-1", file=("page.wav", b"not sound at all"))
    assert len(client.models.list().data) == 2


@pytest.mark.parametrize(("container", "codec"), [("webm", "libopus"), ("mp4", "aac")])
def test_recordings_as_browsers_send_them(service: Any, speak: Callable[..., np.ndarray], container: str, codec: str) -> None:
    av = pytest.importorskip("av", reason="webm and m4a need PyAV")
    samples = np.repeat(speak("abcd", np.random.default_rng(0)), 6)  # 48 kHz
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=48_000, layout="mono")
        size = stream.frame_size or 960
        for place in range(0, len(samples), size):
            block = np.zeros(size, np.float32)
            block[: len(samples[place : place + size])] = samples[place : place + size]
            frame = av.AudioFrame.from_ndarray(block[None], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 48_000, place
            for packet in stream.encode(frame):
                output.mux(packet)
        for packet in stream.encode(None):
            output.mux(packet)
    answer = _post(service, "audio", file.getvalue(), f"blob.{container}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["text"] == "abcd"


def test_nothing_that_was_sent_is_kept(service: Any, wav: Wav, png: Callable[..., bytes]) -> None:
    _post(service, "audio", wav("ab"))
    _post(service, "audio", b"RIFF of nothing")
    _post(service, "images", png("ab"), "a.png", response_format="alto")
    _post(service, "audio", wav("ab"), stream="true")
    assert list(service.service.folder.iterdir()) == []
