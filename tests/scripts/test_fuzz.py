"""A few damaged inputs of every kind, and what becomes of workers that end, ask for too much or never come back."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from recognizer.errors import InputError

SCRIPTS = Path(__file__).parents[2] / "scripts"


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


inputs = load("fuzz_inputs")
fuzz = load("fuzz")

# slow kinds get fewer; what they read is tested by damage elsewhere as well
COUNTS = dict.fromkeys(inputs.KINDS, 25) | dict.fromkeys(("alto", "page", "bundle"), 8)


@pytest.mark.parametrize("kind", inputs.KINDS)
def test_damaged_inputs_are_read_or_refused(kind: str, tmp_path) -> None:
    for number in range(COUNTS[kind]):
        outcome, said = fuzz.try_input(kind, fuzz.make_input(kind, 7, number), tmp_path / str(number))
        assert outcome != "finding", (number, said)


@pytest.mark.parametrize("kind", inputs.KINDS)
def test_valid_inputs_are_read_and_damage_is_repeatable(kind: str, tmp_path) -> None:
    seeds = inputs.make_seeds(kind)
    for index, files in enumerate(seeds):
        assert fuzz.try_input(kind, files, tmp_path / str(index)) == ("read", "")
    made = [fuzz.make_input(kind, 1, number) for number in range(6)]
    assert made == [fuzz.make_input(kind, 1, number) for number in range(6)]
    assert sum(files not in seeds for files in made) > 3


def test_checksums_are_made_to_fit() -> None:
    for kind, name in (("png", "line.png"), ("ogg", "sound.ogg")):
        seed = inputs.make_seeds(kind)[0]
        assert inputs.repair(kind, seed) == seed
        data = bytearray(seed[name])
        data[50] ^= 1
        assert inputs.repair(kind, {name: bytes(data)})[name] not in (bytes(data), seed[name])
    for kind in ("ngram", "checkpoint", "bundle"):
        assert all(inputs.repair(kind, seed) == seed for seed in inputs.make_seeds(kind) if kind != "bundle")


@pytest.mark.parametrize(("error", "outcome"), [
    (InputError("x: broken"), ("refused", "x: broken")), (ValueError("no"), "ValueError: no"), (MemoryError(), "MemoryError"),
    (SystemExit(3), "SystemExit: 3"),
])  # fmt: skip
def test_an_exception_of_another_kind_is_a_finding(monkeypatch, tmp_path, error: BaseException, outcome: Any) -> None:
    def read(path: Path) -> None:
        raise error

    monkeypatch.setitem(fuzz.READERS, "text", read)
    found = fuzz.try_input("text", {"text.txt": b"a"}, tmp_path)
    assert found == outcome if isinstance(outcome, tuple) else found[0] == "finding" and found[1].startswith(outcome)


def test_too_much_memory_behind_a_polite_error_is_a_finding(monkeypatch, tmp_path) -> None:
    def read(path: Path) -> None:
        try:
            raise MemoryError
        except MemoryError:
            raise InputError("x: damaged") from None

    monkeypatch.setitem(fuzz.READERS, "text", read)
    assert fuzz.try_input("text", {"text.txt": b"a"}, tmp_path)[0] == "finding"
    monkeypatch.setitem(fuzz.READERS, "text", lambda path: "x.txt: KeyError: 'a'")
    assert fuzz.try_input("text", {"text.txt": b"a"}, tmp_path)[1].startswith("KeyError became the error of the input")


@pytest.mark.skipif(sys.platform == "win32", reason="no signals of time there")
@pytest.mark.parametrize(("body", "said"), [
    ("while True: pass", "took more than 1 s"), ("os.kill(os.getpid(), 11)", "the process ended (SIGSEGV)"), ("bytearray(1 << 32)", "MemoryError"),
])  # fmt: skip
def test_a_worker_that_ends_is_a_finding_and_the_next_goes_on(monkeypatch, tmp_path, body: str, said: str) -> None:
    script = tmp_path / "worker.py"
    script.write_text(f"""
import os, sys
sys.path.insert(0, {str(SCRIPTS)!r})
import fuzz
fuzz.SECONDS = 1
first = int(sys.argv[sys.argv.index("--first") + 1])
seen = len(fuzz._seeds("text"))
def read(path):
    global seen, first
    if seen:
        seen -= 1
        return None
    first += 1
    if first == 2:
        {body}
fuzz.READERS["text"] = read
fuzz.main(sys.argv[1:])
""")
    monkeypatch.setattr(fuzz, "__file__", str(script))
    monkeypatch.setattr(fuzz, "SECONDS", 1)
    found = list(fuzz.run_workers("text", 1, range(3)))
    assert [number for number, _ in found] == [0, 1, 2] and found[0][1][0] == found[2][1][0] == "read"
    assert found[1][1][0] == "finding" and said in found[1][1][1]
