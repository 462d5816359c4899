"""The cache of decoded sources: hits are exact, and whatever is stale, foreign or broken is read again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recognizer.config import AudioFeatures, LineFeatures
from recognizer.data.cache import ArrayCache
from recognizer.errors import TrainingError

AUDIO = AudioFeatures()
ARRAYS = {
    "a.wav": np.arange(-5, 20, dtype=np.int16), "b.png": np.arange(24, dtype=np.uint8).reshape(6, 4), "c.wav": np.zeros(1, dtype=np.int16),
}


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    for name in ARRAYS:
        (tmp_path / name).write_text(f"source {name}")
    return [tmp_path / name for name in ARRAYS]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "cache"


def fill(folder: Path, sources: list[Path], features: AudioFeatures | LineFeatures = AUDIO) -> ArrayCache:
    cache = ArrayCache(folder, features)
    for source in sources:
        cache.add(source, ARRAYS[source.name])
    cache.save()
    return cache


def hits(cache: ArrayCache, sources: list[Path]) -> list[bool]:
    found = [cache.get(source) for source in sources]
    for source, array in zip(sources, found, strict=True):
        if array is not None:
            assert array.dtype == ARRAYS[source.name].dtype
            np.testing.assert_array_equal(array, ARRAYS[source.name])
    return [array is not None for array in found]


def test_arrays_come_back_in_this_and_the_next_process(folder: Path, sources: list[Path]) -> None:
    assert hits(fill(folder, sources[:1]), sources) == [True, False, False]
    assert hits(fill(folder, sources[1:]), sources) == [True] * 3
    assert hits(ArrayCache(folder, AUDIO), sources) == [True] * 3


@pytest.mark.parametrize("change", [
    lambda path: path.write_text("longer than it was before"),
    lambda path: os.utime(path, ns=(0, 1)),
    lambda path: path.unlink(),
])
def test_a_changed_source_is_read_again(folder: Path, sources: list[Path], change: Callable[[Path], object]) -> None:
    cache = fill(folder, sources)
    change(sources[1])
    assert hits(cache, sources) == hits(ArrayCache(folder, AUDIO), sources) == [True, False, True]
    if sources[1].exists():
        fill(folder, sources[1:2])
        assert hits(ArrayCache(folder, AUDIO), sources) == [True] * 3


@pytest.mark.parametrize(("before", "after", "kept"), [
    (AUDIO, replace(AUDIO, sample_rate=8000), False),
    (AUDIO, replace(AUDIO, kind="mfcc", hop_ms=5.0, deltas=2), True),  # samples do not depend on these
    (LineFeatures(), replace(LineFeatures(), height=32), False),
    (LineFeatures(), replace(LineFeatures(), deslant=True), False),
    (LineFeatures(), LineFeatures(), True),
    (AUDIO, LineFeatures(), False),
])
def test_other_settings_discard_what_depends_on_them(folder: Path, sources: list[Path], before, after, kept: bool) -> None:
    fill(folder, sources, before)
    assert hits(ArrayCache(folder, after), sources) == [kept] * 3
    assert (folder / "arrays.bin").exists() == kept  # discarded arrays leave the disk


@pytest.mark.parametrize("content", [0, 10, "", "half", "[]", "null", "{}", '{"fingerprint": 3}'])
def test_truncated_arrays_and_a_broken_index_are_discarded(folder: Path, sources: list[Path], content: int | str) -> None:
    fill(folder, sources)
    index = folder / "index.json"
    if isinstance(content, int):
        os.truncate(folder / "arrays.bin", content)
    else:
        index.write_text(index.read_text()[:50] if content == "half" else content)
    assert hits(ArrayCache(folder, AUDIO), sources) == [False] * 3
    fill(folder, sources)
    assert hits(ArrayCache(folder, AUDIO), sources) == [True] * 3


def test_arrays_of_a_killed_process_are_not_mistaken_for_others(folder: Path, sources: list[Path]) -> None:
    fill(folder, sources[:1])
    unsaved = ArrayCache(folder, AUDIO)
    unsaved.add(sources[1], ARRAYS["b.png"])  # killed before save, perhaps while writing
    with (folder / "arrays.bin").open("ab") as file:
        file.write(b"\x01\x02\x03")
    (folder / "index.partial").write_text("half an ind")
    assert hits(ArrayCache(folder, AUDIO), sources) == [True, False, False]
    fill(folder, sources[2:])
    assert hits(ArrayCache(folder, AUDIO), sources) == [True, False, True]


def test_a_failed_save_leaves_the_old_index(folder: Path, sources: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    cache = fill(folder, sources[:1])
    before = (folder / "index.json").read_text()
    cache.add(sources[1], ARRAYS["b.png"])

    def fail(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:20])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(TrainingError, match=r"index\.json: cannot be written: No space left on device; make room, or .*trainer\.cache=false"):
        cache.save()
    assert (folder / "index.json").read_text() == before and json.loads(before)["entries"].keys() == {str(sources[0])}


def test_an_array_that_finds_no_room_leaves_nothing(folder: Path, sources: list[Path], full_disk) -> None:
    cache = ArrayCache(folder, AUDIO)
    with full_disk(ARRAYS["a.wav"].nbytes - 1), pytest.raises(TrainingError, match=r"arrays\.bin: cannot be written: File too large; make room"):
        cache.add(sources[0], ARRAYS["a.wav"])
    assert list(folder.iterdir()) == [] and cache.get(sources[0]) is None
    fill(folder, sources[:1])
    assert hits(ArrayCache(folder, AUDIO), sources) == [True, False, False]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(TrainingError, match=r"cannot use the cache: .*; make room, or .*trainer\.cache=false"):
        ArrayCache(tmp_path / "file" / "cache", AUDIO)
