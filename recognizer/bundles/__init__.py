"""The recognisers in the box: bundles that come with the package, found by name or by what they read."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from recognizer.config import Modality
from recognizer.errors import BundleError

DEFAULTS: dict[Modality, str] = {"audio": "speech-en", "line": "handwriting-fr"}  # for files of each kind, where no bundle is named


def boxed() -> dict[str, Path]:
    """Folder of each bundle in the box, by name."""
    return {folder.name: folder for folder in sorted(Path(str(files(__name__))).iterdir()) if (folder / "bundle.json").is_file()}


def find_bundle(name: str | Path) -> Path:
    """The folder that a user means: a path, or the name of a bundle in the box where no such folder is there."""
    path = Path(name)
    return path if path.exists() else boxed().get(str(name), path)


def default_bundle(modality: Modality) -> Path:
    """The bundle for recordings or for line images where none is named.

    Raises:
        BundleError: there is none in the box.
    """
    known = boxed()
    name = DEFAULTS.get(modality)
    if name is None or name not in known:
        raise BundleError(f"no recogniser for this kind of file is in the box ({', '.join(known) or 'which is empty'}); name one with -b")
    return known[name]
