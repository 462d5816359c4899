"""The mean of bundles: entry by entry, with what all of them were trained on; what does not fit is refused by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from recognizer.bundle.averaging import average
from recognizer.bundle.io import load_bundle, save_bundle
from recognizer.bundle.provenance import TRAINED_ON, Provenance
from recognizer.cli.main import main
from recognizer.config import AudioFeatures, DecoderConfig, RecognizerConfig
from recognizer.text.alphabet import Alphabet

CONFIG = RecognizerConfig(AudioFeatures(kind="fbank"))
SEEN = {"a": Provenance(frozenset({"0" * 12}), frozenset({"d" * 12})), "b": Provenance(frozenset({"1" * 12}))}


@pytest.fixture
def family(tmp_path: Path) -> Path:
    """Bundles a and b, the second rounded to bfloat16, and lm.txt for the decoder of the first."""
    (tmp_path / "lm.txt").write_text("a model")
    for name, value, dtype in (("a", 1.0, torch.float32), ("b", 4.0, torch.bfloat16)):
        weights = {"w": torch.full((2, 3), value, dtype=dtype), "mean": torch.tensor([value]), "count": torch.tensor([7])}
        write(tmp_path, name, weights, CONFIG if name == "b" else replace(CONFIG, decoder=DecoderConfig(kind="beam", lm="lm.txt")))
    return tmp_path


def write(
    folder: Path, name: str, weights: dict[str, torch.Tensor], config: RecognizerConfig = CONFIG, symbols: tuple[str, ...] = ("x", "y")
) -> None:
    files = {}
    if name in SEEN:
        files[TRAINED_ON] = folder / f"{name}.seen"
        SEEN[name].save(files[TRAINED_ON])
    if config.decoder.lm:
        files[config.decoder.lm] = folder / config.decoder.lm
    save_bundle(folder / name, config, Alphabet(symbols), weights, f"# {name}\n", files)


def test_the_mean_is_that_of_every_entry_and_all_else_is_the_firsts(family: Path) -> None:
    average([load_bundle(family / name) for name in "ab"], family / "mean")
    mean = load_bundle(family / "mean")
    assert torch.equal(mean.weights["w"], torch.full((2, 3), 2.5)) and mean.weights["mean"] == 2.5
    assert torch.equal(mean.weights["count"], torch.tensor([7]))
    assert mean.config == load_bundle(family / "a").config and mean.card() == "# a\n"
    assert (family / "mean" / "lm.txt").read_text() == "a model"
    assert Provenance.load(family / "mean") == SEEN["a"] | SEEN["b"]


def test_shares_weigh(family: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["average", str(family / "a"), str(family / "b"), "--shares", "2,1", "-o", str(family / "mean")]) == 0
    assert capsys.readouterr().out == f"{family / 'mean'}\n"
    assert torch.equal(load_bundle(family / "mean").weights["w"], torch.full((2, 3), 2.0))


def test_readings_that_only_the_first_has_keep_their_eyes_and_lose_their_say(family: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = dict(load_bundle(family / "a").weights)
    readings = {f"encoder.conditions.0.{name}.weight": torch.full((2, 2), 3.0) for name in ("output", "back")}
    write(family, "conditioned", weights | readings)
    average([load_bundle(family / name) for name in ("conditioned", "b")], family / "mean", [1, 2])
    mean = load_bundle(family / "mean").weights
    assert torch.equal(mean["encoder.conditions.0.output.weight"], torch.full((2, 2), 3.0))
    assert torch.equal(mean["encoder.conditions.0.back.weight"], torch.full((2, 2), 1.0))
    assert torch.equal(mean["w"], torch.full((2, 3), 3.0))
    assert main(["average", str(family / "b"), str(family / "conditioned"), "-o", str(family / "other")]) == 2
    assert "its network is not that of" in capsys.readouterr().err  # what has a say is not dropped


def test_a_symbol_that_another_lacks_is_the_firsts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, symbols, base in (("a", "xyz", 0.0), ("b", "zx", 100.0)):
        size = len(symbols) + 1
        rows = base + torch.arange(size * 2.0).reshape(size, 2)
        weights = {"output.weight": rows, "output.bias": rows[:, 0], "encoder.conditions.0.back.weight": rows.T, "w": rows[:1]}
        weights = {key: tensor.clone() for key, tensor in weights.items()}
        write(tmp_path, name, weights, symbols=tuple(symbols))
    average([load_bundle(tmp_path / name) for name in "ab"], tmp_path / "mean")
    mean = load_bundle(tmp_path / "mean")
    assert mean.alphabet == Alphabet(("x", "y", "z"))
    rows = torch.tensor([[50.0, 51.0], [(2 + 104) / 2, (3 + 105) / 2], [4.0, 5.0], [(6 + 102) / 2, (7 + 103) / 2]])  # blank, x, y of the first, z
    assert torch.equal(mean.weights["output.weight"], rows) and torch.equal(mean.weights["output.bias"], rows[:, 0])
    assert torch.equal(mean.weights["encoder.conditions.0.back.weight"], rows.T) and torch.equal(mean.weights["w"], rows[:1])
    assert main(["average", str(tmp_path / "b"), str(tmp_path / "a"), "-o", str(tmp_path / "other")]) == 2
    assert "its alphabet is not that of" in capsys.readouterr().err  # which would lose a symbol
    write(tmp_path, "wide", {"output.weight": torch.zeros(3, 5)}, symbols=("x", "y"))
    assert main(["average", str(tmp_path / "a"), str(tmp_path / "wide"), "-o", str(tmp_path / "other")]) == 2
    assert "its network is not that of" in capsys.readouterr().err


def test_the_firsts_dither_is_the_means(family: Path) -> None:
    dithered = replace(CONFIG, features=replace(CONFIG.features, dither=0.01))
    write(family, "c", {"w": torch.zeros(2, 3), "mean": torch.zeros(1), "count": torch.tensor([7])}, dithered)
    average([load_bundle(family / name) for name in "ca"], family / "mean")
    assert load_bundle(family / "mean").config.features == dithered.features


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"symbols": ("x", "z")}, "alphabet"),
        ({"config": RecognizerConfig(AudioFeatures(kind="fbank", num_mel_bins=40))}, "features"),
        ({"weights": {"w": torch.zeros(3, 2), "mean": torch.zeros(1), "count": torch.tensor([7])}}, "network"),
        ({"weights": {"w": torch.zeros(2, 3), "mean": torch.zeros(1)}}, "network"),
    ],
)
def test_strangers_are_refused(family: Path, capsys: pytest.CaptureFixture[str], changes: dict, what: str) -> None:
    weights = {"w": torch.zeros(2, 3), "mean": torch.zeros(1), "count": torch.tensor([7])}
    write(family, "c", **({"weights": weights} | changes))
    assert main(["average", str(family / "a"), str(family / "b"), str(family / "c"), "-o", str(family / "mean")]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"recognizer: {family / 'c'}: its {what} is not that of {family / 'a'}") and error.count("\n") == 1
    assert not (family / "mean").exists()


@pytest.mark.parametrize(("names", "more", "message"), [("a", [], "two bundles or more"), ("ab", ["--shares", "1"], "1 numbers for 2 bundles")])
def test_too_few(family: Path, names: str, more: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["average", *(str(family / name) for name in names), *more, "-o", str(family / "mean")]) == 2
    assert message in capsys.readouterr().err and not (family / "mean").exists()


@pytest.mark.parametrize("shares", ["1,0", "1,-1", "1,x", "inf,1", ""])
def test_shares_that_are_none(family: Path, shares: str) -> None:
    with pytest.raises(SystemExit):
        main(["average", str(family / "a"), str(family / "b"), f"--shares={shares}", "-o", str(family / "mean")])
