"""Files inside tar archives: found by their path, with and without an index, and named where an archive is damaged."""

from __future__ import annotations

import errno
import io
import json
import tarfile
from pathlib import Path

import pytest

from recognizer.errors import InputError
from recognizer.utils import archives
from recognizer.utils.archives import as_file, file_size, find_archive, is_member, members, read_member


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as opened:
        for name, size in (("x.wav", 700), ("deep/y.wav", 5000), ("\u00e9" * 120, 3)):
            member = tarfile.TarInfo(name)
            member.size = size
            opened.addfile(member, io.BytesIO(name[-1].encode()[-1:] * size))
    return path


def test_members_have_the_content_that_tarfile_reads(archive):
    with tarfile.open(archive) as opened:
        for name, (offset, size) in members(archive).items():
            content = opened.extractfile(name).read()  # type: ignore[union-attr]
            assert archive.read_bytes()[offset : offset + size] == read_member(archive / name) == content
            assert file_size(archive / name) == size and is_member(archive / name)
            with as_file(archive / name) as file:
                assert (file.name, file.read_bytes()) == (Path(name).name, content)
            assert not file.exists()


def test_an_index_beside_it_is_believed(archive):
    archive.with_suffix(".json").write_text(json.dumps({"members": {"z": [512, 2]}}))
    assert read_member(archive / "z") == archive.read_bytes()[512:514]
    archive.with_suffix(".json").write_text('["of another program"]')
    archive.touch()
    assert file_size(archive / "x.wav") == 700


def test_other_paths_are_no_members(archive, tmp_path):
    folder = tmp_path / "folder.tar"
    folder.mkdir()
    (folder / "x").write_bytes(b"12")
    assert find_archive(folder / "x") is None and file_size(folder / "x") == 2
    assert find_archive(archive) is None and find_archive("a/b.wav") is None
    assert not is_member(archive / "none") and not is_member(tmp_path / "none.tar" / "x")
    with as_file(folder / "x") as file:
        assert file == folder / "x"


def test_a_damaged_archive_costs_what_is_lost(archive, tmp_path):
    whole = archive.read_bytes()
    archive.write_bytes(whole[: members(archive)["deep/y.wav"][0] + 100])
    assert len(read_member(archive / "x.wav")) == 700
    for name, message in (("deep/y.wav", "the archive is broken off"), ("none", "no such file in the archive")):
        with pytest.raises(InputError, match=f"^{archive / name}: {message}"):
            read_member(archive / name)
    archive.write_bytes(b"no archive" * 100)
    with pytest.raises(InputError, match=r"not a plain \.tar archive"):
        members(archive)
    with pytest.raises(InputError, match=r"none\.tar: cannot be read: No such file"):
        read_member(tmp_path / "none.tar" / "x")


def test_storage_that_is_away_is_waited_for(archive, monkeypatch):
    path = archive / "x.wav"
    assert read_member(path)  # the index is known from here on
    waits: list[float] = []
    monkeypatch.setattr(archives.time, "sleep", waits.append)
    original, failures = Path.open, [2]

    def fail(self: Path, *args: object) -> object:
        if self == archive and failures[0]:
            failures[0] -= 1
            raise OSError(errno.ESTALE, "Stale file handle")
        return original(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "open", fail)
    assert len(read_member(path)) == 700 and waits == [1.0, 5.0]
    failures[0] = 99
    with pytest.raises(InputError, match=r"x\.wav: cannot be read: Stale file handle"):
        read_member(path)
    assert waits == [1.0, 5.0, 1.0, 5.0, 25.0]
