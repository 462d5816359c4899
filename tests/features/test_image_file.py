"""Reading image files: every mode and container gives the same grey, damage gives one line."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recognizer.errors import InputError
from recognizer.features.image_file import IMAGE_SUFFIXES, image_size, load_image


@pytest.fixture
def grey() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (23, 37), dtype=np.uint8)


def _with_alpha(grey: np.ndarray) -> Image.Image:
    """Black ink whose opacity carries the picture."""
    layer = np.zeros((*grey.shape, 4), dtype=np.uint8)
    layer[..., 3] = 255 - grey
    return Image.fromarray(layer, "RGBA")


@pytest.mark.parametrize(
    ("name", "convert"),
    [
        ("l.png", Image.fromarray),
        ("l.bmp", Image.fromarray),
        ("l.tif", Image.fromarray),
        ("rgb.png", lambda g: Image.fromarray(g).convert("RGB")),
        ("rgb.tiff", lambda g: Image.fromarray(g).convert("RGB")),
        ("la.png", lambda g: Image.fromarray(g).convert("LA")),
        ("rgba.png", lambda g: Image.fromarray(g).convert("RGBA")),
        ("p.png", lambda g: Image.fromarray(g).convert("P")),
        ("alpha.png", _with_alpha),
        ("i16.png", lambda g: Image.fromarray(g.astype(np.uint16) * 257)),
        ("i16.tif", lambda g: Image.fromarray(g.astype(np.uint16) * 257)),
        ("i.tif", lambda g: Image.fromarray(g.astype(np.int32))),
        ("f.tif", lambda g: Image.fromarray(g.astype(np.float32) / 255)),
        ("f255.tif", lambda g: Image.fromarray(g.astype(np.float32))),
    ],
)
def test_lossless_forms_give_the_same_grey(tmp_path: Path, grey: np.ndarray, name: str, convert) -> None:
    grey[0, 0], grey[0, 1] = 0, 255  # both ends, from which the scale of float samples is told
    convert(grey).save(tmp_path / name)
    loaded = load_image(tmp_path / name)
    assert loaded.dtype == np.uint8
    assert loaded.shape == grey.shape
    assert np.abs(loaded.astype(int) - grey).max() <= (1 if name == "alpha.png" else 0)
    assert image_size(tmp_path / name) == (37, 23)
    assert Path(name).suffix in IMAGE_SUFFIXES


def test_lossless_webp(tmp_path: Path, grey: np.ndarray) -> None:
    Image.fromarray(grey).convert("RGB").save(tmp_path / "a.webp", lossless=True)
    assert np.array_equal(load_image(tmp_path / "a.webp"), grey)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_is_near(tmp_path: Path, mode: str) -> None:
    ramp = np.tile(np.arange(0, 240, 4, dtype=np.uint8), (32, 1))
    Image.fromarray(ramp).convert(mode).save(tmp_path / "a.jpg", quality=95)
    assert np.abs(load_image(tmp_path / "a.jpg").astype(int) - ramp).max() <= 6


def test_bilevel(tmp_path: Path, grey: np.ndarray) -> None:
    bits = np.where(grey > 127, 255, 0).astype(np.uint8)
    for name in ("a.png", "a.tif", "a.bmp"):
        Image.fromarray(bits).convert("1").save(tmp_path / name)
        assert np.array_equal(load_image(tmp_path / name), bits)


def test_transparency_is_white(tmp_path: Path) -> None:
    picture = Image.new("P", (4, 2), 0)
    picture.putpalette([0, 0, 0, 90, 90, 90])
    picture.putpixel((1, 0), 1)
    picture.save(tmp_path / "p.png", transparency=0)
    expected = np.full((2, 4), 255)
    expected[0, 1] = 90
    assert np.array_equal(load_image(tmp_path / "p.png"), expected)
    layer = Image.new("LA", (3, 3), (0, 0))
    layer.save(tmp_path / "la.png")
    assert (load_image(tmp_path / "la.png") == 255).all()


def test_twelve_bits_keep_their_contrast(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 2048, 4095]], dtype=np.uint16)).save(tmp_path / "a.png")
    assert load_image(tmp_path / "a.png").tolist() == [[0, 128, 255]]


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path: Path, suffix: str, orientation: int) -> None:
    upright = np.full((24, 40), 250, dtype=np.uint8)
    upright[:8, :16] = 10  # dark upper left corner
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.T, 6: np.rot90(upright), 7: np.rot90(upright, 2).T, 8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if suffix == "webp" else {}
    picture = Image.fromarray(np.ascontiguousarray(stored))
    if suffix == "webp":
        picture = picture.convert("RGB")
    picture.save(tmp_path / f"a.{suffix}", exif=exif, **options)
    loaded = load_image(tmp_path / f"a.{suffix}")
    assert loaded.shape == (24, 40)
    assert np.abs(loaded.astype(int) - upright).mean() < 4
    assert image_size(tmp_path / f"a.{suffix}") == (40, 24)


def test_first_page_counts(tmp_path: Path, grey: np.ndarray) -> None:
    pages = [Image.fromarray(grey), Image.new("L", (5, 5), 0)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    assert np.array_equal(load_image(tmp_path / "a.tif"), grey)
    assert image_size(tmp_path / "a.tif") == (37, 23)


def _expect_one_line(path: Path, word: str, read=load_image) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError) as caught:
            read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert word in message


@pytest.mark.parametrize("read", [load_image, image_size])
def test_what_cannot_be_opened_is_named(tmp_path: Path, read) -> None:
    _expect_one_line(tmp_path / "none.png", "no such file", read)
    _expect_one_line(tmp_path, "folder", read)
    (tmp_path / "empty.png").touch()
    _expect_one_line(tmp_path / "empty.png", "empty", read)
    (tmp_path / "text.png").write_text("not a picture at all\n" * 20)
    _expect_one_line(tmp_path / "text.png", "not a readable image", read)
    (tmp_path / "vector.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    _expect_one_line(tmp_path / "vector.png", "not a readable image", read)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "bmp"])
def test_truncated_files_are_named(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(2).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    for share in (0.02, 0.3, 0.7):
        path.write_bytes(content[: int(len(content) * share)])
        _expect_one_line(path, "")


def test_decompression_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, grey: np.ndarray) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(grey).save(path)
    for limit in (grey.size - 1, grey.size // 2 - 1):  # where Pillow warns, and where it refuses
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        _expect_one_line(path, "pixels")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", grey.size)
    assert load_image(path).shape == grey.shape
