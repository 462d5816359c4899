"""A network with two outputs: units below, characters above, which decide alone or together."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recognizer.bundle.averaging import average
from recognizer.bundle.convert import convert, take_units
from recognizer.bundle.io import Bundle, load_bundle
from recognizer.config import DecoderConfig
from recognizer.data.manifest import load_manifest, save_manifest
from recognizer.decoding.combination import WordCombination
from recognizer.errors import BundleError, ConfigError, TrainingError
from recognizer.inference.recognizer import Recognizer
from recognizer.lm.binary import save_ngram
from recognizer.lm.kneser_ney import estimate_ngram
from recognizer.text.alphabet import Alphabet
from recognizer.training.adapt import adapt
from recognizer.training.run import train
from recognizer.tuning.tune import save_tuned

TWO = {"model.num_layers": 2, "model.hidden_size": 24, "model.units_layer": 1, "corpus.text.level": "characters"}


@pytest.fixture(scope="module")
def corpus(tones, tmp_path_factory):
    """The tones, whose units are the letters in capitals; every third item does not say its units."""
    root = tmp_path_factory.mktemp("corpus")
    for name in ("train", "dev"):
        items = [
            replace(item, units=None if name == "train" and number % 3 == 0 else tuple(item.text.upper()))
            for number, item in enumerate(tones.items(name))
        ]
        save_manifest(items, root / f"{name}.jsonl")
    return replace(tones, root=root)


@pytest.fixture(scope="module")
def bundle(corpus, tmp_path_factory) -> Bundle:
    run_dir = tmp_path_factory.mktemp("runs") / "two"
    train(corpus.config(run_dir, TWO), quiet=True)
    return load_bundle(run_dir / "bundle")


@pytest.fixture(scope="module")
def decoder(corpus, tmp_path_factory) -> DecoderConfig:
    """Words of the corpus, spelt in characters by one output and in units by the other."""
    folder, texts = tmp_path_factory.mktemp("lm"), [item.text for item in corpus.items("train") + corpus.items()]
    save_ngram(estimate_ngram(texts, order=2, level="words"), folder / "words.ngram")
    words = sorted({word for text in texts for word in text.split()})
    (folder / "lexicon.txt").write_text("".join(f"{word} {' '.join(word.upper())}\n" for word in words))
    lexicon = str(folder / "lexicon.txt")
    return DecoderConfig("beam", lm=str(folder / "words.ngram"), vocabulary="closed", combine_lexicon=lexicon, combine_with="units")


def test_both_outputs_learn_and_the_log_tells_the_errors_of_both(bundle) -> None:
    assert bundle.config.model.units == ("A", "B", "C", "D") and bundle.alphabet.symbols == ("a", "b", "c", "d")
    records = [json.loads(line) for line in (bundle.folder.parent / "log.jsonl").read_text().splitlines()]
    assert records[-1]["best"] < 0.2 and records[-1]["units_error"] < 0.2


def test_the_layers_below_alone_give_what_the_second_output_gives(bundle, decoder, corpus, tmp_path) -> None:
    convert(take_units(bundle), tmp_path / "units")
    below, above = Recognizer.load(tmp_path / "units", threads=1), Recognizer(bundle, threads=1)
    both = Recognizer(bundle, threads=1, decoder=decoder)
    sources = [item.source for item in corpus.items()]
    assert below.config.text.level == "units" and below.config.model.num_layers == 1
    for one, other, emission in zip(above.log_probs(sources), below.log_probs(sources), both.emissions(sources), strict=True):
        np.testing.assert_allclose(emission.log_probs, one, atol=1e-5)
        np.testing.assert_allclose(emission.decoder_input, np.hstack([one, other]), atol=1e-5)
    texts = [below.transcribe(source).text for source in sources]
    assert np.mean([text == " ".join(item.units) for text, item in zip(texts, corpus.items(), strict=True)]) > 0.5


def test_two_outputs_of_one_network_decide_as_two_networks_do(bundle, decoder, corpus, tmp_path) -> None:
    convert(take_units(bundle), tmp_path / "units")
    one = Recognizer(bundle, threads=1, decoder=decoder)
    two = Recognizer(bundle, threads=1, decoder=replace(decoder, combine_with=str(tmp_path / "units")))
    assert isinstance(one.decoder, WordCombination) and len(one.bundles) == 1 and len(two.bundles) == 2
    sources = [item.source for item in corpus.items()]
    for own, other in zip(one.transcribe(sources, n_best=3, times=True), two.transcribe(sources, n_best=3, times=True), strict=True):
        assert own.text == other.text and own.words == other.words
        assert own.score == pytest.approx(other.score, abs=1e-3)


def test_a_network_can_start_from_one_without_units_and_from_one_with_fewer(bundle, corpus, speech_run, tmp_path) -> None:
    items = load_manifest(corpus.root / "train.jsonl")
    more = [replace(item, id=f"new {item.id}", units=("E", *item.units)) for item in items if item.units]
    save_manifest(more, corpus.root / "more.jsonl")
    changes = {**TWO, "trainer.epochs": 1, "trainer.learning_rate": 1e-9, "trainer.ema_decay": 0.0, "corpus.extra": ["more.jsonl"]}
    train(replace(corpus.config(tmp_path / "wider", changes), init=str(bundle.folder)), quiet=True)
    wider = load_bundle(tmp_path / "wider" / "bundle")
    assert wider.config.model.units == ("A", "B", "C", "D", "E")
    for name, rows in (("output.weight", 1), ("back.weight", -1)):
        old, new = (each.weights[f"encoder.units.{name}"] for each in (bundle, wider))
        np.testing.assert_allclose(new[:5] if rows == 1 else new[:, :5], old, atol=1e-6)
    depth = load_bundle(speech_run / "bundle").config.model.num_layers
    alone = {**changes, "model.num_layers": depth + 1, "model.hidden_size": load_bundle(speech_run / "bundle").config.model.hidden_size}
    train(replace(corpus.config(tmp_path / "grown", alone), init=str(speech_run / "bundle")), quiet=True)
    assert load_bundle(tmp_path / "grown" / "bundle").config.model.units_layer == 1


def test_a_recognizer_of_units_becomes_the_lower_output(bundle, corpus, tmp_path) -> None:
    convert(take_units(bundle), tmp_path / "units")
    changes = {**TWO, "trainer.epochs": 1, "trainer.learning_rate": 1e-9, "trainer.ema_decay": 0.0}
    train(replace(corpus.config(tmp_path / "run", changes), init=str(tmp_path / "units")), quiet=True)
    again = load_bundle(tmp_path / "run" / "bundle")
    assert again.config.model.units == bundle.config.model.units
    convert(take_units(again), tmp_path / "again")
    sources = [item.source for item in corpus.items()]
    below = [Recognizer.load(tmp_path / name, threads=1).log_probs(sources) for name in ("units", "again")]
    for before, after in zip(*below, strict=True):
        np.testing.assert_allclose(after, before, atol=1e-5)


def test_a_recognizer_of_units_counts_in_a_mean_for_the_layers_that_it_has(bundle, tmp_path) -> None:
    units = take_units(bundle)
    moved = replace(units, weights={name: tensor + 1.0 if tensor.is_floating_point() else tensor for name, tensor in units.weights.items()})
    convert(moved, tmp_path / "units")
    average([bundle, load_bundle(tmp_path / "units")], tmp_path / "mean", [3.0, 1.0])
    mean = load_bundle(tmp_path / "mean")
    assert mean.config == bundle.config and mean.alphabet == bundle.alphabet
    for name, tensor in bundle.weights.items():
        below = (name in units.weights and not name.startswith("output.")) or name.startswith("encoder.units.output.")
        np.testing.assert_allclose(mean.weights[name], tensor + 0.25 * (below and tensor.is_floating_point()), atol=1e-6, err_msg=name)
    others = replace(units, alphabet=Alphabet(("A", "B", "C", "E"), "units"))
    with pytest.raises(BundleError, match="its alphabet is not that of"):
        average([bundle, others], tmp_path / "none")


def test_what_does_not_fit_is_refused(bundle, decoder, corpus, speech_run, tones, cli, tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"decoder\.combine_with: units is the second output of a network \(model\.units_layer\)"):
        Recognizer.load(speech_run / "bundle", decoder=decoder)
    outcome = cli("convert", speech_run / "bundle", tmp_path / "units", "--units")
    assert outcome.code == 2 and "has no output of units" in outcome.err[-1]
    root = shutil.copytree(corpus.root, tmp_path / "bare")
    save_manifest([replace(item, units=None) for item in corpus.items("train")], root / "train.jsonl")
    with pytest.raises(TrainingError, match=r"model\.units_layer: no training item has 'units'"):
        train(replace(corpus, root=root).config(tmp_path / "run", TWO), quiet=True)
    for changes, message in (
        ({"model.units_layer": 2}, r"model\.units_layer: must lie below the last layer"),
        ({"model.units_ctc_weight": 0.9, "model.frontend_ctc_weight": 0.2}, r"model\.units_ctc_weight: must lie in \(0, 1\]"),
        ({"corpus.text.level": "units"}, r"model\.units_layer: stands below an output of characters"),
    ):
        with pytest.raises(ConfigError, match=message):
            corpus.config(tmp_path / "run", {**TWO, **changes})


def test_tuned_it_stays_one_bundle(bundle, decoder, corpus, tmp_path, cli) -> None:
    outcome = cli(
        "tune", bundle.folder, corpus.root / "dev.jsonl", "-o", tmp_path / "tuned", f"decoder.lm={decoder.lm}",
        "decoder.vocabulary=closed", "decoder.combine_with=units", f"decoder.combine_lexicon={decoder.combine_lexicon}",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    tuned = load_bundle(tmp_path / "tuned").config.decoder
    assert tuned.combine_with == "units" and tuned.partner is None and Path(tuned.combine_lexicon or "").name == "combine_lexicon.txt.gz"
    assert next(Recognizer.load(tmp_path / "tuned").transcribe([corpus.items()[0].source])).error is None


def test_adapted_it_keeps_both_outputs(bundle, decoder, corpus, tmp_path) -> None:
    tuned = tmp_path / "tuned"
    save_tuned(bundle, decoder, tuned)
    items = [replace(item, units=None) for item in corpus.items()]  # corrections have no units
    save_manifest(items, tmp_path / "corrections.jsonl")
    result = adapt(tuned, tmp_path / "corrections.jsonl", tmp_path / "new", minutes=0.2, threads=1, folds=1)
    adapted = Recognizer.load(tmp_path / "new", threads=1)
    assert result.items == len(items) and adapted.config.decoder.combine_with == "units" and isinstance(adapted.decoder, WordCombination)
    assert next(adapted.transcribe([items[0].source])).error is None
