"""An ONNX graph written node by node, in float32 or with its matrices in int8."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

OPSET = 17  # that of all operators here; runtimes from 2022 on have it
MICROSOFT = "com.microsoft"  # domain of the operators for int8 LSTMs, which only onnxruntime has
NUMBERS = {"float": TensorProto.FLOAT, "double": TensorProto.DOUBLE, "int64": TensorProto.INT64, "int32": TensorProto.INT32}
END = np.iinfo(np.int64).max  # of a slice up to the last entry
INT8_LEAST = 256  # matrices of fewer numbers stay as they are

Name = str  # of a value in the graph


class Graph:
    """Nodes and constants, each added under a name of its own.

    Args:
        int8: whether matrices are stored and multiplied as int8, each column with a scale of its own; activations are quantized as they come.
    """

    def __init__(self, int8: bool = False) -> None:
        self.int8 = int8
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self._known: dict[tuple[str, tuple[int, ...], bytes], Name] = {}

    def add(self, operator: str, *inputs: Name, domain: str = "", **attributes: Any) -> Name:
        """The output of a new node; the first one, if it has several."""
        return self.add_many(operator, 1, *inputs, domain=domain, **attributes)[0]

    def add_many(self, operator: str, count: int, *inputs: Name, domain: str = "", **attributes: Any) -> list[Name]:
        """The outputs of a new node."""
        names = [f"{operator.lower()}_{len(self.nodes)}" + (f"_{number}" if number else "") for number in range(count)]
        self.nodes.append(helper.make_node(operator, inputs, names, domain=domain, **attributes))
        return names

    def constant(self, values: Any, kind: Any = np.float32) -> Name:
        """A constant of a numpy type; equal ones are stored once."""
        array = np.ascontiguousarray(np.asarray(values, dtype=kind)).reshape(np.shape(values))
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = f"constant_{len(self.constants)}"
            self.constants.append(numpy_helper.from_array(array, self._known[key]))
        return self._known[key]

    def ints(self, *values: int) -> Name:
        """A constant (len(values),) int64: axes, shapes."""
        return self.constant(values, np.int64)

    def cast(self, value: Name, kind: str) -> Name:
        """A value as "float", "double", "int64" or "int32"."""
        return self.add("Cast", value, to=NUMBERS[kind])

    def size(self, value: Name, axis: int) -> Name:
        """How long an axis is, (1,) int64."""
        return self.add("Slice", self.add("Shape", value), self.ints(axis), self.ints(axis + 1))

    def cut(self, value: Name, axis: int, start: Name | int, stop: Name | int, step: int = 1) -> Name:
        """What lies between two places of an axis."""
        begin, end = (self.ints(place) if isinstance(place, int) else place for place in (start, stop))
        return self.add("Slice", value, begin, end, self.ints(axis), self.ints(step))

    def count_up(self, stop: Name) -> Name:
        """0, 1, ... before a number (1,) int64; (N,) int64."""
        return self.add("Range", self.constant(0, np.int64), self.add("Squeeze", stop), self.constant(1, np.int64))

    def inside(self, lengths: Name, size: Name) -> Name:
        """Boolean mask (B, N), true within lengths (B,); N is the value of ``size`` (1,)."""
        return self.add("Less", self.count_up(size), self.add("Unsqueeze", lengths, self.ints(1)))

    def ceil_div(self, value: Name, divisor: int) -> Name:
        """An int64 value over a positive number, rounded up."""
        return value if divisor == 1 else self.add("Div", self.add("Add", value, self.ints(divisor - 1)), self.ints(divisor))

    def linear(self, value: Name, weight: np.ndarray, bias: np.ndarray | None) -> Name:
        """(..., D) times the transpose of (H, D), plus (H,)."""
        if self.int8 and weight.size >= INT8_LEAST:
            product = self._multiply_int8(value, weight)
        else:
            product = self.add("MatMul", value, self.constant(weight.T))
        return product if bias is None else self.add("Add", product, self.constant(bias))

    def _multiply_int8(self, value: Name, weight: np.ndarray) -> Name:
        small, scales = quantize(weight.T, axis=1)
        quantized, scale, zero = self.add_many("DynamicQuantizeLinear", 3, value)
        product = self.cast(self.add("MatMulInteger", quantized, self.constant(small, np.int8), zero), "float")
        return self.add("Mul", product, self.add("Mul", scale, self.constant(scales)))

    def stored(self, weight: np.ndarray, axis: int) -> Name:
        """A float32 weight; with int8 it is kept as such, with a scale for each entry of ``axis``, and made whole when the graph is loaded."""
        if not self.int8 or weight.size < INT8_LEAST:
            return self.constant(weight)
        small, scales = quantize(weight, axis)
        shape = [1] * weight.ndim
        shape[axis] = -1
        return self.add("Mul", self.cast(self.constant(small, np.int8), "float"), self.constant(scales.reshape(shape)))


def quantize(weight: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights as int8 in -127..127, and the scale (N,) float32 of each entry of ``axis``, by which they are multiplied."""
    others = tuple(place for place in range(weight.ndim) if place != axis)
    scales = np.maximum(np.abs(weight).max(axis=others), 1e-12).astype(np.float32) / np.float32(127)
    shape = [1] * weight.ndim
    shape[axis] = -1
    return np.rint(weight / scales.reshape(shape)).astype(np.int8), scales


def tensor_info(name: Name, kind: int, shape: Sequence[str | int]) -> ValueInfoProto:
    """What an input or output of the graph is; a dimension with a name has any size."""
    return helper.make_tensor_value_info(name, kind, shape)
