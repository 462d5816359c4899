"""Compiled code where nothing can be kept, where what was kept is damaged, and what is said of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from recognizer.utils import compiling
from recognizer.utils.compiling import announce_compiling, compiled, temporary_cache

SOURCE = "from recognizer.utils.compiling import compiled\n\n@compiled\ndef twice(x):\n    return 2 * x\n"
WITHOUT_FOLDERS = """
import numba.core.caching as caching, os, sys
for locator in (caching.InTreeCacheLocator, caching.UserWideCacheLocator, caching.IPythonCacheLocator):
    locator.from_function = classmethod(lambda cls, *rest: None)  # as if neither the package nor the home could be written to
import numpy as np
from recognizer.utils.compiling import announce_compiling
announce_compiling(print)
from recognizer.decoding.confidence import kept_weight
print(kept_weight(np.array([1, 2]), np.array([1]), np.array([1]), np.array([0.5])).tolist())
print(os.environ.get("NUMBA_CACHE_DIR"))
"""


@pytest.fixture(autouse=True)
def nothing_stays(monkeypatch: pytest.MonkeyPatch):
    """Neither what is told nor where the cache lies outlives a test."""
    import numba

    monkeypatch.setattr(numba.config, "CACHE_DIR", numba.config.CACHE_DIR)
    monkeypatch.setenv("NUMBA_CACHE_DIR", os.environ.get("NUMBA_CACHE_DIR", ""))
    yield
    announce_compiling(None)


def run(script: str, temporary: Path) -> list[str]:
    environment = {key: value for key, value in os.environ.items() if key not in ("HOME", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    environment |= {"TMPDIR": str(temporary), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_without_any_folder_of_its_own_the_cache_lies_among_temporary_files(tmp_path: Path) -> None:
    first, again = (run(WITHOUT_FOLDERS, tmp_path) for _ in range(2))
    folder = tmp_path / f"recognizer-{os.getuid() if hasattr(os, 'getuid') else 'cache'}"
    assert first == ["compiling the decoder, once on this machine ...", "[0.5, 0.0]", str(folder)]
    assert again == first[1:]  # and is used the next time
    assert list(folder.rglob("confidence.kept_weight*.nbc"))


def test_without_temporary_files_either_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / f"recognizer-{os.getuid() if hasattr(os, 'getuid') else 'cache'}").write_text("in the way")
    for _ in range(2):
        told, found, where = run(WITHOUT_FOLDERS, tmp_path)
        assert told.startswith("compiling the decoder, each time, as there is no folder") and found == "[0.5, 0.0]" and where == "None"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="to root permissions are no hindrance")
def test_a_read_only_package_without_a_home_works(tmp_path: Path) -> None:
    left_out = shutil.ignore_patterns("bundles", "__pycache__")
    package = shutil.copytree(Path(compiling.__file__).parents[1], tmp_path / "site" / "recognizer", ignore=left_out)
    for folder in [package, *(path for path in package.rglob("*") if path.is_dir())]:
        folder.chmod(0o555)
    (tmp_path / "temporary").mkdir()
    script = f"import sys; sys.path.insert(0, {str(package.parent)!r}); import recognizer.decoding.beam_kernel as kernel; print(kernel.__file__)"
    assert run(script, tmp_path / "temporary") == [str(package / "decoding" / "beam_kernel.py")]
    for folder in [package, *(path for path in package.rglob("*") if path.is_dir())]:
        folder.chmod(0o755)


def test_a_temporary_folder_of_others_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = temporary_cache()
    assert folder is not None and folder.parent == tmp_path
    if os.name == "posix":
        assert folder.stat().st_mode & 0o777 == 0o700
        folder.chmod(0o777)
        assert temporary_cache() is None
        folder.rmdir()
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "elsewhere")
        assert temporary_cache() is None


def test_where_no_folder_can_be_written_to_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "gettempdir", fail)
    assert temporary_cache() is None


def load(folder: Path):
    """The function of a module written to a folder, as a new process would have it."""
    (folder / "doubling.py").write_text(SOURCE)
    os.utime(folder / "doubling.py", (1, 1))
    names: dict[str, object] = {"__name__": "recognizer.decoding.doubling"}
    exec(compile(SOURCE, str(folder / "doubling.py"), "exec"), names)
    return names["twice"]


def test_a_damaged_or_full_cache_costs_only_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    announce_compiling(told.append)
    assert load(tmp_path)(3) == 6 and told == ["compiling the decoder, once on this machine ..."]
    announce_compiling(told.append)
    assert load(tmp_path)(4) == 8 and len(told) == 1  # kept
    for path in (tmp_path / "__pycache__").iterdir():
        path.write_bytes(path.read_bytes()[:20])
    assert load(tmp_path)(5) == 10 and len(told) == 2

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numba.core.caching.IndexDataCacheFile.save", full)
    assert load(tmp_path)(2.5) == 5.0


def test_nothing_is_said_unless_asked_for(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert load(tmp_path)(np.float32(1.5)) == 3.0
    assert capfd.readouterr() == ("", "")


def test_all_kernels_are_compiled_in_this_way() -> None:
    package = Path(compiling.__file__).parents[1]
    users = [path.relative_to(package).as_posix() for path in package.rglob("*.py") if "njit" in path.read_text(encoding="utf-8")]
    assert users == ["utils/compiling.py"]


def test_options_of_the_compiler_are_passed_on() -> None:
    @compiled(error_model="numpy")
    def divide(x: float, y: float) -> float:
        return x / y

    assert divide(1.0, 0.0) == float("inf")


def test_the_command_line_tells_and_quiet_does_not(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    from recognizer.cli import main

    told = []
    monkeypatch.setattr(main, "announce_compiling", told.append)
    for words in (["transcribe", "none.xyz"], ["transcribe", "none.xyz", "-q"]):
        assert main.main(words) in (1, 2)  # there is no such file
    said, quiet = told
    capfd.readouterr()
    said("compiling the decoder")
    assert quiet is None and capfd.readouterr().err == "recognizer: compiling the decoder\n"
