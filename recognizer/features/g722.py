"""G.722 (ITU-T, 1988): wideband telephone speech of 64 kbit/s, in files that are nothing but its bytes."""

from __future__ import annotations

import io
from pathlib import Path

import soundfile

from recognizer.errors import InputError

SUFFIX = ".g722"  # such a file has no header by which its content could be known
RATE = 16_000  # Hz
_BITS = 64_000  # a second


def open_g722(path: str | Path) -> soundfile.SoundFile:
    """The whole recording, decoded in memory (1.9 MB a minute): each sample depends on all before it.

    Raises:
        InputError: the decoder is not installed.
    """
    try:
        from G722 import G722
    except ImportError:
        raise InputError(f"{path}: G.722 is read by the package G722; install it with `pip install 'recognizer[telephony]'`") from None
    samples = G722(RATE, _BITS, use_numpy=False).decode(Path(path).read_bytes())
    return soundfile.SoundFile(io.BytesIO(samples.tobytes()), samplerate=RATE, channels=1, format="RAW", subtype="PCM_16", endian="CPU")
