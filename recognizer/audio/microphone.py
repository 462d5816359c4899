"""Samples from a microphone, through the package ``sounddevice``."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from recognizer.errors import ConfigError, InputError

BLOCK_SECONDS = 0.032  # that come at a time
_WAIT_SECONDS = 0.2  # so often a wait can be interrupted


def import_sounddevice() -> ModuleType:
    """Import the package.

    Raises:
        ConfigError: it, or the library PortAudio that it needs, is not installed.
    """
    try:
        import sounddevice
    except ImportError:
        advice = "`pip install 'recognizer[listen]'`, or pipe sound in: `arecord -f S16_LE -r 16000 | recognizer listen --input -`"
        raise ConfigError(f"a microphone needs the package sounddevice: {advice}") from None
    except OSError as error:
        advice = "install it (Debian: `apt install libportaudio2`), or pipe sound in with --input -"
        raise ConfigError(f"a microphone needs the library PortAudio ({error}): {advice}") from None
    return sounddevice


def microphones() -> list[tuple[int, str]]:
    """Number and name of each device that records.

    Raises:
        ConfigError: as :func:`import_sounddevice`.
    """
    return [(number, str(device["name"])) for number, device in enumerate(import_sounddevice().query_devices()) if device["max_input_channels"] > 0]


@contextmanager
def open_microphone(device: str | None, sample_rate: int) -> Iterator[tuple[int, Iterator[np.ndarray]]]:
    """Record while the block runs: the sample rate in Hz, and samples (N,) float32 in [-1, 1] as they come, without end.

    Args:
        device: number or part of the name; None: the system's default.
        sample_rate: that is wanted, Hz; a device that cannot gives its own.

    Raises:
        ConfigError: as :func:`import_sounddevice`.
        InputError: there is no such device, or it cannot be opened; from the iterator, it is gone.
    """
    sounddevice = import_sounddevice()
    chosen: int | str | None = int(device) if device is not None and device.isdecimal() else device
    come: queue.SimpleQueue[np.ndarray] = queue.SimpleQueue()
    try:
        own = sounddevice.query_devices(chosen, "input")
        rate = sample_rate
        try:
            sounddevice.check_input_settings(chosen, 1, "float32", samplerate=rate)
        except sounddevice.PortAudioError:
            rate = int(own["default_samplerate"])

        def take(samples: np.ndarray, *_: Any) -> None:
            come.put(samples[:, 0].copy())

        stream = sounddevice.InputStream(rate, round(BLOCK_SECONDS * rate), chosen, 1, "float32", callback=take)
    except (ValueError, sounddevice.PortAudioError) as error:
        reason = " ".join(str(error).split())
        name = "the default microphone" if device is None else f"microphone {device!r}"
        advice = "--list-microphones names those there are, --microphone chooses one"
        raise InputError(f"{name}: cannot be opened ({reason}); {advice}") from None
    with stream:
        yield rate, _take(come, stream, device)


def _take(come: queue.SimpleQueue[np.ndarray], stream: Any, device: str | None) -> Iterator[np.ndarray]:
    while True:
        try:
            yield come.get(timeout=_WAIT_SECONDS)
        except queue.Empty:
            if not stream.active:
                raise InputError(f"microphone {device or 'by default'}: records no more; is it still connected?") from None
