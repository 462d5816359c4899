"""The page of `scripts/browser` in a real Chromium: what it reads from pictures and from strokes is what Python reads with the same file.

It needs Playwright (extra ``test``), Debian's Chromium (``apt install chromium``) and two files of the npm package onnxruntime-web in the
folder that ``RECOGNIZER_ONNXRUNTIME_WEB`` names or beside the page (``scripts/browser/README.md``); `.ci/run` fetches them. Without any of these
the tests are skipped.
"""

from __future__ import annotations

import base64
import functools
import io
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import editdistance
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from recognizer.bundle.export import export
from recognizer.bundle.io import load_bundle
from recognizer.bundle.registry import find_bundle
from recognizer.config import DecoderConfig, LineFeatures
from recognizer.errors import InputError
from recognizer.image.io import load_image
from recognizer.image.normalize import prepare_line
from recognizer.inference.recognizer import Recognizer

pytest.importorskip("playwright", reason="the page is driven by Playwright, which comes with the extra 'test'")
from playwright.sync_api import Browser, Page, expect, sync_playwright

expect.set_options(timeout=60_000)  # on a machine that is busy with other things
CHROMIUM = Path("/usr/bin/chromium")  # Debian's package of that name
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "scripts" / "browser"
RUNTIME = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
FOLDER = Path(os.environ.get("RECOGNIZER_ONNXRUNTIME_WEB") or PAGE)
EXAMPLES = sorted((ROOT / "recognizer" / "bundles" / "examples").glob("*.webp"))
pytestmark = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason="the page needs Chromium: apt install chromium"),
    pytest.mark.skipif(
        not all((FOLDER / name).is_file() for name in RUNTIME),
        reason="the page needs onnxruntime-web: name the folder of its files in RECOGNIZER_ONNXRUNTIME_WEB, see scripts/browser/README.md",
    ),
]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Export a bundle that ships; each once."""
    folder = tmp_path_factory.mktemp("models")

    def make(name: str, int8: bool = False) -> Path:
        path = folder / f"{name}{'-int8' * int8}.onnx"
        return path if path.exists() else export(load_bundle(find_bundle(name)), path, int8)

    return make


@pytest.fixture(scope="module")
def python(models: Callable[..., Path]) -> Recognizer:
    return Recognizer.load(models("handwriting-fr-fast"), threads=1, decoder=DecoderConfig(kind="greedy"))


@pytest.fixture(scope="module")
def site(models: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder as a user lays it out."""
    folder = tmp_path_factory.mktemp("site") / "browser"
    shutil.copytree(PAGE, folder, ignore=shutil.ignore_patterns("*.mjs", "*.wasm", "*.onnx"))
    for name in RUNTIME:
        shutil.copy(FOLDER / name, folder)
    shutil.copy(models("handwriting-fr-fast"), folder / "model.onnx")
    return folder


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        """Leave the log of the tests alone."""


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        cut = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"  # no other machine is reached
        with playwright.chromium.launch(executable_path=str(CHROMIUM), args=[cut]) as found:
            yield found


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The page once its model is ready. Nothing may be asked of another machine, and nothing may fail in it."""
    context = browser.new_context(viewport={"width": 1000, "height": 800})
    found = context.new_page()
    asked: list[str] = []
    faults: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    found.on("pageerror", lambda error: faults.append(str(error)))
    found.goto(address)
    assert result(found) == ("", "model.onnx is ready.")
    yield found
    context.close()
    assert faults == [] and [url for url in asked if not url.startswith((address, f"blob:{address}"))] == []


def result(page: Page) -> tuple[str, str]:
    """The text and the note below it, once all that was asked for is done."""
    expect(page.locator("#result")).to_have_attribute("aria-busy", "false")
    return page.text_content("#text") or "", page.text_content("#note") or ""


def read(page: Page, name: str, content: bytes) -> tuple[str, str]:
    page.set_input_files("#picture", [{"name": name, "mimeType": "application/octet-stream", "buffer": content}])
    return result(page)


def written(text: str, size: int = 60, ink: int = 30, paper: int = 235, rows: int = 1) -> Image.Image:
    font = ImageFont.load_default(size)
    picture = Image.new("L", (int(font.getlength(text)) + 50, int(1.4 * size * rows) + 40), paper)
    for row in range(rows):
        ImageDraw.Draw(picture).text((25, 15 + 1.4 * size * row), text, font=font, fill=ink)
    return picture


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def varied() -> dict[str, np.ndarray]:
    """Lines, gray (H, W), wider than tall, each of which takes another way through the preparation."""
    random = np.random.default_rng(5)
    plain = np.asarray(written("Il pleut sur la ville"), dtype=np.float64)
    height, width = plain.shape
    framed = np.pad(plain, 22, constant_values=20)
    wide = np.pad(plain, ((60, 120), (400, 600)), constant_values=235)
    specks = np.kron(random.random((wide.shape[0] // 4 + 1, wide.shape[1] // 4 + 1)) < 1e-3, np.ones((4, 4)))
    pictures = {
        "plain": plain,
        "light on dark": 255 - plain,
        "shadow": plain * np.linspace(0.35, 1, width) * np.linspace(0.8, 1, height)[:, None],
        "noise": plain + random.normal(0, 30, plain.shape),
        "frame": framed + random.normal(0, 2, framed.shape),
        "margins and specks": np.where(specks[: wide.shape[0], : wide.shape[1]] > 0, 40, wide),
        "faint": np.asarray(written("une ligne presque effacée", 40, 205, 230), dtype=np.float64),
        "small": np.asarray(written("petit", 14), dtype=np.float64),
        "dash": np.asarray(written("-", 100), dtype=np.float64)[:, :80],
        "nothing": np.full((60, 300), 200.0),
        "paper's noise": np.full((60, 300), 200) + random.normal(0, 5, (60, 300)),
        "one pixel": np.zeros((1, 1)),
        "rows": np.asarray(written("trois lignes", 40, rows=3), dtype=np.float64),
        "two rows": np.asarray(written("deux lignes de texte", 40, rows=2), dtype=np.float64),
        "tall": np.zeros((300, 2)),
    }
    return {name: np.clip(picture, 0, 255).astype(np.uint8) for name, picture in pictures.items()}


def columns_of(page: Page, gray: np.ndarray, features: LineFeatures) -> np.ndarray | str:
    """What the module makes of a picture: columns (W, H), or why there are none."""
    given = {"pixels": base64.b64encode(gray.tobytes()).decode(), "width": gray.shape[1], "height": gray.shape[0], "features": asdict(features)}
    found = page.evaluate(
        """async ({pixels, width, height, features}) => {
            const {prepareLine, toColumns} = await import("./line.js");
            const data = Uint8Array.from(atob(pixels), (letter) => letter.charCodeAt(0));
            try {
                return {columns: Array.from(toColumns(prepareLine({data, width, height}, features)))};
            } catch (error) {
                return {error: error.message};
            }
        }""",
        given,
    )
    return found["error"] if "error" in found else np.array(found["columns"], dtype=np.uint8).reshape(-1, features.height)


@pytest.mark.parametrize(
    "features",
    [
        LineFeatures(contrast="background"),
        LineFeatures(height=48, contrast="stretch", crop=False),
        LineFeatures(polarity="light_on_dark", contrast="none"),
    ],
    ids=lambda features: features.contrast,
)
def test_columns_are_those_of_python(page: Page, features: LineFeatures) -> None:
    pictures = varied() | {path.name: load_image(path) for path in EXAMPLES}
    if features.contrast == "background":  # once, as it is large
        pictures["of a phone"] = np.kron(pictures["plain"], np.ones((12, 12), dtype=np.uint8))
    for name, gray in pictures.items():
        found = columns_of(page, gray, features)
        try:
            expected = prepare_line(gray, features)[0].T
        except InputError as error:
            assert isinstance(found, str) and found.split(";")[0].split(", ")[0] in str(error), name
            continue
        assert not isinstance(found, str), (name, found)
        assert found.shape == expected.shape, name
        wide = expected.shape[0] > expected.shape[1]  # Pillow 13 scales tall pictures in another order than Pillow 12
        assert np.abs(found.astype(int) - expected).max() <= (1 if wide else 32), name


def test_texts_of_pictures_are_those_of_python(page: Page, python: Recognizer, tmp_path: Path) -> None:
    files = {path.name: path.read_bytes() for path in EXAMPLES}
    files |= {f"{name}.png": encoded(Image.fromarray(gray), "PNG") for name, gray in varied().items()}
    example = Image.open(EXAMPLES[0]).convert("RGB")
    blue = [channel.point([value // n for value in range(256)]) for n, channel in zip((3, 2, 1), example.split(), strict=True)]
    files["blue.jpg"] = encoded(Image.merge("RGB", blue), "JPEG")
    exif = Image.Exif()
    exif[0x0112] = 6  # stored sideways
    files["sideways.jpg"] = encoded(example.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif, quality=95)
    ink = example.convert("L").point(lambda v: 255 - v)
    files["transparent.png"] = encoded(Image.merge("LA", [Image.new("L", ink.size, 0), ink]), "PNG")
    texts = []
    for name, content in files.items():
        path = tmp_path / name
        path.write_bytes(content)
        (transcript,) = python.transcribe([path])
        text, note = read(page, name, content)
        assert text == transcript.text, name
        if transcript.error:
            assert note.split(";")[0] in transcript.error, name
        else:
            assert " ms, of which preparation " in note and note.startswith("Nothing is written there. ") == (not text), (name, note)
        texts.append(text)
    assert len(set(texts)) > 8 and "Intérieune, est un photographe français." in texts


def test_a_written_line(page: Page, python: Recognizer, tmp_path: Path) -> None:
    page.click("#read")
    assert result(page)[0] == ""
    letters = [  # strokes in parts of the paper: l, i, l, l, e
        [(0.1, 0.2), (0.1, 0.8)], [(0.15, 0.5), (0.15, 0.8)], [(0.15, 0.35), (0.15, 0.36)], [(0.2, 0.2), (0.2, 0.8)], [(0.25, 0.2), (0.25, 0.8)],
        [(0.3, 0.65), (0.36, 0.63), (0.35, 0.52), (0.32, 0.5), (0.3, 0.6), (0.31, 0.75), (0.34, 0.8), (0.37, 0.75)],
    ]  # fmt: skip
    box = page.locator("#paper").bounding_box()
    assert box is not None
    shots = []
    for stroke in letters:
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place, steps=5)
        page.mouse.up()
        shots.append(page.evaluate("document.getElementById('paper').toDataURL()"))
    path = tmp_path / "paper.png"
    path.write_bytes(base64.b64decode(shots[-1].partition(",")[2]))
    page.click("#read")
    text, _ = result(page)
    assert text == python.transcribe(path).text and "l" in text
    page.click("#undo")
    assert page.evaluate("document.getElementById('paper').toDataURL()") == shots[-2]
    page.click("#clear")
    page.click("#read")
    text, note = result(page)
    assert text == "" and note.startswith("Nothing is written there. ")


def test_other_models(page: Page, models: Callable[..., Path], tmp_path: Path) -> None:
    """One with matrices in int8 is read by kernels of another kind than Python's, which round otherwise; a wrong file leaves the model in use."""
    path = models("handwriting-fr-fast", int8=True)
    page.set_input_files("#model", path)
    assert result(page) == ("", f"{path.name} is ready.")
    int8 = Recognizer.load(path, threads=1)
    for example in EXAMPLES:
        assert editdistance.eval(read(page, example.name, example.read_bytes())[0], int8.transcribe(example).text) <= 1
    wrong = tmp_path / "notes.onnx"
    for content in (b"hello", b"", path.read_bytes()[:-1000]):
        wrong.write_bytes(content)
        page.set_input_files("#model", wrong)
        assert result(page)[1].startswith("notes.onnx: is no "), content[:10]
    audio = models("phones-en")
    page.set_input_files("#model", audio)
    sentence = "phones-en.onnx: reads audio, this page lines of handwriting; make a file with `recognizer export handwriting-fr-fast model.onnx`"
    assert result(page) == ("", sentence)
    assert read(page, EXAMPLES[0].name, EXAMPLES[0].read_bytes())[0]


def test_settings_that_the_page_lacks(page: Page, models: Callable[..., Path], tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(models("handwriting-fr-fast"))
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    changes = {
        "deskew": ("config", "deskew: false", "deskew: true", "was trained with features.deskew=true, which this page cannot do; use Python"),
        "kind": ("config", "kind: pixels", "kind: geometric", "was trained with features.kind=geometric, which this page cannot do; use Python"),
        "hebrew": ("alphabet", '"é"', '"\u05d0"', "writes from right to left, which this page cannot do; use Python"),
        "none": ("alphabet", metadata["alphabet"], None, "is no recognizer: its metadata have no 'alphabet'; make one with `recognizer export "),
    }
    for name, (key, old, new, sentence) in changes.items():
        assert old in metadata[key]
        changed = {k: v for k, v in metadata.items() if k != key} | ({} if new is None else {key: metadata[key].replace(old, new)})
        del model.metadata_props[:]
        onnx.helper.set_model_props(model, changed)
        onnx.save(model, tmp_path / f"{name}.onnx")
        page.set_input_files("#model", tmp_path / f"{name}.onnx")
        assert result(page)[1].startswith(f"{name}.onnx: {sentence}")


def test_bad_pictures(page: Page) -> None:
    assert read(page, "a.png", b"no picture") == ("", "a.png: the browser cannot read this picture; save it as PNG, JPEG or WebP")
    page_of_text = encoded(written("trois lignes", 40, rows=3), "PNG")
    assert read(page, "b.png", page_of_text) == ("", "b.png: not one line: three rows of ink; cut the lines out of the page")


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ("model.onnx", "There is no model.onnx beside this page: "),
        (RUNTIME[0], "onnxruntime-web cannot be loaded ("),
        (RUNTIME[1], "model.onnx: onnxruntime-web cannot run it ("),
    ],
)
def test_a_missing_file_is_named(browser: Browser, address: str, missing: str, sentence: str) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.route(f"**/{missing}", lambda route: route.fulfill(status=404))
        page.goto(address)
        text, note = result(page)
        assert text == "" and note.startswith(sentence), note
