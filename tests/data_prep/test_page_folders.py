"""PAGE in folders that are splits, with images in a folder beside."""

from __future__ import annotations

PAGE = (
    '<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2013-07-15"><Page imageFilename="{image}" imageWidth="40" imageHeight="10">'
    '<TextRegion id="r"><TextLine id="l"><Coords points="1,1 30,1 30,9 1,9"/><TextEquiv><Unicode>{text}</Unicode></TextEquiv></TextLine>'
    "</TextRegion></Page></PcGts>"
)


def test_folders_are_splits_and_images_lie_beside(tmp_path, read, write, picture) -> None:
    for folder in ("Training", "Validation", "test", "spare"):
        picture(tmp_path / folder / "Images" / "p1.jpg")
        write(tmp_path / folder / "page" / "p1.xml", PAGE.format(image="p1.jpg", text=folder))
    picture(tmp_path / "Training" / "p2.jpg")  # as Transkribus has it
    write(tmp_path / "Training" / "page" / "p2.xml", PAGE.format(image="C:\\scans\\p2.jpg", text="second"))
    write(tmp_path / "Training" / "page" / "p3.xml", PAGE.format(image="p3.jpg", text="no picture"))
    reading = read("page_folders", tmp_path)
    assert [(i.id, i.text, i.meta.get("split")) for i in reading.items] == [
        ("Training/page/p1/0001", "Training", "train"), ("Training/page/p2/0001", "second", "train"),
        ("Validation/page/p1/0001", "Validation", "dev"), ("spare/page/p1/0001", "spare", None), ("test/page/p1/0001", "test", "test")]
    assert [i.group for i in reading.items][:2] == ["Training/page/p1", "Training/page/p2"]
    assert len(reading.dropped) == 1 and f"p3.xml: its image is not there (p3.jpg; looked for in {tmp_path}" in reading.dropped[0]
