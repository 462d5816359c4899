"""Errors that a user is meant to read: one line that names the file, line or key and says what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class RecognizerError(Exception):
    """Base of every error this package raises on purpose; the command line prints it as one line and ends with ``exit_code``."""

    exit_code = 2


class RecognizerWarning(UserWarning):
    """Something about an input that is used all the same; the message names the file, and the command line prints it as a note."""


class ConfigError(RecognizerError):
    """A settings key or value is wrong; the message names the key."""


class ManifestError(RecognizerError):
    """A manifest cannot be read; the message names the file and the line."""


class BundleError(RecognizerError):
    """A bundle is missing, incomplete, altered or made by a newer version."""


class InputError(RecognizerError):
    """One recording or image cannot be used; the message names the file.

    Attributes:
        items: how many items are lost by it: one, or all lines of a page.
    """

    items: int = 1


class OutputError(InputError):
    """A file cannot be written; the message names it."""


class TrainingError(RecognizerError):
    """Training cannot start or go on; the message says what was kept."""


class Interrupted(RecognizerError):
    """A signal stopped the work after its state was saved; the message says how to go on."""

    exit_code = 130


def nearest(word: str, candidates: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the candidate nearest to ``word``, or an empty string."""
    known = list(candidates)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if not close:  # a right last part below a wrong parent is still worth naming
        tails = {name.rsplit(".", 1)[-1]: name for name in known}
        close = [tails[t] for t in difflib.get_close_matches(word.rsplit(".", 1)[-1], tails, n=1, cutoff=0.75)]
    return f"; did you mean '{close[0]}'?" if close else ""
