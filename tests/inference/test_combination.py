"""A second recognizer beside the first, from the command line to the text."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from recognizer.audio.speech import LoudnessDetector
from recognizer.bundle.io import load_bundle, save_bundle
from recognizer.bundle.provenance import TRAINED_ON, Provenance
from recognizer.config import DecoderConfig
from recognizer.data.manifest import load_manifest, save_manifest
from recognizer.decoding.combination import TokenCombination, WordCombination
from recognizer.decoding.confidence import word_posteriors
from recognizer.errors import BundleError, ConfigError
from recognizer.evaluation.inspect import inspect
from recognizer.inference.recognizer import Recognizer
from recognizer.lm.binary import save_ngram
from recognizer.lm.kneser_ney import estimate_ngram
from recognizer.tuning.tune import save_tuned
from tests.inference.test_recognizer import long_recording


@pytest.fixture(scope="module")
def models(tones, tmp_path_factory) -> dict[str, Path]:
    """A model of the words and one of the characters of both manifests."""
    texts = [item.text for name in ("train", "dev") for item in load_manifest(tones.root / f"{name}.jsonl") if item.text]
    folder, paths = tmp_path_factory.mktemp("lm"), {}
    for level, order in (("words", 2), ("characters", 3)):
        paths[level] = folder / f"{level}.ngram"
        save_ngram(estimate_ngram(texts, order=order, level=level), paths[level])
    return paths


@pytest.fixture
def bundles(speech_run: Path, tmp_path: Path) -> tuple[Path, Path]:
    """The recognizer and another one, whose weights are a little different."""
    first = shutil.copytree(speech_run / "bundle", tmp_path / "first")
    bundle = load_bundle(first)
    generator = np.random.default_rng(3)
    other = {
        name: weight + 0.05 * weight.new_tensor(generator.normal(size=tuple(weight.shape))) if weight.is_floating_point() else weight
        for name, weight in bundle.weights.items()
    }
    save_bundle(tmp_path / "second", bundle.config, bundle.alphabet, other, bundle.card())
    return first, tmp_path / "second"


def closed(models: dict[str, Path], **changes: object) -> DecoderConfig:
    return DecoderConfig(kind="beam", lm=str(models["words"]), vocabulary="closed", **changes)  # type: ignore[arg-type]


def load(bundle: Path, decoder: DecoderConfig | None = None) -> Recognizer:
    return Recognizer.load(bundle, "cpu", threads=1, decoder=decoder)


def test_both_networks_run_over_the_same_frames(bundles, models, tones) -> None:
    first, second = map(load, bundles)
    both = load(bundles[0], closed(models, combine_with=str(bundles[1])))
    assert isinstance(both.decoder, WordCombination)
    sources = [str(item.source) for item in tones.items()]
    for one, other, emission in zip(first.log_probs(sources), second.log_probs(sources), both.emissions(sources), strict=True):
        np.testing.assert_allclose(emission.log_probs, one, atol=1e-5)
        np.testing.assert_allclose(emission.decoder_input, np.hstack([one, other]), atol=1e-5)
        assert not np.allclose(one, other, atol=1e-2)


def test_windows_and_other_inputs_change_nothing(bundles, models, tones, speak, tmp_path, monkeypatch) -> None:
    both = load(bundles[0], closed(models, combine_with=str(bundles[1])))
    sources = [str(item.source) for item in tones.items()][:6]
    assert [both.transcribe(source).text for source in sources] == [transcript.text for transcript in both.transcribe(sources)]
    path, _ = long_recording(speak, tmp_path / "long.wav", 40)
    (whole,) = both.emissions([path])
    monkeypatch.setattr("recognizer.inference.inputs.WHOLE_SECONDS", 2.0)
    monkeypatch.setattr("recognizer.audio.stream.speech_detector", LoudnessDetector)
    monkeypatch.setattr("recognizer.audio.stream.MAX_SECONDS", 2.0)
    monkeypatch.setattr("recognizer.audio.stream.CONTEXT_SECONDS", 0.51)
    (cut,) = both.emissions([path])
    assert not np.array_equal(whole.decoder_input, cut.decoder_input)  # cut into windows indeed
    away = slice(len(whole.log_probs) - 14)  # from the end of the speech, behind which the networks do not run
    np.testing.assert_allclose(whole.decoder_input[away], cut.decoder_input[away], atol=0.05)
    assert both.text(both.decode(whole.decoder_input)) == both.text(both.decode(cut.decoder_input)) != ""


def test_a_long_recording_is_decoded_in_segments_with_times_and_confidence(bundles, models, speak, tmp_path) -> None:
    both = load(bundles[0], closed(models, combine_with=str(bundles[1])))
    path, _ = long_recording(speak, tmp_path / "long.wav", 40)
    (emission,) = both.emissions([path])
    both.decoder.whole_frames = len(emission.log_probs) // 5
    (found,) = both.transcribe([path], n_best=4, times=True)
    assert len(both.decode(emission.decoder_input).segments) >= 5 and found.error is None
    assert [word.text for word in found.words] == found.text.split() and len({other.text for other in found.alternatives} | {found.text}) == 4
    assert [token.start for token in found.tokens] == sorted(token.start for token in found.tokens)
    assert all(0 <= word.start < word.end <= found.seconds and 0 < word.confidence <= 1 for word in found.words)
    shares = word_posteriors(both.alphabet, both.decoder.decode(emission.decoder_input, 20))
    assert len(shares) == len(found.words)


@pytest.mark.parametrize("level", ["words", "characters"])
def test_a_recognizer_beside_itself_says_what_it_says_alone(bundles, models, tones, level: str) -> None:
    decoder = closed(models) if level == "words" else DecoderConfig(kind="beam", lm=str(models[level]), lm_weight=0.4)
    both = load(bundles[0], replace(decoder, combine_with=str(bundles[0]), combine_weight=0.7))
    assert isinstance(both.decoder, WordCombination if level == "words" else TokenCombination)
    sources = [str(item.source) for item in tones.items()]
    for one, two in zip(load(bundles[0], decoder).transcribe(sources, times=True), both.transcribe(sources, times=True), strict=True):
        assert two.text == one.text and two.acoustic == pytest.approx(one.acoustic, abs=1e-3)
        assert [(word.text, word.start, word.end) for word in two.words] == [(word.text, word.start, word.end) for word in one.words]
        assert [(token.start, token.end) for token in two.tokens] == [(token.start, token.end) for token in one.tokens] != []


def test_the_first_is_the_one_that_is_inspected_and_aligned(cli, bundles, models, tones, tmp_path) -> None:
    decoder = closed(models, combine_with=str(bundles[1]))
    both, source = load(bundles[0], decoder), tones.items()[0].source
    inspected = inspect(both, source)
    assert inspected.text == both.transcribe(source).text and inspected.posteriors.shape[1] == len(both.alphabet)
    save_tuned(both.bundle, decoder, tmp_path / "stored")
    assert cli("align", tmp_path / "stored", tones.root / "dev.jsonl", "-f", "ctm", "-o", tmp_path / "times").code == 0


def test_tuning_finds_the_share_and_the_bundle_finds_its_partner_again(cli, bundles, models, tones, tmp_path) -> None:
    items = [replace(item, group=str(number % 3)) for number, item in enumerate(tones.items())]
    save_manifest(items, tmp_path / "dev.jsonl")
    words = (f"decoder.lm={models['words']}", "decoder.vocabulary=closed", f"decoder.combine_with={bundles[1]}")
    outcome = cli("tune", bundles[0], tmp_path / "dev.jsonl", *words, "--json", "--folds", "3", "--threads", "1", "-o", tmp_path / "tuned")
    assert outcome.code == 0, outcome.err
    found = json.loads("\n".join(outcome.out))
    assert len({trial["combine_weight"] for trial in found["trials"]}) > 1 and len(found["folds"]["folds"]) == 3
    kept = yaml.safe_load((tmp_path / "tuned" / "config.yaml").read_text())["decoder"]
    assert kept["combine_with"] == "../second" and kept["lm"] == "lm.ngram"
    moved = shutil.copytree(tmp_path / "tuned", tmp_path / "else" / "where" / "tuned")
    shutil.copytree(bundles[1], tmp_path / "else" / "where" / "second")
    scores = json.loads("\n".join(cli("evaluate", moved, tmp_path / "dev.jsonl", "--json", "--allow-seen").out))
    assert scores["rates"]["WER"]["rate"] == pytest.approx(found["error"], abs=1e-9)
    shutil.rmtree(tmp_path / "else" / "where" / "second")
    assert cli("evaluate", moved, tmp_path / "dev.jsonl", "decoder=greedy", "--json", "--allow-seen").code == 0  # which needs no second
    with pytest.raises(BundleError, match="second"):
        Recognizer.load(moved)


def test_two_of_the_same_symbols_are_tuned_without_any_list_of_words(cli, bundles, models, tones, tmp_path) -> None:
    words = (f"decoder.lm={models['characters']}", f"decoder.combine_with={bundles[1]}")
    outcome = cli("tune", bundles[0], tones.root / "dev.jsonl", *words, "--json", "--threads", "1", "-o", tmp_path / "tuned", "--allow-seen")
    assert outcome.code == 0, outcome.err
    assert len({trial["combine_weight"] for trial in json.loads("\n".join(outcome.out))["trials"]}) > 1
    tuned = load(tmp_path / "tuned")
    assert isinstance(tuned.decoder, TokenCombination) and tuned.config.decoder.calibration is not None
    assert all(transcript.error is None for transcript in tuned.transcribe([str(item.source) for item in tones.items()], times=True))


def test_what_the_second_was_trained_on_is_not_scored_either(cli, bundles, models, tones, tmp_path) -> None:
    bundle = load_bundle(bundles[0])
    for folder, items in zip(bundles, ([], tones.items()), strict=True):
        Provenance.of(items, []).save(tmp_path / TRAINED_ON)
        save_bundle(folder, bundle.config, bundle.alphabet, bundle.weights, "", {TRAINED_ON: tmp_path / TRAINED_ON})
    words = ("evaluate", bundles[0], tones.root / "dev.jsonl", f"decoder.lm={models['words']}", "decoder.vocabulary=closed")
    assert cli(*words).code == 0
    outcome = cli(*words, f"decoder.combine_with={bundles[1]}")
    assert outcome.code == 2 and "are among those the recognizer was trained on" in outcome.err[-1]


def test_recognizers_of_other_features_are_refused(bundles, models, line_run) -> None:
    with pytest.raises(ConfigError, match=r"decoder\.combine_with: .* takes other features"):
        load(bundles[0], closed(models, combine_with=str(line_run / "bundle")))
