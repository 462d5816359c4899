"""Long time lags: targets worked out again, strings parsed by a regular expression, training and tests by hand-made answers, runs not done twice."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

SCRIPTS = Path(__file__).parents[2] / "scripts"
INNER = r"B(?:TS*X(?:XT*VP)*(?:S|XT*VV)|PT*V(?:V|P(?:XT*VP)*(?:S|XT*VV)))E"  # Reber's grammar
SMALL = ["--updates", "4", "--lag", "20", "--batch", "3", "--test", "20", "--stream", "300", "--hidden", "8"]


@pytest.fixture(scope="module")
def lags() -> Iterator[Any]:
    sys.path.insert(0, str(SCRIPTS))
    yield import_module("long_lags")
    sys.path.remove(str(SCRIPTS))


def settings(lags: Any, **changes: Any) -> Any:
    return lags.Settings(**{"updates": 8, "rate": 0.01, "hidden": 8, "batch": 3, "lag": 20, "kinds": 5, "test": 20, "stream": 300} | changes)


def test_the_symbol_to_remember_stands_before_the_distractors(lags) -> None:
    frames, lengths, targets = lags.draw_distractors(np.random.default_rng(1), 200, 12, 3)
    assert frames.shape == (200, lengths.max(), 7) and (frames.sum(axis=2) == 1).all()
    for frame, length, target in zip(frames, lengths, targets, strict=True):
        text = "".join("aaaebxy"[symbol] for symbol in frame[:length].argmax(axis=1))
        assert re.fullmatch(f"b{'xy'[int(target)]}a{{12,}}e", text)
    assert 0.3 < targets.mean() < 0.7 and 12 + 3 + 9 - 2 < lengths.mean() < 12 + 3 + 9 + 2


def test_streams_are_strings_of_the_embedded_grammar(lags) -> None:
    grammar = lags.Grammar()
    string = re.compile(rf"B([TP]){INNER}\1E")
    symbols, before, _ = grammar.draw(np.random.default_rng(1), np.zeros(4, dtype=int), 3000)
    found: list[str] = []
    for stream, nodes in zip(symbols, before, strict=True):
        text, start, ends = "".join(lags.REBER[symbol] for symbol in stream), 0, []
        while match := string.match(text, start):
            found.append(match.group())
            start = match.end()
            ends.append(start)
        assert len(text) - start < 150  # the string that was not finished
        recalled = np.flatnonzero(grammar.recalls[nodes])
        assert set(end - 2 for end in ends) <= set(recalled) <= {end - 2 for end in ends} | set(range(start, 3000))
    assert {string[1] for string in found} == {"T", "P"} and len(set(found)) > 100
    assert np.mean([len(string) for string in found]) == pytest.approx(11.5, abs=0.5)  # as in the paper
    seen = np.zeros_like(grammar.possible)
    seen[before.ravel(), symbols.ravel()] = True
    assert (seen == grammar.possible).all()


def test_a_stream_goes_on_where_it_stood(lags) -> None:
    whole, nodes, _ = lags.Grammar().draw(np.random.default_rng(3), np.zeros(2, dtype=int), 50)
    generator, place, parts = np.random.default_rng(3), np.zeros(2, dtype=int), []
    for steps in (7, 13, 30):
        symbols, before, place = lags.Grammar().draw(generator, place, steps)
        parts.append((symbols, before))
    for expected, found in zip((whole, nodes), zip(*parts, strict=True), strict=True):
        assert (np.concatenate(found, axis=1) == expected).all()


@pytest.mark.parametrize("cell", ["lstm", "lstm_1997", "coupled", "gru"])
def test_untrained_cells_remember(lags, cell) -> None:
    network = lags.Reader(cell, 3, 8, 1, 12.0)
    frames, lengths = torch.randn(2, 50, 3), torch.full((2,), 50)
    held = tuple(torch.rand(2, 8) for _ in network.cell.initial(frames))
    assert torch.allclose(network(frames, lengths, held, carry=True).state[-1], held[-1], atol=0.01)


def test_the_control_is_tanh_of_its_inputs_and_itself(lags) -> None:
    cell = lags.Reader("rnn", 2, 3, 1, 0.0).cell.double()
    frames, state = torch.randn(2, 5, 2, dtype=torch.float64), torch.rand(2, 3, dtype=torch.float64)
    done = cell(frames, torch.tensor([5, 2]), (state,), carry=True)
    h, outputs = state, []
    for t in range(5):
        h = torch.tanh(frames[:, t] @ cell.weight_ih_l0.T + cell.bias_ih_l0 + h @ cell.weight_hh_l0.T + cell.bias_hh_l0)
        outputs.append(h)
    assert torch.allclose(done.outputs, torch.stack(outputs, dim=1)) and torch.allclose(done.state[0], torch.stack([outputs[4][0], outputs[1][1]]))


def test_a_short_lag_is_learned_and_training_ends(lags) -> None:
    row = lags.LagTraining("distractors", "lstm_1997", 1, settings(lags, updates=300, rate=0.05, batch=16, lag=5, test=200)).run()
    assert row["solved"] == "yes" and row["wrong_%"] == 0 and row["tested_on"] == 200
    assert row["trained_on"] == 16 * len(row["curve"]) < 16 * 300
    assert all(point[2] == 1 for point in row["curve"][-10:]) and row["curve"][-11][2] < 1


def test_a_stream_with_a_mistake_starts_again(lags, monkeypatch) -> None:
    training = lags.StreamTraining("reber", "lstm", 1, settings(lags, chunk=30))
    predict = training.predict

    def second_is_right(*arguments: Any) -> Any:
        loss, right, *others = predict(*arguments)
        right[:] = True
        right[[0, 2], [0, 29]] = False
        return loss, right, *others

    monkeypatch.setattr(training, "predict", second_is_right)
    for _ in range(2):
        training.curve.append(training.learn())
    h, c = training.streams.state
    assert not h[[0, 2]].any() and not c[[0, 2]].any() and c[1].all()
    symbols, nodes = [], np.zeros(3, dtype=int)
    for update in range(2):
        drawn, _, nodes = lags.Grammar().draw(training.rng(update), nodes, 30)
        symbols.append(drawn)
        nodes[[0, 2]] = 0
    assert training.streams.nodes.tolist() == nodes.tolist()
    assert training.streams.last.tolist() == [lags.REBER.index("E"), symbols[1][1, -1], lags.REBER.index("E")]


def test_mistakes_in_streams_are_counted(lags, monkeypatch) -> None:
    training = lags.StreamTraining("reber", "lstm", 1, settings(lags, stream=2000))
    recalls, right, done = np.zeros((10, 2000), dtype=bool), np.ones((10, 2000), dtype=bool), 0
    recalls[:, 9::10] = True
    right[0, 500], right[3, 19], right[3, 1999] = False, False, False

    def given(generator: Any, streams: Any, steps: int) -> Any:
        nonlocal done
        done += steps
        state = torch.zeros(10, 2), torch.full((10, 2), -float(done))
        return None, right[:, done - steps : done], recalls[:, done - steps : done], streams._replace(state=state)

    monkeypatch.setattr(training, "predict", given)
    row = training.test()
    assert row["until_mistake"] == pytest.approx((500 + 19 + 8 * 2000) / 10) and row["solved"] == "good" and row["tested_on"] == 20000
    assert row["wrong_%"] == pytest.approx(100 * 2 / 2000) and row["all_wrong_%"] == pytest.approx(100 * 3 / 20000)
    assert (row["c_after_100"], row["c_at_end"]) == (100, 2000)
    right[:, 10], done = False, 0
    assert training.test()["solved"] == "no"


def test_what_may_follow_must_be_likelier_than_what_may_not(lags, monkeypatch) -> None:
    training = lags.StreamTraining("reber", "lstm", 1, settings(lags))
    streams = training.begin(4)
    _, before, _ = training.grammar.draw(training.rng(0), streams.nodes, 40)
    scores = torch.from_numpy(training.grammar.possible[before]).float()
    scores[1, 5] = 0  # a tie is no preference
    monkeypatch.setattr(training, "network", lambda *_, **__: SimpleNamespace(outputs=scores, state=()))
    right = training.predict(training.rng(0), streams, 40)[1]
    assert not right[1, 5] and right.sum() == 4 * 40 - 1


def test_finished_runs_are_kept(lags, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(lags, "in_fresh_process", lambda *_: {})
    call = [str(tmp_path), "--cell", "lstm", "--cell", "rnn", *SMALL]
    assert lags.main([*call, "--json", str(tmp_path / "all.json")]) == 0
    first = capsys.readouterr().out
    rows = json.loads((tmp_path / "all.json").read_text())["results"]
    assert [(row["task"], row["cell"]) for row in rows] == [("distractors", "lstm"), ("distractors", "rnn"), ("reber", "lstm"), ("reber", "rnn")]
    assert len(json.loads((tmp_path / "reber_lstm_1.json").read_text())["curve"]) == 4
    monkeypatch.setattr(lags, "LagTraining", None)
    assert lags.main(call) == 0 and capsys.readouterr().out == first
    assert lags.main([*call, "--lag", "30"]) == 2
    assert "distractors_lstm_1.json: was made with lag 20, not 30" in capsys.readouterr().err
