"""Pictures that a corpus is made of: PNG files that appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

from PIL import Image


def write_picture(path: Path, picture: Image.Image) -> None:
    """Write a picture as PNG."""
    partial = path.with_name(path.name + ".partial")
    try:
        picture.save(partial, format="PNG")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
