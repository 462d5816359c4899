"""Shards: every file in one of them, whatever comes and goes, and nothing done twice or left out by jobs that know nothing of each other."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from recognizer.errors import ConfigError, OutputError
from recognizer.jobs.job import plan_jobs
from recognizer.jobs.run import open_results
from recognizer.jobs.shard import Shard


@pytest.fixture
def folder(tones, tmp_path: Path) -> Path:
    """Twelve recordings in two folders."""
    for number in range(12):
        path = tmp_path / "in" / ("s" if number % 3 else ".") / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tones.items()[number].source, path)
    return tmp_path / "in"


def done(outcome) -> list[str]:
    return [event["source"] for event in map(json.loads, outcome.err) if event["event"] == "done"]


def test_every_name_is_in_one_shard_and_shards_are_about_equal() -> None:
    names = [f"speaker{number % 50}/caf\udce9 {number}.wav" for number in range(8000)]
    for count in (1, 3, 8):
        held = Counter(shard for name in names for shard in range(1, count + 1) if Shard(shard, count).holds(name))
        assert held.total() == 8000 and set(held) == set(range(1, count + 1)) and min(held.values()) > 0.85 * 8000 / count
    # what lies on disk must be found again by later versions
    assert [next(shard for shard in range(1, 6) if Shard(shard, 5).holds(name)) for name in ("a.wav", "b.wav", "s/a.wav")] == [5, 4, 2]


@pytest.mark.parametrize(("word", "message"), [
    ("3", "'3' is not I/N, such as 3/8"), ("1/0", "is not I/N"), ("-1/4", "is not I/N"), ("1/2/3", "is not I/N"), ("\u0663/8", "is not I/N"),
    ("0/4", "there is no shard 0/4: of 4 shards the first is 1/4, the last 4/4"), ("5/4", "there is no shard 5/4"),
])  # fmt: skip
def test_words_that_are_no_shard(word: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"--shard: .*{message}"):
        Shard.parse(word)
    assert Shard.parse("4/4") == Shard(4, 4)


def test_files_that_come_or_go_move_no_other(folder: Path) -> None:
    def places() -> dict[str, int]:
        plans = [Shard(index, 4).pick(plan_jobs([str(folder), str(folder / "none.wav")])) for index in range(1, 5)]
        assert sum(len(plan.problems) for plan in plans) == 1  # told once
        return {job.source: index for index, plan in enumerate(plans) for job in plan.jobs}

    before = places()
    (folder / "0.wav").unlink()
    shutil.copy(folder / "3.wav", folder / "00.wav")
    after = places()
    assert len(before) == len(after) == 12
    assert {name: after[name] for name in after if name in before} == {name: before[name] for name in before if name in after}


def test_shards_together_write_what_one_run_writes(cli, speech_run, folder, tmp_path, monkeypatch) -> None:
    words = ("transcribe", "-m", speech_run / "bundle", "--json-log", "-o")

    def run(out: str, count: int, *more: object) -> list[list[str]]:
        return [done(cli(*words, tmp_path / out, folder, *more, "--shard", f"{index}/{count}")) for index in range(1, count + 1)]

    assert cli(*words, tmp_path / "one", folder).code == 0
    parts = run("shards", 3)
    assert sorted(name for part in parts for name in part) == sorted(map(str, folder.rglob("*.wav"))) and all(parts)
    whole, shared = ({path.relative_to(tmp_path / out): path.read_text() for path in (tmp_path / out).rglob("*.txt")} for out in ("one", "shards"))
    assert whole == shared and len(whole) == 12
    # whoever goes on knows what the others did, however the files were divided
    assert done(cli(*words, tmp_path / "shards", folder, "--resume")) == [] and run("shards", 2, "--resume") == [[], []]
    (tmp_path / "shards" / "s" / "5.wav.txt").unlink()
    again = run("shards", 3, "--resume")
    assert [len(part) for part in again] == [int(str(folder / "s" / "5.wav") in part) for part in parts] and sum(map(len, again)) == 1


def test_a_list_on_standard_input_in_any_order(cli, speech_run, folder, monkeypatch) -> None:
    parts = []
    for index in (1, 2):
        names = sorted(map(str, folder.rglob("*.wav")), reverse=index == 2)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join(names).encode())))
        parts.append([line.split("\t")[0] for line in cli("transcribe", "-", "-m", speech_run / "bundle", "-q", "--shard", f"{index}/2").out])
    assert sorted(parts[0] + parts[1]) == sorted(map(str, folder.rglob("*.wav"))) and all(parts)


def test_which_runs_may_share_a_folder(tmp_path: Path) -> None:
    hold = "import sys; from recognizer.jobs.run import open_results; from recognizer.jobs.shard import Shard\n" \
        "with open_results(sys.argv[1], Shard.parse(sys.argv[2]) if sys.argv[2:] else None): print('open', flush=True); sys.stdin.read()"  # fmt: skip
    out = tmp_path / "out"
    for held, allowed, refused in ((["1/3"], ["2/3", "3/3"], ["1/3", "1/2", None]), ([], [], [None, "1/3"])):
        with subprocess.Popen([sys.executable, "-c", hold, out, *held], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None and process.stdout.readline() == "open\n"
            for word in allowed:
                with open_results(out, Shard.parse(word)) as results:
                    assert results.state == out / ".recognizer" / word.replace("/", "-of-")
            for other in refused:
                part = " of shard 1/3" if held else ""
                message = f"^{out}: another run{part}, process {process.pid}, is writing its results there; wait until it ends, or name another"
                with pytest.raises(OutputError, match=message), open_results(out, Shard.parse(other) if other else None):
                    pass
            process.communicate("")
    with open_results(out):
        pass  # nothing of all that is left behind


def test_what_does_not_go_with_a_shard(cli, speech_run, folder, tmp_path) -> None:
    bundle = speech_run / "bundle"
    outcome = cli("transcribe", folder, "-m", bundle, "-o", tmp_path / "out", "--shard", "9/8")
    assert outcome.code == 2 and "there is no shard 9/8" in outcome.err[0] and not (tmp_path / "out").exists()
    outcome = cli("transcribe", "--stdin-audio", "-m", bundle, "--shard", "1/2")
    assert outcome.code == 2 and "--stdin-audio is a single recording" in outcome.err[0]
    few = [cli("transcribe", folder / "0.wav", "-m", bundle, "--shard", f"{index}/2", "--errors", tmp_path / "e.tsv") for index in (1, 2)]
    assert [outcome.code for outcome in few] == [0, 0] and sorted(len(outcome.out) for outcome in few) == [0, 1]
    assert (tmp_path / "e.1-of-2.tsv").exists() and (tmp_path / "e.2-of-2.tsv").exists() and not (tmp_path / "e.tsv").exists()
