"""Tiny corpora that are learnt in seconds (tones that spell, drawn glyphs, pen strokes), recognisers that have learnt them, and the command line."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import soundfile
import yaml
from hypothesis import settings
from PIL import Image

from recognizer.config import TrainConfig
from recognizer.config.schema import from_dict
from recognizer.data.manifest import Item, load_manifest, save_manifest

settings.register_profile("steady", derandomize=True, deadline=None)  # the same examples in every run
settings.load_profile("steady")

os.environ["RECOGNIZER_CONFIG"] = os.environ["RECOGNIZER_MODELS"] = ""  # nothing of whoever runs the tests

RATE = 8000
PITCHES = {"a": 400, "b": 800, "c": 1400, "d": 2300}  # Hz
BOXES = {"a": [(3, 17, 0, 2)], "b": [(9, 11, 0, 8)], "c": [(3, 17, 0, 8)], "d": [(3, 5, 0, 8), (15, 17, 0, 8)]}  # rows, columns of ink


def speak_letters(text: str, generator: np.random.Generator) -> np.ndarray:
    """Samples (N,) float32 at 8 kHz: a tone for every letter, about 0.1 s each, in a little noise."""
    parts = [np.zeros(200)]
    for letter in text:
        seconds = np.arange(int(RATE * generator.uniform(0.07, 0.1))) / RATE
        parts += [0.4 * np.sin(2 * np.pi * PITCHES[letter] * seconds) * np.hanning(len(seconds)), np.zeros(240)]
    samples = np.concatenate(parts)
    return (samples + 0.003 * generator.standard_normal(len(samples))).astype(np.float32)


def draw_letters(text: str, generator: np.random.Generator) -> np.ndarray:
    """Grey picture (20, W) uint8: a glyph of bars for every letter, 12 columns each."""
    picture = np.full((20, 8 + 12 * len(text)), 255, dtype=np.uint8)
    for place, letter in enumerate(text):
        left = 6 + 12 * place + int(generator.integers(-1, 2))
        ink = generator.integers(0, 60)
        for top, bottom, first, stop in BOXES[letter]:
            picture[top:bottom, left + first : left + stop] = ink
    return picture


def write_letters(text: str, generator: np.random.Generator) -> list[np.ndarray]:
    """Strokes (N, 3: x, y downwards, seconds): one or two for every letter, in a hand that leans and climbs a little."""
    steps = np.linspace(0, 1, 12)
    shapes = {
        "a": [np.stack([0 * steps, 1 - steps])],  # a downstroke
        "b": [np.stack([0.5 - 0.5 * np.cos(2 * np.pi * steps), 0.5 + 0.5 * np.sin(2 * np.pi * steps)])],  # a loop
        "c": [np.stack([steps, np.abs(2 * steps - 1)])],  # a V
        "d": [np.stack([0 * steps, 1 - steps]), np.stack([0.4 + 0 * steps, 1 - steps])],  # two downstrokes
    }
    size, lean, climb = generator.uniform(20, 60), generator.uniform(-0.1, 0.3), generator.uniform(-0.04, 0.04)
    strokes, left, time = [], 0.0, 0.0
    for letter in text:
        for shape in shapes[letter]:
            x, y = left + shape[0] * generator.uniform(0.8, 1.1), shape[1] + 0.02 * generator.standard_normal(12)
            x, y, times = x + lean * y, y + climb * x, time + 0.02 * np.arange(12)
            strokes.append(np.stack([100 + size * x, 900 - size * y, times], axis=1))
            time = times[-1] + 0.1
        left += 1.6
    return strokes


def ink_document(strokes: list[np.ndarray], **annotations: str) -> str:
    """An InkML document of strokes (N, 3: x, y, seconds)."""
    notes = "".join(f'<annotation type="{name}">{text}</annotation>' for name, text in annotations.items())
    channels = "".join(f'<channel name="{name}"/>' for name in "XYT")
    traces = "".join(
        "<trace>" + ", ".join(f"{x:.2f} {y:.2f} {1000 * t:.0f}" for x, y, t in stroke) + "</trace>" for stroke in strokes)
    return f'<ink xmlns="http://www.w3.org/2003/InkML">{notes}<traceFormat>{channels}</traceFormat>{traces}</ink>'


@dataclass(frozen=True)
class Corpus:
    """A folder with train.jsonl, dev.jsonl and their files, and settings that learn it."""

    root: Path
    settings: dict[str, Any]

    def items(self, name: str = "dev") -> list[Item]:
        return load_manifest(self.root / f"{name}.jsonl")

    def values(self, run_dir: Path, changes: dict[str, Any] | None = None) -> dict[str, Any]:
        """Settings as a nested dictionary; ``changes`` are by dotted key, a whole group or a value."""
        values: dict[str, Any] = yaml.safe_load(yaml.safe_dump(self.settings))
        values |= {"corpus": {"name": "tiny", "root": str(self.root)}, "run_dir": str(run_dir)}
        for key, value in (changes or {}).items():
            *parents, last = key.split(".")
            group = values
            for parent in parents:
                group = group.setdefault(parent, {})
            group[last] = value
        return values

    def config(self, run_dir: Path, changes: dict[str, Any] | None = None) -> TrainConfig:
        return from_dict(TrainConfig, self.values(run_dir, changes))

    def save_config(self, path: Path, run_dir: Path, changes: dict[str, Any] | None = None) -> Path:
        path.write_text(yaml.safe_dump(self.values(run_dir, changes)))
        return path


TRAINER = {"optimizer": "adam", "learning_rate": 0.01, "schedule": "constant", "warmup_steps": 10, "max_batch_size": 8,
    "ema_decay": 0.0, "num_workers": 0, "threads": 1, "cache": False}  # fmt: skip
SPEECH = {
    "features": {"kind": "fbank", "sample_rate": RATE, "num_mel_bins": 20, "normalize": "corpus"},
    "model": {"frontend": {"kind": "stack", "frames": 3}, "num_layers": 1, "hidden_size": 16},
    "trainer": TRAINER | {"epochs": 6},
    "device": "cpu",
}
HANDWRITING = {
    "features": {"kind": "pixels", "height": 16},
    "model": {
        "frontend": {"kind": "line_cnn", "channels": [8, 16], "time_strides": [2, 2], "height_strides": [2, 2], "dropout": 0.0},
        "num_layers": 1, "hidden_size": 16,
    },
    "trainer": TRAINER | {"epochs": 14},
    "device": "cpu",
}  # fmt: skip

TRACES = {
    "features": {"kind": "strokes"},
    "model": {"frontend": {"kind": "stack", "frames": 3}, "num_layers": 1, "hidden_size": 16},
    "trainer": TRAINER | {"epochs": 9},
    "device": "cpu",
}


def _make_corpus(root: Path, settings: dict[str, Any], write: Callable[[str, np.random.Generator, Path], Path]) -> Corpus:
    for name, count, seed in (("train", 64, 1), ("dev", 24, 2)):
        generator = np.random.default_rng(seed)
        items = []
        for number in range(count):
            text = "".join(generator.choice(list(PITCHES), int(generator.integers(2, 6))))
            source = write(text, generator, root / f"{name}{number:02d}")
            items.append(Item(f"{name}{number:02d}", source, text=text, units=tuple(text), group=f"g{number % 4}"))
        save_manifest(items, root / f"{name}.jsonl")
    return Corpus(root, settings)


@pytest.fixture(scope="session")
def speak() -> Callable[[str, np.random.Generator], np.ndarray]:
    return speak_letters


@pytest.fixture(scope="session")
def draw() -> Callable[[str, np.random.Generator], np.ndarray]:
    return draw_letters


@pytest.fixture(scope="session")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    def write(text: str, generator: np.random.Generator, stem: Path) -> Path:
        soundfile.write(stem.with_suffix(".wav"), speak_letters(text, generator), RATE)
        return stem.with_suffix(".wav")

    return _make_corpus(tmp_path_factory.mktemp("tones"), SPEECH, write)


@pytest.fixture(scope="session")
def glyphs(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    def write(text: str, generator: np.random.Generator, stem: Path) -> Path:
        Image.fromarray(draw_letters(text, generator)).save(stem.with_suffix(".png"))
        return stem.with_suffix(".png")

    return _make_corpus(tmp_path_factory.mktemp("glyphs"), HANDWRITING, write)


@pytest.fixture(scope="session")
def pen() -> Callable[[str, np.random.Generator], list[np.ndarray]]:
    return write_letters


@pytest.fixture(scope="session")
def ink() -> Callable[..., str]:
    return ink_document


@pytest.fixture(scope="session")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    def write(text: str, generator: np.random.Generator, stem: Path) -> Path:
        stem.with_suffix(".inkml").write_text(ink_document(write_letters(text, generator)))
        return stem.with_suffix(".inkml")

    return _make_corpus(tmp_path_factory.mktemp("traces"), TRACES, write)


def _trained(corpus: Corpus, run_dir: Path, changes: dict[str, Any] | None = None) -> Path:
    from recognizer.training.run import train

    train(corpus.config(run_dir, changes), quiet=True)
    return run_dir


@pytest.fixture(scope="session")
def speech_run(tones: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run on the tones; not to be changed."""
    return _trained(tones, tmp_path_factory.mktemp("runs") / "speech")


@pytest.fixture(scope="session")
def stream_run(tones: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run on the tones whose network streams, both directions in chunks; not to be changed."""
    changes = {"model.chunk_ms": 90.0, "model.lookahead_ms": 60.0, "trainer.epochs": 8}
    return _trained(tones, tmp_path_factory.mktemp("runs") / "stream", changes)


@pytest.fixture(scope="session")
def line_run(glyphs: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run on the glyphs; not to be changed."""
    return _trained(glyphs, tmp_path_factory.mktemp("runs") / "lines")


@pytest.fixture(scope="session")
def trace_run(traces: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run on the pen strokes; not to be changed."""
    return _trained(traces, tmp_path_factory.mktemp("runs") / "traces")


class Outcome(NamedTuple):
    code: int
    out: list[str]
    err: list[str]


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Call the command line in this process; lines of both streams, also those that C libraries write."""
    # what is said of compiling depends on what ran before on this machine
    monkeypatch.setattr("recognizer.cli.main.announce_compiling", lambda tell: None)
    monkeypatch.setattr("recognizer.utils.compiling._tell", None)  # a test that called main itself may have set it

    def call(*words: object) -> Outcome:
        from recognizer.cli.main import main

        capfd.readouterr()
        try:
            code = main([str(word) for word in words])
        except SystemExit as stop:  # argparse
            code = int(stop.code or 0)
        printed = capfd.readouterr()
        return Outcome(code, printed.out.splitlines(), printed.err.splitlines())

    return call


@pytest.fixture
def full_disk() -> Callable[[int], contextlib.AbstractContextManager[None]]:
    """Within the block no file can grow beyond so many bytes, which fails as a full disk does."""
    resource = pytest.importorskip("resource", reason="limits of a process are to be had on Unix only")

    @contextlib.contextmanager
    def limited(size: int) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limited
