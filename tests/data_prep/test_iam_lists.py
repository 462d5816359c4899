"""The published line ids of IAM: what is known of them from outside must come out."""

from __future__ import annotations

import pytest

from recognizer.data_prep import iam_lists
from recognizer.data_prep.iam_lists import load_list, load_split
from recognizer.errors import InputError

SIZES = {  # lines and forms
    "official_train": (6161, 747), "official_validation1": (900, 105), "official_validation2": (940, 115), "official_test": (1861, 232),
    "aachen_train": (6482, 747), "aachen_validation": (976, 116), "aachen_test": (2915, 336),
}  # fmt: skip


@pytest.mark.parametrize("name", SIZES)
def test_sizes(name):
    ids = load_list(name)
    assert (len(ids), len({id[:-3] for id in ids})) == SIZES[name] and len(set(ids)) == len(ids)


def test_how_the_two_families_overlap():
    lists = {name: set(load_list(name)) for name in SIZES}
    assert lists["official_train"] < lists["aachen_train"]
    assert {id[:-3] for id in lists["official_train"]} == {id[:-3] for id in lists["aachen_train"]}
    for name, overlaps in (("aachen_test", (759, 709, 1313, 134)), ("aachen_validation", (141, 231, 548, 56))):
        others = [lists[f"official_{part}"] for part in ("validation1", "validation2", "test")]
        assert (*(len(lists[name] & other) for other in others), len(lists[name] - set().union(*others))) == overlaps


def test_ranges():
    assert load_list("official_test")[:2] == ("m01-049-00", "m01-049-01") and load_list("official_test")[-1] == "p06-104-09"
    assert {"n04-048-06", "n04-048-08"} < set(load_list("official_test")) and "n04-048-07" not in load_list("official_test")
    assert "p02-155-00" in load_list("official_test") and "p02-155-01" not in load_list("official_test")


def test_sets_of_a_split_do_not_share_forms():
    for name, sizes in (("official", (6161, 1840, 1861)), ("aachen", (6482, 976, 2915)), ("aachen_laia", (6161, 966, 2915))):
        split = load_split(name)
        sets = {manifest: [id for id, (m, _) in split.items() if m == manifest] for manifest in ("train", "dev", "test")}
        assert tuple(map(len, sets.values())) == sizes
        forms = [{id[:-3] for id in ids} for ids in sets.values()]
        assert len(set().union(*forms)) == sum(map(len, forms))
    assert not any(id.startswith("c04-160") for id in load_split("aachen_laia")) and "c04-160-00" in load_split("aachen")


def test_damaged_lists_are_noticed(monkeypatch):
    monkeypatch.setattr(iam_lists, "load_list", lambda name: load_list(name)[1:])
    with pytest.raises(InputError, match="have 6481 lines for train, published 6482; install again"):
        load_split("aachen")
