"""The recognisers in the box, and packing a bundle for handing on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from recognizer.bundle import load_bundle
from recognizer.bundles import DEFAULTS, boxed, default_bundle, find_bundle
from recognizer.data.manifest import load_manifest
from recognizer.data.provenance import TRAINED_ON, Provenance
from recognizer.errors import BundleError, InputError
from recognizer.packing import pack
from recognizer.pipeline import Recognizer
from recognizer.transcription import choose_bundles

MOST = 16 * 2**20  # bytes of a bundle in the box


@pytest.mark.parametrize("name", sorted(boxed()))
def test_a_bundle_in_the_box_is_whole_small_and_says_what_it_is(name: str) -> None:
    bundle = load_bundle(boxed()[name])
    assert sum(path.stat().st_size for path in bundle.folder.iterdir()) <= MOST
    assert bundle.card().startswith(f"# {name}\n") and "95 %" in bundle.card()
    assert len(Provenance.parse((bundle.folder / TRAINED_ON).read_text()).train) > 1000
    assert bundle.recipe.decoder.calibration is not None


@pytest.mark.parametrize("name", sorted(boxed()))
def test_nothing_written_or_said_gives_no_text(name: str) -> None:
    recognizer = Recognizer.load(find_bundle(name), threads=1)
    audio = recognizer.recipe.modality == "audio"
    nothing = np.zeros(16_000, np.float32) if audio else np.full((60, 400), 240, np.uint8)
    (transcript,) = recognizer.transcribe(nothing)
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


def test_sources_are_divided_by_kind(tmp_path: Path) -> None:
    class Options:
        bundle = None
        sources: tuple[str, ...] = ()

    for name in ("a.wav", "b.png", "c.flac"):
        (tmp_path / name).touch()
    options = Options()
    options.sources = (str(tmp_path / "b.png"), str(tmp_path))
    divided = {Path(bundle).name: [Path(name).name for name in names] for bundle, names in choose_bundles(options)}  # type: ignore[arg-type]
    assert divided == {DEFAULTS["audio"]: ["a.wav", "c.flac"], DEFAULTS["line"]: ["b.png", "b.png"]}
    options.sources = (str(tmp_path / "none"),)
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="no recordings or images found"):
        choose_bundles(options)  # type: ignore[arg-type]


def test_a_path_goes_before_a_name(tmp_path: Path) -> None:
    assert find_bundle(tmp_path) == tmp_path and find_bundle("handwriting-fr") == boxed()["handwriting-fr"]
    assert find_bundle("nowhere") == Path("nowhere")
    with pytest.raises(BundleError, match="name one with -b"):
        default_bundle("strokes")


def test_packing_halves_the_weights_and_reads_the_same(cli, line_run: Path, glyphs, tmp_path: Path) -> None:
    assert cli("pack", line_run / "bundle", tmp_path / "small").code == 0
    full, small = load_bundle(line_run / "bundle"), load_bundle(tmp_path / "small")
    assert (small.folder / "model.safetensors").stat().st_size < 0.6 * (full.folder / "model.safetensors").stat().st_size
    assert small.others == full.others and small.card() == full.card() and small.recipe == full.recipe
    sources = [item.source for item in load_manifest(glyphs.root / "dev.jsonl")]
    texts = [[t.text for t in Recognizer.load(folder, threads=1).transcribe(sources)] for folder in (full.folder, small.folder)]
    assert sum(a != b for a, b in zip(*texts, strict=True)) <= 1
    assert pack(small, tmp_path / "again") == pytest.approx(sum(p.stat().st_size for p in small.folder.iterdir()), rel=0.01)


def test_packing_changes_how_features_are_cleaned_and_nothing_else(cli, speech_run: Path, line_run: Path, tmp_path: Path) -> None:
    assert cli("pack", speech_run / "bundle", tmp_path / "dithered", "features.dither=0.01").code == 0
    full, small = load_bundle(speech_run / "bundle"), load_bundle(tmp_path / "dithered")
    assert small.recipe == replace(full.recipe, features=replace(full.recipe.features, dither=0.01))
    refused = {
        "features.dither=2": "must lie in [0, 1]",
        "features.dithr=0.1": "did you mean",
        "features.bins=41": "the weights were trained with other features",
        "dither=0.1": "expected features.KEY=VALUE",
    }
    for override, words in refused.items():
        outcome = cli("pack", speech_run / "bundle", tmp_path / "none", override)
        assert outcome.code == 2 and words in outcome.err[0] and len(outcome.err) == 1
    assert not (tmp_path / "none").exists()
    assert cli("pack", line_run / "bundle", tmp_path / "cleaned", "features.contrast=background", "features.deskew=true").code == 0
    features = load_bundle(tmp_path / "cleaned").recipe.features
    assert (features.contrast, features.deskew) == ("background", True)
