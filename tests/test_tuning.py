"""Decoding from the command line: a model is estimated, weights are tuned, kept in the bundle and used."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from recognizer.bundle import load_bundle
from recognizer.config import DecoderConfig
from recognizer.data.manifest import Item, load_manifest, save_manifest
from recognizer.decoding.ngram_estimate import estimate_ngram
from recognizer.decoding.ngram_file import save_ngram
from recognizer.errors import ConfigError
from recognizer.overrides import override_decoder, take_overrides
from recognizer.pipeline import Recognizer
from recognizer.progress import Progress
from recognizer.scoring import evaluate
from recognizer.tuning import store, tune
from recognizer.tuning_data import TuningData
from recognizer.tuning_folds import score_folds


@pytest.fixture(scope="module")
def model(glyphs, tmp_path_factory) -> Path:
    """A character model of the training transcripts."""
    path = tmp_path_factory.mktemp("lm") / "letters.ngram"
    save_ngram(estimate_ngram([item.text for item in load_manifest(glyphs.root / "train.jsonl")], order=3, level="characters"), path)
    return path


@pytest.fixture
def bundle(line_run: Path, tmp_path: Path) -> Path:
    shutil.copytree(line_run / "bundle", tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.fixture
def noisy(glyphs, tmp_path: Path) -> Path:
    """Development pictures that are hard to read."""
    from PIL import Image

    generator = np.random.default_rng(5)
    items = []
    for item in glyphs.items():
        grey = np.asarray(Image.open(item.source).convert("L")).astype(float)
        worn = np.clip(255 - (255 - grey) * (generator.random(grey.shape) < 0.7) - 70 * generator.random(grey.shape), 0, 255)
        path = tmp_path / f"{item.id}.png"
        Image.fromarray(worn.astype(np.uint8)).save(path)
        items.append(replace(item, source=path))
    save_manifest(items, tmp_path / "noisy.jsonl")
    return tmp_path / "noisy.jsonl"


def test_tuning_is_no_worse_than_its_start_and_the_bundle_keeps_it(cli, bundle, noisy, model) -> None:
    outcome = cli("tune", bundle, noisy, f"decoder.lm={model}", "--json", "--threads", "1")
    assert outcome.code == 0
    found = json.loads("\n".join(outcome.out))
    assert found["metric"] == "CER" and found["error"] <= min(trial["error"] for trial in found["trials"]) * 1.01
    assert len({json.dumps(trial) for trial in found["trials"]}) == len(found["trials"]) > 20
    kept = load_bundle(bundle)
    assert kept.recipe.decoder.kind == "beam" and kept.recipe.decoder.lm == "lm.ngram" and "lm.ngram" in kept.others
    assert kept.recipe.decoder.calibration is not None
    model.rename(model.with_suffix(".away"))  # the bundle needs no other file
    try:
        scores = json.loads("\n".join(cli("evaluate", bundle, noisy, "--json", "--allow-seen").out))
        assert scores["decoder"] == "beam" and scores["rates"]["CER"]["rate"] == pytest.approx(found["error"], abs=1e-9)
    finally:
        model.with_suffix(".away").rename(model)


def test_every_group_is_scored_by_weights_that_never_saw_it(bundle, noisy, model) -> None:
    """Held against a tuning and an evaluation of their own for each fold."""
    items, start = load_manifest(noisy), DecoderConfig(kind="beam", lm=str(model))
    recognizer = Recognizer.load(bundle, decoder=start, threads=1)
    scores = score_folds(TuningData(recognizer, items), 3, seed=2)
    assert sorted(group for fold in scores.folds for group in fold.groups) == ["g0", "g1", "g2", "g3"] and sum(f.items for f in scores.folds) == 24
    errors = tokens = 0
    for fold in scores.folds:
        tuned = tune(recognizer, [item for item in items if item.group not in fold.groups])
        assert replace(tuned.config, calibration=None) == fold.config and tuned.error == pytest.approx(fold.tuned)
        reader = Recognizer.load(bundle, decoder=fold.config, threads=1)
        (cer, _) = evaluate(reader, [item for item in items if item.group in fold.groups]).report.rates.values()
        assert cer.rate == pytest.approx(fold.error)
        errors, tokens = errors + cer.counts.errors, tokens + cer.counts.reference
    pooled = scores.report.rates["CER"]
    assert (pooled.counts.errors, pooled.counts.reference) == (errors, tokens)
    assert (pooled.resampled, len(scores.report.groups)) == ("groups", 4) and pooled.low <= pooled.rate <= pooled.high
    assert scores.greedy == evaluate(Recognizer.load(bundle, decoder=DecoderConfig(), threads=1), items).report
    # settings that the bundle has already may be due to the very groups that are scored
    settled = Recognizer.load(bundle, decoder=replace(start, lm_weight=0.77, insertion=0.3, width=5, label_threshold=2.5), threads=1)
    assert score_folds(TuningData(settled, items), 3, seed=2) == scores


def test_folds_change_nothing_of_what_is_kept(cli, bundle, noisy, model, tmp_path) -> None:
    words = ["tune", bundle, noisy, f"decoder.lm={model}", "--threads", "1", "-o"]
    plain, folded = cli(*words, tmp_path / "plain"), cli(*words, tmp_path / "folded", "--folds", "2")
    assert plain.code == folded.code == 0 and folded.out[: len(plain.out)] == plain.out
    assert load_bundle(tmp_path / "plain").recipe == load_bundle(tmp_path / "folded").recipe
    assert sum(line.startswith("fold ") for line in folded.err) == 2
    at = folded.out.index("2 folds (seed 1), each scored with weights tuned on the others")
    table = [line.split() for line in folded.out[at + 2 : at + 4]]
    assert [row[0] for row in table] == ["1", "2"] and sum(int(row[1]) for row in table) == 4 and sum(int(row[2]) for row in table) == 24
    found = json.loads("\n".join(cli(*words, tmp_path / "again", "--folds", "2", "--json", "-q").out))["folds"]
    assert [f"{100 * fold['error']:.2f}" for fold in found["folds"]] == [row[5] for row in table]
    cer = found["pooled"]["rates"]["CER"]
    assert any(line.startswith(f"CER {100 * cer['rate']:.1f} % [{100 * cer['low']:.1f}, ") for line in folded.out)


def test_too_few_groups_for_the_folds_are_told_at_once(cli, bundle, noisy, model) -> None:
    before = (bundle / "config.yaml").read_bytes()
    for folds, message in (("1", "--folds 1: some groups have to tune"), ("5", "--folds 5: the items have 4 groups only")):
        outcome = cli("tune", bundle, noisy, f"decoder.lm={model}", "--folds", folds)
        assert outcome.code == 2 and outcome.out == [] and len(outcome.err) == 1 and message in outcome.err[0]
    assert (bundle / "config.yaml").read_bytes() == before


def test_no_item_is_decoded_twice_with_the_same_settings(bundle, noisy, monkeypatch) -> None:
    data = TuningData(Recognizer.load(bundle, decoder=DecoderConfig(kind="beam"), threads=1), load_manifest(noisy), progress=Progress(quiet=True))
    read, asked = data.read, []
    monkeypatch.setattr(data, "read", lambda config, members: asked.append(list(members)) or read(config, members))
    config = DecoderConfig(kind="beam", width=4)
    some = data.errors(config, [5, 2, 9])
    every = data.errors(config, range(len(data)))
    assert asked == [[5, 2, 9], [n for n in range(24) if n not in (5, 2, 9)]] and every[[5, 2, 9]].tolist() == some.tolist()
    assert data.rate(every, range(24)) == pytest.approx(every.sum() / sum(len(item.text) for item in data.items))


def test_tuning_again_replaces_the_old_model(bundle, model) -> None:
    first = load_bundle(bundle)
    store(first, DecoderConfig(kind="beam", lm=str(model)))
    store(load_bundle(bundle), DecoderConfig(kind="beam"))
    assert "lm.ngram" not in load_bundle(bundle).others and set(load_bundle(bundle).others) == set(first.others)
    assert not (bundle / "lm.ngram").exists()


def test_what_was_trained_on_is_neither_scored_nor_tuned_on(cli, bundle, glyphs, model) -> None:
    seen = glyphs.root / "train.jsonl"
    for words in (["evaluate", bundle, seen], ["tune", bundle, seen, f"decoder.lm={model}"]):
        outcome = cli(*words)
        assert outcome.code == 2 and "are among those the recogniser was trained on" in outcome.err[-1] and "--allow-seen" in outcome.err[-1]
    assert cli("evaluate", bundle, seen, "--allow-seen").code == 0
    notes = cli("evaluate", bundle, glyphs.root / "dev.jsonl").err
    assert any("chose the best epoch" in line for line in notes)


def test_a_greedy_bundle_has_nothing_to_tune(cli, bundle, glyphs) -> None:
    outcome = cli("tune", bundle, glyphs.root / "dev.jsonl")
    assert outcome.code == 2 and "nothing to tune" in outcome.err[-1]


def test_a_metric_that_does_not_fit_is_refused(bundle, glyphs) -> None:
    recognizer = Recognizer.load(bundle, decoder=DecoderConfig(kind="beam"))
    with pytest.raises(ConfigError, match="--metric UER: does not fit an alphabet of characters"):
        tune(recognizer, glyphs.items()[:2], "UER")


def test_scores_in_the_output_add_up_and_alternatives_follow(cli, bundle, noisy, model, tmp_path) -> None:
    outcome = cli("evaluate", bundle, noisy, f"decoder.lm={model}", "--nbest", "4", "-o", tmp_path / "out", "--allow-seen")
    assert outcome.code == 0
    rows = [json.loads(line) for line in (tmp_path / "out" / "hypotheses.jsonl").read_text().splitlines()]
    for row in rows:
        assert row["score"] == pytest.approx(row["acoustic"] + row["language"] + row["bonus"], abs=1e-3)
        scores = [row["score"], *(other["score"] for other in row["alternatives"])]
        assert scores == sorted(scores, reverse=True) and len(scores) <= 4
    assert any(row["alternatives"] for row in rows)
    assert (tmp_path / "out" / "ref.trn").read_text().count("\n") == len(rows)


def test_a_hotword_turns_a_doubtful_reading(cli, bundle, noisy) -> None:
    doubtful = load_manifest(noisy)
    sources = [item.source for item in doubtful]
    beam = Recognizer.load(bundle, decoder=DecoderConfig(kind="beam")).transcribe(sources, n_best=5)
    doubts = ((source, found, other) for source, found in zip(sources, beam, strict=True) for other in found.alternatives)
    source, found, other = next((s, f, o) for s, f, o in doubts if o.text not in f.text)  # these letters know no spaces: a phrase may stand anywhere
    assert cli("transcribe", "-b", bundle, source, "decoder=beam").out == [found.text]
    (hot,) = cli("transcribe", "-b", bundle, source, "--hotword", f"{other.text}:{found.score - other.score + 0.1}").out
    assert other.text in hot
    assert "write 'phrase:weight'" in cli("transcribe", "-b", bundle, source, "--hotword", "x").err[-1]


def test_overrides_are_checked() -> None:
    base = DecoderConfig()
    assert override_decoder(base, ["decoder=beam", "decoder.width=7"]) == DecoderConfig(kind="beam", width=7)
    assert override_decoder(base, ["decoder.lexicon=words.txt"]).kind == "beam"
    for wrong, message in (("decoder.widht=3", "did you mean 'width'"), ("decoder.width=wide", r"decoder\.width"), ("decoder=beem", "beem")):
        with pytest.raises(ConfigError, match=message):
            override_decoder(base, [wrong])
    assert take_overrides(["a.wav", "decoder.width=7", "-b", "x", "decoder=beam"]) == (["decoder.width=7", "decoder=beam"], ["a.wav", "-b", "x"])


def test_words_of_a_lexicon_are_scored_against_the_text(cli, unit_run, tmp_path) -> None:
    bundle, items = unit_run
    units = sorted({unit for item in items for unit in item.units})
    (tmp_path / "lexicon.txt").write_text("".join(f"{unit.upper()}WORD {unit}\n" for unit in units))
    spoken = [replace(item, text=" ".join(f"{unit.upper()}WORD" for unit in item.units)) for item in items]
    save_manifest(spoken, tmp_path / "spoken.jsonl")
    outcome = cli("evaluate", bundle, tmp_path / "spoken.jsonl", f"decoder.lexicon={tmp_path / 'lexicon.txt'}", "--json", "--allow-seen")
    scores = json.loads("\n".join(outcome.out))
    plain = json.loads("\n".join(cli("evaluate", bundle, tmp_path / "spoken.jsonl", "--json", "--allow-seen").out))
    assert scores["rates"]["WER"]["rate"] == pytest.approx(plain["rates"]["UER"]["rate"], abs=0.1)
    transcribed = cli("transcribe", "-b", bundle, spoken[0].source, f"decoder.lexicon={tmp_path / 'lexicon.txt'}", "-f", "jsonl")
    lines = [json.loads(line) for line in transcribed.out]
    assert all(word.endswith("WORD") for word in lines[0]["text"].split())
    units = cli("transcribe", "-b", bundle, spoken[0].source, f"decoder.lexicon={tmp_path / 'lexicon.txt'}", "decoder.words=false")
    assert [f"{unit.upper()}WORD" for unit in units.out[0].split()] == lines[0]["text"].split()
    asked = (f"decoder.lexicon={tmp_path / 'lexicon.txt'}", "decoder.words=false", "--json", "--allow-seen")
    of_units = json.loads("\n".join(cli("evaluate", bundle, tmp_path / "spoken.jsonl", *asked).out))
    assert of_units["rates"]["UER"]["rate"] == pytest.approx(scores["rates"]["WER"]["rate"], abs=1e-9)


@pytest.fixture(scope="module")
def unit_run(line_run: Path, glyphs, tmp_path_factory) -> tuple[Path, list[Item]]:
    """The line recogniser with its letters taken for units."""
    folder = tmp_path_factory.mktemp("units") / "bundle"
    from recognizer.alphabet import Alphabet
    from recognizer.bundle import save_bundle
    from recognizer.config import TextConfig

    source = load_bundle(line_run / "bundle")
    recipe = replace(source.recipe, text=TextConfig(level="units"))
    save_bundle(folder, recipe, Alphabet(source.alphabet.symbols, "units"), source.weights, "")
    return folder, [replace(item, units=tuple(item.text.replace(" ", ""))) for item in glyphs.items()]


def test_the_settings_of_a_bundle_are_plain_yaml(cli, bundle, noisy, model) -> None:
    cli("tune", bundle, noisy, f"decoder.lm={model}", "-q", "--threads", "1")
    values = yaml.safe_load((bundle / "config.yaml").read_text())["decoder"]
    assert values["kind"] == "beam" and set(values["calibration"]) == {"tokens", "words", "token_error", "word_error"}
