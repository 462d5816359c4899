"""The search for a cell: the cells there are, networks of one size, the LSTM among composed cells, the order of the results, runs not done twice."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

from recognizer.config import CellParts
from recognizer.config.compose import compose

SCRIPTS = Path(__file__).parents[2] / "scripts"
BARE = CellParts(input_gate=False, forget_gate="none", output_gate=False, recurrent_input=False)


@pytest.fixture(scope="module")
def script() -> Iterator[Any]:
    sys.path.insert(0, str(SCRIPTS))
    yield import_module("search_cells")
    sys.path.remove(str(SCRIPTS))


def test_every_cell_is_there_once(script) -> None:
    cells = script.every_cell()
    assert len(cells) == len(set(cells)) == 2 * 3 * 2**6 - 2**6 and CellParts() in cells  # coupled goes with an input gate
    assert len({script.describe(parts) for parts in cells}) == len(cells)


def test_what_is_printed_are_overrides_of_the_same_cell(script) -> None:
    parts = CellParts(forget_gate="coupled", output_activation=False, peepholes=True)
    assert script.describe(parts) == "forget_gate=coupled output_activation=false peepholes=true" and script.describe(CellParts()) == "lstm"
    overrides = [f"model.recurrent.parts.{part}" for part in script.describe(parts).split()]
    assert compose(["features=fbank", "model.cell=composed", *overrides]).model.recurrent.parts == parts


def test_the_composed_lstm_trains_as_the_lstm(script) -> None:
    """The same weights, data and updates: the same losses."""
    settings = replace(script.TASKS["distractors"], updates=4, lag=6, batch=4)
    trainings = [script.make_training("distractors", CellParts(), 1, settings), script.LagTraining("distractors", "lstm", 1, settings)]
    own, other = (training.network.double() for training in trainings)
    weights = own.state_dict()
    weights |= {f"cell.bias_{kind}_l0": weights["cell.bias_l0"] / 2 for kind in ("ih", "hh")}
    other.load_state_dict({key: weights[key] for key in other.state_dict()})
    frames, lengths = torch.randn(3, 7, 14, dtype=torch.float64), torch.full((3,), 7)
    torch.testing.assert_close(own(frames, lengths).outputs, other(frames, lengths).outputs, atol=1e-12, rtol=0)


def test_all_networks_have_nearly_the_same_size(script) -> None:
    def count(parts: CellParts) -> int:
        return sum(parameter.numel() for parameter in script.make_training("reber", parts, 1, script.TASKS["reber"]).network.parameters())

    whole = count(CellParts())
    assert all(abs(count(parts) - whole) < 0.1 * whole for parts in (BARE, CellParts(peepholes=True), CellParts(forget_gate="coupled")))


def test_fewer_errors_come_first_then_fewer_sequences_and_a_tie_is_no_worse_than_the_lstm(script, monkeypatch, tmp_path) -> None:
    known = {  # errors with either seed, sequences
        "lstm": (10.0, 20.0, 500), "peepholes=true": (10.0, 20.0, 500), "input_gate=false": (0.0, 25.0, 900), "output_gate=false": (15.0, 15.0, 100),
    }  # fmt: skip

    def given(task: str, parts: CellParts, seed: int, *_: Any) -> dict[str, Any]:
        *wrong, trained_on = known[script.describe(parts)]
        return {"wrong_%": wrong[seed - 1], "trained_on": trained_on, "loss": 1.0, "H": 8}

    monkeypatch.setattr(script, "run", given)
    cells = [CellParts(), CellParts(peepholes=True), CellParts(input_gate=False), CellParts(output_gate=False)]
    rows = script.compete("reber", cells, (1, 2), script.TASKS["reber"], tmp_path)
    assert [row["cell"] for row in rows] == ["input_gate=false", "output_gate=false", "peepholes=true", "lstm"]
    assert [row["no_worse"] for row in rows] == ["1 of 2", "1 of 2", "2 of 2", "2 of 2"]
    assert [row["wrong_%"] for row in rows] == [12.5, 15, 15, 15] and rows[0]["deviation"] == pytest.approx(17.678, abs=1e-3)


def test_gradients_that_are_not_finite_end_a_run_and_not_the_search(script, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(script.StreamTraining, "descend", lambda *_: torch.nn.utils.clip_grad_norm_(broken(), 1.0, error_if_nonfinite=True))
    row = script.run("reber", BARE, 1, replace(script.TASKS["reber"], updates=2, batch=2), tmp_path)
    assert row["failed"] == "yes" and row["wrong_%"] == 100 and script.rank(row) > script.rank({**row, "loss": 3.0})


def broken() -> list[torch.nn.Parameter]:
    parameter = torch.nn.Parameter(torch.zeros(1))
    parameter.grad = torch.full((1,), torch.nan)
    return [parameter]


def test_finished_runs_are_kept(script, tmp_path, capsys, monkeypatch) -> None:
    call = [str(tmp_path), "--task", "distractors", "--quick"]
    assert script.main([*call, "--json", str(tmp_path / "all.json")]) == 0
    first = capsys.readouterr().out
    rows = json.loads((tmp_path / "all.json").read_text())["results"]
    assert [row["round"] for row in rows] == ["search"] * 4 + ["final"] * 2
    assert "lstm" in [row["cell"] for row in rows[:4]] and "lstm" in [row["cell"] for row in rows[4:]]
    assert len(list(tmp_path.glob("distractors_*.json"))) == 4 + 2 * 2
    monkeypatch.setattr(script, "make_training", None)
    assert script.main(call) == 0 and capsys.readouterr().out == first
    monkeypatch.setattr(script, "TASKS", {"distractors": replace(script.TASKS["distractors"], kinds=3)})
    assert script.main(call) == 2 and "was made with other settings" in capsys.readouterr().err
    kept = json.loads(next(tmp_path.glob("distractors_*.json")).read_text())
    assert kept["settings"]["parts"] == asdict(CellParts())  # the row's cell says which; settings are those of all
