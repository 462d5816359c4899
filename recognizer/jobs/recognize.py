"""Transcripts of jobs, one channel of a recording after the other where each is wanted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

from recognizer.audio.io import Channel, is_pipe, note, open_audio
from recognizer.errors import InputError
from recognizer.inference.inputs import Recording, Source
from recognizer.inference.recognizer import Recognizer
from recognizer.jobs.job import Job
from recognizer.jobs.pages import BY_LOOK, PageChoice, is_page, recognize_pages
from recognizer.types import Transcript

ChannelChoice = Channel | Literal["each"]
CHANNELS: tuple[ChannelChoice, ...] = ("auto", "mix", "left", "right", "each")


@dataclass(frozen=True, slots=True)
class Result:
    """A transcript, the job that it belongs to, and whether it is the last of that job."""

    job: Job
    transcript: Transcript
    last: bool = True


def recognize(
    recognizer: Recognizer, jobs: Iterable[Job], n_best: int = 1, times: bool = False, channel: ChannelChoice = "auto",
    begin: Callable[[Job], None] | None = None, pages: PageChoice = BY_LOOK, on_segment: Callable[[Transcript], None] | None = None,
) -> Iterator[Result]:  # fmt: skip
    """Recognize files, in order; one that cannot be used gives a transcript with ``error`` set.

    Args:
        recognizer: of the kind that the jobs are.
        jobs: taken as they are needed, some ahead of the results.
        n_best: how many hypotheses.
        times: whether to align tokens and words.
        channel: of recordings; "each": a transcript for each of the two channels.
        begin: called with each job when it is about to be read.
        pages: which pictures are pages, and how these are read; each page gives a transcript.
        on_segment: called with what is said in each stretch of a long recording as soon as it is known.
    """
    for paged, group in groupby(jobs, lambda job: job.modality == "line" and is_page(job.path, pages)):
        if paged:
            yield from (Result(*each) for each in recognize_pages(recognizer, group, times, pages, begin))
        else:
            yield from _recognize_singles(recognizer, group, n_best, times, channel, begin, on_segment)


def _recognize_singles(
    recognizer: Recognizer, jobs: Iterable[Job], n_best: int, times: bool, channel: ChannelChoice,
    begin: Callable[[Job], None] | None, on_segment: Callable[[Transcript], None] | None,
) -> Iterator[Result]:  # fmt: skip
    """Recordings, line images or pen traces."""
    waiting: deque[tuple[Job, Channel, bool]] = deque()

    def sources() -> Iterator[Source]:
        for job in jobs:
            if begin is not None:
                begin(job)
            channels = _channels(job, channel)
            for number, each in enumerate(channels, start=1):
                waiting.append((job, each, number == len(channels)))
                yield Recording(job.path, each) if job.modality == "audio" else job.path

    for transcript in recognizer.transcribe(sources(), n_best, times, on_segment=on_segment):
        job, each, last = waiting.popleft()
        error = None if transcript.error is None else transcript.error.replace(job.path, job.source)
        chosen = None if each == "auto" else each
        yield Result(job, replace(transcript, source=job.source, error=error, channel=transcript.channel or chosen), last)


def _channels(job: Job, channel: ChannelChoice) -> tuple[Channel, ...]:
    """The channels of a recording to read; a fault of the file is left to the reader."""
    if channel != "each":
        return (channel,)
    if job.modality != "audio" or is_pipe(job.path):
        return ("auto",)
    try:
        with open_audio(job.path) as parts:
            count = max(part.channels for part in parts)
    except (InputError, OSError, RuntimeError):
        return ("auto",)
    if count > 2:
        note(job.source, f"has {count} channels; the first two are read")
    return ("left", "right") if count > 1 else ("auto",)
