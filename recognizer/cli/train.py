"""Train a recognizer, or adapt one to other data."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recognizer.errors import ConfigError, InputError

if TYPE_CHECKING:
    from recognizer.config import RecognizerConfig, TrainConfig
    from recognizer.training.sweep import Sweep

EXAMPLE = "recognizer train corpus.root=data/mine features=pixels augment=handwriting model=line_cnn_blstm"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.epilog = "Settings are described in conf/README.md; `recognizer train --show` prints all of them."
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="settings, such as corpus.root=DIR model=gru trainer.epochs=20")
    parser.add_argument("-m", "--multirun", action="store_true", help="train every combination of comma-separated values, or as sweep=CHOICE says")
    parser.add_argument("--config", metavar="FILE", help="start from a config.yaml that another run wrote")
    parser.add_argument("--config-dir", metavar="DIR", help="a folder like conf/ with choices of your own, such as DIR/experiment/NAME.yaml")
    parser.add_argument("--resume", metavar="RUN", help="go on with the run in this folder")
    parser.add_argument("--show", action="store_true", help="print the settings and stop")
    parser.set_defaults(takes_overrides=True)


def run(options: argparse.Namespace) -> int:
    """Carry out the command. All settings are checked before the first folder is made."""
    import yaml

    from recognizer.config.schema import to_dict
    from recognizer.config.sweep import SweepConfig

    sweep = _sweep(options)
    configs = _configs(options) if sweep is None else sweep.configs
    if options.show:
        shown = [to_dict(config) for config in configs]
        shown += [] if sweep is None or sweep.settings == SweepConfig() else [{"sweep": to_dict(sweep.settings)}]
        for settings in shown:
            print(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True), end="")
        return 0
    from recognizer.training.ranks import Ranks
    from recognizer.training.run import train

    if sweep is not None and Ranks.of_environment().world == 1:
        results = sweep.run(options.quiet, print)
        return 1 if any(outcome.error is None for _, outcome in results) else 0
    if sweep is not None and (sweep.settings.sampled or sweep.settings.launcher != "here"):
        raise ConfigError("sweep: under torchrun a grid alone can be trained, one after another; start the sweep without torchrun")
    for config in configs:
        bundle = train(config, resume=options.resume is not None, quiet=options.quiet)
        if Ranks.of_environment().writes:
            print(bundle)
    return 0


def _sweep(options: argparse.Namespace) -> Sweep | None:
    if not options.multirun:
        return None
    named = "--resume" if options.resume is not None else "--config"
    if options.resume is not None or options.config is not None:
        raise ConfigError(f"-m: does not go with {named}, which names one training; give its settings as overrides")
    from recognizer.training.sweep import Sweep

    return Sweep(options.overrides, options.config_dir)


def _configs(options: argparse.Namespace) -> list[TrainConfig]:
    from recognizer.config.compose import compose

    if options.resume is not None:
        from recognizer.training.run import resumed_config

        return [resumed_config(options.resume, _trainer_overrides(options.overrides))]
    if options.config is not None:
        return [_from_file(Path(options.config), options.overrides)]
    return [compose(options.overrides, options.config_dir, _pretrained_settings)]


def _pretrained_settings(bundle: str) -> RecognizerConfig:
    from recognizer.training.transfer import pretrained_settings

    return pretrained_settings(bundle)


def _from_file(path: Path, overrides: list[str]) -> TrainConfig:
    from recognizer.config import TrainConfig
    from recognizer.config.overrides import split_override
    from recognizer.config.renamed import carry_over
    from recognizer.config.schema import from_dict
    from recognizer.utils.reading import parse_yaml

    try:
        values = carry_over(parse_yaml(path.read_text(encoding="utf-8"), str(path)))
    except (OSError, UnicodeDecodeError, InputError) as error:
        raise ConfigError(f"--config: {path} cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"--config: {path} holds no settings")
    for key, value in map(split_override, overrides):
        *parents, last = key.split(".")
        group = values
        for parent in parents:
            group = group.setdefault(parent, {})
            if not isinstance(group, dict):
                raise ConfigError(f"{key}: {parent} is not a group of keys")
        group[last] = value
    return from_dict(TrainConfig, values)


def _trainer_overrides(overrides: list[str]) -> dict[str, Any]:
    """What may change when a run goes on: the settings of the trainer only, since all else would make it another run."""
    from recognizer.config.overrides import split_override

    changed = dict(map(split_override, overrides))
    for key in changed:
        if not key.startswith("trainer."):
            raise ConfigError(f"{key}: with --resume only trainer.* can be changed; for another model start a new run with init=BUNDLE")
    return {key.removeprefix("trainer."): value for key, value in changed.items()}
