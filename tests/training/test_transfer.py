"""Starting from a bundle: what both alphabets have is kept, what does not fit is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from recognizer.alphabet import Alphabet
from recognizer.bundle import load_bundle, save_bundle
from recognizer.errors import BundleError, TrainingError
from recognizer.models.network import Network
from recognizer.training.transfer import start_from


def test_shared_symbols_keep_their_rows(line_run, glyphs, tmp_path) -> None:
    bundle, config = load_bundle(line_run / "bundle"), glyphs.config(tmp_path)
    assert bundle.alphabet.symbols == ("a", "b", "c", "d")
    alphabet = Alphabet(("x", "d", "b", "y", "z"))
    torch.manual_seed(1)
    network = Network(config.recipe, len(alphabet))
    fresh = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    line = start_from(str(line_run / "bundle"), config, alphabet, network)
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


def test_an_auxiliary_output_that_the_bundle_lacks_stays_fresh(line_run, glyphs, tmp_path) -> None:
    config = glyphs.config(tmp_path, {"model.auxiliary": 0.3})
    network = Network(config.recipe, 5)
    before = network.auxiliary.weight.detach().clone()
    start_from(str(line_run / "bundle"), config, Alphabet(("a", "b", "c", "d")), network)
    assert torch.equal(network.auxiliary.weight, before)
    assert torch.equal(network.output.weight, load_bundle(line_run / "bundle").weights["output.weight"])


def test_conditioning_comes_fresh_and_harmless_and_goes_over_symbol_by_symbol(line_run, glyphs, tmp_path) -> None:
    config = glyphs.config(tmp_path, {"model.layers": 2, "model.conditioning": 0.3})
    conditioned = Network(config.recipe, 5)
    weights = {name: tensor + torch.randn_like(tensor) if tensor.is_floating_point() else tensor for name, tensor in conditioned.state_dict().items()}
    bundle = tmp_path / "conditioned"
    save_bundle(bundle, config.recipe, Alphabet(("a", "b", "c", "d")), weights, "", {})
    network = Network(config.recipe, 4)
    fresh = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    start_from(str(bundle), config, Alphabet(("c", "x", "a")), network)
    rows, columns = (network.state_dict()[f"encoder.conditions.0.{name}.weight"] for name in ("output", "back"))
    for row, source in ((0, 0), (1, 3), (3, 1)):  # blank, c, a
        assert torch.equal(rows[row], weights["encoder.conditions.0.output.weight"][source])
        assert torch.equal(columns[:, row], weights["encoder.conditions.0.back.weight"][:, source])
    assert torch.equal(rows[2], fresh["encoder.conditions.0.output.weight"][2]) and not columns[:, 2].any()


def test_what_a_bundle_was_conditioned_on_is_not_dropped(glyphs, tmp_path) -> None:
    config = glyphs.config(tmp_path, {"model.layers": 2, "model.conditioning": 0.3})
    alphabet = Alphabet(("a", "b"))
    save_bundle(tmp_path / "conditioned", config.recipe, alphabet, Network(config.recipe, 3).state_dict(), "", {})
    plain = glyphs.config(tmp_path, {"model.layers": 2})
    with pytest.raises(TrainingError, match=r"encoder\.conditions\.0\..* has no place in this run's network; use the bundle's model settings"):
        start_from(str(tmp_path / "conditioned"), plain, alphabet, Network(plain.recipe, 3))


def test_a_deeper_encoder_grows_out_of_a_shallower_one(line_run, glyphs, tmp_path) -> None:
    bundle, config = load_bundle(line_run / "bundle"), glyphs.config(tmp_path, {"model.layers": 3, "model.attention": 2})
    network = Network(config.recipe, 5)
    fresh = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    line = start_from(str(line_run / "bundle"), config, bundle.alphabet, network)
    assert line.endswith("its 1 layers with 2 new above; the output begins anew")
    new = ("encoder.layers.1.", "encoder.layers.2.", "encoder.attention.", "output.")
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, fresh[name] if name.startswith(new) else bundle.weights[name]), name
    assert any(name.startswith("encoder.layers.0.") for name in fresh)


def test_pictures_may_be_cleaned_otherwise(line_run, glyphs, tmp_path) -> None:
    config = glyphs.config(tmp_path, {"features.contrast": "background", "features.deskew": True})
    network = Network(config.recipe, 5)
    start_from(str(line_run / "bundle"), config, Alphabet(("a", "b", "c", "d")), network)
    assert all(torch.equal(tensor, load_bundle(line_run / "bundle").weights[name]) for name, tensor in network.state_dict().items())


def test_sound_may_be_dithered_otherwise(speech_run, tones, tmp_path) -> None:
    config = tones.config(tmp_path, {"features.dither": 0.01})
    bundle = load_bundle(speech_run / "bundle")
    network = Network(config.recipe, len(bundle.alphabet))
    start_from(str(speech_run / "bundle"), config, bundle.alphabet, network)
    assert network.features.config.dither == 0.01
    assert all(torch.equal(tensor, bundle.weights[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"features.height": 20}, "its features differ from this run's"),
        ({"model.hidden": 20}, r"encoder\..*has shape .*use the bundle's model settings"),
        ({"model.cell": "peephole"}, r"encoder\.layers\.0.*the bundle lacks it"),
    ],
)
def test_what_does_not_fit_is_refused_and_named(line_run, glyphs, tmp_path, changes, words: str) -> None:
    config = glyphs.config(tmp_path, changes)
    with pytest.raises(TrainingError, match=words) as caught:
        start_from(str(line_run / "bundle"), config, Alphabet(("a",)), Network(config.recipe, 2))
    assert str(caught.value).startswith(f"init={line_run / 'bundle'}: ") and "\n" not in str(caught.value)


def test_no_bundle_to_start_from(glyphs, tmp_path: Path) -> None:
    config = glyphs.config(tmp_path)
    with pytest.raises(BundleError, match="no such bundle"):
        start_from(str(tmp_path / "none"), config, Alphabet(("a",)), Network(config.recipe, 2))
