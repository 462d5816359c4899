"""Transcripts in the forms that OpenAI's clients ask for."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Sequence
from typing import Any

from recognizer.errors import InputError
from recognizer.formats.base import find_writers
from recognizer.serve.failures import ApiError
from recognizer.types import Token, Transcript, Word

AUDIO_FORMATS = ("json", "text", "srt", "verbose_json", "vtt")
PICTURE_FORMATS = ("json", "text", "verbose_json", "alto", "page", "hocr", "tsv")
MEDIA_TYPES = {"text": "text/plain", "srt": "application/x-subrip", "vtt": "text/vtt", "tsv": "text/tab-separated-values",
               "alto": "application/xml", "page": "application/xml", "hocr": "text/html", "pdf": "application/pdf"}  # fmt: skip
SEGMENT_PAUSE, SEGMENT_SECONDS = 0.6, 30.0  # a silence this long ends a segment; no segment lasts longer
UNKNOWN_LANGUAGE = "und"  # ISO 639: undetermined


def needs_times(response_format: str, granularities: Sequence[str], log_probs: bool) -> bool:
    """Whether a request asks for times or confidences."""
    return log_probs or response_format not in ("json", "text") or bool(granularities)


def guess_language(asked: str | None, model: str) -> str:
    """The language of a transcript: what the client said, or the ending of the model's name (``speech-en``)."""
    if asked:
        return asked[:20]
    parts = [part for part in model.split("-") if len(part) == 2 and part.isalpha()]
    return parts[-1] if parts else UNKNOWN_LANGUAGE


def render(transcript: Transcript, response_format: str) -> str:
    """A transcript as a file of one of the formats that are no JSON.

    Raises:
        ApiError: the format cannot describe it (422).
    """
    if response_format == "text":
        return transcript.text + "\n"
    writer = find_writers().get(response_format)
    if writer is None:
        raise ApiError(422, f"response_format {response_format}: is not available here", "response_format")
    try:
        return writer.render(transcript) + "\n"
    except InputError as error:
        raise ApiError(422, str(error).replace(transcript.source, "the file"), "response_format") from None


def to_json(transcript: Transcript, log_probs: bool) -> dict[str, Any]:
    """The short form: text, and what it was counted as."""
    record: dict[str, Any] = {"text": transcript.text}
    if log_probs:
        record["logprobs"] = [token_log_prob(token) for token in transcript.tokens]
    if transcript.seconds is not None:
        record["usage"] = {"type": "duration", "seconds": math.ceil(transcript.seconds)}
    return record


def to_verbose_json(transcript: Transcript, language: str, granularities: Sequence[str], log_probs: bool) -> dict[str, Any]:
    """The long form of a recording: segments, and words where these are asked for."""
    record: dict[str, Any] = {"task": "transcribe", "language": language, "duration": round(transcript.seconds or 0.0, 3)}
    record |= to_json(transcript, log_probs)
    if not granularities or "segment" in granularities:
        record["segments"] = [describe_segment(number, words, transcript) for number, words in enumerate(cut_segments(transcript.words))]
    if "word" in granularities:
        record["words"] = [describe_word(word) for word in transcript.words]
    return record


def to_picture_json(transcript: Transcript) -> dict[str, Any]:
    """The long form of a picture: its words, and of a page its lines, with their places in pixels."""
    record: dict[str, Any] = {"task": "transcribe", "text": transcript.text, "width": transcript.width}
    if transcript.height is not None:
        record["height"] = transcript.height
    if transcript.lines:
        record["lines"] = [
            {"id": line.id, "text": line.text, "outline": line.outline, "baseline": line.baseline, "region": line.region,
             "confidence": line.confidence, "error": line.error, "words": [describe_word(word) for word in line.words]}
            for line in transcript.lines
        ]  # fmt: skip
    record["words"] = [describe_word(word) for word in transcript.words]
    return record


def describe_word(word: Word) -> dict[str, Any]:
    """A word with seconds or pixels, and its confidence."""
    record: dict[str, Any] = {"word": word.text, "start": round(word.start, 3), "end": round(word.end, 3)}
    if word.confidence is not None:
        record["confidence"] = round(word.confidence, 4)
    if word.box is not None:
        record["box"] = [round(value, 1) for value in word.box]
    return record


def token_log_prob(token: Token) -> dict[str, Any]:
    """A symbol with the logarithm of its confidence."""
    return {"token": token.symbol, "bytes": list(token.symbol.encode()), "logprob": round(_log(token.confidence), 5)}


def cut_segments(words: Sequence[Word]) -> list[list[Word]]:
    """Words between pauses."""
    segments: list[list[Word]] = []
    for word in words:
        if segments and word.start - segments[-1][-1].end < SEGMENT_PAUSE and word.end - segments[-1][0].start <= SEGMENT_SECONDS:
            segments[-1].append(word)
        else:
            segments.append([word])
    return segments


def describe_segment(number: int, words: Sequence[Word], transcript: Transcript) -> dict[str, Any]:
    """A segment with the fields that OpenAI's clients expect; the tokens' numbers are Unicode's, as this model writes characters."""
    text, start, end = " ".join(word.text for word in words), words[0].start, words[-1].end
    data = text.encode()
    tokens = [token for token in transcript.tokens if start - 1e-6 <= token.start and token.end <= end + 1e-6]
    return {
        "id": number, "seek": round(100 * start), "start": round(start, 3), "end": round(end, 3), "text": text,
        "tokens": [ord(symbol) for token in tokens for symbol in token.symbol], "temperature": 0.0,
        "avg_logprob": round(sum(_log(word.confidence) for word in words) / len(words), 5),
        "compression_ratio": round(len(data) / len(zlib.compress(data)), 3), "no_speech_prob": 0.0,
    }  # fmt: skip


def describe_delta(delta: str, part: Transcript, log_probs: bool) -> dict[str, Any]:
    """The event that tells of more text."""
    record: dict[str, Any] = {"type": "transcript.text.delta", "delta": delta}
    return record | {"logprobs": [token_log_prob(token) for token in part.tokens]} if log_probs else record


def describe_done(transcript: Transcript, log_probs: bool) -> dict[str, Any]:
    """The event that ends a stream."""
    return {"type": "transcript.text.done"} | {key: value for key, value in to_json(transcript, log_probs).items() if key != "usage"}


def event(record: dict[str, Any], name: str | None = None) -> str:
    """A server-sent event."""
    data = json.dumps(record, ensure_ascii=False)
    return f"event: {name}\ndata: {data}\n\n" if name else f"data: {data}\n\n"


def _log(confidence: float | None) -> float:
    return math.log(min(1.0, max(confidence if confidence is not None else 1.0, 1e-9)))
