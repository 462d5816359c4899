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


def test_arrays_come_back_in_this_and_the_next_process(tmp_path: Path, sources: list[Path]) -> None:
    cache = fill(tmp_path / "deep" / "cache", sources)
    assert hits(cache, sources) == [True] * 3
    assert hits(ArrayCache(tmp_path / "deep" / "cache", AUDIO), sources) == [True] * 3
    assert cache.get(tmp_path / "other.wav") is None


def test_what_was_added_later_comes_back_too(tmp_path: Path, sources: list[Path]) -> None:
    fill(tmp_path / "cache", sources[:1])
    fill(tmp_path / "cache", sources[1:])
    assert hits(ArrayCache(tmp_path / "cache", AUDIO), sources) == [True] * 3


@pytest.mark.parametrize("change", [
    lambda path: path.write_text("longer than it was before"),
    lambda path: os.utime(path, ns=(0, 1)),
    lambda path: path.unlink(),
])
def test_a_changed_source_is_read_again(tmp_path: Path, sources: list[Path], change: Callable[[Path], object]) -> None:
    cache = fill(tmp_path / "cache", sources)
    change(sources[1])
    assert hits(cache, sources) == hits(ArrayCache(tmp_path / "cache", AUDIO), sources) == [True, False, True]
    if sources[1].exists():
        cache.add(sources[1], ARRAYS["b.png"])
        cache.save()
        assert hits(ArrayCache(tmp_path / "cache", AUDIO), sources) == [True] * 3


@pytest.mark.parametrize(("before", "after", "kept"), [
    (AUDIO, replace(AUDIO, sample_rate=8000), False),
    (AUDIO, replace(AUDIO, kind="mfcc", hop_ms=5.0, deltas=2), True),  # samples do not depend on these
    (LineFeatures(), replace(LineFeatures(), height=32), False),
    (LineFeatures(), replace(LineFeatures(), deslant=True), False),
    (LineFeatures(), LineFeatures(), True),
    (AUDIO, LineFeatures(), False),
])
def test_other_settings_discard_what_depends_on_them(
    tmp_path: Path, sources: list[Path], before: AudioFeatures, after: AudioFeatures, kept: bool
) -> None:
    fill(tmp_path / "cache", sources, before)
    assert hits(ArrayCache(tmp_path / "cache", after), sources) == [kept] * 3
    assert (tmp_path / "cache" / "arrays.bin").exists() == kept  # discarded arrays leave the disk


@pytest.mark.parametrize("left", [0, 10])
def test_truncated_arrays_are_discarded_and_written_anew(tmp_path: Path, sources: list[Path], left: int) -> None:
    fill(tmp_path / "cache", sources)
    os.truncate(tmp_path / "cache" / "arrays.bin", left)
    cache = ArrayCache(tmp_path / "cache", AUDIO)
    assert hits(cache, sources) == [False] * 3
    fill(tmp_path / "cache", sources)
    assert hits(ArrayCache(tmp_path / "cache", AUDIO), sources) == [True] * 3


@pytest.mark.parametrize("content", ["", "half", "[]", "null", "{}", '{"fingerprint": 3}'])
def test_a_broken_index_is_ignored(tmp_path: Path, sources: list[Path], content: str) -> None:
    fill(tmp_path / "cache", sources)
    index = tmp_path / "cache" / "index.json"
    index.write_text(index.read_text()[:50] if content == "half" else content)
    assert hits(ArrayCache(tmp_path / "cache", AUDIO), sources) == [False] * 3
    fill(tmp_path / "cache", sources)
    assert hits(ArrayCache(tmp_path / "cache", AUDIO), sources) == [True] * 3


def test_arrays_of_a_killed_process_are_not_mistaken_for_others(tmp_path: Path, sources: list[Path]) -> None:
    fill(tmp_path / "cache", sources[:1])
    unsaved = ArrayCache(tmp_path / "cache", AUDIO)
    unsaved.add(sources[1], ARRAYS["b.png"])  # killed before save, perhaps while writing
    with (tmp_path / "cache" / "arrays.bin").open("ab") as file:
        file.write(b"\x01\x02\x03")
    (tmp_path / "cache" / "index.partial").write_text("half an ind")
    cache = ArrayCache(tmp_path / "cache", AUDIO)
    assert hits(cache, sources) == [True, False, False]
    cache.add(sources[2], ARRAYS["c.wav"])
    cache.save()
    assert hits(ArrayCache(tmp_path / "cache", AUDIO), sources) == [True, False, True]


def test_a_failed_save_leaves_the_old_index(tmp_path: Path, sources: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    cache = fill(tmp_path / "cache", sources[:1])
    before = (tmp_path / "cache" / "index.json").read_text()
    cache.add(sources[1], ARRAYS["b.png"])

    def fail(self: Path, text: str) -> int:
        with self.open("w") as file:
            file.write(text[:20])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(TrainingError, match=r"cannot write the cache: No space left on device; set trainer\.cache=false"):
        cache.save()
    assert (tmp_path / "cache" / "index.json").read_text() == before
    assert json.loads(before)["entries"].keys() == {str(sources[0])}


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(TrainingError, match=r"cannot use the cache: .*; set trainer\.cache=false"):
        ArrayCache(tmp_path / "file" / "cache", AUDIO)
