"""Compiling loops with numba: once on a machine where the result can be kept, in every process where it cannot, and never without a word."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

# What is compiled, by the room that it is in.
SUBJECTS = {
    "decoding": "the decoder", "lm": "the language model", "models": "the network", "strokes": "the features of pen traces",
    "training": "the objective",
}  # fmt: skip

_tell: Callable[[str], None] | None = None
_told: set[str] = set()


def announce_compiling(tell: Callable[[str], None] | None) -> None:
    """Let ``tell`` say what is being compiled, once for each part of the program; None: nothing is said, as at first."""
    global _tell
    _tell = tell
    _told.clear()


def compiled(function: Function | None = None, **options: Any) -> Any:
    """``numba.njit`` that keeps what it has compiled on disk: beside the source, or in the user's cache folder, or in one in the folder of
    temporary files (:func:`temporary_cache`), or else nowhere.

    Args:
        function: to be compiled; without it a decorator is returned.
        options: of ``numba.njit``, but ``cache``.
    """
    if function is None:
        return lambda later: compiled(later, **options)
    from numba import njit

    dispatcher = njit(nogil=True, **options)(function)
    if hasattr(dispatcher, "_cache"):  # not where NUMBA_DISABLE_JIT is set
        dispatcher._cache = _make_cache(function)
    return dispatcher


def temporary_cache() -> Path | None:
    """The folder ``recognizer-USER`` among the temporary files; None where it cannot be made or is not this user's alone.

    What lies there is loaded as code, so nobody else may be able to write to it.
    """
    owner = os.getuid() if hasattr(os, "getuid") else None
    try:
        folder = Path(tempfile.gettempdir()) / f"recognizer-{'cache' if owner is None else owner}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:  # also where there is no folder for temporary files
        return None
    private = owner is None or (found.st_uid == owner and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
    return folder if stat.S_ISDIR(found.st_mode) and private else None


def _make_cache(function: Callable[..., Any]) -> Any:
    """numba's cache of what a function was compiled to, which tells of compiling and does without a file that it cannot read or write."""
    from numba import config
    from numba.core.caching import FunctionCache, NullCache

    class Cache(FunctionCache):
        def load_overload(self, sig: Any, target_context: Any) -> Any:
            try:
                found = super().load_overload(sig, target_context)
            except Exception:  # a damaged file
                found = None
            if found is None:
                _announce(function, "once on this machine")
            return found

        def save_overload(self, sig: Any, data: Any) -> None:
            with suppress(Exception):  # a full disk, a folder that is gone, a damaged index: it is compiled again next time
                super().save_overload(sig, data)

    class NoCache(NullCache):
        def load_overload(self, sig: Any, target_context: Any) -> None:
            _announce(function, "each time, as there is no folder to keep it in; NUMBA_CACHE_DIR=FOLDER names one")

    try:
        return Cache(function)
    except (RuntimeError, OSError):  # numba finds no folder that it can write to
        folder = temporary_cache()
    if folder is None:
        return NoCache()
    os.environ["NUMBA_CACHE_DIR"] = str(folder)  # librosa, which caches too, gets it as well
    config.reload_config()
    try:
        return Cache(function)
    except (RuntimeError, OSError):
        return NoCache()


def _announce(function: Callable[..., Any], how_often: str) -> None:
    room = function.__module__.split(".")[1] if "." in function.__module__ else ""
    subject = SUBJECTS.get(room, "some functions")
    if _tell is not None and subject not in _told:
        _told.add(subject)
        _tell(f"compiling {subject}, {how_often} ...")
