"""Evolution of weights: networks in a batch against torch's LSTM, the read-out against solutions by hand, searches that go downhill."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module")
def script() -> Iterator[Any]:
    sys.path.insert(0, str(SCRIPTS))
    yield import_module("evolve")
    sys.path.remove(str(SCRIPTS))


def small(script: Any, **changes: Any) -> Any:
    settings = script.Settings(**{"updates": 20, "rate": 0.03, "hidden": 3, "batch": 8, "lag": 4, "kinds": 3} | changes)
    return script.Budget(settings, seconds=0.3, population=8, test=50)


def test_each_network_of_a_population_is_torchs_lstm(script) -> None:
    generator = torch.Generator().manual_seed(1)
    weights = torch.randn(5, 4 * 3 * (2 + 3 + 1) + 7, dtype=torch.float64, generator=generator)
    frames = torch.randn(4, 6, 2, dtype=torch.float64, generator=generator)
    found = script.run_population(weights, frames, 3)
    for row, outputs in zip(weights, found, strict=True):
        lstm = torch.nn.LSTM(2, 3, batch_first=True).double()
        with torch.no_grad():
            lstm.weight_ih_l0.copy_(row[:24].view(12, 2))
            lstm.weight_hh_l0.copy_(row[24:60].view(12, 3))
            lstm.bias_ih_l0.copy_(row[60:72])
            lstm.bias_hh_l0.zero_()
        torch.testing.assert_close(outputs, lstm(frames)[0].detach(), atol=1e-12, rtol=0)


def test_a_line_through_three_points(script) -> None:
    """Through (0, 1), (1, 2), (2, 4) the best line is y = 5/6 + 3/2 x."""
    features = torch.tensor([[[0.0, 1], [1, 1], [2, 1]]], dtype=torch.float64)
    found = script.fit_read_out(features, torch.tensor([[1.0], [2], [4]]))
    assert found.flatten().tolist() == pytest.approx([3 / 2, 5 / 6])


def test_the_read_out_is_numpys_least_squares(script) -> None:
    generator = np.random.default_rng(1)
    features, targets = generator.standard_normal((3, 20, 4)), generator.standard_normal((20, 2))
    features[2, :, 1] = 2 * features[2, :, 0]  # many solutions: the smallest one
    found = script.fit_read_out(torch.from_numpy(features), torch.from_numpy(targets))
    for own, expected in zip(found.numpy(), features, strict=True):
        assert np.allclose(own, np.linalg.lstsq(expected, targets, rcond=None)[0], atol=1e-10)


@pytest.mark.parametrize("task", ["distractors", "reber"])
def test_losses_and_errors_are_those_of_the_training_with_gradients(script, task) -> None:
    """The same network on the same data, once by long_lags.py and once as a population of one."""
    budget = small(script, lag=10, hidden=8, chunk=40)
    learner = script.Backprop(task, 1, budget)
    hidden, training = budget.settings.hidden, learner.training
    questions = script.draw(task, budget.settings, training.rng(0), 8)
    if task == "distractors":
        loss, right = training.answer(training.rng(0), 8)
    else:
        loss, seen, recalls, _ = training.predict(training.rng(0), training.begin(8), 40)
        right = seen[recalls]
    vector = learner.vector()
    read_out = script.split_weights(vector[None], questions.frames.shape[2], hidden)[3].unflatten(1, (hidden + 1, -1))
    answers = script.asked(script.run_population(vector[None], questions.frames, hidden), questions) @ read_out
    assert script.losses(answers, questions.targets)[0].item() == pytest.approx(loss.item(), rel=1e-5)
    if task == "reber":
        assert script.share_wrong(answers[0], questions) == pytest.approx(1 - right.mean(), abs=1e-6)
        exact = questions.possible.float()
        assert script.share_wrong(exact, questions) == 0 and script.share_wrong(-exact, questions) == 1
    else:
        answers = questions.targets * 3
        answers[:2] *= -1
        assert script.share_wrong(answers, questions) == 2 / 8


@pytest.mark.parametrize("method", ["Cma", "OpenAiEs", "Guess"])
def test_searches_come_nearer_to_the_least(script, method) -> None:
    aim = np.array([1.0, -2, 0.5, 0])
    search = getattr(script, method)(np.zeros(4), 0.3, 12, 1)
    for _ in range(100):
        generation = search.ask()
        assert generation.shape == (12, 4)
        search.tell(np.square(generation - aim).sum(axis=1))
    reached = np.square(search.favorite() - aim).sum()
    assert reached < {"Cma": 1e-4, "OpenAiEs": 0.1, "Guess": 4.0}[method]  # 5.25 at the start


@pytest.mark.parametrize("method", ["evolino", "cma", "openai_es"])
def test_evolution_lowers_the_loss(script, method) -> None:
    """On the first symbols of Reber's strings, new ones."""
    budget = replace(small(script, hidden=4, chunk=8, batch=16), population=16)
    learner = script.Evolution("reber", method, 1, budget)
    exam = script.draw("reber", budget.settings, np.random.default_rng(9), 300)

    def loss() -> float:
        return learner.judge(torch.from_numpy(learner.search.favorite()).float()[None], exam).item()

    before = loss()
    assert all(learner.step() == 16 for _ in range(60))
    assert loss() < 0.85 * before


def test_the_fitted_read_out_is_not_searched(script) -> None:
    fitted, whole = (script.Evolution("distractors", method, 1, small(script)) for method in ("evolino", "cma"))
    assert fitted.size == 12 * (7 + 3 + 1) and whole.size == fitted.size + 4
    assert len(fitted.vector()) == len(whole.vector()) == whole.size
    assert np.allclose(whole.search.favorite(), script.Backprop("distractors", 1, small(script)).vector())  # the same start for all


def test_runs_end_when_nothing_is_wrong_and_are_kept(script, tmp_path, capsys, monkeypatch) -> None:
    call = [str(tmp_path), "--quick", "--seconds", "0.1", "--json", str(tmp_path / "all.json")]
    assert script.main(call) == 0
    first = capsys.readouterr().out
    rows = json.loads((tmp_path / "all.json").read_text())["results"]
    assert [(row["task"], row["method"]) for row in rows] == [(task, method) for task in script.TASKS for method in script.METHODS]
    assert (tmp_path / "curves.png").read_bytes()[:4] == b"\x89PNG"
    monkeypatch.setattr(script, "search", None)
    assert script.main(call) == 0 and capsys.readouterr().out == first
    assert script.main([*call, "--lag", "5", "--population", "30"]) == 2
    assert "was made with other settings" in capsys.readouterr().err


def test_a_missing_library_is_named(script, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "cma", None)
    assert script.main([str(tmp_path), "--method", "cma", "--quick"]) == 2
    assert "pip install cma" in capsys.readouterr().err
