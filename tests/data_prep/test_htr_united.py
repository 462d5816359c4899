"""HTR-United repositories: both formats, licenses, writers, and several clones at once."""

from __future__ import annotations

import pytest

from recognizer.errors import ConfigError, InputError

CATALOGUE = """schema: https://htr-united.github.io/schema/2021-10-15/schema.json
title: {title}
hands: {{count: {hands}, precision: exact}}
license:
- name: CC-BY 4.0
  url: https://creativecommons.org/licenses/by/4.0/
"""
OUTLINE = '<Coords points="1,1 30,1 30,9 1,9"/>'
PAGE = (
    '<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"><Page imageFilename="{image}" imageWidth="40" imageHeight="10">'
    f'<TextRegion id="r"><TextLine id="l">{OUTLINE}<TextEquiv><Unicode>{{text}}</Unicode></TextEquiv></TextLine></TextRegion></Page></PcGts>'
)
ALTO = (
    '<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#"><Description><MeasurementUnit>pixel</MeasurementUnit><sourceImageInformation>'
    '<fileName>{image}</fileName></sourceImageInformation></Description><Layout><Page WIDTH="40" HEIGHT="10"><PrintSpace><TextBlock>'
    '<TextLine ID="l" HPOS="1" VPOS="1" WIDTH="29" HEIGHT="8"><String CONTENT="{text}"/></TextLine></TextBlock></PrintSpace></Page></Layout></alto>'
)


@pytest.fixture
def clones(tmp_path, write, picture):
    root = tmp_path / "clones"
    for clone, hands in (("one", "1-per-folder"), ("two", "many")):
        write(root / clone / "htr-united.yml", CATALOGUE.format(title=f"Corpus {clone}", hands=hands))
        for number, form in enumerate((ALTO, PAGE)):
            picture(root / clone / "data" / "doc" / f"f{number}.png")
            write(root / clone / "data" / "doc" / f"f{number}.xml", form.format(image=f"f{number}.png", text=f"{clone} {number}"))
    return root


def test_one_clone(clones, read) -> None:
    reading = read("htr_united", clones / "one")
    assert [(i.id, i.text, i.group, i.meta["dataset"]) for i in reading.items] == [
        ("data/doc/f0/0001", "one 0", "data/doc", "Corpus one"), ("data/doc/f1/0001", "one 1", "data/doc", "Corpus one")]
    assert reading.dropped == [] and reading.notes == [f"{clones / 'one' / 'htr-united.yml'}: license: CC-BY 4.0 (Corpus one)"]
    assert [i.group for i in read("htr_united", clones / "two").items] == ["data/doc/f0", "data/doc/f1"]
    assert [i.group for i in read("htr_united", clones / "two", "--group-by", "none").items] == [None, None]


def test_several_clones_keep_their_lines_apart(clones, read) -> None:
    reading = read("htr_united", clones)
    assert [(i.id, i.group) for i in reading.items] == [
        ("one/data/doc/f0/0001", "one/data/doc"), ("one/data/doc/f1/0001", "one/data/doc"),
        ("two/data/doc/f0/0001", "two/data/doc/f0"), ("two/data/doc/f1/0001", "two/data/doc/f1")]
    assert len({item.source for item in reading.items}) == 4 and all(item.source.is_file() for item in reading.items)
    assert len(reading.notes) == 2


def test_without_a_catalogue_the_license_is_said_to_be_unknown(clones, read, write) -> None:
    (clones / "one" / "htr-united.yml").unlink()
    reading = read("htr_united", clones / "one")
    assert "license is not known" in reading.notes[0] and reading.items[0].meta["dataset"] == "one" and reading.items[0].group == "data/doc/f0"
    for content, message in (("a: [", "not YAML"), ("- a", "expected keys")):
        write(clones / "one" / "htr-united.yml", content)
        with pytest.raises(InputError, match=message):
            read("htr_united", clones / "one")
    write(clones / "one" / "htr-united.yml", "title: T\nlicense: {name: CC0}\nhands: unknown\n")
    assert "license: CC0 (T)" in read("htr_united", clones / "one").notes[0]
    with pytest.raises(ConfigError, match="did you mean 'folder'"):
        read("htr_united", clones / "one", "--group-by", "foldr")
