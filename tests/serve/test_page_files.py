"""The files of the page: contrast of its colors, its size, nothing from elsewhere, and that they are installed and served."""

from __future__ import annotations

import fnmatch
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import recognizer

STATIC = Path(recognizer.__file__).parent / "serve" / "static"
PAIRS = [
    *((text, ground) for text in ("text", "faint", "accent") for ground in ("panel", "ground")),
    *((text, "panel") for text in ("unsure", "doubtful", "good")), *((text, "ground") for text in ("unsure", "doubtful", "good")),
    ("text", "soft"), ("accent", "soft"), ("unsure", "soft"), ("doubtful", "soft"), ("good", "soft"), ("on-accent", "accent"),
    ("unsure", "unsure-ground"), ("doubtful", "doubtful-ground"), ("good", "good-ground"), ("text", "good-ground"),
]  # fmt: skip


def _colors() -> dict[str, tuple[str, str]]:
    style = (STATIC / "page.css").read_text(encoding="utf-8")
    return {name: (light, dark) for name, light, dark in re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", style)}


def _luminance(color: str) -> float:
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    """As WCAG 2 defines it."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_texts_and_edges_have_enough_contrast(theme: int) -> None:
    colors = _colors()
    assert _contrast("#000000", "#ffffff") == pytest.approx(21)
    low = {pair: round(_contrast(colors[pair[0]][theme], colors[pair[1]][theme]), 2) for pair in PAIRS}
    assert {pair: value for pair, value in low.items() if value < 4.5} == {}
    assert _contrast(colors["edge"][theme], colors["panel"][theme]) >= 3 and _contrast(colors["accent"][theme], colors["panel"][theme]) >= 3


def test_the_page_is_small_plain_and_whole() -> None:
    scripts = {path.name: path.read_text(encoding="utf-8") for path in STATIC.glob("*.js")}
    assert sum(text.count("\n") for text in scripts.values()) < 2000
    for name, text in scripts.items():
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|createContextualFragment", text), name
        for wanted in re.findall(r'from "\./([\w.]+)"', text):
            assert wanted in scripts, (name, wanted)
    for path in STATIC.iterdir():
        outside = re.findall(r"""(?:https?:)?//[\w.-]+\.\w+[^\s"')]*""", path.read_text(encoding="utf-8"))
        assert [address for address in outside if "www.w3.org" not in address] == [], path.name
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    assert " style=" not in page and "<style" not in page and not re.search(r"<script(?![^>]*\bsrc=)", page) and not re.search(r"\son\w+=", page)
    for used in re.findall(r'(?:src|href)="/static/([\w.]+)"', page):
        assert (STATIC / used).is_file(), used


def test_its_files_are_installed() -> None:
    settings = Path(recognizer.__file__).parents[1] / "pyproject.toml"
    if not settings.is_file():
        pytest.skip("the package is installed without its source")
    patterns = tomllib.loads(settings.read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]["recognizer.serve"]
    files = [path.relative_to(STATIC.parent).as_posix() for path in STATIC.rglob("*") if path.is_file()]
    assert "static/index.html" in files and [name for name in files if not any(fnmatch.fnmatch(name, each) for each in patterns)] == []


def test_it_is_served_with_a_strict_policy(start: Callable[..., Any], tmp_path: Path) -> None:
    with start(project=tmp_path / "p") as desk, desk.client() as client:
        page = client.get("/")
        assert page.status_code == 200 and "<main" in page.text
        policy = page.headers["content-security-policy"]
        assert "default-src 'self'" in policy and "unsafe" not in policy and "object-src 'none'" in policy
        kinds = {path.name: client.get(f"/static/{path.name}").headers["content-type"].partition(";")[0] for path in STATIC.iterdir()}
    assert set(kinds.values()) == {"text/javascript", "text/css", "text/html", "image/svg+xml"}
    assert kinds["main.js"] == "text/javascript"
