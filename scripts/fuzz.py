"""Damaged inputs of every kind, thousands of them: ``python scripts/fuzz.py png --count 10000 --seed 1``, or ``all``.

Each is a small valid file with a few bits, numbers, lines or lengths changed (:mod:`fuzz_inputs`). It must be read or refused with an error of
the package's own. Anything else is a finding, printed with its number: another exception, a process that ends, more than 1 GB of memory
above that of a valid input, more than 20 seconds of processor time. Input NUMBER of a seed is always the same:
``fuzz.py KIND --seed S --only NUMBER --keep FOLDER`` writes it into FOLDER and reads it once more.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from fuzz_inputs import KINDS, PICTURES, SOUNDS, Files, damage, make_seeds

from recognizer.errors import RecognizerError

MEMORY = 1 << 30  # bytes above what the process has when valid inputs were read
SECONDS = 20  # of processor time an input
WAIT = 15 * SECONDS  # of any kind, for an input that waits for something
SYMPTOM = re.compile(r": ([A-Z]\w*(?:Error|Exception|Warning|Interrupt)): ")  # how an input's own error names an exception nobody expected

Outcome = tuple[str, str]  # "read", "refused" or "finding", and what was said


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz the kinds asked for; 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("all", *KINDS), help="kind of input")
    parser.add_argument("--count", type=int, default=1000, help="how many inputs of each kind (default 1000)")
    parser.add_argument("--first", type=int, default=0, metavar="NUMBER", help="number of the first (default 0)")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="this one alone")
    parser.add_argument("--seed", type=int, default=1, help="of the damage (default 1)")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write what was found here, a folder each")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    numbers = range(options.first, options.first + options.count) if options.only is None else range(options.only, options.only + 1)
    if options.worker:
        work(options.kind, options.seed, numbers)
        return 0
    found = 0
    for kind in KINDS if options.kind == "all" else (options.kind,):
        counts = {"read": 0, "refused": 0, "finding": 0}
        for number, (outcome, text) in run_workers(kind, options.seed, numbers):
            counts[outcome] += 1
            if outcome == "finding":
                print(f"{kind} {number} (seed {options.seed}): {text}", flush=True)
            if options.keep is not None and (outcome == "finding" or options.only is not None):
                write_files(make_input(kind, options.seed, number), options.keep / f"{kind}-{options.seed}-{number}")
        print(f"{kind}: {len(numbers)} inputs: {counts['read']} read, {counts['refused']} refused, {counts['finding']} found", flush=True)
        found += counts["finding"]
    return int(found > 0)


@cache
def _seeds(kind: str) -> list[Files]:
    return make_seeds(kind)


def make_input(kind: str, seed: int, number: int) -> Files:
    """The damaged input of a number, the same in every process."""
    rng = random.Random(f"{kind} {seed} {number}")
    return damage(kind, rng.choice(_seeds(kind)), rng)


def write_files(files: Files, folder: Path) -> Path:
    """Write the files of an input; returns where the first lies."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder / next(iter(files))


def run_workers(kind: str, seed: int, numbers: range) -> Iterator[tuple[int, Outcome]]:
    """Read the inputs in a process of their own, another one after each that ends it."""
    place = numbers.start
    while place < numbers.stop:
        words = [sys.executable, __file__, kind, "--worker", "--seed", seed, "--first", place, "--count", numbers.stop - place]
        settings = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        with (
            tempfile.TemporaryFile("w+") as said,
            subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, stderr=said, text=True, env=settings) as worker,
        ):
            assert worker.stdout is not None
            current: int | None = None
            for line in worker.stdout:
                number, outcome, text = line.rstrip("\n").split(" ", 2)
                current = int(number) if outcome == "begin" else None
                place = int(number) + 1
                if outcome != "begin":
                    yield int(number), (outcome, text)
            code = worker.wait()
            said.seek(0)
            last = said.read()[-2000:]
        if current is not None:
            yield current, ("finding", _describe_end(code, last))
        elif code:
            raise SystemExit(f"{kind}: the worker ended with {code} before any input was read:\n{last}")


def _describe_end(code: int, said: str) -> str:
    if -code in (signal.SIGPROF, signal.SIGALRM):
        return f"took more than {SECONDS} s"
    name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return f"the process ended ({name}): {' '.join(said.split())[-300:]}"


def work(kind: str, seed: int, numbers: Iterable[int]) -> None:
    """Read inputs one after the other and print a line before and after each; limits end the process."""
    with tempfile.TemporaryDirectory() as place:
        for index, files in enumerate(_seeds(kind)):
            outcome = try_input(kind, files, Path(place) / f"valid{index}")
            if outcome[0] != "read":
                raise SystemExit(f"{kind}: a valid input is not read: {outcome[1]}")
        limit_memory()
        for number in numbers:
            files = make_input(kind, seed, number)
            folder = Path(place) / "input"
            print(number, "begin", "", flush=True)
            signal.setitimer(signal.ITIMER_PROF, SECONDS)  # nobody handles these signals: they end the process, whatever it runs
            signal.setitimer(signal.ITIMER_REAL, WAIT)
            outcome, text = try_input(kind, files, folder)
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
            print(number, outcome, " ".join(text.encode("ascii", "backslashreplace").decode().split())[:1000], flush=True)
            shutil.rmtree(folder, ignore_errors=True)


def limit_memory() -> None:
    """Let this process have so much more memory than it has now, where the system can tell (Linux)."""
    try:
        import resource

        status = Path("/proc/self/status").read_text()
    except (ImportError, OSError):
        return
    size = int(re.search(r"VmData:\s*(\d+) kB", status)[1]) << 10  # type: ignore[index]
    resource.setrlimit(resource.RLIMIT_DATA, (size + MEMORY, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def try_input(kind: str, files: Files, folder: Path) -> Outcome:
    """Read an input as the package's commands do."""
    path = write_files(files, folder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            said = READERS[kind](path)
    except RecognizerError as error:
        if memory := _find_cause(error, MemoryError):
            return "finding", f"asked for too much memory, and said {error} ({_where(memory)})"
        return "refused", str(error)
    except BaseException as error:
        return "finding", f"{type(error).__name__}: {error} ({_where(error)})"
    if said and (symptom := SYMPTOM.search(said)):
        return "finding", f"{symptom[1]} became the error of the input: {said}"
    return ("refused", said) if said else ("read", "")


def _find_cause(error: BaseException | None, kind: type[BaseException]) -> BaseException | None:
    while error is not None and not isinstance(error, kind):
        error = error.__context__
    return error


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/recognizer/" in frame.filename or "/data_prep/" in frame.filename] or frames
    return f"{Path(own[-1].filename).name}:{own[-1].lineno}"


def _read_input(features: Any) -> Callable[[Path], str | None]:
    """As transcribing reads it, and then as training and the audit do; the error of the input, if it has one."""

    def read(path: Path) -> str | None:
        from recognizer.data.loading import is_clipped, is_empty, read_array
        from recognizer.inference.inputs import InputLoader

        settings = features()
        loaded = InputLoader(settings, 20_000, 160).load(0, str(path))
        if loaded.content is not None and not hasattr(loaded.content, "shape"):
            try:
                for _ in loaded.content:
                    pass
            except RecognizerError as error:
                loaded.error = str(error)
        try:
            array = read_array(path, settings)
            is_empty(array), is_clipped(array)
        except RecognizerError:
            if _find_cause(sys.exception(), MemoryError):
                raise
        return loaded.error

    return read


def _audio() -> Any:
    from recognizer.config import AudioFeatures

    return AudioFeatures()


def _line() -> Any:
    from recognizer.config import LineFeatures

    return LineFeatures()


def _strokes() -> Any:
    from recognizer.config import StrokeFeatures

    return StrokeFeatures()


def _read_layout(corpus: str) -> Callable[[Path], str | None]:
    def read(path: Path) -> str | None:
        from recognizer.data.preparation import prepare

        said: list[str] = []
        prepare(corpus, path.parent, path.parent / "out", drop=lambda error: said.append(str(error)), note=said.append)
        return "; ".join(said) or None

    return lambda path: None if (text := read(path)) and SYMPTOM.search(text) is None else text


def _read_manifest(path: Path) -> str | None:
    from recognizer.config import TextConfig
    from recognizer.data.loading import read_array
    from recognizer.data.manifest import load_manifest, save_manifest, target
    from recognizer.data.preparation import count_items
    from recognizer.data.split import SplitPlan, divide

    items = load_manifest(path)
    for item in items:
        target(item, TextConfig(case="lower", drop=".,"))
        with suppress(RecognizerError):
            read_array(item.source, _audio())
    count_items(items)
    divide(items, SplitPlan(dev=0.3))
    save_manifest(items, path.with_name("copy.jsonl"))
    return None


def _read_bundle(path: Path) -> str | None:
    import numpy as np

    from recognizer.bundle.io import load_bundle
    from recognizer.inference.recognizer import Recognizer

    recognizer = Recognizer(load_bundle(path.parent), device="cpu", threads=1)
    steps = np.arange(40.0)
    source = {"audio": np.sin(np.arange(4000.0)).astype(np.float32), "line": np.tile(np.uint8([[250, 20, 250, 250]]), (20, 20)),
        "strokes": np.stack([steps, steps % 7, steps / 50, steps // 20], axis=1)}[recognizer.config.modality]  # fmt: skip
    return next(iter(recognizer.transcribe([source], n_best=2, times=True))).error


def _read_ngram(path: Path) -> str | None:
    from io import StringIO

    from recognizer.lm.arpa import write_arpa
    from recognizer.lm.binary import load_ngram

    model = load_ngram(path)
    for text in ("the quick brown fox", "", "zzz ab ba", *model.symbols[:20]):
        model.sentence_log_prob(text)
    for state in range(len(model.backoff)):
        for label in range(0, len(model.symbols), 5):
            model.score(state, label)
    write_arpa(model, StringIO())
    return None


def _read_lexicon(path: Path) -> str | None:
    from fuzz_inputs import TEXTS

    from recognizer.decoding.lexicon_trie import build_trie, load_spellings
    from recognizer.text.alphabet import Alphabet
    from recognizer.text.lexicon import load_lexicon, pronounce

    lexicon = load_lexicon(path)
    try:
        pronounce("the quick brown fox", lexicon)
    finally:
        alphabet = Alphabet.of(TEXTS)
        build_trie(load_spellings(path, alphabet), alphabet)
    return None


def _read_text(path: Path) -> str | None:
    from recognizer.lm.text import read_sentences

    for running in (False, True):
        for _ in read_sentences([path], running=running, punctuation=not running):
            pass
    return None


def _read_config(path: Path) -> str | None:
    from recognizer.config import TrainConfig
    from recognizer.config.compose import compose
    from recognizer.config.schema import from_dict, to_dict
    from recognizer.errors import ConfigError
    from recognizer.utils.reading import parse_yaml

    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return "not UTF-8"  # the command line says so
    try:
        values = parse_yaml(text, str(path))
        if not isinstance(values, dict):
            raise ConfigError("no settings")
        to_dict(from_dict(TrainConfig, values))
    finally:
        if len(text) % 4 == 0:  # slow
            folder = path.parent / "conf" / "experiment"
            folder.mkdir(parents=True)
            (folder / "own.yaml").write_text("# @package _global_\n" + text, encoding="utf-8")
            compose(["experiment=own"], path.parent / "conf")
    return None


def _read_checkpoint(path: Path) -> str | None:
    import torch

    from recognizer.training.checkpoint import load_checkpoint

    load_checkpoint(path.parent, torch.device("cpu"))
    return None


READERS: dict[str, Callable[[Path], str | None]] = {
    **dict.fromkeys(SOUNDS, _read_input(_audio)), **dict.fromkeys(PICTURES, _read_input(_line)),
    "inkml": _read_input(_strokes), "ondb": _read_input(_strokes), "alto": _read_layout("alto"), "page": _read_layout("page"),
    "manifest": _read_manifest, "bundle": _read_bundle, "ngram": _read_ngram,
    "arpa": _read_ngram, "lexicon": _read_lexicon, "text": _read_text, "config": _read_config, "checkpoint": _read_checkpoint,
}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
