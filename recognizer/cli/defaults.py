"""Defaults of options from the user's configuration file, ``~/.config/recognizer/config.toml``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from recognizer.errors import ConfigError, nearest

VARIABLE = "RECOGNIZER_CONFIG"  # names another file; empty: none is read


def config_file() -> Path | None:
    """The file that is read, None where there is none; one that ``$RECOGNIZER_CONFIG`` names must be there."""
    named = os.environ.get(VARIABLE)
    if named is not None:
        return Path(named) if named else None
    try:
        path = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "recognizer" / "config.toml"
    except RuntimeError:  # no home directory
        return None
    return path if path.is_file() else None


def set_defaults(parser: argparse.ArgumentParser, command: str, commands: Collection[str]) -> None:
    """Let the options of a command have the defaults that the file gives for it, checked as if they came from the command line.

    Args:
        parser: of the command, its arguments added.
        command: its name, which is that of its table in the file: ``[transcribe]`` and below it ``format = "srt"``.
        commands: the names of all commands.

    Raises:
        ConfigError: the file cannot be read, or has a table, a key or a value that is none of an option's; the nearest is named.
    """
    path = config_file()
    if path is None:
        return
    tables = _read(path)
    for name, table in tables.items():
        if name not in commands:
            raise ConfigError(f"{path}: [{name}] is no command{nearest(name, commands)}")
        if not isinstance(table, dict):
            raise ConfigError(f"{path}: {name}: expected a table of options, [{name}]")
    options = _options(parser)
    for key, value in tables.get(command, {}).items():
        action = options.get(key.replace("_", "-"))
        if action is None:
            raise ConfigError(f"{path}: [{command}] {key}: is no option of this command{nearest(key.replace('_', '-'), options)}")
        parser.set_defaults(**{action.dest: _convert(parser, action, value, f"{path}: [{command}] {key}")})
        action.required = False


def _read(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8 text'}") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: not TOML: {error or 'nested too deep'}") from None


def _options(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    """The options of a command by their long names, without dashes."""
    found: dict[str, argparse.Action] = {}
    for action in parser._actions:
        if not isinstance(action, (argparse._HelpAction, argparse._SubParsersAction)):
            found |= {name.removeprefix("--"): action for name in action.option_strings if name.startswith("--")}
    return found


def _convert(parser: argparse.ArgumentParser, action: argparse.Action, value: Any, where: str) -> Any:
    """A value of the file as the option would take it."""
    if action.nargs == 0:  # a switch
        if not isinstance(value, bool):
            raise ConfigError(f"{where}: expected true or false, found {value!r}")
        return action.const if value else action.default
    many = action.nargs in ("+", "*") or isinstance(action, argparse._AppendAction)
    if isinstance(value, list) != many or isinstance(value, (dict, bool)):
        raise ConfigError(f"{where}: expected {'a list' if many else 'one value'}, found {value!r}")
    try:
        words = [parser._get_value(action, str(each)) for each in (value if many else [value])]
        for word in words:
            parser._check_value(action, word)
    except argparse.ArgumentError as error:
        raise ConfigError(f"{where}: {error.message}") from None
    return words if many else words[0]
