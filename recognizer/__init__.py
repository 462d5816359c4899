"""Speech and handwriting recognition with stacked bidirectional LSTMs and CTC."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recognizer.evaluation.evaluate import evaluate
    from recognizer.formats.base import render
    from recognizer.formats.notebook import render_html
    from recognizer.inference.align import align
    from recognizer.inference.recognizer import Recognizer
    from recognizer.jobs.bulk import bulk
    from recognizer.training.adapt import adapt
    from recognizer.training.run import train
    from recognizer.types import Transcript

    load = Recognizer.load

__version__ = "0.1.0"
__all__ = ["Recognizer", "Transcript", "__version__", "adapt", "align", "bulk", "evaluate", "load", "render", "render_html", "train"]

# Where each public name is defined; it is imported when it is first asked for, so that what does without torch need not wait for it.
_PLACES = {
    "Recognizer": "inference.recognizer",
    "Transcript": "types",
    "adapt": "training.adapt",
    "align": "inference.align",
    "bulk": "jobs.bulk",
    "evaluate": "evaluation.evaluate",
    "render": "formats.base",
    "render_html": "formats.notebook",
    "train": "training.run",
}


def __getattr__(name: str) -> Any:
    if name == "load":
        return __getattr__("Recognizer").load
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
