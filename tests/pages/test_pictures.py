"""Which picture an XML file describes."""

from __future__ import annotations

import pytest
from PIL import Image

from recognizer.errors import InputError
from recognizer.pages.pictures import PictureFinder


@pytest.fixture
def scan(tmp_path):
    """Write a small picture below the corpus."""

    def call(name):
        path = tmp_path / "corpus" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (100, 60), 220).save(path)
        return path

    return call


@pytest.mark.parametrize("named", ["../../secret.png", "{}/secret.png", "a/../../../secret.png", "x\0.png", "x" * 9999])
def test_pictures_outside_the_corpus_are_not_read(tmp_path, scan, named):
    secret = tmp_path / "secret.png"
    scan("a/other.png").replace(secret)
    file = tmp_path / "corpus" / "a" / "0001.xml"
    with pytest.raises(InputError, match="its image is not there") as caught:
        PictureFinder(tmp_path / "corpus").find(file, named.format(tmp_path))
    assert len(str(caught.value)) < 400 + 3 * len(str(tmp_path))


def test_the_name_in_the_file_comes_before_that_of_the_file(tmp_path, scan):
    scan("page.png")
    other = scan("scans/other.png")
    finder = PictureFinder(tmp_path / "corpus")
    assert finder.find(tmp_path / "corpus" / "page.xml", "other.png") == other
    assert finder.find(tmp_path / "corpus" / "page.xml", None) == tmp_path / "corpus" / "page.png"
