"""tanh, the logistic function, its logarithm and exp for compiled loops, in arithmetic that a compiler can vectorize.

Called value by value, the math library's functions take longer than the matrix product of a recurrent step. In float32 tanh is
z P(z^2) / Q(z^2) with polynomials of degree 4, fitted to the least relative error on [-8, 8] (3.2e-7 after rounding); beyond 8 it
is 1. exp is 2 to a whole power, made from its bits, times a polynomial of degree 6 for the rest (relative error 1e-7 times |x|, at
least 1); log(1 + u) is u times a polynomial of degree 8 on [0, 1] (3e-8). In float64 all are the library's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from recognizer.utils.compiling import compiled as compile_loop

Array = np.ndarray


def _float32(*values: float) -> tuple[np.float32, ...]:
    return tuple(np.float32(value) for value in values)


ZERO, HALF, ONE = _float32(0, 0.5, 1)  # a plain 1 is an integer, and an integer with a float32 makes a float64
P0, P1, P2, P3, P4 = _float32(0.999999993578468, 0.134444971893171, 3.5715968830692525e-3, 2.189463297814639e-5, 1.5230353736410962e-8)
Q0, Q1, Q2, Q3, Q4 = _float32(1.0, 0.4677782451172696, 2.616443914085176e-2, 3.4112897393118733e-4, 8.522425747148409e-7)
E0, E1, E2, E3, E4, E5, E6 = _float32(
    1.0, 0.6931472057372656, 0.2402264689063051, 0.055503287769672, 9.618488957497912e-3, 1.3399931218556769e-3, 1.534581189990251e-4
)
L0, L1, L2, L3, L4, L5, L6, L7, L8 = _float32(
    0.9999999698795111, -0.49999493139843876, 0.33319096794397446, -0.24842982109394993, 0.19106006353418833,
    -0.13663244929462068, 0.07822594168371544, -0.02950523251970287, 5.232692703118498e-3,
)  # fmt: skip
TANH_LIMIT, LOG2_E = _float32(8, np.log2(np.e))
MIN_POWER, MAX_POWER = _float32(-126, 128)  # whole powers of 2 in float32; the last is infinity

# Of a loop and of what it calls, so that it can be vectorized; without the assumption that no value is NaN, because NaN must come out
# where it went in. Division by zero gives infinity and no exception, whose check would keep the loop scalar: seven times slower.
OPTIONS: Any = {"error_model": "numpy", "fastmath": {"contract", "reassoc", "arcp", "nsz"}}


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a loop, or a function of scalars that a compiled loop calls, and keep the result on disk."""
    loop: Callable[..., Any] = compile_loop(**OPTIONS)(function)
    return loop


def tanh(value: Any) -> Any:
    """tanh of a scalar, in its own precision; outside compiled code exact."""
    return np.tanh(value)


def sigmoid(value: Any) -> Any:
    """1 / (1 + exp(-value)), in the value's own precision; outside compiled code exact."""
    return 0.5 + 0.5 * np.tanh(0.5 * value)


def exp(value: Any) -> Any:
    """exp of a scalar, in its own precision; in compiled float32 0 below -87.3 and infinity above 88.3. Outside compiled code exact."""
    return np.exp(value)


def log_sigmoid(value: Any) -> Any:
    """log(1 / (1 + exp(-value))), in the value's own precision; outside compiled code exact."""
    return (0.0 if value > 0 else value) - np.log1p(np.exp(-np.abs(value)))


def _fast_tanh(value: Any) -> Any:
    z = -TANH_LIMIT if value < -TANH_LIMIT else (TANH_LIMIT if value > TANH_LIMIT else value)
    y = z * z
    return z * ((((P4 * y + P3) * y + P2) * y + P1) * y + P0) / ((((Q4 * y + Q3) * y + Q2) * y + Q1) * y + Q0)


def _fast_sigmoid(value: Any) -> Any:
    return HALF + HALF * tanh(HALF * value)


@intrinsic
def _power_of_two(context, power):  # type: ignore[no-untyped-def]
    """2 to a whole power -126..128 in float32: its exponent's bits."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        whole = ir.IntType(32)
        shifted = builder.add(builder.fptosi(arguments[0], whole), ir.Constant(whole, 127))
        return builder.bitcast(builder.shl(shifted, ir.Constant(whole, 23)), ir.FloatType())

    return types.float32(types.float32), generate


def _fast_exp(value: Any) -> Any:
    y = value * LOG2_E
    z = (y if y < MAX_POWER else MAX_POWER) if y > MIN_POWER else MIN_POWER  # NaN has no whole part
    whole = np.floor(z + HALF)
    r = z - whole
    power = ((((((E6 * r + E5) * r + E4) * r + E3) * r + E2) * r + E1) * r + E0) * _power_of_two(whole)  # type: ignore[call-arg]
    return power if y > MIN_POWER else (ZERO if y <= MIN_POWER else value)


def _fast_log_sigmoid(value: Any) -> Any:
    u = exp(-np.abs(value))
    low = ZERO if value > ZERO else value
    return low - u * ((((((((L8 * u + L7) * u + L6) * u + L5) * u + L4) * u + L3) * u + L2) * u + L1) * u + L0)


def _compile_in_both_precisions(function: Callable[[Any], Any], fast: Callable[[Any], Any]) -> None:
    """Let compiled code call a function of scalars: ``fast`` in float32, the function itself in float64."""

    @overload(function, jit_options=OPTIONS)
    def choose(value: Any) -> Any:  # numba compares signatures, annotations included
        return fast if value == types.float32 else function


for _pair in ((tanh, _fast_tanh), (sigmoid, _fast_sigmoid), (exp, _fast_exp), (log_sigmoid, _fast_log_sigmoid)):
    _compile_in_both_precisions(*_pair)


@compiled
def tanh_sum(x: Array, y: Array, out: Array) -> None:
    """tanh(x + y), entry by entry."""
    for k in range(len(out)):
        out[k] = tanh(x[k] + y[k])


@compiled
def sigmoid_sum(x: Array, y: Array, out: Array) -> None:
    """sigmoid(x + y), entry by entry."""
    for k in range(len(out)):
        out[k] = sigmoid(x[k] + y[k])


@compiled
def add_product(x: Array, y: Array, total: Array) -> None:
    """Add x y to a total, entry by entry."""
    for k in range(len(total)):
        total[k] += x[k] * y[k]
