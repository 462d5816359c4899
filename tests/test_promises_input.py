"""Promises 4 and 6 of the design: nothing is dropped in silence, and bad input costs one item."""

from __future__ import annotations

import gzip
import json
import random
import shutil
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from recognizer.data.manifest import Item, save_manifest


def write_wave(path: Path, samples: np.ndarray, rate: int = 8000, **options: Any) -> Path:
    soundfile.write(path, samples, rate, **options)
    return path


def test_promise_4_what_cannot_be_trained_on_is_named_before_training(tones, cli, speak, tmp_path) -> None:
    generator = np.random.default_rng(3)
    good = tones.items("train")[:6]
    tone = speak("abcd", generator)
    loud = write_wave(tmp_path / "loud.wav", np.clip(8 * tone, -1, 1))
    (tmp_path / "text.wav").write_text("not audio")
    bad = {
        "missing": (Item("missing", tmp_path / "missing.wav", text="ab"), "unreadable", "no such file"),
        "damaged": (Item("damaged", tmp_path / "text.wav", text="ab"), "unreadable", "not audio"),
        "nothing": (Item("nothing", write_wave(tmp_path / "none.wav", np.zeros(0)), text="ab"), "unreadable", "no samples"),
        "mute": (Item("mute", good[0].source, units=("a",)), "no transcript", "is not in the manifest"),
        "empty": (Item("empty", good[0].source, text=" \n"), "no transcript", "is empty"),
        "dropped": (Item("dropped", good[0].source, text="!!"), "no transcript", "is empty"),
        "crowded": (Item("crowded", good[0].source, text="ab" * 300), "more labels than frames", "600 labels need 600 frames"),
        "double": (Item("double", write_wave(tmp_path / "d.wav", tone[:1500]), text="aaaa"), "more labels than frames", "4 labels need 7 frames"),
        "silent": (Item("silent", write_wave(tmp_path / "silent.wav", np.zeros(9000)), text="ab"), "silent or blank", "only silence"),
        "endless": (Item("endless", write_wave(tmp_path / "e.wav", np.tile(tone, 40)), text="ab"), "too long", "raise trainer.batch_frames"),
    }
    clipped = Item("clipped", loud, text="abcd")
    save_manifest([*good[:3], *(item for item, _, _ in bad.values()), clipped, *good[3:]], tmp_path / "train.jsonl")
    save_manifest([*good, bad["missing"][0]], tmp_path / "dev.jsonl")
    changes = {"corpus.root": str(tmp_path), "corpus.text": {"drop": "!"}, "trainer.epochs": 1, "trainer.batch_frames": 1000}
    outcome = cli("train", "--config", tones.save_config(tmp_path / "c.yaml", tmp_path / "run", changes | {"corpus.name": "bad"}))
    assert outcome.code == 0
    report = json.loads((tmp_path / "run" / "audit.json").read_text())
    assert [entry[:2] for entry in report["train"]["excluded"]] == [[name, kind] for name, (_, kind, _) in bad.items()] + [["clipped", "clipped"]]
    assert all(reason in entry[2] for entry, (_, _, reason) in zip(report["train"]["excluded"], bad.values(), strict=False))
    assert report["train"]["items"] == 17 and report["train"]["usable"] == 7 and report["dev"]["usable"] == 6
    assert outcome.err[0].startswith("dev: 6 files are also trained on, by their content")  # the same recordings lie in both
    assert outcome.err[1] == "train: 7 of 17 items can be used"
    begun = next(n for n, line in enumerate(outcome.err) if line.startswith("epoch 1"))
    told = "\n".join(outcome.err[:begun])
    for name, (item, kind, reason) in bad.items():
        assert f"{kind} (left out): " in told
        assert any(reason in line and (name in line or str(item.source) in line) for line in outcome.err[:begun]), name
    assert "clipped (kept): 1" in told and "dev: 6 of 7 items can be used" in told
    losses = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert losses[0]["step"] == 1


def test_promise_4_blank_lines_unknown_symbols_and_many_of_a_kind(glyphs, line_run, cli, tmp_path) -> None:
    Image.fromarray(np.full((30, 90), 255, np.uint8)).save(tmp_path / "blank.png")
    good = glyphs.items("train")[:5]
    strange = Item("strange", good[0].source, text="ab\u00e9\u00e8")
    items = [*good, strange, *(Item(f"blank{n}", tmp_path / "blank.png", text="a") for n in range(5))]
    save_manifest(items, tmp_path / "m.jsonl")
    outcome = cli("audit", tmp_path / "m.jsonl", "-b", line_run / "bundle", "-q")
    assert outcome.code == 1 and outcome.out[0].startswith("5 of 11 items can be trained on")
    assert "left out: unknown symbols: strange: not in the alphabet: '\u00e9', '\u00e8'" in outcome.out
    assert [line for line in outcome.out if line.startswith("left out: silent or blank: blank")] == outcome.out[-5:]
    save_manifest(items[:5] + items[6:], tmp_path / "train.jsonl")
    save_manifest(good, tmp_path / "dev.jsonl")
    changes = {"corpus.root": str(tmp_path), "trainer.epochs": 1}
    outcome = cli("train", "--config", glyphs.save_config(tmp_path / "c.yaml", tmp_path / "run", changes))
    assert "  silent or blank (left out): 5" in outcome.err and "    ... and 2 more, in audit.json" in outcome.err
    excluded = json.loads((tmp_path / "run" / "audit.json").read_text())["train"]["excluded"]
    assert [entry[0] for entry in excluded] == [f"blank{n}" for n in range(5)]


@pytest.mark.parametrize("which", ["train", "dev"])
def test_nothing_left_to_train_on_is_one_line(glyphs, cli, tmp_path, which: str) -> None:
    for name in ("train", "dev"):
        items = [Item(f"{name}{n}", tmp_path / f"{n}.png", text="ab") for n in range(9)] if name == which else glyphs.items()[:4]
        save_manifest(items, tmp_path / f"{name}.jsonl")
    outcome = cli("train", "--config", glyphs.save_config(tmp_path / "c.yaml", tmp_path / "run", {"corpus.root": str(tmp_path)}), "-q")
    assert outcome.code == 2 and outcome.out == []
    assert len(outcome.err) == 1 and outcome.err[0].startswith(f"recognizer: no {which} item can be used; 9 findings, the first: ")
    assert outcome.err[0].endswith(f"{tmp_path / '0.png'}: no such file")


def riff(chunks: list[tuple[bytes, bytes]], kind: bytes = b"RIFF") -> bytes:
    order = ">" if kind == b"RIFX" else "<"
    body = b"".join(name + struct.pack(f"{order}I", len(data)) + data for name, data in chunks)
    return kind + struct.pack(f"{order}I", 4 + len(body)) + b"WAVE" + body


def wave_format(tag: int = 1, channels: int = 1, rate: int = 8000, bits: int = 16) -> bytes:
    block = channels * bits // 8
    return struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits)


def broken_recordings(folder: Path, samples: np.ndarray) -> None:
    """Files that have the name of a recording and are none, or not whole."""
    whole: dict[str, bytes] = {}
    for name, options in {
        "wav": {}, "float.wav": {"subtype": "FLOAT"}, "flac": {}, "ogg": {}, "aiff": {}, "au": {}, "caf": {}, "w64": {}, "mp3": {},
        "opus": {"format": "OGG", "subtype": "OPUS"}, "rf64": {"format": "RF64"}, "nist": {"format": "NIST"},
    }.items():  # fmt: skip
        write_wave(folder / f"whole.{name}", samples, **options)
        whole[name] = (folder / f"whole.{name}").read_bytes()
        (folder / f"whole.{name}").unlink()
    noise, pcm = np.random.default_rng(8).bytes(5000), whole["wav"][44:]
    flac = bytearray(whole["flac"])
    flac[len(flac) // 2 : len(flac) // 2 + 200] = noise[:200]
    strange = {value: np.where(np.arange(len(samples)) == 700, value, samples) for value in (np.nan, np.inf, 30_000.0)}
    contents = {
        "empty.wav": b"", "one_byte.wav": b"R", "text.wav": b"these are not samples\n" * 50, "zeros.wav": bytes(4000),
        "noise.wav": noise, "noise.flac": noise, "noise.ogg": noise, "noise.aiff": noise, "noise.sph": noise, "noise.caf": noise,
        "zeros.mp3": bytes(4000), "header_only.wav": whole["wav"][:44], "half_header.wav": whole["wav"][:20],
        "no_format.wav": riff([(b"data", pcm)]), "no_data.wav": riff([(b"fmt ", wave_format())]),
        "unknown_codec.wav": riff([(b"fmt ", wave_format(tag=0x4242)), (b"data", pcm)]),
        "no_channels.wav": riff([(b"fmt ", wave_format(channels=0)), (b"data", pcm)]),
        "no_rate.wav": riff([(b"fmt ", wave_format(rate=0)), (b"data", pcm)]),
        "cut.wav": whole["wav"][:3000], "cut.float.wav": whole["float.wav"][:5000], "cut.flac": whole["flac"][: len(whole["flac"]) // 2],
        "scratched.flac": bytes(flac), "magic_only.flac": b"fLaC", "cut.ogg": whole["ogg"][: len(whole["ogg"]) // 2],
        "magic_only.ogg": b"OggS", "cut.opus": whole["opus"][: len(whole["opus"]) // 2], "cut.aiff": whole["aiff"][:3000],
        "cut_header.au": whole["au"][:16], "cut.caf": whole["caf"][:40], "cut.w64": whole["w64"][:60], "cut_header.rf64": whole["rf64"][:30],
        "cut.nist": whole["nist"][:3000], "header_only.sph": whole["nist"][:1024], "cut_header.sph": whole["nist"][:300],
        "shorten.sph": whole["nist"][:1024].replace(b"pcm", b"pcm,embedded-shorten-v2.00") + noise,
        "page.mp3": b"<!DOCTYPE html><html><body>404 Not Found</body></html>\n", "pointer.wav": b"version https://git-lfs.github.com/spec/v1\n",
        "video.wav": b"\0\0\0\x20ftypisom\0\0\2\0isomiso2mp41" + noise, "zipped.wav": gzip.compress(whole["wav"]),
        "utf16.wav": "RIFF WAVE".encode("utf-16"), "matroska.ogg": b"\x1aE\xdf\xa3" + noise,
    }  # fmt: skip
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    for value, wrong in strange.items():
        write_wave(folder / f"with_{value}.wav", wrong, subtype="FLOAT")
    with zipfile.ZipFile(folder / "archive.flac", "w") as archive:
        archive.writestr("a.wav", whole["wav"])
    Image.new("L", (30, 30)).save(folder / "picture.wav", format="png")
    (folder / "nowhere.wav").symlink_to("gone/away.wav")
    (folder / "circle.wav").symlink_to("circle.wav")


def broken_pictures(folder: Path, picture: np.ndarray) -> None:
    """Files that have the name of a picture and are none, or not whole."""
    whole: dict[str, bytes] = {}
    noisy = np.random.default_rng(8).integers(0, 256, (40, 300), dtype=np.uint8)
    for name in ("png", "jpg", "tif", "webp", "bmp"):
        Image.fromarray(noisy).convert("RGB").save(folder / f"whole.{name}")
        whole[name] = (folder / f"whole.{name}").read_bytes()
        (folder / f"whole.{name}").unlink()
    scratched = bytearray(whole["png"])
    scratched[len(scratched) // 2] ^= 0xFF
    huge = bytearray(whole["png"])
    huge[16:24] = struct.pack(">II", 60_000, 60_000)
    contents = {
        "empty.png": b"", "text.png": b"not a picture\n" * 40, "zeros.jpg": bytes(3000), "noise.tif": np.random.default_rng(1).bytes(3000),
        "magic_only.png": whole["png"][:8], "scratched.png": bytes(scratched), "huge.png": bytes(huge), "page.jpg": b"<!DOCTYPE html><html></html>",
        "vector.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", "drawing.png": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "document.tif": b"%PDF-1.4\n", "pointer.png": b"version https://git-lfs.github.com/spec/v1\n", "zipped.png": gzip.compress(whole["png"]),
        **{f"cut.{name}": data[: int(0.6 * len(data))] for name, data in whole.items()},
    }  # fmt: skip
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    Image.fromarray(np.where(np.arange(9000) % 3, 0, 255).astype(np.uint8)[None, :]).save(folder / "thread.png")
    write_wave(folder / "sound.wav", np.zeros(100)).rename(folder / "sound.png")
    (folder / "nowhere.png").symlink_to("gone/away.png")


@pytest.mark.parametrize(("corpus", "run", "least"), [("tones", "speech_run", 45), ("glyphs", "line_run", 20)])
def test_promise_6_bad_files_cost_themselves(corpus: str, run: str, least: int, request, cli, speak, draw, tmp_path) -> None:
    corpus, bundle = request.getfixturevalue(corpus), request.getfixturevalue(run) / "bundle"
    generator = np.random.default_rng(2)
    if run == "speech_run":
        broken_recordings(tmp_path, speak("abcd", generator))
    else:
        broken_pictures(tmp_path, draw("abcd", generator))
    broken = sorted(str(path) for path in tmp_path.iterdir())
    good = {}
    for item in corpus.items()[:9]:
        path = shutil.copy(item.source, tmp_path / f"{random.Random(item.id).choice('aemqz')}_{item.source.name}")
        good[str(path)] = item.text
    assert len(broken) >= least
    outcome = cli("transcribe", tmp_path, "-b", bundle, "-q")
    assert outcome.code == 1
    results = dict(line.split("\t") for line in outcome.out)
    assert list(results) == sorted(good) and sum(results[path] == good[path] for path in good) >= 8
    # the MP3 decoder inside libsndfile has a voice of its own and cannot be told to be quiet
    told = [line for line in outcome.err if not line.startswith(("Note: ", "[src/libmpg123/"))]
    assert len(outcome.err) - len(told) <= 8
    assert [line.split(": ")[:2] for line in told] == [["recognizer", path] for path in broken]
    assert all(len(line.split(": ", 2)[2]) > 8 and len(line) < 400 for line in told)
