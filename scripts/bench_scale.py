"""How the tool does beyond one process: training by several, very many files by shards and on Ray, and a run of each of these that is killed.

    python scripts/bench_scale.py train corpus=copiste corpus.root=data/copiste features=pixels augment=handwriting model=line_cnn_blstm

    python scripts/bench_scale.py files --clips 200000 -m BUNDLE
    python scripts/bench_scale.py ray --clips 200000 -m BUNDLE        needs pip install 'recognizer[ray]'
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from bench_common import Row, describe_machine, in_fresh_process, report
from bench_tool import COMMAND, make_clips

DISTINCT = 1000  # clips of different content; the other files are hard links to them
MARKS = (0.05, 0.5, 0.95)  # shares of the files at which memory is read
TRAININGS = {"one process": 0, "one under torchrun": 1, "two under torchrun": 2}  # processes that torchrun starts; 0: without it
TRAIN_NOTES = (
    "items_s: of the epochs after the first, which warms up, as the clock says; the best of the rounds, in which the three follow each other.",
    "All use two CPU threads together. ratio: of items_s to that of one process.",
)
NOTES = (
    "Clips of 0.3 to 0.8 s. Everything is killed with SIGKILL when half is done, and goes on with the same command. files_s: of all processes",
    "together, while they recognize. rss_N: MiB of the largest process when so many percent are done. repeated: files that were done before the",
    "kill and again after it, or that have two results; missing: files without one.",
)


def main() -> int:
    """Run the section that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("section", choices=("train", "files", "ray"))
    parser.add_argument("overrides", nargs="*", help="train: of recognizer train")
    parser.add_argument("--items", type=int, default=160, help="train: how many, the first of the manifest (default: 160)")
    parser.add_argument("--rounds", type=int, default=2, help="train: how often each is measured (default: 2)")
    parser.add_argument("--clips", type=int, default=200_000, help="how many (default: 200000)")
    parser.add_argument("--shards", type=int, default=2, help="processes, or actors on Ray, at the same time (default: 2)")
    parser.add_argument("-m", "--model", help="files, ray: a bundle; a toy one shows the work around recognition")
    parser.add_argument("--json", metavar="FILE", help="write the figures there as well")
    options = parser.parse_intermixed_args()
    if options.section == "train":
        report(in_fresh_process(describe_machine, 0), measure_training(options.overrides, options.items, options.rounds), TRAIN_NOTES, options.json)
        return 0
    if options.model is None:
        parser.error("-m BUNDLE is needed")
    with tempfile.TemporaryDirectory() as temporary:
        source = link_clips(Path(temporary), options.clips)
        measure = measure_shards if options.section == "files" else measure_ray
        row = measure(source, Path(temporary) / "texts", options.clips, options.shards, options.model)
    report(in_fresh_process(describe_machine, 0), [row], NOTES, options.json)
    return 0


def measure_training(overrides: list[str], items: int, rounds: int) -> list[Row]:
    """Items in a second of one process, of one that torchrun starts and of two, with two threads together."""
    speeds: dict[str, list[float]] = {name: [] for name in TRAININGS}
    for _ in range(rounds):
        for name, processes in TRAININGS.items():
            with tempfile.TemporaryDirectory() as folder:
                own = [f"run_dir={folder}/run", f"trainer.limit_items={items}", "trainer.epochs=3", f"trainer.threads={2 // max(1, processes)}"]
                command = [*COMMAND, "train", "-q", *overrides, *own]
                if processes:
                    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
                    command = [*torchrun, "-m", "recognizer", *command[command.index("train") :]]
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                times = [json.loads(line)["seconds"] for line in Path(folder, "run", "log.jsonl").read_text().splitlines()]
            speeds[name].append((len(times) - 1) * items / (times[-1] - times[0]))
    alone = max(speeds["one process"])
    return [{"training": name, "items_s": round(max(values), 1), "ratio": round(max(values) / alone, 3)} for name, values in speeds.items()]


def link_clips(folder: Path, clips: int) -> Path:
    """A folder with so many recordings in subfolders of a thousand."""
    distinct = sorted(make_clips(folder / "distinct", min(clips, DISTINCT)).rglob("*.wav"))
    for number in range(clips):
        path = folder / "clips" / f"{number // 1000:04d}" / f"{number:07d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(distinct[number % len(distinct)], path)
    return folder / "clips"


class Watch:
    """Follows processes until so much is done, and reads their memory and the time on the way."""

    def __init__(self, clips: int) -> None:
        self.clips, self.begun, self.first = clips, 0.0, 0
        self.row: Row = {}

    def until(self, processes: list[subprocess.Popen[bytes]], count: Callable[[], int], share: float) -> None:
        """Wait until this share of the files is done, or all processes have ended."""
        while any(process.poll() is None for process in processes) and (done := count()) < share * self.clips:
            if done and not self.begun:
                self.begun, self.first = time.perf_counter(), done
            for mark in MARKS:
                if done >= mark * self.clips and f"rss_{100 * mark:.0f}" not in self.row:
                    self.row[f"rss_{100 * mark:.0f}"] = max(_resident(process.pid) for process in processes)
            time.sleep(0.5)
        if share <= 0.5 and self.begun:
            self.row["files_s"] = round((count() - self.first) / (time.perf_counter() - self.begun), 1)


def measure_shards(source: Path, out: Path, clips: int, shards: int, model: str) -> Row:
    """Several shards at the same time into one folder."""
    ledgers = [out / ".recognizer" / f"{index}-of-{shards}" / "done.jsonl" for index in range(1, shards + 1)]

    def start() -> list[subprocess.Popen[bytes]]:
        return [subprocess.Popen([*COMMAND, "transcribe", str(source), "-o", str(out), "-m", model, "--threads", "1", "-q", "--resume",
                                  "--shard", f"{index}/{shards}"]) for index in range(1, shards + 1)]

    def done() -> list[str]:
        """Names of the files with a whole line in a ledger."""
        texts = [ledger.read_text() for ledger in ledgers if ledger.exists()]
        return [json.loads(line)["output"] for text in texts for line in text[: text.rfind("\n") + 1].splitlines()]

    def count() -> int:
        return sum(ledger.read_bytes().count(b"\n") for ledger in ledgers if ledger.exists())

    watch, processes = Watch(clips), start()
    watch.until(processes, count, 0.5)
    before = _kill(processes, done)
    processes = start()
    watch.until(processes, count, 2.0)
    codes = [process.wait() for process in processes]
    everything = Counter(done())
    missing = sum(not (out / f"{path.relative_to(source)}.txt").is_file() for path in source.rglob("*.wav"))
    return {"run": f"{shards} shards", "files": clips, "killed_at": len(before), **watch.row, "repeated": everything.total() - len(everything),
            "missing": missing, "exit": max(codes)}  # fmt: skip


def measure_ray(source: Path, out: Path, clips: int, actors: int, model: str) -> Row:
    """Ray Data with several actors."""
    script = Path(__file__).with_name("ray_job.py")

    def start() -> list[subprocess.Popen[bytes]]:
        return [subprocess.Popen([sys.executable, str(script), str(source), str(out), model, "--actors", str(actors)], stdout=subprocess.DEVNULL)]

    def done() -> list[str]:
        import pyarrow.parquet as pq

        return [name for path in out.glob("*.parquet") for name in pq.read_table(path, columns=["source"])["source"].to_pylist()]

    known: dict[Path, int] = {}

    def count() -> int:
        import pyarrow.parquet as pq

        for path in (out / ".recognizer" / "checkpoint").glob("*.parquet"):
            if path not in known and ".pending" not in path.name:
                known[path] = pq.read_metadata(path).num_rows
        return sum(known.values())

    watch, processes = Watch(clips), start()
    watch.until(processes, count, 0.5)
    before = _kill(processes, lambda: [""] * count())
    processes = start()
    watch.until(processes, count, 2.0)
    code = processes[0].wait()
    everything = Counter(done())
    missing = sum(str(path) not in everything for path in source.rglob("*.wav"))
    return {"run": f"Ray, {actors} actors", "files": clips, "killed_at": len(before), **watch.row, "repeated": everything.total() - len(everything),
            "missing": missing, "exit": code}  # fmt: skip


def _kill(processes: list[subprocess.Popen[bytes]], done: Callable[[], list[str]]) -> list[str]:
    for process in processes:
        process.send_signal(signal.SIGKILL)
        process.wait()
    return list(done())


def _resident(process: int) -> int:
    """MiB of the largest of a process and those that it started; 0 where it has ended or the system does not tell."""
    try:
        fields = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        return max([round(int(fields["VmRSS"].split()[0]) / 1024), *map(_resident, map(int, children))])
    except (OSError, KeyError):
        return 0


if __name__ == "__main__":
    raise SystemExit(main())
