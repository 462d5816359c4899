"""Weights are tuned from the command line, kept in a bundle of their own and used; nothing that is read is written over."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from recognizer.bundle import registry
from recognizer.bundle.io import load_bundle, save_bundle
from recognizer.config import DecoderConfig, TextConfig
from recognizer.data.manifest import Item, load_manifest, save_manifest
from recognizer.errors import BundleError, ConfigError
from recognizer.inference.recognizer import Recognizer
from recognizer.text.alphabet import Alphabet
from recognizer.tuning.tune import choose_output, save_tuned


def read_all(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_tuning_is_no_worse_than_its_start_and_a_new_bundle_keeps_it(cli, bundle, noisy, model) -> None:
    before = read_all(bundle)
    outcome = cli("tune", bundle, noisy, f"decoder.lm={model}", "--json", "--threads", "1")
    assert outcome.code == 0
    found = json.loads("\n".join(outcome.out))
    assert found["metric"] == "CER" and found["error"] <= min(trial["error"] for trial in found["trials"]) * 1.01
    assert len({json.dumps(trial) for trial in found["trials"]}) == len(found["trials"]) > 20
    assert read_all(bundle) == before
    kept = load_bundle(bundle.with_name("bundle-tuned"))
    assert kept.config.decoder.kind == "beam" and kept.config.decoder.lm == "lm.ngram" and "lm.ngram" in kept.others
    values = yaml.safe_load((kept.folder / "config.yaml").read_text())["decoder"]
    assert set(values["calibration"]) == {"tokens", "words", "token_error", "word_error"}
    model.rename(model.with_suffix(".away"))  # the bundle needs no other file
    try:
        scores = json.loads("\n".join(cli("evaluate", kept.folder, noisy, "--json", "--allow-seen").out))
        assert scores["decoder"] == "beam" and scores["rates"]["CER"]["rate"] == pytest.approx(found["error"], abs=1e-9)
    finally:
        model.with_suffix(".away").rename(model)
    again = cli("tune", bundle, noisy, f"decoder.lm={model}", "-q")
    assert again.code == 2 and "bundle-tuned: is there already" in again.err[-1]
    assert cli("tune", bundle, noisy, f"decoder.lm={model}", "-q", "--in-place", "--threads", "1").code == 0
    assert load_bundle(bundle).config == kept.config


def test_where_a_tuned_bundle_goes(bundle, tmp_path, monkeypatch) -> None:
    other = shutil.copytree(bundle, tmp_path / "other")
    decoder = DecoderConfig(kind="beam", combine_with="other")
    recognizer = Recognizer.load(bundle, "cpu", decoder=decoder)
    assert choose_output(recognizer) == tmp_path / "bundle-tuned"
    assert choose_output(recognizer, in_place=True) == bundle
    assert choose_output(recognizer, str(tmp_path / "new")) == tmp_path / "new"
    new = tmp_path / "new"
    for folder, in_place, message in ((bundle, False, "or say --in-place"), (other, False, "is a bundle that is read"), (new, True, "leave out -o")):
        with pytest.raises(ConfigError, match=message):
            choose_output(recognizer, str(folder), in_place)
    # as if the bundle shipped with the package
    monkeypatch.setattr("recognizer.tuning.tune.shipped_bundles", lambda: {"bundle": bundle, "third": tmp_path / "third"})
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert choose_output(recognizer) == tmp_path / "elsewhere" / "bundle-tuned"
    for folder, in_place in ((None, True), (str(tmp_path / "third"), False)):
        with pytest.raises(BundleError, match="ships with the package and stays as it is"):
            choose_output(recognizer, folder, in_place)


def test_a_partner_is_found_from_the_new_folder(bundle, tmp_path, monkeypatch) -> None:
    other = shutil.copytree(bundle, tmp_path / "other")
    for name, kept in (("other", "../../other"), (str(other), "../../other")):
        save_tuned(load_bundle(bundle), DecoderConfig(kind="beam", combine_with=name), tmp_path / "deep" / "tuned")
        assert load_bundle(tmp_path / "deep" / "tuned").config.decoder.combine_with == kept
        assert len(Recognizer.load(tmp_path / "deep" / "tuned", "cpu").bundles) == 2
    monkeypatch.setattr(registry, "shipped_bundles", lambda: {"other": other})
    monkeypatch.setattr("recognizer.tuning.tune.shipped_bundles", lambda: {"other": other})
    save_tuned(load_bundle(bundle), DecoderConfig(kind="beam", combine_with="other"), tmp_path / "deep" / "tuned")
    assert load_bundle(tmp_path / "deep" / "tuned").config.decoder.combine_with == "other"


def test_folds_change_nothing_of_what_is_kept(cli, bundle, noisy, model, tmp_path) -> None:
    words = ["tune", bundle, noisy, f"decoder.lm={model}", "--threads", "1", "-o"]
    plain, folded = cli(*words, tmp_path / "plain"), cli(*words, tmp_path / "folded", "--folds", "2")
    assert plain.code == folded.code == 0 and folded.out[: len(plain.out)] == plain.out
    assert load_bundle(tmp_path / "plain").config == load_bundle(tmp_path / "folded").config
    assert sum(line.startswith("fold ") for line in folded.err) == 2
    at = folded.out.index("2 folds (seed 1), each scored with weights tuned on the others")
    table = [line.split() for line in folded.out[at + 2 : at + 4]]
    assert [row[0] for row in table] == ["1", "2"] and sum(int(row[1]) for row in table) == 4 and sum(int(row[2]) for row in table) == 24
    found = json.loads("\n".join(cli(*words, tmp_path / "again", "--folds", "2", "--json", "-q").out))["folds"]
    assert [f"{100 * fold['error']:.2f}" for fold in found["folds"]] == [row[5] for row in table]
    cer = found["pooled"]["rates"]["CER"]
    assert any(line.startswith(f"CER {100 * cer['rate']:.1f} % [{100 * cer['low']:.1f}, ") for line in folded.out)


def test_what_cannot_be_tuned_is_told_at_once(cli, bundle, noisy, model, glyphs) -> None:
    seen = glyphs.root / "train.jsonl"
    for words, message in (
        ([noisy, f"decoder.lm={model}", "--folds", "1"], "--folds 1: some groups have to tune"),
        ([noisy, f"decoder.lm={model}", "--folds", "5"], "--folds 5: the items have 4 groups only"),
        ([noisy], "nothing to tune"),
        ([seen, f"decoder.lm={model}"], "are among those the recognizer was trained on"),
    ):
        outcome = cli("tune", bundle, *words)
        assert outcome.code == 2 and outcome.out == [] and message in outcome.err[-1]
    assert not bundle.with_name("bundle-tuned").exists()


def test_tuning_again_replaces_the_old_model(bundle, model) -> None:
    first = load_bundle(bundle)
    save_tuned(first, DecoderConfig(kind="beam", lm=str(model)), bundle)
    save_tuned(load_bundle(bundle), DecoderConfig(kind="beam"), bundle)
    assert set(load_bundle(bundle).others) == set(first.others) and not (bundle / "lm.ngram").exists()


def test_scores_in_the_output_add_up_and_alternatives_follow(cli, bundle, noisy, model, tmp_path) -> None:
    outcome = cli("evaluate", bundle, noisy, f"decoder.lm={model}", "--n-best", "4", "-o", tmp_path / "out", "--allow-seen")
    assert outcome.code == 0
    rows = [json.loads(line) for line in (tmp_path / "out" / "hypotheses.jsonl").read_text().splitlines()]
    for row in rows:
        assert row["score"] == pytest.approx(row["acoustic"] + row["language"] + row["bonus"], abs=1e-3)
        scores = [row["score"], *(other["score"] for other in row["alternatives"])]
        assert scores == sorted(scores, reverse=True) and len(scores) <= 4
    assert any(row["alternatives"] for row in rows)


def test_a_hotword_decides_a_doubtful_reading(cli, bundle, noisy) -> None:
    sources = [item.source for item in load_manifest(noisy)]
    beam = Recognizer.load(bundle, decoder=DecoderConfig(kind="beam")).transcribe(sources, n_best=5)
    doubts = ((source, found, other) for source, found in zip(sources, beam, strict=True) for other in found.alternatives)
    source, found, other = next((s, f, o) for s, f, o in doubts if o.text not in f.text)  # these letters know no spaces: a phrase may stand anywhere
    assert cli("transcribe", "-m", bundle, source, "decoder=beam").out == [found.text]
    (hot,) = cli("transcribe", "-m", bundle, source, "--hotword", f"{other.text}:{found.score - other.score + 0.1}").out
    assert other.text in hot
    assert "write 'phrase:weight'" in cli("transcribe", "-m", bundle, source, "--hotword", "x").err[-1]


def test_words_of_a_lexicon_are_scored_against_the_text(cli, line_run, glyphs, tmp_path) -> None:
    """The recognizer of lines with its letters taken for units, and a word for each unit."""
    source = load_bundle(line_run / "bundle")
    bundle, alphabet = tmp_path / "bundle", Alphabet(source.alphabet.symbols, "units")
    save_bundle(bundle, replace(source.config, text=TextConfig(level="units")), alphabet, source.weights, "")
    letters = [(item, item.text.replace(" ", "")) for item in glyphs.items()]
    spoken = [replace(item, units=tuple(text), text=" ".join(f"{unit.upper()}WORD" for unit in text)) for item, text in letters]
    save_manifest(spoken, manifest := tmp_path / "spoken.jsonl")
    lexicon = tmp_path / "lexicon.txt"
    lexicon.write_text("".join(f"{unit.upper()}WORD {unit}\n" for unit in sorted(set("".join(text for _, text in letters)))))

    def rates(*words: str) -> dict[str, dict[str, float]]:
        return json.loads("\n".join(cli("evaluate", bundle, manifest, *words, "--json", "--allow-seen").out))["rates"]

    def text(item: Item, *words: str) -> list[str]:
        return cli("transcribe", "-m", bundle, item.source, f"decoder.lexicon={lexicon}", *words).out[0].split()

    of_words, of_units = rates(f"decoder.lexicon={lexicon}"), rates(f"decoder.lexicon={lexicon}", "decoder.words=false")
    assert of_words["WER"]["rate"] == pytest.approx(rates()["UER"]["rate"], abs=0.1)
    assert of_units["UER"]["rate"] == pytest.approx(of_words["WER"]["rate"], abs=1e-9)
    assert text(spoken[0]) == [f"{unit.upper()}WORD" for unit in text(spoken[0], "decoder.words=false")] != []
