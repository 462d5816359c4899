"""Which files are meant, and what is read of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soxr

from recognizer.config import AudioFeatures
from recognizer.errors import InputError
from recognizer.inference.inputs import InputLoader, find_files, group_by_modality


@pytest.fixture
def recordings(tones, tmp_path: Path) -> Path:
    """Four recordings beside files of other kinds."""
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    for item, name in zip(tones.items(), ("b.wav", "a.wav", "C.WAV", "sub/d.wav"), strict=False):
        shutil.copy(item.source, folder / name)
    (folder / "notes.txt").write_text("no recording")
    (folder / "sub" / "folder.wav").mkdir()
    return folder


def test_folders_stand_for_what_is_in_them(recordings: Path) -> None:
    names = [str(recordings / name) for name in ("C.WAV", "a.wav", "b.wav", "sub/d.wav")]
    assert list(find_files([str(recordings)], "audio")) == names
    assert list(find_files([str(recordings)], "line")) == []
    (recordings / "gone.wav").symlink_to("nowhere")
    assert str(recordings / "gone.wav") in find_files([str(recordings)], "audio")


def test_patterns_lists_and_files_keep_their_order(recordings: Path, monkeypatch) -> None:
    (recordings / "x[1].wav").touch()
    monkeypatch.chdir(recordings)
    words = ["[ab].wav", "b.wav", "sub", "*.WAV", "x[1].wav", "none*.wav", "none.wav", "**/d.wav", "b.wav"]
    assert list(find_files(words, "audio")) == [
        "a.wav", "b.wav", "b.wav", "sub/d.wav", "C.WAV", "x[1].wav", "none*.wav", "none.wav", "sub/d.wav", "b.wav",
    ]  # fmt: skip


def test_files_are_grouped_by_what_they_hold(recordings: Path) -> None:
    (recordings / "line.png").touch()
    (recordings / "page.xml").touch()
    groups = group_by_modality([str(recordings)])
    assert [Path(name).name for name in groups["audio"]] == ["C.WAV", "a.wav", "b.wav", "d.wav"]
    assert groups["line"] == [str(recordings / "line.png")] and "strokes" not in groups  # a layout is no pen trace
    with pytest.raises(InputError, match=r"none\.abc: no such file"):
        group_by_modality(["none.abc"])
    with pytest.raises(InputError, match=r"notes\.txt: its name does not tell"):
        group_by_modality([str(recordings / "notes.txt")])


def test_samples_of_another_rate_are_resampled() -> None:
    samples = np.random.default_rng(1).uniform(-0.5, 0.5, 22_050).astype(np.float32)
    loader = InputLoader(AudioFeatures(), 1000)
    loaded = loader.load(0, samples, 22_050)
    np.testing.assert_array_equal(loaded.content, soxr.resample(samples, 22_050, 16_000, quality="HQ"))
    assert loaded.length == 16_000 and loader.load(0, samples).length == 22_050  # by default they are at the rate of the features


def test_whatever_goes_wrong_is_the_error_of_its_input(monkeypatch, recordings: Path) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("recognizer.inference.inputs.load_audio", fail)
    loaded = InputLoader(AudioFeatures(), 1000).load(0, recordings / "a.wav")
    assert loaded.error == f"{recordings / 'a.wav'}: MemoryError: no further message" and loaded.content is None
