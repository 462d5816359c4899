"""Limits of what is read, changed by the environment in a process of its own, and the message that says how."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recognizer.errors import ConfigError, InputError
from recognizer.utils.limits import VARIABLE, Limits, limits
from recognizer.utils.xml import parse_xml


@pytest.fixture(autouse=True)
def forget():
    limits.cache_clear()
    yield
    limits.cache_clear()


def test_limits_come_from_the_environment(monkeypatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert limits() == Limits()
    limits.cache_clear()
    monkeypatch.setenv(VARIABLE, "picture_pixels=1e9, xml_nesting=7")
    assert limits() == Limits(picture_pixels=10**9, xml_nesting=7)


@pytest.mark.parametrize(("value", "said"), [
    ("picture_pixel=3", "'picture_pixel' is no limit; did you mean 'picture_pixels'?"),
    ("digits=many", "digits: expected a number above 0, found 'many'"),
    ("digits=0", "found '0'"), ("digits=1e999", "found '1e999'"), ("digits", "found ''"), ("digits=nan", "found 'nan'"),
])  # fmt: skip
def test_a_limit_that_makes_no_sense_is_refused(monkeypatch, value: str, said: str) -> None:
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(ConfigError, match=f"{VARIABLE}: ") as caught:
        limits()
    assert said in str(caught.value)


def run(code: str, monkeypatch, value: str) -> str:
    monkeypatch.setenv(VARIABLE, value)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stdout.strip()


def test_the_message_names_the_limit_and_the_limit_is_kept(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "line.png"
    Image.fromarray(np.full((10, 20), 255, np.uint8)).save(path)
    code = f"from recognizer.image.io import load_image\ntry:\n print(load_image({str(path)!r}).shape)\nexcept Exception as error: print(error)"
    assert run(code, monkeypatch, "picture_pixels=200") == "(10, 20)"
    said = run(code, monkeypatch, "picture_pixels=199")
    assert "20 x 10 pixels, more than 199" in said and f"set {VARIABLE}=picture_pixels=NUMBER" in said


def test_deep_xml_says_how_to_raise_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "deep.xml"
    path.write_text("<a>" * 300 + "</a>" * 300)
    with pytest.raises(InputError, match=f"nested more than 200 deep; set {VARIABLE}=xml_nesting=NUMBER to allow more"):
        parse_xml(path)
