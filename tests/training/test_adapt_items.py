"""What is learnt and what is held back, and what a user may hand over."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from recognizer.data.manifest import Item, save_manifest
from recognizer.data.project import Project
from recognizer.errors import ConfigError, ManifestError
from recognizer.training.adapt_items import plan_folds, read_items


def lines(count: int, groups: int | None = None, sizes: tuple[int, ...] = ()) -> list[Item]:
    names = [f"g{number}" for number, size in enumerate(sizes) for _ in range(size)] if sizes else None
    count = sum(sizes) or count
    return [Item(f"i{n}", Path(f"/x/{n}.png"), text="ab", group=names[n] if names else f"g{n % groups}" if groups else None) for n in range(count)]


@pytest.mark.parametrize(("count", "held"), [(60, 8), (80, 8), (100, 10), (400, 40)])
def test_a_tenth_is_held_back_and_eight_at_least(count, held) -> None:
    (fold,) = plan_folds(lines(count))
    assert len(fold.held) == held and sorted(fold.train + fold.held) == list(range(count))


@pytest.mark.parametrize("count", [10, 25, 59])
def test_each_of_few_items_is_held_back_once(count) -> None:
    folds = plan_folds(lines(count))
    assert len(folds) == 4
    assert sorted(number for fold in folds for number in fold.held) == list(range(count))
    assert all(not set(fold.train) & set(fold.held) and len(fold.train) + len(fold.held) == count for fold in folds)


def test_groups_stay_whole() -> None:
    items = lines(200, groups=40)
    (fold,) = plan_folds(items)
    assert len({items[n].group for n in fold.held}) == 4 and len(fold.held) == 20
    few = lines(40, groups=8)
    for fold in plan_folds(few):
        assert not {few[n].group for n in fold.held} & {few[n].group for n in fold.train}


def test_small_groups_are_held_back_rather_than_large_ones() -> None:
    items = lines(0, sizes=(60, *[3] * 30))
    (fold,) = plan_folds(items)
    held = {items[n].group for n in fold.held}
    assert "g0" not in held and len(fold.held) == 3 * len(held) == 15


def test_a_few_groups_are_divided_since_one_page_says_little_of_the_others() -> None:
    items = lines(0, sizes=(43, 39, 18))
    (fold,) = plan_folds(items)
    assert len(fold.held) == 10 and len({items[n].group for n in fold.held}) > 1
    (fold,) = plan_folds(lines(24, groups=4), folds=1)
    assert len(fold.held) == 8


def test_the_division_depends_on_the_seed_and_not_on_the_order() -> None:
    items = lines(100)
    (first,), (second,), (other,) = plan_folds(items), plan_folds(items[::-1]), plan_folds(items, seed=1)
    held = {items[n].id for n in first.held}
    assert held == {items[::-1][n].id for n in second.held} != {items[n].id for n in other.held}


def test_folds_may_be_chosen() -> None:
    assert len(plan_folds(lines(100), folds=5)) == 5 and len(plan_folds(lines(20), folds=1)) == 1
    with pytest.raises(ConfigError, match="--folds 7: there are 6 items"):
        plan_folds(lines(6), folds=7)


def test_items_of_another_kind_are_left_out_or_refused(tmp_path) -> None:
    picture, sound = Item("a", tmp_path / "a.png", text="ab"), Item("b", tmp_path / "b.wav", text="ab")
    save_manifest([picture, sound], tmp_path / "mixed.jsonl")
    items, left_out = read_items(tmp_path / "mixed.jsonl", "line")
    assert [item.id for item in items] == ["a"] and left_out == [f"b: {sound.source} is no picture of a line, which is what this model reads"]
    save_manifest([sound], tmp_path / "sounds.jsonl")
    with pytest.raises(ManifestError, match="holds recordings, but this model reads pictures of lines; name a model for recordings"):
        read_items(tmp_path / "sounds.jsonl", "line")


def test_folders_give_pairs_and_name_what_has_none(tmp_path) -> None:
    for name, text in (("a.png", "ab"), ("b.png", None), ("c.png", " ")):
        (tmp_path / name).write_bytes(b"")
        if text is not None:
            (tmp_path / name).with_suffix(".gt.txt").write_text(text)
    items, left_out = read_items(tmp_path, "line")
    assert [(item.id, item.text) for item in items] == [("a", "ab")]
    assert len(left_out) == 2 and any("no transcript beside it" in line for line in left_out) and any("is empty" in line for line in left_out)
    (tmp_path / "none").mkdir()
    with pytest.raises(ManifestError, match="holds no corrected items"):
        read_items(tmp_path / "none", "line")


def test_projects_give_their_corrections(tmp_path) -> None:
    Project.create(tmp_path / "project")
    folder = tmp_path / "project"
    (folder / "sources" / "x.png").write_bytes(b"")
    record = {"id": "0123456789abcdef", "source": "sources/x.png", "text": "ab", "time": "2026-01-01T00:00:00Z"}
    (folder / "corrections").mkdir(exist_ok=True)
    (folder / "corrections" / "0123456789abcdef.json").write_text(json.dumps(record))
    items, left_out = read_items(folder, "line")
    assert [item.text for item in items] == ["ab"] and not left_out
    assert Counter(item.source.name for item in items) == {"x.png": 1}


def test_a_text_that_several_speakers_read_is_not_both_learnt_and_held_back() -> None:
    items = [Item(f"s{speaker}-{n}", Path(f"/x/{speaker}-{n}.wav"), text="same" if n < 2 else f"text {speaker} {n}", group=f"s{speaker}")
             for speaker in range(8) for n in range(10)]  # fmt: skip
    (fold,) = plan_folds(items)
    assert len(fold.held) >= 8
    assert not {items[n].text for n in fold.held} & {items[n].text for n in fold.train}
