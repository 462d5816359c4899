"""The machine a network runs on: device, CPU threads, memory allocator."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from recognizer.errors import ConfigError

if TYPE_CHECKING:
    import torch

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # parameters of glibc's mallopt(3)


def choose_device(name: str, local: int = 0) -> torch.device:
    """The device of a setting; "auto" is the GPU where there is one; of several processes on a machine each takes its own (``local`` is its number).

    Raises:
        ConfigError: a GPU was asked for and none is there, or there is no device of this name.
    """
    import torch  # here and below: what runs an exported bundle does without

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"(cpu|cuda)(:\d+)?", name):
        raise ConfigError(f"device: {name!r} is not auto, cpu, cuda or cuda:N")
    device = torch.device(name, local) if name == "cuda" else torch.device(name)
    if device.type == "cuda" and (not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count()):
        raise ConfigError(f"device: {name!r} was asked for, but this machine has {torch.cuda.device_count()} CUDA devices; use device=cpu")
    return device


def name_processor() -> str:
    """The model of the processor as its maker calls it, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):  # not Linux, or an architecture whose list has no names
        return platform.processor() or platform.machine()


def prepare_host(threads: int = 0) -> None:
    """Set the number of CPU threads (0: leave it) and keep freed memory in the process.

    By default glibc gives every large buffer back to the kernel when it is freed and faults it in again, page by page,
    at the next step: a fifth of the time of a recurrent training step on two cores.
    """
    if threads:
        import torch

        torch.set_num_threads(threads)
    if sys.platform == "linux":
        try:
            libc = ctypes.CDLL("libc.so.6")
            libc.mallopt(_MMAP_THRESHOLD, 1 << 30)
            libc.mallopt(_TRIM_THRESHOLD, (1 << 31) - 1)
        except (OSError, AttributeError):  # another C library: only slower
            pass


def has_bf16(device: torch.device) -> bool:
    """Whether the processor or GPU multiplies bfloat16 numbers faster than float32; torch's LSTM on a processor that does not refuses them."""
    if device.type != "cpu":
        return True
    import torch

    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return bool(supported is not None and torch.backends.mkldnn.is_available() and supported())


def mixed_precision(device: torch.device, precision: str) -> torch.autocast:
    """The context in which a network computes in this precision.

    On a processor without instructions for bfloat16 that is float32, whatever was asked for: imitating them takes ten times as long.

    Args:
        device: of the network.
        precision: "float32" or "bf16".
    """
    import torch

    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16" and has_bf16(device))


def count_workers(asked: int, device: torch.device) -> int:
    """How many processes read training data: as many as asked for, or (-1) as many as a network on this device can wait for.

    A network on the CPU wants the cores for itself, and one process keeps up with it; a GPU takes more than one core can augment.
    """
    if asked >= 0:
        return asked
    return 1 if device.type == "cpu" else max(1, (os.cpu_count() or 1) - 1)


def peak_memory() -> int:
    """The most memory this process has held so far, in bytes; 0 where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
