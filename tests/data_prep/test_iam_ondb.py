"""IAM-OnDB: a copy of full size in the format of the distribution, its counts, and what is said of a copy that differs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from recognizer.data.manifest import load_manifest
from recognizer.data.preparation import prepare
from recognizer.data_prep.iam_ondb import SETS
from recognizer.errors import InputError

TRACE = """<?xml version="1.0" encoding="ISO-8859-1"?>
<WhiteboardCaptureSession><WhiteboardDescription><SensorLocation corner="top_left"/></WhiteboardDescription>
<StrokeSet><Stroke colour="black" start_time="769.05" end_time="769.64"><Point x="1073" y="1058" time="769.05"/>
<Point x="1072" y="1085" time="769.55"/></Stroke></StrokeSet></WhiteboardCaptureSession>"""


def form_xml(writer: str) -> str:
    general = f'<General><Form id="any" writerID="{writer}" saveTime="1"/><Setting location="Bern" producer="x"/></General>'
    return f'<?xml version="1.0"?><WhiteboardCaptureSession>{general}<StrokeSet/></WhiteboardCaptureSession>'


def add_form(root: Path, form: str, lines: int, writer: str | None = "10001", text: str = "Line {n} of it, A.") -> None:
    base = form[:7]
    folder = root / "lineStrokes-all/lineStrokes" / form[:3] / base
    folder.mkdir(parents=True, exist_ok=True)
    if not (root / "trace.any").exists():
        (root / "trace.any").write_text(TRACE)
    for number in range(1, lines + 1):
        os.link(root / "trace.any", folder / f"{form}-{number:02d}.xml")
    path = root / "ascii-all/ascii" / form[:3] / base / f"{form}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("OCR:\n\nline one as typeset\n\nCSR:\n\n" + "".join(text.format(n=n) + "\r\n" for n in range(1, lines + 1)) + "\n")
    if writer is not None:
        path = root / "original-xml-part/original" / form[:3] / base / f"strokes{form[7:]}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(form_xml(writer))


def add_lists(root: Path, lists: dict[str, list[str]]) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for name, forms in lists.items():
        (root / f"{name}.txt").write_text("".join(f"{form}\n" for form in forms))


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As many lines as were published, in forms of nine or fewer; not to be changed."""
    root = tmp_path_factory.mktemp("iam_ondb")
    lists: dict[str, list[str]] = {}
    number = 0
    for name, (_, count) in SETS.items():
        lists[name] = []
        while count:
            form = f"{'abcdefgh'[number // 800]}{number // 100 % 8:02d}-{number % 100:03d}{'uxz'[number % 3]}"
            lines = min(9, count)
            add_form(root, form, lines, f"1{number // 5:04d}")
            lists[name].append(form)
            count, number = count - lines, number + 1
    add_form(root, "z09-001z", 4)
    add_lists(root / "task", lists)
    return root


@pytest.fixture
def small(tmp_path: Path) -> Path:
    root = tmp_path / "small"
    for number, name in enumerate(SETS):
        add_form(root, f"a0{number}-000u", 3, writer=f"1000{number}")
        add_lists(root, {name: [f"a0{number}-000u"]})
    return root


def test_the_whole_copy_comes_to_the_published_counts(copy, tmp_path) -> None:
    notes: list[str] = []
    counts = prepare("iam_ondb", copy, tmp_path, note=notes.append)
    assert {name: count.items for name, count in counts.items()} == {"train": 5364, "dev": 1438, "test": 3859, "dev2": 1518}
    assert counts["train"].seconds == pytest.approx(5364 / 2)
    assert notes[0] == "left out: 4 lines of forms that are in none of the lists" and all("group" in note for note in notes[1:])
    item = load_manifest(tmp_path / "train.jsonl")[1]
    assert (item.id, item.text, item.group) == ("a00-000u-02", "Line 2 of it, A.", "10000")
    assert item.source.name == "a00-000u-02.xml" and item.seconds == 0.5 and item.meta == {"part": "trainset", "form": "a00-000u"}


def test_every_deviation_is_named(copy, small, read) -> None:
    with pytest.raises(InputError, match=r"not IAM-OnDB as published: train: 3 lines by trainset\.txt, published 5364 \(deviations besides: 3\)"):
        read("iam_ondb", small)
    reading = read("iam_ondb", small, "--partial")
    assert [item.id for item in reading.items][:4] == ["a00-000u-01", "a00-000u-02", "a00-000u-03", "a01-000u-01"]
    assert reading.notes[0] == "train: 3 lines by trainset.txt, published 5364"
    assert "no score on these sets can stand beside a published one" in reading.notes[4]


def test_swapped_lists_are_caught(copy, tmp_path, read) -> None:
    lists = tmp_path / "lists"
    shutil.copytree(copy / "task", lists)
    (lists / "testset_v.txt").rename(lists / "x.txt")
    (lists / "testset_t.txt").rename(lists / "testset_v.txt")
    (lists / "x.txt").rename(lists / "testset_t.txt")
    with pytest.raises(InputError, match=r"dev: 1518 lines by testset_v\.txt, published 1438, which is the count of testset_t\.txt"):
        read("iam_ondb", copy, "--lists", str(lists))


def test_missing_and_double_forms_and_lists(small, read) -> None:
    (small / "testset_t.txt").write_text("a02-000u\na00-000u-01\na07-777\n")
    reading = read("iam_ondb", small, "--partial")
    assert "dev2 lacks the form a07-777 (list testset_t.txt)" in reading.notes
    assert f"{small / 'testset_t.txt'}: the form a00-000u is also in trainset.txt" in reading.notes
    (small / "other").mkdir()
    (small / "other/trainset.txt").write_text("a01-000u\n")
    with pytest.raises(InputError, match=r"trainset\.txt: differs from .*trainset\.txt; say with --lists"):
        read("iam_ondb", small, "--partial")
    with pytest.raises(InputError, match=r"other: testset_v\.txt, testset_t\.txt, testset_f\.txt not found"):
        read("iam_ondb", small, "--lists", str(small / "other"))
    (small / "testset_f.txt").write_text("a03-000u\nNOTES\n")
    with pytest.raises(InputError, match=r"testset_f\.txt:2: expected the id of a form such as a01-000u, found 'notes'"):
        read("iam_ondb", small, "--lists", str(small))


def test_lines_without_text_and_traces_that_cannot_be_read_cost_themselves(small, read) -> None:
    (small / "ascii-all/ascii/a00/a00-000/a00-000u.txt").write_text("OCR:\nx\nCSR:\n one  line \n\n two\n")
    (small / "ascii-all/ascii/a01/a01-000/a01-000u.txt").unlink()
    broken = small / "lineStrokes-all/lineStrokes/a02/a02-000/a02-000u-02.xml"
    broken.unlink()
    broken.write_text("<WhiteboardCaptureSession>")
    reading = read("iam_ondb", small, "--partial")
    assert [(item.id, item.text) for item in reading.items[:2]] == [("a00-000u-01", "one  line"), ("a00-000u-02", "two")]
    assert "a00-000u.txt has 2 lines below 'CSR:'" in reading.dropped[0] and "there is no a01-000u.txt" in reading.dropped[1]
    assert str(broken) in reading.dropped[-1] and len(reading.dropped) == 5 and len(reading.items) == 7
    assert any(note.startswith("1 forms have not as many traces as lines of text") and note.endswith("a00-000u") for note in reading.notes)


def test_writers_come_from_the_forms_or_else_from_the_table(small, read) -> None:
    shutil.rmtree(small / "original-xml-part/original/a00")
    shutil.rmtree(small / "original-xml-part/original/a01")
    (small / "forms.txt").write_text("# forms\na00-000u 10077 3\na02-000u 1\n")
    reading = read("iam_ondb", small, "--partial")
    groups = {item.meta["form"]: item.group for item in reading.items}
    assert groups == {"a00-000u": "10077", "a01-000u": None, "a02-000u": "10002", "a03-000u": "10003"}
    assert any(note.startswith("1 forms have no writer") for note in reading.notes)


def test_a_folder_without_traces_is_refused(tmp_path, read) -> None:
    with pytest.raises(InputError, match="no traces of lines found"):
        read("iam_ondb", tmp_path)
