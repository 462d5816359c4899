"""Pages among the files of a command line: told by their look, forced, documents and layouts; and what is printed and written."""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recognizer.cli.main import main
from recognizer.errors import InputError
from recognizer.jobs.job import plan_jobs
from recognizer.jobs.pages import PageChoice, is_page
from recognizer.pages.segmenter import PageLine

TEXTS = ["ddbddddd", "ddddbddd", "bddddddd", "ddddddda", "dcdddddd"]
PLACES = [(40, 30 + 50 * number) for number in range(len(TEXTS))]


def corners(number: int) -> tuple[tuple[float, float], ...]:
    (left, top), width = PLACES[number], 8 + 12 * len(TEXTS[number])
    return ((left, top), (left + width, top), (left + width, top + 20), (left, top + 20))


class Finder:
    def find(self, picture: np.ndarray) -> list[PageLine]:
        return [PageLine(f"line_{n + 1}", corners(n), (), "region_1") for n in range(len(TEXTS))]


@pytest.fixture
def folder(draw, tmp_path, monkeypatch) -> Path:
    """A line and a page; what finds lines knows where these are."""
    monkeypatch.setattr("recognizer.inference.pages.load_segmenter", lambda name: Finder())
    generator, page = np.random.default_rng(5), np.full((300, 200), 255, dtype=np.uint8)
    for text, (left, top) in zip(TEXTS, PLACES, strict=True):
        line = draw(text, generator)
        page[top : top + line.shape[0], left : left + line.shape[1]] = line
    made = tmp_path / "in"
    made.mkdir()
    Image.fromarray(page).save(made / "b.png")
    Image.fromarray(draw("dcba", generator)).save(made / "a.png")
    return made


def describe(*lines: tuple[str, tuple]) -> str:
    inner = ""
    for number, (text, outline) in enumerate(lines):
        known = f"<TextEquiv><Unicode>{text}</Unicode></TextEquiv>" if text else ""
        inner += f'<TextLine id="l{number}"><Coords points="{" ".join(f"{x},{y}" for x, y in outline)}"/>{known}</TextLine>'
    return f'<PcGts><Page imageFilename="b.png" imageWidth="200" imageHeight="300"><TextRegion id="r">{inner}</TextRegion></Page></PcGts>'


def test_pages_are_told_by_their_look_or_by_the_user(folder) -> None:
    line, page = str(folder / "a.png"), str(folder / "b.png")
    assert not is_page(line, PageChoice()) and is_page(page, PageChoice())
    assert is_page(line, PageChoice(page=True)) and not is_page(page, PageChoice(page=False))
    Image.open(page).save(folder / "c.tif", save_all=True, append_images=[Image.open(line)])
    assert is_page(str(folder / "c.tif"), PageChoice()) and not is_page(str(folder / "c.tif"), PageChoice(page=False))
    (folder / "d.png").write_bytes(b"no picture")
    assert not is_page(str(folder / "d.png"), PageChoice()) and not is_page(str(folder / "none.png"), PageChoice())
    assert is_page("x.pdf", PageChoice(page=False)) and is_page("x.xml", PageChoice())


def test_which_xml_and_pdf_files_are_taken(folder) -> None:
    (folder / "b.xml").write_text(describe())
    (folder / "ink.xml").write_text("<WhiteboardCaptureSession/>")
    (folder / "c.pdf").write_bytes(b"%PDF")
    named = plan_jobs([str(folder / "b.xml"), str(folder / "ink.xml"), str(folder / "c.pdf")])
    assert [job.modality for job in named.jobs] == ["line", "strokes", "line"]
    for wanted in (None, "line"):  # a folder's layouts describe its pictures, which are taken themselves
        assert [Path(job.source).name for job in plan_jobs([str(folder)], wanted).jobs] == ["a.png", "b.png", "c.pdf"]
    assert [Path(job.source).name for job in plan_jobs([str(folder / "b.xml")], "line").jobs] == ["b.xml"]


def test_lines_and_pages_in_one_folder(cli, folder, line_run) -> None:
    outcome = cli("transcribe", "-m", line_run / "bundle", folder, "-q")
    assert outcome.code == 0 and outcome.out == [f"{folder / 'a.png'}\tdcba", f"==> {folder / 'b.png'} <==", *TEXTS]
    alone = cli("transcribe", "-m", line_run / "bundle", folder / "b.png", "-q")
    assert alone.out == TEXTS


def test_each_page_of_a_document_has_its_results(cli, folder, line_run, tmp_path) -> None:
    page = Image.open(folder / "b.png")
    page.save(folder / "c.tif", save_all=True, append_images=[page])
    outcome = cli("transcribe", "-m", line_run / "bundle", folder / "c.tif", "-o", tmp_path / "out", "-q")
    assert outcome.code == 0 and outcome.err == []
    assert files_in(tmp_path / "out") == ["c.tif.txt"]
    assert [text.splitlines() for text in (tmp_path / "out" / "c.tif.txt").read_text().split("\f")] == [TEXTS, TEXTS]
    printed = cli("transcribe", "-m", line_run / "bundle", folder / "c.tif", "-q")
    assert printed.out == [f"==> {folder / 'c.tif'}.0001 <==", *TEXTS, f"==> {folder / 'c.tif'}.0002 <==", *TEXTS]


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def test_pages_of_a_document_make_one_file_where_the_format_takes_them(cli, folder, line_run, tmp_path) -> None:
    page, out = Image.open(folder / "b.png"), tmp_path / "out"
    page.save(folder / "c.tif", save_all=True, append_images=[page, page])
    words = ("transcribe", "-m", line_run / "bundle", folder / "c.tif", folder / "b.png", "-o", out, "-f", "txt,jsonl,json,alto", "--json-log")
    outcome = cli(*words)
    done = {event["source"]: event["files"] for event in map(json.loads, outcome.err) if event["event"] == "done"}
    numbered = [f"c.tif.{number:04d}.{suffix}" for number in (1, 2, 3) for suffix in ("json", "alto.xml")]
    assert done == {str(folder / "c.tif"): [*numbered, "c.tif.txt", "c.tif.jsonl"], str(folder / "b.png"): [
        "b.png.txt", "b.png.jsonl", "b.png.json", "b.png.alto.xml"]}  # fmt: skip
    assert files_in(out) == sorted(name for names in done.values() for name in names)
    assert [json.loads(line)["page"] for line in (out / "c.tif.jsonl").read_text().splitlines()] == [1, 2, 3]
    assert [path.name for path in (out / ".recognizer").iterdir()] == ["done.jsonl"]
    before = {name: (out / name).read_bytes() for name in files_in(out)}
    again = [json.loads(line)["event"] for line in cli(*words, "--resume").err]
    assert again.count("skipped") == 2 and "started" not in again
    assert cli(*words).code == 0 and {name: (out / name).read_bytes() for name in files_in(out)} == before


def test_a_page_that_fails_leaves_its_place_empty(cli, folder, line_run, tmp_path, monkeypatch) -> None:
    from recognizer.inference.pages import PageReader

    read = PageReader._read_lines

    def fail(reader, name, *rest):
        if name.endswith("page 2"):
            raise InputError(f"{name}: is torn")
        return read(reader, name, *rest)

    monkeypatch.setattr(PageReader, "_read_lines", fail)
    page = Image.open(folder / "b.png")
    page.save(folder / "c.tif", save_all=True, append_images=[page, page])
    outcome = cli("transcribe", "-m", line_run / "bundle", folder / "c.tif", "-o", tmp_path / "out", "-f", "txt,jsonl", "-q")
    assert (outcome.code, outcome.err) == (1, [f"recognizer: {folder / 'c.tif'}: page 2: is torn"])
    assert [text.splitlines() for text in (tmp_path / "out" / "c.tif.txt").read_text().split("\f")] == [TEXTS, [], TEXTS]
    assert [json.loads(line)["page"] for line in (tmp_path / "out" / "c.tif.jsonl").read_text().splitlines()] == [1, 3]
    page.save(folder / "c.tif", save_all=True, append_images=[page])
    last = cli("transcribe", "-m", line_run / "bundle", folder / "c.tif", "-o", tmp_path / "last", "-q")
    assert last.code == 1 and (tmp_path / "last" / "c.tif.txt").read_text().splitlines() == TEXTS


def test_pages_of_a_document_make_one_pdf(cli, folder, line_run, tmp_path) -> None:
    pytest.importorskip("pikepdf", reason="writes PDF documents")
    pdfium = pytest.importorskip("pypdfium2", reason="reads PDF documents")
    page = Image.open(folder / "b.png")
    page.save(folder / "c.tif", save_all=True, append_images=[page])
    page.save(folder / "d.pdf", save_all=True, append_images=[page], resolution=300)
    files = (folder / "c.tif", folder / "d.pdf", folder / "a.png")
    outcome = cli("transcribe", "-m", line_run / "bundle", *files, "-o", tmp_path / "out", "-f", "all", "-q")
    assert (outcome.code, outcome.err) == (0, [])
    for name, text in (("c.tif", TEXTS), ("d.pdf", TEXTS), ("a.png", ["dcba"])):
        document = pdfium.PdfDocument(tmp_path / "out" / f"{name}.pdf")
        found = [p.get_textpage().get_text_range().split("\r\n") for p in document]
        assert found == [text] * (1 if name == "a.png" else 2)
    assert (tmp_path / "out" / "d.pdf.0002.tsv").read_text().count("\n") == 1 + len(TEXTS)


def test_without_the_packages_of_pdf_all_other_formats_are_written(cli, folder, line_run, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("recognizer.formats.pdf.find_spec", lambda name: None)
    outcome = cli("transcribe", "-m", line_run / "bundle", folder / "a.png", "-o", tmp_path / "out", "-f", "all", "-q")
    note = "recognizer: note: -f all: pdf is left out: it needs pikepdf and fontTools; pip install 'recognizer[pages]'"
    assert (outcome.code, outcome.err) == (0, [note])
    assert {"a.png.txt", "a.png.hocr", "a.png.page.xml"} < set(files_in(tmp_path / "out")) and "a.png.pdf" not in files_in(tmp_path / "out")
    named = cli("transcribe", "-m", line_run / "bundle", folder / "a.png", "-o", tmp_path / "out", "-f", "pdf", "-q")
    assert (named.code, named.err) == (2, ["recognizer: --format: pdf needs pikepdf and fontTools; pip install 'recognizer[pages]'"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_layout_is_given_back_with_its_text(folder, line_run, tmp_path, encoding: str) -> None:
    given = describe(("", corners(0)), ("known", corners(1)))
    (folder / "b.xml").write_bytes(given.encode(encoding))
    close = "/></TextLine>"
    place = given.index(close) + 2
    filled = f"{given[:place]}<TextEquiv><Unicode>{TEXTS[0]}</Unicode></TextEquiv>{given[place:]}".encode(encoding)
    written = TextIOWrapper(BytesIO(), "ascii")
    with redirect_stdout(written):
        assert main(["transcribe", "-m", str(line_run / "bundle"), str(folder / "b.xml"), "-q", "-f", "page"]) == 0
    assert written.buffer.getvalue() == filled
    with redirect_stdout(StringIO()):
        assert main(["transcribe", "-m", str(line_run / "bundle"), str(folder / "b.xml"), "-q", "-f", "page", "-o", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "b.xml.page.xml").read_bytes() == filled


def test_layouts_keep_their_texts_unless_told(cli, folder, line_run) -> None:
    (folder / "b.xml").write_text(describe(("", corners(0)), ("known", corners(1))))
    assert cli("transcribe", "-m", line_run / "bundle", folder / "b.xml", "-q").out == [TEXTS[0], "known"]
    assert cli("transcribe", "-m", line_run / "bundle", folder / "b.xml", "-q", "--overwrite-text").out == TEXTS[:2]


def test_a_line_that_fails_is_named_and_the_others_are_written(cli, folder, line_run, tmp_path) -> None:
    (folder / "b.xml").write_text(describe(("", corners(0)), ("", ((900, 900), (950, 900), (950, 950))), ("", corners(2))))
    outcome = cli("transcribe", "-m", line_run / "bundle", folder / "b.xml", folder / "a.png", "-o", tmp_path / "out", "-q")
    assert outcome.code == 1 and len(outcome.err) == 1
    assert outcome.err[0].startswith(f"recognizer: {folder / 'b.xml'}: line l1: the outline ")
    assert outcome.err[0].endswith("; 1 of 3 lines are left out")
    assert (tmp_path / "out" / "b.xml.txt").read_text().splitlines() == [TEXTS[0], TEXTS[2]]
    assert (tmp_path / "out" / "a.png.txt").read_text() == "dcba\n"


def test_what_is_missing_for_pages_costs_the_pages_only(cli, folder, line_run, monkeypatch) -> None:
    from recognizer.errors import ConfigError

    def refuse(name: str) -> None:
        raise ConfigError("--segmenter rapidocr: rapidocr is not installed; pip install 'recognizer[pages]'")

    monkeypatch.setattr("recognizer.inference.pages.load_segmenter", refuse)
    outcome = cli("transcribe", "-m", line_run / "bundle", folder, "-q")
    assert outcome.code == 1 and outcome.out == [f"{folder / 'a.png'}\tdcba"]
    assert outcome.err == [f"recognizer: {folder / 'b.png'}: --segmenter rapidocr: rapidocr is not installed; pip install 'recognizer[pages]'"]


def test_page_and_line_exclude_each_other(cli, folder, line_run) -> None:
    outcome = cli("transcribe", "-m", line_run / "bundle", folder, "--page", "--line")
    assert outcome.code == 2 and any("not allowed with argument" in line for line in outcome.err)
