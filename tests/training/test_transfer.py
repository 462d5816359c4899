"""Starting from a bundle: what both alphabets have is kept, what does not fit is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from recognizer.bundle.io import load_bundle, save_bundle
from recognizer.errors import BundleError, TrainingError
from recognizer.models.network import Network
from recognizer.text.alphabet import Alphabet
from recognizer.training.transfer import load_pretrained


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
