"""Comparing cells: the same lines for all, and networks of nearly the weights asked for."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from recognizer.config.compose import compose
from recognizer.data.manifest import load_manifest
from recognizer.models.network import Network

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def script(monkeypatch) -> Any:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("compare_cells")


def test_the_same_items_are_drawn_every_time_and_stand_in_their_order(script, glyphs, tmp_path) -> None:
    overrides = ["features=pixels", "model=line_cnn_blstm", f"corpus.root={glyphs.root}"]
    first, second = (script.choose_items(overrides, 20, tmp_path / name) for name in "ab")
    chosen, again, every = ([item.id for item in items] for items in (load_manifest(first), load_manifest(second), glyphs.items("train")))
    assert chosen == again and len(chosen) == 20
    assert chosen == [name for name in every if name in chosen] != every[:20]
    assert all(item.source.exists() for item in load_manifest(first))
    assert compose([*overrides, f"corpus.train={first}"]).corpus.train == str(first) and first.is_absolute()
    first.write_text(first.read_text().splitlines()[0] + "\n")  # what is there stays
    assert len(load_manifest(script.choose_items(overrides, 20, tmp_path / "a"))) == 1


@pytest.mark.parametrize(("name", "weights"), [("lstm", 9e5), ("conv_lstm", 9e5), ("mdlstm", 3e4), ("gru", 2e6)])
def test_a_network_has_nearly_the_weights_asked_for(script, glyphs, name: str, weights: float) -> None:
    own = ["features=pixels", "features.height=16", f"corpus.root={glyphs.root}", *script.CELL_OVERRIDES.get(name, [])]
    if name == "gru":
        own = ["features=fbank", "model=speech_cnn_blstm", f"corpus.root={glyphs.root}", "model.cell=gru"]
    elif name != "mdlstm":
        own += ["model=line_cnn_blstm", f"model.cell={name}"]

    def count(hidden: int) -> int:
        network = Network(compose([*own, *script.size_overrides(name, hidden)]).recognizer, 5)
        return sum(parameter.numel() for parameter in network.parameters())

    hidden, found = script.fit_size(name, own, weights)
    assert found == count(hidden) and hidden % script.SIZE_STEP == 0
    assert all(abs(found - weights) <= abs(count(other) - weights) for other in (hidden - script.SIZE_STEP, hidden + script.SIZE_STEP))


def test_the_layers_of_the_encoder_are_scaled_alike(script) -> None:
    frontend = compose(["features=pixels", *script.CELL_OVERRIDES["mdlstm"], *script.size_overrides("mdlstm", 200)]).model.frontend
    assert (frontend.hidden_sizes, frontend.units) == ((8, 40, 200), (24, 80))
    assert script.size_overrides("mdlstm", 8)[0] == "model.frontend.hidden_sizes=[1,2,8]"
    assert script.size_overrides("gru", 16) == ["model.hidden_size=16"]
