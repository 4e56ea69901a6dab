"""What CPU kernels call: selection, and float32 functions that vectorise.

Numba's `math.exp` and its kin stay scalar inside a loop. Here they are arithmetic alone: a range
reduction, and a polynomial on what remains. Float64 kernels use the C library.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

real, whole = np.float32, np.int32
EXACT: dict[str, Any] = {"forceinline": True, "error_model": "numpy"}
# No assumption about NaN or infinity: those have to come through.
FAST: dict[str, Any] = {**EXACT, "fastmath": {"contract", "reassoc", "arcp", "nsz"}}
exact, fast = njit(**EXACT), njit(**FAST)


@intrinsic
def where(context: Any, condition: Any, a: Any, b: Any) -> Any:
    """`a if condition else b` without a branch."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(args[0], args[1], args[2])

    return a(condition, a, b), generate


def _rounding(name: str) -> Any:
    @intrinsic
    def function(context: Any, a: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.call(builder.module.declare_intrinsic(name, [args[0].type]), args)

        return a(a), generate

    return function


def _reinterpreted(source: types.Type, target: types.Type) -> Any:
    @intrinsic
    def function(context: Any, a: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.bitcast(args[0], context.get_value_type(target))

        return target(source), generate

    return function


floor, ceil = _rounding("llvm.floor"), _rounding("llvm.ceil")
nearest, trunc = _rounding("llvm.rint"), _rounding("llvm.trunc")
sqrt, absolute = _rounding("llvm.sqrt"), _rounding("llvm.fabs")
_bits = _reinterpreted(types.float32, types.int32)
_from_bits = _reinterpreted(types.int32, types.float32)


@exact
def minimum(a: Any, b: Any) -> Any:
    """The smaller; NaN if either is."""
    return where((a < b) | (a != a), a, b)


@exact
def maximum(a: Any, b: Any) -> Any:
    """The larger; NaN if either is."""
    return where((a > b) | (a != a), a, b)


@fast
def add(a: Any, b: Any) -> Any:
    """An addition that may be reordered: sums over a row vectorise."""
    return a + b


@exact
def _power_of_two(k: Any) -> Any:
    return _from_bits(whole((k + whole(127)) << whole(23)))


@exact
def exp32(x: Any) -> Any:
    """`e^x`."""
    # exp(x) = 2^k exp(r), |r| <= ln(2)/2; beyond the clip lie 0 and infinity.
    inside = where(x > real(-104.0), where(x < real(89.0), x, real(89.0)), real(-104.0))
    k = nearest(inside * real(1.4426950408889634))
    # ln 2 in two parts, the first of few bits, so that k times it is exact.
    r = (inside - k * real(0.693359375)) - k * real(-2.1219444005469057e-4)
    p = real(1 / 5040)
    p = p * r + real(1 / 720)
    p = p * r + real(1 / 120)
    p = p * r + real(1 / 24)
    p = p * r + real(1 / 6)
    p = p * r + real(0.5)
    p = (p * r) * r + r + real(1.0)
    # In two factors, as 2^k alone leaves the range of normal numbers.
    n = whole(k)
    half = n >> whole(1)
    return where(x == x, p * _power_of_two(half) * _power_of_two(n - half), x)


@exact
def log32(x: Any) -> Any:
    """The natural logarithm."""
    # x = 2^k m, sqrt(1/2) <= m < sqrt(2); log m = 2 artanh(s), s = (m - 1) / (m + 1).
    tiny = x < real(1.17549435e-38)
    scaled = where(tiny, x * real(8388608.0), x)
    bits = _bits(scaled)
    k = (bits - whole(0x3F3504F3)) >> whole(23)
    m = _from_bits(bits - (k << whole(23)))
    e = real(k) - where(tiny, real(23.0), real(0.0))
    f = m - real(1.0)
    s = f / (real(2.0) + f)
    z = s * s
    p = real(2 / 11)
    p = p * z + real(2 / 9)
    p = p * z + real(2 / 7)
    p = p * z + real(2 / 5)
    p = p * z + real(2 / 3)
    square = real(0.5) * f * f
    tail = square - s * (square + z * p)
    value = e * real(0.693359375) + (f - (tail - e * real(-2.1219444005469057e-4)))
    value = where(x == real(0.0), real(-np.inf), value)
    value = where(x < real(0.0), real(np.nan), value)
    return where((x == real(np.inf)) | (x != x), x, value)


@exact
def log1p32(x: Any) -> Any:
    """`log(1 + x)`, right for small `x` too."""
    u = real(1.0) + x
    # What rounding lost in 1 + x comes back as a correction of first order.
    value = log32(u) - ((u - real(1.0)) - x) / u
    return where((u == real(np.inf)) | (u == real(0.0)), log32(u), value)


@exact
def expm132(x: Any) -> Any:
    """`e^x - 1`, right for small `x` too."""
    p = real(1 / 362880)
    p = p * x + real(1 / 40320)
    p = p * x + real(1 / 5040)
    p = p * x + real(1 / 720)
    p = p * x + real(1 / 120)
    p = p * x + real(1 / 24)
    p = p * x + real(1 / 6)
    p = p * x + real(0.5)
    return where(absolute(x) < real(0.5), (p * x) * x + x, exp32(x) - real(1.0))


@exact
def tanh32(x: Any) -> Any:
    """The hyperbolic tangent."""
    magnitude = minimum(absolute(x), real(10.0))
    t = expm132(magnitude + magnitude)
    y = t / (t + real(2.0))
    return where(x < real(0.0), -y, y)


@exact
def sigmoid32(x: Any) -> Any:
    """`1 / (1 + e^-x)`."""
    e = exp32(-absolute(x))
    return where(x < real(0.0), e, real(1.0)) / (real(1.0) + e)


@exact
def _turned(x: Any, quarters: Any) -> Any:
    """`sin(x + quarters * pi / 2)`, inside in float64; within 1e-6 up to |x| = 1e9."""
    wide = np.float64(x)
    k = nearest(wide * (2 / math.pi))
    # pi / 2 in two parts, the first of 25 bits, so that k times it is exact.
    r = (wide - k * 1.57079631090164184570) - k * 1.58932547735281966916e-8
    z = r * r
    sine = (((1 / 362880 * z - 1 / 5040) * z + 1 / 120) * z - 1 / 6) * z * r + r
    cosine = ((((-1 / 3628800 * z + 1 / 40320) * z - 1 / 720) * z + 1 / 24) * z - 0.5) * z + 1.0
    quadrant = k + quarters
    quadrant = quadrant - 4.0 * floor(quadrant * 0.25)
    value = where((quadrant == 1.0) | (quadrant == 3.0), cosine, sine)
    return real(where(quadrant >= 2.0, -value, value))


@exact
def sin32(x: Any) -> Any:
    """The sine."""
    return _turned(x, 0.0)


@exact
def cos32(x: Any) -> Any:
    """The cosine."""
    return _turned(x, 1.0)


@exact
def erf32(x: Any) -> Any:
    """The error function; stays scalar."""
    return math.erf(x)


@exact
def exp64(x: Any) -> Any:
    """`e^x`."""
    return math.exp(x)


@exact
def log64(x: Any) -> Any:
    """The natural logarithm."""
    return math.log(x)


@exact
def log1p64(x: Any) -> Any:
    """`log(1 + x)`."""
    return math.log1p(x)


@exact
def expm164(x: Any) -> Any:
    """`e^x - 1`."""
    return math.expm1(x)


@exact
def tanh64(x: Any) -> Any:
    """The hyperbolic tangent."""
    return math.tanh(x)


@exact
def sigmoid64(x: Any) -> Any:
    """`1 / (1 + e^-x)`."""
    e = math.exp(-absolute(x))
    return where(x < 0.0, e, 1.0) / (1.0 + e)


@exact
def sin64(x: Any) -> Any:
    """The sine."""
    return math.sin(x)


@exact
def cos64(x: Any) -> Any:
    """The cosine."""
    return math.cos(x)


erf64 = erf32
