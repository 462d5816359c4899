"""Files appear whole or not at all, never in the place of something else, and what fails is one line that names the file."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from recognizer.errors import InputError, OutputError
from recognizer.utils.files import MAX_NAME, append_bytes, new_file, open_folder, write_bytes, write_text, write_texts


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_text_and_bytes_are_written_as_they_are(tmp_path: Path) -> None:
    write_text(tmp_path / "t", "\u00e9\n\r\n\udcff")  # the last: a byte of a name that is not UTF-8
    write_bytes(str(tmp_path / "b"), b"\0\n")
    with new_file(tmp_path / "c") as partial:
        partial.write_text("by the way")
        assert not (tmp_path / "c").exists()
    assert contents(tmp_path) == {"t": b"\xc3\xa9\n\r\n\xff", "b": b"\0\n", "c": b"by the way"}


def test_a_full_disk_leaves_the_old_file_or_none(tmp_path: Path, full_disk) -> None:
    write_text(tmp_path / "old", "before")
    for name in ("old", "new"):
        with full_disk(10), pytest.raises(OutputError, match=rf"/{name}: cannot be written: File too large"):
            write_text(tmp_path / name, 20 * "x")
        assert contents(tmp_path) == {"old": b"before"}


def test_whatever_fails_in_the_block_leaves_nothing(tmp_path: Path) -> None:
    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error), new_file(tmp_path / "a") as partial:
            partial.write_text("half")
            raise error
        assert contents(tmp_path) == {}


def test_a_character_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"/a: cannot be written: '\\ud800' is no character"):
        write_text(tmp_path / "a", "x\ud800")
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("write", [lambda path: write_text(path, "x"), lambda path: write_texts({path: "x"}), lambda path: append_bytes(path, b"x")])
def test_only_files_are_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "device").symlink_to("/dev/null")
    (tmp_path / "loop").symlink_to("loop")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(tmp_path)  # names of sockets are short
        server.bind("socket")
        before = {path.name: path.lstat().st_mode for path in tmp_path.iterdir()}
        for name, found in {"pipe": "is not a regular file", "socket": "is not a regular file", "device": "is not a regular file",
                            "folder": "is a folder", "loop": "", "a\0b": "null"}.items():  # fmt: skip
            with pytest.raises(OutputError, match=f"/{name}: cannot be written: .*{found}"):
                write(tmp_path / name)
    assert {path.name: path.lstat().st_mode for path in tmp_path.iterdir()} == before
    for path in (Path("/dev/null"), Path("/"), Path()):
        mode = path.stat().st_mode
        with pytest.raises(OutputError, match="cannot be written: is "):
            write(path)
        assert path.stat().st_mode == mode


def test_a_link_leads_on_to_its_file(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to("sub/file")
    for text in ("first", "second"):
        write_text(tmp_path / "link", text)
        assert (tmp_path / "link").is_symlink() and (tmp_path / "sub" / "file").read_text() == text
    assert len(list(tmp_path.iterdir())) == 2 and len(list((tmp_path / "sub").iterdir())) == 1


def test_a_link_in_the_place_of_the_unfinished_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "a.partial").symlink_to("precious")
    write_text(tmp_path / "a", "x")
    assert contents(tmp_path) == {"precious": b"kept", "a": b"x"} and stat.S_ISREG((tmp_path / "a").lstat().st_mode)


def test_the_longest_name(tmp_path: Path) -> None:
    write_text(tmp_path / (MAX_NAME * "n"), "x")
    assert contents(tmp_path) == {MAX_NAME * "n": b"x"}
    with pytest.raises(OutputError, match="cannot be written: File name too long"):
        write_text(tmp_path / ((MAX_NAME + 1) * "n"), "x")


def test_an_addition_that_fails_is_taken_back(tmp_path: Path, full_disk) -> None:
    append_bytes(tmp_path / "log", b"one\n")
    append_bytes(tmp_path / "log", b"two\n")
    for name in ("log", "new"):
        with full_disk(12), pytest.raises(OutputError, match=f"/{name}: cannot be written: File too large"):
            append_bytes(tmp_path / name, b"a line of many letters\n")
    assert contents(tmp_path) == {"log": b"one\ntwo\n"}


KILLED = """
import os, sys
from pathlib import Path
import recognizer.utils.files as files
left, folder = int(sys.argv[1]), Path(sys.argv[2])
def watch(event, details):
    global left
    if event in ("open", "os.rename", "os.remove") and str(details[0]).startswith(str(folder)):
        left -= 1
        if left < 0:
            os._exit(9)
sys.addaudithook(watch)
files.write_texts({folder / name: "new" for name in ("a", "b", "last")})
"""


def test_a_kill_at_any_moment_leaves_no_mixture(tmp_path: Path) -> None:
    """Before each thing that the process does to the folder."""
    for moment in range(40):
        folder = tmp_path / str(moment)
        folder.mkdir()
        for name in ("a", "b", "last"):
            (folder / name).write_text("old")
        code = subprocess.run([sys.executable, "-c", KILLED, str(moment), str(folder)], check=False).returncode
        found = {name: text for name, text in contents(folder).items() if not name.endswith(".partial")}
        assert len(set(found.values())) <= 1, moment
        if code == 0:
            break
    assert moment > 9 and found == dict.fromkeys(("a", "b", "last"), b"new") and len(contents(folder)) == 3


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"file/sub: cannot be made: Not a directory"):
        open_folder(tmp_path / "file" / "sub")
