"""Speech and handwriting recognition with stacked bidirectional LSTMs and CTC."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recognizer.inference.recognizer import Recognizer

__version__ = "0.1.0"
__all__ = ["Recognizer", "__version__"]


def __getattr__(name: str) -> Any:
    """Import :class:`Recognizer` when it is first asked for, so that what does without torch need not wait for it."""
    if name == "Recognizer":
        return import_module("recognizer.inference.recognizer").Recognizer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
