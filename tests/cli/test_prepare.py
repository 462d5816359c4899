"""`recognizer prepare`: what it prints, and its exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile
from PIL import Image

from recognizer.data.manifest import load_manifest


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    """Twelve images of six writers."""
    for number in range(12):
        path = tmp_path / "lines" / f"w{number % 6}" / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (20 + number, 8), 255).save(path)
        path.with_suffix(".txt").write_text("ab" if number else "c", encoding="utf-8")
    return tmp_path / "lines"


def test_counts_are_printed(cli, lines, tmp_path) -> None:
    outcome = cli("prepare", "folder", lines, tmp_path / "out", "--dev-every", 3)
    assert outcome.code == 0 and outcome.err == []
    assert [row.split() for row in outcome.out] == [
        ["split", "items", "groups", "hours", "characters", "units"],
        ["train", "8", "4", "-", "3", "0"], ["dev", "4", "2", "-", "2", "0"], ["dropped", "0"]]


def test_what_is_left_out_is_named_counted_and_fails_the_command(cli, lines, tmp_path) -> None:
    (lines / "w1" / "01.txt").unlink()
    (lines / "w2" / "02.png").write_bytes(b"not an image")
    (lines / "w3" / "03.txt").write_text("")
    Image.new("L", (5, 5)).save(lines / "w4" / "04.tif")
    outcome = cli("prepare", "folder", lines, tmp_path / "out")
    assert outcome.code == 1 and outcome.out[-1] == "dropped 4" and outcome.out[1].split()[:2] == ["all", "9"]
    assert len(outcome.err) == 5 and all(line.startswith(f"dropped: {lines}") for line in outcome.err[:4])
    assert outcome.err[4].startswith("note: ") and "--dev 0.1" in outcome.err[4]
    assert any("already that of" in line for line in outcome.err)
    assert len(load_manifest(tmp_path / "out" / "all.jsonl")) == 9


def test_a_generated_corpus_asks_for_no_source(cli, tmp_path) -> None:
    assert cli("prepare", "no-speech", tmp_path / "out", "--items", 6, "--longest", 0.6, "--test", 0.4).code == 0
    assert len(load_manifest(tmp_path / "out" / "train.jsonl")) == 4


def test_a_full_disk_ends_the_command_and_leaves_no_half_files(cli, tones, full_disk, tmp_path) -> None:
    spoken = tones.root / "dev.jsonl"
    for words in (["no-speech", tmp_path, "--items", 6], *(["distorted", spoken, tmp_path, "--kind", kind] for kind in ("mp3", "telephone"))):
        with full_disk(400):
            outcome = cli("prepare", *words)
        assert (outcome.code, outcome.out, len(outcome.err)) == (2, [], 1) and outcome.err[0].endswith(": cannot be written: File too large")
        for path in filter(Path.is_file, tmp_path.rglob("*")):
            assert path.suffix == ".flac" and soundfile.info(path).duration > 0.1


def test_unknown_corpora_and_missing_arguments_are_refused(cli, tmp_path) -> None:
    outcome = cli("prepare", "speechocaen", "a", "b")
    assert outcome.code == 2 and "did you mean 'speechocean'" in outcome.err[-1]
    assert cli("prepare", "folder", tmp_path / "out").code == 2
