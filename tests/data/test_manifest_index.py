"""Manifests that stay on disk: the same items, in the same order, and the same complaints as from a list."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognizer.data import manifest, manifest_index
from recognizer.data.manifest import Item, load_manifest, save_manifest
from recognizer.data.manifest_index import ManifestItems
from recognizer.errors import ManifestError


@pytest.fixture
def big(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every manifest counts as a large one, and is looked through a few bytes at a time."""
    monkeypatch.setattr(manifest, "HELD", 0)
    monkeypatch.setattr(manifest_index, "BLOCK", 50)


def write(path: Path, count: int, prefix: str = "") -> list[Item]:
    items = [Item(f"{prefix}{number}", path.parent / f"{number}.wav", text="é" * (number % 7), meta={"n": number}) for number in range(count)]
    save_manifest(items, path)
    return items


def test_a_large_manifest_gives_the_items_of_a_small_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "m.jsonl", 30)
    held = load_manifest(tmp_path / "m.jsonl")
    monkeypatch.setattr(manifest, "HELD", 100)
    items = load_manifest(tmp_path / "m.jsonl")
    assert isinstance(held, list) and isinstance(items, ManifestItems)
    assert list(items) == held and len(items) == 30 and items[-1] == held[-1] and [items[place] for place in range(30)] == held
    assert list(items[3:20:4]) == held[3:20:4] and items[3:20:4][2] == held[11] and not len(items[40:])
    assert list(items.select(np.array([0, 7, 29]))[1:]) == [held[7], held[29]]
    copied = pickle.loads(pickle.dumps(items))
    assert copied[5] == held[5] and len(pickle.dumps(items)) < 1000  # 8 bytes a line
    with pytest.raises(IndexError):
        items[30]
    with pytest.raises(ValueError, match="must increase"):
        items.select([2, 1])


@pytest.mark.usefixtures("big")
def test_several_manifests_follow_each_other(tmp_path: Path) -> None:
    names = ["a", "b", "c"]
    everything = [item for name, count in zip(names, (4, 1, 6), strict=True) for item in write(tmp_path / name, count, name)]
    items = ManifestItems.open(tmp_path / name for name in names)
    assert list(items) == everything == [items[place] for place in range(11)]
    assert list(items[2:9:3]) == everything[2:9:3] and items[2:9:3][1] == everything[5]
    items.check_ids()


LINES = ["", "  ", "\t", '{"id": "%d", "source": "s"}', ' {"id": "%d", "source": "s"} ', '{"id": "%d", "source": "' + "é" * 60 + '"}']


@given(st.lists(st.sampled_from(LINES)), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans(), st.integers(1, 200))
def test_lines_are_found_wherever_blocks_end(tmp_path_factory, lines: list[str], end: str, last: bool, mark: bool, block: int) -> None:
    path = tmp_path_factory.mktemp("m") / "m.jsonl"
    lines = [line.replace("%d", str(number)) for number, line in enumerate(lines)]
    path.write_bytes(("\ufeff" * mark + end.join(lines) + end * last).encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_index, "BLOCK", block)
        try:
            expected = load_manifest(path)
        except ManifestError as error:
            with pytest.raises(ManifestError, match=f"^{error}$"):
                ManifestItems.open([path])
        else:
            items = ManifestItems.open([path])
            assert list(items) == expected == [items[place] for place in range(len(items))]


@pytest.mark.usefixtures("big")
def test_a_wrong_line_is_named_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    good = '{"id": "%d", "source": "s"}\n'
    path.write_bytes((good % 1 + "\n" + good % 2 + '{"id": 3}\n').encode() + b'{"id": "\xff"}\n' + (good % 4 + "no json\n").encode())
    items = load_manifest(path)
    assert [items[place].id for place in (0, 1, 4)] == ["1", "2", "4"]
    for place, message in ((2, "4: the key 'id' must be a non-empty string"), (3, r"5: not UTF-8 text \(.* at byte 8 of"), (5, "7: not JSON")):
        with pytest.raises(ManifestError, match=rf"m\.jsonl:{message}"):
            items[place]
    with pytest.raises(ManifestError, match=r"m\.jsonl:4: the key 'id'"):
        list(items)


@pytest.mark.usefixtures("big")
def test_ids_that_occur_twice_are_named_with_both_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = '{"id": "%s", "source": "s"}\n'
    (tmp_path / "a").write_text("".join(line % name for name in "xyz") + "\n" + line % "y")
    (tmp_path / "b").write_text("".join(line % name for name in "vwz"))
    with pytest.raises(ManifestError, match=r"/a:5: the id 'y' is already in line 2$"):
        ManifestItems.open([tmp_path / "a"]).check_ids()
    with pytest.raises(ManifestError, match=r"/b:3: the id 'z' is already in .*/a:3$"):
        ManifestItems.open([tmp_path / "a", tmp_path / "b"]).select([0, 1, 2, 4, 5, 6]).check_ids()
    monkeypatch.setattr(manifest_index, "hash", lambda text: 1, raising=False)  # all ids have the same digest
    ManifestItems.open([tmp_path / "b"]).check_ids()


@pytest.mark.usefixtures("big")
def test_files_that_are_no_manifest(tmp_path: Path) -> None:
    (tmp_path / "blank").write_text("\n \n")
    reasons = {"none": "no such manifest; make one", "blank": "the manifest is empty", ".": "cannot read the manifest: Is a directory"}
    for name, message in reasons.items():
        with pytest.raises(ManifestError, match=message):
            ManifestItems.open([tmp_path / name])
    write(tmp_path / "m.jsonl", 3)
    items = load_manifest(tmp_path / "m.jsonl")
    (tmp_path / "m.jsonl").unlink()
    for read in (lambda: items[0], lambda: list(items)):
        with pytest.raises(ManifestError, match=r"m\.jsonl: cannot read the manifest: No such file"):
            read()
