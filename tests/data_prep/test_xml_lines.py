"""Which picture an XML file describes, several that describe one, and pages whose outlines are those of another picture."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

BOXES = [(10, 5, 90, 15), (10, 25, 90, 35), (10, 45, 90, 55)]


def alto(texts, name="0001.png", boxes=BOXES, size='WIDTH="100" HEIGHT="60"'):
    lines = "".join(f'<TextLine ID="l{i}" HPOS="{b[0]}" VPOS="{b[1]}" WIDTH="{b[2] - b[0]}" HEIGHT="{b[3] - b[1]}"><String CONTENT="{t}"/></TextLine>'
                    for i, (t, b) in enumerate(zip(texts, boxes, strict=True)))
    return (f"<alto><Description><sourceImageInformation><fileName>{name}</fileName></sourceImageInformation></Description>"
            f"<Layout><Page {size}><PrintSpace><TextBlock>{lines}</TextBlock></PrintSpace></Page></Layout></alto>")


def page(texts, name="0001.png", boxes=BOXES):
    lines = "".join(f'<TextLine id="l{i}"><Coords points="{l},{t} {r},{t} {r},{b} {l},{b}"/>'
                    f"<TextEquiv><Unicode>{text}</Unicode></TextEquiv></TextLine>"
                    for i, (text, (l, t, r, b)) in enumerate(zip(texts, boxes, strict=True)))  # noqa: E741
    return f'<PcGts><Page imageFilename="{name}" imageWidth="100" imageHeight="60"><TextRegion id="r">{lines}</TextRegion></Page></PcGts>'


@pytest.fixture
def scan(tmp_path):
    """Write a picture of 100 x 60 pixels with ink near its top, as stored."""

    def call(name, **options):
        path = tmp_path / "corpus" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full((60, 100), 220, np.uint8)
        pixels[7:12, 20:40] = 30
        Image.fromarray(pixels).save(path, **options)
        return path

    return call


TEXTS, OTHERS = ["un", "deux", "trois"], ["UN", "DEUX", "TROIS"]


@pytest.mark.parametrize(("winner", "loser"), [
    (("page/0001.xml", page), ("alto/0001.xml", alto)), (("0001.xml", alto), ("0001.chocomufin.xml", alto)),
    (("gt/0001.xml", alto), ("page/0001.xml", page)), (("0001.xml", alto), ("ocr/0001.xml", page)),
])
def test_two_descriptions_of_one_picture_are_one_page(read, write, scan, tmp_path, winner, loser):
    root = scan("0001.png").parent
    write(root / winner[0], winner[1](TEXTS))
    write(root / loser[0], loser[1](OTHERS, boxes=[(l + 1, t, r, b + 1) for l, t, r, b in BOXES]))  # noqa: E741
    reading = read("htr_united", root, "--group-by", "page")
    assert [i.text for i in reading.items] == TEXTS and {i.group for i in reading.items} == {winner[0].removesuffix(".xml")}
    assert reading.dropped == []
    assert reading.notes[1:] == [f"{root / loser[0]}: another reading of the picture 0001.png; 3 of its lines are already those of a better one "
                                 "and left out"]


def test_what_only_one_of_two_has_is_kept_in_the_group_of_the_picture(read, write, scan):
    root = scan("0001.png").parent
    write(root / "page" / "0001.xml", page(["un", ""], boxes=BOXES[:2]))
    write(root / "alto" / "0001.xml", alto(OTHERS))
    reading = read("htr_united", root, "--group-by", "page")
    assert [(i.text, i.group) for i in reading.items] == [("un", "page/0001"), ("DEUX", "page/0001"), ("TROIS", "page/0001")]
    assert any("1 of its lines" in note for note in reading.notes) and any("1 lines have no text" in note for note in reading.notes)


def test_copies_of_a_picture_beside_each_description_are_one(read, write, scan):
    root = scan("page/0001.png").parent.parent
    scan("alto/0001.png")
    write(root / "page" / "0001.xml", page(TEXTS))
    write(root / "alto" / "0001.xml", alto(OTHERS))
    assert [i.text for i in read("htr_united", root).items] == TEXTS


def test_a_picture_of_the_next_book_is_not_taken(read, write, scan):
    root = scan("bookB/0001.png").parent.parent
    write(root / "bookA" / "0001.xml", alto(TEXTS))
    write(root / "bookA" / "page" / "0001.xml", alto(TEXTS))
    write(root / "bookB" / "0001.xml", alto(OTHERS))
    reading = read("alto", root)
    assert [i.id for i in reading.items] == ["bookB/0001/0001", "bookB/0001/0002", "bookB/0001/0003"]
    assert len(reading.dropped) == 2 and all("0001.xml: its image is not there" in message for message in reading.dropped)


@pytest.mark.parametrize(("xml", "picture", "named"), [
    ("0001.xml", "0001.PNG", "0001.png"), ("A.XML", "a.png", "A.PNG"), ("x.xml", "my page.png", "my%20page.png"),
    ("x.xml", "my%20page.png", "my page.png"),
    ("x.xml", "0001.png", "https://example.org/scans/0001.png?width=100"), ("0001.png.xml", "0001.png", ""), ("0001.xml", "0001.png.png", "0001.png"),
    ("0001.xml", "0001.png", "0001.tif.png"), ("page/0001.xml", "0001.png", "0001.png"), ("page/0001.xml", "images/0001.png", "0001.png"),
    ("page/a/0001.xml", "Images/a/0001.png", "0001.png"), ("0001.xml", "img/0001.png", "0001.png"), ("a/0001.xml", "b/0001.png", "../b/0001.png"),
    ("0001.xml", "0001.png", r"C:\\scans\\0001.png"), ("0001.xml", "0001.png", "0001.jp2"),
])
def test_names_are_compared_without_case_encoding_query_and_doubled_suffixes(read, write, scan, tmp_path, xml, picture, named):
    scan(picture)
    write(tmp_path / "corpus" / xml, alto(TEXTS, named))
    reading = read("alto", tmp_path / "corpus")
    assert reading.dropped == [] and [i.meta["page"] for i in reading.items] == [picture.rpartition("/")[2]] * 3


def test_pictures_of_other_kinds_are_said_to_be_there(read, write, tmp_path):
    write(tmp_path / "c" / "0001.xml", alto(TEXTS, "0001.jp2"))
    write(tmp_path / "c" / "0001.jp2", "not read anyway")
    write(tmp_path / "c" / "0002.xml", alto(TEXTS, "images/0002.gif"))
    write(tmp_path / "c" / "images" / "0002.gif", "")
    reading = read("alto", tmp_path / "c")
    for message, name in zip(reading.dropped, ("0001.jp2", "images/0002.gif"), strict=True):
        assert f"its image {tmp_path / 'c' / name} is of a kind that is not read; convert it to one of bmp, jpeg, jpg, png" in message


@pytest.mark.parametrize("form", [alto, page])
def test_outlines_of_another_picture_condemn_the_page(read, write, scan, form):
    root = scan("0001.png").parent
    path = write(root / "0001.xml", form(TEXTS, boxes=[BOXES[0], (10, 58, 90, 70), (10, 90, 90, 100)]))
    reading = read("htr_united", root)
    assert reading.items == [] and len(reading.dropped) == 1
    assert reading.dropped[0].startswith(f"{path}: the outlines of 2 of 3 lines lie beyond the picture {root / '0001.png'} (100 x 60 pixels)")


def test_a_page_costs_as_many_items_as_it_has_lines(cli, write, scan, tmp_path):
    root = scan("0001.png").parent
    write(root / "0001.xml", alto(TEXTS))
    write(root / "0002.xml", alto(TEXTS, "0002.png"))
    outcome = cli("prepare", "alto", root, tmp_path / "out")
    assert outcome.code == 1 and outcome.out[-1] == "dropped 3" and len(outcome.err) == 2 and "--dev 0.1" in outcome.err[1]


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize(("orientation", "stored"), [(6, True), (8, True), (5, True), (7, True), (6, False), (8, False)])
def test_a_turned_picture_is_cut_as_its_page_means_it(read, write, scan, orientation, stored):
    root = scan("0001.jpg", exif=turned(orientation), quality=95).parent
    size, box = ('WIDTH="100" HEIGHT="60"', BOXES[0]) if stored else ('WIDTH="60" HEIGHT="100"', (0, 0, 60, 100))
    write(root / "0001.xml", alto(["un"], "0001.jpg", [box], size))
    reading = read("alto", root)
    cut = np.asarray(Image.open(reading.items[0].source))
    assert reading.dropped == [] and cut.shape == ((10, 80) if stored else (100, 60))
    if stored:
        assert (cut[3:6, 13:27] < 100).all() and (cut[:, 50:] > 150).all()


@pytest.mark.parametrize(("orientation", "size"), [(3, 'WIDTH="100" HEIGHT="60"'), (2, 'WIDTH="100" HEIGHT="60"'), (6, "")])
def test_a_turned_picture_whose_page_does_not_tell_is_refused(read, write, scan, orientation, size):
    root = scan("0001.jpg", exif=turned(orientation)).parent
    write(root / "0001.xml", alto(TEXTS, "0001.jpg", size=size))
    reading = read("alto", root)
    assert reading.items == [] and len(reading.dropped) == 1 and f"its EXIF data turn it (orientation {orientation})" in reading.dropped[0]


def test_folders_of_a_corpus_that_are_splits_are_kept(read, write, scan):
    root = scan("Train/0001.png").parent.parent
    for folder in ("Train", "test", "other"):
        scan(f"{folder}/0001.png")
        write(root / folder / "page" / "0001.xml", page(TEXTS))
    write(root / "test" / "alto" / "0001.xml", alto(OTHERS))
    reading = read("htr_united", root)
    assert [i.meta.get("split") for i in reading.items] == ["train"] * 3 + [None] * 3 + ["test"] * 3
    assert any("kept as the splits test, train" in note for note in reading.notes)
    assert [i.meta.get("split") for i in read("page", root / "test").items] == [None] * 3


@pytest.mark.parametrize(("corpus", "other", "format"), [("page", "alto", "ALTO"), ("alto", "page", "PAGE")])
def test_the_lines_of_a_picture_in_the_other_format_are_counted(read, write, scan, corpus, other, format):
    root = scan("0001.png").parent
    write(root / "page" / "0001.xml", page(TEXTS))
    write(root / "alto" / "0001.xml", alto(TEXTS))
    write(root / other / "0002.xml", {"page": page, "alto": alto}[other](TEXTS[:2], name="0002.png", boxes=BOXES[:2]))  # of no picture that is read
    reading = read(corpus, root)
    assert [i.text for i in reading.items] == TEXTS and reading.dropped == []
    assert reading.notes[0] == f"{root / other / '0001.xml'}: another reading of the picture 0001.png, in {format}; " \
                               "3 lines are left out (prepare htr_united reads both)"
    assert len(reading.notes) == 2 and "0002.xml: left alone, its root element is <" in reading.notes[1]
