"""How the command line does on whole jobs: pages, long recordings, many files, and how soon it starts.

    python scripts/bench_tool.py files --clips 20000
    python scripts/bench_tool.py start
    python scripts/bench_tool.py pages FOLDER ...      the options of bench_pages.py
    python scripts/bench_tool.py long FOLDER ...       the options of bench_long.py
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import bench_long
import bench_pages
import numpy as np
import soundfile
from bench_common import Row, describe_machine, in_fresh_process, report

RATE = 16_000
COMMAND = (sys.executable, "-m", "recognizer")
LEDGER = Path(".recognizer") / "done.jsonl"  # below an output folder
MARKS = (0.05, 0.5, 1.0)  # shares of the files at which memory is read
KILLED_SHARE = 0.25  # of the clips, in the run that is killed half way
FILES_NOTES = (
    "Clips of 0.3 to 0.8 s that the script makes, no two alike, in 100 folders; one run over all, and one over a part that gets SIGKILL half",
    "way and goes on with --resume. rss_N: MiB of the process when so many percent are done. repeated: files of the list of what is done that were",
    "done again, and names that stand in it twice; missing: clips without a result; others: files besides results, half written, say.",
)
START_NOTES = ("Medians of the calls. cpu_s: seconds of processor, of both user and system, which other work on the machine changes less.",)


def main() -> int:
    """Run the section that is asked for."""
    sections = {"pages": bench_pages.main, "long": bench_long.main}
    if len(sys.argv) > 1 and sys.argv[1] in sections:
        return sections[sys.argv[1]](sys.argv[2:]) or 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="section", required=True, metavar="files|start|pages|long")
    files, start = (commands.add_parser(name) for name in ("files", "start"))
    files.add_argument("--clips", type=int, default=20_000, help="how many (default: 20000)")
    start.add_argument("--calls", type=int, default=5, help="of each command (default: 5)")
    for section in (files, start):
        section.add_argument("-m", "--model", default="speech-en", help="a bundle (default: speech-en)")
        section.add_argument("--threads", type=int, default=0, help="CPU threads (default: all cores)")
        section.add_argument("--json", metavar="FILE", help="write the figures there as well")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder, words = Path(temporary), ["-m", options.model, "--threads", str(options.threads)]
        if options.section == "files":
            rows = [measure_files(folder, options.clips, words), measure_resume(folder, round(options.clips * KILLED_SHARE), words)]
            notes = FILES_NOTES
        else:
            rows, notes = measure_start(folder, options.calls, words), START_NOTES
    report(in_fresh_process(describe_machine, options.threads), rows, notes, options.json)
    return 0


def make_clips(folder: Path, clips: int) -> Path:
    """Recordings of a tone that rises or falls, in 100 folders."""
    generator = np.random.default_rng(1)
    for number in range(clips):
        path = folder / f"{number % 100:02d}" / f"{number:05d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        time_axis = np.arange(round(RATE * generator.uniform(0.3, 0.8))) / RATE
        first, slope = generator.uniform(100, 800), generator.uniform(-100, 400)
        sound = 0.3 * np.sin(2 * np.pi * (first + slope * time_axis) * time_axis) + 0.01 * generator.standard_normal(len(time_axis))
        soundfile.write(path, sound, RATE)
    return folder


def measure_files(folder: Path, clips: int, words: Sequence[str]) -> Row:
    """One run over all clips: files a second, and memory on the way."""
    source, out = make_clips(folder / "clips", clips), folder / "texts"
    started = time.perf_counter()
    process = _transcribe(source, out, words)
    row: Row = {"run": "whole", "files": clips}
    begun = 0.0
    resident = 0
    for mark in MARKS:
        while process.poll() is None and _count_done(out) < mark * clips:
            begun = begun or (time.perf_counter() if _count_done(out) else 0.0)
            resident = _read_resident(process.pid) or resident
            time.sleep(0.05)
        row[f"rss_{100 * mark:.0f}"] = _read_resident(process.pid) or resident
    process.communicate()
    ended = time.perf_counter()
    row |= {"files_s": round(clips / (ended - (begun or started)), 1), "elapsed_s": round(ended - started, 1)}
    return row | _compare(source, out, set())


def measure_resume(folder: Path, clips: int, words: Sequence[str]) -> Row:
    """A run that is killed half way, and the one that goes on with it."""
    source, out = make_clips(folder / "fewer", clips), folder / "resumed"
    process = _transcribe(source, out, words)
    while process.poll() is None and _count_done(out) < clips / 2:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = {record["source"] for record in _read_done(out)}
    written = sum(1 for _ in out.rglob("*.txt"))
    _, told = _transcribe(source, out, [*words, "--resume", "--json-log"]).communicate()
    events = [json.loads(line) for line in told.decode().splitlines()]
    again = {event["source"] for event in events if event["event"] == "done"}
    row: Row = {"run": "killed, resumed", "files": clips, "done_before": len(before), "written_before": written, "done_after": len(again)}
    return row | _compare(source, out, before & again)


def measure_start(folder: Path, calls: int, words: Sequence[str]) -> list[Row]:
    """Medians of the time that short commands take, with what they compile compiled before."""
    clip = next(make_clips(folder / "clips", 1).rglob("*.wav"))
    rows = []
    for name, command in {"--help": ["--help"], "transcribe one.wav": ["transcribe", str(clip), *words]}.items():
        spent: list[tuple[float, float]] = []
        for _ in range(calls + 1):
            before, started = os.times(), time.perf_counter()
            subprocess.run([*COMMAND, *command], check=True, capture_output=True)
            after = os.times()
            cpu = after.children_user + after.children_system - before.children_user - before.children_system
            spent.append((time.perf_counter() - started, cpu))
        elapsed, cpu = (statistics.median(times) for times in zip(*spent[1:], strict=True))  # the first one warms what is cached
        rows.append({"command": name, "calls": calls, "elapsed_s": round(elapsed, 2), "cpu_s": round(cpu, 2)})
    return rows


def _transcribe(source: Path, out: Path, words: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*COMMAND, "transcribe", str(source), "-o", str(out), *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def _read_done(out: Path) -> list[Row]:
    """The lines of the list of what is done; one that was cut off is none."""
    text = (out / LEDGER).read_text(encoding="utf-8")
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def _count_done(out: Path) -> int:
    try:
        return (out / LEDGER).read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


def _read_resident(process: int) -> int:
    """MiB of memory of a process; 0 where it has ended or the system does not tell."""
    try:
        fields = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
        return round(int(fields["VmRSS"].split()[0]) / 1024)
    except (OSError, KeyError):
        return 0


def _compare(source: Path, out: Path, again: set[str]) -> Row:
    """What was done twice, what is missing, and what else there is."""
    done = _read_done(out)
    listed = {name for record in done for name in record["files"]}
    lacking = [name for name in listed if not (out / name).is_file()]
    files = {path.relative_to(out) for path in out.rglob("*") if path.is_file()}
    others = [path for path in files if path.parts[0] != LEDGER.parts[0] and path.as_posix() not in listed]
    sources = {record["source"] for record in done}
    missing = sum(str(path) not in sources for path in source.rglob("*.wav")) + len(lacking)
    return {"repeated": len(again) + len(done) - len(sources), "missing": missing, "others": len(others)}


if __name__ == "__main__":
    raise SystemExit(main())
