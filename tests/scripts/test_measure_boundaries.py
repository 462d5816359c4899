"""Times against hand-made ones: errors and shares worked out by hand, and what cannot be compared."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from recognizer.data.manifest import Item
from recognizer.inference.align import Aligned
from recognizer.types import Token, Transcript, Word

SCRIPT = Path(__file__).parents[2] / "scripts" / "measure_boundaries.py"


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("measure_boundaries", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def item(name: str, *times: tuple[float, float, str]) -> Item:
    return Item(name, Path(f"{name}.wav"), units=tuple(label for *_, label in times), meta={"phones": list(times), "words": [(0.1, 0.5, "ab")]})


ITEMS = [item("one", (0.1, 0.2, "A"), (0.2, 0.4, "B")), item("two", (0.0, 0.1, "A")), item("three", (0.0, 0.1, "A"))]
TRANSCRIPTS = [
    Transcript("one", "A B", tokens=(Token("A", 0.115, 0.19), Token("B", 0.18, 0.46)), words=(Word("ab", 0.1, 0.525),)),
    Transcript("two", "A B", tokens=(Token("A", 0.0, 0.1), Token("B", 0.1, 0.2))),  # other labels than those with times
    Transcript("three", error="unreadable"),
]


@pytest.mark.parametrize(("level", "starts", "ends"), [("units", [15.0, -20.0], [-10.0, 60.0]), ("characters", [0.0], [25.0])])
def test_errors_are_milliseconds_that_times_come_late(script, monkeypatch, level: str, starts: list[float], ends: list[float]) -> None:
    monkeypatch.setattr(script, "align", lambda _, items: [Aligned(i.id, t) for i, t in zip(items, TRANSCRIPTS, strict=True)])
    errors = script.find_errors(SimpleNamespace(alphabet=SimpleNamespace(level=level)), ITEMS)
    assert errors == {"start": pytest.approx(starts), "end": pytest.approx(ends)}


def test_shares_and_means(script) -> None:
    row = script.describe([15.0, -20.0, 4.0, 60.0])
    assert [row[f"within_{limit}"] for limit in (10, 20, 30, 50)] == [0.25, 0.75, 0.75, 0.75]
    assert (row["mean_absolute"], row["median"], row["count"]) == (24.75, 9.5, 4)


def test_what_cannot_be_read_is_said(script, tmp_path, capsys) -> None:
    assert script.main([str(tmp_path / "none"), str(tmp_path / "none.jsonl")]) == 2
    assert "none" in capsys.readouterr().err
