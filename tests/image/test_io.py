"""Reading image files: every mode and container gives the same gray, damage gives one line."""

from __future__ import annotations

import struct
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recognizer.errors import InputError
from recognizer.image import io
from recognizer.image.io import IMAGE_SUFFIXES, count_pages, image_size, load_image


@pytest.fixture
def gray() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (23, 37), dtype=np.uint8)


def with_alpha(gray: np.ndarray) -> Image.Image:
    """Black ink whose opacity carries the picture."""
    layer = np.zeros((*gray.shape, 4), dtype=np.uint8)
    layer[..., 3] = 255 - gray
    return Image.fromarray(layer, "RGBA")


LOSSLESS = {
    "l.png": Image.fromarray, "l.bmp": Image.fromarray, "l.tif": Image.fromarray,
    "rgb.png": lambda g: Image.fromarray(g).convert("RGB"), "rgb.tiff": lambda g: Image.fromarray(g).convert("RGB"),
    "la.png": lambda g: Image.fromarray(g).convert("LA"), "rgba.png": lambda g: Image.fromarray(g).convert("RGBA"),
    "p.png": lambda g: Image.fromarray(g).convert("P"), "alpha.png": with_alpha,
    "i16.png": lambda g: Image.fromarray(g.astype(np.uint16) * 257), "i16.tif": lambda g: Image.fromarray(g.astype(np.uint16) * 257),
    "i.tif": lambda g: Image.fromarray(g.astype(np.int32)),
    "f.tif": lambda g: Image.fromarray(g.astype(np.float32) / 255), "f255.tif": lambda g: Image.fromarray(g.astype(np.float32)),
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_forms_give_the_same_gray(tmp_path: Path, gray: np.ndarray, name: str) -> None:
    gray[0, 0], gray[0, 1] = 0, 255  # both ends, from which the scale of float samples is told
    LOSSLESS[name](gray).save(tmp_path / name)
    loaded = load_image(tmp_path / name)
    assert loaded.dtype == np.uint8 and loaded.shape == gray.shape
    assert np.abs(loaded.astype(int) - gray).max() <= (1 if name == "alpha.png" else 0)
    assert image_size(tmp_path / name) == (37, 23) and Path(name).suffix in IMAGE_SUFFIXES


def test_lossless_webp_and_bilevel(tmp_path: Path, gray: np.ndarray) -> None:
    Image.fromarray(gray).convert("RGB").save(tmp_path / "a.webp", lossless=True)
    assert np.array_equal(load_image(tmp_path / "a.webp"), gray)
    bits = np.where(gray > 127, 255, 0).astype(np.uint8)
    for name in ("a.png", "a.tif", "a.bmp"):
        Image.fromarray(bits).convert("1").save(tmp_path / name)
        assert np.array_equal(load_image(tmp_path / name), bits)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_is_near(tmp_path: Path, mode: str) -> None:
    ramp = np.tile(np.arange(0, 240, 4, dtype=np.uint8), (32, 1))
    Image.fromarray(ramp).convert(mode).save(tmp_path / "a.jpg", quality=95)
    assert np.abs(load_image(tmp_path / "a.jpg").astype(int) - ramp).max() <= 6


def test_transparency_is_white(tmp_path: Path) -> None:
    picture = Image.new("P", (4, 2), 0)
    picture.putpalette([0, 0, 0, 90, 90, 90])
    picture.putpixel((1, 0), 1)
    picture.save(tmp_path / "p.png", transparency=0)
    expected = np.full((2, 4), 255)
    expected[0, 1] = 90
    assert np.array_equal(load_image(tmp_path / "p.png"), expected)
    Image.new("LA", (3, 3), (0, 0)).save(tmp_path / "la.png")
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
    picture = Image.fromarray(np.ascontiguousarray(stored)).convert("RGB" if suffix == "webp" else "L")
    picture.save(tmp_path / f"a.{suffix}", exif=exif, **({"lossless": True} if suffix == "webp" else {}))
    loaded = load_image(tmp_path / f"a.{suffix}")
    assert loaded.shape == (24, 40) and np.abs(loaded.astype(int) - upright).mean() < 4
    assert image_size(tmp_path / f"a.{suffix}") == (40, 24)


def expect_one_line(path: Path, word: str, read=load_image) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError) as caught:
            read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message and word in message


@pytest.mark.parametrize("read", [load_image, image_size])
def test_what_cannot_be_opened_is_named(tmp_path: Path, read) -> None:
    expect_one_line(tmp_path / "none.png", "no such file", read)
    expect_one_line(tmp_path, "folder", read)
    contents = {
        b"": "empty",
        b"not a picture at all\n" * 20: "not a readable image",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n": "not a readable image",
    }
    for content, word in contents.items():
        (tmp_path / "a.png").write_bytes(content)
        expect_one_line(tmp_path / "a.png", word, read)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "bmp"])
def test_truncated_files_are_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.random.default_rng(2).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    content = path.read_bytes()
    for share in (0.02, 0.3, 0.7):
        path.write_bytes(content[: int(len(content) * share)])
        expect_one_line(path, "")


@pytest.mark.parametrize("read", [load_image, image_size])
def test_pages_of_one_file_are_counted_and_refused(tmp_path: Path, gray: np.ndarray, read) -> None:
    page = Image.fromarray(gray)
    for name, more, count in (("a.tif", 1, 2), ("a.tif", 4, 5), ("a.tif", 120, 121), ("a.png", 1, 2), ("a.webp", 2, 3)):
        page.convert("RGB").save(tmp_path / name, save_all=True, append_images=[Image.new("RGB", page.size, (9 * i, 0, 0)) for i in range(more)])
        how = "recognizer transcribe --page reads each; or save each" if name == "a.tif" else "save each"
        expect_one_line(tmp_path / name, f"holds {count} pages; {how} as a file of its own", read)


def test_pages_of_a_tiff_file_are_read_by_their_number(tmp_path: Path, gray: np.ndarray) -> None:
    small = Image.new("L", (5, 5), 0)
    small.encoderinfo = {"tiffinfo": {0x00FE: 1}}  # a smaller copy, no page
    exif = Image.Exif()
    exif[0x0112] = 6
    last = Image.new("L", (8, 4), 70)
    last.encoderinfo = {"exif": exif}
    Image.fromarray(gray).save(tmp_path / "a.tif", save_all=True, append_images=[small, Image.new("L", (9, 6), 50), last])
    assert count_pages(tmp_path / "a.tif") == 3
    assert np.array_equal(load_image(tmp_path / "a.tif", page=1), gray)
    assert load_image(tmp_path / "a.tif", page=2).shape == (6, 9) and load_image(tmp_path / "a.tif", page=2).max() == 50
    assert load_image(tmp_path / "a.tif", page=3).shape == (8, 4)  # upright
    expect_one_line(tmp_path / "a.tif", "has no page 4, only 3", lambda path: load_image(path, page=4))
    Image.fromarray(gray).save(tmp_path / "a.png")
    assert count_pages(tmp_path / "a.png") == 1 and np.array_equal(load_image(tmp_path / "a.png", page=1), gray)


def test_a_tiff_file_of_endless_pages_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gray: np.ndarray) -> None:
    monkeypatch.setattr(io, "MAX_PAGES", 3)
    page = Image.fromarray(gray)
    page.save(tmp_path / "a.tif", save_all=True, append_images=[page] * 3)
    expect_one_line(tmp_path / "a.tif", "more than 3 pages", count_pages)


def test_smaller_copies_within_a_tiff_file_are_no_pages(tmp_path: Path, gray: np.ndarray) -> None:
    small = Image.new("L", (5, 5), 0)
    small.encoderinfo = {"tiffinfo": {0x00FE: 1}}
    Image.fromarray(gray).save(tmp_path / "a.tif", save_all=True, append_images=[small])
    assert np.array_equal(load_image(tmp_path / "a.tif"), gray) and image_size(tmp_path / "a.tif") == (37, 23)


@pytest.mark.parametrize("read", [load_image, image_size])
def test_too_many_pixels_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gray: np.ndarray, read) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(gray).save(path)
    monkeypatch.setattr(io, "MAX_PIXELS", gray.size - 1)
    expect_one_line(path, f"37 x 23 pixels, more than {gray.size - 1:,}; cut it into pages or lines", read)
    monkeypatch.setattr(io, "MAX_PIXELS", gray.size)
    read(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", gray.size // 2 - 1)  # where Pillow refuses by itself
    expect_one_line(path, "pixels; cut it into pages or lines", read)


def test_a_page_of_99_megapixels_opens(tmp_path: Path) -> None:
    Image.new("1", (11_000, 9_000), 1).save(tmp_path / "a.png")
    assert image_size(tmp_path / "a.png") == (11_000, 9_000)
    page = load_image(tmp_path / "a.png")
    assert page.shape == (9_000, 11_000) and page[::100].min() == 255


@pytest.mark.parametrize("name", LOSSLESS)
def test_strips_make_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gray: np.ndarray, name: str) -> None:
    LOSSLESS[name](gray).save(tmp_path / name)
    whole = load_image(tmp_path / name)
    monkeypatch.setattr(io, "STRIP_PIXELS", 5 * gray.shape[1])
    assert np.array_equal(load_image(tmp_path / name), whole)


def test_samples_without_end_or_value_become_black_and_white(tmp_path: Path) -> None:
    Image.fromarray(np.array([[np.nan, -np.inf, np.inf]], dtype=np.float32)).save(tmp_path / "a.tif")
    assert load_image(tmp_path / "a.tif").tolist() == [[128, 0, 255]]


@pytest.mark.parametrize(("chunk", "size", "read"), [
    (b"IHDR", 2**32 - 1, False), (b"IHDR", 5, False), (b"IDAT", 0, False), (b"IDAT", 2**32 - 1, True), (b"IEND", 2**31 - 1, True),
])  # fmt: skip
def test_a_png_chunk_whose_length_lies_costs_no_memory(tmp_path: Path, gray: np.ndarray, chunk: bytes, size: int, read: bool) -> None:
    Image.fromarray(gray).save(tmp_path / "a.png")
    data = bytearray((tmp_path / "a.png").read_bytes())
    place = data.index(chunk) - 4
    data[place : place + 4] = struct.pack(">I", size)
    (tmp_path / "a.png").write_bytes(data)
    tracemalloc.start()
    if read:  # the pixels are all there, whatever the length says
        assert np.array_equal(load_image(tmp_path / "a.png"), gray)
    else:
        with pytest.raises(InputError, match=r"a\.png: the image cannot be read"):
            load_image(tmp_path / "a.png")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_a_large_picture_in_color_is_read_and_its_memory_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gray: np.ndarray) -> None:
    given_back: list[bool] = []
    monkeypatch.setattr(io, "LARGE_PIXELS", gray.size - 1)
    monkeypatch.setattr(io, "release_free_memory", lambda: given_back.append(True))
    for name in ("a.png", "a.tif", "a.bmp"):
        Image.fromarray(gray).convert("RGB").save(tmp_path / name)
        assert np.array_equal(load_image(tmp_path / name), gray)
    assert len(given_back) == 6  # before and after each
