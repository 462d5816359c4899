"""Hugging Face data sets on disk."""

from __future__ import annotations

import io
import json
import sys

import numpy as np
import pytest
import soundfile
from PIL import Image

from recognizer.data.preparation import prepare
from recognizer.errors import ConfigError, InputError

datasets = pytest.importorskip("datasets", reason="reads the data sets")


def encoded(format: str = "WAV") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(800), 8000, format=format)
    return buffer.getvalue()


def save(folder, rows, features=None):
    """Save rows as `save_to_disk` does."""
    import pyarrow

    schema = None if features is None else datasets.Features(features).arrow_schema
    found = datasets.Dataset(pyarrow.Table.from_pylist(rows, schema=schema))
    found.save_to_disk(str(folder))
    return found


def test_sound_in_a_data_set_that_was_saved(tmp_path, read, capfd) -> None:
    text = datasets.Value("string")
    rows = [{"audio": {"bytes": encoded(form), "path": f"{form}.bin"}, "sentence": " cafe\u0301 ", "client_id": "p1", "age": "20"}
            for form in ("WAV", "FLAC", "OGG", "MP3")]  # fmt: skip
    save(tmp_path / "saved", rows, {"audio": datasets.Audio(), "sentence": text, "client_id": text, "age": text})
    reading = read("huggingface", tmp_path / "saved")
    assert reading.dropped == []
    assert [(i.id, i.text, i.group, i.meta, i.source.suffix) for i in reading.items] == [
        (f"000000{n}", "caf\u00e9", "p1", {"age": "20"}, suffix) for n, suffix in enumerate((".wav", ".flac", ".ogg", ".mp3"), start=1)]
    assert [item.source.read_bytes() for item in reading.items] == [row["audio"]["bytes"] for row in rows]


def test_splits_arrays_and_pictures(tmp_path, read) -> None:
    picture = io.BytesIO()
    Image.new("L", (30, 10), 200).save(picture, "PNG")
    rows = [{"image": {"bytes": picture.getvalue(), "path": None}, "label": "ligne", "w": 1}, {"image": None, "label": "x", "w": 2}]
    parts = {}
    for name in ("train", "validation"):
        parts[name] = save(tmp_path / name, rows, {"image": datasets.Image(), "label": datasets.Value("string"), "w": datasets.Value("int64")})
    datasets.DatasetDict(parts).save_to_disk(str(tmp_path / "both"))
    reading = read("huggingface", tmp_path / "both", "--group-column", "w")
    assert [(i.id, i.group, i.meta, i.source.name) for i in reading.items] == [
        (f"{split}-0000001", "1", {"split": split}, f"{split}-0000001.png") for split in ("train", "dev")]
    assert [line.partition(": ")[2] for line in reading.dropped] == ["row 2: no such file: None"] * 2
    assert len(read("huggingface", tmp_path / "both", "--split", "validation").items) == 1
    with pytest.raises(ConfigError, match=r"--split valid: .* did you mean 'validation'"):
        read("huggingface", tmp_path / "both", "--split", "valid")
    save(tmp_path / "arrays", [{"speech": {"array": [0.0, 0.5] * 400, "sampling_rate": 8000}, "text": "a"}])
    (item,) = read("huggingface", tmp_path / "arrays", "--audio-column", "speech", out="more").items
    assert np.allclose(soundfile.read(item.source)[0], [0.0, 0.5] * 400, atol=1e-4)


def test_ids_that_occur_again(tmp_path, read) -> None:
    rows = [{"audio": {"bytes": encoded(form), "path": None}, "text": "a", "id": 7} for form in ("WAV", "FLAC")]
    datasets.DatasetDict({name: save(tmp_path / name, rows) for name in ("train", "test")}).save_to_disk(str(tmp_path / "both"))
    reading = read("huggingface", tmp_path / "both")
    assert [(i.id, i.source.name) for i in reading.items] == [("7", "7.wav"), ("test-7", "test-7.wav")]
    assert [line.partition(", ")[2] for line in reading.dropped] == [
        "train: row 2: the id '7' was there before", "test: row 2: the id 'test-7' was there before"]


def test_json_lines_beside_their_recordings(tmp_path, read, write, sound) -> None:
    lines = [{"file": f"{name}.wav", "text": name, "speaker_id": 12, "id": name} for name in ("a", "b", "none", "")]
    for name in ("train", "test"):
        sound(tmp_path / "set" / f"{name}.wav")
        sound(tmp_path / "set" / "a.wav")
        write(tmp_path / "set" / f"{name}.jsonl", "\n".join(json.dumps({**line, "id": f"{name}{n}"}) for n, line in enumerate(lines)))
    reading = read("huggingface", tmp_path / "set")
    assert [(i.id, i.source, i.group, i.meta) for i in reading.items] == [
        (f"{name}0", tmp_path / "set" / "a.wav", "12", {"split": name}) for name in ("test", "train")]
    assert len(reading.dropped) == 6 and sum("the transcript is empty" in line for line in reading.dropped) == 2
    (item,) = read("huggingface", tmp_path / "set" / "test.jsonl").items
    assert item.id == "test0" and "split" not in item.meta


def test_a_folder_of_recordings_with_metadata(tmp_path, read, write, sound) -> None:
    for name in ("train", "validation"):
        sound(tmp_path / "set" / name / "a.wav")
        write(tmp_path / "set" / name / "metadata.csv", f"file_name,transcription\na.wav,text of {name}\n")
    reading = read("huggingface", tmp_path / "set")
    assert [(i.text, i.source, i.meta) for i in reading.items] == [
        (f"text of {name}", tmp_path / "set" / name / "a.wav", {"split": split}) for name, split in (("train", "train"), ("validation", "dev"))]


def test_which_columns_must_be_known(tmp_path, read, write) -> None:
    source = write(tmp_path / "x.jsonl", '{"sound": "a.wav", "words": "b"}')
    for words, message in (((), "--audio-column or --image-column"), (("--audio-column", "sound"), "--text-column: which"),
                           (("--text-column", "word"), r"no such column; did you mean 'words'")):  # fmt: skip
        with pytest.raises(ConfigError, match=message):
            read("huggingface", source, *words)


def test_what_cannot_be_read(tmp_path, read, write, monkeypatch) -> None:
    with pytest.raises(InputError, match=r"broken\.parquet: not a data set that can be read|broken\.parquet.*cannot be read"):
        read("huggingface", write(tmp_path / "broken.parquet", "no parquet"))

    with pytest.raises(InputError, match=r"^name: no such file or folder \(a data set on the Hub is called OWNER/NAME\)$"):
        prepare("huggingface", "name", tmp_path / "out")

    def refuse(*words, **options):
        raise ConnectionError(f"Couldn't reach {words[0]!r} on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(InputError, match=r"^some/name: is no file or folder here, and no data set .* reach 'some/name'"):
        prepare("huggingface", "some/name", tmp_path / "out")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ConfigError, match=r"pip install 'recognizer\[datasets\]'"):
        read("huggingface", tmp_path)
