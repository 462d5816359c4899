"""Exported bundles in use: the same texts as from the bundles that they were made from, without torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recognizer.audio.io import load_audio
from recognizer.bundle.export import export
from recognizer.bundle.io import load_bundle
from recognizer.bundle.registry import shipped_bundles
from recognizer.config import DecoderConfig
from recognizer.errors import BundleError, ConfigError
from recognizer.inference.recognizer import Recognizer

EXAMPLES = Path(next(iter(shipped_bundles().values()))).parent / "examples"
NAMES = sorted(name for name, folder in shipped_bundles().items() if not load_bundle(folder).config.model.chunk_ms)  # those that can be exported
RECORDINGS, LINES = sorted(EXAMPLES.glob("*.opus")), sorted(EXAMPLES.glob("*.webp"))


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of the shipped models, exported."""
    root = tmp_path_factory.mktemp("shipped")
    return {name: export(load_bundle(shipped_bundles()[name]), root / name).parent for name in NAMES}


@pytest.fixture(scope="session")
def tones_folder(speech_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(load_bundle(speech_run / "bundle"), tmp_path_factory.mktemp("tones") / "exported").parent


@pytest.mark.parametrize("name", NAMES)
def test_shipped_models_give_the_same_log_probs_and_texts(name: str, shipped: dict[str, Path]) -> None:
    full, light = Recognizer.load(name, "cpu", threads=1), Recognizer.load(shipped[name], threads=1)
    assert len(full.bundles) == len(light.bundles) and light.bundles[-1].graph is not None
    if full.config.modality == "audio":
        whole = [load_audio(path, 16_000) for path in RECORDINGS]
        generator = np.random.default_rng(0)
        others = [0.1 * generator.standard_normal(4000).astype(np.float32), whole[0][:401], whole[1][:9000], np.zeros(3000, np.float32)]
    else:
        whole, others = list(LINES), [np.random.default_rng(0).integers(0, 256, (40, 90)).astype(np.uint8)]
    sources = [*whole, *others]  # of many lengths, in one batch
    for one, other in zip(full.emissions(sources), light.emissions(sources), strict=True):
        assert (one.error, one.seconds, one.width, one.frame_times) == (other.error, other.seconds, other.width, other.frame_times)
        np.testing.assert_allclose(other.decoder_input, one.decoder_input, atol=1e-4)
    pairs = zip(full.transcribe(whole, times=True), light.transcribe(whole, times=True), strict=True)
    for one, other in pairs:
        assert (other.text, [w.start for w in other.words]) == (one.text, [w.start for w in one.words]) and one.text


def test_bad_inputs_are_answered_as_by_torch(speech_run: Path, tones_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.wav").write_bytes(b"")
    sources = [tmp_path / "missing.wav", tmp_path / "empty.wav", np.full(800, np.nan, np.float32), np.zeros(0, np.float32), np.zeros(1, np.float32),
        np.ones(150, np.float32) * 0.1, np.zeros((3, 4), np.float32), RECORDINGS[0]]  # fmt: skip
    answers = [list(Recognizer.load(folder, threads=1).transcribe(sources)) for folder in (speech_run / "bundle", tones_folder)]
    assert [(t.text, t.error) for t in answers[0]] == [(t.text, t.error) for t in answers[1]]
    assert sum(t.error is not None for t in answers[0]) == 5


@pytest.mark.parametrize("int8", [False, True])
def test_a_result_does_not_depend_on_the_batch(speech_run: Path, tones, tmp_path: Path, int8: bool) -> None:
    recognizer = Recognizer.load(export(load_bundle(speech_run / "bundle"), tmp_path / "tones.onnx", int8), threads=1)
    sources = [item.source for item in tones.items()[:5]]
    for source, together in zip(sources, recognizer.log_probs(sources), strict=True):
        assert np.array_equal(recognizer.log_probs(source), together)


@pytest.mark.parametrize("rate", [8000, 44_100])
def test_other_sample_rates(speech_run: Path, tones_folder: Path, speak, rate: int) -> None:
    samples = np.repeat(speak("abcd", np.random.default_rng(3)), rate // 8000)
    one, other = (Recognizer.load(folder, threads=1).transcribe(samples, sample_rate=rate) for folder in (speech_run / "bundle", tones_folder))
    assert one.text == other.text and one.seconds == other.seconds


def test_a_file_alone_is_decoded_greedily(speech_run: Path, tones, tmp_path: Path) -> None:
    path = export(load_bundle(speech_run / "bundle"), tmp_path / "tones.onnx")
    alone, greedy = Recognizer.load(path), Recognizer.load(speech_run / "bundle", "cpu", decoder=DecoderConfig())
    sources = [item.source for item in tones.items()[:6]]
    assert [t.text for t in alone.transcribe(sources)] == [t.text for t in greedy.transcribe(sources)]


def test_what_an_exported_bundle_cannot_do_is_said(tones_folder: Path) -> None:
    for options, words in (({"device": "cuda"}, "device: 'cuda': .*leave --device out"), ({"precision": "bf16"}, "precision: 'bf16'")):
        with pytest.raises(ConfigError, match=words):
            Recognizer.load(tones_folder, **options)
    with pytest.raises(BundleError, match="was exported and has no weights"):
        _ = Recognizer.load(tones_folder).network


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_it_goes_on_in_a_forked_process(tones_folder: Path, speak) -> None:
    recognizer, samples = Recognizer.load(tones_folder), speak("abcd", np.random.default_rng(4))
    text = recognizer.transcribe(samples).text
    child = os.fork()
    if child == 0:
        os._exit(int(recognizer.transcribe(samples).text != text))
    assert os.waitpid(child, 0)[1] == 0


WITHOUT_TORCH = """
import sys
class Finder:
    def find_spec(self, name, *_):
        if name.split(".")[0] in {"torch", "torchaudio", "librosa", "hydra", "safetensors", "onnx"}:
            raise ModuleNotFoundError(f"{name} is not there", name=name)
sys.meta_path.insert(0, Finder())
"""


def in_new_process(code: str, *words: object) -> list[str]:
    """The lines that a new interpreter prints in which torch, and what else is not needed, cannot be imported."""
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH + code, *map(str, words)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_text_without_torch(shipped: dict[str, Path]) -> None:
    code = """
from recognizer import Recognizer
for model, source in (sys.argv[1:3], sys.argv[3:5]):
    transcript = Recognizer.load(model).transcribe(source, n_best=2, times=True)
    print(transcript.text)
assert "torch" not in sys.modules
"""
    found = in_new_process(code, shipped["speech-en"] / "model.onnx", RECORDINGS[0], shipped["handwriting-fr"], LINES[1])
    assert found == ["but he would not let me go", "Intérieure, est un photographe français."]


def test_commands_without_torch(tones_folder: Path, tones) -> None:
    code = """
from recognizer.cli.main import main
assert main(["transcribe", "-q", "-m", sys.argv[1], sys.argv[2], "-f", "json"]) == 0
assert main(["info", sys.argv[1], "--json"]) == 0
"""
    item = tones.items()[0]
    lines = in_new_process(code, tones_folder, item.source)
    for words in (["transcribe", str(item.source), "-m", "speech-en"], ["train", "experiment=none"]):
        assert in_new_process(f"from recognizer.cli.main import main\nprint(main({words!r}))") == ["2"]
    assert any(item.text in line for line in lines)
    code = 'from recognizer.cli.main import main\nassert main(["evaluate", "-q", sys.argv[1], sys.argv[2], "--json", "decoder=beam"]) == 0'
    scores = in_new_process(code, tones_folder, tones.root / "dev.jsonl")
    assert json.loads("\n".join(scores))["failed"] == []
