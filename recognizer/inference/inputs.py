"""What a recognizer is given: which files are meant, and files and arrays read as its network takes them."""

from __future__ import annotations

import glob
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soxr

from recognizer.audio.io import AUDIO_SUFFIXES, Channel, audio_seconds, check_samples, is_pipe, load_audio
from recognizer.audio.stream import Window, cut_windows, stream_audio
from recognizer.config import AudioFeatures, Features, Modality, StrokeFeatures
from recognizer.data.loading import is_empty
from recognizer.errors import InputError
from recognizer.image.io import IMAGE_SUFFIXES, load_image
from recognizer.image.normalize import ColumnTransform, prepare_line
from recognizer.strokes.io import STROKE_SUFFIXES, Trace, load_trace
from recognizer.strokes.normalize import prepare_strokes

Source = str | Path | np.ndarray

SUFFIXES: dict[Modality, Collection[str]] = {"audio": AUDIO_SUFFIXES, "line": IMAGE_SUFFIXES, "strokes": STROKE_SUFFIXES}
WINDOW_SECONDS = 30.0  # longer recordings are recognized in windows of this length
CONTEXT_SECONDS = 3.0  # of the recording on either side of a window, since both directions of the network need a run-up


def find_files(sources: Iterable[str], modality: Modality) -> Iterator[str]:
    """The files that file names, folders and glob patterns stand for.

    A folder stands for the recordings (images, pen traces) anywhere below it, in sorted order. What does not exist is passed
    on as it is, so that it gets an error of its own.
    """
    suffixes = SUFFIXES[modality]
    for source in sources:
        path = Path(source)
        if path.is_dir():
            found = (p for p in path.rglob("*") if p.suffix.lower() in suffixes)
            # a link into nowhere is a recording that is missing
            yield from sorted(str(p) for p in found if p.is_file() or (p.is_symlink() and not p.exists()))
        elif not path.exists() and glob.has_magic(source):
            yield from sorted(glob.glob(source, recursive=True)) or [source]
        else:
            yield source


def group_by_modality(sources: Iterable[str]) -> dict[Modality, list[str]]:
    """The files that file names, folders and glob patterns stand for, by what they hold according to their suffixes.

    Raises:
        InputError: a file that does not exist, or whose name does not tell what it holds.
    """
    found: dict[Modality, list[str]] = {"audio": [], "line": [], "strokes": []}
    for source in sources:
        if Path(source).is_dir():
            for modality in found:
                # an .xml among other files is more often the layout of a page than a pen trace
                found[modality] += (name for name in find_files([source], modality) if not name.lower().endswith(".xml"))
        else:
            for name in find_files([source], "audio"):  # a pattern's files, of whatever kind
                found[_modality(name)].append(name)
    return {modality: names for modality, names in found.items() if names}


def _modality(source: str) -> Modality:
    suffix = Path(source).suffix.lower()
    for modality, suffixes in SUFFIXES.items():
        if suffix in suffixes:
            return modality
    if not Path(source).exists():
        raise InputError(f"{source}: no such file")
    raise InputError(f"{source}: its name does not tell whether it is a recording or an image; name a model with -m")


@dataclass
class LoadedInput:
    """An input that was read, or the reason why it cannot be used.

    Attributes:
        name: the path, or ``array N``.
        content: samples (N,), columns (W, H) or points (T, 5); windows of a long recording; None if there is nothing to recognize.
        length: samples, columns or points; of a long recording as far as its windows have been read.
        columns: where the columns lie in the picture.
        error: one line that names the input; None where it can be used.
    """

    name: str
    content: np.ndarray | Iterator[Window] | None = None
    length: int = 0
    columns: ColumnTransform = field(default_factory=lambda: ColumnTransform(0.0, 1.0))
    error: str | None = None


class InputLoader:
    """Reads inputs for one recognizer.

    Args:
        features: what its network takes.
        max_frames: longest line or pen trace, in columns or points.
        step: samples of a recording that one frame of log-probs stands for; windows begin and end at its multiples.

    Attributes:
        channel: which channel of a recording to take; see :func:`~recognizer.audio.io.load_audio`.
    """

    def __init__(self, features: Features, max_frames: int, step: int = 1) -> None:
        self.features, self.max_frames, self.step = features, max_frames, step
        self.channel: Channel = "auto"

    def load(self, number: int, source: Source, sample_rate: int | None = None) -> LoadedInput:
        """Read the input of this number, all of it unless it is a long recording.

        Whatever is wrong with it becomes its ``error``, so that no other input suffers.

        Args:
            number: by which an array is named.
            source: a file, samples (N,) float, a line image (H, W) uint8, or points (N, 4) float.
            sample_rate: of samples, Hz; None: that of the features.
        """
        loaded = LoadedInput(f"array {number}" if isinstance(source, np.ndarray) else str(source))
        try:
            content = self._read(loaded, source, sample_rate)
        except InputError as error:
            loaded.error = str(error)
            return loaded
        except Exception as error:
            loaded.error = describe_failure(loaded.name, error)
            return loaded
        if isinstance(content, np.ndarray):
            loaded.length = len(content)
        if not isinstance(content, np.ndarray) or not is_empty(content):
            loaded.content = content
        return loaded

    def _read(self, loaded: LoadedInput, source: Source, sample_rate: int | None) -> np.ndarray | Iterator[Window]:
        if isinstance(self.features, AudioFeatures):
            return self._read_audio(loaded, source, sample_rate or self.features.sample_rate)
        if isinstance(self.features, StrokeFeatures):
            trace = Trace.of_array(source, loaded.name) if isinstance(source, np.ndarray) else load_trace(source)
            content = prepare_strokes(trace, self.features, loaded.name)
            size = f"{len(content)} points at {self.features.spacing:g} of the letters' height"
        else:
            gray = load_image(source) if not isinstance(source, np.ndarray) else _check_array(source, 2, loaded.name)
            strip, loaded.columns = prepare_line(gray, self.features, loaded.name)
            content = np.ascontiguousarray(strip.T)
            size = f"{len(content)} columns wide at {self.features.height} rows"
        if len(content) > self.max_frames:
            raise InputError(f"{loaded.name}: {size}; is this one line of text? Cut it")
        return content

    def _read_audio(self, loaded: LoadedInput, source: Source, sample_rate: int) -> np.ndarray | Iterator[Window]:
        rate = self.features.sample_rate  # type: ignore[union-attr]
        blocks: Iterator[np.ndarray]
        if isinstance(source, np.ndarray):
            samples = _check_array(source, 1, loaded.name).astype(np.float32)
            if sample_rate != rate:
                samples = soxr.resample(samples, sample_rate, rate, quality="HQ")
            if len(samples) <= WINDOW_SECONDS * rate:
                return samples
            blocks = iter([samples])
        elif not is_pipe(source) and audio_seconds(source) <= WINDOW_SECONDS:
            return load_audio(source, rate, 0.0, None, self.channel)
        else:
            blocks = stream_audio(source, rate, self.channel)
        inside, context = (round(seconds * rate / self.step) * self.step for seconds in (WINDOW_SECONDS, CONTEXT_SECONDS))
        return cut_windows(blocks, inside, context)


def describe_failure(name: str, error: BaseException) -> str:
    """One line about an exception that nobody expected, for the input that it struck."""
    return f"{name}: {type(error).__name__}: {' '.join(str(error).split()) or 'no further message'}"


def _check_array(array: np.ndarray, rank: int, name: str) -> np.ndarray:
    kind = "float samples (N,)" if rank == 1 else "a gray line image (H, W) uint8"
    if array.ndim != rank or array.size == 0 or (array.dtype.kind != "f" if rank == 1 else array.dtype != np.uint8):
        raise InputError(f"{name}: expected {kind}, found shape {array.shape} of {array.dtype}")
    if rank == 1:
        check_samples(array, name)
    return array
