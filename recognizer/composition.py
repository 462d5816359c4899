"""Settings from the YAML files in ``conf/`` and the overrides of a command line, checked before anything is done."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any

from recognizer.config import TrainConfig
from recognizer.errors import ConfigError, nearest
from recognizer.strict import build

CONF = "recognizer.conf"
RECIPES = "recipe"  # folder of lists of commands, which are no settings


def conf_dir() -> Path:
    """The folder of the settings files, inside the package or the checkout it was installed from."""
    from importlib.resources import files

    return Path(str(files(CONF)))


def compose(overrides: Sequence[str]) -> TrainConfig:
    """One configuration from Hydra overrides such as ``experiment=copiste trainer.epochs=3``.

    Raises:
        ConfigError: an unknown key, group or choice (with the nearest known one), or a value that its key refuses.
    """
    return build(TrainConfig, _compose(overrides))


def compose_sweep(overrides: Sequence[str]) -> list[TrainConfig]:
    """The configurations of a Hydra multirun: every combination of comma-separated values, each in a run_dir of its own.

    All are checked before the first is returned.
    """
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser

    with _hydra_errors(overrides):
        parsed = OverridesParser.create().parse_overrides(list(overrides))
        batches = BasicSweeper.split_arguments(parsed, max_batch_size=None)
    swept = {override.get_key_element() for override in parsed if override.is_sweep_override()}
    configs: list[TrainConfig] = []
    for job in (job for batch in batches for job in batch):
        config = _compose(job)
        varied = [part for part in job if part.split("=", 1)[0] in swept]
        if varied:
            name = re.sub(r"[^\w.=,+-]", "_", ",".join(varied))
            config["run_dir"] = _untaken(str(Path(config["run_dir"]) / name), {other.run_dir for other in configs})
        configs.append(build(TrainConfig, config))
    return configs


def _untaken(run_dir: str, taken: Collection[str]) -> str:
    """``run_dir``, numbered where values that differ in special characters only, or not at all, share it."""
    numbered = (f"{run_dir}-{number}" for number in count(2))
    return next(name for name in chain([run_dir], numbered) if name not in taken)


def _compose(overrides: Sequence[str]) -> dict[str, Any]:
    from hydra import compose as hydra_compose
    from hydra import initialize_config_module
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    with _hydra_errors(overrides), initialize_config_module(CONF, version_base="1.3"):
        groups = [override for override in overrides if _is_group(override)]
        known = OmegaConf.to_container(hydra_compose("config", groups), resolve=False)
        _check_keys([override for override in overrides if override not in groups], known)
        config = hydra_compose("config", list(overrides))
        try:
            return OmegaConf.to_container(config, resolve=True, throw_on_missing=True)  # type: ignore[return-value]
        except OmegaConfBaseException as error:
            raise ConfigError(f"{error.full_key}: {str(error).splitlines()[0]}") from None


def _is_group(override: str) -> bool:
    name = override.lstrip("+~").split("=", 1)[0].split("@", 1)[0]
    return not name or name in _groups()  # of one without a name, Hydra says best what is wrong


def _groups() -> list[str]:
    return [entry.name for entry in conf_dir().iterdir() if entry.is_dir() and entry.name[0] not in "_." and entry.name != RECIPES]


def _check_keys(overrides: Sequence[str], known: Any) -> None:
    """Refuse a misspelt key before Hydra does, whose message names no alternative."""
    paths = [*_flatten(known), *_groups()]
    for override in overrides:
        key, equals, _ = override.partition("=")
        if not equals:
            raise ConfigError(f"{override!r}: an override is written key=value")
        if key.lstrip("+~") not in paths:
            raise ConfigError(f"{key}: no such key{nearest(key, paths)}")


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        yield prefix + key
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")


class _hydra_errors:
    """Turn Hydra's exceptions into one line that names the override."""

    def __init__(self, overrides: Sequence[str]) -> None:
        self.overrides = overrides

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        from hydra.errors import HydraException, MissingConfigException

        if isinstance(error, MissingConfigException):
            group, _, choice = (error.missing_cfg_file or "").rpartition("/")
            choices = error.options or sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))
            raise ConfigError(f"{group}: {choice!r} is not one of {', '.join(choices)}{nearest(choice, choices)}") from None
        if isinstance(error, HydraException) or (isinstance(error, ValueError) and "Config group override" in str(error)):
            message = " ".join(str(error).split()).split(" See https://")[0]
            named = getattr(error, "override", None) or " ".join(self.overrides)
            raise ConfigError(message if named in message else f"{named}: {message}") from None
