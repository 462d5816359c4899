"""Bulk recognition: what is read from folders, lists and tables, rows of results, and a run on a local Ray whose actor is killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from recognizer import bulk
from recognizer.config import DecoderConfig
from recognizer.errors import ConfigError, InputError
from recognizer.inference.recognizer import Recognizer
from recognizer.jobs.bulk import BulkSettings, Place, recognize_rows, write_names

pytest.importorskip("fsspec")


@pytest.fixture
def recordings(tones, tmp_path: Path) -> Path:
    """Two hundred recordings in three folders, and one that holds no sound."""
    for number in range(200):
        path = tmp_path / "in" / f"{number % 3}" / f"{number:03d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tones.items()[number % 24].source, path)
    (tmp_path / "in" / "void.wav").touch()
    (tmp_path / "in" / "notes.txt").touch()
    return tmp_path / "in"


def test_names_in_folders_and_lists(recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = sorted(map(str, recordings.rglob("*.wav")))
    assert sorted(Place.of(recordings).files({".wav"})) == wanted == sorted(Place.of(f"file://{recordings}").files({".wav"}))
    assert list(Place.of(wanted[0]).files({".wav"})) == wanted[:1]
    listed = tmp_path / "list.jsonl"
    lines = [{"source": "in/void.wav"}, {"path": wanted[3]}, {"id": "a", "source": "s3://bucket/x.wav", "meta": {}}, {"path": "in/void.wav"}]
    listed.write_text("\ufeff" + "\n\n".join(map(json.dumps, lines)) + "\n")
    names = [str(tmp_path / "in" / "void.wav"), wanted[3], "s3://bucket/x.wav"]  # each once
    assert list(Place.of(listed).listed()) == names
    monkeypatch.setattr("recognizer.jobs.bulk._digest_name", lambda name: 7)  # all names have the same digest
    assert list(Place.of(listed).listed()) == names
    listed.write_text('{"source": "a.wav"}\n{"id": "b"}\n')
    with pytest.raises(InputError, match=r"list\.jsonl:2: expected a JSON object with the key 'source' or 'path'"):
        list(Place.of(listed).listed())
    with pytest.raises(InputError, match=r"nosuch://x: cannot be opened"):
        Place.of("nosuch://x")


def test_rows_of_files_here_and_of_bytes(speech_run: Path, tones, tmp_path: Path) -> None:
    recognizer, settings = Recognizer.load(speech_run / "bundle", "cpu", threads=1), BulkSettings("toy", times=True)
    items = tones.items()[:2]
    names = [str(items[0].source), "s3://bucket/b.wav", "s3://bucket/none.wav", str(tmp_path / "none.wav")]
    contents = [None, items[1].source.read_bytes(), None, None]
    problems = [None, None, "s3://bucket/none.wav: no such file", None]
    rows = recognize_rows(recognizer, {"source": names, "content": contents, "problem": problems}, settings)
    found = {row["source"]: row for row in rows}
    assert len(rows) == 4 and set(found) == set(names)
    assert [found[name]["text"] for name in names[:2]] == [item.text for item in items]
    assert found[names[1]]["words"][0]["confidence"] > 0
    assert found[names[2]]["error"] == problems[2] and str(tmp_path / "none.wav") in found[names[3]]["error"]


def test_results_of_other_settings_are_not_mixed(tmp_path: Path) -> None:
    Place.of(tmp_path / "out").keep_settings("a")
    Place.of(tmp_path / "out").keep_settings("a")
    with pytest.raises(ConfigError, match="out: holds results of another model or of other settings; name another folder"):
        Place.of(tmp_path / "out").keep_settings("b")


def test_without_ray_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "recognizer.jobs.bulk_ray", raising=False)
    with pytest.raises(ConfigError, match=r"needs Ray Data .* pip install 'recognizer\[ray\]'"):
        bulk(tmp_path, tmp_path / "out", "toy")


def test_names_as_tables(tmp_path: Path) -> None:
    table = pytest.importorskip("pyarrow.parquet")
    assert write_names((f"n{number}" for number in range(10)), tmp_path, rows=4) == 10
    parts = [table.read_table(path)["source"].to_pylist() for path in sorted(tmp_path.glob("*.parquet"))]
    assert list(map(len, parts)) == [4, 4, 2] and [name for part in parts for name in part] == [f"n{number}" for number in range(10)]
    assert Place.of(tmp_path).table() == str(tmp_path) and Place.of(tmp_path / "x.jsonl").table() is None


@pytest.fixture(scope="module")
def ray_here():
    """A Ray of this process alone, of four processor cores as it believes."""
    ray = pytest.importorskip("ray")
    ray.init(address=os.environ.get("RAY_ADDRESS"), **({} if "RAY_ADDRESS" in os.environ else {"num_cpus": 4, "include_dashboard": False}),
             log_to_driver=False, logging_level="ERROR")  # fmt: skip
    yield ray
    ray.shutdown()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="finds an actor's process in /proc")
def test_a_killed_actor_costs_no_result(ray_here, speech_run: Path, recordings: Path, tones, tmp_path: Path) -> None:
    import pyarrow.dataset

    killer = subprocess.Popen([sys.executable, "-c", KILLER, str(tmp_path / "killed"), str(tmp_path / "out")])
    found = bulk(recordings, tmp_path / "out", speech_run / "bundle", actors=2, batch=8, file_rows=16, decoder=DecoderConfig())
    killer.send_signal(signal.SIGTERM)
    killer.wait()
    assert (tmp_path / "killed").read_text().isdecimal() and (found.rows, found.failed) == (201, 1)
    files = sorted((tmp_path / "out").glob("*.parquet"))
    table = pyarrow.dataset.dataset(files).to_table()
    texts = dict(zip(table["source"].to_pylist(), table["text"].to_pylist(), strict=True))
    assert len(texts) == 201 and all(texts[str(recordings / f"{n % 3}" / f"{n:03d}.wav")] == tones.items()[n % 24].text for n in range(200))
    errors = dict(zip(table["source"].to_pylist(), table["error"].to_pylist(), strict=True))
    assert "the file is empty" in errors[str(recordings / "void.wav")] and len(files) < 25
    # the same call does what is new, and nothing twice
    shutil.copy(tones.items()[0].source, recordings / "new.wav")
    assert bulk(recordings, tmp_path / "out", speech_run / "bundle", actors=2, batch=8, file_rows=16, decoder=DecoderConfig()).rows == 202
    assert set(files) <= set((tmp_path / "out").glob("*.parquet"))
    with pytest.raises(ConfigError, match="other settings"):
        bulk(recordings, tmp_path / "out", speech_run / "bundle", n_best=2, decoder=DecoderConfig())


KILLER = """
import os, pathlib, signal, sys, time
while True:
    ready = any(pathlib.Path(sys.argv[2]).glob("*.parquet"))  # in the middle of the work
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if ready and words.startswith(b"ray::MapWorker(MapBatches(Worker)"):
            pathlib.Path(sys.argv[1]).write_text(path.parent.name)
            os.kill(int(path.parent.name), signal.SIGKILL)
            sys.exit()
    time.sleep(0.05)
"""
