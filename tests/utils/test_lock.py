"""A lock that ends with the process that holds it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from recognizer.errors import OutputError, TrainingError
from recognizer.utils.lock import locked

HOLD = "import sys, time; from pathlib import Path; from recognizer.utils.lock import locked\n" \
    "with locked(Path(sys.argv[1]), 'busy'): print('locked', flush=True); time.sleep(60)"  # fmt: skip


def test_another_process_is_kept_out_until_this_one_ends(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "locked\n"
        with pytest.raises(TrainingError, match=f"^taken by {process.pid}$"), locked(path, "taken by %s", TrainingError):
            pass
        process.kill()
    assert path.read_text() == f"{process.pid}\n"  # left behind
    with locked(path, "busy"):
        assert path.read_text() == f"{os.getpid()}\n"
    assert not path.exists()


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"none/lock: cannot be written: No such file or directory"), locked(tmp_path / "none" / "lock", "busy"):
        pass
