"""From a file to the array that training keeps: 16-bit samples of a recording, columns of a line image, points of a pen trace."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from recognizer.audio.io import load_audio
from recognizer.config import Features, LineFeatures, StrokeFeatures
from recognizer.image.io import load_image
from recognizer.image.normalize import is_blank, prepare_line
from recognizer.strokes.io import load_trace
from recognizer.strokes.normalize import prepare_strokes

FULL_SCALE = 32768  # 16-bit samples: -32768..32767
SILENCE_RMS = 3e-4  # below which a recording holds nothing, about -70 dB of full scale
CLIPPED_SHARE = 1e-3  # of samples at full scale, above which a recording counts as clipped


def read_array(path: Path, features: Features) -> np.ndarray:
    """Read a source in its stored form.

    Returns:
        int16 samples (N,) at ``features.sample_rate``, uint8 columns (W, H) of the prepared line, ink 255, or float32 points
        (T, 5) of the prepared trace.

    Raises:
        InputError: the file cannot be read; the message names it.
    """
    if isinstance(features, LineFeatures):
        return np.ascontiguousarray(prepare_line(load_image(path), features, str(path))[0].T)
    if isinstance(features, StrokeFeatures):
        return prepare_strokes(load_trace(path), features, str(path))
    samples = load_audio(path, features.sample_rate)
    return np.clip(np.rint(samples * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def to_float(array: np.ndarray) -> np.ndarray:
    """Samples in [-1, 1) from stored samples; columns and points stay as they are."""
    return array.astype(np.float32) / FULL_SCALE if array.dtype == np.int16 else array


def is_empty(array: np.ndarray) -> bool:
    """Whether samples, stored or float, hold only silence, or columns only a blank line; never true of a pen trace."""
    if array.ndim == 1:
        samples = to_float(array)
        return bool(np.sqrt(np.mean(np.square(samples - samples.mean()))) < SILENCE_RMS)  # a constant offset is silence
    return array.dtype == np.uint8 and is_blank(array)


def is_clipped(array: np.ndarray) -> bool:
    """Whether a stored recording was cut off at full scale; never true of a line or a pen trace."""
    if array.dtype != np.int16:
        return False
    return bool(((array >= FULL_SCALE - 2) | (array <= -FULL_SCALE + 1)).mean() > CLIPPED_SHARE)
