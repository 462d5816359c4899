"""Copiste d'un jour: which lines are the copied declaration, and which writer is in which split."""

from __future__ import annotations

import hashlib

import pytest

from recognizer.data_prep.copiste import CONSENT, choose_split, judge_line

PAGE = (
    '<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2013-07-15"><Page imageFilename="{image}" imageWidth="40" imageHeight="10">'
    '<TextRegion id="r">{lines}</TextRegion></Page></PcGts>'
)
LINE = '<TextLine id="l{n}"><Coords points="1,1 30,1 30,9 1,9"/><TextEquiv><Unicode>{text}</Unicode></TextEquiv></TextLine>'
DECLARED = ["J'AI LU LES CONDITIONS DE", "participation et j'y consens. Je", "librement \u00e0 des fins non", "commerciales.", "imp_wikitexte_0022",
    "Texte 1 - R\u00e9f\u00e9rence du texte : wikitexte_00", "Wiki texte 0018/2", "Je comprend que mon manuscrit sera anonymis\u00e9 et"]  # fmt: skip
WRITTEN = ["La F\u00e9d\u00e9ration du Laos de football est une association", "le nom fait r\u00e9f\u00e9rence \u00e0 une classe de",
    "et dirigeant de banque", "et", "de la", "Paris, 25 juin 1913) est un banquier et un homme", "1936.", "-"]  # fmt: skip


@pytest.mark.parametrize("text", DECLARED)
def test_lines_of_the_declaration(text: str) -> None:
    assert judge_line(text) == "consent"


@pytest.mark.parametrize("text", WRITTEN)
def test_other_lines(text: str) -> None:
    assert judge_line(text) == "text"


def test_struck_words_and_every_stretch_of_the_declaration() -> None:
    assert judge_line("Efrem Zimbalist II (aussi dit Efrem ><") == "struck"
    words = CONSENT.split()
    assert all(judge_line(" ".join(words[i : i + 6])) == "consent" for i in range(len(words) - 5))


def test_writers_are_split_by_their_name_alone() -> None:
    known = {"imp_wikitexte_0022": "train", "imp_wikitexte_0058": "dev", "wikitexte_0002": "train", "wikitexte_0235": "dev"}
    assert {writer: choose_split(writer) for writer in known} == known
    shares = [choose_split(f"wikitexte_{number:04d}") for number in range(2000)]
    assert shares.count("test") == pytest.approx(260, abs=50) and shares.count("dev") == pytest.approx(199, abs=45)
    low = next(n for n in range(999) if hashlib.sha1(f"wikitexte_{n:04d}".encode()).hexdigest() < "2")
    assert choose_split(f"wikitexte_{low:04d}") == "test"


def test_pages_of_a_writer_stay_together_and_the_declaration_is_left_out(tmp_path, read, write, picture) -> None:
    said = CONSENT[:40]
    texts = {"wikitexte_0002_1": [said, "Un mot", "un >autre<"], "wikitexte_0002_2": ["Deux mots"], "imp_wikitexte_0058": [said, "Trois"]}
    for name, lines in texts.items():
        picture(tmp_path / f"{name}.jpg")
        body = "".join(LINE.format(n=n, text=text.replace(">", "&gt;").replace("<", "&lt;")) for n, text in enumerate(lines))
        write(tmp_path / f"{name}.xml", PAGE.format(image=f"{name}.jpg", lines=body))
    reading = read("copiste", tmp_path)
    assert [(i.text, i.group, i.meta["split"], i.meta["kind"]) for i in reading.items] == [
        ("Trois", "imp_wikitexte_0058", "dev", "text"), ("Un mot", "wikitexte_0002", "train", "text"),
        ("Deux mots", "wikitexte_0002", "train", "text")]
    assert reading.notes == ["left out: 2 lines of the declaration of consent or with a page number, 1 with words struck out"]
    kept = read("copiste", tmp_path, "--keep-consent").items
    assert [i.meta["kind"] for i in kept] == ["text", "consent", "text", "text"] and reading.dropped == []
