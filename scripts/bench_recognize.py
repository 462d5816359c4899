"""How fast recognition runs: lines a second, times real time, and from a cold start to the first line of output."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench_common import PRECISIONS, Row, describe_machine, in_fresh_process, report
from bench_corpora import MANIFEST, network_of, text_level, write_corpus

from recognizer.data.manifest import load_manifest

NOTES = (
    "Recognizer.transcribe as anyone would call it: reading files, features, network, greedy decoding. One pass over all files goes",
    "before the clock starts, because oneDNN compiles kernels for every shape (warm_up_s).",
    "rate: lines/s, or seconds of speech per second. cold_s: a new process `recognizer transcribe FILE -m BUNDLE` up to its first",
    "line, median of several; cold_MiB: the most memory it held. peak_MiB is that of the process that recognized all files.",
)


def main() -> int:
    """Measure the given bundles, or both networks with random weights, in both precisions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-m", "--model", action="append", default=[], help="a bundle; may be repeated (default: random weights)")
    parser.add_argument("--manifest", action="append", default=[], help="what to recognize with it; one for each --model")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each case is measured at least (default: 10)")
    parser.add_argument("--items", type=int, default=320, help="files to recognize (default: 320)")
    parser.add_argument("--cold", type=int, default=5, help="cold starts of each network (default: 5)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: all cores)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there as well")
    options = parser.parse_args()
    if len(options.model) != len(options.manifest):
        parser.error("give one --manifest for each --bundle")
    machine = in_fresh_process(describe_machine, options.threads)
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        for bundle, sources in _cases(Path(temporary), options):
            cold = measure_cold_start(bundle, sources[0], options.cold, options.threads)
            for precision in PRECISIONS:
                row = in_fresh_process(measure, bundle, sources, precision, options.seconds, options.threads)
                rows.append(row | (cold if precision == "float32" else {}))
    report(machine, rows, NOTES, options.json)
    return 0


def measure(bundle: Path, sources: Sequence[str], precision: str, seconds: float, threads: int) -> Row:
    """Figures of one bundle in one precision; to be called in a fresh process."""
    from recognizer.inference.recognizer import Recognizer
    from recognizer.utils.device import peak_memory

    recognizer = Recognizer.load(bundle, "cpu", precision, threads)
    started = time.perf_counter()
    for transcript in recognizer.transcribe(sources):
        if transcript.error is not None:
            raise SystemExit(transcript.error)
    warm_up, amount = time.perf_counter() - started, 0.0
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:  # whole passes, so that every length counts alike
        amount += sum(1 if transcript.seconds is None else transcript.seconds for transcript in recognizer.transcribe(sources))
    return {
        "network": recognizer.config.modality,
        "precision": precision,
        "weights_M": sum(parameter.numel() for parameter in recognizer.network.parameters()) / 1e6,
        "rate": amount / (time.perf_counter() - started),
        "unit": "lines/s" if recognizer.config.modality == "line" else "x real time",
        "warm_up_s": warm_up,
        "peak_MiB": peak_memory() / 2**20,
    }


def measure_cold_start(bundle: Path, source: str, times: int, threads: int) -> Row:
    """Seconds from starting a process to its first line of output, and the most memory of any of them."""
    command = [sys.executable, "-m", "recognizer", "transcribe", source, "-m", str(bundle), "--threads", str(threads), "-q"]
    spent, memory = [], 0.0
    for _ in range(times):
        started = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            spent.append(time.perf_counter() - started)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SystemExit(f"{' '.join(command)} failed with exit code {process.returncode}")
        memory = max(memory, usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10))
    return {"cold_s": statistics.median(spent), "cold_MiB": memory}


def _cases(temporary: Path, options: argparse.Namespace) -> list[tuple[Path, list[str]]]:
    """Bundles and the files to recognize with each."""
    if options.model:
        bundles = [Path(bundle) for bundle in options.model]
        manifests = [write_corpus("", temporary / str(n), options.items, manifest) for n, manifest in enumerate(options.manifest)]
    else:
        manifests = [write_corpus(modality, temporary / modality, options.items, None) for modality in ("line", "audio")]
        bundles = [in_fresh_process(write_random_bundle, modality, temporary / modality) for modality in ("line", "audio")]
    return [(bundle, [str(item.source) for item in load_manifest(manifest)]) for bundle, manifest in zip(bundles, manifests, strict=True)]


def write_random_bundle(modality: str, folder: Path) -> Path:
    """A bundle of untrained weights for the corpus in a folder."""
    from recognizer.bundle.io import save_bundle
    from recognizer.config.compose import compose
    from recognizer.models.network import Network
    from recognizer.training.datamodule import collect_alphabet

    items = load_manifest(folder / MANIFEST)
    config = compose([*network_of(modality), f"corpus.text.level={text_level(items)}"])
    alphabet = collect_alphabet(config, items)
    save_bundle(folder / "bundle", config.recognizer, alphabet, Network(config.recognizer, len(alphabet)).state_dict(), "random weights\n")
    return folder / "bundle"


if __name__ == "__main__":
    sys.exit(main())
