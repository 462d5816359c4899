"""Bundles of format 1 open as they always did: settings under their former names, factored layers, digests not compressed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from recognizer.bundle.io import load_bundle, save_bundle
from recognizer.bundle.migrate import migrate_settings, multiply_factors
from recognizer.config import (
    AudioFeatures,
    DecoderConfig,
    LineCnn,
    LineFeatures,
    MdLstmFrontend,
    ModelConfig,
    RecognizerConfig,
    SpeechCnn,
    StrokeFeatures,
)  # fmt: skip
from recognizer.config.renamed import REMOVED, RENAMED
from recognizer.config.schema import to_dict
from recognizer.inference.recognizer import Recognizer
from recognizer.models.network import Network
from recognizer.text.alphabet import Alphabet

SMALL_CNN = {"channels": (4, 8), "time_strides": (2, 1)}
CONFIGS = {
    "audio": RecognizerConfig(
        AudioFeatures(num_mel_bins=20, f_min=50.0, f_max=-100.0, normalize="utterance"),
        ModelConfig(SpeechCnn(**SMALL_CNN, frequency_strides=(2, 2), output=12), num_layers=2, hidden_size=6, intermediate_ctc_weight=0.2),
        decoder=DecoderConfig("beam", 7, 5, 4.0, 11.0, unk_score=-3.0, word_score=0.5, token_score=0.25, combine_weight=0.3),
    ),
    "line": RecognizerConfig(
        LineFeatures(height=16, normalize="none"),
        ModelConfig(LineCnn(**SMALL_CNN, height_strides=(2, 2)), num_layers=2, hidden_size=6, frontend_ctc_weight=0.1,
            attention_heads=2, tbptt_frames=9),
    ),
    "mdlstm": RecognizerConfig(LineFeatures(height=24), ModelConfig(MdLstmFrontend(hidden_sizes=(2, 3), units=(2,), block_heights=(4, 3),
        block_widths=(3, 3)), num_layers=0)),
    "strokes": RecognizerConfig(StrokeFeatures(normalize="none"), ModelConfig(num_layers=1, hidden_size=6)),
}  # fmt: skip
FORMER = {new: old for old, new in RENAMED.items()}


def former_settings(values: object, where: str = "") -> object:
    """The settings as a bundle of format 1 has them: former names, and the keys that are gone."""
    if not isinstance(values, dict):
        return values
    former = {}
    for key, value in values.items():
        path = f"{where}.{key}" if where else key
        former[FORMER.get(path, path).rpartition(".")[2]] = former_settings(value, path)
    gone = {name.rpartition(".")[2]: [] if name.endswith("ranks") else 1.0 for name in REMOVED if name.rpartition(".")[0] == where}
    return former | gone


def write_format_1(folder: Path, config: RecognizerConfig, weights: dict[str, torch.Tensor]) -> None:
    """A bundle as the first version wrote it."""
    save_bundle(folder, config, Alphabet(("a", "b")), weights, "# old\n")
    (folder / "config.yaml").write_text(yaml.safe_dump(former_settings(to_dict(config))))
    (folder / "trained_on.txt").write_text("train 0123456789ab\n")
    names = ("model.safetensors", "config.yaml", "alphabet.txt", "trained_on.txt")
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    (folder / "bundle.json").write_text(json.dumps({"format": 1, "recognizer": "0.1.0", "sha256": digests}))


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_bundle_of_format_1_opens_and_recognizes(kind: str, tmp_path: Path) -> None:
    config = CONFIGS[kind]
    network = Network(config, 3)
    write_format_1(tmp_path / "old", config, network.state_dict())
    bundle = load_bundle(tmp_path / "old")
    assert bundle.config == config and bundle.others == ("trained_on.txt",)
    recognizer = Recognizer(bundle, "cpu", decoder=DecoderConfig())
    for name, tensor in network.state_dict().items():
        assert torch.equal(recognizer.network.state_dict()[name], tensor), name


def test_every_former_name_is_migrated_and_no_other_is_touched() -> None:
    for kind, config in CONFIGS.items():
        assert migrate_settings(former_settings(to_dict(config))) == to_dict(config), kind
        assert migrate_settings(to_dict(config)) == to_dict(config), kind


@pytest.mark.parametrize("kind", ["audio", "line"])
def test_factored_layers_are_made_whole(kind: str, tmp_path: Path) -> None:
    """Layers stored as two factors give the log-probs of the network that computed with the factors."""
    torch.manual_seed(3)
    network = Network(CONFIGS[kind], 3).eval()
    whole = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    factored = dict(whole)
    filters, mixing = torch.randn(3, *whole["frontend.layers.1.convolution.weight"].shape[1:]), torch.randn(8, 3, 1, 1)
    factored |= {"frontend.layers.1.convolution.weight": filters, "frontend.layers.1.mixing.weight": mixing}
    whole["frontend.layers.1.convolution.weight"] = torch.nn.functional.conv2d(filters.transpose(0, 1), mixing).transpose(0, 1)
    projection = torch.randn(5, 12)
    factored["encoder.layers.1.projection.weight"] = projection
    for side in ("forwards", "backwards"):
        name = f"encoder.layers.1.{side}.weight_ih_l0"
        factored[name] = torch.randn(24, 5)
        whole[name] = factored[name] @ projection
    made = multiply_factors(factored)
    assert made.keys() == whole.keys()
    for name, tensor in whole.items():
        torch.testing.assert_close(made[name], tensor, atol=1e-5, rtol=1e-5)
    save_bundle(tmp_path / "b", CONFIGS[kind], Alphabet(("a", "b")), factored, "")
    assert set(load_file(tmp_path / "b" / "model.safetensors")) == set(factored)
    Network(CONFIGS[kind], 3).load_state_dict(dict(load_bundle(tmp_path / "b").weights))
    assert multiply_factors(whole).keys() == whole.keys()  # a front-end's own projection is no factor


def test_an_unknown_key_of_an_old_bundle_is_still_refused(tmp_path: Path) -> None:
    write_format_1(tmp_path / "old", CONFIGS["strokes"], Network(CONFIGS["strokes"], 3).state_dict())
    text = (tmp_path / "old" / "config.yaml").read_text() + "surplus: 1\n"
    (tmp_path / "old" / "config.yaml").write_text(text)
    contents = json.loads((tmp_path / "old" / "bundle.json").read_text())
    contents["sha256"]["config.yaml"] = hashlib.sha256(text.encode()).hexdigest()
    (tmp_path / "old" / "bundle.json").write_text(json.dumps(contents))
    with pytest.raises(Exception, match="surplus: no such key"):
        load_bundle(tmp_path / "old")
