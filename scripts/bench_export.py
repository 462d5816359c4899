"""Exported models beside torch: speed of the network one by one and in batches, memory, size, seconds to the first text."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from bench_common import Row, describe_machine, in_fresh_process, report

from recognizer.bundle.registry import find_bundle, shipped_bundles

KINDS = ("torch", "onnx", "int8")
BATCH = 16
NOTES = (
    "single, batched: the network with its features, without reading files and decoding, on one thread: the examples that ship and parts of",
    f"them, one by one and in a batch of {BATCH}, which an exported model goes through one by one; seconds of speech, or lines, per second of",
    "processor time, the best of several rounds; ratio: times as fast as torch. MiB: the most memory of that process; graph_MiB: of the weights",
    "(bfloat16 in shipped models) or the graph on disk. start: from a new process to the first text by the clock, and to the end in processor",
    "time, with `decoder=greedy` and with the bundle's own decoder; medians, the first process left out.",
)


def main() -> int:
    """Measure shipped models, or those that are named, in the three forms."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-m", "--model", action="append", default=[], help="a bundle; may be repeated (default: speech-en, handwriting-fr-fast)")
    parser.add_argument("--seconds", type=float, default=20.0, help="of processor time for each case at least (default: 20)")
    parser.add_argument("--starts", type=int, default=5, help="processes started for each case (default: 5)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there as well")
    options = parser.parse_args()
    machine = in_fresh_process(describe_machine, 1)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as temporary:
        for name in options.model or ["speech-en", "handwriting-fr-fast"]:
            whole = find_bundle(name)
            places = [Path(temporary) / f"{whole.name}-{kind}" for kind in KINDS[1:]]
            folders = [whole, *(in_fresh_process(write_export, whole, place, place.name.endswith("int8")) for place in places)]
            for kind, folder in zip(KINDS, folders, strict=True):
                row: Row = {"model": whole.name, "as": kind} | in_fresh_process(measure, folder, options.seconds)
                first = rows[-KINDS.index(kind)] if kind != "torch" else row
                for way in ("single", "batched"):
                    row[f"{way}_ratio"] = row[way] / first[way]
                rows.append(row | measure_start(folder, options.starts))
    report(machine, rows, NOTES, options.json)
    return 0


def write_export(whole: Path, folder: Path, int8: bool) -> Path:
    """An exported bundle."""
    from recognizer.bundle.export import export
    from recognizer.bundle.io import load_bundle

    return export(load_bundle(whole), folder, int8).parent


def examples(modality: str) -> list[Path]:
    """The recordings or lines that ship with the package."""
    folder = next(iter(shipped_bundles().values())).parent / "examples"
    return sorted(folder.glob("*.opus" if modality == "audio" else "*.webp"))


def measure(folder: Path, seconds: float) -> Row:
    """Figures of one bundle; to be called in a fresh process."""
    from recognizer.config import DecoderConfig
    from recognizer.data.batching import pad_arrays
    from recognizer.inference.recognizer import Recognizer
    from recognizer.utils.device import peak_memory

    recognizer = Recognizer.load(folder, "cpu", threads=1, decoder=DecoderConfig())
    speech = recognizer.config.modality == "audio"
    whole = [np.asarray(recognizer.runner.loader.load(0, path).content) for path in examples(recognizer.config.modality)]
    arrays = [array[: len(array) * part // 10] for part in range(3, 11) for array in whole][:BATCH]
    row: Row = {"unit": "x real time" if speech else "lines/s"}
    amount = sum(map(len, arrays)) / recognizer.config.features.sample_rate if speech else len(arrays)  # type: ignore[union-attr]
    for way, batches in (("single", [[array] for array in arrays]), ("batched", [arrays])):
        padded = [pad_arrays(batch) for batch in batches]
        rounds: list[float] = []
        while len(rounds) < 4 or sum(rounds) < seconds:  # the first ones compile kernels for each shape
            started = time.process_time()
            for inputs, lengths in padded:
                recognizer.backend.run(inputs, lengths)
            rounds.append(time.process_time() - started)
        row[way] = amount / min(rounds)
    graph = recognizer.bundle.graph or folder / "model.safetensors"
    return row | {"MiB": peak_memory() / 2**20, "graph_MiB": graph.stat().st_size / 2**20}


def measure_start(folder: Path, times: int) -> Row:
    """Seconds by the clock and of the processor from a new process to its first text, greedy and as the bundle decodes."""
    modality = "audio" if "sample_rate" in (folder / "config.yaml").read_text(encoding="utf-8") else "line"
    command = [sys.executable, "-m", "recognizer", "transcribe", str(examples(modality)[0]), "-m", str(folder), "--threads", "1", "-q"]
    row: Row = {}
    for way, words in (("greedy", ["decoder=greedy"]), ("own", [])):
        spent = [_start([*command, *words]) for _ in range(times + 1)][1:]
        row[f"{way}_start_s"], row[f"{way}_start_cpu_s"], row[f"{way}_start_MiB"] = np.median(spent, axis=0).tolist()
    return row


def _start(command: Sequence[str]) -> tuple[float, float, float]:
    """Seconds by the clock to the first line, of the processor to the end, and the most memory in MiB."""
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        spent = time.perf_counter() - started
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed with exit code {process.returncode}")
    return spent, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    sys.exit(main())
