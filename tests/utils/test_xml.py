"""XML of unknown origin: nothing is expanded, and what cannot be read is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from recognizer.errors import InputError
from recognizer.utils import xml
from recognizer.utils.xml import children, descend, local_name, parse_xml, read_number, read_points


@pytest.mark.parametrize(("content", "message"), [
    ('<!DOCTYPE a [<!ENTITY x "aaaa"><!ENTITY y "&x;&x;">]><a>&y;</a>', "declares the entity 'x'; remove the DOCTYPE"),
    ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>', "declares the entity 'x'"),
    ("<a", "not well-formed XML: unclosed token: line 1"),
    ("", "not well-formed XML: no element found"),
    ('<?xml version="1.0" encoding="klingon"?><a/>', "cannot be read: unknown encoding"),
])
def test_entities_and_broken_files_are_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "a.xml"
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        parse_xml(path)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.xml: cannot be read: No such file"):
        parse_xml(tmp_path / "none.xml")


def test_elements_are_found_by_local_name(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text('<!DOCTYPE a SYSTEM "a.dtd"><a xmlns="urn:x"><b n=" 1.5e1 " m="q"><c/><!-- c --><d/></b></a>')
    root = parse_xml(tmp_path / "a.xml")
    b = descend(root, "b")
    assert b is not None and local_name(root) == "a" and descend(root, "z", "c") is None
    assert [local_name(child) for child in children(b, "c", "d")] == ["c", "d"]
    assert read_number(b, "n") == 15 and read_number(b, "z") is None
    with pytest.raises(ValueError, match="b/@m is not a number: 'q'"):
        read_number(b, "m")


def test_points_in_both_spellings() -> None:
    assert read_points(" 1,2 3.5,-4 ") == read_points("1 2 3.5 -4") == [(1, 2), (3.5, -4)] and read_points(" ") == []
    for text, message in (("1,2 x,3", "not a list of points: 'x'"), ("1,2 3", "an odd count of coordinates")):
        with pytest.raises(ValueError, match=message):
            read_points(text)


def test_numbers_without_end_are_refused_at_once(tmp_path: Path) -> None:
    """A pattern with two ways to divide a run of digits took a minute for 20,000 of them."""
    (tmp_path / "a.xml").write_text(f'<a n="{"9" * 200_000}x" m="1e999" k="{"1" * 90}"/>')
    root = parse_xml(tmp_path / "a.xml")
    for name in ("n", "m", "k"):
        with pytest.raises(ValueError, match=f"^a/@{name} is not a number: '") as caught:
            read_number(root, name)
        assert len(str(caught.value)) < 130
    with pytest.raises(ValueError, match=r"^not a list of points: '9{40}'\.\.\. \(200001 characters\)$"):
        read_points("1,2 " + "9" * 200_000 + "x,3")


def test_deep_and_large_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml, "MAX_BYTES", 1 << 21)
    monkeypatch.setattr(xml, "MAX_ELEMENTS", 1000)
    for content, message in (("<a>" * 100_000, "nested more than 200 deep"), ("<a>" + "<b/>" * 1000, "more than 1000 elements"),
                             (" " * (1 << 21) + "<a/>", "larger than 2 MiB")):
        (tmp_path / "a.xml").write_text(content)
        with pytest.raises(InputError, match=rf"^{tmp_path}/a\.xml: cannot be read: .*{message}"):
            parse_xml(tmp_path / "a.xml")
    (tmp_path / "a.xml").write_text("<a>" * 200 + "</a>" * 200)
    assert local_name(parse_xml(tmp_path / "a.xml")) == "a"
