"""IAM: a whole copy with all 1,539 forms in the format of the distribution, its counts, and what is said of a copy that differs."""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest
from PIL import Image

from recognizer.data.manifest import load_manifest
from recognizer.data.preparation import prepare
from recognizer.data_prep import iam
from recognizer.data_prep.iam import DISTRIBUTED, SPLITS, load_list, load_split, unescape
from recognizer.errors import InputError

TOKENS = 'A|MOVE|to|"|stop|"|Mr.|Gaitskell|,|I|\'ll|say|,|R|&|D'
NATURAL = 'A MOVE to "stop" Mr. Gaitskell, I\'ll say, R & D'
HEADER = "#--- lines.txt ---#\n#\n# a01-000u-00 ok 154 19 408 746 1661 89 A|MOVE|to|stop|Mr.|Gaitskell|from\n#\n"
BLANK = "blank.png"


def row(id: str, tokens: str = TOKENS, status: str = "ok", box: str = "408 746 1661 89") -> str:
    return f"{id} {status} 154 19 {box} {tokens}\n"


def form_xml(form: str, lines: dict[str, str], writer: str = "000") -> str:
    """A form as it is distributed: the text of lines escaped once more than need be."""
    escaped = {id: text.replace("&", "&amp;").replace('"', "&quot;").replace("'", "&apos;") for id, text in lines.items()}
    body = "".join(f'<line id="{id}" segmentation="ok" text={quoteattr(text)} threshold="154"><word id="{id}-00" tag="AT" text="A"/></line>'
                   for id, text in escaped.items())
    return (f'<?xml version="1.0"?><form id="{form}" writer-id="{writer}"><machine-printed-part><machine-print-line text="not this"/>'
            f"</machine-printed-part><handwritten-part>{body}</handwritten-part></form>")


def invent_forms() -> dict[str, list[str]]:
    """Line ids by form of all IAM: those of the lists, and invented forms up to 1,539 with 13,353 lines."""
    forms: dict[str, set[str]] = defaultdict(set)
    for lists in SPLITS.values():
        for parts, _, _ in lists.values():
            for id in (id for part in parts for id in load_list(part)):
                forms[id[:-3]].add(id)
    spare, missing = 1539 - len(forms), 13353 - sum(map(len, forms.values()))
    for number in range(spare):
        form = f"z{number // 100 + 1:02d}-{number % 100:03d}"
        forms[form] = {f"{form}-{line:02d}" for line in range(missing // spare + (number < missing % spare))}
    return {form: sorted(ids) for form, ids in sorted(forms.items())}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """IAM in full size; the images are links to one. Not to be changed."""
    root = tmp_path_factory.mktemp("iam")
    Image.new("L", (3, 2), 255).save(root / BLANK)
    forms = invent_forms()
    for folder in ("ascii", "xml", "words/a01/a01-000u"):
        (root / folder).mkdir(parents=True)
    os.link(root / BLANK, root / "words/a01/a01-000u/a01-000u-00-00.png")
    ids = [id for lines in forms.values() for id in lines]
    (root / "ascii/lines.txt").write_text(HEADER + "".join(row(id, status="err" if id.endswith("3") else "ok") for id in ids))
    (root / "ascii/forms.txt").write_text("# form writer\n" + "".join(f"{form} {n // 3:03d} 2 prt 7 5 52 36\n" for n, form in enumerate(forms)))
    for form, lines in forms.items():
        folder = root / "lines" / form[:3] / form
        folder.mkdir(parents=True)
        for id in lines:
            os.link(root / BLANK, folder / f"{id}.png")
        (root / "xml" / f"{form}.xml").write_text(form_xml(form, dict.fromkeys(lines, NATURAL)))
    for name, part in DISTRIBUTED.items():
        (root / name).write_text("".join(f"{id}\n" for id in load_list(part)))
    return root


def test_the_whole_copy_comes_to_the_published_counts(copy, tmp_path):
    dropped, notes = [], []
    counts = prepare("iam", copy, tmp_path, split="aachen", drop=dropped.append, note=notes.append)
    assert {name: count.items for name, count in counts.items()} == {"train": 6482, "dev": 976, "test": 2915} and dropped == []
    assert notes[0] == "left out: 2980 lines that belong to no set of the split aachen" and all("group" in note for note in notes[1:])
    items = load_manifest(tmp_path / "train.jsonl")
    assert items[3].id == "a01-000u-03" and items[3].text == NATURAL and items[3].group == "000" and items[3].width == 3
    assert items[3].meta == {
        "part": "aachen_train", "form": "a01-000u", "text_form": "natural", "segmentation": "err", "box": [408, 746, 1661, 89],
    }  # fmt: skip


def test_everything_that_differs_is_named(copy, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(copy, other, copy_function=os.link, ignore=shutil.ignore_patterns("words"))
    (other / "lines/m01/m01-049/m01-049-03.png").unlink()
    damaged = other / "lines/a01/a01-000u/a01-000u-01.png"
    damaged.unlink()
    damaged.write_bytes(b"\x89PNG")
    lines = (other / "ascii/lines.txt").read_text()
    (other / "ascii/lines.txt").unlink()
    kept = (line for line in lines.splitlines(keepends=True) if not line.startswith("c04-110-00"))
    (other / "ascii/lines.txt").write_text("".join(kept) + "z99-000-00 ok 1\n")
    test = (other / "testset.txt").rename(other / "swap")
    (other / "validationset1.txt").rename(other / "testset.txt")
    test.rename(other / "validationset1.txt")
    dropped, notes = [], []
    with pytest.raises(InputError, match=r"not IAM \(official\) as published: .*validationset1.txt: holds the lines of testset.txt; published: 900"):
        prepare("iam", other, tmp_path / "out", split="official", text="laia", drop=dropped.append, note=notes.append)
    assert not (tmp_path / "out").exists()
    assert [str(error).replace(f"{other}/", "") for error in dropped] == [
        "ascii/lines.txt:13357: expected a line id, ok or err, six numbers and the text, found 'z99-000-00 ok 1'",
        "lines/c04/c04-110/c04-110-00.png: has no text in lines.txt",
        "m01-049-03: has no image",
        dropped[3].args[0].replace(f"{other}/", ""),
    ] and "a01-000u-01.png" in str(dropped[3])
    assert [note.replace(f"{other}/", "") for note in notes] == [
        "ascii/lines.txt: has 13352 lines of 1539 forms; IAM 3.0 has 13353 of 1539",
        "validationset1.txt: holds the lines of testset.txt; published: 900 lines, f04-032-00 to r03-053-08",
        "testset.txt: holds the lines of validationset1.txt; published: 1861 lines, m01-049-00 to p06-104-09",
        "train lacks a01-000u-01 (list official_train)",
        "dev lacks c04-110-00 (list official_validation2)",
        "test lacks m01-049-03 (list official_test)",
        "train: 6160 lines, published 6161",
        "dev: 1839 lines, published 1840",
        "test: 1860 lines, published 1861",
    ]


@pytest.fixture
def part(tmp_path, write, picture):
    """Write a few lines of the training set in one of the layouts; images by path, the rows of lines.txt, XML by form."""

    def make(images: list[str], rows: str = "", xml: dict[str, str] | None = None, table: str = "ascii/lines.txt") -> Path:
        for image in images:
            picture(tmp_path / "iam" / image)
        if rows:
            write(tmp_path / "iam" / table, rows)
        for form, content in (xml or {}).items():
            write(tmp_path / "iam" / "xml" / f"{form}.xml", content)
        return tmp_path / "iam"

    return make


@pytest.mark.parametrize("image", ["lines/a01/a01-003/a01-003-00.png", "lines/a01-003-00.png", "a01-003-00.jpg", "IAM/lines/A01-003-00.TIF"])
def test_images_nested_or_flat(part, read, image):
    reading = read("iam", part([image], row("a01-003-00", "B|B C|."), table="lines.txt"), "--partial", "--text", "tokenised")
    (item,) = reading.items
    assert (item.id, item.text, item.source.name, item.width) == ("a01-003-00", "B BC .", Path(image).name, 40)
    assert item.group is None and any("no writer" in note for note in reading.notes)
    assert "train: 1 lines, published 6482" in reading.notes and "no score on these sets" in reading.notes[-1]


@pytest.mark.parametrize(("form", "text"), [
    ("tokenised", "Mr. O'Neill 's \" dog \" , he 'd seen 'sam , I 'LL"),
    ("laia", "Mr. O'Neill's \" dog \" , he'd seen 'sam , I'LL"),
    ("natural", "Mr. O'Neill's \"dog\", he'd seen 'sam, I'LL"),
])
def test_forms_of_the_text(part, read, form, text):
    tokens = "Mr.|O'Neill|'s|\"|dog|\"|,|he|'d|seen|'sam|,|I|'LL"
    xml = form_xml("a01-003", {"a01-003-00": "Mr. O'Neill's \"dog\", he'd seen 'sam, I'LL"}, "017")
    reading = read("iam", part(["lines/a01-003-00.png"], row("a01-003-00", tokens), {"a01-003": xml}), "--partial", "--text", form)
    (item,) = reading.items
    assert item.text == text and item.meta["text_form"] == form and item.group == "017"
    assert not any("read otherwise" in note for note in reading.notes)


def test_xml_alone_and_where_it_disagrees(part, read):
    images = ["lines/a01-003-00.png", "lines/a01-003-01.png"]
    xml = {"a01-003": form_xml("a01-003", {"a01-003-00": "One", "a01-003-01": "Two & a half"})}
    items = read("iam", part(images, xml=xml), "--partial").items
    assert [(item.text, item.meta["segmentation"]) for item in items] == [("One", "ok"), ("Two & a half", "ok")]
    reading = read("iam", part(images, row("a01-003-00", "One") + row("a01-003-01", "Two|half")), "--partial")
    assert "1 of 2 lines read otherwise in lines.txt and in the XML, spaces aside: a01-003-01" in reading.notes


def test_entities_are_resolved_once():
    assert unescape("&quot;R &amp; D&quot; isn&apos;t &amp;quot;") == '"R & D" isn\'t &quot;'


def test_lines_marked_err_and_boxes_without_size_are_kept(part, read):
    rows = row("a01-003-00", status="err") + row("a01-003-01", box="408 746 0 89") + row("a01-003-02", box="-1 -1 -1 -1")
    items = read("iam", part([f"a01-003-0{n}.png" for n in range(3)], rows), "--partial", "--text", "laia").items
    assert [item.meta["segmentation"] for item in items] == ["err", "ok", "ok"]
    assert [item.meta.get("box") for item in items] == [[408, 746, 1661, 89], None, None]


@pytest.mark.parametrize(("rows", "message"), [
    ("a01-003-01 ok 154 19 408 746 1661 89\n", "lines.txt:2: expected a line id, ok or err, six numbers and the text"),
    ("a01-003-1 ok 154 19 408 746 1661 89 A\n", "lines.txt:2: expected a line id"),
    ("a01-003-01 no 154 19 408 746 1661 89 A\n", "lines.txt:2: expected a line id"),
    (row("a01-003-00"), "lines.txt:2: the line a01-003-00 stands there twice"),
])
def test_a_damaged_row_costs_one_line(part, read, rows, message):
    reading = read("iam", part(["a01-003-00.png"], row("a01-003-00") + rows), "--partial", "--text", "laia")
    assert [item.id for item in reading.items] == ["a01-003-00"] and message in reading.dropped[0]


def test_a_damaged_form_costs_its_lines(part, read):
    good = form_xml("a01-007", {"a01-007-00": "One"})
    reading = read("iam", part(["a01-003-00.png", "a01-007-00.png"], xml={"a01-003": "<form>", "a01-007": good}), "--partial")
    assert [item.id for item in reading.items] == ["a01-007-00"]
    assert "a01-003.xml: not well-formed XML" in reading.dropped[0] and any("a01-003-00.png: has no text in the XML" in d for d in reading.dropped)


def test_what_is_needed_and_not_there(part, read, tmp_path):
    with pytest.raises(InputError, match="no images of lines found; expected files such as lines/a01"):
        read("iam", tmp_path, "--partial")
    root = part(["a01-003-00.png"], row("a01-003-00"))
    with pytest.raises(InputError, match=r"--text natural needs xml/ \(xml.tgz\), which is not there"):
        read("iam", root, "--partial")


def test_several_images_of_a_line(part, read):
    reading = read("iam", part(["flat/a01-003-00.png", "lines/a01-003-00.png"], row("a01-003-00")), "--partial", "--text", "laia")
    assert [item.source.parent.name for item in reading.items] == ["flat"]
    assert "1 lines have several images; the first by path was taken" in reading.notes


def test_lists_of_the_official_task_are_checked_for_it_alone(part, read, write):
    root = part(["a01-003-00.png"], row("a01-003-00"))
    write(root / "task/trainset.txt", "".join(f"{id}\r\n" for id in [*load_list("official_train")[2:], "x01-000-00"]))
    complaint = f"{root}/task/trainset.txt: lacks 2 lines and has 1 others; published: 6161 lines, a01-000u-00 to r06-143-04"
    assert complaint in read("iam", root, "--partial", "--text", "laia", "--split", "official").notes
    assert complaint not in read("iam", root, "--partial", "--text", "laia").notes


SIZES = {  # lines and forms
    "official_train": (6161, 747), "official_validation1": (900, 105), "official_validation2": (940, 115), "official_test": (1861, 232),
    "aachen_train": (6482, 747), "aachen_validation": (976, 116), "aachen_test": (2915, 336),
}  # fmt: skip


@pytest.mark.parametrize("name", SIZES)
def test_sizes(name):
    ids = load_list(name)
    assert (len(ids), len({id[:-3] for id in ids})) == SIZES[name] and len(set(ids)) == len(ids)


def test_how_the_two_families_overlap():
    lists = {name: set(load_list(name)) for name in SIZES}
    assert lists["official_train"] < lists["aachen_train"]
    assert {id[:-3] for id in lists["official_train"]} == {id[:-3] for id in lists["aachen_train"]}
    for name, overlaps in (("aachen_test", (759, 709, 1313, 134)), ("aachen_validation", (141, 231, 548, 56))):
        others = [lists[f"official_{part}"] for part in ("validation1", "validation2", "test")]
        assert (*(len(lists[name] & other) for other in others), len(lists[name] - set().union(*others))) == overlaps


def test_sets_of_a_split_do_not_share_forms():
    for name, sizes in (("official", (6161, 1840, 1861)), ("aachen", (6482, 976, 2915)), ("aachen_laia", (6161, 966, 2915))):
        split = load_split(name)
        sets = {manifest: [id for id, (m, _) in split.items() if m == manifest] for manifest in ("train", "dev", "test")}
        assert tuple(map(len, sets.values())) == sizes
        forms = [{id[:-3] for id in ids} for ids in sets.values()]
        assert len(set().union(*forms)) == sum(map(len, forms))
    assert not any(id.startswith("c04-160") for id in load_split("aachen_laia")) and "c04-160-00" in load_split("aachen")


def test_damaged_lists_are_noticed(monkeypatch):
    monkeypatch.setattr(iam, "load_list", lambda name: load_list(name)[1:])
    with pytest.raises(InputError, match="have 6481 lines for train, published 6482; install again"):
        load_split("aachen")
