"""The operations that CPU kernels have themselves; `step.lowered` defines all others by these.

Most functions are a range reduction and a polynomial on what remains, for all lanes at once.
`FORMS` has what differs between float32 and float64. `pow` and `erf`, and `sin` and `cos` in
float64, call the C library lane by lane.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from neurodyn.scan.cpu.llvm import Value


@dataclass(frozen=True)
class Form:
    """How reals are made of bits, and what their functions are made of."""

    word: str
    """The kind of whole numbers of the same size."""
    fraction: int
    """How many bits the fraction has."""
    bias: int
    """The exponent's bits for 2^0."""
    low: float
    """`exp` is zero below."""
    high: float
    """`exp` is infinite above."""
    ln2: tuple[float, float]
    """ln 2 in two parts, the first of few bits, so that an exponent times it is exact."""
    exp_degree: int
    """The last power in the series of `e^r`."""
    log_degree: int
    """The last power in the series of `2 artanh(s)`."""
    root_half: int
    """The bits of sqrt(1/2)."""

    @property
    def smallest(self) -> float:
        """The smallest number with all bits of its fraction."""
        return 2.0 ** (1 - self.bias)

    @property
    def shift(self) -> float:
        """A number whose last bit is worth one: in a sum with it, the last bits are those of a
        whole number."""
        return 1.5 * 2.0**self.fraction

    @property
    def shift_bits(self) -> int:
        """The bits of `shift`."""
        return (self.bias + self.fraction) << self.fraction | 1 << (self.fraction - 1)


FORMS = {
    32: Form(
        word="word",
        fraction=23,
        bias=127,
        low=-104.0,
        high=89.0,
        ln2=(0.693359375, -2.1219444005469057e-4),
        exp_degree=7,
        log_degree=9,
        root_half=0x3F3504F3,
    ),
    64: Form(
        word="int",
        fraction=52,
        bias=1023,
        low=-746.0,
        high=710.0,
        ln2=(0.6931471803691238, 1.9082149292705877e-10),
        exp_degree=13,
        log_degree=21,
        root_half=0x3FE6A09E667F3BCD,
    ),
}
"""By the bits of a real."""


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
    form = FORMS[x.code.bits]
    k, less = _reduced(x, form, form.low)
    # In two factors, as 2^k alone leaves the range of normal numbers.
    half = _rounded(k * 0.5, form)
    first, second = _power_of_two(half, form), _power_of_two(k - half, form)
    with x.code.contracted():
        value = first * less + first
    return value * second


def expm1(x: Value) -> Value:
    """`e^x - 1`."""
    form = FORMS[x.code.bits]
    k, less = _reduced(x, form, -2.0 - form.fraction)  # It rounds to -1 from there on.
    half = _power_of_two(k - 1.0, form)  # 2^k itself may be infinite where the result is not.
    with x.code.contracted():
        value = half * less + (half - 0.5)
    return value * 2.0


def _reduced(x: Value, form: Form, low: float) -> tuple[Value, Value]:
    """`k` and `e^r - 1` with `x = k ln 2 + r` and `|r| <= ln(2) / 2`; NaN stays NaN.

    Below `low` and above `form.high` it stays at what it is there.
    """
    x = where(x < low, low, x)
    x = where(x > form.high, form.high, x)
    with x.code.contracted():
        k = _rounded(x * (1 / math.log(2)), form)
        r = (x - k * form.ln2[0]) - k * form.ln2[1]
        terms = [1 / math.factorial(n) for n in range(2, form.exp_degree + 1)]
        return k, _polynomial(r, terms) * (r * r) + r


def _rounded(x: Value, form: Form) -> Value:
    """The nearest whole number, in the range of exponents; on any processor, and without an
    instruction for it."""
    return (x + form.shift) - form.shift


def _polynomial(x: Value, terms: Sequence[Any]) -> Value:
    """`terms[0] + terms[1] x + ...`, by pairs: a shorter chain than term by term."""
    pairs: list[Value] = [x * b + a for a, b in zip(terms[::2], terms[1::2], strict=False)]
    if len(terms) == 2:
        return pairs[0]
    return _polynomial(x * x, [*pairs, *terms[len(pairs) * 2 :]])


def _power_of_two(k: Value, form: Form) -> Value:
    """`2^k` for a whole number in the range of exponents."""
    code = k.code
    # The sum's last bits are those of k + bias.
    bits = code.bitcast(k + (form.shift + form.bias), form.word)
    return code.bitcast(bits << form.fraction, "real")


def log(x: Value) -> Value:
    """The natural logarithm."""
    code, form = x.code, FORMS[x.code.bits]
    # x = 2^k m, sqrt(1/2) <= m < sqrt(2); log m = 2 artanh(s), s = (m - 1) / (m + 1).
    tiny = x < form.smallest
    bits = code.bitcast(where(tiny, x * 2.0**form.fraction, x), form.word)
    k = (bits - form.root_half) >> form.fraction
    m = code.bitcast(bits - (k << form.fraction), "real")
    e = code.bitcast(k + form.shift_bits, "real") - form.shift
    e = where(tiny, e - float(form.fraction), e)
    f = m - 1.0
    s = f / (f + 2.0)
    z = s * s
    with code.contracted():
        p = _polynomial(z, [2 / n for n in range(3, form.log_degree + 1, 2)])
        square = f * 0.5 * f
        tail = square - s * (square + z * p)
        value = e * form.ln2[0] + (f - (tail - e * form.ln2[1]))
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
    **{f.__name__: f for f in (floor, ceil, trunc, sqrt, where, exp, expm1, log, sin, cos, erf)},
}
"""By the names of the graph; "cast" depends on the node's kind, and `Kernel.evaluate` writes it."""
