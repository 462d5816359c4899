"""Starting from a bundle: what both alphabets have is kept, what does not fit is refused by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from recognizer.bundle.io import load_bundle, save_bundle
from recognizer.config import DecoderConfig, TextConfig
from recognizer.config.compose import compose
from recognizer.data.manifest import save_manifest
from recognizer.errors import BundleError, TrainingError
from recognizer.inference.recognizer import Recognizer
from recognizer.lm.binary import save_ngram
from recognizer.lm.kneser_ney import estimate_ngram
from recognizer.models.network import Network
from recognizer.text.alphabet import Alphabet
from recognizer.training.run import train
from recognizer.training.transfer import brings_statistics, extend_alphabet, load_pretrained, pretrained_settings


def test_shared_symbols_keep_their_rows(line_run, glyphs, tmp_path) -> None:
    bundle, config = load_bundle(line_run / "bundle"), glyphs.config(tmp_path)
    assert bundle.alphabet.symbols == ("a", "b", "c", "d")
    alphabet = Alphabet(("x", "d", "b", "y", "z"))
    torch.manual_seed(1)
    network = Network(config.recognizer, len(alphabet))
    fresh = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    line = load_pretrained(str(line_run / "bundle"), config, alphabet, network)
    assert line == f"started from {line_run / 'bundle'}: 2 of 5 symbols keep their output rows"
    for name, tensor in network.state_dict().items():
        if name not in ("output.weight", "output.bias"):
            assert torch.equal(tensor, bundle.weights[name]), name
            continue
        for row, source in ((0, 0), (2, 4), (3, 2)):  # blank, d, b
            assert torch.equal(tensor[row], bundle.weights[name][source]), name
        for row in (1, 4, 5):
            assert torch.equal(tensor[row], fresh[name][row]), name
    assert not torch.equal(network.features.std, torch.ones_like(network.features.std))


def test_intermediate_ctc_outputs_are_copied_symbol_by_symbol(line_run, glyphs, tmp_path) -> None:
    config = glyphs.config(tmp_path, {"model.num_layers": 2, "model.intermediate_ctc_weight": 0.3})
    conditioned = Network(config.recognizer, 5)
    weights = {name: tensor + torch.randn_like(tensor) if tensor.is_floating_point() else tensor for name, tensor in conditioned.state_dict().items()}
    bundle = tmp_path / "conditioned"
    save_bundle(bundle, config.recognizer, Alphabet(("a", "b", "c", "d")), weights, "", {})
    network = Network(config.recognizer, 4)
    fresh = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    load_pretrained(str(bundle), config, Alphabet(("c", "x", "a")), network)
    rows, columns = (network.state_dict()[f"encoder.conditions.0.{name}.weight"] for name in ("output", "back"))
    for row, source in ((0, 0), (1, 3), (3, 1)):  # blank, c, a
        assert torch.equal(rows[row], weights["encoder.conditions.0.output.weight"][source])
        assert torch.equal(columns[:, row], weights["encoder.conditions.0.back.weight"][:, source])
    assert torch.equal(rows[2], fresh["encoder.conditions.0.output.weight"][2]) and not columns[:, 2].any()


def test_intermediate_ctc_outputs_of_a_bundle_are_not_dropped(glyphs, tmp_path) -> None:
    config = glyphs.config(tmp_path, {"model.num_layers": 2, "model.intermediate_ctc_weight": 0.3})
    alphabet = Alphabet(("a", "b"))
    save_bundle(tmp_path / "conditioned", config.recognizer, alphabet, Network(config.recognizer, 3).state_dict(), "", {})
    plain = glyphs.config(tmp_path, {"model.num_layers": 2})
    with pytest.raises(TrainingError, match=r"encoder\.conditions\.0\..* has no place in this run's network; use the bundle's model settings"):
        load_pretrained(str(tmp_path / "conditioned"), plain, alphabet, Network(plain.recognizer, 3))


def test_a_network_that_streams_can_start_from_one_that_reads_to_the_end(tones, speech_run, tmp_path) -> None:
    whole = tones.config(tmp_path / "whole", {"features.normalize": "utterance", "features.dither": 0.003})
    alphabet = load_bundle(speech_run / "bundle").alphabet
    save_bundle(tmp_path / "bundle", whole.recognizer, alphabet, Network(whole.recognizer, 5).state_dict(), "", {})
    changes = {"model.chunk_ms": 90.0, "model.lookahead_ms": 60.0, "init": str(tmp_path / "bundle"), "trainer.epochs": 1}
    bundle = load_bundle(train(tones.config(tmp_path / "run", changes), quiet=True))
    assert brings_statistics(str(speech_run / "bundle"), tones.config(tmp_path)) and not brings_statistics(str(tmp_path / "bundle"), bundle.config)
    # it has none of its own to bring: those of the run, as if it had started from nothing
    torch.testing.assert_close(bundle.weights["features.mean"], load_bundle(speech_run / "bundle").weights["features.mean"])
    other = tones.config(tmp_path / "other", {"features.normalize": "none"})
    with pytest.raises(TrainingError, match="its features differ from this run's"):
        load_pretrained(str(tmp_path / "bundle"), other, alphabet, Network(other.recognizer, 5))


def test_a_deeper_encoder_keeps_the_layers_of_a_shallower_one(line_run, glyphs, tmp_path) -> None:
    bundle, config = load_bundle(line_run / "bundle"), glyphs.config(tmp_path, {"model.num_layers": 3, "model.attention_heads": 2})
    network = Network(config.recognizer, 5)
    fresh = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    line = load_pretrained(str(line_run / "bundle"), config, bundle.alphabet, network)
    assert line.endswith("its 1 layers with 2 new above; the output begins anew")
    new = ("encoder.layers.1.", "encoder.layers.2.", "encoder.attention.", "output.")
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, fresh[name] if name.startswith(new) else bundle.weights[name]), name
    assert any(name.startswith("encoder.layers.0.") for name in fresh)


@pytest.mark.parametrize(
    ("corpus", "run", "changes"),
    [
        ("glyphs", "line_run", {"features.contrast": "background", "features.deskew": True}),
        ("tones", "speech_run", {"features.dither": 0.01}),
        ("glyphs", "line_run", {"model.frontend_ctc_weight": 0.3}),  # an output layer of training that the bundle lacks
    ],
)
def test_the_cleaning_of_images_the_dither_of_sound_and_training_outputs_may_differ(corpus, run, changes, request, tmp_path) -> None:
    bundle = load_bundle(request.getfixturevalue(run) / "bundle")
    config = request.getfixturevalue(corpus).config(tmp_path, changes)
    network = Network(config.recognizer, len(bundle.alphabet))
    fresh = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    load_pretrained(str(bundle.folder), config, bundle.alphabet, network)
    assert bundle.weights.keys() <= fresh.keys()
    assert all(torch.equal(tensor, bundle.weights.get(name, fresh[name])) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"features.height": 20}, "its features differ from this run's"),
        ({"model.hidden_size": 20}, r"encoder\..*has shape .*use the bundle's model settings"),
        ({"model.cell": "peephole"}, r"encoder\.layers\.0.*the bundle lacks it"),
    ],
)
def test_what_does_not_fit_is_refused_and_named(line_run, glyphs, tmp_path, changes, words: str) -> None:
    config = glyphs.config(tmp_path, changes)
    with pytest.raises(TrainingError, match=words) as caught:
        load_pretrained(str(line_run / "bundle"), config, Alphabet(("a",)), Network(config.recognizer, 2))
    assert str(caught.value).startswith(f"init={line_run / 'bundle'}: ") and "\n" not in str(caught.value)


def test_no_bundle_to_start_from(glyphs, tmp_path: Path) -> None:
    config = glyphs.config(tmp_path)
    with pytest.raises(BundleError, match="no such bundle"):
        load_pretrained(str(tmp_path / "none"), config, Alphabet(("a",)), Network(config.recognizer, 2))


@pytest.fixture(scope="module")
def with_model(line_run, tmp_path_factory) -> Path:
    """The bundle of the glyphs with a decoder of its own: a beam and a model of characters."""
    bundle, folder = load_bundle(line_run / "bundle"), tmp_path_factory.mktemp("pretrained") / "bundle"
    model = folder.parent / "model.ngram"
    save_ngram(estimate_ngram(["abcd", "dcba"], 2, "characters"), model)
    decoder = DecoderConfig(kind="beam", beam_size=7, lm="char.ngram", lm_weight=0.25, combine_with="other")
    config = replace(bundle.config, decoder=decoder, text=TextConfig(drop="-"))
    save_bundle(folder, config, bundle.alphabet, bundle.weights, "", {"char.ngram": model})
    return folder


def test_settings_come_from_the_bundle(with_model, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "char.ngram").write_text("another file of this name")
    bundle = load_bundle(with_model)
    config = compose([f"init={with_model}", "corpus.root=X"], pretrained=pretrained_settings)
    assert (config.features, config.model, config.corpus.text) == (bundle.config.features, bundle.config.model, bundle.config.text)
    assert config.decoder == replace(bundle.config.decoder, lm=str(with_model / "char.ngram"), combine_with=None)
    changes = ["features.crop=false", "decoder=greedy", "model.dropout=0.5", "corpus.text.case=lower"]
    told = compose([f"init={with_model}", *changes], pretrained=pretrained_settings)
    assert told.features == replace(bundle.config.features, crop=False) and told.model == replace(bundle.config.model, dropout=0.5)
    assert told.decoder == DecoderConfig() and told.corpus.text == TextConfig(drop="-", case="lower")
    chosen = compose([f"init={with_model}", "features=mfcc", "model=gru"], pretrained=pretrained_settings)
    assert (chosen.features, chosen.model) == (compose(["features=mfcc"]).features, compose(["model=gru"]).model)
    other = compose([f"init={with_model}", "objective=transducer"], pretrained=pretrained_settings)
    assert other.decoder == compose([]).decoder and other.features == config.features  # a model of words is nothing for a transducer
    assert compose([f"init={with_model}", "objective=minimum_risk"], pretrained=pretrained_settings).decoder == config.decoder
    named = compose([f"init={with_model}", "experiment=digits"], pretrained=pretrained_settings)
    assert named == replace(compose(["experiment=digits"]), init=str(with_model))


def test_one_word_adapts_a_bundle_and_nothing_known_is_lost(with_model, glyphs, tmp_path, cli) -> None:
    items = [replace(item, text=item.text.replace("a", "x"), units=None) for item in glyphs.items("train")[:8]]
    save_manifest(items, tmp_path / "train.jsonl")
    save_manifest(glyphs.items("dev")[:4], tmp_path / "dev.jsonl")
    run_dir = tmp_path / "run"
    short = ["trainer.epochs=1", "trainer.threads=1", "trainer.num_workers=0", "device=cpu"]
    outcome = cli("train", f"init={with_model}", f"corpus.root={tmp_path}", f"run_dir={run_dir}", *short)
    assert outcome.code == 0, outcome.err
    said = f"started from {with_model}: 4 of 5 symbols keep their output rows; without its second recognizer other, which does not learn"
    assert said in outcome.err
    known, made = load_bundle(with_model), load_bundle(run_dir / "bundle")
    assert made.alphabet.symbols == (*known.alphabet.symbols, "x")  # "a" is in no new text
    assert (made.config.features, made.config.model) == (known.config.features, known.config.model)
    assert (made.config.decoder.kind, made.config.decoder.beam_size, made.config.decoder.lm_weight) == ("beam", 7, 0.25)
    assert (made.folder / str(made.config.decoder.lm)).read_bytes() == (with_model / "char.ngram").read_bytes()
    assert next(Recognizer.load(made.folder, "cpu", threads=1).transcribe([glyphs.items()[0].source])).error is None


def test_symbols_of_another_level_are_not_joined(with_model) -> None:
    assert extend_alphabet(str(with_model), Alphabet(("sh", "iy"), "units")).symbols == ("sh", "iy")
    assert extend_alphabet(str(with_model), Alphabet(("b", "e"))).symbols == ("a", "b", "c", "d", "e")
