"""`recognizer evaluate --card`: the card tells what `evaluate` tells, and what people wrote stays."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from recognizer.bundle import load_bundle, save_bundle
from recognizer.config import DecoderConfig
from recognizer.data.manifest import Item, save_manifest
from recognizer.evaluation.card import BEGIN, END

HAND = "# lines\n\n* Trained on: drawn glyphs.\n"
VARYING = re.compile(r"^\* (Speed, greedy|Memory): .*$|^`recognizer .*`$", re.MULTILINE)


@pytest.fixture(scope="module")
def bundle(line_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("card") / "bundle"
    shutil.copytree(line_run / "bundle", folder)
    (folder / "card.md").write_text(HAND)
    return folder


@pytest.fixture(autouse=True)
def no_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fresh interpreter takes seconds, and has a test of its own."""
    monkeypatch.setattr("recognizer.measured_card.measure_start", lambda own, transcripts, threads: f"{len(transcripts)} to choose from")


@pytest.fixture
def manifest(glyphs, tmp_path) -> Path:
    """Every third transcript says something else, so that there are errors to count."""
    items = [
        replace(item, meta={"kind": "odd" if n % 2 else "even"}, text=item.text[::-1] + "q" if n % 3 == 0 else item.text)
        for n, item in enumerate(glyphs.items())
    ]
    save_manifest(items, tmp_path / "test.jsonl")
    return tmp_path / "test.jsonl"


def test_the_card_tells_what_evaluate_tells(cli, bundle, manifest, tmp_path) -> None:
    card = tmp_path / "card.md"
    outcome = cli("evaluate", bundle, manifest, "--card", card, "--json", "--threads", "1")
    assert outcome.code == 0 and outcome.err[-1] == f"wrote {card}"
    alone = cli("evaluate", bundle, manifest, "--json")
    assert outcome.out == alone.out
    record, text = json.loads("\n".join(alone.out)), card.read_text()
    cer = record["rates"]["CER"]
    rate = f"{100 * cer['rate']:.1f} % [{100 * cer['low']:.1f}, {100 * cer['high']:.1f}]"
    assert f"| {manifest.parent.name}/test.jsonl | greedy | 24 | {rate} |".replace("_", r"\_") in text
    worst = max(record["groups"], key=lambda g: g["rates"]["CER"]["rate"])
    assert f"| {worst['group']} | 6 | {100 * worst['rates']['CER']['rate']:.1f} %" in text
    assert "### By writer" in text and "### By kind" in text and "### Confidence" in text
    assert hashlib.sha256(manifest.read_bytes()).hexdigest()[:12] in text
    assert f"`recognizer evaluate {bundle} {manifest} --card {card} --threads 1`" in text
    assert re.search(r"\* Speed, greedy: [\d.]+ lines/s \(1 thread, 24 items from files\)\.", text) and "MiB" in text
    assert "* Cold start: 24 to choose from." in text
    assert (bundle / "card.md").read_text() == HAND  # another file was named


def test_renewing_changes_nothing_else(cli, bundle, manifest) -> None:
    card = bundle / "card.md"
    assert cli("evaluate", bundle, manifest, "--card", "-q").code == 0
    first = card.read_text()
    assert first.startswith(HAND.rstrip()) and first.count(BEGIN) == first.count(END) == 1
    card.write_text(first.replace("drawn glyphs", "glyphs of bars") + "\n## Limits\n\nFour letters.\n")
    assert cli("evaluate", bundle, manifest, "--card", "-q").code == 0
    second = card.read_text()
    changed = first.replace("drawn glyphs", "glyphs of bars") + "\n## Limits\n\nFour letters.\n"
    assert VARYING.sub("", second) == VARYING.sub("", changed)
    assert not list(bundle.glob("*.partial")) and cli("evaluate", bundle, manifest, "-q").code == 0  # still a whole bundle


def test_distorted_items_and_another_decoder(cli, bundle, manifest, glyphs, tmp_path) -> None:
    assert cli("prepare", "distorted", glyphs.root / "dev.jsonl", tmp_path / "d", "--kind", "unchanged", "--kind", "blank", "--items", "4").code == 0
    beam, card, opened = tmp_path / "beam", tmp_path / "card.md", load_bundle(bundle)
    recipe = replace(opened.recipe, decoder=DecoderConfig("beam", width=7))
    save_bundle(beam, recipe, opened.alphabet, opened.weights, "", {name: bundle / name for name in opened.others})
    outcome = cli("evaluate", beam, manifest, "--card", card, "--also", tmp_path / "d" / "all.jsonl", "-q")
    assert outcome.code == 0 and outcome.err == []
    text = card.read_text()
    assert [line.split(" | ")[1] for line in text.splitlines() if line.startswith("| d/all.jsonl")] == ["greedy", "beam 7"]
    assert re.findall(r"^\* Speed, (.*): [\d.]+ lines/s", text, re.MULTILINE) == ["greedy", "beam 7"]
    assert "### `d/all.jsonl` by distortion" in text and re.search(r"\| blank \| 4 \| – \| – \| 4 of 4 \| 0 \|", text)  # noqa: RUF001


def test_what_cannot_be_scored_is_counted(cli, bundle, manifest, glyphs, tmp_path) -> None:
    save_manifest([*glyphs.items()[:3], Item("gone", tmp_path / "gone.png", text="a")], tmp_path / "some.jsonl")
    outcome = cli("evaluate", bundle, manifest, "--card", tmp_path / "card.md", "--also", tmp_path / "some.jsonl", "-q")
    assert outcome.code == 1 and "3 items of 3 writers; 1 could not be scored" in (tmp_path / "card.md").read_text()


def test_training_items_are_refused_or_named(cli, bundle, glyphs, tmp_path) -> None:
    train, card = glyphs.root / "train.jsonl", tmp_path / "card.md"
    outcome = cli("evaluate", bundle, glyphs.root / "dev.jsonl", "--card", card, "--also", train, "-q")
    assert outcome.code == 2 and f"{train}: 64 items are among those" in outcome.err[-1] and not card.exists()
    assert cli("evaluate", bundle, train, "--card", card, "--allow-seen", "-q").code == 0
    assert "64 were **trained on**" in card.read_text() and "--allow-seen" in card.read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [(("--also", "x.jsonl"), "--also names a further manifest for the card: say --card as well"),
        (("--card", "decoder=beam"), "--card tells of the bundle as it is: leave out decoder settings and hotwords"),
        (("--card", "--also", "missing.jsonl"), "missing.jsonl: no such manifest")],
)  # fmt: skip
def test_what_makes_no_card_is_told_at_once(cli, bundle, manifest, words: tuple[str, ...], message: str) -> None:
    before = (bundle / "card.md").read_text()
    outcome = cli("evaluate", bundle, manifest, *words)
    assert outcome.code == 2 and outcome.out == [] and len(outcome.err) == 1 and message in outcome.err[0]
    assert (bundle / "card.md").read_text() == before


def test_a_card_that_cannot_be_renewed(cli, bundle, manifest, tmp_path) -> None:
    card = tmp_path / "card.md"
    card.write_text(f"# x\n\n{BEGIN}\n")
    outcome = cli("evaluate", bundle, manifest, "--card", card)
    assert outcome.code == 2 and outcome.out == [] and f"{card}:3: the lines that mark the measured part" in outcome.err[0]
    card.write_bytes(b"\xff\xfe")
    assert "not UTF-8 text" in cli("evaluate", bundle, manifest, "--card", card).err[0]
    outcome = cli("evaluate", bundle, manifest, "--card", tmp_path / "nowhere" / "card.md", "-q")
    assert outcome.code == 2 and "nowhere/card.md: cannot be written: No such file or directory" in outcome.err[-1]
