"""Settings from the files in ``conf/`` and the overrides of a command line, checked before anything is done."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recognizer.config import RecognizerConfig, TrainConfig
from recognizer.config.schema import from_dict, to_dict, unknown_key, with_defaults
from recognizer.config.sweep import SweepConfig
from recognizer.errors import ConfigError, InputError, nearest
from recognizer.utils.reading import MAX_DEPTH, MAX_DIGITS, parse_yaml

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

CONF = "recognizer.conf"
SWEEP = "sweep"  # the group whose settings are not those of a training


def conf_dir() -> Path:
    """The folder of the settings files, inside the package or the checkout it was installed from."""
    from importlib.resources import files

    return Path(str(files(CONF)))


Pretrained = Callable[[str], RecognizerConfig]  # the settings of a bundle by its name or folder


def compose(overrides: Sequence[str], config_dir: str | Path | None = None, pretrained: Pretrained | None = None) -> TrainConfig:
    """One configuration from overrides such as ``experiment=copiste trainer.epochs=3``.

    Args:
        overrides: choices of groups and values of keys, in Hydra's grammar.
        config_dir: a folder with the layout of ``conf/`` whose files can be chosen too.
        pretrained: where ``init=BUNDLE`` is among the overrides, features, model, objective, text and decoder are what this gives for it, unless
            a file is chosen for them, or for the experiment; overrides of single keys change them. Of a bundle of another objective than
            the chosen one the decoder is not taken.

    Raises:
        ConfigError: an unknown key, group or choice (with the nearest known one), or a value that its key refuses.
    """
    return from_dict(TrainConfig, compose_values(overrides, config_dir, pretrained))


def split_sweep(overrides: Sequence[str], config_dir: str | Path | None = None) -> tuple[SweepConfig, list[str]]:
    """The settings of a sweep, ``sweep=CHOICE`` and ``sweep.KEY=VALUE``, and the other overrides, which are those of its trainings.

    Raises:
        ConfigError: as :func:`compose`.
    """
    parsed = parse_overrides(overrides)
    own = [override for override in parsed if _is_of_sweep(override)]
    for override in own:
        if override.is_sweep_override():
            raise ConfigError(f"{override.input_line}: a setting of the sweep itself has one value")
    files = _compose_files([f"+{override.input_line}" for override in own if override.key_or_group == SWEEP], config_dir)
    values = {SWEEP: with_defaults(SweepConfig, files.get(SWEEP, {}))}
    settings = _override(values, [override for override in own if override.key_or_group != SWEEP], [])[SWEEP]
    return from_dict(SweepConfig, settings, SWEEP), [str(override.input_line) for override in parsed if override not in own]


def compose_values(overrides: Sequence[str], config_dir: str | Path | None = None, pretrained: Pretrained | None = None) -> dict[str, Any]:
    """The settings of :func:`compose` as a nested dictionary, complete, but for the choice of files and keys unchecked."""
    groups = _groups()
    parsed = parse_overrides(overrides)
    for override in parsed:
        if _is_of_sweep(override):
            raise ConfigError(f"{override.input_line}: settings of a sweep need -m (--multirun)")
    chosen = [override for override in parsed if override.key_or_group in groups]
    values = with_defaults(TrainConfig, _compose_files([str(override.input_line) for override in chosen], config_dir))
    init = next((override for override in parsed if override.key_or_group == "init"), None)
    if pretrained is not None and init is not None and not init.is_sweep_override() and isinstance(name := init.value(), str):
        _take_settings(values, pretrained(name), {override.key_or_group for override in chosen})
    return _override(values, [override for override in parsed if override not in chosen], groups)


def _override(values: dict[str, Any], overrides: Sequence[Override], groups: Sequence[str]) -> dict[str, Any]:
    """The nested dictionary with single keys changed; ``groups`` may be meant where a key is mistyped."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    known = [*_flatten(values), *groups]
    config = OmegaConf.create(values)
    for override in overrides:
        key = override.get_key_element().lstrip("+~")
        if override.is_delete():
            raise ConfigError(f"{override.input_line}: settings cannot be deleted; an override is written key=value")
        if override.is_sweep_override():
            raise ConfigError(f"{override.input_line}: several values need -m (--multirun)")
        if key not in known:
            raise ConfigError(f"{key}: {unknown_key(key, known)}")
        OmegaConf.update(config, key, override.value(), merge=True)
    try:
        return OmegaConf.to_container(config, resolve=True, throw_on_missing=True)  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        raise ConfigError(f"{error.full_key}: {str(error).splitlines()[0]}") from None


def _take_settings(values: dict[str, Any], bundle: RecognizerConfig, chosen: set[str]) -> None:
    """Put a bundle's settings in the place of those of groups that nobody has chosen."""
    if "experiment" in chosen:  # which is a choice of all groups
        return
    settings = to_dict(bundle)
    other = "objective" in chosen and values["objective"]["kind"] not in (settings["objective"]["kind"], "minimum_risk")
    chosen = chosen | {"decoder"} if other else chosen  # what was tuned for one objective may not even fit another
    values.update({group: settings[group] for group in ("features", "model", "objective", "decoder") if group not in chosen})
    if "corpus" not in chosen:
        values["corpus"]["text"] = settings["text"]


def _compose_files(choices: Sequence[str], config_dir: str | Path | None) -> dict[str, Any]:
    """What the chosen files say, merged by Hydra; variables such as ``${corpus.name}`` stand as they are."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_module
    from omegaconf import OmegaConf

    search = []
    if config_dir is not None:
        if not Path(config_dir).is_dir():
            raise ConfigError(f"--config-dir: {config_dir} is no folder")
        _check_files(Path(config_dir))
        path = re.sub(r'(["\\])', r"\\\1", Path(config_dir).absolute().as_posix())
        search = [f'hydra.searchpath=["file://{path}"]']
    with hydra_errors(choices, config_dir), initialize_config_module(CONF, version_base="1.3"):
        return OmegaConf.to_container(hydra_compose("config", [*choices, *search]), resolve=False)  # type: ignore[return-value]


def _check_files(folder: Path) -> None:
    """Raise ConfigError for a file of settings that is not YAML or breaks the bounds of :func:`parse_yaml`, which Hydra does not know."""
    for path in sorted(chain(folder.glob("*.yaml"), *(folder.glob(f"{group}/**/*.yaml") for group in _groups()))):
        try:
            parse_yaml(path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"--config-dir: {path} cannot be read: {error}") from None
        except InputError as error:
            raise ConfigError(f"--config-dir: {error}") from None


def parse_overrides(overrides: Sequence[str]) -> list[Override]:
    """Overrides as Hydra reads them.

    Raises:
        ConfigError: one is not in its grammar, or beyond what a setting may hold.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    for override in overrides:
        if not re.match(r"[^=]+=", override):
            raise ConfigError(f"{override!r}: an override is written key=value")
        if re.search(rf"\d{{{MAX_DIGITS + 1}}}", override):
            raise ConfigError(f"{override:.80}...: a number of more than {MAX_DIGITS} digits")
        if len(re.findall(r"[\[{(]", override)) > MAX_DEPTH:
            raise ConfigError(f"{override:.80}...: more than {MAX_DEPTH} lists and groups within each other")
    with hydra_errors(overrides):
        return OverridesParser.create().parse_overrides(list(overrides))


def _is_of_sweep(override: Override) -> bool:
    return override.key_or_group.partition(".")[0] == SWEEP


def _groups() -> list[str]:
    return [entry.name for entry in conf_dir().iterdir() if entry.is_dir() and entry.name[0] not in "_."]


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        yield f"{prefix}{key}"  # a file may have a number as a key
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")


@contextmanager
def hydra_errors(overrides: Sequence[str], config_dir: str | Path | None = None) -> Iterator[None]:
    """Turn Hydra's exceptions into one line that names the override."""
    from hydra.errors import HydraException, MissingConfigException

    try:
        yield
    except MissingConfigException as error:
        group, _, choice = (error.missing_cfg_file or "").rpartition("/")
        folders = [conf_dir(), *([Path(config_dir)] if config_dir is not None else [])]
        choices = sorted(path.stem for folder in folders for path in (folder / group).glob("*.yaml"))
        raise ConfigError(f"{group}: {choice!r} is not one of {', '.join(choices)}{nearest(choice, choices)}") from None
    except (HydraException, ValueError) as error:
        if not isinstance(error, HydraException) and "Config group override" not in str(error):
            raise
        message = " ".join(str(error).split()).split(" See https://")[0]
        named = getattr(error, "override", None) or " ".join(overrides)
        raise ConfigError(message if named in message else f"{named}: {message}") from None
