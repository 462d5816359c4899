"""Small corpora on disk, and a way to read them that collects what a reader says."""

from __future__ import annotations

import argparse
import importlib
import os
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image

from recognizer.data.manifest import Item


class Reading(NamedTuple):
    items: list[Item]
    dropped: list[str]
    notes: list[str]


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Reading]:
    """Call a reader with command-line options; files it makes go to tmp_path/out."""

    def call(corpus: str, source: Path, *words: str, seed: int = 1, out: str = "out") -> Reading:
        module: Any = importlib.import_module(f"recognizer.data_prep.{corpus}")
        parser = argparse.ArgumentParser()
        module.add_arguments(parser)
        reading = Reading([], [], [])
        options = parser.parse_args(words)
        options.made, options.seed = tmp_path / out, seed
        options.drop = lambda error: reading.dropped.append(str(error))
        options.note = reading.notes.append
        reading.items.extend(module.read(source, options))
        return reading

    return call


@pytest.fixture
def write() -> Callable[[Path, str | bytes], Path]:
    """Write a file, making its folders."""

    def call(path: Path, content: str | bytes) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return call


@pytest.fixture
def sound() -> Callable[..., Path]:
    """Write silence."""

    def call(path: Path, seconds: float = 0.1) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(bytes(2 * round(8000 * seconds)))
        return path

    return call


@pytest.fixture
def picture() -> Callable[..., Path]:
    """Write a gray image."""

    def call(path: Path, size: tuple[int, int] = (40, 10), gray: int = 200) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", size, gray).save(path)
        return path

    return call


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Put a shell script where programs are looked for first."""

    def call(name: str, script: str) -> Path:
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}")
        path.chmod(0o755)
        if str(path.parent) not in os.environ["PATH"].split(os.pathsep):
            monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")
        return path

    return call
