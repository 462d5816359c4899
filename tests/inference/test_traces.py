"""Pen traces on the whole way: trained, read back, alone or in company, from files of both formats and from arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recognizer.bundle.io import load_bundle
from recognizer.config import StrokeAugment, StrokeFeatures, TextConfig
from recognizer.data.cache import ArrayCache
from recognizer.data.dataset import CtcDataset
from recognizer.data.loading import read_array
from recognizer.inference.recognizer import Recognizer
from recognizer.jobs.job import plan_jobs
from recognizer.text.alphabet import Alphabet


@pytest.fixture(scope="module")
def reader(trace_run: Path) -> Recognizer:
    return Recognizer.load(trace_run / "bundle", "cpu", threads=1)


def test_what_was_learnt_is_read(reader, traces) -> None:
    items = traces.items()
    results = list(reader.transcribe([item.source for item in items]))
    wrong = sum(result.text != item.text for result, item in zip(results, items, strict=True))
    assert wrong <= 2
    assert all(result.error is None and result.width and result.seconds is None for result in results)


def test_a_result_does_not_depend_on_its_company(reader, traces) -> None:
    """Promise 1."""
    sources = [item.source for item in traces.items()]
    together = list(reader.log_probs(sources))
    assert len({len(log_probs) for log_probs in together}) > 5
    for source, log_probs in zip(sources, together, strict=True):
        np.testing.assert_allclose(reader.log_probs(source), log_probs, atol=1e-5)


def test_files_of_both_formats_and_arrays_say_the_same(reader, pen, ink, tmp_path: Path) -> None:
    strokes = [np.round(stroke, 2) for stroke in pen("abcd", np.random.default_rng(3))]
    points = "".join("<Stroke>" + "".join(f'<Point x="{x}" y="{y}" time="{t:.2f}"/>' for x, y, t in stroke) + "</Stroke>" for stroke in strokes)
    (tmp_path / "a.xml").write_text(f"<WhiteboardCaptureSession><StrokeSet>{points}</StrokeSet></WhiteboardCaptureSession>")
    (tmp_path / "a.inkml").write_text(ink(strokes))
    array = np.concatenate([np.column_stack((stroke, np.full(len(stroke), n))) for n, stroke in enumerate(strokes)])
    results = list(reader.log_probs([tmp_path / "a.xml", tmp_path / "a.inkml", array]))
    np.testing.assert_allclose(results[0], results[1], atol=1e-4)
    np.testing.assert_allclose(results[0], results[2], atol=1e-4)
    assert reader.transcribe(array).text == "abcd"


def test_times_are_points_of_the_trace(reader, traces) -> None:
    result = reader.transcribe(traces.items()[0].source, times=True)
    starts = [token.start for token in result.tokens]
    assert [token.symbol for token in result.tokens] == list(result.text)
    assert starts == sorted(starts) and starts[0] >= 0 and result.tokens[-1].end <= result.width
    assert result.words[0].text == result.text


def test_the_command_line_reads_ink(cli, trace_run, traces, pen, ink, tmp_path: Path) -> None:
    (tmp_path / "note.inkml").write_text(ink(pen("bad", np.random.default_rng(8))))
    (tmp_path / "photo.png").write_bytes(b"")
    (tmp_path / "broken.inkml").write_text("<ink>")
    outcome = cli("transcribe", tmp_path, "-b", trace_run / "bundle", "-q", "--threads", "1")
    assert outcome.out == [f"{tmp_path / 'note.inkml'}\tbad"]
    assert outcome.code == 1 and len(outcome.err) == 1 and str(tmp_path / "broken.inkml") in outcome.err[0]
    alone = cli("transcribe", tmp_path / "note.inkml", "-b", trace_run / "bundle", "-q", "--threads", "1")
    assert (alone.code, alone.out) == (0, ["bad"])
    refused = cli("transcribe", tmp_path / "note.inkml", "-b", trace_run / "bundle", "-f", "srt")
    assert refused.code != 0 and "srt is for recordings, the recognizer reads pen traces" in refused.err[-1]
    (tmp_path / "empty").mkdir()
    assert "no pen traces found" in cli("transcribe", tmp_path / "empty", "-b", trace_run / "bundle").err[-1]


def test_layouts_beside_pictures_are_not_taken_for_traces(tmp_path: Path) -> None:
    for name in ("page.png", "page.xml", "note.inkml"):
        (tmp_path / name).write_bytes(b"")
    plan = plan_jobs([str(tmp_path)])
    assert [(Path(job.source).name, job.modality) for job in plan.jobs] == [("note.inkml", "strokes"), ("page.png", "line")]
    assert plan.notes == [f"{tmp_path}: 1 file of other kinds passed over (1 .xml)"]


def test_an_audit_knows_traces(cli, traces) -> None:
    outcome = cli("audit", traces.root / "dev.jsonl", "features=strokes")
    assert outcome.code == 0 and "24 of 24 items can be trained on" in outcome.out[0]


def test_training_with_augmentation_and_cache_takes_traces(traces, tmp_path: Path) -> None:
    from recognizer.training.run import train

    augment = {"kind": "strokes", "scale": 0.1, "shear": 0.1, "rotate_degrees": 1.0, "jitter": 0.02, "speed": 0.2, "spacing": 0.1}
    train(traces.config(tmp_path / "run", {"augment": augment, "trainer.epochs": 2, "trainer.cache": True}), quiet=True)
    assert (tmp_path / "run" / "bundle" / "model.safetensors").exists()
    assert (tmp_path / "run" / "cache" / "arrays.bin").stat().st_size > 0


def test_training_items_change_with_the_epoch_and_stay_when_calm(traces) -> None:
    items = traces.items()
    settings = StrokeFeatures(), TextConfig(), Alphabet.of([item.text for item in items], "characters")
    augmented = CtcDataset(items, *settings, StrokeAugment(probability=1.0, jitter=0.05), 1, [1] * len(items), clean_epochs=1)
    calm, first, second, again = (augmented[key][1] for key in ((0, 3), (1, 3), (2, 3), (1, 3)))
    assert np.array_equal(calm, augmented.read(3)) and not np.array_equal(first, calm)
    assert not np.array_equal(first, second) and np.array_equal(first, again)


def test_kept_traces_are_those_of_the_settings(traces, tmp_path: Path) -> None:
    source = traces.items()[0].source
    cache = ArrayCache(tmp_path, StrokeFeatures())
    cache.add(source, read_array(source, StrokeFeatures()))
    cache.save()
    kept = ArrayCache(tmp_path, StrokeFeatures()).get(source)
    assert kept is not None and np.array_equal(kept, read_array(source, StrokeFeatures()))
    assert ArrayCache(tmp_path, StrokeFeatures(hats=False)).get(source) is None


def test_a_trace_beyond_the_budget_of_a_batch_is_refused(trace_run, traces) -> None:
    narrow = Recognizer(load_bundle(trace_run / "bundle"), "cpu", batch_frames=40)
    results = list(narrow.transcribe([item.source for item in traces.items()]))
    assert all(result.width <= 40 for result in results if result.error is None and result.width)
    assert any("is this one line of text?" in (result.error or "") for result in results)


def test_an_array_of_another_shape_costs_only_itself(reader, pen) -> None:
    good = np.column_stack((pen("a", np.random.default_rng(0))[0], np.zeros(12)))
    bad = good.copy()
    bad[3, 0] = np.inf
    results = list(reader.transcribe([np.zeros((4, 2)), good, bad, good.astype(int)]))
    assert "expected pen points (N, 4) as float" in results[0].error and results[1].error is None
    assert "not finite" in results[2].error and "expected pen points" in results[3].error
