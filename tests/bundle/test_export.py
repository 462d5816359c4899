"""Bundles exported to ONNX: what lies in them, and what is said of those that cannot be."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import onnxruntime
import pytest

from recognizer.bundle.io import CONTENTS, digest_of, load_bundle
from recognizer.bundle.registry import find_bundle, shipped_bundles
from recognizer.errors import BundleError


@pytest.fixture(scope="session")
def exported(speech_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from recognizer.bundle.export import export

    return export(load_bundle(speech_run / "bundle"), tmp_path_factory.mktemp("exported") / "tones").parent


def metadata(path: Path) -> dict[str, str]:
    return onnxruntime.InferenceSession(str(path)).get_modelmeta().custom_metadata_map


def test_a_folder_is_a_bundle_with_a_graph_in_place_of_weights(speech_run: Path, exported: Path) -> None:
    full, found = load_bundle(speech_run / "bundle"), load_bundle(exported)
    assert found.graph == exported / "model.onnx" and not found.weights and not (exported / "model.safetensors").exists()
    assert (found.config, found.alphabet, found.others) == (full.config, full.alphabet, full.others)
    assert found.card().startswith(full.card()) and "## Exported" in found.card()
    assert json.loads((exported / CONTENTS).read_text())["format"] == 3
    assert find_bundle(exported / "model.onnx") == exported


def test_metadata_say_what_other_programs_need(exported: Path) -> None:
    said = metadata(exported / "model.onnx")
    assert json.loads(said["alphabet"]) == ["<blank>", "a", "b", "c", "d"]
    assert (said["sample_rate"], said["stride"], said["kind"], said["matrices"]) == ("8000", "240", "audio", "float32")
    assert said["config"] == (exported / "config.yaml").read_text() and said["card"] == (exported / "card.md").read_text()


def test_the_second_recognizer_and_all_files_come_along(cli, tmp_path: Path) -> None:
    assert cli("export", "handwriting-fr", tmp_path / "lines", "--int8").code == 0
    bundle = load_bundle(tmp_path / "lines")
    second = load_bundle(tmp_path / "lines" / "second")
    assert bundle.config.decoder.combine_with == "./second" and second.graph is not None and second.config.decoder.kind == "greedy"
    assert set(bundle.others) == {"lm.ngram", "char_lm.ngram", "trained_on.txt.gz"} and second.others == ("trained_on.txt.gz",)
    files = json.loads(metadata(tmp_path / "lines" / "model.onnx")["decoder_files"])
    assert files == {name: digest_of(tmp_path / "lines" / name) for name in ("lm.ngram", "char_lm.ngram")}
    full = sum(tensor.numel() for tensor in load_bundle(shipped_bundles()["handwriting-fr"]).weights.values())
    assert (tmp_path / "lines" / "model.onnx").stat().st_size < 0.3 * 4 * full
    assert "int8" in bundle.card() and "int8" in second.card()


def test_a_file_stands_alone(cli, speech_run: Path, tmp_path: Path) -> None:
    path = tmp_path / "tones.onnx"
    assert cli("export", speech_run / "bundle", path).code == 0
    full, alone = load_bundle(speech_run / "bundle"), load_bundle(path)
    assert (alone.folder, alone.graph, alone.others) == (path, path, ()) and alone.config.decoder.kind == "greedy"
    assert alone.alphabet == full.alphabet and alone.card().startswith(full.card())
    assert [entry.name for entry in tmp_path.iterdir()] == ["tones.onnx"]
    assert cli("info", path).code == 0


@pytest.mark.parametrize("command", ["export", "convert"])
def test_what_needs_weights_refuses_an_exported_bundle(cli, exported: Path, tmp_path: Path, command: str) -> None:
    outcome = cli(command, exported, tmp_path / "again")
    assert outcome.code == 2 and outcome.err == [
        f"recognizer: {exported / 'model.onnx'}: was exported and has no weights, which this needs; name the bundle that it was exported from"
    ]
    assert not (tmp_path / "again").exists()


def test_without_the_package_onnx_the_message_says_what_to_install(cli, speech_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    outcome = cli("export", speech_run / "bundle", tmp_path / "out")
    assert outcome.code == 2 and len(outcome.err) == 1 and "pip install 'recognizer[onnx]'" in outcome.err[0]


def test_what_cannot_be_exported_names_its_setting(cli, trace_run: Path, tmp_path: Path) -> None:
    outcome = cli("export", trace_run / "bundle", tmp_path / "out")
    assert outcome.code == 2 and len(outcome.err) == 1 and "features.kind: strokes cannot be exported" in outcome.err[0]
    assert not (tmp_path / "out").exists()


def test_files_that_are_no_recognizers_are_named(exported: Path, tmp_path: Path) -> None:
    damaged, foreign = tmp_path / "damaged.onnx", tmp_path / "foreign.onnx"
    damaged.write_bytes((exported / "model.onnx").read_bytes()[:1000])
    with pytest.raises(BundleError, match=r"damaged\.onnx: onnxruntime .* cannot run it"):
        load_bundle(damaged)
    import onnx

    model = onnx.load(exported / "model.onnx")
    del model.metadata_props[:]
    onnx.save(model, foreign)
    with pytest.raises(BundleError, match=r"foreign\.onnx: is no recognizer: .*recognizer export"):
        load_bundle(foreign)
    with pytest.raises(BundleError, match="no such bundle"):
        load_bundle(tmp_path / "missing.onnx")


def test_what_int8_costs_is_measured_and_stands_on_the_card(cli, speech_run: Path, tones, tmp_path: Path) -> None:
    manifest = tones.root / "dev.jsonl"
    for output in (tmp_path / "small", tmp_path / "small.onnx"):
        outcome = cli("export", speech_run / "bundle", output, "--int8", "--measure", manifest)
        assert outcome.code == 0 and outcome.out[-1].startswith("* Beside the original on `dev.jsonl` (24 items of 4 groups): CER ")
        assert "points [" in outcome.out[-1] and "WER" in outcome.out[-1]
    assert load_bundle(tmp_path / "small").card().count("* Beside the original on `dev.jsonl`") == 1
    refused = cli("export", speech_run / "bundle", tmp_path / "small", "--int8", "--measure", tones.root / "train.jsonl")
    assert refused.code == 2 and "are among those the recognizer was trained on" in refused.err[-1]
