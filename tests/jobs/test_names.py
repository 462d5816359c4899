"""Names of results: mirrored folders, no two the same, never longer than a file system takes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from recognizer.jobs.find import Found
from recognizer.jobs.names import distinct_ids, fit_name, name_outputs


def outputs(*pairs: tuple[str, str]) -> list[str]:
    return name_outputs([Found(source, root, "line") for source, root in pairs])


@pytest.mark.parametrize(
    ("pairs", "names"),
    [
        ([("in/a.png", "in"), ("in/sub/a.png", "in")], ["a.png", "sub/a.png"]),  # found below a folder
        ([("x/a.png", "x"), ("y/b.png", "y")], ["a.png", "b.png"]),  # named singly
        ([("a/x.png", "a"), ("b/x.png", "b")], ["a/x.png", "b/x.png"]),  # the same name
        ([("a/x.png", "a"), ("b/x.png", "b"), ("c/y.png", "c")], ["a/x.png", "b/x.png", "y.png"]),
        ([("p/a/x.png", "p/a"), ("p/a/z.png", "p/a"), ("p/b/x.png", "p/b")], ["a/x.png", "a/z.png", "b/x.png"]),  # both folders whole
        ([("a/x.png", "a"), ("b/x.png", "b"), ("c/a/x.png", "c")], ["a/x.png", "b/x.png", "c/a/x.png"]),  # what is mirrored meets another
        ([("a/x.png", "a"), ("a/../a/x.png", "a")], ["x.png", "x.png"]),  # one file
        ([], []),
    ],
)
def test_results_lie_as_sources_do(pairs: list[tuple[str, str]], names: list[str]) -> None:
    assert outputs(*pairs) == names


def test_no_output_leaves_the_folder(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    names = outputs(("../x.png", ".."), ("/elsewhere/x.png", "/elsewhere"), ("x.png", ""))
    assert len(set(names)) == 3 and all(not name.startswith(("/", "..")) for name in names)


def test_ids_in_one_stream_are_distinct() -> None:
    assert distinct_ids(["a/my talk.wav", "b.wav"]) == ["my_talk", "b"]
    assert distinct_ids(["a/x.wav", "b/x.wav", "x.flac", "y.wav"]) == ["a_x.wav", "b_x.wav", "x.flac", "y"]
    same = distinct_ids(["a/x.wav", "a_x.wav", "x.wav", "a_x.flac"])
    assert len(set(same)) == 4
    assert distinct_ids(["x.wav", "x.wav"]) == ["x", "x"]  # one file, named twice


@pytest.mark.parametrize("name", ["n" * 251 + ".txt", "\u00e9" * 126 + ".wav.alto.xml", "\udcff" * 250 + ".wav.ctm", "n" * 100 + "." + "e" * 200])
def test_long_names_are_shortened(name: str) -> None:
    fitted = fit_name(name)
    if len(os.fsencode(name)) <= 255:
        assert fitted == name
        return
    assert len(os.fsencode(fitted)) <= 255 and fitted != fit_name("x" + name[1:]) and fitted[:50] == name[:50]
    assert len(name.split(".", 1)[1]) > 60 or fitted.endswith("." + name.split(".", 1)[1])
