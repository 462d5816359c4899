"""Bundles: what is written is read back, what was altered is refused, and a failed write leaves what stood there."""

from __future__ import annotations

import errno
import hashlib
import json
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
import yaml

from recognizer.bundle.io import ALPHABET, CARD, CONFIG, CONTENTS, FORMAT, WEIGHTS, load_bundle, save_bundle
from recognizer.bundle.registry import find_bundle, find_partner, locate_file
from recognizer.config import AudioFeatures, DecoderConfig, LineCnn, LineFeatures, ModelConfig, RecognizerConfig, Stack, TextConfig
from recognizer.errors import BundleError
from recognizer.text.alphabet import Alphabet

SPEECH = RecognizerConfig(
    AudioFeatures(kind="mfcc", f_min=1e-5), ModelConfig(Stack(frames=2), num_layers=1), TextConfig(case="lower", drop="\u00e9:# ")
)
LINES = RecognizerConfig(LineFeatures(), ModelConfig(LineCnn(), uniform=0.1), TextConfig(level="units"))
SYMBOLS = Alphabet((" ", "#", "<", "\u00e9", "\u0301"))


def write(folder: Path, value: float = 1.0, config: RecognizerConfig = SPEECH) -> dict[str, torch.Tensor]:
    weights = {"a.weight": torch.full((3, 2), value), "mean": torch.arange(4.0)[::2], "count": torch.tensor([7])}
    alphabet = Alphabet(SYMBOLS.symbols, config.text.level)
    save_bundle(folder, config, alphabet, weights, f"# card {value}\n")
    return weights


@pytest.mark.parametrize("config", [SPEECH, LINES])
def test_round_trip(tmp_path: Path, config: RecognizerConfig) -> None:
    weights = write(tmp_path / "runs" / "b", config=config)
    bundle = load_bundle(str(tmp_path / "runs" / "b"))
    assert bundle.config == config and bundle.alphabet == Alphabet(SYMBOLS.symbols, config.text.level)
    assert bundle.weights.keys() == weights.keys()
    for name, tensor in weights.items():
        assert torch.equal(bundle.weights[name], tensor) and bundle.weights[name].dtype == tensor.dtype
    assert (bundle.folder / CARD).read_text() == "# card 1.0\n"
    assert {path.name for path in (tmp_path / "runs" / "b").iterdir()} == {WEIGHTS, CONFIG, ALPHABET, CARD, CONTENTS}
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["b"]


def test_a_bundle_can_be_moved_and_its_card_edited(tmp_path: Path) -> None:
    write(tmp_path / "b")
    (tmp_path / "b" / CARD).write_text("something else")
    (tmp_path / "b").rename(tmp_path / "c")
    assert load_bundle(tmp_path / "c").config == SPEECH


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG, ALPHABET])
def test_missing_and_altered_files_are_named(tmp_path: Path, name: str) -> None:
    write(tmp_path / "b")
    path = tmp_path / "b" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleError, match=f"b/{name}: was altered"):
        load_bundle(tmp_path / "b")
    path.unlink()
    with pytest.raises(BundleError, match=f"b/{name}: is missing"):
        load_bundle(tmp_path / "b")


def test_a_newer_format_is_told_from_a_damaged_bundle(tmp_path: Path) -> None:
    write(tmp_path / "b")
    contents = json.loads((tmp_path / "b" / CONTENTS).read_text())
    (tmp_path / "b" / CONTENTS).write_text(json.dumps(contents | {"format": FORMAT + 1, "recognizer": "9.8.7"}))
    with pytest.raises(BundleError, match=rf"newer version \(9\.8\.7, format {FORMAT + 1}\).*upgrade"):
        load_bundle(tmp_path / "b")


@pytest.mark.parametrize("damage", [
    "", "{", "[]", "null", '{"format": 1}', '{"format": "x", "sha256": {}}', '{"format": 1, "sha256": {}}', '{"format": 1, "sha256": []}', '"x"',
])
def test_a_damaged_list_of_contents(tmp_path: Path, damage: str) -> None:
    write(tmp_path / "b")
    (tmp_path / "b" / CONTENTS).write_text(damage)
    with pytest.raises(BundleError, match=f"{CONTENTS}: is damaged"):
        load_bundle(tmp_path / "b")


def test_things_that_are_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    with pytest.raises(BundleError, match="none: no such bundle"):
        load_bundle(tmp_path / "none")
    with pytest.raises(BundleError, match="file: no such bundle"):
        load_bundle(tmp_path / "file")
    with pytest.raises(BundleError, match=f"folder: is not a bundle .{CONTENTS} is missing"):
        load_bundle(tmp_path / "folder")


def sign(folder: Path) -> None:
    """Make the list of contents fit the files, as someone with bad intentions would."""
    import hashlib

    contents = json.loads((folder / CONTENTS).read_text())
    contents["sha256"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in contents["sha256"]}
    (folder / CONTENTS).write_text(json.dumps(contents))


class Trap:
    def __reduce__(self) -> tuple[Callable[[str, str], int], tuple[str, str]]:
        return _spring, ("sprung", "w")


def _spring(path: str, mode: str) -> int:
    return open(path, mode).write("x")


def test_no_pickle_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "b")
    for content in (pickle.dumps(Trap()), None):
        if content is None:
            torch.save({"a.weight": Trap()}, tmp_path / "b" / WEIGHTS)
        else:
            (tmp_path / "b" / WEIGHTS).write_bytes(content)
        sign(tmp_path / "b")
        with pytest.raises(BundleError, match="b: "):
            load_bundle(tmp_path / "b")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("content", ["features: {kind: fbank, binz: 3}\n", "x: [\n", "- 1\n", "!!python/object/apply:os.getcwd []\n", ""])
def test_settings_that_cannot_be_read(tmp_path: Path, content: str) -> None:
    write(tmp_path / "b")
    (tmp_path / "b" / CONFIG).write_text(content)
    sign(tmp_path / "b")
    with pytest.raises(BundleError, match=r"b: ") as caught:
        load_bundle(tmp_path / "b")
    assert "\n" not in str(caught.value)


def test_a_new_bundle_takes_the_place_of_an_old_one(tmp_path: Path) -> None:
    write(tmp_path / "b", 1.0, LINES)
    write(tmp_path / "b", 2.0, SPEECH)
    bundle = load_bundle(tmp_path / "b")
    assert bundle.config == SPEECH and float(bundle.weights["a.weight"][0, 0]) == 2.0
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


@pytest.mark.parametrize("error", [
    OSError(errno.ENOSPC, "No space left on device"), safetensors.SafetensorError("I/O error: No space left on device (os error 28)")])
def test_a_full_disk_leaves_the_old_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    write(tmp_path / "b", 1.0)

    def fail(tensors: object, path: Path) -> None:
        Path(path).write_bytes(b"half")
        raise error

    monkeypatch.setattr(safetensors.torch, "save_file", fail)
    for folder in ("b", "new"):
        with pytest.raises(BundleError, match=f"{folder}: cannot write the bundle: .*No space left"):
            write(tmp_path / folder, 2.0)
    monkeypatch.undo()
    assert float(load_bundle(tmp_path / "b").weights["a.weight"][0, 0]) == 1.0
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


@pytest.mark.parametrize("step", [0, 1])
def test_a_rename_that_fails_leaves_the_old_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    write(tmp_path / "b", 1.0)
    calls: list[Path] = []
    rename = Path.rename

    def fail_once(self: Path, target: Path) -> Path:
        calls.append(self)
        if len(calls) == step + 1:
            raise OSError(errno.EACCES, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_once)
    with pytest.raises(BundleError, match="Permission denied"):
        write(tmp_path / "b", 2.0)
    assert float(load_bundle(tmp_path / "b").weights["a.weight"][0, 0]) == 1.0
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_what_a_killed_writer_left_is_cleared(tmp_path: Path) -> None:
    write(tmp_path / "b", 1.0)
    (tmp_path / "b").rename(tmp_path / "b.replaced")  # killed between the two renames
    (tmp_path / "b.partial").mkdir()
    (tmp_path / "b.partial" / "junk").write_text("x")
    write(tmp_path / "b", 2.0)
    assert float(load_bundle(tmp_path / "b").weights["a.weight"][0, 0]) == 2.0
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_copy_that_somebody_keeps_stays(tmp_path: Path) -> None:
    for folder, value in (("b.old", 1.0), ("b", 2.0), ("b", 3.0)):
        write(tmp_path / folder, value)
    assert [load_bundle(tmp_path / folder).card() for folder in ("b.old", "b")] == ["# card 1.0\n", "# card 3.0\n"]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_bundle_behind_a_link_is_replaced_where_it_lies(tmp_path: Path) -> None:
    write(tmp_path / "deep" / "b", 1.0)
    (tmp_path / "link").symlink_to("deep/b")
    write(tmp_path / "link", 2.0)
    assert (tmp_path / "link").is_symlink() and load_bundle(tmp_path / "deep" / "b").card() == "# card 2.0\n"
    assert len(list(tmp_path.iterdir())) == 2 and len(list((tmp_path / "deep").iterdir())) == 1


def test_an_interrupted_write_leaves_the_old_bundle_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "b", 1.0)
    rename = Path.rename

    def interrupt(self: Path, target: Path) -> Path:
        if self.suffix == ".partial":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "b", 2.0)
    assert load_bundle(tmp_path / "b").card() == "# card 1.0\n" and [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_bundle_whose_replacement_was_killed_is_found_and_opened(tmp_path: Path) -> None:
    """Between the two renames of a replacement nothing lies under the bundle's name."""
    write(tmp_path / "b", 3.0)
    (tmp_path / "b").rename(tmp_path / "b.replaced")
    assert find_bundle(tmp_path / "b") == tmp_path / "b" and find_partner("b", tmp_path / "other") == tmp_path / "b"
    assert load_bundle(tmp_path / "b").card() == "# card 3.0\n" and not (tmp_path / "b.replaced").exists()


@pytest.mark.parametrize("name", ["../outside.txt", "/etc/hostname", "sub/file.txt", "..", "link.txt"])
def test_files_outside_a_bundle_are_none_of_its(tmp_path: Path, name: str) -> None:
    """Whoever writes a bundle again would write them, wherever they lie."""
    write(tmp_path / "b")
    (tmp_path / "outside.txt").write_text("x")
    (tmp_path / "b" / "sub").mkdir()
    (tmp_path / "b" / "sub" / "file.txt").write_text("x")
    (tmp_path / "b" / "link.txt").symlink_to(tmp_path / "outside.txt")
    contents = json.loads((tmp_path / "b" / CONTENTS).read_text())
    contents["sha256"][name] = hashlib.sha256(b"x").hexdigest()
    (tmp_path / "b" / CONTENTS).write_text(json.dumps(contents))
    with pytest.raises(BundleError, match="does not lie in the bundle's own folder"):
        load_bundle(tmp_path / "b")


def rename_model(folder: Path, name: str) -> None:
    """Make the decoder's settings name another model, as somebody may who hands a bundle on."""
    settings = yaml.safe_load((folder / CONFIG).read_text())
    settings["decoder"]["lm"] = name
    (folder / CONFIG).write_text(yaml.safe_dump(settings))
    sign(folder)


def test_a_bundle_opens_files_of_bundles_only(tmp_path: Path) -> None:
    config = replace(SPEECH, decoder=DecoderConfig(kind="beam", lm="lm.arpa"))
    (tmp_path / "lm.arpa").write_text("a model")
    (tmp_path / "b" / "sub").mkdir(parents=True)
    save_bundle(tmp_path / "p", config, SYMBOLS, {"a": torch.zeros(2)}, "", {"lm.arpa": tmp_path / "lm.arpa"})
    shutil.copytree(tmp_path / "p", tmp_path / "b", dirs_exist_ok=True)
    (tmp_path / "b" / "sub" / "lm.arpa").write_text("a model")
    (tmp_path / "b" / "unlisted.arpa").write_text("a model")
    (tmp_path / "p" / "link.arpa").symlink_to(tmp_path / "lm.arpa")
    assert load_bundle(tmp_path / "b").config == config
    for name in (
        str(tmp_path / "lm.arpa"), "../lm.arpa", "../p/lm.arpa", "sub/lm.arpa", "unlisted.arpa", "none.arpa", "", ".", "bundle.json", "config.yaml",
        "../p:lm.arpa", f"{tmp_path}/p:lm.arpa", "p:../lm.arpa", "p:/etc/hostname", "p:", ":lm.arpa", "..:lm.arpa", "a\\b:c", "p:a\\b",
    ):  # fmt: skip
        rename_model(tmp_path / "b", name)
        with pytest.raises(BundleError, match=r"b/config\.yaml: decoder\.lm: '.*' is no file of this bundle; .*command line, decoder\.lm="):
            load_bundle(tmp_path / "b")
    for name, found in {"p:lm.arpa": tmp_path / "p" / "lm.arpa", "p:link.arpa": None, "p:none.arpa": None, "sub:lm.arpa": None}.items():
        rename_model(tmp_path / "b", name)
        assert load_bundle(tmp_path / "b").config.decoder.lm == name and locate_file(name, tmp_path / "b") == found


def test_a_bundle_that_nobody_could_open_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "lm.arpa").write_text("a model")
    config = replace(SPEECH, decoder=DecoderConfig(kind="beam", lm=str(tmp_path / "lm.arpa")))
    with pytest.raises(BundleError, match=r"decoder\.lm: .* is no file of this bundle"):
        save_bundle(tmp_path / "b", config, SYMBOLS, {"a": torch.zeros(2)}, "")
    assert not (tmp_path / "b").exists()


def test_a_folder_of_something_else_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.txt").write_text("x")
    (tmp_path / "notes").write_text("y")
    with pytest.raises(BundleError, match="thesis: is not empty and not a bundle"):
        write(tmp_path / "thesis")
    with pytest.raises(BundleError, match="notes: is a file"):
        write(tmp_path / "notes")
    assert (tmp_path / "thesis" / "chapter1.txt").read_text() == "x" and (tmp_path / "notes").read_text() == "y"
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty")
    assert load_bundle(tmp_path / "empty").config == SPEECH
