"""`recognizer train`: from the words of the command line to one or several runs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import yaml

from recognizer.composition import compose, compose_sweep
from recognizer.config import TrainConfig
from recognizer.errors import ConfigError
from recognizer.strict import build, plain


def run_train(options: argparse.Namespace) -> int:
    """Carry out the command. All settings are checked before the first folder is made."""
    configs = _configs(options)
    if options.show:
        for config in configs:
            print(yaml.safe_dump(plain(config), sort_keys=False, allow_unicode=True), end="")
        return 0
    from recognizer.training.run import train

    for config in configs:
        print(train(config, resume=options.resume is not None, quiet=options.quiet))
    return 0


def _configs(options: argparse.Namespace) -> list[TrainConfig]:
    if options.resume is not None:
        from recognizer.training.run import resumed_config

        return [resumed_config(options.resume, _trainer_overrides(options.overrides))]
    if options.config is not None:
        return [_from_file(Path(options.config), options.overrides)]
    return compose_sweep(options.overrides) if options.multirun else [compose(options.overrides)]


def _from_file(path: Path, overrides: list[str]) -> TrainConfig:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"--config: {path} cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"--config: {path} holds no settings")
    for key, value in map(_split, overrides):
        *parents, last = key.split(".")
        group = values
        for parent in parents:
            group = group.setdefault(parent, {})
            if not isinstance(group, dict):
                raise ConfigError(f"{key}: {parent} is not a group of keys")
        group[last] = value
    return build(TrainConfig, values)


def _trainer_overrides(overrides: list[str]) -> dict[str, Any]:
    """What may change when a run goes on: the trainer's settings only, since all else would make it another run."""
    changed = {}
    for key, value in map(_split, overrides):
        if not key.startswith("trainer."):
            raise ConfigError(f"{key}: with --resume only trainer.* can be changed; for another model start a new run with init=BUNDLE")
        changed[key.removeprefix("trainer.")] = value
    return changed


def _split(override: str) -> tuple[str, Any]:
    key, equals, value = override.partition("=")
    if not equals:
        raise ConfigError(f"{override!r}: an override is written key=value")
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError(f"{override!r}: the value is not YAML") from None
