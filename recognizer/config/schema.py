"""From a nested mapping to frozen dataclasses and back, with no key or value left unchecked."""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from recognizer.config.renamed import REMOVED, RENAMED
from recognizer.errors import ConfigError, nearest

T = TypeVar("T")


def from_dict(cls: type[T], values: Any, where: str = "") -> T:
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
    hints = _type_hints(typing.cast(type, cls))
    for key in values:
        if key not in fields:
            path = _join(where, str(key))
            raise ConfigError(f"{path}: {unknown_key(path, [_join(where, name) for name in fields])}")
    arguments = {}
    for name, field in fields.items():
        if name in values:
            arguments[name] = _convert(hints[name], values[name], _join(where, name))
        elif not _has_default(field):
            raise ConfigError(f"{_join(where, name)}: is not set and has no default")
    try:
        return cls(**arguments)
    except ConfigError as error:
        raise ConfigError(f"{where}.{error}" if where else str(error)) from None


def to_dict(value: Any) -> Any:
    """The inverse of :func:`from_dict`: dataclasses to dictionaries, tuples to lists, ready for YAML or JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_dict(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, (list, tuple)):
        return [to_dict(v) for v in value]
    return value


def with_defaults(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping of :func:`from_dict` with all defaults filled in; what is wrong in it stays for that function to find."""
    hints = typing.get_type_hints(cls)
    complete = dict(values)
    for field in dataclasses.fields(cls):
        value = complete.get(field.name)
        if isinstance(value, Mapping):
            kinds = [kind for kind in get_args(hints[field.name]) or (hints[field.name],) if dataclasses.is_dataclass(kind)]
            chosen = kinds[0] if len(kinds) == 1 else _kinds(kinds).get(str(value.get("kind")))
            if chosen is not None:
                complete[field.name] = with_defaults(typing.cast(type, chosen), value)
        elif field.name not in complete and _has_default(field):
            complete[field.name] = to_dict(field.default if field.default_factory is dataclasses.MISSING else field.default_factory())
    return complete


def unknown_key(path: str, known: Iterable[str]) -> str:
    """What to say about a dotted key that no setting has: its name today, or the nearest one."""
    if path in RENAMED:
        return f"is called {RENAMED[path]} now"
    return "no such setting any more" if path in REMOVED else f"no such key{nearest(path, known)}"


def require(holds: bool, key: str, message: str) -> None:
    """Raise a :class:`ConfigError` naming ``key`` unless ``holds``; :func:`from_dict` puts the path in front."""
    if not holds:
        raise ConfigError(f"{key}: {message}")


def require_each(settings: object, keys: str, holds: Callable[[Any], bool], message: str) -> None:
    """:func:`require` that a condition holds for the value of each of several keys, given in one string."""
    for key in keys.split():
        require(holds(getattr(settings, key)), key, message)


def require_shares(settings: object, keys: str) -> None:
    """Require probabilities or shares, 0 to 1."""
    require_each(settings, keys, lambda value: 0 <= value <= 1, "must lie in [0, 1]")


def require_not_negative(settings: object, keys: str) -> None:
    """Require finite numbers of 0 or more."""
    require_each(settings, keys, lambda value: 0 <= value < float("inf"), "cannot be negative or infinite")


@functools.cache
def _type_hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _has_default(field: dataclasses.Field[Any]) -> bool:
    return not (field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING)


def _kinds(options: Iterable[Any]) -> dict[str, Any]:
    """Dataclasses by the values that their field ``kind`` may have."""
    return {name: option for option in options for name in get_args(typing.get_type_hints(option)["kind"])}


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _convert_union(get_args(hint), value, where)
    if origin is Literal:
        choices = get_args(hint)
        if value not in choices or isinstance(value, bool) != any(isinstance(c, bool) for c in choices if c == value):
            raise _not_one_of(where, value, choices)
        return value
    if origin is tuple:
        if isinstance(value, str) or not isinstance(value, (list, tuple)):
            raise ConfigError(f"{where}: expected a list, found {value!r:.100}")
        arguments = get_args(hint)
        if arguments[-1] is not Ellipsis and len(arguments) != len(value):
            raise ConfigError(f"{where}: expected {len(arguments)} values, found {len(value)}")
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
        return tuple(_convert(kind, v, f"{where}[{i}]") for i, (kind, v) in enumerate(zip(kinds, value, strict=True)))
    if dataclasses.is_dataclass(hint):
        return from_dict(typing.cast(type, hint), value, where)
    return _convert_scalar(hint, value, where)


def _convert_union(options: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in options:
        return None
    kinds = [option for option in options if option is not type(None)]
    if len(kinds) == 1:
        return _convert(kinds[0], value, where)
    if not isinstance(value, Mapping) or "kind" not in value:
        raise ConfigError(f"{where}: expected a group with a key 'kind', found {value!r:.100}")
    choices = _kinds(kinds)
    if not isinstance(value["kind"], str) or value["kind"] not in choices:
        raise _not_one_of(f"{where}.kind", value["kind"], choices)
    return from_dict(choices[value["kind"]], value, where)


def _convert_scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value) if abs(value) < 1e300 else math.copysign(math.inf, value)
    if hint is float and isinstance(value, str):  # YAML 1.1 reads 1e-4 as a string
        try:
            return float(value)
        except ValueError:
            pass
    if isinstance(value, hint) and isinstance(value, bool) == (hint is bool):
        return value
    raise ConfigError(f"{where}: expected {hint.__name__}, found {value!r:.100}")


def _not_one_of(where: str, value: Any, choices: Iterable[Any]) -> ConfigError:
    names = [str(choice) for choice in choices]
    return ConfigError(f"{where}: {value!r} is not one of {', '.join(names)}{nearest(str(value), names)}")
