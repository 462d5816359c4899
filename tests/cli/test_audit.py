"""`recognizer audit`: what it says of copies of the same sound in two manifests."""

from __future__ import annotations

import json

from recognizer.data.manifest import Item, save_manifest


def test_sounds_that_are_also_in_another_manifest_are_named(cli, tones, tmp_path) -> None:
    first, second = tones.items("train")[:2]
    copy = tmp_path / "copy.wav"
    copy.write_bytes(second.source.read_bytes())
    save_manifest([first, second], tmp_path / "train.jsonl")
    save_manifest([Item("again", copy, text=second.text, units=second.units)], tmp_path / "dev.jsonl")
    words = ("audit", tmp_path / "dev.jsonl", "features.sample_rate=8000", "-q")
    outcome = cli(*words, "--against", tmp_path / "train.jsonl")
    assert outcome.code == 1 and outcome.out[-1] == f"kept: copy: again: {copy} is also {second.id} of {tmp_path / 'train.jsonl'}"
    listed = json.loads("\n".join(cli(*words, "--json", "--against", tmp_path / "train.jsonl").out))["list"]
    assert [(finding["id"], finding["kind"]) for finding in listed] == [("again", "copy")]
    assert cli(*words).code == 0
    assert cli(*words, "--against", tmp_path / "gone.jsonl").code == 2
