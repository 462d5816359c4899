"""Items are known again by their digests, whatever form their text has, and others are not."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from recognizer.bundle.provenance import TRAINED_ON, Provenance, digest_item
from recognizer.data.manifest import Item
from recognizer.errors import BundleError


def item(id: str, text: str | None = None, units: tuple[str, ...] | None = None, source: str = "a.wav") -> Item:
    return Item(id, Path(source), text=text, units=units)


def test_forms_of_one_text_have_one_digest():
    same = [
        item("a01-003-00", "He'll say: “No”, Zoë."), item("a01-003-00", "He 'll say : “ No ” , Zoë ."), item("a01-003-00", "HE'LL SAY NO ZOE\u0308"),
        item("a01-003-00", "he'll say no zoë", ("h#", "hh"), "b.png"),
    ]  # fmt: skip
    assert len({digest_item(i) for i in same}) == 1
    others = [item("a01-003-01", same[0].text), item("a01-003-00", "He'll say: No, Zoe."), item("a01-003-00"), item("a01-003-00", None, ("h#",))]
    assert len({digest_item(i) for i in [same[0], *others]}) == 5


def test_what_was_trained_on_is_found():
    items = [item(str(n), f"text {n}") for n in range(50)]
    provenance = Provenance.of(items[:20], items[20:30])
    assert provenance.trained_on(items) == items[:20] and provenance.chosen_by(items) == items[20:30]
    assert Provenance().trained_on(items) == []


def test_the_file_does_not_depend_on_the_order(tmp_path):
    items = [item(str(n), f"text {n}") for n in range(9)]
    path = tmp_path / TRAINED_ON
    Provenance.of(items[:5], items[5:]).save(path)
    first = path.read_bytes()
    Provenance.of(items[4::-1], items[5:]).save(path)
    assert path.read_bytes() == first and b"text" not in gzip.decompress(first)
    assert Provenance.load(tmp_path) == Provenance.of(items[:5], items[5:])
    path.rename(tmp_path / "elsewhere")
    assert Provenance.load(tmp_path) is None
    (tmp_path / "trained_on.txt").write_bytes(gzip.decompress(first))  # as bundles of format 1 have it
    assert Provenance.load(tmp_path) == Provenance.of(items[:5], items[5:])


def test_a_run_from_a_bundle_inherits():
    items = [item(str(n), f"text {n}") for n in range(4)]
    both = Provenance.of(items[:1], items[1:2]) | Provenance.of(items[1:3], items[3:])
    assert both.trained_on(items) == items[:3] and both.chosen_by(items) == [items[1], items[3]]


@pytest.mark.parametrize("text", ["train abc\n", "test 0123456789ab\n", "train 0123456789ab\ntrain 0123456789AB\n"])
def test_damage_is_named(text, tmp_path):
    (tmp_path / TRAINED_ON).write_bytes(gzip.compress(text.encode()))
    with pytest.raises(BundleError, match=f"{TRAINED_ON}:{text.count(chr(10))}: expected 'train' or 'dev' and 12 hexadecimal digits"):
        Provenance.load(tmp_path)
