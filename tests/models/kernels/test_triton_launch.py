"""The Triton LSTM: its kernels in Triton's interpreter against the equations in float64, and on a GPU against nn.LSTM.

The interpreter is chosen when Triton is imported, which other tests may have caused already. So this file, run as a program, reads
cases, computes them and writes the results; the tests compare.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from recognizer.errors import ConfigError
from recognizer.models.kernels import triton_launch

Case = dict[str, Any]
SIZES = [(7, 3, 5), (1, 1, 4), (1, 3, 6), (7, 1, 9), (2, 2, 131)]  # T, B, H; the last needs two programs a sequence
INPUTS = ("projected", "recurrent", "peepholes", "h0", "c0")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


def make_case(mode: str, frames: int, batch: int, size: int, dtype: torch.dtype = torch.float64, device: str = "cpu", chunk: int = 0) -> Case:
    """Arguments of ``run_lstm`` and gradients of its outputs; ``chunk``: frames of a stand-in for CUDA graphs, 0: without."""
    generator = torch.Generator().manual_seed(frames * 100 + batch * 10 + size)
    width = size * triton_launch.GATES[mode]

    def draw(*shape: int, scale: float = 1.0) -> Tensor:
        return (torch.randn(*shape, generator=generator, dtype=torch.float64) * scale).to(device, dtype)

    inputs = {"projected": draw(frames, batch, width), "recurrent": draw(width, size, scale=size**-0.5), "peepholes": draw(3, size)}
    states = {"h0": draw(batch, size), "c0": draw(batch, size)}
    gradients = {"grad_hidden": draw(frames, batch, size), "grad_cells": draw(frames, batch, size)}
    return {**inputs, **states, **gradients, "mode": mode, "chunk": chunk}


def follow_equations(case: Case) -> dict[str, Tensor]:
    """Hidden and cell states frame by frame in float64, and the gradients that autograd derives from them."""
    own: dict[str, Tensor] = {name: case[name].detach().double().clone().requires_grad_() for name in INPUTS}
    h, c, p = own["h0"], own["c0"], own["peepholes"]
    hidden, cells = [], []
    for frame in own["projected"]:
        blocks = (frame + h @ own["recurrent"].T).split(h.shape[1], dim=1)
        i = torch.sigmoid(blocks[0] + p[0] * c)
        f = {"gate": torch.sigmoid(blocks[1] + p[1] * c), "none": torch.ones_like(i), "coupled": 1 - i}[case["mode"]]
        c = f * c + i * torch.tanh(blocks[-2])
        h = torch.sigmoid(blocks[-1] + p[2] * c) * torch.tanh(c)
        hidden.append(h)
        cells.append(c)
    results = {"hidden": torch.stack(hidden), "cells": torch.stack(cells)}
    sum((tensor * case[f"grad_{name}"]).sum() for name, tensor in results.items()).backward()
    return {name: tensor.detach() for name, tensor in results.items()} | {name: tensor.grad for name, tensor in own.items()}


def run_kernels(case: Case) -> dict[str, Tensor]:
    own = {name: case[name].detach().clone().requires_grad_() for name in INPUTS}
    hidden, cells = triton_launch.run_lstm(*own.values(), case["mode"])
    torch.autograd.backward([hidden, cells], [case["grad_hidden"], case["grad_cells"].to(cells.dtype)])
    return {"hidden": hidden.detach(), "cells": cells.detach()} | {name: tensor.grad for name, tensor in own.items()}


def run_in_buffers(case: Case) -> dict[str, Tensor]:
    """As :func:`run_kernels`, through the buffers of CUDA graphs, with the loop itself in place of its recording."""
    triton_launch.CHUNK, triton_launch.uses_graph, triton_launch.record = case["chunk"], lambda device: True, lambda work: work
    triton_launch._graph.cache_clear()
    graphs, make_graph = [], triton_launch._Graph
    triton_launch._Graph = lambda *arguments: graphs.append(make_graph(*arguments)) or graphs[-1]  # type: ignore[assignment, misc, func-returns-value]
    with torch.inference_mode():  # recognition before training, say
        run_forward_only = triton_launch.run_lstm(*(case[name] for name in INPUTS), case["mode"])
    assert len(graphs) == 1 and len(run_forward_only) == 2
    run_kernels(case)
    for graph in graphs:
        for buffer in (*graph.frames, *graph.states):
            buffer.fill_(torch.nan)  # what an earlier, diverged batch might have left
    found = run_kernels(case)
    assert len(graphs) == 2  # the same ones again
    triton_launch._Graph = make_graph  # type: ignore[misc]
    return found


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        scale = max(1.0, float(expected[name].abs().max()))
        error = float((tensor.double() - expected[name]).abs().max()) / scale
        assert tensor.shape == expected[name].shape and error < tolerance, f"{name}: {error}"


CASES = {f"{mode}-{'x'.join(map(str, sizes))}": make_case(mode, *sizes) for mode in triton_launch.GATES for sizes in SIZES}
CASES |= {f"{mode}-buffers": make_case(mode, 7, 2, 5, chunk=3) for mode in triton_launch.GATES}
CASES["gate-short-buffers"] = make_case("gate", 2, 2, 5, chunk=3)
CASES["gate-no-frames"] = make_case("gate", 0, 2, 5)
CASES |= {f"{mode}-{dtype}": make_case(mode, 5, 2, 6, dtype) for mode in triton_launch.GATES for dtype in (torch.float32, torch.bfloat16)}


@pytest.fixture(scope="module")
def interpreted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Tensor]]:
    """Results of all cases, computed by another process in Triton's interpreter."""
    if find_spec("triton") is None:
        pytest.skip("Triton is not installed")
    folder = tmp_path_factory.mktemp("triton")
    torch.save(CASES, folder / "cases.pt")
    environment = {**os.environ, "TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, str(folder / "cases.pt"), str(folder / "results.pt")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return torch.load(folder / "results.pt")


@pytest.mark.parametrize("name", CASES)
def test_kernels_equal_the_equations(name: str, interpreted: dict[str, dict[str, Tensor]]) -> None:
    case, found = CASES[name], interpreted[name]
    tolerance = {torch.float64: 1e-12, torch.float32: 2e-6, torch.bfloat16: 3e-2}[case["projected"].dtype]
    if case["projected"].numel():
        assert_equal(found, follow_equations(case), tolerance)
    else:
        assert not found["hidden"].numel() and not any(found[gradient].any() for gradient in INPUTS)
    assert all(found[gradient].dtype == case[gradient].dtype for gradient in INPUTS)
    assert found["cells"].dtype == (torch.float64 if case["projected"].dtype == torch.float64 else torch.float32)


def test_the_switch_is_on_where_triton_is_and_a_wrong_value_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RECOGNIZER_TRITON", raising=False)
    for found in (None, object()):
        monkeypatch.setattr(triton_launch, "find_spec", lambda name, found=found: found)
        assert triton_launch.enabled() == (found is not None)
    for value, expected in (("0", False), ("1", True)):
        monkeypatch.setenv("RECOGNIZER_TRITON", value)
        assert triton_launch.enabled() == expected
    monkeypatch.setenv("RECOGNIZER_TRITON", "yes")
    with pytest.raises(ConfigError, match="RECOGNIZER_TRITON=yes"):
        triton_launch.enabled()
    monkeypatch.setenv("RECOGNIZER_TRITON", "1")
    monkeypatch.setattr(triton_launch, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="install triton"):
        triton_launch.enabled()


def test_importing_does_not_import_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)  # an import of it fails
    spec = spec_from_file_location("another_triton_launch", triton_launch.__file__)
    assert spec is not None and spec.loader is not None
    spec.loader.exec_module(module_from_spec(spec))


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="the interpreter compiles nothing")
@pytest.mark.parametrize("mode", triton_launch.GATES)
def test_kernels_compile_without_a_gpu(mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the interpreter accepts need not compile."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    triton, backends = import_module("triton"), import_module("triton.backends.compiler")
    kernels = import_module("recognizer.models.kernels.triton_lstm")
    exact = {"product", "peepholes", "before", "cells", "carry_hidden", "carry_cells", "grad_cells"}
    constants = {"MODE": mode, "BLOCK": kernels.BLOCK}
    for kernel in (kernels.step_forward, kernels.step_backward):
        types = dict.fromkeys(kernel.arg_names, "*bf16") | dict.fromkeys(exact, "*fp32") | dict.fromkeys(("step", "before_step", "size"), "i32")
        types |= dict.fromkeys(constants, "constexpr")
        signature = {name: types[name] for name in kernel.arg_names}
        values = {(number,): constants[name] for number, name in enumerate(kernel.arg_names) if name in constants}
        source = triton.compiler.ASTSource(kernel, signature, values)
        assert triton.compile(source, target=backends.GPUTarget("cuda", 80, 32)).asm["cubin"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mode": "leaky"}, "mode 'leaky'"),
        ({"projected": torch.zeros(2, 2, 15)}, r"gates: size \(15,\), not \(20,\)"),
        ({"peepholes": torch.zeros(2, 5)}, r"peepholes: size \(2, 5\)"),
        ({"c0": torch.zeros(1, 5)}, r"c0: size \(1, 5\)"),
    ],
)
def test_sizes_that_do_not_fit_are_named(change: Case, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run_kernels(make_case("gate", 2, 2, 5) | change)


@needs_gpu
@pytest.mark.parametrize("mode", triton_launch.GATES)
def test_on_a_gpu_replayed_graphs_give_what_the_loop_gives(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for batch in (3, 16):  # two graphs, the first of which is used again
        for frames in (150, 64, 1):
            case = make_case(mode, frames, batch, 40, dtype=torch.float32, device="cuda")
            captured = run_kernels(case)
            with monkeypatch.context() as patch:
                patch.setattr(triton_launch, "uses_graph", lambda device: False)
                assert_equal(captured, {name: tensor.double() for name, tensor in run_kernels(case).items()}, 1e-5)


@needs_gpu
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
@pytest.mark.parametrize("mode", triton_launch.GATES)
def test_on_a_gpu_kernels_equal_the_equations(mode: str, dtype: torch.dtype, tolerance: float) -> None:
    case = make_case(mode, 20, 3, 50, dtype=dtype, device="cuda")
    assert_equal(run_kernels(case), follow_equations(case), tolerance)


@needs_gpu
def test_on_a_gpu_without_peepholes_it_is_the_lstm_of_torch() -> None:
    torch.manual_seed(0)
    lstm = nn.LSTM(12, 50).cuda().double()  # in float32 cuDNN may round to TF32
    frames = torch.randn(70, 4, 12, device="cuda", dtype=torch.float64)
    expected, _ = lstm(frames)
    expected.sum().backward()
    weights = {name: parameter.detach() for name, parameter in lstm.named_parameters()}
    case = make_case("gate", 70, 4, 50, device="cuda") | {
        "projected": frames @ weights["weight_ih_l0"].T + weights["bias_ih_l0"] + weights["bias_hh_l0"],
        "recurrent": weights["weight_hh_l0"],
        "grad_hidden": torch.ones_like(expected),
    }
    case |= {name: torch.zeros_like(case[name]) for name in ("peepholes", "h0", "c0", "grad_cells")}
    found, grads = run_kernels(case), {name: parameter.grad for name, parameter in lstm.named_parameters()}
    torch.testing.assert_close(found["hidden"], expected.detach(), atol=1e-12, rtol=0)
    torch.testing.assert_close(found["recurrent"], grads["weight_hh_l0"], atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(found["projected"].sum((0, 1)), grads["bias_hh_l0"], atol=1e-10, rtol=1e-10)


if __name__ == "__main__":
    given, target = map(Path, sys.argv[1:])
    cases = sorted(torch.load(given).items(), key=lambda item: item[1]["chunk"])
    torch.save({name: (run_in_buffers if case["chunk"] else run_kernels)(case) for name, case in cases}, target)
