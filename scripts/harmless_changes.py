"""How many texts stay the same when recordings are changed in ways that people do not hear.

``python scripts/harmless_changes.py speech-en FOLDER_OR_FILES --count 20 --card`` prints a table, and writes it into the card of the bundle.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import editdistance
import numpy as np
import soundfile
import soxr

from recognizer.audio.io import AUDIO_SUFFIXES, load_audio
from recognizer.bundle.io import CARD
from recognizer.bundle.registry import find_bundle
from recognizer.errors import BundleError, ConfigError, InputError, RecognizerError
from recognizer.evaluation.model_card import render_table
from recognizer.inference.recognizer import Recognizer
from recognizer.utils.files import write_text

BEGIN = "<!-- measured by scripts/harmless_changes.py: what stands between these two lines is written anew each time -->"
END = "<!-- end of harmless changes -->"

Waveform = np.ndarray  # (N,) or (N, C), float


@dataclass(frozen=True)
class Change:
    """A way to write a recording that sounds the same: what is done to its samples, and the file they go to."""

    name: str
    apply: Callable[[Waveform, int], Waveform] = lambda samples, rate: samples
    subtype: str = "PCM_16"
    format: str = "WAV"
    rate: int | None = None  # Hz, if another


def _dither(samples: Waveform, rate: int) -> Waveform:
    generator = np.random.default_rng(1)
    return samples + (generator.random(samples.shape) - generator.random(samples.shape)) / 32768  # triangular, one step of 16 bits


def _silence(rate: int) -> Waveform:
    return np.zeros(rate)


CHANGES = (
    Change("6 dB quieter", lambda samples, rate: samples / 2),
    Change("20 dB quieter, 24 bit", lambda samples, rate: samples / 10, "PCM_24"),
    Change("offset of 0.03", lambda samples, rate: samples + 0.03, "FLOAT"),
    Change("offset of 0.3", lambda samples, rate: 0.6 * samples + 0.3, "FLOAT"),
    Change("polarity turned", lambda samples, rate: -samples),
    Change("dither of one step of 16 bits", _dither),
    Change("10 ms cut off at the start", lambda samples, rate: samples[rate // 100 :]),
    Change("30 ms cut off at the start", lambda samples, rate: samples[3 * rate // 100 :]),
    Change("0.99 s of silence before", lambda samples, rate: np.concatenate([_silence(rate)[: 99 * rate // 100], samples])),
    Change("a second of silence before", lambda samples, rate: np.concatenate([_silence(rate), samples])),
    Change("a second of silence after", lambda samples, rate: np.concatenate([samples, _silence(rate)])),
    Change("24 bit", subtype="PCM_24"),
    Change("32-bit float", subtype="FLOAT"),
    Change("FLAC", format="FLAC"),
    Change("stereo, both channels the same", lambda samples, rate: np.stack([samples, samples], axis=1)),
    Change("48 kHz", rate=48_000),
    Change("96 kHz", rate=96_000),
    Change("192 kHz", rate=192_000),
    Change("Vorbis", subtype="VORBIS", format="OGG"),
    Change("Opus", subtype="OPUS", format="OGG"),
    Change("mu-law", subtype="ULAW"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table and write it into the card; 2 if a recording or the bundle cannot be read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", help="bundle of recordings, by its folder or name")
    parser.add_argument("sources", nargs="+", type=Path, metavar="SOURCE", help="recordings, or folders of them")
    parser.add_argument("--count", type=int, default=20, help="how many of them, evenly taken (default 20)")
    parser.add_argument("--card", nargs="?", const="", metavar="FILE", help="write the table into this card (default: that of the bundle)")
    options = parser.parse_args(arguments)
    try:
        recognizer = Recognizer.load(options.bundle, "cpu")
        if recognizer.config.modality != "audio":
            raise ConfigError(f"{options.bundle}: reads no recordings")
        table = measure(recognizer, find_sources(options.sources, options.count))
        print(table)
        if options.card is not None:
            own = find_bundle(options.bundle) / CARD
            path = Path(options.card or own)
            text = (path if path.exists() else own).read_text(encoding="utf-8")
            names = " ".join(source.name for source in options.sources)
            command = f"`python scripts/harmless_changes.py {options.bundle} {names} --count {options.count} --card`"
            write_text(path, insert_table(text, f"## Harmless changes\n\n{command}\n\n{table}", str(path)))
    except RecognizerError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def find_sources(sources: Sequence[Path], count: int) -> list[Path]:
    """So many of the recordings, evenly taken.

    Raises:
        InputError: there are none.
    """
    found = [path for source in sources for path in (sorted(source.rglob("*")) if source.is_dir() else [source])
        if not source.is_dir() or path.suffix.lower() in AUDIO_SUFFIXES]  # fmt: skip
    if not found:
        raise InputError(f"{sources[0]}: holds no recordings")
    return [found[len(found) * number // min(count, len(found))] for number in range(min(count, len(found)))]


def measure(recognizer: Recognizer, sources: Sequence[Path]) -> str:
    """A row for each change: how many texts are those of the recording as a 16-bit WAV at the network's own rate, and how many words differ."""
    rate = recognizer.config.features.sample_rate  # type: ignore[union-attr]
    sounds = [load_audio(source, rate) for source in sources]
    plain = transcribe(recognizer, sounds, rate, Change("plain"))
    words = sum(len(text.split()) for text in plain)
    rows = []
    for change in CHANGES:
        texts = transcribe(recognizer, sounds, rate, change)
        same = sum(one == other for one, other in zip(plain, texts, strict=True))
        changed = sum(editdistance.eval(one.split(), other.split()) for one, other in zip(plain, texts, strict=True))
        rows.append([change.name, f"{same} of {len(plain)}", f"{changed} of {words}"])
    return render_table(["change", "texts unchanged", "words changed"], rows)


def transcribe(recognizer: Recognizer, sounds: Sequence[np.ndarray], rate: int, change: Change) -> list[str]:
    """Texts of recordings that are written to files and read again.

    Raises:
        InputError: one of them cannot be read.
    """
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.{change.format.lower()}" for number in range(len(sounds))]
        for path, samples in zip(paths, sounds, strict=True):
            write_change(path, samples, rate, change)
        transcripts = list(recognizer.transcribe(list(map(str, paths))))
    for transcript in transcripts:
        if transcript.error is not None:
            raise InputError(f"{change.name}: {transcript.error}")
    return [transcript.text for transcript in transcripts]


def write_change(path: Path, samples: np.ndarray, rate: int, change: Change) -> None:
    """Write samples (N,) at ``rate`` Hz with a change made to them."""
    changed = change.apply(samples.astype(np.float64), rate)
    if change.rate is not None:
        changed = soxr.resample(changed, rate, change.rate, quality="VHQ")
    soundfile.write(path, changed, change.rate or rate, format=change.format, subtype=change.subtype)


def insert_table(card: str, section: str, place: str) -> str:
    """The card with the section between its marker lines, at the end where there are none.

    Raises:
        BundleError: the marker lines do not pair up.
    """
    block = f"{BEGIN}\n\n{section}\n\n{END}"
    if BEGIN not in card and END not in card:
        return f"{card.rstrip()}\n\n{block}\n"
    before, begin, rest = card.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after or END in before + after:
        raise BundleError(f"{place}: the lines {BEGIN!r} and {END!r} must stand there once each, in this order")
    return before + block + after


if __name__ == "__main__":
    sys.exit(main())
