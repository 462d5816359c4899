from __future__ import annotations

import os
import subprocess
import sys

from recognizer.utils.seeding import item_rng


def draw(*arguments: object) -> int:
    return int(item_rng(*arguments).integers(2**62))  # type: ignore[arg-type]


def test_every_argument_matters_and_nothing_else() -> None:
    keys = [(1, 0, "a"), (2, 0, "a"), (1, 1, "a"), (1, 0, "b"), (1, 0, "a", "masks"), (1, 0, "am", "asks"), (11, 0, "a"), (1, 10, "a"), (-1, 0, "ä")]
    assert len({draw(*key) for key in keys}) == len(keys)
    assert [draw(*key) for key in keys] == [draw(*key) for key in keys]


def test_another_process_draws_the_same() -> None:
    code = "from recognizer.utils.seeding import item_rng as g; print(int(g(5, 7, 'x', 'y').integers(2**62)))"
    results = {subprocess.check_output([sys.executable, "-c", code], text=True, env={**os.environ, "PYTHONHASHSEED": seed}) for seed in ("1", "2")}
    assert {int(r) for r in results} == {draw(5, 7, "x", "y")}
