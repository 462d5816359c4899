"""How well the lines of pages are found and read: against pages whose ALTO or PAGE files know their lines and texts.

    python scripts/bench_pages.py FOLDER -m handwriting-fr --segmenters rapidocr,kraken

A given line is found if one line that was found has three quarters of its baseline inside its outline, and split if several
together have. A line is merged if it has half of the baselines of two given lines or more. CER end to end joins to each given line what
was read in the lines that have most of themselves in it; lines that belong to none are counted as more, not as errors of text.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import editdistance
import numpy as np
from bench_common import Row
from PIL import Image, ImageDraw

from recognizer.inference.pages import PageReader
from recognizer.inference.recognizer import Recognizer
from recognizer.pages.files import is_layout, load_layout
from recognizer.pages.pictures import PictureFinder
from recognizer.types import Line, Transcript
from recognizer.utils.xml import Point

FOUND, MERGED, PART = 0.75, 0.5, 0.1  # of a baseline
STEP = 4.0  # pixels between the points of a baseline that are looked at
LIFT = 0.1  # of the height of a line, by which they are raised into its letters


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table and, with ``--json``, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of pictures and their ALTO or PAGE files")
    parser.add_argument("-m", "--model", default="handwriting-fr")
    parser.add_argument("--segmenters", default="rapidocr", help="several: rapidocr,kraken (default: rapidocr)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args(arguments)
    files = sorted(file for file in options.folder.rglob("*.xml") if is_layout(file))
    if not files:
        parser.error(f"{options.folder}: no ALTO or PAGE files")
    recognizer = Recognizer.load(options.model)
    given = [next(PageReader(recognizer).transcribe(file)) for file in files]  # also compiles what there is to compile
    truth = [_read_truth(file, transcript) for file, transcript in zip(files, given, strict=True)]
    rows = [_measure_given(recognizer, files, truth)]
    rows += [_measure(recognizer, name, files, truth) for name in options.segmenters.split(",")]
    _print_table(rows)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def _read_truth(file: Path, transcript: Transcript) -> list[tuple[Line, str]]:
    """The lines of a layout in pixels, with the texts it gives them."""
    page = load_layout(file)
    assert page is not None
    if transcript.error is not None:
        raise SystemExit(transcript.error)
    return [(line, " ".join(described.text.split())) for line, described in zip(transcript.lines, page.lines, strict=True)]


def _measure_given(recognizer: Recognizer, files: Sequence[Path], truth: Sequence[list[tuple[Line, str]]]) -> Row:
    started, reader = time.perf_counter(), PageReader(recognizer)
    errors = length = lines = 0
    for file, expected in zip(files, truth, strict=True):
        for line, (_, text) in zip(next(reader.transcribe(file)).lines, expected, strict=True):
            errors += editdistance.eval(line.text, text)
            length += len(text)
            lines += 1
    seconds = (time.perf_counter() - started) / len(files)
    return {"lines": "given", "pages": len(files), "given": lines, "cer": 100 * errors / length, "seconds_a_page": seconds}


def _measure(recognizer: Recognizer, segmenter: str, files: Sequence[Path], truth: Sequence[list[tuple[Line, str]]]) -> Row:
    reader = PageReader(recognizer, segmenter)
    reader.segmenter.find(np.full((100, 100), 255, dtype=np.uint8))  # loads its model
    row: Row = {"lines": segmenter, "pages": len(files), "given": 0, "found": 0, "split": 0, "missed": 0, "merged": 0, "more": 0, "out_of_order": 0}
    errors = length = 0
    started = time.perf_counter()
    pictures = [PictureFinder(file.absolute().parent).find(file.absolute(), (load_layout(file) or _none()).image) for file in files]
    transcripts = [next(reader.transcribe(picture)) for picture in pictures]
    row["seconds_a_page"] = (time.perf_counter() - started) / len(files)
    for transcript, expected in zip(transcripts, truth, strict=True):
        if transcript.error is not None:
            raise SystemExit(transcript.error)
        shares = np.array([[_share(line, found) for found in transcript.lines] for line, _ in expected]).reshape(len(expected), len(transcript.lines))
        whole = shares.max(axis=1, initial=0) >= FOUND
        split = ~whole & (np.where(shares >= PART, shares, 0).sum(axis=1) >= FOUND)
        row["given"] += len(expected)
        row["found"] += int(whole.sum())
        row["split"] += int(split.sum())
        row["missed"] += int((~whole & ~split).sum())
        row["merged"] += int(((shares >= MERGED).sum(axis=0) > 1).sum())
        row["more"] += int((shares.max(axis=0, initial=0) < PART).sum())
        owners = [int(column.argmax()) if column.max(initial=0) >= PART else None for column in shares.T]
        known = [owner for owner in owners if owner is not None]
        row["out_of_order"] += sum(b < a for a, b in pairwise(known))
        for number, (_, text) in enumerate(expected):
            parts = sorted((line for line, owner in zip(transcript.lines, owners, strict=True) if owner == number), key=lambda line: line.outline[0])
            errors += editdistance.eval(" ".join(part.text for part in parts if part.text), text)
            length += len(text)
    row["cer"] = 100 * errors / length
    return row


def _none() -> Transcript:
    raise SystemExit("a file that described a page does so no longer")


def _share(line: Line, found: Line) -> float:
    """Share of a given line's baseline that lies within the outline of a line that was found."""
    ys = [y for _, y in line.outline]
    points = np.array(_sample(line.baseline or _bottom(line))) - (0, LIFT * (max(ys) - min(ys)))
    left, top = points.min(axis=0) - 1
    right, bottom = points.max(axis=0) + 2
    mask = Image.new("1", (int(right - left) + 1, int(bottom - top) + 1))
    ImageDraw.Draw(mask).polygon([(x - left, y - top) for x, y in found.outline], fill=1)
    inside = np.asarray(mask)
    rows, columns = (points[:, 1] - top).astype(int), (points[:, 0] - left).astype(int)
    return float(inside[rows, columns].mean())


def _bottom(line: Line) -> list[Point]:
    xs, ys = zip(*line.outline, strict=True)
    y = min(ys) + 0.7 * (max(ys) - min(ys))
    return [(min(xs), y), (max(xs), y)]


def _sample(polyline: Sequence[Point]) -> list[Point]:
    points = []
    for (x0, y0), (x1, y1) in pairwise(polyline):
        count = max(2, int(np.hypot(x1 - x0, y1 - y0) / STEP))
        points += [(x0 + (x1 - x0) * t, y0 + (y1 - y0) * t) for t in np.linspace(0, 1, count)]
    return points or list(polyline)


def _print_table(rows: Sequence[Row]) -> None:
    columns = ("lines", "pages", "given", "found", "split", "missed", "merged", "more", "out_of_order", "cer", "seconds_a_page")
    print(" ".join(f"{name:>14}" for name in columns))
    for row in rows:
        print(" ".join(f"{row[name]:>14.2f}" if isinstance(row.get(name), float) else f"{row.get(name, ''):>14}" for name in columns))


if __name__ == "__main__":
    main()
