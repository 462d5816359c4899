"""Promise 7 of the design, a typo fails at once, and what else stops a command: full disks, damaged and newer bundles."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from recognizer.bundle.io import load_bundle, save_bundle
from recognizer.config import DecoderConfig
from recognizer.errors import BundleError
from recognizer.image import io as image_io


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("trainer.epoch=3", "trainer.epoch: no such key; did you mean 'trainer.epochs'?"),
        ("tainer.epochs=3", "did you mean 'trainer.epochs'?"),
        ("epochs=3", "did you mean 'trainer.epochs'?"),
        ("model.hiden=8", "did you mean 'model.hidden_size'?"),
        ("+trainer.epoch=3", "trainer.epoch"),
        ("sede=3", "did you mean 'seed'?"),
        ("trainer.optimizer=adm", "trainer.optimizer: 'adm' is not one of sgd, rmsprop, adam, adamw; did you mean 'adam'?"),
        ("trainer.epochs=many", "trainer.epochs: expected int, found 'many'"),
        ("trainer.epochs=-1", "trainer.epochs: must be positive"),
        ("trainer.ema_decay=1.5", "trainer.ema_decay: must lie in [0, 1)"),
        ("features=fbnak", "did you mean 'fbank'?"),
        ("feature=fbank", "did you mean 'features'?"),
        ("augment=handwriting", "augment.kind: 'line' does not fit audio features"),
        ("debug=fats", "did you mean 'fast'?"),
        ("experiment=copist", "did you mean 'copiste'?"),
        ("trainer.epochs", "an override is written key=value"),
        ("device=cdua", "device: 'cdua' is not auto, cpu, cuda or cuda:N"),
        ("trainer.epochs=[1", "trainer.epochs"),
    ],
)
def test_promise_7_a_typo_fails_at_once(cli, tmp_path, monkeypatch, override: str, words: str) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = cli("train", override)
    assert outcome.code == 2 and outcome.out == [] and len(outcome.err) == 1, outcome
    assert outcome.err[0].startswith("recognizer: ") and words in outcome.err[0]
    assert list(tmp_path.iterdir()) == []


def test_promise_7_a_typo_in_the_last_of_many_runs(cli, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = cli("train", "-m", "seed=1,2", "features=fbank,mfcc,spectogram")
    assert outcome.code == 2 and len(outcome.err) == 1 and "did you mean 'spectrogram'?" in outcome.err[0]
    assert list(tmp_path.iterdir()) == []


def copied(bundle: Path, to: Path) -> Path:
    return Path(shutil.copytree(bundle, to))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_full_disk_keeps_the_last_good_bundle(line_run, tmp_path, full_disk) -> None:
    folder = copied(line_run / "bundle", tmp_path / "bundle")
    bundle = load_bundle(folder)
    changed = {name: tensor + 1 for name, tensor in bundle.weights.items()}
    for size in (3000, 300):
        with full_disk(size), pytest.raises(BundleError) as caught:
            save_bundle(folder, bundle.config, bundle.alphabet, changed, "card")
        assert str(caught.value).startswith(f"{folder}: cannot write the bundle") and "\n" not in str(caught.value)
        assert contents(folder) == contents(line_run / "bundle") and load_bundle(folder).config == bundle.config
        assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.parametrize(("size", "words"), [(25_000, "cannot write the"), (2500, ""), (700, "")])
def test_a_full_disk_in_training_is_one_line_and_costs_nothing(tones, cli, full_disk, tmp_path, size: int, words: str) -> None:
    run_dir = tmp_path / "run"
    changes = {"trainer.limit_items": 8, "trainer.epochs": 1, "trainer.ema_decay": 0.9, "trainer.cache": True, "model.hidden_size": 32}
    config = tones.save_config(tmp_path / "c.yaml", run_dir, changes)
    with full_disk(size):
        fresh = cli("train", "--config", config, "-q")
    assert fresh.code == 2 and len(fresh.err) == 1 and str(run_dir) in fresh.err[0]
    left = [path for path in run_dir.rglob("*") if path.is_file()]
    assert all(path.stat().st_size and not path.name.endswith(".partial") for path in left), left
    assert cli("train", "--config", config, "-q").code == 0
    before = contents(run_dir / "bundle"), (run_dir / "config.yaml").read_text(), (run_dir / "checkpoint.pt").read_bytes()
    with full_disk(size):
        outcome = cli("train", "--resume", run_dir, "trainer.epochs=2", "-q")
    assert outcome.code == 2 and outcome.out == [] and len(outcome.err) == 1
    assert outcome.err[0].startswith(f"recognizer: {run_dir}") and words in outcome.err[0]
    assert (run_dir / "checkpoint.pt").read_bytes() == before[2]
    assert size > 2500 or contents(run_dir / "bundle") == before[0]
    assert size > 700 or (run_dir / "config.yaml").read_text() == before[1]
    assert load_bundle(run_dir / "bundle").alphabet.symbols == ("a", "b", "c", "d")
    assert cli("train", "--resume", run_dir, "trainer.epochs=2", "-q").code == 0


@pytest.mark.parametrize("name", ["model.safetensors", "config.yaml", "alphabet.txt"])
@pytest.mark.parametrize("fault", ["altered", "missing"])
def test_a_bundle_that_was_tampered_with_is_refused(line_run, glyphs, cli, tmp_path, name: str, fault: str) -> None:
    folder = copied(line_run / "bundle", tmp_path / "bundle")
    if fault == "missing":
        (folder / name).unlink()
    else:
        data = bytearray((folder / name).read_bytes())
        data[-2] ^= 1
        (folder / name).write_bytes(data)
    outcome = cli("transcribe", glyphs.items()[0].source, "-b", folder)
    assert outcome.code == 2 and outcome.out == [] and len(outcome.err) == 1
    assert outcome.err[0].startswith(f"recognizer: {folder / name}: ") and fault in outcome.err[0] and "copy the bundle anew" in outcome.err[0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 4, "recognizer": "9.1"}, "was made by a newer version (9.1, format 4)"), ("{", "is damaged"), ([], "is damaged"),
        ({"format": "one"}, "is damaged"), ({"sha256": ["model.safetensors"]}, "is damaged"), ({"sha256": {}}, "is damaged"),
    ],
)  # fmt: skip
def test_a_newer_or_damaged_bundle_is_refused(line_run, glyphs, cli, tmp_path, changes: Any, words: str) -> None:
    folder = copied(line_run / "bundle", tmp_path / "bundle")
    own = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(changes if isinstance(changes, str) else json.dumps(own | changes if changes else changes))
    outcome = cli("transcribe", glyphs.items()[0].source, "-b", folder)
    assert outcome.code == 2 and len(outcome.err) == 1 and str(folder) in outcome.err[0] and words in outcome.err[0]


def test_the_card_may_be_edited(line_run, glyphs, cli, tmp_path) -> None:
    folder = copied(line_run / "bundle", tmp_path / "bundle")
    (folder / "card.md").write_text("# Mine\n")
    assert cli("transcribe", glyphs.items()[0].source, "-b", folder, "-q").out == [glyphs.items()[0].text]


def test_large_pictures_are_decoded_one_at_a_time(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(image_io, "LARGE_PIXELS", 1000)
    inside, most, lock = 0, 0, threading.Lock()
    read = image_io._read_upright

    def watch(image):
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        time.sleep(0.02)
        found = read(image)
        with lock:
            inside -= 1
        return found

    monkeypatch.setattr(image_io, "_read_upright", watch)
    for size, expected in ((60, 1), (20, 4)):
        Image.new("L", (size, size), 200).save(tmp_path / "picture.png")
        most = 0
        with ThreadPoolExecutor(4) as pool:
            shapes = [picture.shape for picture in pool.map(image_io.load_image, [tmp_path / "picture.png"] * 8)]
        assert shapes == [(size, size)] * 8 and (most == 1 if expected == 1 else most > 1)


HOSTILE = """
import resource, sys
from recognizer.config import LineFeatures
from recognizer.inference.inputs import InputLoader
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
loader = InputLoader(LineFeatures(), 20_000)
loader.load(0, sys.argv[1])
before = peak()
for path in sys.argv[2:]:
    print((loader.load(0, path).error or "read").removeprefix(path))
print(peak() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak of memory is told in other units elsewhere")
def test_promise_8_small_files_do_not_take_much_memory(tmp_path) -> None:
    Image.new("L", (200, 40), 255).save(tmp_path / "plain.png")
    names = ["lies.png", "long.png", "tall.png", "large.png", "chunk.png"]
    write_png(tmp_path / "lies.png", 17_000, 17_000, zlib.compress(bytes(1000)))
    write_png(tmp_path / "long.png", 1_000_000, 1, zlib.compress(bytes(1_000_001)))
    write_png(tmp_path / "tall.png", 1, 1_000_000, zlib.compress(bytes(2_000_000)))
    write_png(tmp_path / "large.png", 4_000, 4_000, zlib.compress(bytes(4_001 * 4_000)))
    whole = (tmp_path / "large.png").read_bytes()
    place = whole.index(b"IDAT")
    (tmp_path / "chunk.png").write_bytes(whole[: place - 4] + (0x7FFFFFFF).to_bytes(4, "big") + whole[place:])
    command = [sys.executable, "-c", HOSTILE, *(str(tmp_path / name) for name in ("plain.png", *names))]
    *said, grown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert "image file is truncated" in said[0] and "1000000 x 1 pixels" in said[1] and "1 x 1000000 pixels" in said[2]
    assert float(grown) < 150, grown  # MB; the largest that is read has 16 million pixels


def write_png(path: Path, width: int, height: int, packed: bytes) -> None:
    """A gray picture of 8 bits whose pixels are what ``packed`` holds of them."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((8, 0, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b""))


@pytest.mark.parametrize("name", ["speech-en", "handwriting-fr"])
def test_promise_1_holds_for_the_models_that_ship(name: str) -> None:
    from recognizer.bundle.registry import find_bundle
    from recognizer.data.batching import pad
    from recognizer.inference.recognizer import Recognizer

    recognizer = Recognizer.load(name, "cpu", threads=1, decoder=DecoderConfig())
    examples = sorted(find_bundle(name).parent.glob("examples/*" + (".opus" if name == "speech-en" else ".webp")))
    found = [recognizer.runner.loader.load(0, str(path)).content for path in examples]
    assert len(found) == 2
    whole = [np.asarray(array) for array in found]
    arrays = sorted([*whole, *(array[: len(array) * part // 5] for array in whole for part in (2, 3))], key=len)
    assert len({len(array) for array in arrays}) == 6
    for backend in recognizer.runner.networks:
        network = backend.network
        with torch.inference_mode():
            together, lengths = network(*pad(arrays))
            features, frames = network.features(*pad(arrays))
            for number, array in enumerate(arrays):
                count, length = int(frames[number]), int(lengths[number])
                alone, row = network.features(*pad([array]))[0][0], network(*pad([array]))[0][0]
                assert torch.equal(features[number, :count], alone[:count])  # padding does not enter
                assert (together[number, :length] - row[:length]).abs().max() < 1e-4  # products of one row and of six round differently
