"""The recognisers in the box, and packing a bundle for handing on."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from recognizer.bundle.io import load_bundle
from recognizer.bundle.provenance import Provenance
from recognizer.bundle.registry import default_bundle, find_bundle, find_partner, model_folders, own_bundles, shipped_bundles
from recognizer.errors import BundleError
from recognizer.inference.recognizer import Recognizer

MAX_BYTES = 16 * 2**20  # of a shipped bundle


@pytest.mark.parametrize("name", sorted(shipped_bundles()))
def test_a_shipped_bundle_is_whole_small_and_says_what_it_is(name: str) -> None:
    bundle = load_bundle(shipped_bundles()[name])
    assert sum(path.stat().st_size for path in bundle.folder.iterdir()) <= MAX_BYTES
    assert bundle.card().startswith(f"# {name}\n") and "95 %" in bundle.card()
    assert len(Provenance.load(bundle.folder).train) > 1000
    assert bundle.config.decoder.calibration is not None


@pytest.mark.parametrize("name", sorted(shipped_bundles()))
def test_nothing_written_or_said_gives_no_text(name: str) -> None:
    recognizer = Recognizer.load(find_bundle(name), threads=1)
    audio = recognizer.config.modality == "audio"
    nothing = np.zeros(16_000, np.float32) if audio else np.full((60, 400), 240, np.uint8)
    transcript = recognizer.transcribe(nothing)
    assert transcript.error is None and len(transcript.text) <= 1


def test_files_find_their_recogniser_by_kind(cli, tmp_path: Path) -> None:
    picture = Image.new("L", (500, 70), 255)
    ImageDraw.Draw(picture).text((10, 10), "bonjour", fill=0, font_size=40)
    picture.save(tmp_path / "line.png")
    outcome = cli("transcribe", tmp_path / "line.png", "-q")
    assert outcome.code == 0 and outcome.out == cli("transcribe", tmp_path / "line.png", "-q", "-b", "handwriting-fr").out != [""]
    outcome = cli("transcribe", tmp_path / "notes.doc")
    assert outcome.code == 2 and "no such file" in outcome.err[-1]
    (tmp_path / "notes.doc").write_text("x")
    assert "does not tell whether it is a recording or an image" in cli("transcribe", tmp_path / "notes.doc").err[-1]


def test_a_folder_that_is_no_bundle_hides_no_shipped_model(tmp_path: Path, monkeypatch) -> None:
    for name in ("speech-en", "phones-en"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    shipped = shipped_bundles()
    assert find_bundle("speech-en") == shipped["speech-en"]
    assert find_partner("speech-en", shipped["phones-en"]) == shipped["speech-en"]
    assert len(Recognizer.load("phones-en", threads=1).bundles) == 2


def test_a_partner_lies_beside_its_bundle_or_ships(tmp_path: Path) -> None:
    phones = shipped_bundles()["phones-en"]
    (tmp_path / "other").mkdir()
    assert find_partner("phones-en", tmp_path / "mine") == phones and find_partner("none", tmp_path / "mine") == Path("none")
    shutil.copytree(phones, tmp_path / "phones-en")
    assert find_partner("phones-en", tmp_path / "mine") == tmp_path / "phones-en"
    assert find_partner("../phones-en", tmp_path / "other") == tmp_path / "other" / "../phones-en"


def test_a_bundle_at_a_path_goes_before_a_name(tmp_path: Path) -> None:
    assert find_bundle(tmp_path) == tmp_path and find_bundle("handwriting-fr") == shipped_bundles()["handwriting-fr"]
    assert find_bundle("nowhere/at/all") == Path("nowhere/at/all")
    with pytest.raises(BundleError, match=r"^speech-fr: no such bundle; did you mean 'speech-en'\?$"):
        find_bundle("speech-fr")
    known = "handwriting-fr, handwriting-fr-fast, phones-en, speech-en, speech-en-streaming"
    with pytest.raises(BundleError, match=rf"^nowhere: no such bundle; by name there are {known}$"):
        find_bundle("nowhere")
    with pytest.raises(BundleError, match="name one with -m"):
        default_bundle("strokes")


def test_the_users_folders_hold_bundles_by_name(tmp_path: Path, line_run: Path, monkeypatch) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first / "mine", second / "mine", second / "other", second / "speech-en"):
        shutil.copytree(line_run / "bundle", folder)
    (second / "no-bundle").mkdir()
    monkeypatch.setenv("RECOGNIZER_MODELS", os.pathsep.join(map(str, (tmp_path / "none", first, second))))
    assert own_bundles() == {"mine": first / "mine", "other": second / "other", "speech-en": second / "speech-en"}
    assert find_bundle("mine") == first / "mine" and find_bundle("other") == second / "other"
    assert find_bundle("speech-en") == shipped_bundles()["speech-en"]
    assert find_partner("other", tmp_path / "elsewhere") == second / "other"
    monkeypatch.delenv("RECOGNIZER_MODELS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert model_folders() == [tmp_path / "recognizer"]
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert model_folders() == [tmp_path / ".cache" / "recognizer"] and own_bundles() == {}
