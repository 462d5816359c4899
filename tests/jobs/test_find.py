"""Which files are meant by names, folders, patterns, lists, manifests and projects, and what is said of the others."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from recognizer.data.manifest import Item, save_manifest
from recognizer.jobs.find import read_list
from recognizer.jobs.job import Plan, plan_jobs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Recordings beside files of other kinds."""
    made = tmp_path / "in"
    (made / "sub" / "folder.wav").mkdir(parents=True)
    for name in ("b.wav", "a.wav", "C.WAV", "sub/d.wav", "notes.txt", "more.txt", "README", "page.xml"):
        (made / name).write_text("x")
    return made


def sources(plan: Plan, below: Path | None = None) -> list[str]:
    return [job.source if below is None else Path(job.source).relative_to(below).as_posix() for job in plan.jobs]


def test_folders_stand_for_what_is_in_them_and_the_rest_is_counted(folder: Path) -> None:
    plan = plan_jobs([str(folder)], "audio")
    assert sources(plan, folder) == ["C.WAV", "a.wav", "b.wav", "sub/d.wav"]
    assert plan.notes == [f"{folder}: 4 files of other kinds passed over (2 .txt, 1 without ending, 1 .xml)"] and plan.problems == []
    assert sorted(Path(name).name for name in plan.passed_over) == ["README", "more.txt", "notes.txt", "page.xml"]
    (folder / "gone.wav").symlink_to("nowhere")
    assert "gone.wav" in sources(plan_jobs([str(folder)], "audio"), folder)


def test_a_folder_without_anything_readable_is_a_problem(folder: Path, tmp_path: Path) -> None:
    assert plan_jobs([str(folder)], "line").problems == [
        (str(folder), f"{folder}: no line images found (4 .wav, 2 .txt, 1 without ending, 1 .xml)")
    ]
    (tmp_path / "empty").mkdir()
    assert plan_jobs([str(tmp_path / "empty")]).problems[0][1] == f"{tmp_path / 'empty'}: no recordings or images found"


def test_patterns_lists_and_files_keep_their_order(folder: Path, monkeypatch) -> None:
    (folder / "x[1].wav").touch()
    monkeypatch.chdir(folder)
    words = ["[ab].wav", "b.wav", "sub", "*.WAV", "x[1].wav", "none*.wav", "none.wav", "**/d.wav", "b.wav"]
    plan = plan_jobs(words, "audio")
    assert sources(plan) == ["a.wav", "b.wav", "b.wav", "sub/d.wav", "C.WAV", "x[1].wav", "sub/d.wav", "b.wav"]
    assert plan.problems == [(name, f"{name}: no such file") for name in ("none*.wav", "none.wav")]
    assert sources(plan_jobs(words, "audio", once=True)) == ["a.wav", "b.wav", "sub/d.wav", "C.WAV", "x[1].wav"]


def test_the_name_decides_where_no_kind_is_wanted(folder: Path, tmp_path: Path) -> None:
    for name in ("l.png", "p.inkml", "m.m4a", "n.webm", "o.amr"):
        (folder / name).touch()
    plan = plan_jobs([str(folder), str(folder / "page.xml"), str(folder / "notes.txt"), str(tmp_path / "no.abc")])
    kinds = {Path(job.source).name: job.modality for job in plan.jobs}
    assert kinds["a.wav"] == kinds["m.m4a"] == kinds["n.webm"] == kinds["o.amr"] == "audio"
    assert kinds["l.png"] == "line" and kinds["p.inkml"] == kinds["page.xml"] == "strokes"  # named itself; in a folder it is passed over
    assert [message for _, message in plan.problems] == [
        f"{folder / 'notes.txt'}: its name does not tell whether it is a recording or an image; name a model with -m",
        f"{tmp_path / 'no.abc'}: no such file",
    ]
    assert sources(plan_jobs([str(folder / "notes.txt")], "audio")) == [str(folder / "notes.txt")]  # what a named model reads is tried


def test_linked_folders_are_followed_once(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "e.wav").touch()
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "again").symlink_to(folder / "sub")
    (folder / "sub" / "loop").symlink_to(folder)
    plan = plan_jobs([str(folder)], "audio")
    assert sources(plan, folder) == ["C.WAV", "a.wav", "b.wav", "linked/e.wav", "sub/d.wav"]
    told = [line for line in plan.notes if "read already" in line]
    assert told == [f"{folder / name}: leads to a folder that is read already" for name in ("again", "sub/loop")]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_in_a_folder_are_named_and_one_that_is_named_itself_is_read(folder: Path) -> None:
    os.mkfifo(folder / "live.wav")
    plan = plan_jobs([str(folder)], "audio")
    assert "live.wav" not in sources(plan, folder) and plan.notes[0].startswith(f"{folder / 'live.wav'}: is a pipe or a device")
    os.mkfifo(folder / "live")
    assert [job.modality for job in plan_jobs([str(folder / "live")]).jobs] == ["audio"]
    refused = plan_jobs([str(folder / "live")], "line")
    assert refused.jobs == [] and refused.problems[0][1].endswith("is a pipe, from which recordings only are read; write it to a file first")


def test_a_folder_that_cannot_be_read_is_a_problem(folder: Path, monkeypatch) -> None:
    scan = os.scandir

    def refuse(name: str) -> object:
        if str(name) == str(folder / "sub"):
            raise PermissionError(13, "Permission denied", name)
        return scan(name)

    monkeypatch.setattr("recognizer.jobs.find.os.scandir", refuse)
    plan = plan_jobs([str(folder)], "audio")
    assert plan.problems == [(str(folder / "sub"), f"{folder / 'sub'}: cannot be read (Permission denied)")] and len(plan.jobs) == 3


def test_the_folder_of_results_is_not_searched(folder: Path) -> None:
    (folder / "out" / "deep").mkdir(parents=True)
    (folder / "out" / "deep" / "x.wav").touch()
    assert "out/deep/x.wav" not in sources(plan_jobs([str(folder)], "audio", str(folder / "out")), folder)
    assert "out/deep/x.wav" in sources(plan_jobs([str(folder)], "audio", str(folder)), folder)


def test_a_manifest_stands_for_its_sources(folder: Path, tmp_path: Path) -> None:
    items = [Item("1", folder / "a.wav"), Item("2", folder / "sub" / "d.wav"), Item("3", folder / "a.wav"), Item("4", folder / "gone.wav")]
    save_manifest(items, tmp_path / "list.jsonl")
    (tmp_path / "list.jsonl").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "list.jsonl").read_bytes())
    plan = plan_jobs([str(tmp_path / "list.jsonl")])
    assert [job.output for job in plan.jobs] == ["in/a.wav", "in/sub/d.wav"]
    assert [message for _, message in plan.problems] == [f"{folder / 'gone.wav'}: no such file"]
    (tmp_path / "bad.jsonl").write_text("{")
    assert plan_jobs([str(tmp_path / "bad.jsonl")]).problems[0][1].startswith(f"{tmp_path / 'bad.jsonl'}:1: not JSON")


def test_a_project_stands_for_its_sources(tmp_path: Path) -> None:
    from recognizer.data.project import Project

    Project.create(tmp_path / "mine")
    (tmp_path / "mine" / "sources" / "s.wav").touch()
    (tmp_path / "mine" / "other.wav").touch()
    assert [(job.source, job.output) for job in plan_jobs([str(tmp_path / "mine")]).jobs] == [(str(tmp_path / "mine" / "sources" / "s.wav"), "s.wav")]


@pytest.mark.parametrize(
    ("data", "names"),
    [(b"\xef\xbb\xbfa.wav\r\n\r\nb c.wav\r\n", ["a.wav", "b c.wav"]), (b"a\nb.wav\0c.wav\0", ["a\nb.wav", "c.wav"]), (b"\xff.wav", ["\udcff.wav"])],
)
def test_lists_of_any_origin(monkeypatch, data: bytes, names: list[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
    assert read_list() == names
