"""What the benchmarks share: fresh processes, the machine and what it can do at most, tables and JSON."""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

PRECISIONS = ("float32", "bf16")
MATRIX = 2048  # rows and columns of the product that stands for what the machine can do

Row = dict[str, Any]


def in_fresh_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a module's function in a process of its own, so that peak memory and compiled kernels are its own.

    This process stays small: peak memory of a child is never below that of its parent when it was started.
    """
    context, usual = multiprocessing.get_context("spawn"), multiprocessing.get_start_method()
    with ProcessPoolExecutor(1, context, _start_workers_by, (usual,)) as pool:
        return pool.submit(function, *arguments).result()


def _start_workers_by(method: str) -> None:
    """Let the workers of this process start as the platform does it, not as it was started itself."""
    multiprocessing.set_start_method(method, force=True)


def describe_machine(threads: int) -> Row:
    """The processor, torch, and :func:`measure_ceiling` in each precision."""
    import torch

    from recognizer.utils.device import has_bf16, name_processor, prepare_host

    prepare_host(threads)
    machine: Row = {
        "cpu": name_processor(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2),  # other work on the machine spoils every figure
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    for precision in PRECISIONS if has_bf16(torch.device("cpu")) else ("float32",):  # without them one product takes minutes
        machine[f"ceiling_{precision}_gflops"] = round(measure_ceiling(precision), 1)
    return machine


def measure_ceiling(precision: str) -> float:
    """What a product of 2048 x 2048 matrices reaches, in 1e9 float operations a second."""
    import torch

    left, right = (torch.randn(MATRIX, MATRIX).to(torch.bfloat16 if precision == "bf16" else torch.float32) for _ in range(2))
    return 2 * MATRIX**3 / time_calls(lambda: left @ right, 1.0) / 1e9


def time_calls(call: Callable[[], Any], seconds: float) -> float:
    """Median seconds of a call, over at least three calls and at least ``seconds``, after two that do not count."""
    for _ in range(2):
        call()
    spent: list[float] = []
    while len(spent) < 3 or sum(spent) < seconds:
        started = time.perf_counter()
        call()
        spent.append(time.perf_counter() - started)
    return statistics.median(spent)


def report(machine: Row, rows: Sequence[Row], notes: Sequence[str], json_file: str | None) -> None:
    """Print the machine, a table of the rows and what to know about it; write the same as JSON if a file is named."""
    print("  ".join(f"{key} {value}" for key, value in machine.items()) + "\n")
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [columns] + [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    print("\n" + "\n".join(notes))
    if json_file:
        Path(json_file).write_text(json.dumps({"machine": machine, "results": list(rows), "notes": list(notes)}, indent=1) + "\n")


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) and abs(value) < 100 else f"{value:.0f}" if isinstance(value, float) else str(value)
