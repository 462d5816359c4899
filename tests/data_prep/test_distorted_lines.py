"""Distorted line images: what each kind does to the picture."""

from __future__ import annotations

import numpy as np
import pytest

from recognizer.config import LineFeatures
from recognizer.data_prep import distorted_lines
from recognizer.data_prep.distorted_lines import LINE_KINDS, photograph
from recognizer.image.io import load_image
from recognizer.image.normalize import is_blank, prepare_line


@pytest.fixture
def line() -> np.ndarray:
    """Upright strokes on gray paper."""
    gray = np.full((80, 400), 230, np.uint8)
    gray[20:60, 30:370:20] = 40
    gray[20:60, 31:371:20] = 40
    return gray


def distort(name: str, gray: np.ndarray, seed: int = 1) -> np.ndarray:
    return np.asarray(LINE_KINDS[name].change(gray, np.random.default_rng(seed)))


@pytest.mark.parametrize("name", LINE_KINDS)
def test_the_generator_decides_and_the_picture_stays_readable(name, line, tmp_path) -> None:
    before = line.copy()
    picture = LINE_KINDS[name].change(line, np.random.default_rng(1))
    assert np.array_equal(np.asarray(picture), distort(name, line)) and np.array_equal(line, before)
    picture.save(tmp_path / "line.png")
    prepared, _ = prepare_line(load_image(tmp_path / "line.png"), LineFeatures())
    if not LINE_KINDS[name].blank:
        assert not np.array_equal(np.asarray(picture), line) and not is_blank(prepared)


@pytest.mark.parametrize("name", [name for name, kind in LINE_KINDS.items() if kind.blank])
def test_nothing_is_left_of_the_writing(name, line) -> None:
    assert np.array_equal(distort(name, line), distort(name, np.full_like(line, 230)))


def test_faint_ink_keeps_a_share_of_its_density(line, monkeypatch) -> None:
    monkeypatch.setattr(distorted_lines, "PAPER_NOISE", 0.0)
    low, high = distorted_lines.FAINT_INK
    faint = distort("faint", line)
    assert faint.max() == 230 and low <= (230 - float(faint.min())) / (230 - 40) <= high + 0.01


def test_scans(line) -> None:
    assert distort("low-resolution", line).shape == (28, 140)
    assert np.array_equal(distort("inverted", line), 255 - line)
    assert np.array_equal(distort("1-bit", line), line > 135)
    noise = distort("noisy", line).astype(float) - line
    assert abs(noise[10].mean()) < 15 and 20 < noise[10].std() < 60


def test_neighbours_stand_above_and_below_the_whole_line(line) -> None:
    line[50:60] = 40  # a foot that runs through: what lies above the line ends in it
    tall = distort("neighbours", line)
    assert tall.shape == (120, 400) and np.array_equal(tall[20:100], line)
    assert (tall[10:20] == 40).all() and not (tall[:10] == 40).all()
    heads = tall[100:]
    assert np.array_equal(np.sort(heads, axis=1), np.sort(line[20:40], axis=1))  # the same strokes elsewhere


def test_rules_only_add_ink_and_run_through(line) -> None:
    ruled = distort("ruled", line)
    assert ruled.shape == (80, 400, 3) and (ruled <= line[:, :, None]).all()
    rows = (ruled[:, :, 0] < 230).all(axis=1)
    assert 3 <= rows.sum() <= 8


def test_ink_and_paper_get_the_colours_of_the_palettes(line) -> None:
    coloured = distort("coloured", line)
    assert tuple(coloured[5, 5]) in distorted_lines.PAPERS and tuple(coloured[30, 30]) in distorted_lines.INKS


def test_photographs_differ_in_light_but_cut_no_ink_off(line, monkeypatch) -> None:
    for name in ("BLUR", "PAPER_NOISE"):
        monkeypatch.setattr(distorted_lines, name, 0.0)
    line = line[20:60]  # the writing touches the border
    for seed in range(5):
        gray, paper = (np.asarray(photograph(g, np.random.default_rng(seed)).convert("L"), float) for g in (line, np.full_like(line, 230)))
        assert paper.min() < 0.8 * paper.max()
        left = gray / paper
        assert np.concatenate([left[:3], left[-3:]]).min() > 0.75 and (left < 0.5).mean() > 0.02
