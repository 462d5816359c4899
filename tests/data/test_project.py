from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recognizer.data.manifest import load_manifest
from recognizer.data.project import Project, is_project, model_in_use, read_corrections
from recognizer.data.project_files import content_id, lock_folder, safe_folders, safe_name
from recognizer.errors import InputError, ManifestError, RecognizerWarning
from recognizer.types import Alternative, Line, Token, Transcript, Word


def _add(project: Project, name: str, content: bytes, folder: Path) -> str:
    upload = folder / "upload"
    upload.write_bytes(content)
    return project.add_source(upload, name, move=True)[0].id


@pytest.mark.parametrize(("name", "safe"), [
    ("../../etc/passwd", "passwd"), ("a\\b\\c.wav", "c.wav"), ("..", "unnamed"), ("", "unnamed"), (".hidden.png", "hidden.png"),
    ("CON.wav", "_CON.wav"), ("<script>alert(1)</script>.png", "script_.png"), ("a\x00b\n.wav", "a_b_.wav"), ("x" * 300 + ".wav", "x" * 80 + ".wav"),
    ("évènement.png", "évènement.png"), ("gnp.\u202eabc.wav", "gnp._abc.wav"), ("bad\udcff.wav", "bad_.wav"),
])  # fmt: skip
def test_a_name_becomes_safe_and_keeps_its_ending(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_folders_of_a_name_become_safe() -> None:
    assert safe_folders("/book A/../page:1/line.png") == ["book A", "page_1"]


def test_a_project_is_made_once_and_refuses_a_folder_of_something_else(tmp_path: Path) -> None:
    folder = tmp_path / "letters"
    assert not is_project(folder)
    Project.create(folder).use_model("line", "handwriting-fr")
    assert is_project(folder) and Project.create(folder).models == {"line": "handwriting-fr"}
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.doc").write_text("x")
    with pytest.raises(InputError, match="holds files and is no project"):
        Project.create(other)
    with pytest.raises(InputError, match=r"project\.json"):
        Project(other)


def test_a_project_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    folder = Project.create(tmp_path / "p").folder
    (folder / "project.json").write_text(json.dumps({"format": "recognizer project", "version": 2, "models": {}}))
    with pytest.raises(InputError, match="made by a newer program"):
        Project(folder)


def test_sources_keep_names_and_folders_and_the_same_content_is_kept_once(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "p")
    first = _add(project, "book/../page 1.png", b"one", tmp_path)
    assert first == _add(project, "copy.png", b"one", tmp_path)
    second = _add(project, "page 1.png", b"two", tmp_path)
    (project.folder / "sources" / "own.wav").write_bytes(b"three")  # copied there by somebody
    (project.folder / "sources" / "notes.txt").write_bytes(b"no source")
    found = {source.id: source for source in project.sources()}
    assert len(found) == 3 and not list(tmp_path.glob("upload"))
    assert (found[first].name, found[first].group, found[first].modality) == ("page 1.png", "book", "line")
    assert found[first].path.read_bytes() == b"one" and found[second].group is None
    own = found[content_id(project.folder / "sources" / "own.wav")]
    assert (own.name, own.modality) == ("own.wav", "audio")


def test_a_file_is_copied_and_stays_where_it_is_unless_it_is_to_be_moved(tmp_path: Path) -> None:
    project, file = Project.create(tmp_path / "p"), tmp_path / "mine.png"
    file.write_bytes(b"one")
    source, new = project.add_source(file)
    assert new and source.name == "mine.png" and source.path.read_bytes() == file.read_bytes() == b"one"
    assert project.add_source(file, "again.png") == (source, False) and file.exists()
    assert project.add_source(file, "again.png", move=True) == (source, False) and not file.exists()
    assert [path.name for path in source.path.parent.iterdir()] == [source.path.name]


def test_a_file_of_unknown_kind_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "p")
    with pytest.raises(InputError, match=r"page\.exe: its ending does not tell"):
        _add(project, "page.exe", b"MZ", tmp_path)
    assert list((project.folder / "sources").iterdir()) == []


def test_a_transcript_comes_back_as_it_was(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "p")
    source_id = _add(project, "a.png", b"x", tmp_path)
    (source,) = project.sources()
    line = Line("line_1", ((0.0, 0.0), (9.0, 0.0), (9.0, 5.0)), text="ab", words=(Word("ab", 0.0, 9.0, 0.5, (0.0, 0.0, 9.0, 5.0)),))
    transcript = Transcript(str(source.path), "ab", ("a", "b"), -1.5, tokens=(Token("a", 0.0, 1.0, 0.9),), words=(Word("ab", 0.0, 2.0, None),),
                            alternatives=(Alternative("ac", -2.0),), lines=(line,), width=9, height=5)  # fmt: skip
    project.save_reading(source_id, source.path, "m", transcript)
    reading = project.reading(source_id)
    assert reading is not None and reading.model == "m"
    assert reading.transcript == Transcript(**{**vars(transcript), "source": f"sources/{source.path.name}"})
    (project.folder / "transcripts" / f"{source_id}.json").write_text("{")
    with pytest.warns(RecognizerWarning, match="is damaged"):
        assert project.reading(source_id) is None


def test_corrections_are_kept_with_what_was_before_and_can_be_taken_back(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "p")
    source_id = _add(project, "a.png", b"x", tmp_path)
    (source,) = project.sources()
    project.correct(source_id, source.path, "first", read="fist", model="m")
    project.correct(source_id, source.path, "second", read="other", model="n")
    project.correct(source_id, source.path, "second")
    correction = Project(project.folder).correction(source_id)
    assert correction is not None
    assert (correction.text, correction.read, correction.model, [e["text"] for e in correction.earlier]) == ("second", "fist", "m", ["first"])
    before = project.undo(source_id)
    assert before is not None and before.text == "first" and before.earlier == ()
    assert project.undo(source_id) is None and project.correction(source_id) is None
    assert project.undo(source_id) is None


def test_corrections_are_items_with_groups_and_empty_ones_marked(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "p")
    with pytest.raises(ManifestError, match="nothing has been corrected"):
        read_corrections(project.folder)
    _add(project, "anna/a.png", b"x", tmp_path)
    _add(project, "b.wav", b"y", tmp_path)
    one, other = project.sources()
    project.correct(other.id, other.path, " ")
    project.correct(one.id, one.path, "Text \u2028 mit Umlauten: ä")
    items = load_manifest(project.folder)
    assert [(item.id, item.source, item.text, item.group, item.empty) for item in items] == [
        (other.id, other.path, "", None, True), (one.id, one.path, "Text \u2028 mit Umlauten: ä", "anna", False)]
    assert [item.id for item in read_corrections(project.folder, "line")] == [one.id]


def test_a_damaged_or_foreign_correction_costs_only_itself(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "p")
    source_id = _add(project, "a.png", b"x", tmp_path)
    (source,) = project.sources()
    project.correct(source_id, source.path, "right")
    folder = project.folder / "corrections"
    (folder / "0000000000000000.json").write_text('{"id": "0000000000000000", "sour')
    (folder / "1111111111111111.json").write_text(json.dumps({"id": "1", "source": "sources/../../secret.png", "text": "x", "time": "t"}))
    (folder / "2222222222222222.json").write_text(json.dumps({"id": "2", "source": "sources/b.png", "text": "x", "time": "t", "earlier": [{}]}))
    with pytest.warns(RecognizerWarning) as notes:
        items = read_corrections(project.folder)
    assert [item.text for item in items] == ["right"]
    assert [note for note in ("not JSON", "outside the project", "'earlier'") if not any(note in str(each.message) for each in notes)] == []


def test_ids_cannot_lead_out_of_the_project(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "p")
    for wrong in ("../../x", "..", "0123456789abcdef/../../x", "0123456789abcdef.", ""):
        with pytest.raises(InputError, match="is no id"):
            project.correction(wrong)


def test_history_grows(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "p")
    assert project.history() == []
    project.add_lesson({"before": 14.2})
    project.add_lesson({"before": 6.8})
    assert [lesson["before"] for lesson in Project(project.folder).history()] == [14.2, 6.8]


@pytest.mark.skipif(sys.platform == "win32", reason="no locks of this kind on Windows")
def test_a_second_process_is_refused(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "p")
    code = ("import sys\nfrom pathlib import Path\nfrom recognizer.data.project_files import lock_folder\n"
            "with lock_folder(Path(sys.argv[1])):\n    pass\n")  # fmt: skip
    with lock_folder(project.folder):
        done = subprocess.run([sys.executable, "-c", code, project.folder], capture_output=True, text=True)
    assert f"process {os.getpid()} serves this project" in done.stderr
    assert subprocess.run([sys.executable, "-c", code, project.folder]).returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_no_correction_that_was_reported_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "p")
    source_id = _add(project, "a.png", b"x", tmp_path)
    code = ("import sys\nfrom recognizer.data.project import Project\nproject = Project(sys.argv[1])\n(source,) = project.sources()\n"
            "for number in range(10**6):\n    project.correct(source.id, source.path, str(number) * 500)\n"
            "    print(number, flush=True)\n")  # fmt: skip
    for delay in (0.02, 0.05, 0.09):
        with subprocess.Popen([sys.executable, "-c", code, project.folder], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            reported = [process.stdout.readline()]
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
            reported += process.stdout.readlines()
        correction = project.correction(source_id)
        assert correction is not None
        last = int([line for line in reported if line.endswith("\n")][-1])
        assert correction.text in (str(last) * 500, str(last + 1) * 500)
        project.undo(source_id)


def test_the_model_of_a_project_is_found(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "p")
    assert model_in_use([project.folder], "line") is None and model_in_use([tmp_path], "line") is None
    project.use_model("line", "handwriting-fr")
    assert model_in_use([str(project.folder)], "line") == "handwriting-fr"
    (project.folder / "bundles" / "handwriting-fr").mkdir()
    assert model_in_use([project.folder], "line") == project.folder / "bundles" / "handwriting-fr"
    assert model_in_use([project.folder, tmp_path], "line") is None
