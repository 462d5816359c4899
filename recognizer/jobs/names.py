"""Names of results: below the output folder as the sources lie below theirs, and no two the same."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath

from recognizer.jobs.find import Found
from recognizer.utils.files import MAX_NAME


def name_outputs(found: Sequence[Found]) -> list[str]:
    """The relative path of the results of each source.

    It is the path below the folder (or the fixed part of the pattern) that the source was found in, and the bare name of a file that was
    named itself. Where two different files would get the same path, both folders are mirrored from the one that they have in common.
    """
    absolute = [os.path.abspath(each.source) for each in found]
    roots = [os.path.abspath(each.root) for each in found]
    mirrored: set[str] = set()
    while True:
        common = _common_folder(mirrored)
        names = [_relative(path, common if root in mirrored else root) for path, root in zip(absolute, roots, strict=True)]
        clashing = _clashing_roots(names, absolute, roots)
        if clashing <= mirrored:
            return names
        mirrored |= clashing


def distinct_ids(outputs: Sequence[str]) -> list[str]:
    """A name without white space for each path: its stem, or all of the path where another file has that stem."""
    stems = [_without_space(PurePath(output).stem) for output in outputs]
    counts = Counter(stem for stem, _ in {*zip(stems, outputs, strict=True)})
    ids = [stem if counts[stem] == 1 else _without_space(output).replace("/", "_") for stem, output in zip(stems, outputs, strict=True)]
    owners: dict[str, str] = {}
    return [each if owners.setdefault(each, output) == output else f"{each}-{_digest(output)}" for each, output in zip(ids, outputs, strict=True)]


def fit_name(name: str) -> str:
    """A file's name that file systems take: of one with more than 255 bytes the middle gives way to a digest of the whole."""
    if len(os.fsencode(name)) <= MAX_NAME:
        return name
    stem, dot, ending = name.partition(".")
    ending = dot + ending if len(os.fsencode(ending)) < MAX_NAME // 4 else ""
    tail = f"~{_digest(name)}{ending}"
    kept = stem if ending else name
    while len(os.fsencode(kept + tail)) > MAX_NAME:
        kept = kept[:-1]
    return kept + tail


def _digest(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:8]


def _without_space(name: str) -> str:
    return "_".join(name.split())


def _common_folder(roots: set[str]) -> str:
    try:
        return os.path.commonpath(roots) if roots else ""
    except ValueError:  # on several drives
        return ""


def _relative(path: str, root: str) -> str:
    if root:
        return PurePath(os.path.relpath(path, root)).as_posix()
    drive, rest = os.path.splitdrive(path)
    return PurePath(drive.strip(":\\/") or ".", rest.lstrip("\\/")).as_posix()


def _clashing_roots(names: Sequence[str], absolute: Sequence[str], roots: Sequence[str]) -> set[str]:
    first: dict[str, int] = {}
    clashing: set[str] = set()
    for number, name in enumerate(names):
        other = first.setdefault(os.path.normcase(name), number)
        if absolute[other] != absolute[number]:
            clashing |= {roots[other], roots[number]}
    return clashing
