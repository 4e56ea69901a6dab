"""The operations that CPU kernels have themselves; `step.lowered` defines all others by these.

Float32 functions are a range reduction and a polynomial on what remains, for all lanes at once.
Float64 functions, and those without such a form here, call the C library lane by lane.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from neurodyn.scan.cpu.llvm import Value


def floor(x: Value) -> Value:
    """The largest whole number that is not larger."""
    return x.code.intrinsic("floor", x)


def ceil(x: Value) -> Value:
    """The smallest whole number that is not smaller."""
    return x.code.intrinsic("ceil", x)


def nearest(x: Value) -> Value:
    """The nearest whole number; of two equally near, the even one."""
    return x.code.intrinsic("rint", x)


def trunc(x: Value) -> Value:
    """The whole part."""
    return x.code.intrinsic("trunc", x)


def sqrt(x: Value) -> Value:
    """The square root."""
    return x.code.intrinsic("sqrt", x)


def absolute(x: Value) -> Value:
    """The magnitude."""
    return x.code.intrinsic("fabs", x) if x.kind == "real" else where(x < 0, -x, x)


def where(condition: Value, a: Any, b: Any) -> Value:
    """`a if condition else b` without a branch."""
    return condition.code.where(condition, a, b)


def power(a: Value, b: Value) -> Value:
    """`a^b`."""
    return a.code.library("pow", a, b)


def exp(x: Value) -> Value:
    """`e^x`."""
    if x.code.bits == 64:
        return x.code.library("exp", x)
    # exp(x) = 2^k exp(r), |r| <= ln(2)/2; beyond the clip lie 0 and infinity.
    inside = where(x > -104.0, where(x < 89.0, x, 89.0), -104.0)
    k = nearest(inside * 1.4426950408889634)
    # ln 2 in two parts, the first of few bits, so that k times it is exact.
    r = (inside - k * 0.693359375) - k * -2.1219444005469057e-4
    p = r * (1 / 5040) + 1 / 720
    p = p * r + 1 / 120
    p = p * r + 1 / 24
    p = p * r + 1 / 6
    p = p * r + 0.5
    p = (p * r) * r + r + 1.0
    # In two factors, as 2^k alone leaves the range of normal numbers.
    n = x.code.cast(k, "word")
    half = n >> 1
    return where(x == x, p * _power_of_two(half) * _power_of_two(n - half), x)


def _power_of_two(k: Value) -> Value:
    return k.code.bitcast((k + 127) << 23, "real")


def log(x: Value) -> Value:
    """The natural logarithm."""
    code = x.code
    if code.bits == 64:
        return code.library("log", x)
    # x = 2^k m, sqrt(1/2) <= m < sqrt(2); log m = 2 artanh(s), s = (m - 1) / (m + 1).
    tiny = x < 1.17549435e-38
    bits = code.bitcast(where(tiny, x * 8388608.0, x), "word")
    k = (bits - 0x3F3504F3) >> 23
    m = code.bitcast(bits - (k << 23), "real")
    e = code.cast(k, "real") - where(tiny, code.constant(23.0, "real", x.lanes), 0.0)
    f = m - 1.0
    s = f / (f + 2.0)
    z = s * s
    p = z * (2 / 11) + 2 / 9
    p = p * z + 2 / 7
    p = p * z + 2 / 5
    p = p * z + 2 / 3
    square = f * 0.5 * f
    tail = square - s * (square + z * p)
    value = e * 0.693359375 + (f - (tail - e * -2.1219444005469057e-4))
    value = where(x == 0.0, -math.inf, value)
    value = where(x < 0.0, math.nan, value)
    return where((x == math.inf) | (x != x), x, value)


def sin(x: Value) -> Value:
    """The sine."""
    return x.code.library("sin", x) if x.code.bits == 64 else _turned(x, 0.0)


def cos(x: Value) -> Value:
    """The cosine."""
    return x.code.library("cos", x) if x.code.bits == 64 else _turned(x, 1.0)


def _turned(x: Value, quarters: float) -> Value:
    """`sin(x + quarters * pi / 2)`, computed in float64; within 1e-6 up to |x| = 1e9."""
    wide = x.code.cast(x, "wide")
    k = nearest(wide * (2 / math.pi))
    # pi / 2 in two parts, the first of 25 bits, so that k times it is exact.
    r = (wide - k * 1.57079631090164184570) - k * 1.58932547735281966916e-8
    z = r * r
    sine = (((z * (1 / 362880) - 1 / 5040) * z + 1 / 120) * z - 1 / 6) * z * r + r
    cosine = ((((z * (-1 / 3628800) + 1 / 40320) * z - 1 / 720) * z + 1 / 24) * z - 0.5) * z + 1.0
    quadrant = k + quarters
    quadrant = quadrant - floor(quadrant * 0.25) * 4.0
    value = where((quadrant == 1.0) | (quadrant == 3.0), cosine, sine)
    return x.code.cast(where(quadrant >= 2.0, -value, value), "real")


def erf(x: Value) -> Value:
    """The error function."""
    return x.code.library("erf", x)


OPERATIONS: dict[str, Callable[..., Value]] = {
    **{name: getattr(operator, name) for name in ("add", "sub", "mul", "neg")},
    **{name: getattr(operator, name) for name in ("lt", "le", "gt", "ge", "eq", "ne")},
    "div": operator.truediv,
    "and": operator.and_,
    "or": operator.or_,
    "not": operator.invert,
    "abs": absolute,
    "round": nearest,
    "pow": power,
    **{f.__name__: f for f in (floor, ceil, trunc, sqrt, where, exp, log, sin, cos, erf)},
}
"""By the names of the graph; "cast" depends on the node's kind, and `Kernel.evaluate` writes it."""
