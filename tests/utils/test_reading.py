"""Text, JSON and YAML within bounds: what breaks one is one error that says where."""

from __future__ import annotations

import gzip
import io
import random
import time
import zlib

import pytest

from recognizer.errors import InputError
from recognizer.utils import reading
from recognizer.utils.reading import open_gzip, open_text, parse_json, parse_yaml


def test_lines_of_plain_and_packed_text(tmp_path) -> None:
    (tmp_path / "a").write_bytes("\ufeffé\r\nb\n\nc".encode())
    (tmp_path / "b").write_bytes(gzip.compress("\ufeffé\r\n".encode()) + gzip.compress(b"b\n\nc"))
    for name in ("a", "b"):
        with open_text(tmp_path / name) as lines:
            assert list(lines) == ["é\r\n", "b\n", "\n", "c"]


def test_a_packed_file_may_not_unpack_to_far_more_than_text_does(monkeypatch) -> None:
    monkeypatch.setattr(reading, "FREE_BYTES", 1 << 17)
    bomb = gzip.compress(bytes(4 << 20))
    file = io.BytesIO(bomb)
    with pytest.raises(InputError, match=r"^x\.gz: unpacks to more than 50 times its size, which is no text; unpack it yourself"):
        open_gzip(file, "x.gz").read()
    words = " ".join(random.Random(1).choices(["the", "quick", "brown", "fox"], k=200_000)).encode()
    assert open_gzip(io.BytesIO(gzip.compress(words)), "x.gz").read() == words
    monkeypatch.setattr(reading, "FREE_BYTES", 8 << 20)
    assert open_gzip(io.BytesIO(bomb), "x.gz").read() == bytes(4 << 20)


def test_a_damaged_packed_file_is_named(tmp_path) -> None:
    packed = gzip.compress(b"some text\n" * 100)
    for number, content in enumerate((packed[:-9], packed[:30] + b"\x55\x55" + packed[32:], packed[:12])):
        path = tmp_path / f"{number}.gz"
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"{number}\.gz: the gzip file is damaged or cut short"), open_text(path) as lines:
            list(lines)
    with pytest.raises((EOFError, zlib.error)):
        open_gzip(io.BytesIO(packed[:-3]), "x").read()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": }', r"^m\.jsonl:7: not JSON: .* at column 7$"),
        ("[" * 100_000, r"^m\.jsonl:7: lists or objects are nested too deep$"),
        ('{"a":' * 100_000, r"nested too deep$"),
        (f'{{"a": {"9" * 5000}}}', r"^m\.jsonl:7: a number of more than 300 digits$"),
        (r'{"a": "x\ud800y"}', r"^m\.jsonl:7: half of a surrogate pair .* stands alone"),
        (b'{"a": "\xff"}', r"^m\.jsonl:7: not UTF-8 text"),
    ],
)
def test_json_that_cannot_be_used(text, message) -> None:
    with pytest.raises(InputError, match=message):
        parse_json(text, "m.jsonl:7")


def test_the_line_within_a_json_file() -> None:
    with pytest.raises(InputError, match=r"^a\.json:3: not JSON: "):
        parse_json('{\n"a": 1,\n}\n', "a.json")
    assert parse_json(r'{"a": ["\ud83d\ude00", 12]}', "a.json") == {"a": ["\U0001f600", 12]}


def bomb(levels: int = 12, times: int = 9) -> str:
    rows = ["a0: &a0 [" + ", ".join(["x"] * times) + "]"]
    rows += [f"a{level}: &a{level} [" + ", ".join([f"*a{level - 1}"] * times) + "]" for level in range(1, levels)]
    return "\n".join(rows) + "\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: [\n", r"^c\.yaml:3: not YAML that can be used: "),
        ("a:\n  " + "[" * 20_000, r"^c\.yaml:2: .*nested more than 100 deep"),
        ("- " * 5000 + "a", r"^c\.yaml:1: .*nested more than 100 deep"),
        (bomb(), r"^c\.yaml:\d: .*has more than 1000000 values with its aliases written out"),
        ("a: &a [1, *a]\n", r"^c\.yaml:1: .*with its aliases written out"),
        (f"a: 1\nb: {'9' * 5000}\n", r"^c\.yaml:2: .*a number of more than 300 digits"),
        (f"a: 1\nb: 1{':59' * 5000}\n", r"^c\.yaml:2: .*a number of more than 300 digits"),
        ("a: 1\nb: 2001-99-99\n", r"^c\.yaml:2: .*month must be in 1\.\.12"),
        ("a: 1\nb: 2\na: 3\n", r"^c\.yaml:3: .*the key 'a' stands twice in one mapping"),
        ("a: {b: 1, c: 2,\n  b: 1}\n", r"^c\.yaml:2: .*the key 'b' stands twice in one mapping"),
        ('a: 1\nb: "\\ud800"\n', r"^c\.yaml:2: .*half of a surrogate pair"),
        ("a: 1\nb: \x00\n", r"^c\.yaml:2: .*'\\x00' is not allowed"),
        ("a: !!python/object/apply:os.system ['true']\n", r"^c\.yaml:1: .*could not determine a constructor"),
    ],
)
def test_yaml_that_cannot_be_used(text, message) -> None:
    begin = time.process_time()
    with pytest.raises(InputError, match=message):
        parse_yaml(text, "c.yaml")
    assert time.process_time() - begin < 2


def test_keys_that_differ_or_lie_in_other_mappings_are_not_twice_there() -> None:
    assert parse_yaml("a: {b: 1}\nb: {b: 2}\n1: x\n'1': y\n", "c.yaml") == {"a": {"b": 1}, "b": {"b": 2}, 1: "x", "1": "y"}


def test_ordinary_yaml_with_aliases() -> None:
    text = "a: &x {b: 1, c: [1.5, null, true]}\nd: *x\ne:\n  <<: *x\n  b: 2\n"
    inner = {"b": 1, "c": [1.5, None, True]}
    assert parse_yaml(text, "c.yaml") == {"a": inner, "d": inner, "e": inner | {"b": 2}}
    assert parse_yaml("", "c.yaml") is None and parse_yaml("3", "c.yaml") == 3
