"""The bundles that ship with the package, found by name or by what they read."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from recognizer.bundle.io import CONTENTS, is_bundle, is_plain
from recognizer.config import Modality
from recognizer.errors import BundleError

DEFAULTS: dict[Modality, str] = {"audio": "speech-en", "line": "handwriting-fr"}  # where no bundle is named


def shipped_bundles() -> dict[str, Path]:
    """Folder of each bundle that ships, by name."""
    root = Path(str(files("recognizer"))) / "bundles"
    return {folder.name: folder for folder in sorted(root.iterdir()) if (folder / CONTENTS).is_file()}


def find_bundle(name: str | Path) -> Path:
    """The folder that a user means: a bundle at this path, else the one of this name that ships, else the path as it is.

    A folder that is no bundle and happens to be called like one that ships does not hide it.
    """
    path = Path(name)
    return path if is_bundle(path) else shipped_bundles().get(str(name), path)


def find_partner(name: str, bundle: Path) -> Path:
    """The bundle that the settings of the one at ``bundle`` name in ``decoder.combine_with``.

    A name is looked for beside that one, then among those that ship; a path leads on from its folder. The working directory comes
    last: what lies there cannot take the place of either.
    """
    beside = bundle.parent / name if Path(name).name == name else bundle / name
    places = (beside, shipped_bundles().get(name), Path(name))
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
