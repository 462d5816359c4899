"""Mean and deviation of runs by hand, and the warning about runs that cannot be compared."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "summarize_runs.py"


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("summarize_runs", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def save(folder: Path, rates: dict[str, float], **changes: Any) -> Path:
    folder.mkdir()
    record = {"level": "units", "manifest": "test.jsonl", "items": 192, "decoding": {"kind": "greedy"},
        "rates": {name: {"rate": rate, "errors": 1} for name, rate in rates.items()}, "protocol": {"fingerprint": "strict 1"}} | changes  # fmt: skip
    (folder / "scores.json").write_text(json.dumps(record))
    return folder


def test_mean_and_deviation_of_three_runs(script, tmp_path, capsys) -> None:
    runs = [save(tmp_path / str(n), {"PER": rate, "WER": 0.5}) for n, rate in enumerate((0.18, 0.19, 0.21))]
    assert script.main([str(runs[0]), str(runs[1] / "scores.json"), str(runs[2])]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "PER 19.33 % +- 1.53 (3 runs, 18.00 to 21.00)", "WER 50.00 % +- 0.00 (3 runs, 50.00 to 50.00)"]
    assert script.main(["--json", *map(str, runs)]) == 0
    rates = json.loads(capsys.readouterr().out)["rates"]
    assert rates["PER"]["mean"] == pytest.approx(0.58 / 3) and rates["PER"]["deviation"] == pytest.approx((7 / 3 * 1e-4) ** 0.5)


def test_a_single_run_has_no_deviation(script, tmp_path, capsys) -> None:
    assert script.main([str(save(tmp_path / "a", {"CER": 0.05}))]) == 0
    assert capsys.readouterr().out == "CER 5.00 % (1 run, 5.00 to 5.00)\n"


@pytest.mark.parametrize(("change", "said"), [
    ({"manifest": "dev.jsonl"}, "manifest"), ({"decoding": {"kind": "beam"}}, "decoding"), ({"protocol": None}, "fingerprint"),
    ({"items": 3}, "items"),
])
def test_runs_that_were_scored_differently_are_reported(script, tmp_path, capsys, change, said) -> None:
    runs = [save(tmp_path / "a", {"PER": 0.2}), save(tmp_path / "b", {"PER": 0.3}, **change)]
    assert script.main([str(run) for run in runs]) == 1
    printed = capsys.readouterr()
    assert f"differ in {said}" in printed.err and printed.out.startswith("PER 25.00 %")


def test_a_file_without_scores_is_named(script, tmp_path, capsys) -> None:
    (tmp_path / "scores.json").write_text('{"rates": 3}')
    for path in (tmp_path, tmp_path / "none"):
        assert script.main([str(path)]) == 2
        assert str(path) in capsys.readouterr().err


def test_folders_of_runs_have_their_validation_error(script, speech_run: Path, tmp_path: Path, capsys) -> None:
    best = json.loads((speech_run / "log.jsonl").read_text().splitlines()[-1])["best"]
    assert script.main([str(speech_run), str(speech_run)]) == 0
    assert capsys.readouterr().out == f"validation error {100 * best:.2f} % +- 0.00 (2 runs, {100 * best:.2f} to {100 * best:.2f})\n"
    assert script.main([str(speech_run), str(save(tmp_path / "scored", {"CER": 0.05}))]) == 1  # scores are something else
    (tmp_path / "log.jsonl").write_text("")
    assert script.main([str(tmp_path)]) == 2 and "holds no epoch of a training" in capsys.readouterr().err
