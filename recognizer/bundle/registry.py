"""The bundles that ship with the package and those in the user's folders, found by name or by what they read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from recognizer.bundle.io import CONTENTS, GRAPH, is_bundle, is_plain
from recognizer.config import Modality
from recognizer.errors import BundleError, nearest

PARTNER = "second"  # folder within a bundle of the recognizer that decides with it, where it has one of its own
MODELS_VARIABLE = "RECOGNIZER_MODELS"
DEFAULTS: dict[Modality, str] = {"audio": "speech-en", "line": "handwriting-fr"}  # where no bundle is named


def shipped_bundles() -> dict[str, Path]:
    """Folder of each bundle that ships, by name."""
    root = Path(str(files("recognizer"))) / "bundles"
    return {folder.name: folder for folder in sorted(root.iterdir()) if (folder / CONTENTS).is_file()}


def model_folders() -> list[Path]:
    """The folders that hold bundles of the user's own: those of the environment variable ``RECOGNIZER_MODELS``, several divided as in
    ``PATH``, or else ``recognizer`` in the user's cache folder.
    """
    named = os.environ.get(MODELS_VARIABLE)
    if named is not None:
        return [Path(folder) for folder in named.split(os.pathsep) if folder]
    try:
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:  # no home directory
        return []
    return [Path(cache) / "recognizer"]


def own_bundles(folders: Sequence[Path] | None = None) -> dict[str, Path]:
    """Folder of each bundle in the user's folders, by name; the first of a name counts.

    Args:
        folders: to look in; None: :func:`model_folders`.
    """
    found: dict[str, Path] = {}
    for folder in model_folders() if folders is None else folders:
        try:
            inside = sorted(folder.iterdir())
        except OSError:  # not there, or not to be read
            continue
        for path in inside:
            if (path / CONTENTS).is_file():
                found.setdefault(path.name, path)
    return found


def find_bundle(name: str | Path) -> Path:
    """The folder that a user means: a bundle at this path, else the one of this name that ships or lies in the user's folders, else the path.

    The graph within a bundle stands for it; an ONNX file that lies elsewhere for itself. A folder that is no bundle and happens to be called
    like one that ships does not hide it.

    Raises:
        BundleError: there is nothing at the path, and no bundle of this name; the nearest is named.
    """
    path = Path(name)
    if is_bundle(path):
        return path
    if path.suffix == ".onnx" and path.is_file():
        return path.parent if path.name == GRAPH and is_bundle(path.parent) else path
    known = own_bundles() | shipped_bundles()
    if str(name) not in known and path.name == str(name) and not path.exists():
        raise BundleError(f"{name}: no such bundle" + (nearest(str(name), known) or f"; by name there are {', '.join(sorted(known))}"))
    return known.get(str(name), path)


def find_partner(name: str, bundle: Path) -> Path:
    """The bundle that the settings of the one at ``bundle`` name in ``decoder.combine_with``.

    A name is looked for beside that one, then among those that ship and in the user's folders; a path leads on from its folder. The working
    directory comes last: what lies there cannot take the place of any.
    """
    beside = bundle.parent / name if Path(name).name == name else bundle / name
    places = (beside, shipped_bundles().get(name), own_bundles().get(name), Path(name))
    return next((place for place in places if place is not None and is_bundle(place)), Path(name))


def locate_file(name: str, bundle: Path) -> Path | None:
    """The file that the settings of the bundle at ``bundle`` name, in it or, as ``PARTNER:FILE``, in another one; None if it is not there.

    Bundles that ship share their language models and lexicons in this way.
    """
    partner, colon, file = name.partition(":")
    if not colon:
        path = bundle / name
        return path if path.is_file() else None
    folder = find_partner(partner, bundle)
    path = folder / file
    inside = is_plain(file) and is_bundle(folder) and path.resolve().parent == folder.resolve()
    return path if inside and path.is_file() else None


def name_within(key: str, path: Path) -> str:
    """The name that a file from elsewhere gets in a bundle, after the setting of the decoder that names it: ``lm.ngram``, ``lexicon.txt.gz``."""
    return key + "".join(path.suffixes[-2:] if path.suffix == ".gz" else path.suffixes[-1:])


def default_bundle(modality: Modality) -> Path:
    """The bundle for recordings or for line images where none is named.

    Raises:
        BundleError: none ships for this kind of file.
    """
    known = shipped_bundles()
    name = DEFAULTS.get(modality)
    if name is None or name not in known:
        raise BundleError(f"no model for this kind of file ships with the package ({', '.join(known) or 'which has none'}); name one with -m")
    return known[name]
