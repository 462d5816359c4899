"""Speed, resistance and safety of `recognizer serve`: many clients at once, hostile uploads, kill -9, and saving while a model learns.

    python scripts/bench_serve.py                              # 32 clients with 3-second recordings, 60 s, batched and one at a time
    python scripts/bench_serve.py --lines                      # the same with lines of handwriting
    python scripts/bench_serve.py --hostile 10000              # uploads that are broken or lie
    python scripts/bench_serve.py --kill 20                    # killed while corrections are saved, half of the times while a model learns
    python scripts/bench_serve.py --teach 100 --data LINES     # a lesson, and how long saving takes meanwhile; LINES: manifest or folder
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import soundfile
from bench_hostile import hostile_uploads
from PIL import Image, ImageDraw

from recognizer.audio.io import load_audio
from recognizer.bundle.io import load_bundle
from recognizer.data.project import Project
from recognizer.errors import RecognizerError
from recognizer.training.adapt_items import read_items

RATE, SECONDS = 16_000, 3.0
PICTURES = 12  # that are corrected until the service is killed
STARTED_SECONDS = 240.0  # that a lesson has to begin learning
EXAMPLES = Path(str(files("recognizer"))) / "bundles" / "examples"


class Server:
    """A service in a process of its own."""

    def __init__(self, url: str, process: subprocess.Popen[bytes]) -> None:
        self.url, self.process = url, process

    def memory(self) -> int:
        """Bytes that the process holds now, where the system says."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
            return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))
        except (OSError, StopIteration):
            return 0


@contextmanager
def serving(*words: str) -> Iterator[Server]:
    """`recognizer serve` with these words, once it answers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", "recognizer", "serve", "--port", str(port), "-q", *words])
    server = Server(f"http://127.0.0.1:{port}", process)
    try:
        while True:
            if process.poll() is not None:
                raise SystemExit("the service ended by itself")
            try:
                if httpx.get(f"{server.url}/healthz").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        yield server
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def make_clips(count: int, seconds: float) -> list[tuple[str, bytes]]:
    """Recordings of so many seconds, cut out of the spoken examples at different places, as WAV files."""
    sound = np.concatenate([load_audio(path, RATE) for path in sorted(EXAMPLES.glob("*.opus"))])
    sound = np.tile(sound, 1 + int(2 * seconds * RATE / len(sound)))
    clips = []
    for number in range(count):
        begin = number * (len(sound) - int(seconds * RATE)) // max(1, count - 1)
        file = io.BytesIO()
        soundfile.write(file, sound[begin : begin + int(seconds * RATE)], RATE, format="WAV")
        clips.append(("clip.wav", file.getvalue()))
    return clips


def make_lines(count: int) -> list[tuple[str, bytes]]:
    """The written examples, each with a margin of its own."""
    pictures = [Image.open(path).convert("L") for path in sorted(EXAMPLES.glob("*.webp"))]
    lines = []
    for number in range(count):
        picture = pictures[number % len(pictures)]
        wider = Image.new("L", (picture.width + number, picture.height), 255)
        wider.paste(picture, (number, 0))
        file = io.BytesIO()
        wider.save(file, "PNG")
        lines.append(("line.png", file.getvalue()))
    return lines


async def load(url: str, route: str, uploads: list[tuple[str, bytes]], clients: int, seconds: float) -> dict[str, Any]:
    """Let so many clients send one upload after the other for so many seconds; what they got."""
    times: list[float] = []
    statuses: Counter[str] = Counter()
    texts: dict[int, set[str]] = {}
    end = time.perf_counter() + seconds

    async def ask(client: httpx.AsyncClient, number: int) -> None:
        turn = number
        while time.perf_counter() < end:
            place = turn % len(uploads)
            turn += clients
            started = time.perf_counter()
            try:
                answer = await client.post(route, files={"file": uploads[place]}, data={"model": "any"})
            except httpx.TransportError as error:
                statuses[type(error).__name__] += 1
                continue
            times.append(time.perf_counter() - started)
            statuses[str(answer.status_code)] += 1
            if answer.status_code == 200:
                texts.setdefault(place, set()).add(answer.json()["text"])

    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(base_url=url, timeout=300, limits=limits) as client:
        started = time.perf_counter()
        await asyncio.gather(*(ask(client, number) for number in range(clients)))
        took = time.perf_counter() - started
    return {
        "requests_per_second": round(statuses["200"] / took, 2), "answered": statuses["200"], "lost": sum(statuses.values()) - statuses["200"],
        **{f"p{share}": round(float(np.percentile(times, share)), 3) for share in (50, 95, 99)},
        "statuses": dict(statuses), "differing_texts": sum(len(found) > 1 for found in texts.values()),
    }  # fmt: skip


def bench_load(options: argparse.Namespace) -> dict[str, Any]:
    """Batched against one at a time."""
    route = f"/v1/{'images' if options.lines else 'audio'}/transcriptions"
    uploads = make_lines(options.clients) if options.lines else make_clips(options.clients, SECONDS)
    model = options.model or ("handwriting-fr" if options.lines else "speech-en")
    result: dict[str, Any] = {"what": "lines" if options.lines else f"{SECONDS:g}-second recordings", "model": model, "clients": options.clients}
    for name, batch in (("one_at_a_time", "1"), ("batched", "32")):
        with serving("-m", model, "--batch", batch) as server:
            asyncio.run(load(server.url, route, uploads, options.clients, min(5.0, options.seconds)))  # warm
            result[name] = asyncio.run(load(server.url, route, uploads, options.clients, options.seconds))
            result[name]["memory_mib"] = server.memory() >> 20
        print(f"{name}: {json.dumps(result[name])}", file=sys.stderr)
    result["gain"] = round(result["batched"]["requests_per_second"] / max(1e-9, result["one_at_a_time"]["requests_per_second"]), 2)
    return result


async def attack(server: Server, count: int, seed: int) -> dict[str, Any]:
    """Send so many hostile uploads, eight at a time; what came back."""
    generator = random.Random(seed)
    statuses: Counter[str] = Counter()
    wrong: list[str] = []
    kinds: Counter[str] = Counter()
    pending = iter(hostile_uploads(count, generator))

    async def send(client: httpx.AsyncClient) -> None:
        for kind, route, file in pending:
            try:
                answer = await client.post(route, files={"file": file})
            except httpx.TransportError as error:
                statuses[type(error).__name__] += 1
                wrong.append(f"{kind}: {type(error).__name__}: {error}")
                continue
            statuses[str(answer.status_code)] += 1
            kinds[kind] += 1
            message = answer.json().get("error", {}).get("message", "") if answer.status_code != 200 else ""
            if not 400 <= answer.status_code < 500 or not message or "\n" in message or tempfile.gettempdir() in message or "Traceback" in message:
                wrong.append(f"{kind}: {answer.status_code}: {answer.text[:300]}")

    async with httpx.AsyncClient(base_url=server.url, timeout=300) as client:
        await asyncio.gather(*(send(client) for _ in range(8)))
    examples = {line[:25]: line for line in wrong}
    return {"statuses": dict(statuses), "kinds": dict(kinds), "wrong": len(wrong), "examples": list(examples.values())[:10]}


def bench_hostile(options: argparse.Namespace) -> dict[str, Any]:
    """Hostile uploads, and memory before and after."""
    with serving("--max-bytes", str(64 << 20)) as server:
        for route, uploads in (("/v1/audio/transcriptions", make_clips(4, SECONDS)), ("/v1/images/transcriptions", make_lines(4))):
            asyncio.run(load(server.url, route, uploads, 4, 3.0))
        asyncio.run(attack(server, 200, 1))  # what libraries load and keep is loaded now
        time.sleep(6)
        before = server.memory()
        started = time.perf_counter()
        result = asyncio.run(attack(server, options.hostile, 2))
        took = time.perf_counter() - started
        time.sleep(6)
        after = server.memory()
        alive = httpx.get(f"{server.url}/healthz").status_code == 200
    return {"uploads": options.hostile, "seconds": round(took, 1), "memory_before_mib": before >> 20, "memory_after_mib": after >> 20,
            "alive": alive, **result}  # fmt: skip


def bench_kill(options: argparse.Namespace) -> dict[str, Any]:
    """Kill the service at random moments while corrections are saved, every other time while a model learns; what was answered must be there."""
    generator = random.Random(3)
    result: Counter[str] = Counter(lost=0, damaged_files=0, damaged_bundles=0, workers_left=0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "project"
        project = Project.create(folder)
        for number in range(PICTURES):
            picture = Image.new("L", (200, 40), 255)
            ImageDraw.Draw(picture).text((10, 10), f"line {number}", fill=0)
            picture.save(Path(name) / "line.png")
            project.add_source(Path(name) / "line.png", f"line {number}.png")
        ids = [source.id for source in project.sources()]
        for turn in range(options.kill):
            with serving(str(folder), "-m", options.model or "handwriting-fr-fast") as server:
                known, pending, stage = _correct_until_killed(server, ids, generator, teach=turn % 2 == 1)
            result["last_answered_corrections"] += len(known)
            result["while_learning"] += stage not in ("", "starting")
            result["workers_left"] += not _wait_for_workers(folder)
            for path in folder.rglob("*.json"):
                try:
                    json.loads(path.read_text(encoding="utf-8"))
                except ValueError:
                    result["damaged_files"] += 1
            for path in (folder / "bundles").iterdir():
                if not path.name.endswith(".adapting"):  # what an unfinished lesson leaves, until the next one begins
                    try:
                        load_bundle(path)
                    except RecognizerError:
                        result["damaged_bundles"] += 1
            for id, text in known.items():
                correction = Project(folder).correction(id)
                if correction is None or correction.text not in (text, pending.get(id)):
                    result["lost"] += 1
            print(f"{turn + 1} times killed, lesson: {stage or 'none'}; so far {json.dumps(result)}", file=sys.stderr)
    return {"kills": options.kill, **result}


def _correct_until_killed(
    server: Server, ids: list[str], generator: random.Random, teach: bool
) -> tuple[dict[str, str], dict[str, str], str]:
    """Save corrections until the service is killed.

    Returns:
        The last text of each item that was answered, those that were not, and how far the lesson was ("": there was none).
    """
    known: dict[str, str] = {}
    pending: dict[str, str] = {}
    stage = ""

    async def save(client: httpx.AsyncClient, id: str, text: str) -> bool:
        pending[id] = text
        try:
            answer = await client.put(f"/api/items/{id}/correction", json={"text": text})
        except httpx.TransportError:
            return False
        if answer.status_code == 200:
            known[id] = text
            pending.pop(id)
        return True

    async def save_on(client: httpx.AsyncClient, id: str) -> None:
        number = 0
        while await save(client, id, f"{id} {os.getpid()} {number} " + "x" * generator.randrange(5000)):
            number += 1

    async def run() -> None:
        nonlocal stage
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            if teach:
                for number, id in enumerate(ids):  # texts that can be learnt
                    await save(client, id, f"line {number} {'abcdefgh'[: generator.randrange(8)]}")
                (await client.post("/api/teach", json={"minutes": 1})).raise_for_status()
            tasks = [asyncio.create_task(save_on(client, id)) for id in ids]
            while not known:
                await asyncio.sleep(0.01)
            if teach:
                stage = await _wait_for_lesson(client)
            await asyncio.sleep(generator.uniform(0.05, 2.0))
            server.process.send_signal(signal.SIGKILL)
            await asyncio.gather(*tasks)

    asyncio.run(run())
    server.process.wait()
    return known, pending, stage


async def _wait_for_lesson(client: httpx.AsyncClient) -> str:
    """How far a lesson is once its process has begun, or after some minutes."""
    end = time.monotonic() + STARTED_SECONDS
    while True:
        lesson = (await client.get("/api/teach")).json()
        stage = lesson["stage"] if lesson["state"] == "running" else lesson["state"]
        if stage != "starting" or time.monotonic() > end:
            return str(stage)
        await asyncio.sleep(0.1)


def _wait_for_workers(folder: Path, seconds: float = 300.0) -> bool:
    """Whether no process works on a project any more, after so many seconds at most; always, where there is no /proc."""
    end = time.monotonic() + seconds
    while any(str(folder).encode() in _command_line(path) for path in Path("/proc").glob("[0-9]*/cmdline")):
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True


def _command_line(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def bench_teach(options: argparse.Namespace) -> dict[str, Any]:
    """Correct so many lines through the interface and let the model learn from them, while a client saves a correction every 200 ms."""
    kind, model = ("audio", "speech-en") if options.audio else ("line", "handwriting-fr")
    items = [item for item in read_items(options.data, kind)[0] if item.text][: options.teach]
    if len(items) < options.teach:
        raise SystemExit(f"{options.data}: holds {len(items)} texts; {options.teach} are wanted")
    with (
        tempfile.TemporaryDirectory() as name, serving(str(Path(name) / "project"), "-m", options.model or model) as server,
        httpx.Client(base_url=server.url, timeout=300) as client,
    ):  # fmt: skip
        texts: dict[str, str] = {}
        for item in items:
            answer = client.post("/api/items", files=[("files", (item.source.name, item.source.read_bytes()))])
            texts[answer.raise_for_status().json()["added"][0]["id"]] = str(item.text)
        while client.get("/api/project").json()["counts"]["new"]:
            time.sleep(0.2)
        for id, text in texts.items():
            client.put(f"/api/items/{id}/correction", json={"text": text}).raise_for_status()
        before = _save_every(client, texts, lambda seconds: seconds < 20.0)
        client.post("/api/teach", json={"modality": kind, "minutes": options.minutes}).raise_for_status()
        started = time.perf_counter()
        during = _save_every(client, texts, lambda _: client.get("/api/teach").json()["state"] == "running")
        took = time.perf_counter() - started
        lesson = client.get("/api/teach").json()
    return {"what": f"{options.teach} corrected {kind}s", "model": options.model or model, "state": lesson["state"], "error": lesson["error"],
            "minutes": round(took / 60, 2), "result": lesson["result"], "save_before": before, "save_meanwhile": during}  # fmt: skip


def _save_every(client: httpx.Client, texts: dict[str, str], go_on: Callable[[float], bool], pause: float = 0.2) -> dict[str, Any]:
    """Change corrections in turn, one every so many seconds, as long as ``go_on`` (given the seconds so far) says; times in seconds."""
    times: list[float] = []
    begun = time.perf_counter()
    ids = list(texts)
    while go_on(time.perf_counter() - begun):
        place, turn = len(times) % len(ids), len(times) // len(ids)
        started = time.perf_counter()
        text = texts[ids[place]] + ("" if turn % 2 else ".")
        client.put(f"/api/items/{ids[place]}/correction", json={"text": text}).raise_for_status()
        times.append(time.perf_counter() - started)
        time.sleep(max(0.0, pause - times[-1]))
    return {"saves": len(times), **{f"p{share}": round(float(np.percentile(times, share)), 4) for share in (50, 95, 99, 100)}}


def main() -> int:
    """Run what was asked for and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("-m", "--model")
    parser.add_argument("--lines", action="store_true", help="lines of handwriting rather than recordings")
    parser.add_argument("--hostile", type=int, default=0, metavar="N", help="send N hostile uploads instead")
    parser.add_argument("--kill", type=int, default=0, metavar="N", help="kill the service N times while corrections are saved instead")
    parser.add_argument("--teach", type=int, default=0, metavar="N", help="let a model learn from N corrected items of --data instead")
    parser.add_argument("--data", metavar="MANIFEST|FOLDER", help="items with their texts, as `recognizer adapt` takes them")
    parser.add_argument("--audio", action="store_true", help="--data holds recordings rather than lines")
    parser.add_argument("--minutes", type=float, default=10.0, help="that the lesson may take")
    options = parser.parse_args()
    if options.teach and not options.data:
        parser.error("--teach needs --data")
    bench = bench_hostile if options.hostile else bench_kill if options.kill else bench_teach if options.teach else bench_load
    result = bench(options)
    print(json.dumps(result, indent=1))
    bad = ("wrong", "lost", "damaged_files", "damaged_bundles", "workers_left", "error")
    return 1 if any(result.get(name) for name in bad) else 0


if __name__ == "__main__":
    sys.exit(main())
