"""Items to measure with: synthetic lines and utterances of realistic lengths, or a sample of a real manifest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image, ImageDraw

from recognizer.data.manifest import Item, load_manifest, save_manifest

MANIFEST = "items.jsonl"
SAMPLE_RATE = 16_000
LINE_HEIGHT, COLUMNS_PER_LABEL = 64, 20.4  # pixels; 45 labels in a line of 920 columns
LABELS_PER_SECOND = 4.5  # 19 labels in an utterance of 4.2 s
SYMBOLS = [chr(code) for code in (*range(0x21, 0x7F), *range(0xC0, 0xE4))]  # 130
PHONES = [f"p{number}" for number in range(39)]


def network_of(modality: str) -> list[str]:
    """The overrides of the networks that are measured: line_cnn_blstm at 64 px, or 3 x 250 BLSTM on 123 numbers a frame."""
    return {"line": ["features=pixels", "model=line_cnn_blstm"], "audio": ["features=graves2013", "model=blstm"]}[modality]


def write_corpus(modality: str, folder: Path, count: int, manifest: str | None) -> Path:
    """Write ``folder/items.jsonl``: ``count`` synthetic items, or as many taken evenly from a manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    if manifest is None:
        items = (_write_lines if modality == "line" else _write_utterances)(folder, count)
    else:
        items = load_manifest(manifest)
        items = [items[place] for place in np.unique(np.linspace(0, len(items) - 1, min(count, len(items))).astype(int))]
    save_manifest(items, folder / MANIFEST)
    return folder / MANIFEST


def text_level(items: Sequence[Item]) -> str:
    """Whether to train on characters or on units: units where every item has them."""
    return "units" if all(item.units for item in items) else "characters"


def _write_lines(folder: Path, count: int) -> list[Item]:
    """Scribbles 64 pixels high and 140 to 1760 wide, 920 on average."""
    rng = np.random.default_rng(1)
    items = []
    for number in range(count):
        width = int(np.clip(rng.normal(920, 330), 140, 1760))
        image = Image.new("L", (width, LINE_HEIGHT), 235)
        across = np.arange(2, width - 2, 5)
        down = rng.integers(2, LINE_HEIGHT - 2, len(across))
        ImageDraw.Draw(image).line(list(zip(across.tolist(), down.tolist(), strict=True)), fill=30, width=3)
        path = folder / f"line{number}.png"
        image.save(path)
        text = "".join(rng.choice(SYMBOLS, max(1, round(width / COLUMNS_PER_LABEL))))
        items.append(Item(path.stem, path, text=text, width=width))
    return items


def _write_utterances(folder: Path, count: int) -> list[Item]:
    """Noise of changing loudness, 2.5 to 7 s long, 4.2 s on average."""
    rng = np.random.default_rng(1)
    items = []
    for number in range(count):
        seconds = float(rng.triangular(2.5, 3.0, 7.0))
        size = int(seconds * SAMPLE_RATE)
        loudness = np.interp(np.arange(size), np.linspace(0, size, 20), rng.uniform(0.005, 0.1, 20))
        path = folder / f"utterance{number}.wav"
        soundfile.write(path, rng.standard_normal(size) * loudness, SAMPLE_RATE, subtype="PCM_16")
        units = tuple(rng.choice(PHONES, round(seconds * LABELS_PER_SECOND)).tolist())
        items.append(Item(path.stem, path, units=units, seconds=seconds))
    return items
