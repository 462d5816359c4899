"""Manifests whose files lie in tar archives: the same items, arrays and trainings as of files, and archives that WebDataset's readers know."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest

from recognizer.config import AudioFeatures
from recognizer.data.loading import read_array
from recognizer.data.manifest import load_manifest
from recognizer.data.preparation import prepare
from recognizer.errors import ConfigError
from recognizer.training.run import train
from tests.conftest import Corpus

KIB = 1 / 1024  # of a MiB


@pytest.fixture(scope="module")
def folder(tones: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The items of the corpus as files beside their texts, by speaker."""
    root = tmp_path_factory.mktemp("files")
    for item in (*tones.items("train"), *tones.items("dev")):
        place = root / f"{item.group}{'-dev' * item.id.startswith('dev')}" / item.source.name
        place.parent.mkdir(exist_ok=True)
        shutil.copy(item.source, place)
        place.with_suffix(".txt").write_text(item.text or "")
    return root


@pytest.fixture(scope="module")
def sharded(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sharded")
    prepare("folder", folder, out, dev=0.25, shards=200 * KIB)
    return out


def test_items_are_those_of_the_files(folder, sharded, tmp_path):
    features = AudioFeatures(sample_rate=8000)
    for name, counts in prepare("folder", folder, tmp_path, dev=0.25).items():
        files, members = (load_manifest(root / f"{name}.jsonl") for root in (tmp_path, sharded))
        assert len(files) == len(members) == counts.items
        assert [item.id for item in files] != [item.id for item in members]  # shuffled
        found = {item.id: item for item in members}
        for item in files:
            other = found[item.id]
            assert (item.text, item.group, item.seconds, item.meta) == (other.text, other.group, other.seconds, other.meta)
            assert np.array_equal(read_array(item.source, features), read_array(other.source, features))
    archives = sorted(path.name for path in (sharded / "folder").glob("*.tar"))
    assert archives[0] == "dev-000000.tar" and "train-000002.tar" in archives
    assert all((sharded / "folder" / name).stat().st_size < 300 * 1024 for name in archives)


def test_archives_are_laid_out_as_webdataset_reads_them(sharded, tmp_path):
    path = sharded / "folder" / "dev-000000.tar"
    with tarfile.open(path) as archive:
        names = archive.getnames()
        assert [name.split(".", 1)[1] for name in names] == ["wav", "json"] * (len(names) // 2)
        assert [name.split(".", 1)[0] for name in names[::2]] == [name.split(".", 1)[0] for name in names[1::2]]
        record = json.loads(archive.extractfile(names[1]).read())  # type: ignore[union-attr]
    first = load_manifest(sharded / "dev.jsonl")[0]
    assert record["id"] == first.id and record["text"] == first.text and first.source == path / names[0]
    # and `prepare webdataset` makes the same items of the archives alone
    alone = tmp_path / "alone"
    shutil.copytree(sharded / "folder", alone, ignore=shutil.ignore_patterns("*.json"))
    for name in ("train", "dev"):
        prepare("webdataset", alone, tmp_path / "again", name=name)
    again = {item.id: item for item in load_manifest(tmp_path / "again" / "train.jsonl")}
    for item in load_manifest(sharded / "train.jsonl"):
        assert (again[item.id].text, again[item.id].group, again[item.id].source.name) == (item.text, item.group, item.source.name)


def test_the_same_call_gives_the_same_archives_and_leaves_no_old_ones(folder, tmp_path):
    contents = []
    for size in (100 * KIB, 400 * KIB, 400 * KIB):
        prepare("folder", folder, tmp_path, dev=0.25, shards=size)
        contents.append({path.name: path.read_bytes() for path in (tmp_path / "folder").iterdir()})
    assert contents[1] == contents[2] and len(contents[0]) > len(contents[1])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dev.jsonl", "folder", "train.jsonl"]
    with pytest.raises(ConfigError, match="shards"):
        prepare("folder", folder, tmp_path, shards=-1)


def test_training_goes_on_from_any_step_as_if_it_had_not_stopped(tones, sharded, tmp_path):
    changes = {"corpus.root": str(sharded), "trainer.epochs": 2, "trainer.open_archives": 2}
    whole = train(tones.config(tmp_path / "whole", changes), quiet=True)
    train(tones.config(tmp_path / "parts", changes | {"trainer.epochs": 1}), quiet=True)
    config = tones.config(tmp_path / "parts", changes)
    parts = train(config, resume=True, quiet=True)
    assert (whole / "model.safetensors").read_bytes() == (parts / "model.safetensors").read_bytes()


def test_a_damaged_archive_costs_its_items_alone(tones, sharded, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(sharded, broken)
    path = broken / "folder" / "train-000000.tar"
    path.write_bytes(path.read_bytes()[:100_000])
    train(tones.config(tmp_path / "run", {"corpus.root": str(broken), "trainer.epochs": 1}), quiet=True)
    report = json.loads((tmp_path / "run" / "audit.json").read_text())["train"]
    lost = [message for _, kind, message in report["excluded"] if kind == "unreadable"]
    assert 0 < len(lost) < 20 and all("train-000000.tar" in message and "broken off" in message for message in lost)
    assert report["usable"] == report["items"] - len(lost)
