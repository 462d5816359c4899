"""Settings given on a command line: of a decoder, ``decoder=beam decoder.lm=words.ngram``, and of features."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from recognizer.config import DecoderConfig, Features, are_akin
from recognizer.errors import ConfigError, nearest
from recognizer.strict import build, plain

PATTERN = re.compile(r"decoder(\.[^=]*)?=.*", re.DOTALL)


def take_overrides(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Divide the words of a command line into overrides of the decoder and the rest."""
    overrides = [word for word in words if PATTERN.fullmatch(word)]
    return overrides, [word for word in words if word not in overrides]


def override_decoder(base: DecoderConfig, overrides: Iterable[str]) -> DecoderConfig:
    """``base`` with some settings changed; naming a model or a lexicon asks for a beam.

    Args:
        base: the bundle's settings.
        overrides: ``decoder=KIND`` or ``decoder.KEY=VALUE``, the value as YAML; files are looked for
            in the working directory before the bundle.

    Raises:
        ConfigError: an unknown key (with the nearest known one) or a value that it refuses.
    """
    from recognizer.decoding.decoder import FILES  # numpy comes with it, which `take_overrides` does without

    values: dict[str, Any] = plain(base)
    chosen: set[str] = set()
    for override in overrides:
        name, _, text = override.partition("=")
        key = name.partition(".")[2] or "kind"
        if key not in values:
            raise ConfigError(f"{name}: no such key{nearest(key, values)}")
        value = _read(text)
        if isinstance(value, str) and key in FILES and Path(value).is_file():
            value = str(Path(value).absolute())
        if key == "second" and isinstance(value, str) and Path(value).is_dir():
            value = str(Path(value).absolute())
        values[key] = value
        chosen.add(key)
    if chosen & {*FILES, "second"} and "kind" not in chosen:
        values["kind"] = "beam"
    return build(DecoderConfig, values, "decoder")


def override_features(base: Features, overrides: Iterable[str]) -> Features:
    """``base`` with some settings changed that its weights can do without: ``features.KEY=VALUE``, the value as YAML.

    Raises:
        ConfigError: an unknown key (with the nearest known one), a value that it refuses or with which other features come out.
    """
    features = base
    for override in overrides:
        name, _, text = override.partition("=")
        if not name.startswith("features."):
            raise ConfigError(f"{override}: expected features.KEY=VALUE")
        features = build(type(base), {**plain(features), name.removeprefix("features."): _read(text)}, "features")
        if not are_akin(base, features):
            raise ConfigError(f"{override}: the weights were trained with other features; how sound is dithered and pictures are cleaned may change")
    return features


def _read(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text
