"""Lhotse cuts, recordings and supervisions."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from recognizer.errors import InputError

RATE = 8000


def recording(path: Path, channels: int = 1) -> dict[str, Any]:
    """One second of rising samples, in the second channel falling."""
    rising = np.arange(RATE) / 1e5
    soundfile.write(path, np.stack([rising, -rising], axis=1)[:, :channels], RATE, subtype="PCM_16")
    return {"id": path.stem, "sources": [{"type": "file", "channels": list(range(channels)), "source": path.name}], "sampling_rate": RATE,
            "num_samples": RATE, "duration": 1.0, "channel_ids": list(range(channels))}  # fmt: skip


def supervision(id: str, start: float = 0.0, duration: float = 1.0, **others: Any) -> dict[str, Any]:
    return {"id": id, "recording_id": "a", "start": start, "duration": duration, "channel": 0, "text": f"text of {id}", **others}


def cut(of: dict[str, Any], *supervisions: dict[str, Any], start: float = 0.0, **others: Any) -> dict[str, Any]:
    span = {"start": start, "duration": 1.0 - start}
    return {"id": "c", **span, "channel": 0, "supervisions": supervisions, "recording": of, "type": "MonoCut", **others}


def pack(path: Path, *records: Any) -> Path:
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, records)).encode()))
    return path


def test_supervisions_of_cuts_with_offsets_are_cut_out(tmp_path, read) -> None:
    of = recording(tmp_path / "a.wav")
    part = cut(of, supervision("s2", 0.1, 0.2, speaker=3, language="en", custom={"k": 1}), supervision("s3", -0.25, 0.5), start=0.5)
    reading = read("lhotse", pack(tmp_path / "cuts.jsonl.gz", cut(of, supervision("s1")), part))
    assert reading.dropped == []
    assert [(i.id, i.text, i.group, i.meta) for i in reading.items] == [
        ("s1", "text of s1", None, {}), ("s2", "text of s2", "3", {"k": 1, "language": "en"}), ("s3", "text of s3", None, {})]
    assert reading.items[0].source == tmp_path / "a.wav"
    for item, (begin, end) in zip(reading.items[1:], [(4800, 6400), (2000, 6000)], strict=True):
        assert np.allclose(soundfile.read(item.source)[0], np.arange(begin, end) / 1e5, atol=1e-4)


def test_one_channel_of_two(tmp_path, read) -> None:
    of = recording(tmp_path / "a.wav", 2)
    both = supervision("both", channel=[0, 1])
    reading = read("lhotse", pack(tmp_path / "x.jsonl", cut(of, supervision("left"), supervision("right", channel=1), both)))
    left, right, mixed = reading.items
    assert np.allclose(soundfile.read(left.source)[0], np.arange(RATE) / 1e5, atol=1e-4)
    assert np.allclose(soundfile.read(right.source)[0], -np.arange(RATE) / 1e5, atol=1e-4)
    assert mixed.source == tmp_path / "a.wav" and reading.dropped == []


def test_a_folder_of_recordings_and_supervisions(tmp_path, read) -> None:
    (tmp_path / "m").mkdir()
    for name in ("train", "dev-other"):
        pack(tmp_path / "m" / f"x_recordings_{name}.jsonl.gz", recording(tmp_path / "a.wav"))
        pack(tmp_path / "m" / f"x_supervisions_{name}.jsonl.gz", supervision(f"{name}-1"), supervision(f"{name}-2", recording_id="b"))
    reading = read("lhotse", tmp_path / "m", "--audio-root", str(tmp_path))
    assert [(i.id, i.source, i.meta) for i in reading.items] == [
        (f"{name}-1", tmp_path / "a.wav", {"split": split}) for name, split in (("dev-other", "dev"), ("train", "train"))]
    assert len(reading.dropped) == 2 and all("there is no recording 'b'" in line for line in reading.dropped)


def test_each_bad_line_is_named(tmp_path, read) -> None:
    of = recording(tmp_path / "a.wav")
    other = {"type": "command", "channels": [0], "source": "sph2pipe a.sph"}
    bad = ["{", "[]", json.dumps(cut(of, supervision("n", 0.5, 0.5))), json.dumps(cut(of, supervision("n", 0.2, 0.5))), *map(json.dumps, (
        cut(of), {"type": "MixedCut", "tracks": []}, cut(of, supervision("t", text=" ")), cut(of, supervision("u", duration=3)),
        cut(of, supervision("v", duration="1")), cut({**of, "sources": [other]}, supervision("w")), cut({**of, "transforms": [1]}, supervision("x")),
        cut({**of, "sources": [{"type": "file", "channels": [0], "source": "none.wav"}]}, supervision("y")), cut(of, supervision("z", channel=4))))]
    (tmp_path / "cuts.jsonl").write_text("\n".join(bad))
    reading = read("lhotse", tmp_path / "cuts.jsonl")
    reasons = ["not JSON", "JSON object", "the id 'n' was there before", "no supervisions", "MixedCut",
               "is empty", "has 1.00 s", "the duration is '1'", "comes from a 'command'",
               "altered by transforms", "no such recording: 'none.wav'", "0 sources for the channels [4]"]
    (item,) = reading.items
    assert np.allclose(soundfile.read(item.source)[0], np.arange(4000, 8000) / 1e5, atol=1e-4)  # not those of the second of its id
    for number, line, reason in zip((1, 2, *range(4, 14)), reading.dropped, reasons, strict=True):
        assert line.startswith(f"{tmp_path / 'cuts.jsonl'}:{number}: ") and reason in line
    with pytest.raises(InputError, match="no file of cuts or supervisions"):
        read("lhotse", tmp_path / "..")
    with pytest.raises(InputError, match=r"should lie beside it, in recordings\.jsonl"):
        read("lhotse", pack(tmp_path / "supervisions.jsonl", supervision("s")))


def test_what_lhotse_writes(tmp_path, read, monkeypatch) -> None:
    lhotse = pytest.importorskip("lhotse", reason="writes the cuts that are read")
    recording(tmp_path / "a.wav")
    monkeypatch.chdir(tmp_path)
    recordings = lhotse.RecordingSet.from_recordings([lhotse.Recording.from_file("a.wav")])
    segments = [lhotse.SupervisionSegment(f"s{n}", "a", n / 4, 0.25, text=str(n), speaker=f"p{n}") for n in range(3)]
    supervisions = lhotse.SupervisionSet.from_segments(segments)
    cuts = lhotse.CutSet.from_manifests(recordings, supervisions)
    (tmp_path / "m").mkdir()
    cuts.to_file("m/cuts.jsonl.gz")
    cuts.trim_to_supervisions(keep_overlapping=False).to_file("m/trimmed.jsonl.gz")
    whole, trimmed = (read("lhotse", tmp_path / "m" / name, out=name) for name in ("cuts.jsonl.gz", "trimmed.jsonl.gz"))
    assert [(i.id, i.text, i.group) for i in whole.items] == [(f"s{n}", str(n), f"p{n}") for n in range(3)] and whole.dropped == []
    for first, second in zip(whole.items, trimmed.items, strict=True):
        assert first.id == second.id and first.source.read_bytes() == second.source.read_bytes()
