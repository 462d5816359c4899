"""What the tests of settings share: one number beyond a limit is refused, the limit itself taken."""

from __future__ import annotations

from typing import Any

import pytest

from recognizer.errors import ConfigError

SMALL = 1e-9
Limit = tuple[type, str, list[Any], list[Any]]  # class, key, values that are refused, values at the limit that are taken


def check(limit: Limit, named: str | None = None) -> None:
    """``named``: a pattern of the key that the message begins with, if it may be another."""
    cls, key, refused, taken = limit
    for value in refused:
        with pytest.raises(ConfigError, match=rf"^{named or key}: "):
            cls(**{key: value})
    for value in taken:
        assert getattr(cls(**{key: value}), key) == value


def name(limit: Limit) -> str:
    return f"{limit[0].__name__}.{limit[1]}"
