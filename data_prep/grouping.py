"""Groups (speakers, writers) that are told from the names of files."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from recognizer.errors import ConfigError, InputError, nearest


def make_grouper(rule: str, named: dict[str, Callable[[str], str | None]], base: Path) -> Callable[[str], str | None]:
    """The function from a relative path (with "/") to a group that a ``--group-by`` rule means.

    Args:
        rule: a key of ``named`` or a regular expression, searched for in the path, whose first capture group is the group.
        named: rules that have a name.
        base: what the paths are relative to, for messages.

    Raises:
        ConfigError: ``rule`` is neither. The function returned raises InputError for a path that does not match.
    """
    if rule in named:
        return named[rule]
    try:
        pattern = re.compile(rule)
    except re.error as error:
        raise ConfigError(f"--group-by {rule}: not a regular expression: {error}") from None
    if not pattern.groups:
        raise ConfigError(f"--group-by {rule}: neither {' nor '.join(named)} nor a regular expression with a (capture group){nearest(rule, named)}")

    def group(path: str) -> str:
        found = pattern.search(path)
        if not found or not found[1]:
            raise InputError(f"{base / path}: has no group, as --group-by {rule} does not match it")
        return found[1]

    return group
