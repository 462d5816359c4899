"""A recogniser of the box, rebuilt from its corpora by one command: ``python scripts/rebuild_bundle.py speech-en OUT kathleen=FOLDER ...``.

A recipe (``conf/recipe/NAME.yaml``) is a list of `recognizer` commands, each run in OUT. Those that are done are kept in ``OUT/steps.jsonl``
with their wall time and the machine; called again after an interruption, it goes on with the first that is not, a training from its checkpoint.
Called without sources, it says which ones the recipe needs. ``--rehearse`` carries out every step with little of everything, an epoch in each
training and a few items in each set that is made, to see that the way leads to its end: what comes out is not worth using.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import yaml

from recognizer.composition import RECIPES, conf_dir
from recognizer.errors import ConfigError, RecognizerError, TrainingError, nearest
from recognizer.host import name_processor
from recognizer.training.checkpoint import CHECKPOINT

RECORD = "steps.jsonl"
REHEARSED = {"--utterances": 40, "--lines": 40, "--hands": 8, "--items": 8, "--sentences": 2}  # most of what is made in a rehearsal


@dataclass(frozen=True)
class Recipe:
    """What a bundle is made of and how.

    Attributes:
        sources: what has to be at hand, by name: what it is.
        steps: commands in order; ``$NAME`` stands for a source.
    """

    sources: dict[str, str]
    steps: list[str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out the commands that are not done yet; 2 if the recipe cannot be followed, 130 if interrupted, else the code of the step that failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", help="speech-en, handwriting-fr, or the file of a recipe")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for data, runs and the bundle")
    parser.add_argument("sources", nargs="*", metavar="SOURCE=PATH", help="where the corpora lie")
    parser.add_argument("-n", "--dry-run", action="store_true", help="print the commands that are not done yet, and do nothing")
    parser.add_argument("--rehearse", action="store_true", help="every step with little of everything; give it an OUT of its own")
    options = parser.parse_args(arguments)
    try:
        commands = fill(load_recipe(options.recipe), dict(word.partition("=")[::2] for word in options.sources))
        if options.rehearse:
            commands = [rehearse(words) for words in commands]
        return follow(commands, options.out, print_command if options.dry_run else run_command, keep=not options.dry_run)
    except RecognizerError as error:
        print(f"rebuild_bundle: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("rebuild_bundle: interrupted; the same command goes on", file=sys.stderr)
        return 130


def load_recipe(name: str) -> Recipe:
    """A recipe by its name in ``conf/recipe``, or by its file. ``where`` of the file holds abbreviations, ``$NAME`` in its steps.

    Raises:
        ConfigError: there is none, or the file is not a recipe.
    """
    known = {path.stem.replace("_", "-"): path for path in (conf_dir() / RECIPES).glob("*.yaml")}
    path = known.get(name, Path(name))
    if not path.is_file():
        raise ConfigError(f"{name}: no such recipe{nearest(name, known)} (there are {', '.join(sorted(known))})")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict) or not {"sources", "steps"} <= content.keys() <= {"sources", "where", "steps"}:
        raise ConfigError(f"{path}: a recipe has the keys sources, steps and perhaps where")
    if not (isinstance(content["sources"], dict) and isinstance(content.get("where") or {}, dict) and isinstance(content["steps"], list)):
        raise ConfigError(f"{path}: sources and where are names with what they stand for, steps a list of commands")
    where = {key: str(value) for key, value in (content.get("where") or {}).items()}
    steps = [Template(str(step)).safe_substitute(where) for step in content["steps"]]
    return Recipe({key: str(value) for key, value in content["sources"].items()}, steps)


def fill(recipe: Recipe, sources: Mapping[str, str]) -> list[list[str]]:
    """The words of every command, with the sources as absolute paths in their places.

    Raises:
        ConfigError: a source is missing, unknown or not there, or a step names one that the recipe does not list.
    """
    for name, path in sources.items():
        if name not in recipe.sources:
            raise ConfigError(f"{name}: the recipe has no such source{nearest(name, recipe.sources)}")
        if not path or not Path(path).exists():
            raise ConfigError(f"{name}: {path or 'nothing'}: no such file or folder")
    missing = [f"  {name}=PATH   {meaning}" for name, meaning in recipe.sources.items() if name not in sources]
    if missing:
        raise ConfigError("\n".join(["the recipe needs besides", *missing]))
    paths = {name: str(Path(path).absolute()) for name, path in sources.items()}
    try:
        return [[part for word in shlex.split(step) for part in _find(Template(word).substitute(paths))] for step in recipe.steps]
    except (KeyError, ValueError) as error:
        raise ConfigError(f"the recipe is wrong: {error}") from None


def _find(word: str) -> list[str]:
    """The files of a pattern such as ``/books/*.txt``, in order; any other word as it is."""
    if not (word.startswith("/") and "*" in word):
        return [word]
    folder, _, pattern = word.rpartition("/")
    files = sorted(str(path) for path in Path(folder).glob(pattern))
    if not files:
        raise ConfigError(f"{word}: no such files")
    return files


def rehearse(words: Sequence[str]) -> list[str]:
    """A command that makes less of what it makes. What has hardly been trained finds no words to cut out: the recogniser in the box does."""
    less = list(words)
    for name, most in REHEARSED.items():
        if name in words:
            place = words.index(name) + 1
            less[place] = str(min(int(less[place]), most))
    if "--bundle" in less:
        del less[less.index("--bundle") : less.index("--bundle") + 2]
    return [*less, "trainer.epochs=1", "trainer.evaluate_every=1"] if words[0] == "train" else less


def follow(commands: Sequence[Sequence[str]], out: Path, run: Callable[[Sequence[str], Path], int], keep: bool = True) -> int:
    """Carry out commands in a folder, from the first that is not recorded as done.

    A recorded step counts only as long as all before it are those of the recipe: where a recipe has changed, it is followed anew
    from the change on (`recognizer train` refuses a folder that holds a run of the old one). A training that was broken off goes on.

    Args:
        commands: words of `recognizer`.
        run: carries out the words of one in a folder and returns the exit code; 1 means that some items were left out, and is no failure.
        keep: write the record.

    Returns:
        0, or the exit code of the command that failed, after which none was called.

    Raises:
        TrainingError: the record is damaged.
    """
    record = _load_record(out / RECORD, commands)
    broken_off = record.pop() if record and "seconds" not in record[-1] else None
    for number, words in enumerate(commands[len(record) :], start=len(record) + 1):
        step: dict[str, Any] = {"command": list(words)}
        resumed = _resumed(words, out) if step == broken_off else None
        record.append(step)
        if keep:
            _save_record(out / RECORD, record)
        print(f"step {number} of {len(commands)}, {time.strftime('%H:%M')}", flush=True)
        begun = time.perf_counter()
        code = run(resumed or words, out)
        if code not in (0, 1):
            print(f"rebuild_bundle: step {number} ended with exit code {code}; the same command goes on from there", file=sys.stderr)
            return code
        step |= {"seconds": round(time.perf_counter() - begun, 1), "machine": _machine()}
        if keep:
            _save_record(out / RECORD, record)
    return 0


def run_command(words: Sequence[str], folder: Path) -> int:
    """Carry out a command of `recognizer` in a folder."""
    print(shlex.join(["recognizer", *words]), flush=True)
    return subprocess.run([sys.executable, "-m", "recognizer.cli", *words], cwd=folder, check=False).returncode


def print_command(words: Sequence[str], folder: Path) -> int:
    """Print a command only."""
    print(shlex.join(["recognizer", *words]))
    return 0


def _resumed(words: Sequence[str], out: Path) -> list[str] | None:
    """How a training goes on that has left a checkpoint."""
    folder = next((word.removeprefix("run_dir=") for word in words if word.startswith("run_dir=")), None)
    return ["train", "--resume", folder] if folder is not None and (out / folder / CHECKPOINT).exists() else None


def _load_record(path: Path, commands: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        steps = [json.loads(line) for line in lines]
        same = [step["command"] == list(words) for step, words in zip(steps, commands, strict=False)]
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{path}: is not a record of steps ({error}); without it, all are carried out anew") from None
    return steps[: same.index(False) if False in same else len(same)]


def _save_record(path: Path, steps: Sequence[Mapping[str, Any]]) -> None:
    partial = path.with_name(path.name + ".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial.write_text("".join(json.dumps(step, ensure_ascii=False) + "\n" for step in steps), encoding="utf-8")
    partial.replace(path)


def _machine() -> str:
    return f"{name_processor()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())
