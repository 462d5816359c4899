"""The machine: device names, threads, memory."""

from __future__ import annotations

import importlib
import os
import platform
import re
import sys
from pathlib import Path

import pytest
import torch

from recognizer.errors import ConfigError
from recognizer.utils import device
from recognizer.utils.device import choose_device, count_workers, name_processor, peak_memory, prepare_host


def test_devices_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert choose_device("auto") == choose_device("cpu") == torch.device("cpu")
    with pytest.raises(ConfigError, match=r"^device: 'cuda' .* 0 CUDA devices; use device=cpu"):
        choose_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("auto") == choose_device("cuda") == torch.device("cuda", 0) and choose_device("cuda:1") == torch.device("cuda", 1)
    assert choose_device("auto", local=1) == choose_device("cuda", local=1) == torch.device("cuda", 1)  # of several processes the second
    with pytest.raises(ConfigError, match="'cuda:2' was asked for, but this machine has 2"):
        choose_device("cuda:2")


@pytest.mark.parametrize("name", ["gpu", "", "cuda:x", "meta", "mps"])
def test_unknown_devices_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"^device: .* is not auto, cpu, cuda or cuda:N"):
        choose_device(name)


def test_threads_are_set_or_left(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    prepare_host()
    assert asked == []
    prepare_host(3)
    assert asked == [3]


def test_workers_are_as_many_as_asked_or_as_suit_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda", 0)
    assert [count_workers(asked, kind) for kind in (cpu, gpu) for asked in (0, 3)] == [0, 3, 0, 3]
    for cores, beside_gpu in ((16, 15), (1, 1), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        assert (count_workers(-1, cpu), count_workers(-1, gpu)) == (1, beside_gpu)


@pytest.mark.parametrize("known", [True, False])
def test_bf16_only_where_the_processor_has_it(known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "has_bf16", lambda _: known)
    product = torch.ones(2, 2)
    with device.mixed_precision(torch.device("cpu"), "bf16"):
        assert (product @ product).dtype == (torch.bfloat16 if known else torch.float32)
    with device.mixed_precision(torch.device("cpu"), "float32"):
        assert (product @ product).dtype == torch.float32


def test_the_processor_by_the_name_of_its_maker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "processor", lambda: "x86_64")
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "processor : 0\nmodel name\t: Some Maker 9\nmodel name\t: Some Maker 9\n")
    assert name_processor() == "Some Maker 9"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "processor : 0\n")
    assert name_processor() == "x86_64"


def test_peak_memory_is_unknown_where_the_system_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows
    importlib.reload(device)
    assert device.peak_memory() == 0


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to compare with")
def test_peak_memory_is_in_bytes() -> None:
    known = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert known is not None
    assert 0.9 < peak_memory() / (int(known[1]) * 1024) < 10  # more where a larger parent process started this one
