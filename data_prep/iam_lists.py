"""Which lines of IAM belong to which set of which published split: ids as package data, in ``lists/``."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from recognizer.errors import InputError

FORMS, LINES = 1539, 13353  # of IAM 3.0

# Sets of each split by manifest: the lists they are made of, the lines they count, and forms that are taken out again.
SPLITS: dict[str, dict[str, tuple[tuple[str, ...], int, tuple[str, ...]]]] = {
    "official": {  # Large Writer Independent Text Line Recognition Task
        "train": (("official_train",), 6161, ()),
        "dev": (("official_validation1", "official_validation2"), 1840, ()),  # 900 + 940
        "test": (("official_test",), 1861, ()),
    },
    "aachen": {  # RWTH Aachen
        "train": (("aachen_train",), 6482, ()),
        "dev": (("aachen_validation",), 976, ()),
        "test": (("aachen_test",), 2915, ()),
    },
    "aachen_laia": {  # as Laia and PyLaia have it (Puigcerver 2017)
        "train": (("official_train",), 6161, ()),
        "dev": (("aachen_validation",), 966, ("c04-160",)),
        "test": (("aachen_test",), 2915, ()),
    },
}

# The lists of the official task under the names they are distributed by.
DISTRIBUTED = {
    "trainset.txt": "official_train",
    "validationset1.txt": "official_validation1",
    "validationset2.txt": "official_validation2",
    "testset.txt": "official_test",
}


def load_split(name: str) -> dict[str, tuple[str, str]]:
    """The manifest ("train", "dev", "test") and the list of every line id of a split, in published order.

    Raises:
        InputError: the package data are damaged: a set has not as many lines as were published.
    """
    lines: dict[str, tuple[str, str]] = {}
    for manifest, (lists, count, without) in SPLITS[name].items():
        chosen = {id: (manifest, part) for part in lists for id in load_list(part) if id[:-3] not in without}
        if len(chosen) != count or chosen.keys() & lines.keys():
            raise InputError(f"split {name}: the installed lists have {len(chosen)} lines for {manifest}, published {count}; install again")
        lines |= chosen
    return lines


@cache
def load_list(name: str) -> tuple[str, ...]:
    """The line ids of one list, in order."""
    text = (files("recognizer.data_prep") / "lists" / f"iam_{name}.txt").read_text(encoding="utf-8")
    words = [word for row in text.split("\n") if not row.startswith("#") for word in row.split()]
    return tuple(id for word in words for id in _expand(word))


def _expand(word: str) -> list[str]:
    """``a01-000u:0-3,6`` stands for a01-000u-00 to a01-000u-03 and a01-000u-06."""
    form, _, ranges = word.partition(":")
    ends = [re.split("-", part) for part in ranges.split(",")]
    return [f"{form}-{number:02d}" for first, *last in ends for number in range(int(first), int((last or [first])[0]) + 1)]
