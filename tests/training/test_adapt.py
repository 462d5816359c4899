"""Adapting: a hand whose letters look otherwise is learnt from few lines, and what is said of it is true."""

from __future__ import annotations

import errno
import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from recognizer.bundle.io import load_bundle, save_bundle
from recognizer.bundle.provenance import Origin, Provenance
from recognizer.config import DecoderConfig
from recognizer.data.manifest import Item, load_manifest, save_manifest
from recognizer.data.project import Project
from recognizer.errors import BundleError, Interrupted, ManifestError, TrainingError
from recognizer.evaluation.evaluate import check_unseen, evaluate
from recognizer.inference.recognizer import Recognizer
from recognizer.lm.binary import save_ngram
from recognizer.lm.kneser_ney import estimate_ngram
from recognizer.training import adapt_recipe
from recognizer.training.adapt import adapt, describe
from recognizer.utils.progress import Progress

OTHER_HAND = str.maketrans("abcd", "bcda")  # who writes an a as everybody writes a b


@pytest.fixture(autouse=True)
def short_training(monkeypatch) -> None:
    monkeypatch.setattr(adapt_recipe, "STEPS", 160)
    monkeypatch.setattr(adapt_recipe, "EPOCHS", (1, 40))
    monkeypatch.setattr(adapt_recipe, "WARMUP", 5)
    monkeypatch.setitem(adapt_recipe.LEARNING_RATES, "line", 0.02)


@pytest.fixture(scope="module")
def hand(draw, tmp_path_factory) -> Path:
    """A folder with manifests of 64 lines to learn and 24 to score, in the other hand."""
    root = tmp_path_factory.mktemp("hand")
    for name, count, seed in (("learn", 64, 5), ("score", 24, 6)):
        generator = np.random.default_rng(seed)
        items = []
        for number in range(count):
            text = "".join(generator.choice(list("abcd"), int(generator.integers(2, 6))))
            path = root / f"{name}{number:02d}.png"
            Image.fromarray(draw(text.translate(OTHER_HAND), generator)).save(path)
            items.append(Item(path.stem, path, text=text))
        save_manifest(items, root / f"{name}.jsonl")
    return root


@pytest.fixture(scope="module")
def pair(line_run, tmp_path_factory) -> Path:
    """A bundle that decides together with a second one beside it, with models of characters and a beam."""
    root, own = tmp_path_factory.mktemp("pair"), load_bundle(line_run / "bundle")
    model = root / "char_lm.ngram"
    save_ngram(estimate_ngram(["abcd", "dcba", "aabb", "ccdd", "bcda"], 3, "characters"), model)
    save_bundle(root / "other", own.config, own.alphabet, own.weights, "")
    decoder = DecoderConfig("beam", beam_size=8, char_lm="char_lm.ngram", char_lm_weight=0.1, combine_with="other")
    Provenance(frozenset({"0123456789ab"})).save(root / "trained_on.txt.gz")
    files = {"char_lm.ngram": model, "trained_on.txt.gz": root / "trained_on.txt.gz"}
    save_bundle(root / "main", replace(own.config, decoder=decoder), own.alphabet, own.weights, "", files)
    return root / "main"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def rate(bundle: Path, manifest: Path) -> float:
    return evaluate(Recognizer.load(bundle), load_manifest(manifest)).scores.rates["CER"].rate


def test_another_hand_is_learnt_and_the_rates_are_true(line_run, hand, tmp_path) -> None:
    parent, seen = line_run / "bundle", []
    before = contents(parent)
    result = adapt(parent, hand / "learn.jsonl", tmp_path / "new", on_progress=seen.append)
    assert (result.metric, result.items, result.held_back, result.gained) == ("CER", 64, 8, True)
    assert result.before > 0.5 and result.after < 0.3 and result.interval[1] < 0
    assert rate(parent, hand / "score.jsonl") > 0.5 and rate(tmp_path / "new", hand / "score.jsonl") < 0.3
    assert contents(parent) == before
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    fractions = [report.fraction for report in seen]
    assert fractions == sorted(fractions) and fractions[-1] == 1 and seen[0].stage == "reading the items"
    assert all(0 <= report.seconds_left <= 600 for report in seen)


def test_the_bundle_knows_where_it_comes_from_and_what_it_learnt(line_run, hand, tmp_path) -> None:
    result = adapt(line_run / "bundle", hand / "learn.jsonl", tmp_path / "new")
    origin, learnt = Origin.load(tmp_path / "new"), Provenance.load(tmp_path / "new")
    assert origin is not None and learnt is not None
    assert (origin.name, origin.digest) == ("bundle", Origin.digest_of(line_run / "bundle"))
    assert origin.figures["gained"] and origin.figures["after"] == result.after
    items = load_manifest(hand / "learn.jsonl")
    assert len(learnt.trained_on(items)) == 56 and len(learnt.chosen_by(items)) == 8
    assert (Provenance.load(line_run / "bundle") or Provenance()).train <= learnt.train
    with pytest.raises(ManifestError, match="56 items are among those the recognizer was trained on"):
        check_unseen(Recognizer.load(tmp_path / "new"), items, "learn.jsonl", Progress(quiet=True))
    card = load_bundle(tmp_path / "new").card()
    assert f"{100 * result.before:.2f} % before, {100 * result.after:.2f} % after" in card and origin.digest in card


def test_each_of_few_items_is_held_back_once_and_the_mean_of_the_folds_reads_the_hand(line_run, hand, tmp_path) -> None:
    save_manifest(load_manifest(hand / "learn.jsonl")[:40], tmp_path / "few.jsonl")
    result = adapt(line_run / "bundle", tmp_path / "few.jsonl", tmp_path / "new")
    assert (result.items, result.held_back, result.gained) == (40, 40, True)
    assert rate(tmp_path / "new", hand / "score.jsonl") < 0.3


def test_where_nothing_is_gained_the_old_weights_stay(line_run, glyphs, tmp_path) -> None:
    result = adapt(line_run / "bundle", glyphs.root / "dev.jsonl", tmp_path / "new", folds=1)
    old, new = load_bundle(line_run / "bundle"), load_bundle(tmp_path / "new")
    assert not result.gained and "nothing gained beyond chance: old weights kept" in describe(result)
    assert all((new.weights[name] == tensor).all() for name, tensor in old.weights.items())
    learnt = Provenance.load(tmp_path / "new")
    assert learnt is not None and not learnt.trained_on(load_manifest(glyphs.root / "dev.jsonl"))


def test_both_of_two_recognizers_learn_and_lie_in_one_folder(pair, hand, tmp_path) -> None:
    result = adapt(pair, hand / "learn.jsonl", tmp_path / "new")
    assert result.gained and result.after < 0.3
    moved = tmp_path / "elsewhere" / "new"
    moved.parent.mkdir()
    (tmp_path / "new").rename(moved)
    recognizer = Recognizer.load(moved)
    assert [bundle.folder for bundle in recognizer.bundles] == [moved, moved / "second"]
    for bundle, old in zip(recognizer.bundles, Recognizer.load(pair).bundles, strict=True):
        assert (bundle.weights["output.weight"] != old.weights["output.weight"]).any()
        learnt = Provenance.load(bundle.folder)
        assert learnt is not None and len(learnt.trained_on(load_manifest(hand / "learn.jsonl"))) == 56
    assert rate(moved, hand / "score.jsonl") < 0.3
    assert adapt(moved, hand / "learn.jsonl", tmp_path / "again", continue_=True).before == pytest.approx(result.after)


def test_new_symbols_are_said_and_written(line_run, hand, tmp_path, capsys) -> None:
    items = [replace(item, text=item.text.replace("d", "é")) for item in load_manifest(hand / "learn.jsonl")]
    save_manifest(items, tmp_path / "accents.jsonl")
    adapt(line_run / "bundle", tmp_path / "accents.jsonl", tmp_path / "new", quiet=False)
    assert "symbols that the model could not write so far, and the items that have them: 'é'" in capsys.readouterr().err
    assert load_bundle(tmp_path / "new").alphabet.symbols == ("a", "b", "c", "d", "é")
    texts = [transcript.text for transcript in Recognizer.load(tmp_path / "new").transcribe([item.source for item in items])]
    assert "é" in "".join(texts) and "d" not in "".join(texts)


def test_bad_items_are_named_and_cost_nothing_else(line_run, hand, tmp_path, capsys) -> None:
    items = load_manifest(hand / "learn.jsonl")[:60]
    (tmp_path / "broken.png").write_bytes(b"no picture")
    bad = [Item("broken", tmp_path / "broken.png", text="ab"), Item("empty", items[0].source, text=""), Item("sound", tmp_path / "x.wav", text="ab")]
    save_manifest([*items, *bad], tmp_path / "mixed.jsonl")
    result = adapt(line_run / "bundle", tmp_path / "mixed.jsonl", tmp_path / "new", quiet=False)
    told = capsys.readouterr().err
    assert result.items == 60 and "broken.png" in told and "empty: the transcript ('text') is empty" in told
    assert f"sound: {tmp_path / 'x.wav'} is no picture of a line, which is what this model reads" in told


def test_too_few_items_are_refused_unless_forced(line_run, hand, tmp_path) -> None:
    save_manifest(load_manifest(hand / "learn.jsonl")[:6], tmp_path / "six.jsonl")
    with pytest.raises(ManifestError, match=r"6 usable items are too few to tell whether anything is gained; correct 10 or more, or say --force"):
        adapt(line_run / "bundle", tmp_path / "six.jsonl", tmp_path / "new")
    assert adapt(line_run / "bundle", tmp_path / "six.jsonl", tmp_path / "new", force=True).items == 6


def test_an_output_that_is_there_is_not_overwritten(line_run, hand, tmp_path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    with pytest.raises(BundleError, match="is not empty and not a bundle"):
        adapt(line_run / "bundle", hand / "learn.jsonl", tmp_path / "notes", force=True)
    with pytest.raises(BundleError, match="the bundle that is read stays as it is"):
        adapt(line_run / "bundle", hand / "learn.jsonl", line_run / "bundle", force=True)
    own = load_bundle(line_run / "bundle")
    save_bundle(tmp_path / "old", own.config, own.alphabet, own.weights, "an old one")
    with pytest.raises(BundleError, match="is there already; name another folder with -o, or say --force"):
        adapt(line_run / "bundle", hand / "learn.jsonl", tmp_path / "old")
    assert load_bundle(tmp_path / "old").card() == "an old one"


def test_interrupt_keeps_the_best_so_far_and_resume_goes_on(line_run, hand, tmp_path) -> None:
    sent = []

    def interrupt(report) -> None:
        if not sent and report.stage.startswith("learning") and report.fraction > 0.3:
            sent.append(report)
            os.kill(os.getpid(), signal.SIGINT)

    first = adapt(line_run / "bundle", hand / "learn.jsonl", tmp_path / "new", on_progress=interrupt)
    assert sent and load_bundle(tmp_path / "new") and (tmp_path / "new.adapting").is_dir()
    again = adapt(line_run / "bundle", hand / "learn.jsonl", tmp_path / "new", resume=True)
    assert again.gained and again.after <= first.after
    assert not (tmp_path / "new.adapting").exists()


def test_termination_leaves_no_bundle_and_resume_refuses_other_items(line_run, hand, tmp_path) -> None:
    def terminate(report) -> None:
        if report.stage.startswith("learning"):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted, match=r"stopped by SIGTERM; no bundle was written; --resume goes on"):
        adapt(line_run / "bundle", hand / "learn.jsonl", tmp_path / "new", on_progress=terminate)
    assert not (tmp_path / "new").exists()
    with pytest.raises(TrainingError, match="the unfinished run there had another bundle, other items or another seed"):
        adapt(line_run / "bundle", hand / "score.jsonl", tmp_path / "new", resume=True)
    with pytest.raises(TrainingError, match="there is no unfinished run to go on with"):
        adapt(line_run / "bundle", hand / "score.jsonl", tmp_path / "other", resume=True)


def test_later_corrections_begin_anew_or_go_on(line_run, hand, tmp_path) -> None:
    adapt(line_run / "bundle", hand / "learn.jsonl", tmp_path / "one")
    anew = adapt(tmp_path / "one", hand / "learn.jsonl", tmp_path / "two")
    on = adapt(tmp_path / "one", hand / "learn.jsonl", tmp_path / "three", continue_=True)
    assert anew.before > 0.5 and on.before < 0.3
    two, three = Origin.load(tmp_path / "two"), Origin.load(tmp_path / "three")
    assert two is not None and three is not None
    assert (two.name, three.name) == ("bundle", "one")


def test_unlabelled_items_are_learnt_only_where_they_help(line_run, hand, tmp_path, capsys) -> None:
    result = adapt(line_run / "bundle", hand / "learn.jsonl", tmp_path / "new", unlabelled=[hand / "score.jsonl"], quiet=False)
    told = capsys.readouterr().err
    assert "of 24 items are read with confidence" in told and result.gained
    with pytest.raises(ManifestError, match="no such file or folder"):
        adapt(line_run / "bundle", hand / "learn.jsonl", tmp_path / "other", unlabelled=[tmp_path / "none"])


def test_rehearsal_keeps_the_old_hand(line_run, glyphs, hand, tmp_path) -> None:
    plain = adapt(line_run / "bundle", hand / "learn.jsonl", tmp_path / "plain", also=glyphs.root / "dev.jsonl")
    both = adapt(line_run / "bundle", hand / "learn.jsonl", tmp_path / "both", also=glyphs.root / "dev.jsonl", rehearse=glyphs.root / "train.jsonl")
    assert plain.also is not None and both.also is not None
    assert plain.also[0] == both.also[0] < 0.1  # the old hand before
    assert both.also[1] < plain.also[1]


def test_a_folder_of_pairs_is_enough(line_run, hand, tmp_path) -> None:
    folder = tmp_path / "lines"
    folder.mkdir()
    for item in load_manifest(hand / "learn.jsonl"):
        (folder / item.source.name).write_bytes(item.source.read_bytes())
        (folder / f"{item.source.stem}.gt.txt").write_text(item.text + "\n", encoding="utf-8")
    assert adapt(line_run / "bundle", folder, tmp_path / "new").items == 64
    origin = json.loads((tmp_path / "new" / "adapted.json").read_text())
    assert origin["name"] == "bundle"


def test_hardly_any_time_still_ends_with_a_bundle(line_run, hand, tmp_path) -> None:
    save_manifest(load_manifest(hand / "learn.jsonl")[:40], tmp_path / "few.jsonl")
    result = adapt(line_run / "bundle", tmp_path / "few.jsonl", tmp_path / "new", minutes=1e-6)
    assert result.held_back == 10 and load_bundle(tmp_path / "new")  # of the first of four folds, which is all that the time allowed
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["new"]


def test_a_project_is_read_and_stays_as_it_is(line_run, hand, tmp_path) -> None:
    project = Project.create(tmp_path / "project")
    for item in load_manifest(hand / "learn.jsonl")[:20]:
        source, _ = project.add_source(item.source)
        project.correct(source.id, source.path, item.text or "")
    before = {path: path.read_bytes() for path in project.folder.rglob("*") if path.is_file()}
    assert adapt(line_run / "bundle", project.folder, tmp_path / "new").items == 20
    assert {path: path.read_bytes() for path in project.folder.rglob("*") if path.is_file()} == before


def test_a_full_disk_leaves_no_bundle_and_the_older_one_in_place(line_run, hand, tmp_path, monkeypatch) -> None:
    own = load_bundle(line_run / "bundle")
    save_bundle(tmp_path / "new", own.config, own.alphabet, own.weights, "an old one")

    def full(*arguments, **others) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(TrainingError, match=r"cannot write the checkpoint \(No space left on device\)"):
        adapt(line_run / "bundle", hand / "learn.jsonl", tmp_path / "new", force=True)
    assert load_bundle(tmp_path / "new").card() == "an old one"
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_models_that_spoil_what_the_new_weights_read_are_left_out(line_run, hand, tmp_path) -> None:
    own, words = load_bundle(line_run / "bundle"), tmp_path / "words.txt"
    words.write_text("aaaa\ncccccc\n", encoding="utf-8")  # which is all that the beam may write
    decoder = DecoderConfig("beam", beam_size=8, lexicon="words.txt")
    save_bundle(tmp_path / "main", replace(own.config, decoder=decoder), own.alphabet, own.weights, "", {"words.txt": words})
    result = adapt(tmp_path / "main", hand / "learn.jsonl", tmp_path / "new")
    assert result.gained and result.after < 0.3
    assert load_bundle(tmp_path / "new").config.decoder == DecoderConfig() and not (tmp_path / "new" / "words.txt").exists()
    assert rate(tmp_path / "new", hand / "score.jsonl") < 0.3
