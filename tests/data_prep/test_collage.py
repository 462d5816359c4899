from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recognizer.data.manifest import Item, load_manifest, save_manifest
from recognizer.data.preparation import prepare
from recognizer.data_prep import collage
from recognizer.errors import ConfigError, InputError
from recognizer.features.image_file import load_image


@pytest.fixture
def lines(tmp_path: Path) -> tuple[Path, Path]:
    """A manifest of six lines by two writers, whose letters are boxes, and its alignment."""
    items, records = [], []
    for number in range(6):
        text = "Ale Bec Cab" if number % 2 else "Dan Elan Ce"
        picture, tokens, left = np.full((80, 420), 255, np.uint8), [], 10
        for letter in text:
            top = 24 if letter.isupper() or letter in "bdl" else 40
            if letter != " ":
                picture[top:60, left : left + 18] = 20
                picture[top + 4 : 56, left + 4 : left + 14] = 255
            tokens.append({"symbol": letter, "start": left + 7, "end": left + 11, "confidence": 0.9})
            left += 30
        path = tmp_path / f"{number}.png"
        Image.fromarray(picture).save(path)
        items.append(Item(f"line{number}", path, text=text, group="anna" if number % 2 else "bert"))
        records.append(json.dumps({"id": f"line{number}", "tokens": tokens}))
    save_manifest(items, tmp_path / "all.jsonl")
    (tmp_path / "aligned.jsonl").write_text("\n".join(records))
    return tmp_path / "all.jsonl", tmp_path / "aligned.jsonl"


def compose(made: tuple[Path, Path], out: Path, **options: object) -> list[Item]:
    prepare("collage", made[0], out, aligned=made[1], name="collage", drop=lambda error: None, note=lambda text: None, **options)  # type: ignore[arg-type]
    return load_manifest(out / "collage.jsonl")


def test_lines_in_capitals_of_letters_that_are_there(lines: tuple[Path, Path], tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("ce bec\na cadeçé Xylo")
    items = compose(lines, tmp_path / "out", lines=12, texts=texts, words=3)
    assert [item.id for item in items] == [f"collage_{number:06d}" for number in range(1, 13)]
    assert {item.group for item in items} == {"anna", "bert"} and all(item.meta == {"kind": "text"} for item in items)
    for item in items:
        assert item.text == (item.text or "").upper() and item.text in "CE BEC A CADEÇÉ"  # no line with the X that nobody wrote
        grey = load_image(item.source)
        assert grey.shape[1] == item.width and np.ptp(grey.astype(int)) > 60
    assert not list((tmp_path / "out").rglob("*.partial"))


def test_share_of_capitals_and_the_seed(lines: tuple[Path, Path], tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("a ce bec cabée")
    named = (("a", 1), ("b", 1), ("c", 2))
    first, again, other = (compose(lines, tmp_path / name, lines=20, capitals=0.5, texts=texts, seed=seed) for name, seed in named)
    shares = sum(item.text == (item.text or "").upper() for item in first)
    assert 4 <= shares <= 16
    assert [item.text for item in first] == [item.text for item in again] != [item.text for item in other]
    for one, two in zip(first, again, strict=True):
        assert Path(one.source).read_bytes() == Path(two.source).read_bytes()


def test_small_capitals_say_what_small_letters_say(lines: tuple[Path, Path], tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("Ce bec bad Elan")
    items = compose(lines, tmp_path / "out", lines=16, capitals=0.0, small_capitals=1.0, texts=texts, words=3)
    assert all(set((item.text or "").split()) <= {"Ce", "bec", "bad", "Elan"} for item in items)
    assert all("C" in (item.text or "") or "E" in (item.text or "") for item in items)  # without a taller one they would be capitals
    assert len({item.text for item in items}) > 2


def test_what_is_cut_out_depends_on_what_is_written() -> None:
    assert collage._wanted(set("aé"), 1.0, 0.0) == {"A", "E", "É", "\u0301"}
    assert collage._wanted(set("oé"), 0.5, 0.0) == {"O", "o", "E", "e", "É", "é", "\u0301"}
    assert collage._wanted(set("o"), 0.0, 0.0) == {"o"} and collage._wanted(set("a"), 0.0, 0.5) == {"a", "A"}
    assert collage._wanted(set("\u2019"), 1.0, 0.0) == {"\u2019", "'"}


def test_wrong_settings_and_files_are_named(lines: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--capitals 2"):
        compose(lines, tmp_path / "out", capitals=2.0)
    with pytest.raises(ConfigError, match=r"--small-capitals 0\.5: is a share of what is not in capitals"):
        compose(lines, tmp_path / "out", small_capitals=0.5)
    with pytest.raises(ConfigError, match="--lines 0"):
        compose(lines, tmp_path / "out", lines=0)
    texts = tmp_path / "texts.txt"
    texts.write_text("cex")
    with pytest.raises(InputError, match=r"texts\.txt: letters for most"):
        compose(lines, tmp_path / "out", texts=texts)
    texts.write_text("ce bec")
    with pytest.raises(InputError, match=r"texts\.txt: letters, or capitals beside small letters, for most"):
        compose(lines, tmp_path / "out", texts=texts, capitals=0.0, small_capitals=1.0)
    lines[1].write_text('{"id": "line0"}\n')
    with pytest.raises(InputError, match=r"aligned\.jsonl:1: not a line"):
        compose(lines, tmp_path / "out")


def test_unreadable_lines_cost_themselves_only(lines: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(b"no picture")
    texts = tmp_path / "texts.txt"
    texts.write_text("bec")
    dropped: list[str] = []
    prepare("collage", lines[0], tmp_path / "out", aligned=lines[1], texts=texts, lines=2, drop=lambda error: dropped.append(str(error)), note=print)
    assert len(dropped) == 1 and "0.png" in dropped[0]
