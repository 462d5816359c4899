"""The audit: every way in which an item can be wrong is found, named and, if it must be, left out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image, ImageDraw

from recognizer.config import AudioFeatures, LineFeatures, StrokeFeatures, TextConfig
from recognizer.data import audit as audit_module
from recognizer.data.audit import Audit, Auditor, find_copies, quartiles, required_frames
from recognizer.data.cache import ArrayCache
from recognizer.data.manifest import Item
from recognizer.errors import InputError
from recognizer.text.alphabet import Alphabet

RATE = 8000
AUDIO = AudioFeatures(sample_rate=RATE)
TEXT = TextConfig(case="lower", drop=".")
LETTERS = Alphabet(tuple(" abc"))


def frames(samples: int) -> int:
    return samples // 80  # 10 ms


def halved(count: int) -> int:
    return (count + 1) // 2


def make_auditor(**changes: object) -> Auditor:
    return dataclasses.replace(Auditor(AUDIO, TEXT, frames, halved, LETTERS, max_frames=100), **changes)


@pytest.fixture
def record(tmp_path: Path) -> Callable[..., Item]:
    def make(name: str, text: str | None = "abc", seconds: float = 0.5, peak: float = 0.3, **more: object) -> Item:
        samples = peak * np.sin(np.arange(round(seconds * RATE)) * 0.3)
        soundfile.write(tmp_path / f"{name}.wav", np.clip(samples, -1, 1), RATE, subtype="PCM_16")
        return Item(name, tmp_path / f"{name}.wav", text=text, **more)  # type: ignore[arg-type]

    return make


@pytest.fixture
def items(record: Callable[..., Item], tmp_path: Path) -> list[Item]:
    """One item of every kind, good ones between them."""
    (tmp_path / "broken.wav").write_bytes(b"RIFF but not really")
    return [
        record("good1", group="s1"),
        Item("missing", tmp_path / "nowhere.wav", text="a"),
        Item("broken", tmp_path / "broken.wav", text="a"),
        record("untranscribed", None, units=("A",)),
        record("empty", " . "),
        record("good2", "ABC.", 0.25, group="s2"),
        record("foreign", "a\u00e9bx\u00e9"),
        record("silent", peak=1e-4),
        record("long", seconds=1.01),
        record("hasty", "abcabc", 0.1),  # 10 frames, 5 after the encoder
        record("stutter", "aaa", 0.08),  # 8 frames, 4 after the encoder: three letters and two blanks need 5
        record("clipped", peak=1.5, group="s1"),
        record("just", "aaa", 0.09),  # 9 frames, 5 after the encoder
        record("full", "a" * 26, 1.0),  # 100 frames: 26 letters and 25 blanks need 51, it has 50
        record("good3", "a" * 25, 1.0),
    ]


EXPECTED = [
    ("missing", "unreadable", r"^missing: .*nowhere\.wav: no such file"),
    ("broken", "unreadable", r"^broken: .*broken\.wav: "),
    ("untranscribed", "no transcript", r"^untranscribed: the transcript \('text'\) is not in the manifest$"),
    ("empty", "no transcript", r"^empty: the transcript \('text'\) is empty$"),
    ("foreign", "unknown symbols", "^foreign: not in the alphabet: '\u00e9', 'x'$"),
    ("silent", "silent or blank", r"^silent: .*silent\.wav holds only silence$"),
    ("long", "too long", r"^long: 101 frames, more than a batch may have \(100\): .* trainer\.batch_frames to 101$"),
    ("hasty", "more labels than frames", r"^hasty: 6 labels need 6 frames, the encoder has 5; .*hasty\.wav$"),
    ("stutter", "more labels than frames", r"^stutter: 3 labels need 5 frames, the encoder has 4; .*stutter\.wav$"),
    ("clipped", "clipped", r"^clipped: .*clipped\.wav is clipped$"),
    ("full", "more labels than frames", r"^full: 26 labels need 51 frames, the encoder has 50; "),
]


def test_every_kind_of_finding_names_its_item_in_order(items: list[Item]) -> None:
    progress: list[int] = []
    result = make_auditor().audit(items, progress.append)
    assert [(finding.item.id, finding.kind) for finding in result.findings] == [(name, kind) for name, kind, _ in EXPECTED]
    for finding, (_, _, message) in zip(result.findings, EXPECTED, strict=True):
        with pytest.raises(InputError, match=message):
            raise InputError(finding.message)
        assert "\n" not in finding.message
    assert [finding.item.id for finding in result.findings if not finding.excludes] == ["clipped"]
    assert [finding.item.id for finding in result.excluded] == [name for name, kind, _ in EXPECTED if kind != "clipped"]
    assert [item.id for item in result.usable] == ["good1", "good2", "clipped", "just", "good3"]
    assert list(result.frames) == [50, 25, 50, 9, 100] and list(result.labels) == [3, 3, 3, 3, 25]
    assert result.total == len(items) == len(result.usable) + len(result.excluded)
    assert progress == list(range(1, len(items) + 1))


def test_report(items: list[Item]) -> None:
    auditor = make_auditor()
    report = auditor.report(auditor.audit(items))
    assert (report["items"], report["usable"], report["groups"], report["hours"]) == (15, 5, 2, round(2.34 / 3600, 4))
    assert report["findings"] == {
        "unreadable": 2, "no transcript": 2, "unknown symbols": 1, "silent or blank": 1, "too long": 1, "more labels than frames": 3, "clipped": 1}
    assert report["frames"] == [9, 25, 50, 50, 100] and report["labels"] == [3, 3, 3, 3, 25]
    assert report["symbols"]["\u00e9"] == 2 and sum(report["symbols"].values()) == 83
    lenient = make_auditor(alphabet=None, max_frames=None).audit(items)
    assert {"foreign", "long"} <= {item.id for item in lenient.usable}


def test_order_is_kept_over_many_items(record: Callable[..., Item], tmp_path: Path) -> None:
    good = record("good")
    many = [
        dataclasses.replace(good, id=f"u{number}", source=tmp_path / "none.wav" if number % 7 == 3 else good.source, text="a" * (number % 5 + 1))
        for number in range(150)
    ]
    result = make_auditor().audit(many)
    assert [item.id for item in result.usable] == [item.id for item in many if item.source == good.source]
    assert list(result.labels) == [len(item.text or "") for item in result.usable]
    assert [finding.item.id for finding in result.findings] == [item.id for item in many if item.source != good.source]


def test_a_cache_changes_nothing_but_the_decoding(items: list[Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain: Audit = make_auditor().audit(items)
    first = make_auditor(cache=ArrayCache(tmp_path / "cache", AUDIO)).audit(items)
    decoded: list[Path] = []
    read_array = audit_module.read_array

    def count_reads(path: Path, features: AudioFeatures) -> np.ndarray:
        decoded.append(path)
        return read_array(path, features)

    monkeypatch.setattr(audit_module, "read_array", count_reads)
    second = make_auditor(cache=ArrayCache(tmp_path / "cache", AUDIO)).audit(items)
    assert plain == first == second
    assert sorted(path.name for path in decoded) == ["broken.wav", "nowhere.wav"]  # only what could not be kept


def test_items_that_are_marked_as_empty_are_kept(record: Callable[..., Item]) -> None:
    """An empty transcript is an error unless the item is marked as empty; even then CTC needs a frame."""
    marked: dict[str, object] = {"meta": {"empty": True}, "units": ()}
    items = [
        record("marked", "", **marked), record("quiet", " .", peak=0.0, **marked), record("forgotten", ""), record("silent", peak=0.0),
        record("unsure", "", meta={"empty": "yes"}), record("unsaid", None, meta={"empty": True}), record("long", "", 1.01, **marked),
        record("good"),
    ]
    result = make_auditor().audit(items)
    assert [item.id for item in result.usable] == ["marked", "quiet", "good"] and result.empty == 2
    assert list(result.labels) == [0, 0, 3] and result.symbols == {"a": 2, "b": 2, "c": 2}
    assert [(finding.item.id, finding.kind) for finding in result.findings] == [
        ("forgotten", "no transcript"), ("silent", "silent or blank"), ("unsure", "no transcript"), ("unsaid", "no transcript"),
        ("long", "too long")]
    assert [item.id for item in make_auditor(text=TextConfig(level="units"), alphabet=None).audit(items[:3]).usable] == ["marked", "quiet"]
    assert make_auditor().report(result)["empty"] == 2
    brief, enough = (record(name, "", seconds, meta={"empty": True}) for name, seconds in (("brief", 0.009), ("enough", 0.01)))
    result = make_auditor().audit([brief, enough])
    assert [item.id for item in result.usable] == ["enough"] and list(result.shortest) == [80]
    assert result.findings[0].message.startswith("brief: 0 labels need 1 frames, the encoder has 0")


def test_units_are_judged_as_units(record: Callable[..., Item]) -> None:
    alphabet = Alphabet(("AH", "B"), "units")
    auditor = make_auditor(text=TextConfig(level="units"), alphabet=alphabet)
    result = auditor.audit([
        record("good", None, units=("AH", "B")), record("empty", "abc", units=()), record("none", "abc"), record("odd", None, units=("AH", "C")),
    ])
    assert [item.id for item in result.usable] == ["good"] and list(result.labels) == [2]
    assert [finding.message for finding in result.findings] == [
        "empty: the transcript ('units') is empty", "none: the transcript ('units') is not in the manifest", "odd: not in the alphabet: 'C'"]


def test_lines(tmp_path: Path) -> None:
    def draw(name: str, ink: bool, width: int = 120) -> Item:
        image = Image.new("L", (width, 32), 230)
        if ink:
            drawing = ImageDraw.Draw(image)
            for x in range(4, width - 6, 8):
                drawing.rectangle((x, 6, x + 2, 26), fill=20)
        image.save(tmp_path / f"{name}.png")
        return Item(name, tmp_path / f"{name}.png", text="abc", group="w")

    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    features = LineFeatures(height=32, crop=False)
    auditor = Auditor(features, TEXT, lambda width: width, halved, LETTERS, max_frames=200)
    broken = Item("broken", tmp_path / "broken.png", text="a")
    result = auditor.audit([draw("good", True), draw("blank", False), broken, draw("wide", True, 201), draw("narrow", True, 14)])
    assert [item.id for item in result.usable] == ["good", "narrow"] and list(result.frames) == [120, 14]
    assert [(finding.item.id, finding.kind) for finding in result.findings] == [
        ("blank", "silent or blank"), ("broken", "unreadable"), ("wide", "too long")]
    assert result.findings[0].message.endswith("blank.png holds a blank line")
    assert "hours" not in auditor.report(result)


def test_what_other_features_read_is_told_with_the_setting(record: Callable[..., Item], tmp_path: Path) -> None:
    Image.new("L", (60, 32), 200).save(tmp_path / "line.PNG")
    (tmp_path / "pen.inkml").write_text('<ink xmlns="http://www.w3.org/2003/InkML"><trace>0 0, 10 10, 20 0</trace></ink>')
    (tmp_path / "broken.wav").write_bytes(b"RIFF but not really")
    sound, *others = [record("sound"), *(Item(name, tmp_path / name, text="a") for name in ("line.PNG", "pen.inkml", "broken.wav"))]

    def told(features: object, items: list[Item]) -> list[str]:
        messages = [finding.message for finding in make_auditor(features=features).audit(items).findings]
        return [message.partition("; its ending is that of ")[2] for message in messages]

    assert told(AUDIO, [sound, *others]) == ["a picture: read it with features=pixels", "a pen trace: read it with features=strokes", ""]
    assert told(LineFeatures(), [sound, others[1]]) == ["a recording: read it with features=fbank", "a pen trace: read it with features=strokes"]
    assert told(StrokeFeatures(), [sound]) == ["a recording: read it with features=fbank"]


@pytest.mark.parametrize(("labels", "frames"), [("", 0), ("a", 1), ("ab", 2), ("aa", 3), ("aaa", 5), ("abba", 5), ("aabb", 6)])
def test_required_frames(labels: str, frames: int) -> None:
    assert required_frames(labels) == frames
    assert quartiles([]) == [] and quartiles(range(100, -1, -1)) == [0, 25, 50, 75, 100]


def test_shortest_is_the_least_length_with_enough_frames(record: Callable[..., Item]) -> None:
    items = [record("one", "a", 0.3), record("two", "abcabc", 0.4), record("three", "aabb", 0.5)]
    result = make_auditor().audit(items)
    assert len(result.shortest) == len(result.usable) == 3
    for item, length in zip(result.usable, result.shortest, strict=True):
        needed = required_frames(item.text)
        assert halved(frames(length)) >= needed > halved(frames(length - 1))


def test_files_of_the_same_content_are_found_under_other_names(tmp_path: Path) -> None:
    contents = {"a": b"one", "b": b"two", "c": b"one", "d": b"longer", "e": b"two", "f": b"new"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    first = [Item(name, tmp_path / name) for name in ("a", "b", "gone", "d", "f")]
    second = [Item(name, tmp_path / name) for name in ("c", "e", "a", "lost")]
    assert [(item.id, other.id) for item, other in find_copies(first, second)] == [("a", "c"), ("b", "e")]
    assert find_copies(first, []) == [] and find_copies([], second) == []
