"""From a nested mapping to frozen dataclasses, with no key or value left unchecked."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from recognizer.errors import ConfigError, nearest

T = TypeVar("T")


def build(cls: type[T], values: Any, where: str = "") -> T:
    """Make a dataclass from a mapping.

    Args:
        cls: a dataclass whose fields are numbers, strings, booleans, ``Literal``, ``X | None``, ``tuple[X, ...]``,
            dataclasses, or unions of dataclasses told apart by their ``kind`` field.
        values: the mapping; absent keys take the dataclass's defaults.
        where: dotted path of ``values`` in the whole, for messages.

    Raises:
        ConfigError: an unknown key (with the nearest known one), a value of the wrong type or outside its choices,
            a missing key, or whatever the dataclass's ``__post_init__`` refuses.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where or 'settings'}: expected a group of keys, found {values!r}")
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    for key in values:
        if key not in fields:
            raise ConfigError(f"{_join(where, str(key))}: no such key{nearest(_join(where, str(key)), _paths(where, fields))}")
    arguments = {}
    for name, field in fields.items():
        if name in values:
            arguments[name] = _convert(hints[name], values[name], _join(where, name))
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigError(f"{_join(where, name)}: is not set and has no default")
    try:
        return cls(**arguments)
    except ConfigError as error:
        raise ConfigError(f"{where}.{error}" if where else str(error)) from None


def plain(value: Any) -> Any:
    """The inverse of :func:`build`: dataclasses to dictionaries, tuples to lists, ready for YAML or JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


def require(holds: bool, key: str, message: str) -> None:
    """Raise a :class:`ConfigError` naming ``key`` unless ``holds``; :func:`build` puts the path in front."""
    if not holds:
        raise ConfigError(f"{key}: {message}")


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _paths(where: str, names: typing.Iterable[str]) -> list[str]:
    return [_join(where, name) for name in names]


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _convert_union(get_args(hint), value, where)
    if origin is Literal:
        choices = get_args(hint)
        if value not in choices or isinstance(value, bool) != any(isinstance(c, bool) for c in choices if c == value):
            raise ConfigError(f"{where}: {value!r} is not one of {', '.join(map(str, choices))}{nearest(str(value), map(str, choices))}")
        return value
    if origin is tuple:
        if isinstance(value, str) or not isinstance(value, (list, tuple)):
            raise ConfigError(f"{where}: expected a list, found {value!r}")
        arguments = get_args(hint)
        if arguments[-1] is not Ellipsis and len(arguments) != len(value):
            raise ConfigError(f"{where}: expected {len(arguments)} values, found {len(value)}")
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
        return tuple(_convert(kind, v, f"{where}[{i}]") for i, (kind, v) in enumerate(zip(kinds, value, strict=True)))
    if dataclasses.is_dataclass(hint):
        return build(typing.cast(type, hint), value, where)
    return _convert_scalar(hint, value, where)


def _convert_union(options: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in options:
        return None
    kinds = [option for option in options if option is not type(None)]
    if len(kinds) == 1:
        return _convert(kinds[0], value, where)
    if not isinstance(value, Mapping) or "kind" not in value:
        raise ConfigError(f"{where}: expected a group with a key 'kind', found {value!r}")
    choices = {name: option for option in kinds for name in get_args(typing.get_type_hints(option)["kind"])}
    if not isinstance(value["kind"], str) or value["kind"] not in choices:
        hint = nearest(str(value["kind"]), choices)
        raise ConfigError(f"{where}.kind: {value['kind']!r} is not one of {', '.join(choices)}{hint}")
    return build(choices[value["kind"]], value, where)


def _convert_scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is float and isinstance(value, str):  # YAML 1.1 reads 1e-4 as a string
        try:
            return float(value)
        except ValueError:
            pass
    if isinstance(value, hint) and isinstance(value, bool) == (hint is bool):
        return value
    raise ConfigError(f"{where}: expected {hint.__name__}, found {value!r}")
