"""How a long recording is recognized: memory, times real time, words lost against its pieces, and whether times are in order."""

from __future__ import annotations

import argparse
import re
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile
from bench_common import Row, describe_machine, in_fresh_process, report

from recognizer.audio.io import AUDIO_SUFFIXES, load_audio

NOTES = (
    "The recordings of a folder, in an order by chance, are joined with silence to one file, which is recognized in a process of its own.",
    "cpu_s: seconds of processor, all threads together; x_cpu: seconds of sound in two of them, what two free cores would reach.",
    "alone: words that the pieces give, each by itself. lost, added: words of them that the long recording does not give, and others",
    "that it does, in percent of them; at_cuts: of the lost ones those that a piece begins or ends with. wer: against X.txt beside X.opus.",
)
RATE = 16_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Join, recognize, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="recordings, with their texts beside them or not")
    parser.add_argument("-m", "--model", default="speech-en", help="a bundle (default: speech-en)")
    parser.add_argument("--minutes", type=float, nargs="+", default=[10.0], help="lengths to try (default: 10)")
    parser.add_argument("--gap", type=float, default=0.5, help="seconds of silence between two recordings (default: 0.5)")
    parser.add_argument("--speed-only", action="store_true", help="do not recognize the pieces by themselves, which takes as long again")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: all cores)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there as well")
    options = parser.parse_args(arguments)
    rows = []
    for minutes in options.minutes:
        with tempfile.TemporaryDirectory() as temporary:
            path = Path(temporary) / "long.wav"
            pieces = join(options.folder, path, minutes * 60, options.gap)
            row: Row = {"minutes": minutes, "pieces": len(pieces)}
            long, figures = in_fresh_process(recognize, options.model, [path], options.threads)
            row |= figures
            if not options.speed_only:
                alone, _ = in_fresh_process(recognize, options.model, pieces, options.threads)
                row |= compare(alone, long[0]) | error_rates(pieces, alone, long[0])
            rows.append(row)
    report(in_fresh_process(describe_machine, options.threads), rows, NOTES, options.json)
    return 0


def join(folder: Path, path: Path, seconds: float, gap: float) -> list[Path]:
    """Write recordings of a folder, again from the first when there are no more, one after the other into a file; which ones."""
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES)
    generator = np.random.default_rng(1)
    order = generator.permutation(len(found)).tolist()
    # what is called silence is a little noise, as no microphone gives zeros
    silence = (1e-4 * generator.standard_normal(round(gap * RATE))).astype(np.float32)
    pieces: list[Path] = []
    written = 0
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16", format="RF64") as file:
        while written < seconds * RATE:
            piece = found[order[len(pieces) % len(order)]]
            samples = load_audio(piece, RATE)
            for part in (samples, silence):
                file.write(part)
                written += len(part)
            pieces.append(piece)
    return pieces


def recognize(model: str, sources: Sequence[Path], threads: int) -> tuple[list[list[str]], Row]:
    """The words of each source, and figures; to be called in a fresh process."""
    from recognizer.inference.recognizer import Recognizer
    from recognizer.utils.device import peak_memory

    recognizer = Recognizer.load(model, "cpu", threads=threads)
    example = next(iter(sources))
    for _ in recognizer.transcribe([load_audio(example, RATE, 0.0, 5.0)], times=True):
        pass  # compiles
    loaded, started, spent = peak_memory(), time.perf_counter(), _processor()
    transcripts = list(recognizer.transcribe([str(source) for source in sources], times=True))
    elapsed, cpu = time.perf_counter() - started, _processor() - spent
    seconds = sum(transcript.seconds or 0.0 for transcript in transcripts)
    words = [word for transcript in transcripts for word in transcript.words]
    ordered = all(a.end <= b.start + 1e-6 and a.start <= a.end for t in transcripts for a, b in pairwise(t.words))
    figures = {
        "seconds": round(seconds), "peak_MiB": round(peak_memory() / 2**20), "grown_MiB": round((peak_memory() - loaded) / 2**20),
        "elapsed_s": round(elapsed, 1), "x_real": round(seconds / elapsed, 1), "cpu_s": round(cpu, 1), "x_cpu": round(2 * seconds / cpu, 1),
        "words": len(words), "ordered": ordered,
    }  # fmt: skip
    return [transcript.text.split() for transcript in transcripts], figures


def _processor() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def compare(alone: Sequence[Sequence[str]], long: Sequence[str]) -> Row:
    """Words that the pieces have and the whole lacks, and the other way round."""
    flat = [word for words in alone for word in words]
    ends = {place for stop, words in zip(np.cumsum([len(words) for words in alone]).tolist(), alone, strict=True) if words
            for place in (stop - len(words), stop - 1)}  # fmt: skip
    lost = at_cuts = added = 0
    for kind, first, stop, begin, end in SequenceMatcher(None, flat, long, autojunk=False).get_opcodes():
        if kind != "equal":
            gone = max(0, (stop - first) - (end - begin))  # others are replaced
            lost += gone
            at_cuts += min(gone, sum(place in ends for place in range(first, stop)))
            added += max(0, (end - begin) - (stop - first))
    share = 100 / max(1, len(flat))
    return {"alone": len(flat), "lost": round(lost * share, 2), "at_cuts": round(at_cuts * share, 2), "added": round(added * share, 2)}


def error_rates(pieces: Sequence[Path], alone: Sequence[Sequence[str]], long: Sequence[str]) -> Row:
    """WER of the pieces and of the whole, where there are texts."""
    from recognizer.evaluation.edits import Counts, align

    if not all(piece.with_suffix(".txt").exists() for piece in pieces):
        return {}
    texts = [list(_plain(piece.with_suffix(".txt").read_text(encoding="utf-8"))) for piece in pieces]
    reference = [word for text in texts for word in text]
    apart = sum(Counts.of(align(text, list(words))).errors for text, words in zip(texts, alone, strict=True))
    whole = Counts.of(align(reference, list(long))).errors
    return {"wer_alone": round(100 * apart / len(reference), 2), "wer": round(100 * whole / len(reference), 2)}


def _plain(text: str) -> Iterator[str]:
    yield from re.sub(r"[^\w' ]", " ", text.lower()).split()


if __name__ == "__main__":
    raise SystemExit(main())
