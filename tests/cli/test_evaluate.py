"""``recognizer evaluate``: what it prints and writes, its refusals, and a model card that keeps what people wrote."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import editdistance
import pytest

from recognizer.bundle.io import load_bundle, save_bundle
from recognizer.config import DecoderConfig
from recognizer.data.manifest import Item, save_manifest
from recognizer.evaluation.model_card import BEGIN, END
from recognizer.evaluation.results import load_results

BY_PEOPLE = "# lines\n\n* Trained on: drawn glyphs.\n"
VARYING = re.compile(r"^\* Memory: .*$|^`recognizer .*`$", re.MULTILINE)


@pytest.fixture(scope="module")
def bundle(line_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("card") / "bundle"
    shutil.copytree(line_run / "bundle", folder)
    (folder / "card.md").write_text(BY_PEOPLE)
    return folder


@pytest.fixture
def items(glyphs) -> list[Item]:
    """Every third transcript says something else, so that there are errors to count."""
    return [
        replace(item, meta={"kind": "odd" if n % 2 else "even"}, text=item.text[::-1] + "q" if n % 3 == 0 else item.text)
        for n, item in enumerate(glyphs.items())
    ]


@pytest.fixture
def manifest(items, tmp_path) -> Path:
    save_manifest(items, tmp_path / "test.jsonl")
    return tmp_path / "test.jsonl"


def test_a_summary_is_printed(cli, bundle, glyphs) -> None:
    outcome = cli("evaluate", bundle, glyphs.root / "dev.jsonl")
    assert outcome.code == 0 and outcome.out[0].startswith("CER ") and any(line.startswith("WER ") for line in outcome.out)
    assert outcome.err[-1].startswith("24 items in ")


def test_results_are_printed_as_json_and_written(cli, bundle, items, tmp_path) -> None:
    save_manifest([*items, Item("gone", tmp_path / "gone.png", text="a")], tmp_path / "dev.jsonl")
    out = tmp_path / "new" / "out"
    outcome = cli("evaluate", bundle, tmp_path / "dev.jsonl", "--json", "-o", out, "-q")
    assert outcome.code == 1 and outcome.err == [f"recognizer: gone: {tmp_path / 'gone.png'}: no such file"]
    record = json.loads("\n".join(outcome.out))
    assert record == json.loads((out / "scores.json").read_text())
    assert record["bundle"] == str(bundle) and record["decoder"] == "greedy" and len(record["failed"]) == 1
    saved = load_results(out)
    assert [(item.id, item.reference, item.group) for item in saved.items] == [(i.id, i.text, i.group) for i in items] and saved.protocol is None
    cer = record["rates"]["CER"]
    assert cer["errors"] == sum(editdistance.eval(item.reference, item.hypothesis) for item in saved.items)
    assert cer["reference"] == sum(len(item.reference) for item in saved.items) and cer["low"] <= cer["rate"] <= cer["high"]
    assert (out / "summary.txt").read_text().startswith(f"CER {100 * cer['rate']:.1f} %")


def test_a_bad_manifest_and_a_bad_folder_are_one_line(cli, bundle, manifest, tmp_path) -> None:
    (tmp_path / "file").touch()
    outcome = cli("evaluate", bundle, tmp_path / "file")
    assert outcome.code == 2 and outcome.out == [] and outcome.err == [f"recognizer: {tmp_path / 'file'}: the manifest is empty"]
    outcome = cli("evaluate", bundle, manifest, "-o", tmp_path / "file", "-q")
    assert outcome.code == 2 and outcome.err == [f"recognizer: {tmp_path / 'file'}: cannot be made: File exists"]


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
    assert re.search(r"^\* Memory: \d+ MiB", text, re.MULTILINE) and re.search(r"^\* Size: [\d.]+ MiB \(model.safetensors", text, re.MULTILINE)
    assert (bundle / "card.md").read_text() == BY_PEOPLE  # another file was named


def test_renewing_changes_nothing_else(cli, bundle, manifest) -> None:
    card = bundle / "card.md"
    assert cli("evaluate", bundle, manifest, "--card", "-q").code == 0
    first = card.read_text()
    assert first.startswith(BY_PEOPLE.rstrip()) and first.count(BEGIN) == first.count(END) == 1
    changed = first.replace("drawn glyphs", "glyphs of bars") + "\n## Limits\n\nFour letters.\n"
    card.write_text(changed)
    assert cli("evaluate", bundle, manifest, "--card", "-q").code == 0
    assert VARYING.sub("", card.read_text()) == VARYING.sub("", changed)
    assert not list(bundle.glob("*.partial")) and cli("evaluate", bundle, manifest, "-q").code == 0  # still a whole bundle


def test_further_manifests_and_another_decoder(cli, bundle, manifest, items, tmp_path) -> None:
    distorted = [replace(item, meta={"distortion": kind}) for item, kind in zip(items[:6], ("unchanged", "photo") * 3, strict=True)]
    (tmp_path / "d").mkdir()
    save_manifest([*distorted, Item("gone", tmp_path / "gone.png", text="a")], tmp_path / "d" / "all.jsonl")
    beam, card, opened = tmp_path / "beam", tmp_path / "card.md", load_bundle(bundle)
    config = replace(opened.config, decoder=DecoderConfig("beam", beam_size=7))
    save_bundle(beam, config, opened.alphabet, opened.weights, "", {name: bundle / name for name in opened.others})
    outcome = cli("evaluate", beam, manifest, "--card", card, "--also", tmp_path / "d" / "all.jsonl", "-q")
    assert outcome.code == 1 and outcome.err == []
    text = card.read_text()
    assert [line.split(" | ")[1] for line in text.splitlines() if line.startswith("| d/all.jsonl")] == ["greedy", "beam 7"]
    assert "### `d/all.jsonl` by distortion" in text and "| photo | 3 |" in text and "6 items of 4 writers; 1 could not be scored" in text


def test_items_seen_in_training_are_refused_and_noted(cli, bundle, glyphs, tmp_path) -> None:
    train, card = glyphs.root / "train.jsonl", tmp_path / "card.md"
    outcome = cli("evaluate", bundle, glyphs.root / "dev.jsonl", "--card", card, "--also", train, "-q")
    assert outcome.code == 2 and f"{train}: 64 items are among those" in outcome.err[-1] and not card.exists()
    assert cli("evaluate", bundle, train, "--card", card, "--allow-seen", "-q").code == 0
    assert "64 were **trained on**" in card.read_text() and "--allow-seen" in card.read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [(("--also", "x.jsonl"), "--also names a further manifest for the card: say --card as well"),
        (("--card", "decoder=beam"), "--card describes the bundle as it is: leave out decoder settings and hotwords"),
        (("--card", "--also", "missing.jsonl"), "missing.jsonl: no such manifest")],
)  # fmt: skip
def test_what_makes_no_card_is_told_at_once(cli, bundle, manifest, words: tuple[str, ...], message: str) -> None:
    before = (bundle / "card.md").read_text()
    outcome = cli("evaluate", bundle, manifest, *words)
    assert outcome.code == 2 and outcome.out == [] and len(outcome.err) == 1 and message in outcome.err[0]
    assert (bundle / "card.md").read_text() == before


@pytest.mark.parametrize(("target", "found"), [("/dev/null", "is not a regular file"), ("/", "is a folder")])
def test_a_card_replaces_nothing_but_a_file(cli, bundle, manifest, target: str, found: str) -> None:
    before = Path(target).stat()
    outcome = cli("evaluate", bundle, manifest, "--card", target)
    assert (outcome.code, outcome.out) == (2, []) and outcome.err == [f"recognizer: {target}: cannot be written: {found}; name another file"]
    assert (Path(target).stat().st_ino, Path(target).stat().st_mode) == (before.st_ino, before.st_mode)


def test_a_card_that_cannot_be_renewed(cli, bundle, manifest, tmp_path) -> None:
    card = tmp_path / "card.md"
    card.write_text(f"# x\n\n{BEGIN}\n")
    outcome = cli("evaluate", bundle, manifest, "--card", card)
    assert outcome.code == 2 and outcome.out == [] and f"{card}:3: the lines that mark the measured part" in outcome.err[0]
    card.write_bytes(b"\xff\xfe")
    assert "not UTF-8 text" in cli("evaluate", bundle, manifest, "--card", card).err[0]
    outcome = cli("evaluate", bundle, manifest, "--card", tmp_path / "nowhere" / "card.md", "-q")
    assert outcome.code == 2 and "nowhere/card.md: cannot be written: No such file or directory" in outcome.err[-1]
