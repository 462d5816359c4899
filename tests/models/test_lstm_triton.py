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
from recognizer.models import lstm_triton

Case = dict[str, Any]
SIZES = [(7, 3, 5), (1, 1, 4), (1, 3, 6), (7, 1, 9), (2, 2, 131)]  # T, B, H; the last wants two programs a sequence
GRADIENTS = ("projected", "recurrent", "peepholes", "h0", "c0")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


def make_case(
    mode: str, frames: int, batch: int, size: int, *, peepholes: bool = True, grad_cells: bool = True, dtype: torch.dtype = torch.float64,
    device: str = "cpu", graph: int = 0, autograd: bool = False,
) -> Case:  # fmt: skip
    """Arguments of the forward pass and gradients of its outputs.

    ``graph``: frames of the stand-in for a CUDA graph, if any; ``autograd``: whether to go through ``run_lstm``.
    """
    generator = torch.Generator().manual_seed(frames * 100 + batch * 10 + size)
    width = size * (4 if mode == "forget" else 3)

    def draw(*shape: int, scale: float = 1.0) -> Tensor:
        return (torch.randn(*shape, generator=generator, dtype=torch.float64) * scale).to(device, dtype)

    return {
        "projected": draw(frames, batch, width),
        "recurrent": draw(width, size, scale=size**-0.5),
        "peepholes": draw(3, size) if peepholes else None,
        "h0": draw(batch, size),
        "c0": draw(batch, size),
        "mode": mode,
        "grad_hidden": draw(frames, batch, size),
        "grad_cells": draw(frames, batch, size) if grad_cells else None,
        "graph": graph,
        "autograd": autograd,
    }


def follow_equations(case: Case) -> dict[str, Tensor]:
    """Hidden and cell states frame by frame in float64, and the gradients that autograd derives from them."""
    own: dict[str, Tensor] = {name: case[name].detach().double().clone().requires_grad_() for name in GRADIENTS if case[name] is not None}
    h, c = own["h0"], own["c0"]
    weights = own.get("peepholes", torch.zeros(3, *h.shape[1:], dtype=h.dtype, device=h.device))
    hidden, cells = [], []
    for frame in own["projected"]:
        blocks = (frame + h @ own["recurrent"].T).split(h.shape[1], dim=1)
        i = torch.sigmoid(blocks[0] + weights[0] * c)
        f = {"forget": torch.sigmoid(blocks[1] + weights[1] * c), "none": torch.ones_like(i), "coupled": 1 - i}[case["mode"]]
        c = f * c + i * torch.tanh(blocks[-2])
        h = torch.sigmoid(blocks[-1] + weights[2] * c) * torch.tanh(c)
        hidden.append(h)
        cells.append(c)
    results = {"hidden": torch.stack(hidden), "cells": torch.stack(cells)}
    loss = (results["hidden"] * case["grad_hidden"]).sum()
    if case["grad_cells"] is not None:
        loss = loss + (results["cells"] * case["grad_cells"]).sum()
    loss.backward()
    grads = {name: torch.zeros_like(tensor) if tensor.grad is None else tensor.grad for name, tensor in own.items()}
    return {name: tensor.detach() for name, tensor in results.items()} | grads


def run_kernels(case: Case, captured: bool | None = None) -> dict[str, Tensor]:
    projected, recurrent, peepholes, h0, c0 = (case[name] for name in GRADIENTS)
    hidden, cells, activations = lstm_triton.lstm_forward(projected, recurrent, peepholes, h0, c0, case["mode"], captured)
    grads = lstm_triton.lstm_backward(
        case["grad_hidden"], case["grad_cells"], recurrent, peepholes, h0, c0, hidden, cells, activations, case["mode"], captured
    )
    results = dict(zip(("hidden", "cells", *GRADIENTS), (hidden, cells, *grads), strict=True))
    return {name: tensor for name, tensor in results.items() if tensor is not None}


def run_autograd(case: Case) -> dict[str, Tensor]:
    own: dict[str, Any] = {name: case[name] if case[name] is None else case[name].clone().requires_grad_() for name in GRADIENTS}
    hidden, cells = lstm_triton.run_lstm(own["projected"], own["recurrent"], own["peepholes"], own["h0"], own["c0"], case["mode"])
    read = {"hidden": hidden, "cells": cells} if case["grad_cells"] is not None else {"hidden": hidden}
    torch.autograd.backward(list(read.values()), [case[f"grad_{name}"] for name in read])
    grads = {name: tensor.grad for name, tensor in own.items() if tensor is not None}
    return {"hidden": hidden.detach(), "cells": cells.detach()} | grads


def run_pieces(case: Case) -> dict[str, Tensor]:
    """As :func:`run_kernels`, through the buffers of the CUDA graphs, with the loop itself in place of its recording."""
    from recognizer.models import lstm_graph

    lstm_graph.FRAMES = case["graph"]
    projected, (batch, size) = case["projected"], case["h0"].shape
    kind = lstm_graph.Kind(
        batch, size, projected.shape[2], case["mode"], case["peepholes"] is not None, case["grad_cells"] is not None,
        projected.dtype, projected.device, stream=0, tf32="",
    )  # fmt: skip
    with torch.inference_mode():  # recognition before training, say
        forwards, backwards = lstm_graph.ForwardGraph(kind, lambda work: work), lstm_graph.BackwardGraph(kind, lambda work: work)
    kept = (backwards.activations, backwards.cells, backwards.grad_projected, backwards.carry_hidden, backwards.carry_cells)
    for buffer in (forwards.projected, *kept):
        buffer.fill_(torch.nan)  # what an earlier, diverged batch might have left
    lstm_graph.forward_graph, lstm_graph.backward_graph = lambda kind: forwards, lambda kind: backwards  # type: ignore[assignment]
    lstm_graph.kind_of = lambda *args: kind  # type: ignore[assignment]
    return run_kernels(case, captured=True)


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        scale = max(1.0, float(expected[name].abs().max()))
        error = float((tensor.double() - expected[name]).abs().max()) / scale
        assert tensor.shape == expected[name].shape and error < tolerance, f"{name}: {error}"


CASES = {f"{mode}-{'x'.join(map(str, sizes))}": make_case(mode, *sizes) for mode in lstm_triton.GATES for sizes in SIZES}
CASES |= {f"{mode}-plain": make_case(mode, 4, 2, 5, peepholes=False, grad_cells=False) for mode in lstm_triton.GATES}
CASES |= {f"{mode}-pieces": make_case(mode, 7, 2, 5, graph=3) for mode in lstm_triton.GATES}
CASES["forget-pieces-plain"] = make_case("forget", 2, 2, 5, peepholes=False, grad_cells=False, graph=3)
CASES["forget-autograd"] = make_case("forget", 3, 2, 5, autograd=True)
CASES["coupled-autograd-plain"] = make_case("coupled", 3, 2, 5, peepholes=False, grad_cells=False, autograd=True)
CASES["forget-no-frames"] = make_case("forget", 0, 2, 5)
CASES |= {f"{mode}-float32": make_case(mode, 5, 2, 6, dtype=torch.float32) for mode in lstm_triton.GATES}
CASES |= {f"{mode}-bfloat16": make_case(mode, 5, 2, 6, dtype=torch.bfloat16) for mode in lstm_triton.GATES}


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
        assert not found["hidden"].numel() and not any(found[gradient].any() for gradient in GRADIENTS)
    for gradient in GRADIENTS:
        if case[gradient] is not None:
            assert found[gradient].dtype == case[gradient].dtype
    assert found["cells"].dtype == (torch.float64 if case["projected"].dtype == torch.float64 else torch.float32)


def test_the_switch_is_on_where_triton_is_and_a_wrong_value_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RECOGNIZER_TRITON", raising=False)
    for found in (None, object()):
        monkeypatch.setattr(lstm_triton, "find_spec", lambda name, found=found: found)
        assert lstm_triton.enabled() == (found is not None)
    monkeypatch.setenv("RECOGNIZER_TRITON", "0")
    assert not lstm_triton.enabled()
    monkeypatch.setenv("RECOGNIZER_TRITON", "yes")
    with pytest.raises(ConfigError, match="RECOGNIZER_TRITON=yes"):
        lstm_triton.enabled()
    monkeypatch.setenv("RECOGNIZER_TRITON", "1")
    monkeypatch.setattr(lstm_triton, "find_spec", lambda name: object())
    assert lstm_triton.enabled()


def test_without_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lstm_triton, "find_spec", lambda name: None)
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert not lstm_triton.available()
    monkeypatch.setenv("RECOGNIZER_TRITON", "1")
    with pytest.raises(ConfigError, match="install triton"):
        lstm_triton.enabled()


def test_importing_does_not_import_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)  # an import of it fails
    spec = spec_from_file_location("another_lstm_triton", lstm_triton.__file__)
    assert spec is not None and spec.loader is not None
    spec.loader.exec_module(module_from_spec(spec))


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="the interpreter compiles nothing")
@pytest.mark.parametrize("mode", lstm_triton.GATES)
def test_kernels_compile_without_a_gpu(mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the interpreter accepts need not compile."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    triton, backends = import_module("triton"), import_module("triton.backends.compiler")
    kernels = import_module("recognizer.models.lstm_triton_kernel")
    exact = {"product", "peepholes", "before", "cells", "carry_hidden", "carry_cells", "grad_cells"}
    constants = {"MODE": mode, "PEEPHOLES": True, "CELLS": True, "BLOCK": kernels.BLOCK}
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
    case = make_case("forget", 2, 2, 5) | change
    with pytest.raises(ValueError, match=message):
        run_kernels(case)


@needs_gpu
@pytest.mark.parametrize("mode", lstm_triton.GATES)
def test_on_a_gpu_replayed_graphs_give_what_the_loop_gives(mode: str) -> None:
    for batch in (3, 16):  # two graphs, the first of which is used again
        for frames in (150, 64, 1):
            case = make_case(mode, frames, batch, 40, dtype=torch.float32, device="cuda")
            plain, captured = run_kernels(case, captured=False), run_kernels(case, captured=True)
            assert_equal(captured, {name: tensor.double() for name, tensor in plain.items()}, 1e-5)


@needs_gpu
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
@pytest.mark.parametrize("mode", lstm_triton.GATES)
def test_on_a_gpu_kernels_equal_the_equations(mode: str, dtype: torch.dtype, tolerance: float) -> None:
    case = make_case(mode, 20, 3, 50, dtype=dtype, device="cuda")
    assert_equal(run_kernels(case), follow_equations(case), tolerance)


@needs_gpu
def test_on_a_gpu_without_peepholes_it_is_the_frameworks_lstm() -> None:
    torch.manual_seed(0)
    lstm = nn.LSTM(12, 50).cuda().double()  # in float32 cuDNN may round to TF32
    frames = torch.randn(70, 4, 12, device="cuda", dtype=torch.float64)
    expected, _ = lstm(frames)
    expected.sum().backward()
    weights = {name: parameter.detach() for name, parameter in lstm.named_parameters()}
    case: Case = {
        "projected": frames @ weights["weight_ih_l0"].T + weights["bias_ih_l0"] + weights["bias_hh_l0"],
        "recurrent": weights["weight_hh_l0"],
        "peepholes": torch.zeros(3, 50, device="cuda", dtype=torch.float64),
        "h0": torch.zeros(4, 50, device="cuda", dtype=torch.float64),
        "c0": torch.zeros(4, 50, device="cuda", dtype=torch.float64),
        "mode": "forget",
        "grad_hidden": torch.ones_like(expected),
        "grad_cells": None,
    }
    found, grads = run_kernels(case), {name: parameter.grad for name, parameter in lstm.named_parameters()}
    torch.testing.assert_close(found["hidden"], expected.detach(), atol=1e-12, rtol=0)
    torch.testing.assert_close(found["recurrent"], grads["weight_hh_l0"], atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(found["projected"].sum((0, 1)), grads["bias_hh_l0"], atol=1e-10, rtol=1e-10)


if __name__ == "__main__":
    given, target = map(Path, sys.argv[1:])
    cases = torch.load(given)
    runs = {name: run_pieces if case["graph"] else run_autograd if case["autograd"] else run_kernels for name, case in cases.items()}
    torch.save({name: runs[name](case) for name, case in cases.items()}, target)
