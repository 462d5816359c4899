"""Settings given on a command line: of a decoder, ``decoder=beam decoder.lm=words.ngram``, and of features."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from recognizer.config import DECODER_FILES, DecoderConfig, Features, are_compatible
from recognizer.config.schema import from_dict, to_dict, unknown_key
from recognizer.errors import ConfigError, InputError
from recognizer.utils.reading import parse_yaml

DECODER_OVERRIDE = re.compile(r"decoder(\.[^=]*)?=.*", re.DOTALL)


def take_overrides(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Divide the words of a command line into overrides of the decoder and the rest."""
    overrides = [word for word in words if DECODER_OVERRIDE.fullmatch(word)]
    return overrides, [word for word in words if word not in overrides]


def split_override(override: str) -> tuple[str, Any]:
    """Key and value of ``KEY=VALUE``, the value as YAML.

    Raises:
        ConfigError: no equals sign, or no YAML.
    """
    key, equals, value = override.partition("=")
    if not equals:
        raise ConfigError(f"{override!r}: an override is written key=value")
    try:
        return key, parse_yaml(value, key)
    except InputError:
        raise ConfigError(f"{override!r}: the value is not YAML; put it in quotes") from None


def override_decoder(base: DecoderConfig, overrides: Iterable[str]) -> DecoderConfig:
    """Change some settings of a decoder; naming a model or a lexicon asks for a beam.

    Args:
        base: the bundle's settings.
        overrides: ``decoder=KIND`` or ``decoder.KEY=VALUE``; files are looked for in the working directory before the bundle.

    Raises:
        ConfigError: an unknown key (with the nearest known one) or a value that it refuses.
    """
    values: dict[str, Any] = to_dict(base)
    changed: dict[str, Any] = {}
    for name, value in map(split_override, overrides):
        key = name.partition(".")[2] or "kind"
        if key not in values:
            raise ConfigError(f"{name}: {unknown_key(name, [f'decoder.{known}' for known in values])}")
        if isinstance(value, str) and ((key in DECODER_FILES and Path(value).is_file()) or (key == "combine_with" and Path(value).is_dir())):
            value = str(Path(value).absolute())
        changed[key] = value
    if changed.keys() & {*DECODER_FILES, "combine_with"}:
        changed.setdefault("kind", "beam")
    return from_dict(DecoderConfig, values | changed, "decoder")


def override_features(base: Features, overrides: Iterable[str]) -> Features:
    """Change settings of features that weights can do without, given as ``features.KEY=VALUE``.

    Raises:
        ConfigError: an unknown key (with the nearest known one), a value that it refuses, or one that changes the features themselves.
    """
    features = base
    for name, value in map(split_override, overrides):
        if not name.startswith("features."):
            raise ConfigError(f"{name}: expected features.KEY=VALUE")
        features = from_dict(type(base), {**to_dict(features), name.removeprefix("features."): value}, "features")
        if not are_compatible(base, features):
            raise ConfigError(f"{name}: the weights were trained with other features; only the dither of sound and the cleaning of images may change")
    return features
