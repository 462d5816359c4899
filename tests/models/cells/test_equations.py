"""The cells that have a kernel of their own against their equations."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from tests.models.cells import helpers
from tests.models.cells.references import CASES, make

every_case = pytest.mark.parametrize("name", CASES)


@pytest.mark.parametrize(("name", "zoneout"), [(name, zoneout) for name in CASES for zoneout in (0.0, 0.3) if not zoneout or name != "slstm"])
def test_equals_the_equations_forward_and_backward(name: str, zoneout: float) -> None:
    cell = make(name, zoneout=zoneout)
    helpers.check_equations(cell, CASES[name].step(cell))


@every_case
def test_gradients(name: str) -> None:
    helpers.check_gradients(make(name, CASES[name].few))


@every_case
def test_plain_step(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = make(name)
    helpers.check_plain(monkeypatch, cell, import_module(type(cell).__module__).KERNEL)


@every_case
def test_float32(name: str) -> None:
    helpers.check_float32(make(name, CASES[name].many))


@every_case
def test_runs(name: str, tmp_path: Path) -> None:
    helpers.check_runs(make(name), tmp_path, CASES[name].coarse)
