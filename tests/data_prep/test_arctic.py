"""ARCTIC prompts in both layouts; a split keeps a prompt together."""

from __future__ import annotations

import pytest

from recognizer.data.manifest import load_manifest
from recognizer.data.preparation import prepare
from recognizer.errors import InputError

PROMPTS = (
    '( arctic_a0001 "Author of the danger trail, Philip Steels, etc." )\n'
    '( arctic_a0002 "Not at this particular case, Tom, apologized Whittemore." )\n'
)


def festvox(root, write, sound, prompts: str = PROMPTS) -> None:
    for speaker in ("bdl", "slt"):
        folder = root / f"cmu_us_{speaker}_arctic"
        write(folder / "etc" / "txt.done.data", prompts)
        for number in (1, 2):
            sound(folder / "wav" / f"arctic_a000{number}.wav")


def test_the_folders_of_the_distribution(tmp_path, read, write, sound) -> None:
    festvox(tmp_path, write, sound)
    reading = read("arctic", tmp_path)
    assert [(i.id, i.group, i.meta["speaker"]) for i in reading.items] == [
        ("cmu_us_bdl_arctic/wav/arctic_a0001", "arctic_a0001", "bdl"), ("cmu_us_bdl_arctic/wav/arctic_a0002", "arctic_a0002", "bdl"),
        ("cmu_us_slt_arctic/wav/arctic_a0001", "arctic_a0001", "slt"), ("cmu_us_slt_arctic/wav/arctic_a0002", "arctic_a0002", "slt")]
    assert reading.items[0].text == "Author of the danger trail, Philip Steels, etc." and reading.dropped == []
    assert {i.group for i in read("arctic", tmp_path, "--group", "speaker").items} == {"bdl", "slt"}
    assert read("arctic", tmp_path / "cmu_us_slt_arctic").items[0].meta["speaker"] == "slt"


def test_recordings_beside_their_text(tmp_path, read, write, sound) -> None:
    for name, text in (("arctic_a0001_17", "One.\n"), ("arctic_a0001_18", "One."), ("arctic_b0539_9", "Two."), ("note", "x")):
        sound(tmp_path / "kathleen" / f"{name}.wav")
        write(tmp_path / "kathleen" / f"{name}.txt", text)
    items = read("arctic", tmp_path / "kathleen").items
    assert [(i.id, i.text, i.group) for i in items] == [
        ("arctic_a0001_17", "One.", "arctic_a0001"), ("arctic_a0001_18", "One.", "arctic_a0001"), ("arctic_b0539_9", "Two.", "arctic_b0539")]
    assert items[0].meta == {"prompt": "arctic_a0001", "speaker": "kathleen"}


def test_a_prompt_is_never_on_both_sides_of_a_split(tmp_path, write, sound) -> None:
    for number in range(12):
        for take in range(3):
            sound(tmp_path / "c" / f"arctic_a{number:04d}_{take}.wav")
            write(tmp_path / "c" / f"arctic_a{number:04d}_{take}.txt", "x")
    prepare("arctic", tmp_path / "c", tmp_path / "out", dev=0.25)
    train, dev = ({item.group for item in load_manifest(tmp_path / "out" / f"{name}.jsonl")} for name in ("train", "dev"))
    assert len(dev) == 3 and len(train) == 9 and not train & dev


def test_what_has_no_text_is_named(tmp_path, read, write, sound) -> None:
    festvox(tmp_path, write, sound, PROMPTS.split("\n")[0] + "\nnonsense\n")
    sound(tmp_path / "more" / "wav" / "arctic_a0003.wav")
    reading = read("arctic", tmp_path)
    assert len(reading.items) == 2
    assert "txt.done.data:2: expected" in reading.dropped[0] and "arctic_a0002.wav: has no text in" in reading.dropped[1]
    assert "neither arctic_a0003.txt beside it nor" in reading.dropped[-1]
    with pytest.raises(InputError, match="no recordings of ARCTIC prompts"):
        read("arctic", tmp_path / "cmu_us_bdl_arctic" / "etc")
