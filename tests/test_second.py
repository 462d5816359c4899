"""A second recogniser beside the first, from the command line to the text."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from recognizer.bundle import load_bundle, save_bundle
from recognizer.config import DecoderConfig
from recognizer.data.manifest import load_manifest, save_manifest
from recognizer.data.provenance import TRAINED_ON, Provenance
from recognizer.decoding.ngram_estimate import estimate_ngram
from recognizer.decoding.ngram_file import save_ngram
from recognizer.decoding.pair import PairDecoder
from recognizer.decoding.spelling_pair import POOL, SpellingPairDecoder
from recognizer.errors import BundleError, ConfigError
from recognizer.inspecting import inspect
from recognizer.models.network import Network
from recognizer.models.network_pair import NetworkPair
from recognizer.pipeline import Recognizer
from recognizer.tuning import store
from tests.test_pipeline import long_recording


@pytest.fixture(scope="module")
def words(tones, tmp_path_factory) -> Path:
    """A model of the words of both manifests."""
    texts = [item.text for name in ("train", "dev") for item in load_manifest(tones.root / f"{name}.jsonl")]
    path = tmp_path_factory.mktemp("lm") / "words.ngram"
    save_ngram(estimate_ngram([text for text in texts if text], order=2, level="words"), path)
    return path


@pytest.fixture
def bundles(speech_run: Path, tmp_path: Path) -> tuple[Path, Path]:
    """The recogniser and another one, whose weights are a little different."""
    return copies(speech_run / "bundle", tmp_path)


def copies(original: Path, folder: Path) -> tuple[Path, Path]:
    first = shutil.copytree(original, folder / "first")
    bundle = load_bundle(first)
    generator = np.random.default_rng(3)
    other = {
        name: weight + 0.05 * weight.new_tensor(generator.normal(size=tuple(weight.shape))) if weight.is_floating_point() else weight
        for name, weight in bundle.weights.items()
    }
    save_bundle(folder / "second", bundle.recipe, bundle.alphabet, other, bundle.card())
    return first, folder / "second"


def closed(words: Path, **changes: object) -> DecoderConfig:
    return DecoderConfig(kind="beam", lm=str(words), vocabulary="closed", **changes)  # type: ignore[arg-type]


def test_both_networks_hear_the_same_frames(bundles, words, tones) -> None:
    first, second = (Recognizer.load(path, "cpu", threads=1) for path in bundles)
    pair = Recognizer.load(bundles[0], "cpu", threads=1, decoder=closed(words, second=str(bundles[1])))
    assert isinstance(pair.decoder, PairDecoder)
    sources = [str(item.source) for item in tones.items()]
    for one, other, emission in zip(first.log_probs(sources), second.log_probs(sources), pair.emissions(sources), strict=True):
        assert emission.log_probs is not None and emission.table is not None
        np.testing.assert_allclose(emission.log_probs, one, atol=1e-5)
        np.testing.assert_allclose(emission.table, np.hstack([one, other]), atol=1e-5)
        assert not np.allclose(one, other, atol=1e-2)


def test_long_recordings_and_company_change_nothing(bundles, words, tones, speak, tmp_path, monkeypatch) -> None:
    pair = Recognizer.load(bundles[0], "cpu", threads=1, decoder=closed(words, second=str(bundles[1])))
    sources = [str(item.source) for item in tones.items()][:6]
    together = [transcript.text for transcript in pair.transcribe(sources)]
    assert [next(iter(pair.transcribe(source))).text for source in sources] == together
    path, _ = long_recording(speak, tmp_path / "long.wav", 40)
    (whole,) = pair.emissions([path])
    monkeypatch.setattr("recognizer.source.WINDOW_SECONDS", 2.0)
    monkeypatch.setattr("recognizer.source.CONTEXT_SECONDS", 0.5)
    (cut,) = pair.emissions([path])
    assert whole.table is not None and cut.table is not None and whole.table.shape == cut.table.shape
    assert not np.array_equal(whole.table, cut.table)  # cut into windows indeed
    np.testing.assert_allclose(whole.table, cut.table, atol=0.05)


def test_a_recogniser_beside_itself_says_what_it_says_alone(bundles, words, tones) -> None:
    alone = Recognizer.load(bundles[0], "cpu", threads=1, decoder=closed(words))
    pair = Recognizer.load(bundles[0], "cpu", threads=1, decoder=closed(words, second=str(bundles[0]), second_weight=0.7))
    sources = [str(item.source) for item in tones.items()]
    for one, two in zip(alone.transcribe(sources, times=True), pair.transcribe(sources, times=True), strict=True):
        assert two.text == one.text and two.acoustic == pytest.approx(one.acoustic, abs=1e-3)
        assert [(word.text, word.start, word.end) for word in two.words] == [(word.text, word.start, word.end) for word in one.words]


def test_the_first_is_the_one_that_is_looked_at_and_aligned(cli, bundles, words, tones, tmp_path) -> None:
    asked = DecoderConfig(kind="beam", lm=str(words), vocabulary="closed", second=str(bundles[1]))
    pair, source = Recognizer.load(bundles[0], "cpu", threads=1, decoder=asked), tones.items()[0].source
    looked = inspect(pair, source)
    assert looked.text == next(iter(pair.transcribe(source))).text and looked.posteriors.shape[1] == len(pair.alphabet)
    store(pair.bundle, asked, tmp_path / "stored")
    assert cli("align", tmp_path / "stored", tones.root / "dev.jsonl", "-f", "ctm", "-o", tmp_path / "times").code == 0


def test_tuning_finds_its_share_and_the_bundle_finds_it_again(cli, bundles, words, tones, tmp_path) -> None:
    items = [replace(item, group=str(number % 3)) for number, item in enumerate(tones.items())]
    save_manifest(items, tmp_path / "dev.jsonl")
    asked = ("decoder.lm=" + str(words), "decoder.vocabulary=closed", f"decoder.second={bundles[1]}")
    outcome = cli("tune", bundles[0], tmp_path / "dev.jsonl", *asked, "--json", "--folds", "3", "--threads", "1", "-o", tmp_path / "tuned")
    assert outcome.code == 0, outcome.err
    found = json.loads("\n".join(outcome.out))
    assert len({trial["second_weight"] for trial in found["trials"]}) > 1 and len(found["folds"]["folds"]) == 3
    kept = yaml.safe_load((tmp_path / "tuned" / "config.yaml").read_text())["decoder"]
    assert kept["second"] == "../second" and kept["lm"] == "lm.ngram"
    moved = shutil.copytree(tmp_path / "tuned", tmp_path / "elsewhere" / "tuned")
    shutil.copytree(bundles[1], tmp_path / "elsewhere" / "second")
    scores = json.loads("\n".join(cli("evaluate", moved, tmp_path / "dev.jsonl", "--json", "--allow-seen").out))
    assert scores["rates"]["WER"]["rate"] == pytest.approx(found["error"], abs=1e-9)
    greedy = cli("evaluate", moved, tmp_path / "dev.jsonl", "decoder=greedy", "--json", "--allow-seen")
    assert greedy.code == 0  # which needs no second
    shutil.rmtree(tmp_path / "elsewhere" / "second")
    with pytest.raises(BundleError, match="second"):
        Recognizer.load(moved)


def test_what_the_second_was_trained_on_is_not_scored_either(cli, bundles, words, tones) -> None:
    bundle = load_bundle(bundles[0])
    nothing = bundles[0].parent / "nothing.txt"
    nothing.write_text("")
    save_bundle(bundles[0], bundle.recipe, bundle.alphabet, bundle.weights, "", {TRAINED_ON: nothing})
    seen = bundles[0].parent / "seen.txt"
    seen.write_text(Provenance.of(tones.items(), []).to_text())
    save_bundle(bundles[1], bundle.recipe, bundle.alphabet, bundle.weights, "", {TRAINED_ON: seen})
    asked = ("evaluate", bundles[0], tones.root / "dev.jsonl", f"decoder.lm={words}", "decoder.vocabulary=closed")
    assert cli(*asked).code == 0
    outcome = cli(*asked, f"decoder.second={bundles[1]}")
    assert outcome.code == 2 and "are among those the recogniser was trained on" in outcome.err[-1]


def test_what_does_not_hear_alike_is_refused(bundles, words, line_run, tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"decoder\.second: .* takes other features"):
        Recognizer.load(bundles[0], decoder=closed(words, second=str(line_run / "bundle")))
    bundle = load_bundle(bundles[0])
    recipe = replace(bundle.recipe, model=replace(bundle.recipe.model, frontend=replace(bundle.recipe.model.frontend, frames=2)))
    with pytest.raises(ConfigError, match="its frames are 2 features long, those of the recogniser itself 3"):
        NetworkPair(Network(bundle.recipe, 5), Network(recipe, 5))


@pytest.fixture(scope="module")
def letters(tones, tmp_path_factory) -> Path:
    """A model of the characters of the training manifest."""
    path = tmp_path_factory.mktemp("lm") / "letters.ngram"
    save_ngram(estimate_ngram([item.text for item in load_manifest(tones.root / "train.jsonl") if item.text], order=3, level="characters"), path)
    return path


def test_two_that_spell_alike_say_what_either_says_alone_where_they_are_one(bundles, letters, tones) -> None:
    asked = DecoderConfig(kind="beam", lm=str(letters), lm_weight=0.4)
    alone = Recognizer.load(bundles[0], "cpu", threads=1, decoder=asked)
    pair = Recognizer.load(bundles[0], "cpu", threads=1, decoder=replace(asked, second=str(bundles[0]), second_weight=0.7))
    assert isinstance(pair.decoder, SpellingPairDecoder)
    sources = [str(item.source) for item in tones.items()]
    for one, two in zip(alone.transcribe(sources, times=True), pair.transcribe(sources, times=True), strict=True):
        assert two.text == one.text and two.acoustic == pytest.approx(one.acoustic, abs=1e-3)
        assert [(token.start, token.end) for token in two.tokens] == [(token.start, token.end) for token in one.tokens] != []


def test_two_that_spell_alike_are_tuned_without_any_list_of_words(cli, bundles, letters, tones, tmp_path) -> None:
    asked = (f"decoder.lm={letters}", f"decoder.second={bundles[1]}")
    outcome = cli("tune", bundles[0], tones.root / "dev.jsonl", *asked, "--json", "--threads", "1", "-o", tmp_path / "tuned", "--allow-seen")
    assert outcome.code == 0, outcome.err
    assert len({trial["second_weight"] for trial in json.loads("\n".join(outcome.out))["trials"]}) > 1
    tuned = Recognizer.load(tmp_path / "tuned", "cpu", threads=1)
    assert isinstance(tuned.decoder, SpellingPairDecoder) and tuned.recipe.decoder.calibration is not None
    assert all(transcript.error is None for transcript in tuned.transcribe([str(item.source) for item in tones.items()], times=True))


@pytest.fixture
def readers(line_run: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A recogniser of line images and another one, whose weights are a little different."""
    return copies(line_run / "bundle", tmp_path)


def test_a_first_that_is_asked_only_in_doubt_reads_the_same(readers, glyphs, tmp_path, monkeypatch) -> None:
    sources = [str(item.source) for item in glyphs.items()]
    sources.insert(3, str(tmp_path / "none.png"))
    sources.insert(5, np.full((40, 200), 255, np.uint8))  # blank
    asked = DecoderConfig(kind="beam", second=str(readers[1]), second_weight=0.3)
    shares = [
        1 / sum(math.exp(other.score - found.score) for other in (found, *found.alternatives))
        for found in Recognizer.load(readers[1], "cpu", threads=1, decoder=DecoderConfig(kind="beam")).transcribe(sources, n_best=POOL)
        if found.error is None
    ]
    threshold = float(np.median(shares)) + 1e-6
    pair = Recognizer.load(readers[0], "cpu", threads=1, decoder=replace(asked, second_alone=threshold))
    given: list[int] = []
    run = pair.cascade.first.run
    monkeypatch.setattr(pair.cascade.first, "run", lambda arrays: given.append(len(arrays)) or run(arrays))
    found = list(pair.transcribe(sources, n_best=3, times=True))
    assert 0 < sum(given) < len(sources) - 1
    assert found[3].error is not None and found[5].text == "" and [t.source for t in found[:3]] == sources[:3]
    # the decoder alone, given the log-probs of both, and one source after the other
    for source, one, emission in zip(sources, found, pair.emissions(sources), strict=True):
        if emission.table is not None:
            reading = pair.decoder.decode(emission.table, 3)
            assert one.text == pair.text(reading[0]) and one.score == pytest.approx(reading[0].score, abs=1e-3)
            assert len(one.tokens) == len(one.units) and len(one.alternatives) == len(reading) - 1
            assert next(iter(pair.transcribe(source))).text == one.text
    never = Recognizer.load(readers[0], "cpu", threads=1, decoder=replace(asked, second_alone=0.0))
    other = Recognizer.load(readers[1], "cpu", threads=1, decoder=DecoderConfig(kind="beam"))
    assert [t.text for t in never.transcribe(sources)] == [t.text for t in other.transcribe(sources)]
