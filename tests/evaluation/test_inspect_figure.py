"""Pictures of networks at work: all three kinds of source, whole or not at all, the same each time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from recognizer.decoding.timing import FrameTimes
from recognizer.errors import ConfigError, InputError
from recognizer.evaluation.inspect import Inspection, Panel
from recognizer.evaluation.inspect_figure import _draw_panel, draw_inspection
from recognizer.types import Token

pytest.importorskip("matplotlib", reason="the extra 'inspect' is not installed")

FRAMES, STRIDE = 20, 2


def look(modality: str = "audio") -> Inspection:
    generator = np.random.default_rng(0)
    long = FRAMES * STRIDE
    line, points = generator.integers(0, 256, (long, 16), np.uint8), generator.random((long, 5))
    contents = {"audio": generator.normal(size=long * 100), "line": line, "strokes": points}
    weights = generator.random((long, 16))
    return Inspection(
        name="place/file$1$.wav", text="a $b$", modality=modality, content=contents[modality],  # type: ignore[arg-type]
        features=None if modality == "line" else generator.normal(size=(long, 16)), frame_times=FrameTimes(0.5, 1.0, end=10.0), stride=STRIDE,
        posteriors=generator.dirichlet([0.1] * 4, FRAMES), symbols=(" ", "$", "b"), tokens=(Token("$", 1, 2), Token(" ", 4, 5)), peaks=(3, 9),
        saliency=weights, symbol=1, reach={0.5: 2.0},
        panels=(Panel("layer 1", "i", generator.random((FRAMES, 5))), Panel("layer 1", "c", generator.normal(size=(FRAMES, 5)))),
    )  # fmt: skip


@pytest.mark.parametrize("modality", ["audio", "line", "strokes"])
def test_every_kind_is_drawn(modality: str, tmp_path) -> None:
    draw_inspection(look(modality), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.width == 12 * 130 and picture.height > 500 and len(picture.convert("RGB").getcolors(1 << 20) or ()) > 50
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(("suffix", "start"), [(".svg", b"<?xml"), (".PDF", b"%PDF")])
def test_the_same_is_drawn_the_same(suffix: str, start: bytes, tmp_path) -> None:
    found = replace(look(), panels=(), saliency=None, symbol=None, tokens=(), peaks=())
    for name in "ab":
        draw_inspection(found, tmp_path / (name + suffix))
    first, second = ((tmp_path / (name + suffix)).read_bytes() for name in "ab")
    assert first == second and first.startswith(start)


def test_a_map_has_its_first_row_on_top_and_columns_of_its_own_width() -> None:
    from matplotlib.figure import Figure

    values = np.random.default_rng(1).random((10, 3))  # ten columns of four pixels, of forty
    panel = Panel("layer 1", "i", values, 4)
    axes = Figure().add_subplot()
    image = _draw_panel(look("line"), panel, "layer 1", axes)
    np.testing.assert_array_equal(image.get_array(), values.T)
    assert image.origin == "upper" and image.get_extent() == [0, 10, 3, 0]  # twenty frames of two pixels and half a unit each
    low, high = image.get_clim()
    assert values.min() < low < 0.1 and 0.9 < high < values.max()
    image = _draw_panel(look("line"), replace(panel, values=values[:5].repeat(4, 0), stride=None), "layer 1", axes)
    assert image.origin == "lower" and image.get_extent() == [0, 10, 0, 3] and image.get_clim() == (0, 1)


def test_a_full_disk_leaves_nothing(tmp_path, full_disk) -> None:
    with full_disk(1000), pytest.raises(InputError, match=r"a.png: cannot be written: "):
        draw_inspection(look("line"), tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


def test_without_the_extra(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=r"pip install 'recognizer\[inspect\]'"):
        draw_inspection(look(), tmp_path / "a.png")
