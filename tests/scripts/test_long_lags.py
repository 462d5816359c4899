"""The tasks: targets worked out again, strings parsed by a regular expression; the lessons: learnt, interrupted, taken up, tested, not done twice."""

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

from recognizer.errors import InputError

SCRIPTS = Path(__file__).parents[2] / "scripts"
INNER = r"B(?:TS*X(?:XT*VP)*(?:S|XT*VV)|PT*V(?:V|P(?:XT*VP)*(?:S|XT*VV)))E"  # Reber's grammar
SMALL = ["--updates", "4", "--lag", "20", "--batch", "3", "--test", "20", "--stream", "300", "--hidden", "8"]


@pytest.fixture(scope="module")
def here() -> Iterator[SimpleNamespace]:
    """The modules beside the script."""
    sys.path.insert(0, str(SCRIPTS))
    yield SimpleNamespace(**{name: import_module(name) for name in ("lag_tasks", "lag_network", "lag_training", "long_lags")})
    sys.path.remove(str(SCRIPTS))


@pytest.fixture
def main(here, monkeypatch) -> Any:
    monkeypatch.setattr(here.long_lags, "in_fresh_process", lambda *_: {})
    return here.long_lags.main


def settings(here: Any, **changes: Any) -> Any:
    small = {"updates": 8, "rate": 0.01, "hidden": 8, "batch": 3, "lag": 20, "kinds": 5, "test": 20, "stream": 300}
    return here.lag_training.Settings(**small | changes)


def test_marked_numbers_are_added(here) -> None:
    frames, lengths, targets = here.lag_tasks.draw_sums(np.random.default_rng(1), 300, 30)
    assert set(lengths) == set(range(30, 34)) and np.abs(frames[:, :, 0]).max() <= 1
    places: set[int] = set()
    for frame, length, target in zip(frames.astype(float), lengths, targets, strict=True):
        marked = [t for t in range(length) if frame[t, 1] == 1]
        assert frame[0, 1] == frame[length - 1, 1] == -1 and np.count_nonzero(frame[:length, 1]) == 2 + len(marked)
        assert 1 <= len(marked) <= 2 and marked[0] < 15 and (marked[0] < 10 or len(marked) == 1) and length - marked[-1] > 15
        assert target == pytest.approx(0.5 + sum(frame[t, 0] for t in marked) / 4, abs=1e-6)
        places |= set(marked)
    assert places == set(range(1, 15))


def test_the_symbol_to_remember_stands_before_the_distractors(here) -> None:
    frames, lengths, targets = here.lag_tasks.draw_distractors(np.random.default_rng(1), 200, 12, 3)
    assert frames.shape == (200, lengths.max(), 7) and (frames.sum(axis=2) == 1).all()
    for frame, length, target in zip(frames, lengths, targets, strict=True):
        text = "".join("aaaebxy"[symbol] for symbol in frame[:length].argmax(axis=1))
        assert re.fullmatch(f"b{'xy'[int(target)]}a{{12,}}e", text)
    assert 0.3 < targets.mean() < 0.7 and 12 + 3 + 9 - 2 < lengths.mean() < 12 + 3 + 9 + 2


@pytest.mark.parametrize("inner", [1, 3])
def test_streams_are_strings_of_the_embedded_grammar(here, inner) -> None:
    tasks, grammar = here.lag_tasks, here.lag_tasks.embed_grammar(inner)
    string = re.compile(rf"B([TP])(?:{INNER}){{{inner}}}\1E")
    symbols, before, _ = tasks.draw_stream(np.random.default_rng(1), grammar, np.zeros(4, dtype=int), 3000)
    found: list[str] = []
    for stream, nodes in zip(symbols, before, strict=True):
        text, start, ends = "".join(tasks.REBER[symbol] for symbol in stream), 0, []
        while match := string.match(text, start):
            found.append(match.group())
            start = match.end()
            ends.append(start)
            assert match.group()[1] == match.group()[-2]
        assert len(text) - start < 150  # the string that was not finished
        recalled = np.flatnonzero(grammar.recalls[nodes])
        assert set(end - 2 for end in ends) <= set(recalled) <= {end - 2 for end in ends} | set(range(start, 3000))
        for symbol in range(7):  # nothing impossible happens
            assert grammar.possible[nodes[stream == symbol], symbol].all()
    assert {string[1] for string in found} == {"T", "P"} and len(set(found)) > 100
    assert np.mean([len(string) for string in found]) == pytest.approx(4 + 7.5 * inner, abs=0.5 * inner)  # the paper: 11.5
    seen = np.zeros_like(grammar.possible)
    seen[before.ravel(), symbols.ravel()] = True
    assert (seen == grammar.possible).all()


def test_a_stream_goes_on_where_it_stood(here) -> None:
    whole, nodes, _ = here.lag_tasks.draw_stream(np.random.default_rng(3), here.lag_tasks.embed_grammar(), np.zeros(2, dtype=int), 50)
    generator, place, parts = np.random.default_rng(3), np.zeros(2, dtype=int), []
    for steps in (7, 13, 30):
        symbols, before, place = here.lag_tasks.draw_stream(generator, here.lag_tasks.embed_grammar(), place, steps)
        parts.append((symbols, before))
    assert (np.concatenate([part[0] for part in parts], axis=1) == whole).all()
    assert (np.concatenate([part[1] for part in parts], axis=1) == nodes).all()


@pytest.mark.parametrize("cell", ["lstm", "lstm_1997", "coupled", "gru"])
def test_cells_remember_before_they_are_taught(here, cell) -> None:
    network = here.lag_network.Reader(cell, 3, 8, 1, 12.0)
    frames, lengths = torch.randn(2, 50, 3), torch.full((2,), 50)
    held = tuple(torch.rand(2, 8) for _ in network.cell.initial(frames))
    after = network(frames, lengths, held, carry=True).state
    assert torch.allclose(after[-1], held[-1], atol=0.01)


def test_the_control_is_tanh_of_its_inputs_and_itself(here) -> None:
    cell = here.lag_network.Reader("rnn", 2, 3, 1, 0.0).cell.double()
    frames, state = torch.randn(2, 5, 2, dtype=torch.float64), torch.rand(2, 3, dtype=torch.float64)
    done = cell(frames, torch.tensor([5, 2]), (state,), carry=True)
    h, every = state, []
    for t in range(5):
        h = torch.tanh(frames[:, t] @ cell.weight_ih_l0.T + cell.bias_ih_l0 + h @ cell.weight_hh_l0.T + cell.bias_hh_l0)
        every.append(h)
    assert torch.allclose(done.outputs, torch.stack(every, dim=1)) and torch.allclose(done.state[0], torch.stack([every[4][0], every[1][1]]))


def test_a_short_lag_is_learnt_and_the_lesson_ends(here, tmp_path) -> None:
    lesson = here.lag_training.LagLesson("distractors", "lstm_1997", 1, settings(here, updates=300, rate=0.05, batch=16, lag=5, test=200))
    row = lesson.run(tmp_path / "a.pt")
    assert row["solved"] == "yes" and row["wrong_%"] == 0 and row["tested_on"] == 200
    assert row["trained_on"] == 16 * len(row["curve"]) < 16 * 300
    assert all(point[2] == 1 for point in row["curve"][-10:]) and row["curve"][-11][2] < 1


def test_sums_are_learnt_when_two_thousand_in_a_row_were_right(here) -> None:
    lesson = here.lag_training.LagLesson("adding", "gru", 1, settings(here, batch=300, lag=20, test=10))
    lesson.curve = [[300.0, 0.2, 0.9]] + [[300.0, 0.0, 1.0]] * 6
    assert not lesson.knows() and lesson.test()["solved"] == "no"
    lesson.curve.append([300.0, 0.0, 1.0])
    assert lesson.knows() and lesson.test()["solved"] == "yes"


@pytest.mark.parametrize(("task", "cell"), [("distractors", "gru"), ("adding", "lstm"), ("reber", "lstm_1997"), ("reber", "slstm"), ("reber", "rnn")])
def test_an_interrupted_lesson_ends_as_if_it_had_not_been(here, tmp_path, monkeypatch, task, cell) -> None:
    training = here.lag_training
    begin, checkpoint = training.LESSONS[task], tmp_path / "a.pt"
    predict = training.StreamLesson.predict

    def without_mistake(*arguments: Any) -> Any:  # so that streams go on and states are carried
        loss, right, *others = predict(*arguments)
        return loss, np.ones_like(right), *others

    monkeypatch.setattr(training.StreamLesson, "predict", without_mistake)
    whole = begin(task, cell, 2, settings(here)).run(tmp_path / "other.pt")
    monkeypatch.setattr(training, "SAVE_SECONDS", -1)
    cut = begin(task, cell, 2, settings(here))
    learn = cut.learn
    cut.learn = lambda: learn() if len(cut.curve) < 5 else (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        cut.run(checkpoint)
    resumed = begin(task, cell, 2, settings(here))
    row = resumed.run(checkpoint)
    assert len(cut.curve) == 5 and {**row, "cpu_s": 0} == {**whole, "cpu_s": 0}
    with pytest.raises(InputError, match="chunk 64, not 32"):
        begin(task, cell, 2, settings(here, chunk=32)).run(checkpoint)


def test_a_stream_with_a_mistake_starts_again(here, monkeypatch) -> None:
    lesson = here.lag_training.StreamLesson("reber", "lstm", 1, settings(here, chunk=30))
    predict = lesson.predict

    def second_is_right(*arguments: Any) -> Any:
        loss, right, *others = predict(*arguments)
        right[:] = True
        right[[0, 2], [0, 29]] = False
        return loss, right, *others

    monkeypatch.setattr(lesson, "predict", second_is_right)
    for _ in range(2):
        lesson.curve.append(lesson.learn())
    h, c = lesson.carried["state"]
    assert not h[[0, 2]].any() and not c[[0, 2]].any() and c[1].all()
    symbols, nodes = [], np.zeros(3, dtype=int)
    for update in range(2):
        drawn, _, nodes = here.lag_tasks.draw_stream(lesson.generator(update), here.lag_tasks.embed_grammar(), nodes, 30)
        symbols.append(drawn)
        nodes[[0, 2]] = 0
    assert lesson.carried["nodes"].tolist() == nodes.tolist()
    assert lesson.carried["last"].tolist() == [here.lag_tasks.REBER.index("E"), symbols[1][1, -1], here.lag_tasks.REBER.index("E")]


def test_mistakes_in_streams_are_counted(here, monkeypatch) -> None:
    lesson = here.lag_training.StreamLesson("reber", "lstm", 1, settings(here, stream=2000))
    recalls = np.zeros((10, 2000), dtype=bool)
    recalls[:, 9::10] = True
    right, done = np.ones((10, 2000), dtype=bool), 0
    right[0, 500], right[3, 19], right[3, 1999] = False, False, False

    def given(generator: Any, nodes: Any, last: Any, state: Any, steps: int) -> Any:
        nonlocal done
        done += steps
        state = torch.zeros(10, 2), torch.full((10, 2), -float(done))
        return None, right[:, done - steps : done], recalls[:, done - steps : done], nodes, last, state

    monkeypatch.setattr(lesson, "predict", given)
    row = lesson.test()
    assert row["until_mistake"] == pytest.approx((500 + 19 + 8 * 2000) / 10) and row["solved"] == "good" and row["tested_on"] == 20000
    assert row["wrong_%"] == pytest.approx(100 * 2 / 2000) and row["wrong_last_tenth_%"] == pytest.approx(100 / 200)
    assert row["all_wrong_%"] == pytest.approx(100 * 3 / 20000) and (row["c_after_100"], row["c_at_end"]) == (100, 2000)
    right[:, 10], done = False, 0
    assert lesson.test()["solved"] == "no"


def test_what_may_follow_must_be_likelier_than_what_may_not(here, monkeypatch) -> None:
    lesson = here.lag_training.StreamLesson("reber", "lstm", 1, settings(here))
    tasks = here.lag_tasks
    nodes, last = lesson.begin(4)
    _, before, _ = tasks.draw_stream(lesson.generator(0), tasks.embed_grammar(), nodes, 40)
    scores = torch.from_numpy(tasks.embed_grammar().possible[before]).float()
    scores[1, 5] = 0  # a tie is no preference
    monkeypatch.setattr(lesson, "network", lambda *_, **__: SimpleNamespace(outputs=scores, state=()))
    right = lesson.predict(lesson.generator(0), nodes, last, None, 40)[1]
    assert not right[1, 5] and right.sum() == 4 * 40 - 1


def test_done_is_done(here, main, tmp_path, capsys, monkeypatch) -> None:
    call = [str(tmp_path), "--cell", "lstm", "--cell", "rnn", *SMALL]
    assert main([*call, "--json", str(tmp_path / "all.json")]) == 0
    first = capsys.readouterr().out
    rows = json.loads((tmp_path / "all.json").read_text())["results"]
    assert [(row["task"], row["cell"]) for row in rows] == [("distractors", "lstm"), ("distractors", "rnn"), ("reber", "lstm"), ("reber", "rnn")]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "all.json", "distractors_lstm_1.json", "distractors_rnn_1.json", "reber_lstm_1.json", "reber_rnn_1.json"]  # fmt: skip
    assert len(json.loads((tmp_path / "reber_lstm_1.json").read_text())["curve"]) == 4
    monkeypatch.setattr(here.lag_training, "LESSONS", {})
    assert main(call) == 0 and capsys.readouterr().out == first
    assert main([*call, "--lag", "30"]) == 2
    assert "distractors_lstm_1.json: was made with lag 20, not 30" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "start"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml")])
def test_a_figure_is_drawn(main, tmp_path, name, start) -> None:
    pytest.importorskip("matplotlib")
    assert main([str(tmp_path / "runs"), "--cell", "lstm", "--cell", "gru", *SMALL, "--figure", str(tmp_path / name)]) == 0
    assert (tmp_path / name).read_bytes().startswith(start) and sorted(p.name for p in tmp_path.iterdir()) == sorted([name, "runs"])


def test_a_figure_that_cannot_be_drawn_is_said_before_training(main, tmp_path, capsys, monkeypatch) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path / "runs"), "--figure", "a.jpg"])
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main([str(tmp_path / "runs"), *SMALL, "--figure", str(tmp_path / "a.png")]) == 2
    assert "matplotlib" in capsys.readouterr().err and not list((tmp_path / "runs").iterdir())


def test_means_of_what_came_before(here) -> None:
    assert here.long_lags.smooth([1, 2, 6, 1], width=3) == [1, 1.5, 3, 3]
